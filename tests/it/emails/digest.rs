//! What owners and administrators hear of mails that failed, and invitations to sign in.

use serde_json::json;

use super::pages::get;
use crate::{
    rest::projects::owner,
    support::{App, eventually},
};

#[tokio::test]
async fn owners_are_told_once_a_day_which_mails_of_their_projects_failed() {
    let app = App::start().await;
    let ada = owner(&app, "ada@example.com").await;
    let project = ada.project(json!({ "display_name": "Corner Shop" })).await;
    let admin = ada.of(&app, &project);
    let config = json!({ "emails.server": { "isShared": false, "host": "127.0.0.1", "port": 9, "username": "", "password": "",
        "senderName": "Shop", "senderEmail": "shop@example.com" } });
    let body = json!({ "config_override_string": config.to_string() });
    admin.patch("/internal/config/override/environment", body).await.json(200);
    let user = admin.post("/users", json!({})).await.json(201)["id"].clone();
    // Without the variable that it needs.
    let verification = "e7d009ce-8d47-4528-b245-5bf119f2ffa3";
    let body = json!({ "user_ids": [user], "template_id": verification, "subject": "Never seen" });
    admin.post("/emails/send-email", body).await.json(200);
    let failed = eventually("the mail failed", async || {
        let outbox = admin.get("/emails/outbox?status=render-error").await.json(200);
        outbox["items"].get(0).cloned()
    })
    .await;
    assert_eq!(failed["render_error"], "variables.emailVerificationLink is missing");
    let recent = admin.get("/internal/emails").await.json(200);
    assert_eq!(recent["items"][0]["error"], failed["render_error"]);
    assert_eq!(recent["items"][0]["to"], json!([format!("User ID: {}", user.as_str().unwrap())]));

    let digest = "/internal/failed-emails-digest";
    let operator = app.internal_rest().admin();
    let told = operator.post(&format!("{digest}?dry_run=true"), json!({})).await.json(200);
    let of_project = &told["failed_emails_by_tenancy"][0];
    assert_eq!((&of_project["project_id"], &told["success"]), (&project["id"], &json!(true)));
    assert_eq!(of_project["tenant_owner_emails"], json!(["ada@example.com"]));
    let nothing = get(&app, "/mailbox/api/messages?to=ada@example.com").await.json(200);
    assert!(!nothing.to_string().contains("failed"));
    for _ in 0..2 {
        operator.post(digest, json!({})).await.json(200);
    }
    let mail = eventually("the digest", async || {
        let mails = get(&app, "/mailbox/api/messages?to=ada@example.com").await.json(200);
        let is_digest = |mail: &&serde_json::Value| mail["subject"] == "Emails of Corner Shop failed";
        mails["items"].as_array().unwrap().iter().find(is_digest).cloned()
    })
    .await;
    assert!(mail["text"].as_str().unwrap().contains("1 email of the project Corner Shop failed"), "{mail}");
    let outbox = operator.get("/emails/outbox").await.json(200);
    let digests = outbox["items"].as_array().unwrap().iter();
    assert_eq!(digests.filter(|mail| mail["tsx_source"].as_str().unwrap().contains("did not go out")).count(), 1);

    admin.post(digest, json!({})).await.refused_with_text(403);
    app.internal_rest().server().post(digest, json!({})).await.refused(401, "INSUFFICIENT_ACCESS_TYPE");
    app.stop().await;
}

#[tokio::test]
async fn somebody_is_invited_to_sign_in_where_the_project_trusts() {
    let app = App::start().await;
    let server = app.rest().server();
    let path = "/internal/send-sign-in-invitation";
    let body = json!({ "email": "ada@example.com", "callback_url": "http://localhost:8000/sign-in?from=mail" });
    server.post(path, body).await.json(200);
    let mail = app.mail_to("ada@example.com").await;
    assert_eq!(mail["subject"], "You have been invited to sign in to Demo");
    assert!(mail["text"].as_str().unwrap().contains("http://localhost:8000/sign-in?from=mail"));
    let body = json!({ "email": "ada@example.com", "callback_url": "https://elsewhere.example/" });
    server.post(path, body).await.refused(400, "REDIRECT_URL_NOT_WHITELISTED");
    let body = json!({ "email": "nonsense", "callback_url": "http://localhost:8000/" });
    server.post(path, body).await.refused(400, "SCHEMA_ERROR");
    let body = json!({ "email": "ada@example.com", "callback_url": "http://localhost:8000/" });
    app.rest().client().post(path, body).await.refused(401, "INSUFFICIENT_ACCESS_TYPE");
    app.stop().await;
}
