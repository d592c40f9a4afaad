//! With a Svix server: from a change by REST through the real process to that server, which fails now and then.

use std::collections::{BTreeMap, BTreeSet};

use postern_domain::{
    ProjectId,
    ports::svix::{SvixError, SvixMessage, SvixServer as _},
};
use postern_outside_svix::SvixClient;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::{
    database_url,
    process::{Process, postern, run},
    svix::{Fault, SvixServer},
};

const TOKEN: &str = "testsk_a-token-that-must-not-show";

/// How many messages the server has, and how often one was sent that it had.
fn counts(server: &SvixServer) -> (usize, usize) {
    let state = server.state();
    (state.messages.len(), state.conflicts)
}

fn client(server: &SvixServer, token: &str) -> SvixClient {
    postern::wiring::install_crypto_provider();
    SvixClient::new(&server.url().parse().unwrap(), &token.into()).unwrap()
}

fn message(number: usize) -> SvixMessage {
    SvixMessage {
        project_id: ProjectId("a-project".to_owned()),
        event_id: format!("evt_{number}_1"),
        event_type: "user.created".to_owned(),
        payload: r#"{"type":"user.created","data":{"n":0.1}}"#.to_owned(),
    }
}

#[tokio::test]
async fn each_event_reaches_the_server_once_whatever_it_answers() {
    const USERS: usize = 20;
    let server = SvixServer::start(TOKEN).await;
    let faults = [Fault::Status(500), Fault::CloseAfterKeeping, Fault::Status(429), Fault::CloseAfterKeeping];
    for fault in faults.iter().cycle().take(12) {
        server.fail_next(*fault);
    }
    let process = Process::start(&[("POSTERN_SVIX_URL", &server.url()), ("POSTERN_SVIX_TOKEN", TOKEN)]).await;
    let mut users: BTreeMap<String, Value> = BTreeMap::new();
    for number in 0..USERS {
        let new = json!({ "display_name": format!("Ä {number}"), "server_metadata": { "n": number } });
        let user = process.rest().server().post("/users", new).await.json(201);
        users.insert(user["id"].as_str().unwrap().to_owned(), user);
    }
    let count = |messages: &[crate::support::svix::Message]| {
        messages.iter().filter(|message| message.event_type == "user.created").count()
    };
    // The demo project, and `internal`, whose team owns it.
    let senders = |messages: &[crate::support::svix::Message]| -> BTreeSet<_> {
        messages.iter().map(|message| message.application.clone()).collect()
    };
    // What was kept without an answer is sent again, and known by its id. Somebody whose application was just made is about to send.
    let is_done = |state: &crate::support::svix::State| {
        count(&state.messages) >= USERS && state.conflicts >= 6 && senders(&state.messages) == state.applications
    };
    server.wait_until("all users and the repetitions", is_done).await;
    let project_id = process.demo.project_id.clone();
    let log = process.stop().await;

    let state = server.state();
    let messages = &state.messages;
    assert_eq!((count(messages), state.conflicts, state.strangers), (USERS, 6, 0));
    assert!(state.missed_applications >= 1, "an application is made when it is missed, not before");
    assert_eq!(state.applications, senders(messages));
    let ids: BTreeSet<_> = messages.iter().map(|message| (&message.application, &message.event_id)).collect();
    assert_eq!(ids.len(), messages.len());
    for message in messages.iter().filter(|message| message.event_type == "user.created") {
        let id = message.payload["data"]["id"].as_str().unwrap();
        let user = users.remove(id).unwrap_or_else(|| panic!("{id} twice, or never made"));
        assert_eq!(message.application, project_id);
        assert_eq!(message.payload, json!({ "type": "user.created", "data": user }));
    }
    assert!(!log.contains(TOKEN), "{log}");
}

#[tokio::test]
async fn the_doctor_says_whether_the_server_answers_and_takes_the_token() {
    let data = tempfile::TempDir::new().unwrap();
    let database = database_url(data.path()).await;
    let server = SvixServer::start(TOKEN).await;
    assert_eq!(run(postern(data.path(), &database, &["migrate"])).await.code, Some(0));
    let nowhere = format!("http://{}", crate::support::free_address());
    for (url, token, expected) in [
        (&server.url(), TOKEN, "ok    svix: http://127.0.0.1"),
        (&server.url(), "another", "WRONG svix: the Svix server answered 401"),
        (&nowhere, TOKEN, "WRONG svix: the Svix server: no answer"),
    ] {
        let mut doctor = postern(data.path(), &database, &["doctor"]);
        doctor.env("POSTERN_SVIX_URL", url).env("POSTERN_SVIX_TOKEN", token);
        let ended = run(doctor).await;
        assert!(ended.out.contains(expected), "{expected} is not in {ended:?}");
        assert_eq!(ended.code == Some(0), expected.starts_with("ok"), "{ended:?}");
        assert!(!ended.out.contains(TOKEN) && !ended.errors.contains(TOKEN), "{ended:?}");
    }
}

#[tokio::test]
async fn one_setting_without_the_other_refuses_the_start() {
    let data = tempfile::TempDir::new().unwrap();
    let database = database_url(data.path()).await;
    let mut serve = postern(data.path(), &database, &[]);
    serve.env("POSTERN_SVIX_TOKEN", TOKEN);
    let refused = run(serve).await;
    assert_eq!(refused.code, Some(2));
    let said = refused.errors;
    assert!(said.contains("POSTERN_SVIX_URL is missing") && !said.contains(TOKEN), "{said}");
}

#[tokio::test]
async fn the_client_tells_what_passes_from_what_stays() {
    let server = SvixServer::start(TOKEN).await;
    let known = client(&server, TOKEN);
    known.check().await.unwrap();
    // The second time it is there already.
    for _ in 0..2 {
        known.send(&message(1)).await.unwrap();
    }
    assert_eq!(counts(&server), (1, 1));
    assert_eq!(server.state().messages[0].payload, json!({ "type": "user.created", "data": { "n": 0.1 } }));
    for (status, passes) in
        [(429, true), (500, true), (503, true), (400, false), (403, false), (413, false), (422, false)]
    {
        server.fail_next(Fault::Status(status));
        let error = known.send(&message(2)).await.unwrap_err();
        assert_eq!(matches!(error, SvixError::Unavailable(_)), passes, "{error}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
    server.fail_next(Fault::CloseAfterKeeping);
    assert!(matches!(known.send(&message(2)).await, Err(SvixError::Unavailable(_))));
    known.send(&message(2)).await.unwrap();
    assert_eq!(counts(&server), (2, 2));

    let stranger = client(&server, "another");
    assert!(matches!(stranger.check().await, Err(SvixError::Unauthorized(_))));
    assert!(matches!(stranger.send(&message(3)).await, Err(SvixError::Unauthorized(_))));
    let nobody = SvixServer::start(TOKEN).await;
    let unreached = client(&nobody, TOKEN);
    drop(nobody);
    assert!(matches!(unreached.check().await, Err(SvixError::Unavailable(_))));
}

#[tokio::test]
async fn a_portal_is_opened_for_a_project_that_the_server_does_not_know_yet() {
    let server = SvixServer::start(TOKEN).await;
    let portal = client(&server, TOKEN).portal(&ProjectId("a-project".to_owned())).await.unwrap();
    assert_eq!((portal.token.expose_secret(), portal.url), ("appsk_a-project", None), "no page on one's own server");
    assert_eq!(server.state().applications, BTreeSet::from(["a-project".to_owned()]));
}
