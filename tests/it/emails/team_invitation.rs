//! The page on which invited people join a team, from the mutation that sends the mail to the form that is posted.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::pages::{code_in, get};
use crate::support::{
    App,
    client::{Answer, Client},
};

const GUEST: &str = "guest@example.com";
const PASSWORD: &str = "correct horse";

async fn team(server: &Client, name: &str) -> String {
    server.post("/teams", json!({ "display_name": name })).await.json(201)["id"].as_str().unwrap().to_owned()
}

/// Invites without a callback URL; answers the code of the mail.
async fn invite(app: &App, team: &str, email: &str) -> String {
    let mutation =
        "mutation($input: InviteToTeamInput!) { inviteToTeam(input: $input) { invitation { recipientEmail } } }";
    let input = json!({ "input": { "teamId": team, "email": email } });
    let sent = app.rest().server().graphql(mutation, input).await.json(200);
    assert_eq!(sent["data"]["inviteToTeam"]["invitation"]["recipientEmail"], email, "{sent}");
    let mail = app.mail_to(email).await;
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains(&format!("{}/verify/team-invitation?project_id={}", app.url, app.demo.project_id)), "{text}");
    code_in(&mail)
}

async fn post(app: &App, code: &str, password: &str) -> Answer {
    let fields = [("project_id", app.demo.project_id.as_str()), ("code", code), ("password", password)];
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let body = ("application/x-www-form-urlencoded", form);
    app.rest().raw(Method::POST, "/verify/team-invitation", Some(body)).await
}

async fn members(app: &App, team: &str) -> Vec<Value> {
    let users = app.rest().server().get(&format!("/users?team_id={team}")).await.json(200);
    users["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn somebody_new_chooses_a_password_and_joins() {
    let app = App::start().await;
    let team = team(&app.rest().server(), "Crew <b>").await;
    let code = invite(&app, &team, GUEST).await;
    let link = format!("/verify/team-invitation?project_id={}&code={code}", app.demo.project_id);
    for _ in 0..2 {
        let page = get(&app, &link).await;
        assert_eq!(page.status, StatusCode::OK);
        for part in ["Join Crew &lt;b&gt;", GUEST, "autocomplete=\"new-password\"", "minlength=\"8\"", "<button"] {
            assert!(page.text.contains(part), "{part}: {}", page.text);
        }
        assert!(!page.text.contains("<script") && !page.text.contains("Crew <b>"), "{}", page.text);
        assert_eq!(page.headers["referrer-policy"], "no-referrer");
        assert!(page.headers["content-security-policy"].to_str().unwrap().contains("form-action 'self'"));
        assert_eq!(page.headers.get("set-cookie"), None);
    }
    assert_eq!(members(&app, &team).await.len(), 0);
    let short = post(&app, &code, "short").await;
    assert_eq!(short.status, StatusCode::BAD_REQUEST);
    assert!(short.text.contains("at least 8 characters") && short.text.contains("role=\"alert\""), "{}", short.text);
    assert!(!short.text.contains("short\""), "the password does not come back: {}", short.text);
    let done = post(&app, &code, PASSWORD).await;
    assert_eq!(done.status, StatusCode::OK);
    assert!(done.text.contains("You are a member of Crew &lt;b&gt;"), "{}", done.text);
    let joined = members(&app, &team).await;
    assert_eq!(joined.len(), 1);
    assert_eq!((&joined[0]["primary_email"], &joined[0]["primary_email_verified"]), (&json!(GUEST), &json!(true)));
    let body = json!({ "email": GUEST, "password": PASSWORD });
    app.rest().client().post("/auth/password/sign-in", body).await.json(200);
    for page in [get(&app, &link).await, post(&app, &code, PASSWORD).await] {
        assert_eq!(page.status, StatusCode::CONFLICT);
        assert!(page.text.contains("used up"), "{}", page.text);
    }
    app.stop().await;
}

#[tokio::test]
async fn somebody_with_an_account_joins_by_its_password() {
    let app = App::start().await;
    let server = app.rest().server();
    let team = team(&server, "Crew").await;
    let user = json!({ "primary_email": GUEST, "primary_email_auth_enabled": true, "password": PASSWORD });
    let id = server.post("/users", user).await.json(201)["id"].clone();
    let code = invite(&app, &team, GUEST).await;
    let wrong = post(&app, &code, "not the password").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(wrong.text.contains("not the password of this account"), "{}", wrong.text);
    assert!(wrong.text.contains("autocomplete=\"current-password\""), "{}", wrong.text);
    assert_eq!(post(&app, &code, PASSWORD).await.status, StatusCode::OK);
    let joined = members(&app, &team).await;
    assert_eq!(joined.iter().map(|user| &user["id"]).collect::<Vec<_>>(), [&id]);
    app.stop().await;
}

#[tokio::test]
async fn passwords_are_tried_as_often_as_at_sign_in_and_then_have_to_wait() {
    let app = App::start().await;
    let server = app.rest().server();
    let team = team(&server, "Crew").await;
    let user = json!({ "primary_email": GUEST, "primary_email_auth_enabled": true, "password": PASSWORD });
    server.post("/users", user).await.json(201);
    let code = invite(&app, &team, GUEST).await;
    let mut page = post(&app, &code, "wrong").await;
    for _ in 0..30 {
        if page.status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        page = post(&app, &code, "wrong").await;
    }
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(page.text.contains("Too many tries") && page.headers.contains_key("retry-after"), "{}", page.text);
    assert_eq!(members(&app, &team).await.len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn a_link_that_cannot_work_says_so() {
    let app = App::start().await;
    let server = app.rest().server();
    let (path, project_id) = ("/verify/team-invitation", app.demo.project_id.clone());
    for query in ["", "?code=a", "?project_id=nowhere&code=a"] {
        let page = get(&app, &format!("{path}{query}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(page.text.contains("not complete"));
    }
    for (code, status) in [("a".repeat(45), 404), ("%22%3E%3Cscript%3E".to_owned(), 400)] {
        let page = get(&app, &format!("{path}?project_id={project_id}&code={code}")).await;
        assert_eq!(page.status.as_u16(), status);
        assert!(page.text.contains("does not work") && !page.text.contains("<script"), "{}", page.text);
        assert_eq!(post(&app, &code, PASSWORD).await.status.as_u16(), status);
    }
    // An account without a password is for the application.
    let team = team(&server, "").await;
    let user = json!({ "primary_email": GUEST, "primary_email_auth_enabled": true });
    server.post("/users", user).await.json(201);
    let code = invite(&app, &team, GUEST).await;
    let page = get(&app, &format!("{path}?project_id={project_id}&code={code}")).await;
    assert!(page.text.contains("Join the team") && page.text.contains("Open the application"), "{}", page.text);
    assert!(!page.text.contains("<form"), "{}", page.text);
    assert_eq!(post(&app, &code, PASSWORD).await.status, StatusCode::BAD_REQUEST);
    // A code of another project is not found.
    let page = get(&app, &format!("{path}?project_id=internal&code={code}")).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    app.stop().await;
}
