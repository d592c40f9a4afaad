//! Rate limits through the doors.

use serde_json::json;

use crate::support::{App, client::Client, on_postgres};

/// How often a wrong password may be tried for an account from one address.
const TRIES: usize = 20;

async fn try_password(client: &Client) -> u16 {
    let body = json!({"email": "ada@example.com", "password": "wrong horse"});
    client.post("/auth/password/sign-in", body).await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down_in_both_doors_alike() {
    let app = App::start().await;
    let client = app.rest().client();
    let aliases: String = (0..TRIES / 2)
        .map(|n| {
            format!(
                "a{n}: signInWithPassword(input: {{email: \"ada@example.com\", password: \"wrong\"}}) {{ userId }} "
            )
        })
        .collect();
    // Aliases within one request count one by one.
    let answer = client.graphql(&format!("mutation {{ {aliases} }}"), json!({})).await.json(200);
    assert!(answer["errors"].as_array().unwrap().iter().all(|e| e["extensions"]["code"] == "EMAIL_PASSWORD_MISMATCH"));
    for _ in 0..TRIES / 2 {
        assert_eq!(try_password(&client).await, 400);
    }
    let body = json!({"email": "ada@example.com", "password": "wrong horse"});
    let refused = client.post("/auth/password/sign-in", body).await;
    assert_eq!(refused.status, 429, "{}", refused.text);
    let seconds: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    let one = "mutation { signInWithPassword(input: {email: \"ada@example.com\", password: \"wrong\"}) { userId } }";
    let refused = client.graphql(one, json!({})).await;
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(refused.json(200)["errors"][0]["extensions"]["code"], "RATE_LIMITED");
    // Somebody else is not held up, and neither is a server that speaks for many.
    let body = json!({"email": "bob@example.com", "password": "wrong horse"});
    assert_eq!(client.post("/auth/password/sign-in", body).await.status, 400);
    assert_eq!(try_password(&app.rest().server()).await, 400);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_can_be_switched_off() {
    let app = App::builder().set("POSTERN_RATE_LIMITS", "off").start().await;
    for _ in 0..=TRIES {
        assert_eq!(try_password(&app.rest().client()).await, 400);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_count_together() {
    if !on_postgres() {
        return;
    }
    let app = App::builder().more_gateways(1).start().await;
    let clients = [app.rest().client(), app.rest_at(0).client()];
    for number in 0..TRIES {
        assert_eq!(try_password(&clients[number % 2]).await, 400);
    }
    for client in &clients {
        assert_eq!(try_password(client).await, 429);
    }
    app.stop().await;
}
