//! `/internal/config`: the rendered config, the overrides of each level, and where the branch level came from.

use postern_domain::{
    Failure,
    projects::{self, ConfigLevel, ConfigSource},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    call::{ADMIN, Call, SERVER},
    input::{Empty, Ignored, OneOf, Words, input},
    reply::{Answer, Reply, Success, success},
    routes::{About, Routes},
};

const OVERRIDE: &str = "/internal/config/override/{level}";

pub(super) fn routes() -> Routes {
    let about = |summary, allowed| About::new("Config", summary, allowed);
    Routes::new()
        .get("/internal/config", rendered, about("The config that counts, as JSON text", ADMIN))
        .get(OVERRIDE, read, about("What a level stores, as JSON text", SERVER).path::<LevelPath>())
        .put(OVERRIDE, replace, about("Replaces what a level stores", SERVER).path::<LevelPath>().body::<Replace>())
        .patch(
            OVERRIDE,
            merge,
            about("Writes keys over what a level stores", SERVER).path::<LevelPath>().body::<Merge>(),
        )
        .post(
            "/internal/config/override/{level}/reset-keys",
            reset,
            about("Takes keys out of what a level stores", ADMIN).path::<ResettablePath>().body::<Reset>(),
        )
        .get("/internal/config/source", source, about("Where the branch level came from", ADMIN))
        .delete("/internal/config/source", unlink, about("Forgets where the branch level came from", ADMIN))
}

/// JSON within JSON, as the contract has it.
#[derive(Debug, Serialize, JsonSchema)]
struct ConfigText {
    config_string: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SourceAnswer {
    source: ConfigSource,
}

/// All levels.
#[derive(Debug)]
struct AnyLevel;

impl Words for AnyLevel {
    const WORDS: &'static [&'static str] = &["project", "branch", "environment"];
}

/// The levels whose keys can be reset.
#[derive(Debug)]
struct Resettable;

impl Words for Resettable {
    const WORDS: &'static [&'static str] = &["branch", "environment"];
}

/// The kinds of sources.
#[derive(Debug)]
struct SourceKind;

impl Words for SourceKind {
    const WORDS: &'static [&'static str] = &["pushed-from-github", "pushed-from-unknown", "unlinked"];
}

input! {
    struct LevelPath { level: OneOf<AnyLevel> }
}

input! {
    struct ResettablePath { level: OneOf<Resettable> }
}

input! {
    struct Replace { config_string: String, source: Option<SourceInput> }
}

input! {
    struct Merge { config_override_string: String }
}

input! {
    struct Reset { keys: Vec<String> }
}

input! {
    struct SourceInput {
        r#type: OneOf<SourceKind>,
        owner: Option<String>,
        repo: Option<String>,
        branch: Option<String>,
        commit_hash: Option<String>,
        config_file_path: Option<String>,
    }
}

async fn rendered(mut call: Call) -> Answer<ConfigText> {
    let actor = call.actor(ADMIN)?;
    call.read::<Empty, Ignored, Ignored>()?;
    Ok(Reply::ok(ConfigText { config_string: projects::config_text(&call.deps, &actor).await? }))
}

async fn read(mut call: Call) -> Answer<ConfigText> {
    let actor = call.actor(SERVER)?;
    let (path, _, _) = call.read::<LevelPath, Ignored, Ignored>()?;
    let config_string = projects::override_text(&call.deps, &actor, level(path.level.word)).await?;
    Ok(Reply::ok(ConfigText { config_string }))
}

async fn replace(mut call: Call) -> Answer<Success> {
    let actor = call.actor(SERVER)?;
    let (path, _, body) = call.read::<LevelPath, Ignored, Replace>()?;
    let source = body.source.map(TryInto::try_into).transpose()?;
    projects::replace_override(&call.deps, &actor, level(path.level.word), &body.config_string, source).await?;
    Ok(success())
}

async fn merge(mut call: Call) -> Answer<Success> {
    let actor = call.actor(SERVER)?;
    let (path, _, body) = call.read::<LevelPath, Ignored, Merge>()?;
    projects::merge_override(&call.deps, &actor, level(path.level.word), &body.config_override_string).await?;
    Ok(success())
}

async fn reset(mut call: Call) -> Answer<Success> {
    let actor = call.actor(ADMIN)?;
    let (path, _, body) = call.read::<ResettablePath, Ignored, Reset>()?;
    projects::reset_config_keys(&call.deps, &actor, level(path.level.word), &body.keys).await?;
    Ok(success())
}

async fn source(mut call: Call) -> Answer<SourceAnswer> {
    let actor = call.actor(ADMIN)?;
    call.read::<Empty, Ignored, Ignored>()?;
    Ok(Reply::ok(SourceAnswer { source: projects::config_source(&call.deps, &actor).await? }))
}

async fn unlink(mut call: Call) -> Answer<Success> {
    let actor = call.actor(ADMIN)?;
    call.read::<Empty, Ignored, Ignored>()?;
    projects::unlink_config_source(&call.deps, &actor).await?;
    Ok(success())
}

/// The level of a word that the schema let through.
fn level(word: &str) -> ConfigLevel {
    match word {
        "project" => ConfigLevel::Project,
        "branch" => ConfigLevel::Branch,
        _ => ConfigLevel::Environment,
    }
}

impl TryFrom<SourceInput> for ConfigSource {
    type Error = Failure;

    fn try_from(source: SourceInput) -> Result<Self, Failure> {
        let fields = [
            ("owner", &source.owner),
            ("repo", &source.repo),
            ("branch", &source.branch),
            ("commit_hash", &source.commit_hash),
            ("config_file_path", &source.config_file_path),
        ];
        let is_github = source.r#type.word == "pushed-from-github";
        let wrong: Vec<_> =
            fields.iter().filter(|(_, text)| text.is_some() != is_github).map(|(name, _)| *name).collect();
        if !wrong.is_empty() {
            let rule = if is_github { "is required" } else { "is known for type pushed-from-github only" };
            let texts: Vec<_> = wrong.iter().map(|name| format!("body.source.{name} {rule}")).collect();
            return Err(Failure::schema(texts.join("; ")));
        }
        Ok(
            match (
                source.r#type.word,
                source.owner,
                source.repo,
                source.branch,
                source.commit_hash,
                source.config_file_path,
            ) {
                (
                    "pushed-from-github",
                    Some(owner),
                    Some(repo),
                    Some(branch),
                    Some(commit_hash),
                    Some(config_file_path),
                ) => Self::PushedFromGithub { owner, repo, branch, commit_hash, config_file_path },
                ("unlinked", ..) => Self::Unlinked,
                _ => Self::PushedFromUnknown,
            },
        )
    }
}
