//! `/payments/items`: forms, codes, and who may what.

use serde_json::{Value, json};

use super::teams::{NOBODY, grant, team, user};
use crate::support::{App, client::Client};

/// Gives the project items for each sort of customer.
pub(crate) async fn configure(rest: &Client) {
    let items = json!({ "payments.items": {
        "credits": { "displayName": "Credits", "customerType": "user" },
        "seats": { "customerType": "team" },
        "calls": { "customerType": "custom" },
    } });
    let body = json!({ "config_override_string": items.to_string() });
    rest.admin().patch("/internal/config/override/environment", body).await.json(200);
}

fn path(kind: &str, id: &str, item: &str) -> String {
    format!("/payments/items/{kind}/{id}/{item}")
}

/// Adds or takes; what is taken may be missing.
async fn change(server: &Client, path: &str, body: Value) {
    let answer = server.post(&format!("{path}/update-quantity?allow_negative=true"), body).await;
    assert_eq!(answer.json(200), json!({}));
}

#[tokio::test]
async fn a_server_adds_and_takes_and_everybody_concerned_sees_it() {
    let app = App::start().await;
    let rest = app.rest();
    configure(&rest).await;
    let (ada, own) = user(&rest, "ada@example.com").await;
    let (path, server) = (path("user", &ada, "credits"), rest.server());
    let item = |quantity: i64| json!({"id": "credits", "display_name": "Credits", "quantity": quantity});
    assert_eq!(own.get(&path).await.json(200), item(0));
    change(&server, &path, json!({"delta": "7", "description": "welcome"})).await;
    change(&server, &path, json!({"delta": 3, "expires_at": "2999-01-01T00:00:00.000Z"})).await;
    change(&server, &path, json!({"delta": 5, "expires_at": "2001-01-01"})).await;
    assert_eq!(own.get(&path).await.json(200), item(10));
    let update = format!("{path}/update-quantity?allow_negative=false");
    let details = server.post(&update, json!({"delta": -11})).await.refused(400, "ITEM_QUANTITY_INSUFFICIENT_AMOUNT");
    assert_eq!(details, json!({"item_id": "credits", "customer_id": ada, "quantity": -11}));
    assert_eq!(server.post(&update, json!({"delta": -10})).await.json(200), json!({}));
    change(&server, &path, json!({"delta": -4})).await;
    assert_eq!(server.get(&path).await.json(200), item(-4));
    let details = server.post(&update, json!({"delta": 3})).await.refused(400, "ITEM_QUANTITY_INSUFFICIENT_AMOUNT");
    assert_eq!(details["quantity"], 3);
    let repeated = server.with("idempotency-key", "once");
    for _ in 0..2 {
        change(&repeated, &path, json!({"delta": 5})).await;
    }
    assert_eq!(own.get(&path).await.json(200), item(1));
    // The query is part of what was asked.
    assert_eq!(repeated.post(&update, json!({"delta": 5})).await.status, 409);
    app.stop().await;
}

#[tokio::test]
async fn what_does_not_fit_has_its_code() {
    let app = App::start().await;
    let rest = app.rest();
    configure(&rest).await;
    configure(&app.internal_rest()).await;
    let (ada, own) = user(&rest, "ada@example.com").await;
    let (bob, others) = user(&rest, "bob@example.com").await;
    let id = team(&rest, &[&ada, &bob]).await;
    grant(&rest, &id, &ada, "team_admin").await;
    let (server, foreign) = (rest.server(), app.internal_rest().server());
    let mismatch = json!({"item_id": "seats", "customer_id": ada, "item_customer_type": "team",
        "actual_customer_type": "user"});
    let required = json!({"team_id": id, "user_id": bob, "permission_id": "team_admin"});
    for (client, path, status, code, details) in [
        (&server, path("user", &ada, "gone"), 404, "ITEM_NOT_FOUND", json!({"item_id": "gone"})),
        (&server, path("user", &ada, "seats"), 400, "ITEM_CUSTOMER_TYPE_DOES_NOT_MATCH", mismatch),
        (&server, path("user", NOBODY, "credits"), 404, "USER_NOT_FOUND", Value::Null),
        (&server, path("user", "nobody", "credits"), 404, "USER_NOT_FOUND", Value::Null),
        (&server, path("team", NOBODY, "seats"), 404, "TEAM_NOT_FOUND", json!({"team_id": NOBODY})),
        (&foreign, path("user", &ada, "credits"), 404, "USER_NOT_FOUND", Value::Null),
        (&foreign, path("team", &id, "seats"), 404, "TEAM_NOT_FOUND", json!({"team_id": id})),
        (&others, path("team", &id, "seats"), 401, "TEAM_PERMISSION_REQUIRED", required),
        (&rest.client(), path("user", &ada, "credits"), 401, "USER_AUTHENTICATION_REQUIRED", Value::Null),
        (&rest.client(), path("custom", "a", "calls"), 401, "USER_AUTHENTICATION_REQUIRED", Value::Null),
    ] {
        assert_eq!(client.get(&path).await.refused(status, code), details, "{path}");
    }
    for path in [path("user", &ada, "credits"), path("custom", "a", "calls")] {
        others.get(&path).await.refused_with_text(403);
    }
    assert_eq!(own.get(&path("team", &id, "seats")).await.json(200)["quantity"], 0);
    let calls = path("custom", "acme/eu north", "calls").replace("acme/eu north", "acme%2Feu%20north");
    change(&server, &calls, json!({"delta": 2})).await;
    assert_eq!(server.get(&calls).await.json(200)["quantity"], 2);
    assert_eq!(foreign.get(&calls).await.json(200)["quantity"], 0);
    let credits = path("user", &ada, "credits");
    for (query, body) in [
        ("", json!({"delta": 1})),
        ("?allow_negative=perhaps", json!({"delta": 1})),
        ("?allow_negative=true", json!({})),
        ("?allow_negative=true", json!({"delta": 1.5})),
        ("?allow_negative=true", json!({"delta": 9_007_199_254_740_992_i64})),
        ("?allow_negative=true", json!({"delta": 1, "expires_at": "soon"})),
        ("?allow_negative=true", json!({"delta": 1, "expires_at": 5})),
        ("?allow_negative=true", json!({"delta": 1, "more": 1})),
    ] {
        let answer = server.post(&format!("{credits}/update-quantity{query}"), body.clone()).await;
        answer.refused(400, "SCHEMA_ERROR");
    }
    server.get(&path("robot", &ada, "credits")).await.refused(400, "SCHEMA_ERROR");
    let update = format!("{credits}/update-quantity?allow_negative=true");
    own.post(&update, json!({"delta": 1})).await.refused(401, "INSUFFICIENT_ACCESS_TYPE");
    assert_eq!(server.get(&credits).await.json(200)["quantity"], 0);
    app.stop().await;
}

#[tokio::test]
async fn a_team_of_internal_has_a_seat_and_whoever_runs_it_gives_more() {
    let app = App::start().await;
    let internal = app.internal_rest();
    let (ada, own) = user(&internal, "ada@example.com").await;
    let body = json!({"display_name": "Crew", "creator_user_id": ada});
    let id = internal.server().post("/teams", body).await.json(201)["id"].as_str().unwrap().to_owned();
    let seats = path("team", &id, "dashboard_admins");
    assert_eq!(own.get(&seats).await.json(200)["quantity"], 1);
    let (_, guest) = user(&internal, "guest@example.com").await;
    let invite = json!({"team_id": id, "email": "guest@example.com", "callback_url": format!("{}/handler", app.url)});
    internal.server().post("/team-invitations/send-code", invite).await.json(200);
    let mail = app.mail_to("guest@example.com").await;
    let text = mail["text"].as_str().unwrap();
    let code = text.split("code=").nth(1).unwrap_or_else(|| panic!("no code in {text}"));
    let code: String = code.chars().take_while(char::is_ascii_alphanumeric).collect();
    let accept = json!({ "code": code });
    for _ in 0..2 {
        let refused = guest.post("/team-invitations/accept", accept.clone()).await;
        let details = refused.refused(400, "ITEM_QUANTITY_INSUFFICIENT_AMOUNT");
        assert_eq!(details, json!({"item_id": "dashboard_admins", "customer_id": id, "quantity": -1}));
    }
    change(&internal.server(), &seats, json!({"delta": 1})).await;
    guest.post("/team-invitations/accept", accept).await.json(200);
    app.stop().await;
}
