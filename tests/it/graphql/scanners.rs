//! Programs that look for what a GraphQL server gives away, and for what it does wrong: clairvoyance and inql recover
//! nothing of a schema that is not told, schemathesis finds no fault. All are Python programs, which `scripts/test`
//! installs.

use std::{fmt::Write as _, path::Path};

use serde_json::{Value, json};
use tokio::process::Command;

use super::{ask, codes, data, signed_up};
use crate::{
    rest::items::configure,
    support::{
        App,
        python::{python, run, script},
    },
};

const SCHEMA: &str = include_str!("../../../schema.graphql");

/// An installation that does not tell about its schema.
async fn silent() -> App {
    App::builder().set("POSTERN_INTROSPECTION", "off").start().await
}

/// The headers of a caller of this level, each as `name: value`.
fn caller(app: &App, level: &str) -> Vec<String> {
    let (header, key) = match level {
        "client" => ("publishable-client-key", &app.demo.client),
        "server" => ("secret-server-key", &app.demo.server),
        _ => ("super-secret-admin-key", &app.demo.admin),
    };
    vec![
        format!("x-stack-project-id: {}", app.demo.project_id),
        format!("x-stack-access-type: {level}"),
        format!("x-stack-{header}: {key}"),
    ]
}

/// Nobody, a client and a server.
fn callers(app: &App) -> [Vec<String>; 3] {
    [Vec::new(), caller(app, "client"), caller(app, "server")]
}

/// The fields of the root that is read, so that a scanner lacks no guess, and one that there is not.
fn words() -> String {
    let root = SCHEMA.split("\ntype Query {\n").nth(1).unwrap().split("\n}").next().unwrap();
    let fields = root.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("  ")?.split_once(['(', ':'])?;
        name.chars().all(|letter| letter.is_ascii_alphanumeric()).then_some(name)
    });
    let mut words: Vec<_> = fields.collect();
    assert!(["me", "users", "teams"].iter().all(|field| words.contains(field)), "{words:?}");
    words.push("nothing");
    words.join("\n")
}

/// What clairvoyance recovers, if anything, and what it says about it.
async fn recovered(mut clairvoyance: Command, app: &App, headers: &[String]) -> (Option<String>, String) {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("words"), words()).unwrap();
    for header in headers {
        clairvoyance.args(["-H", header]);
    }
    clairvoyance.args(["-w", "words", "-o", "schema.json", &format!("{}/graphql", app.url)]);
    let output = clairvoyance.current_dir(home.path()).output().await.unwrap();
    let schema = std::fs::read_to_string(home.path().join("schema.json")).ok();
    (schema, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// That it gave up, and not for another reason.
const GAVE_UP: &str = "Unable to get TypeRef";

/// It knows the errors of other servers by heart, and not those of async-graphql.
#[tokio::test(flavor = "multi_thread")]
async fn clairvoyance_recovers_nothing_without_introspection() {
    let Some(python) = python() else { return };
    let app = silent().await;
    for headers in callers(&app) {
        let clairvoyance = Command::new(python.with_file_name("clairvoyance"));
        let (schema, said) = recovered(clairvoyance, &app, &headers).await;
        assert!(schema.is_none() && said.contains(GAVE_UP), "{schema:?}\n{said}");
    }
    app.stop().await;
}

/// Made to understand ours, it needs an answer that tells what is there from what is not.
#[tokio::test(flavor = "multi_thread")]
async fn clairvoyance_that_understands_our_errors_recovers_nothing_either() {
    let Some(python) = python() else { return };
    let understanding = || {
        let mut clairvoyance = Command::new(&python);
        clairvoyance.arg(script("clairvoyance_translated.py"));
        clairvoyance
    };
    let app = silent().await;
    for headers in callers(&app) {
        let (schema, said) = recovered(understanding(), &app, &headers).await;
        assert!(schema.is_none() && said.contains(GAVE_UP), "{schema:?}\n{said}");
    }
    app.stop().await;
    // With introspection, errors may name what there is, and it understands them.
    let app = App::start().await;
    let (schema, said) = recovered(understanding(), &app, &caller(&app, "client")).await;
    let schema = schema.expect(&said);
    assert!([r#""users""#, r#""UserConnection""#].iter().all(|name| schema.contains(name)), "{schema}");
    app.stop().await;
}

#[tokio::test]
async fn without_introspection_errors_are_the_same_for_what_is_there_and_what_is_not() {
    let app = silent().await;
    for client in [app.rest(), app.rest().client(), app.rest().server()] {
        for (there, not_there) in [
            ("{ users }", "{ nobody }"),
            ("{ users { nothing } }", "{ nobody { nothing } }"),
            ("{ users { totalCount } nothing }", "{ nobody { totalCount } nothing }"),
            ("{ user(id: 1, nothing: 2) { id } }", "{ user(nothing: 1, nothingElse: 2) { id } }"),
            ("{ users(first: \"many\") { totalCount } }", "{ users(nothing: \"many\") { totalCount } }"),
            ("query($a: User) { __typename }", "query($a: Nothing) { __typename }"),
            ("{ node(id: 1) { ... on User { nothing } } }", "{ node(id: 1) { ... on Nothing { nothing } } }"),
            ("{ user(id: 1) @access { id } }", "{ user(id: 1) @nothing { id } }"),
            ("mutation { signOut { nothing } }", "mutation { nothing }"),
        ] {
            let (first, second) = (ask(&client, there, Value::Null).await, ask(&client, not_there, Value::Null).await);
            assert_eq!(first, second, "{there}");
            assert_eq!(codes(&first), [(String::new(), "GRAPHQL_VALIDATION_FAILED".to_owned())]);
        }
    }
    app.stop().await;
}

/// What inql says, and how many things it wrote.
async fn inspected(python: &Path, app: &App, headers: &[String]) -> (String, usize) {
    let home = tempfile::tempdir().unwrap();
    let mut inql = Command::new(python);
    inql.args(["-m", "inql", "-t", &format!("{}/graphql", app.url), "-o"]).arg(home.path());
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        inql.args(["--header", name, value]);
    }
    let output = inql.output().await.unwrap();
    (String::from_utf8_lossy(&output.stdout).into_owned(), std::fs::read_dir(home.path()).unwrap().count())
}

#[tokio::test(flavor = "multi_thread")]
async fn inql_reads_nothing_without_introspection() {
    let Some(python) = python() else { return };
    let app = silent().await;
    for headers in callers(&app) {
        let (said, written) = inspected(&python, &app, &headers).await;
        assert!(written == 0 && said.contains("HTTP Error 403"), "{said}");
    }
    app.stop().await;
    // With it, it does: the program works, and is asked rightly.
    let app = App::start().await;
    let (said, written) = inspected(&python, &app, &caller(&app, "server")).await;
    assert!(written == 1 && said.contains("createUser mutation"), "{said}");
    app.stop().await;
}

/// Which values schemathesis tries for which arguments beside made-up ones: what is there, so that not all is refused.
fn dictionaries(user: &Value, team: &Value) -> String {
    let values = [
        ("users", json!([user])),
        ("teams", json!([team])),
        ("things", json!([user, team])),
        ("items", json!(["credits", "seats"])),
        ("emails", json!(["ada@example.com", "bob@example.com"])),
    ];
    let uses = [
        ("userId", "users"),
        ("input.userId", "users"),
        ("input.creatorUserId", "users"),
        ("filter.userId", "users"),
        ("teamId", "teams"),
        ("input.teamId", "teams"),
        ("input.selectedTeamId", "teams"),
        ("filter.teamId", "teams"),
        ("id", "things"),
        ("input.id", "things"),
        ("customer.id", "things"),
        ("input.customer.id", "things"),
        ("itemId", "items"),
        ("input.itemId", "items"),
        ("input.email", "emails"),
        ("input.primaryEmail", "emails"),
        ("input.value", "emails"),
    ];
    let mut text = "[dictionaries]\n".to_owned();
    for (name, values) in values {
        writeln!(text, "{name} = {{ values = {values} }}").unwrap();
    }
    text.push_str("\n[parameters]\n");
    for (argument, name) in uses {
        writeln!(text, r#""*.*.{argument}" = {{ dictionary = "{name}", probability = 0.8 }}"#).unwrap();
    }
    text
}

/// What ends what the others work on, its own session too, and what schemathesis leaves out unless it is named.
const LAST: &str = r"^(Query\._entities|Mutation\.(delete|revoke|signOut))";

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_fault() {
    let Some(python) = python() else { return };
    let app = App::builder().set("POSTERN_RATE_LIMITS", "off").start().await;
    configure(&app.rest()).await;
    let keys = json!({"config": {"allow_user_api_keys": true, "allow_team_api_keys": true}});
    app.rest().admin().patch("/internal/projects/current", keys).await.json(200);
    for level in ["server", "admin"] {
        for (which, is_last) in [("--exclude-name-regex", false), ("--include-name-regex", true)] {
            let (_, user) = signed_up(&app, &format!("{level}-{is_last}@example.com")).await;
            let mutation = "mutation($input: CreateTeamInput!) { createTeam(input: $input) { team { id } } }";
            let input = json!({"input": {"displayName": "Crew", "creatorUserId": user["userId"]}});
            let team = data(ask(&app.rest().server(), mutation, input).await)["createTeam"]["team"]["id"].clone();
            let mut headers = caller(&app, level);
            if !is_last {
                headers.push(format!("x-stack-access-token: {}", user["accessToken"].as_str().unwrap()));
            }
            let home = tempfile::tempdir().unwrap();
            std::fs::write(home.path().join("schemathesis.toml"), dictionaries(&user["userId"], &team)).unwrap();
            let told = run(Command::new(python.with_file_name("schemathesis"))
                .current_dir(home.path())
                .env("SCHEMATHESIS_HOOKS", script("graphql_faults.py"))
                .args(["run", &format!("{}/graphql", app.url), which, LAST])
                .args(headers.iter().flat_map(|header| ["-H", header.as_str()]))
                .args(["--checks", "no_graphql_fault", "--phases", "fuzzing", "--max-examples", "5"])
                // One worker: more fall over each other in Python 3.11 (CPython issue 106905).
                .args(["--seed", "1", "--workers", "1", "--suppress-health-check", "all"]))
            .await;
            // Where everything is refused, nothing is tested.
            let with_data = told.lines().find_map(|line| line.strip_prefix("answers with data: ")).unwrap();
            let least = if is_last { 1 } else { 20 };
            assert!(with_data.parse::<u32>().unwrap() >= least, "{told}");
        }
    }
    app.stop().await;
}
