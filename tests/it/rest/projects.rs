//! Owners and their projects, key sets and config, as the dashboard and the admin client use them.

use serde_json::{Value, json};

use crate::support::{
    App,
    client::{Client, Keys},
};

const UNKNOWN_ID: &str = "00000000-0000-4000-8000-000000000000";

/// An owner of projects: signed in on `internal`.
pub(crate) struct Owner {
    pub(crate) client: Client,
    access_token: String,
    team_id: String,
}

pub(crate) async fn owner(app: &App, email: &str) -> Owner {
    let rest = app.internal_rest();
    let body = json!({"email": email, "password": "correct horse"});
    let tokens = rest.client().post("/auth/password/sign-up", body).await.json(200);
    let access_token = tokens["access_token"].as_str().unwrap().to_owned();
    let client = rest.client().user(&access_token);
    let me = client.get("/users/me").await.json(200);
    Owner { client, access_token, team_id: me["selected_team_id"].as_str().unwrap().to_owned() }
}

impl Owner {
    pub(crate) async fn project(&self, body: Value) -> Value {
        let mut all = json!({"display_name": "Shop", "owner_team_id": self.team_id, "config": {}});
        all.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        self.client.post("/internal/projects", all).await.json(201)
    }

    /// The administration of a project by the owner's session, without any key of the project.
    pub(crate) fn of(&self, app: &App, project: &Value) -> Client {
        let nothing = String::new();
        let keys = Keys {
            project_id: project["id"].as_str().unwrap().to_owned(),
            client: nothing.clone(),
            server: nothing.clone(),
            admin: nothing,
        };
        Client::new(&app.url, &keys).admin().with("x-stack-admin-access-token", &self.access_token)
    }
}

/// A fresh owner's project and its administration.
async fn project(app: &App) -> (Value, Client) {
    let owner = owner(app, "ada@example.com").await;
    let project = owner.project(json!({})).await;
    let admin = owner.of(app, &project);
    (project, admin)
}

fn key_set() -> Value {
    json!({
        "description": "all three", "expires_at_millis": 4_102_444_800_000_i64,
        "has_publishable_client_key": true, "has_secret_server_key": true, "has_super_secret_admin_key": true,
    })
}

#[tokio::test]
async fn an_owner_makes_reads_changes_and_deletes_a_project() {
    let app = App::start().await;
    let ada = owner(&app, "ada@example.com").await;
    assert_eq!(ada.client.get("/internal/projects").await.json(200), json!({"items": [], "is_paginated": false}));

    let made = ada.project(json!({"description": null, "is_production_mode": "true"})).await;
    assert_eq!(
        (&made["display_name"], &made["description"], &made["is_production_mode"]),
        (&json!("Shop"), &json!(""), &json!(true))
    );
    assert_eq!(made["config"]["team_creator_default_permissions"], json!([{"id": "team_admin"}]));
    let listed = ada.client.get("/internal/projects").await.json(200);
    assert_eq!(listed["items"], json!([made]));

    let admin = ada.of(&app, &made);
    assert_eq!(admin.get("/internal/projects/current").await.json(200), made);
    let body =
        json!({"display_name": "Renamed", "config": {"magic_link_enabled": true}, "onboarding_status": "welcome"});
    let changed = admin.patch("/internal/projects/current", body).await.json(200);
    assert_eq!(changed["config"]["magic_link_enabled"], true);
    assert_eq!((&changed["display_name"], &changed["onboarding_status"]), (&json!("Renamed"), &json!("welcome")));
    assert_eq!(admin.patch("/internal/projects/current", json!({"config": {}})).await.json(200), changed);

    let everybody = admin.client().get("/projects/current").await.json(200);
    assert_eq!(everybody["id"], made["id"]);
    assert_eq!(everybody["config"]["magic_link_enabled"], true);
    assert_eq!(everybody["config"].as_object().unwrap().len(), 11);

    assert_eq!(admin.delete("/internal/projects/current").await.json(200), json!({"success": true}));
    let details = admin.get("/internal/projects/current").await.refused(400, "CURRENT_PROJECT_NOT_FOUND");
    assert_eq!(details, json!({"project_id": made["id"]}));
    assert_eq!(ada.client.get("/internal/projects").await.json(200)["items"], json!([]));
    app.stop().await;
}

#[tokio::test]
async fn projects_are_made_by_signed_in_owners_for_their_own_teams() {
    let app = App::start().await;
    let (ada, bob) = (owner(&app, "ada@example.com").await, owner(&app, "bob@example.com").await);
    let body = json!({"display_name": "Theirs", "owner_team_id": ada.team_id});
    let bob_id = bob.client.get("/users/me").await.json(200)["id"].clone();
    let details = bob.client.post("/internal/projects", body.clone()).await.refused(404, "TEAM_MEMBERSHIP_NOT_FOUND");
    assert_eq!(details, json!({"team_id": ada.team_id, "user_id": bob_id}));

    let nobody = app.internal_rest().client();
    nobody.get("/internal/projects").await.refused(401, "USER_AUTHENTICATION_REQUIRED");
    nobody.post("/internal/projects", body.clone()).await.refused(401, "USER_AUTHENTICATION_REQUIRED");
    let sign_up = json!({"email": "eve@example.com", "password": "correct horse"});
    let tokens = app.rest().client().post("/auth/password/sign-up", sign_up).await.json(200);
    let elsewhere = app.rest().client().user(tokens["access_token"].as_str().unwrap());
    elsewhere.get("/internal/projects").await.refused(401, "EXPECTED_INTERNAL_PROJECT");
    elsewhere.post("/internal/projects", body).await.refused(401, "EXPECTED_INTERNAL_PROJECT");

    let project = ada.project(json!({})).await;
    bob.of(&app, &project).get("/internal/projects/current").await.refused(401, "ADMIN_ACCESS_TOKEN_IS_NOT_ADMIN");
    app.stop().await;
}

#[tokio::test]
async fn every_wrong_field_of_a_project_is_named_and_nothing_changes() {
    let app = App::start().await;
    let (project, admin) = project(&app).await;
    let body = json!({
        "display_name": null, "owner_team_id": UNKNOWN_ID, "is_production_mode": "maybe", "logo_url": "no url",
        "config": {"sign_up_enabled": [], "unknown": 1, "domains": [{"domain": "https://a.example"}],
            "oauth_providers": [{"id": "myspace", "type": "shared"}], "email_config": {"type": "pigeon"}},
    });
    let details = admin.patch("/internal/projects/current", body).await.refused(400, "SCHEMA_ERROR");
    let message = details["message"].as_str().unwrap();
    for part in [
        "PATCH",
        "/internal/projects/current",
        "display_name",
        "owner_team_id",
        "is_production_mode",
        "logo_url",
        "sign_up_enabled",
        "unknown",
        "handler_path",
        "oauth_providers[0].id",
        "email_config.type",
    ] {
        assert!(message.contains(part), "{part} is not named in {message}");
    }
    for config in [
        json!({"domains": [{"domain": "ftp://a.example", "handler_path": "/"}]}),
        json!({"oauth_providers": [{"id": "google", "type": "standard", "client_id": "x"}]}),
        json!({"email_config": {"type": "standard", "host": "mail.example", "port": 25, "username": "u"}}),
        json!({"email_config": {"type": "standard", "port": 70_000}}),
    ] {
        admin.patch("/internal/projects/current", json!({"config": config})).await.refused(400, "SCHEMA_ERROR");
    }
    admin
        .patch("/internal/projects/current", json!({"config": {"email_theme": UNKNOWN_ID}}))
        .await
        .refused_with_text(400);
    admin.patch("/internal/projects/current", json!({"logo_url": "ftp://a.example/x"})).await.refused_with_text(400);
    assert_eq!(admin.get("/internal/projects/current").await.json(200), project);
    app.stop().await;
}

#[tokio::test]
async fn the_internal_project_cannot_be_deleted() {
    let app = App::start().await;
    app.internal_rest().admin().delete("/internal/projects/current").await.refused_with_text(400);
    app.internal_rest().client().get("/projects/current").await.json(200);
    app.stop().await;
}

#[tokio::test]
async fn only_administrators_reach_the_administration() {
    let app = App::start().await;
    let rest = app.rest();
    let config = json!({"config_string": "{}", "source": {"type": "unlinked"}});
    for caller in [rest.client(), rest.server()] {
        let answers = [
            caller.get("/internal/projects/current").await,
            caller.patch("/internal/projects/current", json!({"nonsense": 1})).await,
            caller.delete("/internal/projects/current").await,
            caller.get("/internal/api-keys").await,
            caller.post("/internal/api-keys", key_set()).await,
            caller.get("/internal/api-keys/no-uuid").await,
            caller.patch("/internal/api-keys/no-uuid", json!({})).await,
            caller.get("/internal/config").await,
            caller.get("/internal/config/source").await,
            caller.delete("/internal/config/source").await,
            caller.post("/internal/config/override/branch/reset-keys", json!({"keys": []})).await,
        ];
        for answer in answers {
            let details = answer.refused(401, "INSUFFICIENT_ACCESS_TYPE");
            assert_eq!(details["allowed_access_types"], json!(["admin"]));
        }
    }
    for level in ["project", "environment"] {
        let path = format!("/internal/config/override/{level}");
        rest.client().get(&path).await.refused(401, "INSUFFICIENT_ACCESS_TYPE");
        rest.server().get(&path).await.refused_with_text(403);
        rest.server().put(&path, config.clone()).await.refused_with_text(403);
        rest.server().patch(&path, json!({"config_override_string": "{}"})).await.refused_with_text(403);
    }
    rest.server().put("/internal/config/override/branch", config).await.json(200);
    app.stop().await;
}

#[tokio::test]
async fn keys_are_shown_once_open_their_doors_and_end_when_revoked() {
    let app = App::start().await;
    let (project, admin) = project(&app).await;
    let made = admin.post("/internal/api-keys", key_set()).await.json(200);
    let key = |name: &str| made[name].as_str().unwrap().to_owned();
    let keys = Keys {
        project_id: project["id"].as_str().unwrap().to_owned(),
        client: key("publishable_client_key"),
        server: key("secret_server_key"),
        admin: key("super_secret_admin_key"),
    };
    assert!(keys.client.starts_with("pck_") && keys.server.starts_with("ssk_") && keys.admin.starts_with("sak_"));
    let rest = Client::new(&app.url, &keys);
    rest.client().get("/projects/current").await.json(200);
    rest.server().get("/users").await.json(200);
    rest.admin().get("/internal/api-keys").await.json(200);

    let path = format!("/internal/api-keys/{}", key("id"));
    let shown = admin.get(&path).await.json(200);
    assert_eq!(shown["secret_server_key"], json!({"last_four": &keys.server[45..]}));
    assert!(shown.get("manually_revoked_at_millis").is_none());
    let mut only_server = key_set();
    only_server["has_publishable_client_key"] = json!("false");
    only_server["has_super_secret_admin_key"] = json!(0);
    let second = admin.post("/internal/api-keys", only_server).await.json(200);
    assert!(second.get("publishable_client_key").is_none() && second.get("super_secret_admin_key").is_none());
    let listed = admin.get("/internal/api-keys").await.json(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert!(!listed.to_string().contains(&keys.server));

    let revoked = admin.patch(&path, json!({"revoked": true, "description": "leaked"})).await.json(200);
    assert!(revoked["manually_revoked_at_millis"].is_number());
    assert_eq!(revoked["description"], "leaked");
    let details = json!({"project_id": project["id"]});
    let client = rest.client().get("/projects/current").await;
    assert_eq!(client.refused(401, "INVALID_PUBLISHABLE_CLIENT_KEY"), details);
    assert_eq!(rest.server().get("/users").await.refused(401, "INVALID_SECRET_SERVER_KEY"), details);
    let as_admin = rest.admin().get("/internal/api-keys").await;
    assert_eq!(as_admin.refused(401, "INVALID_SUPER_SECRET_ADMIN_KEY"), details);

    admin.patch(&path, json!({"revoked": false})).await.refused(400, "SCHEMA_ERROR");
    admin.post("/internal/api-keys", json!({"description": "x"})).await.refused(400, "SCHEMA_ERROR");
    admin.get("/internal/api-keys/no-uuid").await.refused(400, "SCHEMA_ERROR");
    admin.get(&format!("/internal/api-keys/{UNKNOWN_ID}")).await.refused(404, "API_KEY_NOT_FOUND");
    app.rest().admin().get(&path).await.refused(404, "API_KEY_NOT_FOUND");
    app.stop().await;
}

#[tokio::test]
async fn config_is_written_by_level_and_rendered() {
    let app = App::start().await;
    let (_, admin) = project(&app).await;
    let text = |answer: &Value| serde_json::from_str::<Value>(answer["config_string"].as_str().unwrap()).unwrap();
    let override_of =
        async |level: &str| text(&admin.get(&format!("/internal/config/override/{level}")).await.json(200));
    assert_eq!(override_of("branch").await, json!({}));
    assert_eq!(override_of("project").await, json!({}));
    assert_eq!(override_of("environment").await["auth.password.allowSignIn"], json!(true));

    let branch = "/internal/config/override/branch";
    let github = json!({
        "type": "pushed-from-github", "owner": "o", "repo": "r", "branch": "b", "commit_hash": "c", "config_file_path": "p",
    });
    let config =
        json!({"auth": {"otp": {"allowSignIn": true}}, "auth.signUpRules": {"r": {"priority": 3}}}).to_string();
    admin.put(branch, json!({"config_string": config})).await.refused_with_text(400);
    admin
        .put(branch, json!({"config_string": config, "source": {"type": "pushed-from-github"}}))
        .await
        .refused(400, "SCHEMA_ERROR");
    admin.put(branch, json!({"config_string": config, "source": github})).await.json(200);
    assert_eq!(admin.get("/internal/config/source").await.json(200), json!({"source": github}));
    let merge = json!({"config_override_string": r#"{"auth.otp.allowSignIn":false}"#});
    assert_eq!(admin.patch(branch, merge).await.json(200), json!({"success": true}));
    let rendered = text(&admin.get("/internal/config").await.json(200));
    assert_eq!(rendered["auth"]["otp"]["allowSignIn"], json!(false));
    assert_eq!(rendered["auth"]["signUpRules"]["r"]["action"]["type"], json!("allow"));
    assert_eq!(rendered["domains"]["allowLocalhost"], json!(true));

    let reset = json!({"keys": ["auth.otp", "nothing"]});
    admin.post("/internal/config/override/branch/reset-keys", reset).await.json(200);
    assert_eq!(override_of("branch").await, json!({"auth.signUpRules": {"r": {"priority": 3}}}));
    admin.delete("/internal/config/source").await.json(200);
    admin.delete("/internal/config/source").await.json(200);
    assert_eq!(admin.get("/internal/config/source").await.json(200), json!({"source": {"type": "unlinked"}}));

    for bad in
        ["nonsense", "[]", r#"{"auth.allowSignUp":"yes"}"#, r#"{"nothing":1}"#, r#"{"domains.allowLocalhost":true}"#]
    {
        let refused = admin.patch(branch, json!({"config_override_string": bad})).await.refused_with_text(400);
        if bad.starts_with('{') {
            let key = bad.split('"').nth(1).unwrap();
            assert!(refused.contains(key), "{key} is not named in {refused}");
        }
    }
    admin.get("/internal/config/override/organization").await.refused(400, "SCHEMA_ERROR");
    admin.post("/internal/config/override/project/reset-keys", json!({"keys": []})).await.refused(400, "SCHEMA_ERROR");
    admin.patch(branch, json!({})).await.refused(400, "SCHEMA_ERROR");
    assert_eq!(override_of("branch").await, json!({"auth.signUpRules": {"r": {"priority": 3}}}));
    app.stop().await;
}

#[tokio::test]
async fn a_setting_counts_for_the_very_next_request() {
    let app = App::start().await;
    let rest = app.rest();
    let sign_up = |n: usize| json!({"email": format!("user{n}@example.com"), "password": "correct horse"});
    rest.client().post("/auth/password/sign-up", sign_up(0)).await.json(200);
    for (n, allowed) in [false, true, false].into_iter().enumerate() {
        let text = json!({"auth.allowSignUp": allowed}).to_string();
        rest.admin()
            .patch("/internal/config/override/environment", json!({"config_override_string": text}))
            .await
            .json(200);
        let answer = rest.client().post("/auth/password/sign-up", sign_up(n + 1)).await;
        if allowed {
            answer.json(200);
        } else {
            answer.refused(400, "SIGN_UP_NOT_ENABLED");
        }
    }
    let required = json!({"config_override_string": r#"{"project.requirePublishableClientKey":true}"#});
    rest.admin().patch("/internal/config/override/project", required).await.json(200);
    rest.client()
        .with("x-stack-publishable-client-key", "")
        .get("/projects/current")
        .await
        .refused(401, "PUBLISHABLE_CLIENT_KEY_REQUIRED_FOR_PROJECT");
    app.stop().await;
}

#[tokio::test]
async fn a_deleted_projects_rows_are_removed_by_the_worker() {
    let app = App::start().await;
    let (project, admin) = project(&app).await;
    let server = admin.with("x-stack-access-type", "server");
    for _ in 0..30 {
        server.post("/users", json!({})).await.json(201);
    }
    admin.delete("/internal/projects/current").await.json(200);
    let id = project["id"].as_str().unwrap().to_owned();
    let rows = async || {
        use sea_orm::ConnectionTrait;
        let db = app.deps().db.read();
        let sql = "SELECT (SELECT COUNT(*) FROM project WHERE id = $1) + (SELECT COUNT(*) FROM \"user\" WHERE project_id = $1) AS n";
        let statement = sea_orm::Statement::from_sql_and_values(db.get_database_backend(), sql, [id.clone().into()]);
        db.query_one_raw(statement).await.unwrap().unwrap().try_get::<i64>("", "n").unwrap()
    };
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while rows().await > 0 {
        assert!(tokio::time::Instant::now() < deadline, "{} rows are left", rows().await);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    app.stop().await;
}

#[tokio::test]
async fn a_project_is_handed_over_to_another_team_of_the_owner() {
    let app = App::start().await;
    let (ada, bob) = (owner(&app, "ada@example.com").await, owner(&app, "bob@example.com").await);
    let project = ada.project(json!({})).await;
    let id = project["id"].as_str().unwrap();
    let path = "/internal/projects/transfer";
    let body = |project: &str, team: &str| json!({"project_id": project, "new_team_id": team});
    let internal = app.internal_rest();
    internal.client().post(path, body(id, &ada.team_id)).await.refused(400, "SCHEMA_ERROR");
    app.rest().client().post(path, body(id, &ada.team_id)).await.refused(400, "SCHEMA_ERROR");
    let unknown = ada.client.post(path, body(UNKNOWN_ID, &ada.team_id)).await.refused(404, "PROJECT_NOT_FOUND");
    assert_eq!(unknown, json!({"project_id": UNKNOWN_ID}));
    ada.client.post(path, body("internal", &ada.team_id)).await.refused(404, "TEAM_MEMBERSHIP_NOT_FOUND");
    // Neither a stranger to the owning team nor a member who does not administer it hands over.
    bob.client.post(path, body(id, &bob.team_id)).await.refused(404, "TEAM_MEMBERSHIP_NOT_FOUND");
    let bob_id = bob.client.get("/users/me").await.json(200)["id"].as_str().unwrap().to_owned();
    let membership = format!("/team-memberships/{}/{bob_id}", ada.team_id);
    internal.server().post(&membership, json!({})).await.json(201);
    let lacking = bob.client.post(path, body(id, &bob.team_id)).await.refused(401, "TEAM_PERMISSION_REQUIRED");
    assert_eq!(lacking, json!({"team_id": ada.team_id, "user_id": bob_id, "permission_id": "team_admin"}));
    ada.client.post(path, body(id, &bob.team_id)).await.refused(404, "TEAM_MEMBERSHIP_NOT_FOUND");
    assert_eq!(ada.client.get("/internal/projects").await.json(200)["items"].as_array().unwrap().len(), 1);

    let ada_id = ada.client.get("/users/me").await.json(200)["id"].as_str().unwrap().to_owned();
    let membership = format!("/team-memberships/{}/{ada_id}", bob.team_id);
    internal.server().post(&membership, json!({})).await.json(201);
    assert_eq!(ada.client.post(path, body(id, &bob.team_id)).await.json(200), json!({"success": "true"}));
    let listed = bob.client.get("/internal/projects").await.json(200);
    assert_eq!(listed["items"][0]["owner_team_id"], json!(bob.team_id));
    bob.of(&app, &project).get("/internal/projects/current").await.json(200);
    app.stop().await;
}
