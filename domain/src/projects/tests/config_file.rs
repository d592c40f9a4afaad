//! Files that set projects up.

use super::*;

fn file(content: Value) -> ConfigFile {
    ConfigFile::read(content).unwrap()
}

fn wrong(content: Value) -> Vec<String> {
    ConfigFile::read(content).unwrap_err().0
}

async fn stored(bench: &TestBench, project_id: &ProjectId, level: ConfigLevel) -> Value {
    serde_json::from_str(&override_text(&bench.deps, &admin(project_id), level).await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_file_sets_a_project_up_and_again_changes_nothing() {
    on_each_database(|bench| async move {
        let (_, project) = owned(&bench).await;
        let (deps, actor) = (&bench.deps, admin(&project.id));
        let before = stored(&bench, &project.id, ConfigLevel::Environment).await;
        let content = json!({
            "branch": {
                "auth": { "otp": { "allowSignIn": true }, "signUpRules": { "work": { "enabled": true } } },
                "rbac": { "permissions": { "editor": { "scope": "team", "containedPermissionIds": { "$read_members": true } } } },
                "teams.allowClientTeamCreation": true,
            },
            "environment": {
                "emails": { "server": { "isShared": false, "host": "h", "password": "hidden" } },
                "domains": { "trustedDomains": { "own": { "baseUrl": "https://a.example" } } },
            },
        });
        let given = file(content.clone());
        let applied = apply_config_file(deps, &actor, &given).await.unwrap();
        assert_eq!(applied, Applied { branch_changed: true, environment_changed: true, ..Applied::default() });
        let now = config(deps, &project.id).await.unwrap();
        assert!(now.auth.otp.allow_sign_in && now.auth.password.allow_sign_in && now.domains.allow_localhost);
        assert!(now.rbac.permissions.contains_key("editor") && now.rbac.permissions.contains_key("team_admin"));
        assert_eq!(now.emails.server.host.as_deref(), Some("h"));
        assert_eq!(now.domains.trusted_domains["own"].base_url.as_deref(), Some("https://a.example"));
        assert_eq!(config_source(deps, &actor).await.unwrap(), ConfigSource::PushedFromUnknown);
        let environment = stored(&bench, &project.id, ConfigLevel::Environment).await;
        for (key, value) in before.as_object().unwrap() {
            assert_eq!(environment.get(key), Some(value), "what the file does not name stays");
        }
        let raw = store::overrides(deps.db.read(), &project.id).await.unwrap();
        assert!(!format!("{raw:?}").contains("hidden"), "secrets are sealed");

        let sealed = || async { store::overrides(deps.db.read(), &project.id).await.unwrap() };
        let (rows, mut signals) = (sealed().await, deps.db.signals().subscribe());
        bench.clock.advance_seconds(1);
        assert_eq!(apply_config_file(deps, &actor, &given).await.unwrap(), Applied::default());
        assert_eq!(sealed().await, rows, "nothing was written");
        assert!(signals.try_next().is_none(), "and nobody told");

        // What the branch table leaves out is gone; what the environment table leaves out stays.
        let next = file(json!({ "branch": {}, "environment": { "emails.server.host": "other" } }));
        let applied = apply_config_file(deps, &actor, &next).await.unwrap();
        assert!(applied.branch_changed && applied.environment_changed);
        assert_eq!(stored(&bench, &project.id, ConfigLevel::Branch).await, json!({}));
        let now = config(deps, &project.id).await.unwrap();
        assert_eq!((now.auth.otp.allow_sign_in, now.emails.server.host.as_deref()), (false, Some("other")));
        assert!(now.emails.server.password.is_some());
        // Without a table the level is left alone.
        assert_eq!(apply_config_file(deps, &actor, &file(json!({}))).await.unwrap(), Applied::default());
    })
    .await;
}

#[tokio::test]
async fn settings_that_do_not_count_are_told() {
    on_each_database(|bench| async move {
        let (_, project) = owned(&bench).await;
        let given = json!({ "branch": {
            "auth": { "password": { "allowSignIn": false }, "otp": { "allowSignIn": true } },
            "apps": { "installed": { "emails": { "enabled": true } } },
        } });
        for _ in 0..2 {
            let applied = apply_config_file(&bench.deps, &admin(&project.id), &file(given.clone())).await.unwrap();
            assert_eq!(applied.hidden, ["auth.password.allowSignIn"]);
        }
        assert!(config(&bench.deps, &project.id).await.unwrap().auth.password.allow_sign_in);
    })
    .await;
}

#[test]
fn everything_that_is_wrong_is_named_with_its_path() {
    let content = json!({
        "project": 5,
        "branch": {
            "auth": { "allowSignUp": "no", "nothing": true, "oauth": { "accountMergeStrategy": "guess" } },
            "auth.allowSignUp": true,
            "domains": { "allowLocalhost": true },
            "payments": { "products": { "a b": { "serverOnly": 1 } } },
            "sourceOfTruth": { "type": "hosted" },
        },
        "environment": { "emails": { "themes": { "x": {} } }, "": 1 },
        "enviroment": {},
    });
    let found = wrong(content);
    let expected = [
        "branch.auth.allowSignUp: is given twice",
        "branch.auth.nothing: there is no such setting at level branch",
        "branch.auth.oauth.accountMergeStrategy: must be one of link_method, raise_error, allow_duplicates",
        "branch.domains.allowLocalhost: there is no such setting at level branch",
        "branch.payments.products.a b: a key may have letters, digits, _, :, $, - and dots only",
        "branch.sourceOfTruth.type: there is no such setting at level branch",
        "\"enviroment\": there is no such part; there are project, branch, environment and webhooks",
        "environment.: a key must not be empty",
        "environment.emails.themes.x: there is no such setting at level environment",
        "project: must be a text, the id of a project",
    ];
    assert_eq!(found, expected);
    assert_eq!(
        wrong(json!({ "branch": [], "environment": 1 })),
        ["branch: must be a table", "environment: must be a table"]
    );
    let many: serde_json::Map<_, _> = (0..500).map(|number| (format!("x{number}"), json!(1))).collect();
    assert_eq!(wrong(json!({ "branch": many })).len(), 100);
    assert_eq!(
        wrong(json!({ "branch": { "auth.signUpRules.a": { "condition": "x".repeat(MAX_OVERRIDE_CHARS) } } })).len(),
        1
    );
}

#[tokio::test]
async fn the_seed_applies_a_file_or_seeds_nothing() {
    on_each_database(|bench| async move {
        let deps = &bench.deps;
        let other = Seed { config: Some(file(json!({ "project": "nowhere", "branch": {} }))), ..Seed::default() };
        assert!(seed(deps, &other).await.unwrap_err().is(Code::CurrentProjectNotFound));
        assert!(!is_seeded(deps).await.unwrap());
        let content = json!({ "branch": { "auth": { "otp": { "allowSignIn": true } } } });
        let with_file = Seed { config: Some(file(content)), ..Seed::default() };
        let (first, second) = tokio::join!(seed(deps, &with_file), seed(deps, &with_file));
        let changed = [first, second].map(|seeded| seeded.unwrap().applied.unwrap().branch_changed);
        assert!(changed[0] != changed[1], "one of them did it");
        assert!(config(deps, &ProjectId::internal()).await.unwrap().auth.otp.allow_sign_in);
    })
    .await;
}

#[tokio::test]
async fn only_administrators_apply_files() {
    on_each_database(|bench| async move {
        let (_, project) = owned(&bench).await;
        let given = file(json!({ "branch": {} }));
        for access in [Level::Client, Level::Server] {
            let actor = Actor::new(project.id.clone(), access, None);
            assert!(apply_config_file(&bench.deps, &actor, &given).await.unwrap_err().is(Code::Forbidden));
        }
        let nowhere = admin(&ProjectId::random());
        assert!(apply_config_file(&bench.deps, &nowhere, &given).await.unwrap_err().is(Code::CurrentProjectNotFound));
    })
    .await;
}
