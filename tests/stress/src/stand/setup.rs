//! What a stand tells its processes, and the projects it makes.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Client, Keys, Plan, Shape};

/// A project's keys for longer than any run: 2100-01-01.
const KEYS_EXPIRE_AT_MILLIS: i64 = 4_102_444_800_000;

/// Fixed keys for the project `internal`, as every process must be given.
pub(super) fn internal_keys() -> Keys {
    let key = |prefix: &str| format!("{prefix}_{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    Keys { project_id: "internal".to_owned(), client: key("pck"), server: key("ssk"), admin: key("sak") }
}

/// The settings of every process. The URL of the database is the one by which they reach it.
pub(super) fn settings(
    plan: &Plan,
    port: u16,
    database_url: &str,
    redis_url: Option<&str>,
    internal: &Keys,
) -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> = [
        ("POSTERN_DEV", "1"),
        ("POSTERN_PUBLIC_URL", &format!("http://localhost:{port}")),
        ("POSTERN_DATABASE_URL", database_url),
        ("POSTERN_DATABASE_POOLER", if plan.shape == Shape::Pooled { "transaction" } else { "none" }),
        ("POSTERN_SERVER_SECRET", "a server secret that only drills and benchmarks use"),
        ("POSTERN_INTERNAL_PUBLISHABLE_CLIENT_KEY", &internal.client),
        ("POSTERN_INTERNAL_SECRET_SERVER_KEY", &internal.server),
        ("POSTERN_INTERNAL_SUPER_SECRET_ADMIN_KEY", &internal.admin),
        ("POSTERN_INTERNAL_SIGN_UP", "on"),
        ("POSTERN_RATE_LIMITS", "off"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    settings.extend(redis_url.map(|url| ("POSTERN_REDIS_URL".to_owned(), url.to_owned())));
    for (name, value) in &plan.settings {
        settings.retain(|(known, _)| known != name);
        settings.push((name.clone(), value.clone()));
    }
    settings
}

/// Makes an owner and its project through the doors, as a dashboard would; answers all its keys.
pub(super) async fn make_project(internal: &Client) -> Result<Keys> {
    let text = |value: &Value, name: &str| -> Result<String> {
        Ok(value.get(name).and_then(Value::as_str).with_context(|| format!("no {name} in {value}"))?.to_owned())
    };
    let email = format!("owner-{}@drill.example", Uuid::new_v4().simple());
    let body = json!({"email": email, "password": "correct horse"});
    let tokens = internal.client().post("/auth/password/sign-up", &body).await?.json()?;
    let token = text(&tokens, "access_token")?;
    let owner = internal.client().user(&token);
    let me = owner.get("/users/me").await?.json()?;
    let body = json!({
        "display_name": "Drill", "owner_team_id": text(&me, "selected_team_id")?, "config": {"allow_localhost": true},
    });
    let project_id = text(&owner.post("/internal/projects", &body).await?.json()?, "id")?;
    let admin = internal.of(&Keys { project_id: project_id.clone(), ..Keys::default() });
    let admin = admin.level("admin").with("x-stack-admin-access-token", &token);
    let body = json!({
        "description": "drill", "expires_at_millis": KEYS_EXPIRE_AT_MILLIS,
        "has_publishable_client_key": true, "has_secret_server_key": true, "has_super_secret_admin_key": true,
    });
    let keys = admin.post("/internal/api-keys", &body).await?.json()?;
    Ok(Keys {
        project_id,
        client: text(&keys, "publishable_client_key")?,
        server: text(&keys, "secret_server_key")?,
        admin: text(&keys, "super_secret_admin_key")?,
    })
}

/// Names the server through which a project sends its mails.
pub(super) async fn use_mail_server(project: &Client, address: SocketAddr) -> Result<()> {
    let config = json!({"config": {"email_config": {
        "type": "standard", "host": address.ip().to_string(), "port": address.port(), "username": "drill",
        "password": "drill", "sender_name": "Drill", "sender_email": "drill@drill.example",
    }}});
    project.admin().patch("/internal/projects/current", &config).await?.json()?;
    Ok(())
}
