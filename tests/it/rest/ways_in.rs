//! What ways in promise under load and towards others: refreshes that do not race, challenges asked of Turnstile, limits that
//! are shared and say when to come again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{Form, Json, Router, extract::State, routing::post};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{App, client::Client, on_postgres};

/// An installation with two gateways where there can be two, and a client of each.
async fn two_gateways() -> (App, [Client; 2]) {
    let builder = App::builder();
    if !on_postgres() {
        let app = builder.start().await;
        let client = app.rest().client();
        return (app, [client.clone(), client]);
    }
    let app = builder.more_gateways(1).start().await;
    let clients = [app.rest().client(), app.rest_at(0).client()];
    (app, clients)
}

/// A thousand tabs of one browser wake up at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_refreshes_of_one_session_at_once_all_succeed() {
    let (app, gateways) = two_gateways().await;
    let body = json!({"email": "ada@example.com", "password": "correct horse"});
    let tokens = app.rest().client().post("/auth/password/sign-up", body).await.json(200);
    let token = tokens["refresh_token"].as_str().unwrap();
    let refreshes = stream::iter(0..1_000).map(|number| {
        let client = gateways[number % 2].with("x-stack-refresh-token", token);
        async move { client.post("/auth/sessions/current/refresh", json!({})).await.status.as_u16() }
    });
    let statuses: Vec<_> = refreshes.buffer_unordered(100).collect().await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1_000, "{statuses:?}");
    let user = app.rest().client().user(tokens["access_token"].as_str().unwrap());
    let sessions = user.get("/auth/sessions?user_id=me").await.json(200);
    assert_eq!(sessions["items"].as_array().unwrap().len(), 1);
    app.stop().await;
}

/// What Turnstile was asked, and which token is good.
type Asked = Arc<Mutex<Vec<HashMap<String, String>>>>;

async fn turnstile() -> (String, Asked) {
    let asked = Asked::default();
    let verify = |State(asked): State<Asked>, Form(form): Form<HashMap<String, String>>| async move {
        let success = form.get("response").is_some_and(|token| token == "good");
        asked.lock().unwrap().push(form);
        Json(json!({ "success": success, "error-codes": [] }))
    };
    let router = Router::new().route("/siteverify", post(verify)).with_state(Arc::clone(&asked));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/siteverify", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

#[tokio::test]
async fn programs_are_challenged_where_the_installation_has_turnstile() {
    let (url, asked) = turnstile().await;
    let app = App::builder()
        .set("POSTERN_TURNSTILE_SECRET_KEY", "key-of-the-site")
        .set("POSTERN_TURNSTILE_VERIFY_URL", &url)
        .set("POSTERN_TURNSTILE_REQUIRED", "on");
    let app = app.start().await;
    let client = app.rest().client();
    let sign_up = async |email: &str, more: Value| {
        let mut body = json!({"email": email, "password": "correct horse"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client.post("/auth/password/sign-up", body).await
    };
    let shown = |token: &str, phase: &str| json!({"bot_challenge_token": token, "bot_challenge_phase": phase});
    sign_up("a@example.com", json!({})).await.refused(409, "BOT_CHALLENGE_REQUIRED");
    sign_up("a@example.com", shown("bad", "invisible")).await.refused(409, "BOT_CHALLENGE_REQUIRED");
    sign_up("a@example.com", shown("bad", "visible")).await.refused(400, "BOT_CHALLENGE_FAILED");
    sign_up("a@example.com", shown("good", "sideways")).await.refused(400, "SCHEMA_ERROR");
    sign_up("a@example.com", shown("good", "invisible")).await.json(200);
    let forms = asked.lock().unwrap().clone();
    assert_eq!(forms.len(), 3);
    assert!(forms.iter().all(|form| form["secret"] == "key-of-the-site" && form["remoteip"] == "127.0.0.1"));
    // Whoever has an account is not asked when it signs in.
    let body = json!({"email": "a@example.com", "password": "correct horse"});
    client.post("/auth/password/sign-in", body).await.json(200);
    app.stop().await;
}

#[tokio::test]
async fn guesses_are_counted_for_all_gateways_and_told_when_to_come_again() {
    let (app, gateways) = two_gateways().await;
    let body = json!({"email": "ada@example.com", "password": "correct horse"});
    app.rest().client().post("/auth/password/sign-up", body.clone()).await.json(200);
    let mut refused = 0;
    for number in 0..30 {
        let guess = json!({"email": "ada@example.com", "password": format!("wrong {number}")});
        let answer = gateways[number % 2].post("/auth/password/sign-in", guess).await;
        if answer.status == 429 {
            refused += 1;
            let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=600).contains(&wait));
        } else {
            answer.refused(400, "EMAIL_PASSWORD_MISMATCH");
        }
    }
    // Twenty at once; a little is given back meanwhile.
    assert!((8..=10).contains(&refused), "{refused} of 30 were refused");
    app.stop().await;
}
