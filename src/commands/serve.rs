//! `postern serve`, `gateway` and `worker`, and `postern migrate`.

use postern_domain::{
    ProjectId,
    projects::{DemoProject, Keys, Seeded},
};
use tokio::signal::unix::{SignalKind, signal};

use super::{CommandError, say};
use crate::{
    settings::{Role, Settings},
    wiring,
};

/// Runs what `role` is for until Ctrl-C or SIGTERM, then drains.
pub(super) async fn run(settings: Settings, role: Role) -> Result<(), CommandError> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let started = tokio::select! {
        started = wiring::start(&settings, role, None) => started,
        // Still waiting for the database.
        _ = terminated.recv() => return say("Stopped."),
        _ = interrupted.recv() => return say("Stopped."),
    };
    let running = started.map_err(|error| CommandError::Refused(error.to_string()))?;
    say(match role {
        Role::Worker => format!("Postern {} works.", env!("CARGO_PKG_VERSION")),
        _ => banner(&settings, role, &running.seeded),
    })?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
        () = running.failed() => {
            running.stop().await;
            return Err(CommandError::Failed("a part of the process ended by itself; the log says why".to_owned()));
        }
    }
    tracing::info!("stopping: requests and jobs under way may end");
    running.stop().await;
    say("Stopped.")
}

/// Brings the database to this version and seeds it.
pub(super) async fn migrate(settings: Settings) -> Result<(), CommandError> {
    let refused = |error: postern_domain::Error| CommandError::Refused(error.to_string());
    let _data_lock = wiring::lock_data(&settings).map_err(refused)?;
    let deps = wiring::connect(&settings, None).await.map_err(refused)?;
    let seeded = wiring::migrate_and_seed(&deps, &settings).await.map_err(refused)?;
    say(format!("The database has the shape of this version.\n{}", keys(&seeded)))
}

/// What a person needs next: addresses, keys if they were just made, and a call to paste.
fn banner(settings: &Settings, role: Role, seeded: &Seeded) -> String {
    let url = settings.domain.public_url.as_str().trim_end_matches('/');
    let mut text = format!("\nPostern {} is running.\n\n", env!("CARGO_PKG_VERSION"));
    let mut line = |name: &str, path: &str| text.push_str(&format!("  {name:<10}{url}{path}\n"));
    line("GraphQL", "/graphql");
    line("REST", "/api/v1");
    if settings.domain.local_mode {
        line("GraphiQL", "/graphiql");
        line("Mailbox", "/mailbox");
    }
    text.push_str(&keys(seeded));
    match &seeded.demo {
        Some(demo) => text.push_str(&first_call(url, demo)),
        None if role == Role::Gateway => {}
        None => text.push_str("\nNo keys were made at this start. `postern keys` makes a new set.\n"),
    }
    text
}

fn keys(seeded: &Seeded) -> String {
    let mut text = String::new();
    if let Some(keys) = &seeded.internal_keys {
        text.push_str(&project_keys("Project internal", &ProjectId::internal(), keys));
    }
    if let Some(demo) = &seeded.demo {
        text.push_str(&project_keys("Demo project", &demo.project_id, &demo.keys));
    }
    if !text.is_empty() {
        text.push_str("\nThese keys are shown this once. Keep them; `postern keys` makes a new set.\n");
    }
    text
}

/// A project and its keys, as people copy them.
pub(super) fn project_keys(title: &str, project_id: &ProjectId, keys: &Keys) -> String {
    let key = |key: &Option<String>| key.clone().unwrap_or_default();
    format!(
        "\n{title}\n  project id       {project_id}\n  publishable key  {}\n  secret key       {}\n  admin key        {}\n",
        key(&keys.publishable_client_key),
        key(&keys.secret_server_key),
        key(&keys.super_secret_admin_key),
    )
}

fn first_call(url: &str, demo: &DemoProject) -> String {
    format!(
        "\nTry it:\n\n  curl -s {url}/graphql -H 'content-type: application/json' \\\n    -H 'x-stack-access-type: client' \
         -H 'x-stack-project-id: {}' \\\n    -H 'x-stack-publishable-client-key: {}' \\\n    -d '{{\"query\":\"mutation {{ \
         signUpWithPassword(input: {{email: \\\"ada@example.com\\\", password: \\\"correct horse\\\"}}) {{ accessToken user \
         {{ id primaryEmail }} }} }}\"}}'\n",
        demo.project_id,
        demo.keys.publishable_client_key.as_deref().unwrap_or_default(),
    )
}
