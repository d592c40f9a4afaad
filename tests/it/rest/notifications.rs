//! `/emails/notification-preference`, and the link in a mail that unsubscribes: the page that asks, the button, and the one
//! POST of a mail program.

use postern_domain::{ProjectId, UserId, notifications};
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;

use super::teams::{NOBODY, user};
use crate::support::App;

const MARKETING: &str = "4f6f8873-3d04-46bd-8bef-18338b1a1b4c";
const FORM: &str = "application/x-www-form-urlencoded";

async fn wants_marketing(app: &App, user: &str) -> Value {
    let path = format!("/emails/notification-preference/{user}");
    app.rest().server().get(&path).await.json(200)["items"][1]["enabled"].clone()
}

/// The path of a link that unsubscribes the user, and its code.
async fn link(app: &App, user: &str) -> (String, String) {
    let deps = app.deps();
    let (project_id, user_id) = (&ProjectId(app.demo.project_id.clone()), UserId(user.parse().unwrap()));
    let issued = deps.db.write(|tx| async move {
        notifications::issue_link(deps, &tx, project_id, user_id, &notifications::MARKETING).await
    });
    let url: Url = issued.await.unwrap().expose_secret().parse().unwrap();
    let code = url.query_pairs().next().unwrap().1.into_owned();
    (format!("{}?{}", url.path(), url.query().unwrap()), code)
}

#[tokio::test]
async fn preferences_are_listed_and_changed_by_whom_they_concern() {
    let app = App::start().await;
    let rest = app.rest();
    let ((ada, own), (bob, _)) = (user(&rest, "ada@example.com").await, user(&rest, "bob@example.com").await);
    let marketing = |enabled: bool| {
        json!({
            "notification_category_id": MARKETING, "notification_category_name": "Marketing",
            "enabled": enabled, "can_disable": true,
        })
    };
    let list = own.get("/emails/notification-preference/me").await.json(200);
    let transactional = json!({
        "notification_category_id": "7bb82d33-2f54-4a3d-9d23-82739e0d66ef",
        "notification_category_name": "Transactional", "enabled": true, "can_disable": false,
    });
    assert_eq!(list, json!({"items": [transactional, marketing(true)], "is_paginated": false}));
    let path = |user: &str, category: &str| format!("/emails/notification-preference/{user}/{category}");
    let off = || json!({"enabled": false});
    assert_eq!(own.patch(&path("me", MARKETING), off()).await.json(200), marketing(false));
    assert_eq!(wants_marketing(&app, &ada).await, false);
    assert_eq!(wants_marketing(&app, &bob).await, true);

    own.patch(&path(&bob, NOBODY), off()).await.refused_with_text(404);
    own.patch(&path(&bob, MARKETING), off()).await.refused_with_text(403);
    own.get(&format!("/emails/notification-preference/{bob}")).await.refused_with_text(403);
    own.patch(&path("me", MARKETING), json!({})).await.refused(400, "SCHEMA_ERROR");
    let stranger = rest.client();
    stranger.get("/emails/notification-preference/me").await.refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER");
    let other = format!("/emails/notification-preference/{bob}");
    stranger.get(&other).await.refused(401, "USER_AUTHENTICATION_REQUIRED");
    for (server, user) in [(rest.server(), NOBODY), (app.internal_rest().server(), ada.as_str())] {
        server.get(&format!("/emails/notification-preference/{user}")).await.refused(404, "USER_NOT_FOUND");
        server.patch(&path(user, MARKETING), off()).await.refused(404, "USER_NOT_FOUND");
    }
    app.stop().await;
}

#[tokio::test]
async fn the_link_of_a_mail_asks_and_the_button_or_a_mail_program_unsubscribes() {
    let app = App::start().await;
    let rest = app.rest();
    let ((ada, _), (bob, _)) = (user(&rest, "ada@example.com").await, user(&rest, "bob@example.com").await);
    let (path, code) = link(&app, &ada).await;
    let older = format!("/api/v1/emails/unsubscribe-link?code={code}");
    for path in [&path, &older, &path] {
        let page = rest.raw(Method::GET, path, None).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        assert!(page.text.contains("<button") && page.text.contains("marketing emails"), "{}", page.text);
        assert!(page.text.contains("action=\"&#x2f;unsubscribe\""), "{}", page.text);
    }
    assert_eq!(wants_marketing(&app, &ada).await, true);
    for _ in 0..2 {
        let done = rest.raw(Method::POST, "/unsubscribe", Some((FORM, format!("code={code}")))).await;
        assert_eq!(done.status, StatusCode::OK);
        assert!(done.text.contains("You are unsubscribed"), "{}", done.text);
    }
    assert_eq!(wants_marketing(&app, &ada).await, false);
    assert!(!rest.raw(Method::GET, &path, None).await.text.contains("<button"));

    // RFC 8058: the mail program posts to the address of the header, and says so in the body.
    let (path, _) = link(&app, &bob).await;
    let one_click = Some((FORM, "List-Unsubscribe=One-Click".to_owned()));
    assert_eq!(rest.raw(Method::POST, &path, one_click).await.status, StatusCode::OK);
    assert_eq!(wants_marketing(&app, &bob).await, false);

    for (path, status) in [
        ("/unsubscribe".to_owned(), 400),
        ("/unsubscribe?code=short".to_owned(), 400),
        (format!("/unsubscribe?code={}", "a".repeat(45)), 404),
        ("/api/v1/emails/unsubscribe-link?code=short".to_owned(), 400),
    ] {
        for method in [Method::GET, Method::POST] {
            if method == Method::POST && path.starts_with("/api") {
                continue;
            }
            let page = rest.raw(method, &path, None).await;
            assert_eq!(page.status.as_u16(), status, "{path}");
            assert!(page.text.contains("<h1 class=\"bad\">"), "{}", page.text);
        }
    }
    app.stop().await;
}
