//! The local mailbox and the page that verifies an address, through the real doors.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{App, client::Answer};

pub(super) async fn get(app: &App, path: &str) -> Answer {
    app.rest().raw(Method::GET, path, None).await
}

/// A user with a verification mail on its way to our own page; answers the id.
async fn user_with_mail(app: &App, address: &str) -> String {
    let server = app.rest().server();
    let user =
        server.post("/users", json!({ "primary_email": address, "primary_email_auth_enabled": true })).await.json(201);
    let id = user["id"].as_str().unwrap().to_owned();
    let channels = server.get(&format!("/contact-channels?user_id={id}")).await.json(200);
    let channel = channels["items"][0]["id"].as_str().unwrap();
    let callback = json!({ "callback_url": format!("{}/verify", app.url) });
    server.post(&format!("/contact-channels/{id}/{channel}/send-verification-code"), callback).await.json(200);
    id
}

pub(super) fn code_in(mail: &Value) -> String {
    let text = mail["text"].as_str().unwrap();
    text.split("code=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_caught_mail_is_listed_read_shown_and_deleted() {
    let app = App::start().await;
    user_with_mail(&app, "ada@example.com").await;
    let mail = app.mail_to("ada@example.com").await;
    let id = mail["id"].as_str().unwrap();
    let code = code_in(&mail);
    assert_eq!(mail["to"], json!(["ada@example.com"]));
    assert_eq!(mail["subject"], "Verify your email at Demo");
    assert!(mail["html"].as_str().unwrap().contains(&code));
    assert!(mail["received_at_millis"].as_i64().unwrap() > 0);

    assert_eq!(get(&app, &format!("/mailbox/api/messages/{id}")).await.json(200), mail);
    let brief = get(&app, "/mailbox/api/messages?brief=true&limit=1").await.json(200);
    assert_eq!((&brief["items"][0]["id"], &brief["items"][0]["html"]), (&mail["id"], &Value::Null));
    assert!(brief["items"][0]["preview"].as_str().unwrap().starts_with("Hi"));

    let outbox = app.rest().server().get("/emails/outbox").await.json(200);
    assert_eq!(outbox["items"][0]["status"], "sent");
    assert!(!outbox.to_string().contains(&code), "the code is in the mailbox only");

    let path = format!("/mailbox/api/messages/{id}");
    assert_eq!(app.rest().raw(Method::DELETE, &path, None).await.json(200), json!({ "success": true }));
    app.rest().raw(Method::DELETE, &path, None).await.refused_with_text(404);
    assert_eq!(get(&app, "/mailbox/api/messages").await.json(200), json!({ "items": [] }));
    for wrong in ["limit=0", "limit=201", "limit=many", "brief=perhaps"] {
        get(&app, &format!("/mailbox/api/messages?{wrong}")).await.refused_with_text(400);
    }
    get(&app, "/mailbox/api/messages/nonsense").await.refused_with_text(404);
    app.stop().await;
}

#[tokio::test]
async fn a_mail_can_run_nothing() {
    let app = App::start().await;
    user_with_mail(&app, "ada@example.com").await;
    let id = app.mail_to("ada@example.com").await["id"].as_str().unwrap().to_owned();
    let shown = get(&app, &format!("/mailbox/messages/{id}")).await;
    let policy = shown.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("sandbox allow-popups ") && policy.contains("default-src 'none'"), "{policy}");
    assert!(!policy.contains("script"), "{policy}");

    let page = get(&app, "/mailbox").await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    let nonce = policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(
        page.text.matches(&format!("nonce=\"{nonce}\"")).count(),
        2,
        "its own script and style, and nothing else"
    );
    assert!(!page.text.contains("__NONCE__"));
    let other = get(&app, "/mailbox").await;
    assert!(!other.text.contains(nonce), "a new nonce each time");
    app.stop().await;
}

#[tokio::test]
async fn the_mailbox_answers_only_to_names_of_this_machine() {
    let app = App::start().await;
    for path in ["/mailbox", "/mailbox/api/messages"] {
        let rebound = app.rest().with("host", "evil.example").raw(Method::GET, path, None).await;
        rebound.refused_with_text(404);
        let named = app.rest().with("host", "127.0.0.1:80").raw(Method::GET, path, None).await;
        assert_eq!(named.status, StatusCode::OK);
    }
    app.stop().await;
}

#[tokio::test]
async fn opening_the_link_verifies_nothing_and_the_button_does() {
    let app = App::start().await;
    let id = user_with_mail(&app, "ada@example.com").await;
    let code = code_in(&app.mail_to("ada@example.com").await);
    let project_id = &app.demo.project_id;
    let link = format!("/verify/email?project_id={project_id}&code={code}");
    let is_verified = async || {
        let user = app.rest().server().get(&format!("/users/{id}")).await.json(200);
        user["primary_email_verified"].as_bool().unwrap()
    };
    for _ in 0..2 {
        let page = get(&app, &link).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.text.contains("<button") && !page.text.contains("<script"), "{}", page.text);
        assert_eq!(page.headers["referrer-policy"], "no-referrer");
    }
    assert!(!is_verified().await);

    let form = format!("project_id={project_id}&code={code}");
    let post = async || {
        let body = ("application/x-www-form-urlencoded", form.clone());
        app.rest().raw(Method::POST, "/verify/email", Some(body)).await
    };
    let done = post().await;
    assert_eq!(done.status, StatusCode::OK);
    assert!(done.text.contains("is verified"));
    assert!(is_verified().await);
    let again = post().await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.text.contains("used already"));
    app.stop().await;
}

#[tokio::test]
async fn a_link_that_cannot_work_says_so_and_repeats_nothing_unescaped() {
    let app = App::start().await;
    let project_id = &app.demo.project_id;
    for path in ["/verify/email", "/verify/email?code=a", "/verify/email?project_id=nowhere&code=a"] {
        let page = get(&app, path).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(page.text.contains("not complete"));
    }
    let evil = "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    let page = get(&app, &format!("/verify/email?project_id={project_id}&code={evil}")).await;
    assert!(!page.text.contains("<script>"), "{}", page.text);
    for (code, status) in [(evil.to_owned(), 400), ("a".repeat(45), 404), (String::new(), 400)] {
        let form = ("application/x-www-form-urlencoded", format!("project_id={project_id}&code={code}"));
        let page = app.rest().raw(Method::POST, "/verify/email", Some(form)).await;
        assert_eq!(page.status.as_u16(), status, "{code}");
        assert!(page.text.contains("does not work"), "{}", page.text);
    }
    // A foreign code is not found.
    user_with_mail(&app, "ada@example.com").await;
    let code = code_in(&app.mail_to("ada@example.com").await);
    let form = ("application/x-www-form-urlencoded", format!("project_id=internal&code={code}"));
    let page = app.rest().raw(Method::POST, "/verify/email", Some(form)).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    app.stop().await;
}
