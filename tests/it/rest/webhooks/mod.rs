//! Webhooks over REST: the token, the test call, and the Svix API.

mod access;
mod endpoints;
mod events;
mod sending;

use serde_json::{Value, json};

use crate::support::{
    App,
    client::{Answer, Client},
    receiver::Receiver,
};

/// Where the Svix routes of the demo project begin.
fn below(app: &App, path: &str) -> String {
    format!("/app/{}{path}", app.demo.project_id)
}

/// Whoever shows a fresh application token of the demo project.
async fn owner(app: &App) -> Client {
    let token = app.rest().admin().post("/webhooks/svix-token", json!({})).await.json(201);
    app.rest().with("authorization", &format!("Bearer {}", token["token"].as_str().unwrap()))
}

/// An endpoint at this receiver, as it was answered.
async fn endpoint(app: &App, owner: &Client, receiver: &Receiver) -> Value {
    owner.post(&below(app, "/endpoint"), json!({ "url": receiver.url() })).await.json(201)
}

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

/// Checks for a refusal as Svix words it.
#[track_caller]
fn refused(answer: Answer, status: u16, code: &str) -> String {
    assert!(answer.headers.get("x-stack-known-error").is_none(), "{}", answer.text);
    let body = answer.json(status);
    assert_eq!(body["code"], code, "{body}");
    body["detail"].as_str().unwrap().to_owned()
}

/// Checks for a refusal of an input; answers the places and what is wrong there.
#[track_caller]
fn invalid(answer: Answer) -> Vec<(String, String)> {
    let body = answer.json(422);
    let detail = body["detail"].as_array().unwrap();
    assert!(!detail.is_empty());
    let told = detail.iter().map(|violation| {
        assert_eq!(violation["type"], "value_error");
        let loc: Vec<_> = violation["loc"].as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
        (loc.join("."), violation["msg"].as_str().unwrap().to_owned())
    });
    told.collect()
}

/// Walks a list to its end; answers all of it and the sizes of its pages.
async fn walk(client: &Client, path: &str, limit: usize) -> (Vec<Value>, Vec<usize>) {
    let (mut all, mut sizes, mut iterator) = (Vec::new(), Vec::new(), String::new());
    loop {
        let separator = if path.contains('?') { '&' } else { '?' };
        let page = client.get(&format!("{path}{separator}limit={limit}{iterator}")).await.json(200);
        let data = page["data"].as_array().unwrap();
        sizes.push(data.len());
        all.extend(data.iter().cloned());
        if page["done"] == true {
            return (all, sizes);
        }
        iterator = format!("&iterator={}", page["iterator"].as_str().unwrap());
    }
}
