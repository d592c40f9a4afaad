//! What may be asked at all where the installation says so: a list of documents, and whether the schema is told.

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{codes, data, signed_up};
use crate::support::{App, client::Client};

const ME: &str = "query Me { me { primaryEmail } }";
const SIGN_UP: &str = "mutation($input: SignUpWithPasswordInput!) { signUpWithPassword(input: $input) {
        accessToken refreshToken sessionId userId user { id primaryEmail } } }";

/// An installation with a list of what its application asks.
async fn listing() -> (App, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("persisted-documents.json");
    std::fs::write(&file, json!({"me-1": ME, "sign-up": SIGN_UP}).to_string()).unwrap();
    let app = App::builder().set("POSTERN_DOCUMENTS", file.to_str().unwrap()).start().await;
    (app, folder)
}

async fn send(client: &Client, body: Value) -> (u16, Value) {
    let client = client.with("accept", "application/graphql-response+json");
    let answer = client.raw(Method::POST, "/graphql", Some(("application/json", body.to_string()))).await;
    (answer.status.as_u16(), serde_json::from_str(&answer.text).unwrap())
}

fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap()
}

#[tokio::test]
async fn clients_run_what_is_on_the_list_by_text_hash_or_id() {
    let (app, _folder) = listing().await;
    let (own, _) = signed_up(&app, "ada@example.com").await;
    let hash = hex::encode(Sha256::digest(ME));
    for body in [
        json!({ "query": ME }),
        json!({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash}}}),
        json!({"query": ME, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash}}}),
        json!({"documentId": "me-1"}),
        json!({"documentId": format!("sha256:{hash}")}),
    ] {
        let (status, answer) = send(&own, body.clone()).await;
        assert_eq!((status, &data(answer)["me"]["primaryEmail"]), (200, &json!("ada@example.com")), "{body}");
    }
    let by_get = own.raw(Method::GET, "/graphql?documentId=me-1", None).await.json(200);
    assert_eq!(data(by_get)["me"]["primaryEmail"], "ada@example.com");
    app.stop().await;
}

#[tokio::test]
async fn clients_run_nothing_else() {
    let (app, _folder) = listing().await;
    let (own, _) = signed_up(&app, "ada@example.com").await;
    let other = "{ me { primaryEmail } }";
    let hash = hex::encode(Sha256::digest(other));
    for (body, expected) in [
        (json!({ "query": other }), "DOCUMENT_NOT_ALLOWED"),
        (json!({"query": format!("{ME} ")}), "DOCUMENT_NOT_ALLOWED"),
        (json!({"query": other, "documentId": "me-1"}), "DOCUMENT_NOT_ALLOWED"),
        (json!({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash}}}), "DOCUMENT_NOT_ALLOWED"),
        // Not even with its text: what is on the list is not for clients to say.
        (
            json!({"query": other, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash}}}),
            "DOCUMENT_NOT_ALLOWED",
        ),
        (json!({"documentId": "me-2"}), "PERSISTED_QUERY_NOT_FOUND"),
        (json!({"documentId": format!("sha256:{hash}")}), "PERSISTED_QUERY_NOT_FOUND"),
        (json!({"documentId": 1}), "BAD_REQUEST"),
    ] {
        for client in [&own, &app.rest().client(), &app.rest()] {
            let (status, answer) = send(client, body.clone()).await;
            assert_eq!(code(&answer), expected, "{body}");
            assert_eq!(status, if expected == "DOCUMENT_NOT_ALLOWED" { 403 } else { 400 }, "{body}");
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn servers_and_administrators_are_not_bound_to_the_list() {
    let (app, _folder) = listing().await;
    for (client, text) in
        [(app.rest().server(), "{ project { id } }"), (app.rest().admin(), "query Own { project { id } }")]
    {
        let hash = hex::encode(Sha256::digest(text));
        let by_hash = json!({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash}}});
        assert_eq!(code(&send(&client, by_hash.clone()).await.1), "PERSISTED_QUERY_NOT_FOUND");
        let mut with_text = by_hash.clone();
        with_text["query"] = json!(text);
        for body in [with_text, by_hash] {
            assert_eq!(data(send(&client, body).await.1)["project"]["id"], app.demo.project_id);
        }
        let listed = send(&client, json!({"documentId": "me-1"})).await.1;
        assert_eq!(codes(&listed), [("me".to_owned(), "CANNOT_GET_OWN_USER_WITHOUT_USER".to_owned())]);
        // What a server sent is not what clients may send.
        assert_eq!(code(&send(&app.rest().client(), json!({ "query": text })).await.1), "DOCUMENT_NOT_ALLOWED");
    }
    app.stop().await;
}

#[tokio::test]
async fn without_introspection_nobody_is_told_the_schema_and_errors_suggest_nothing() {
    let app = App::builder().set("POSTERN_INTROSPECTION", "off").start().await;
    for client in [app.rest(), app.rest().client(), app.rest().server(), app.rest().admin()] {
        for query in [
            "{ __schema { types { name } } }",
            "{ __type(name: \"User\") { fields { name } } }",
            "{ __typename ... on Query { s: __schema { queryType { name } } } }",
            "query Q { ...F } fragment F on Query { __schema { queryType { name } } }",
        ] {
            let (status, answer) = send(&client, json!({ "query": query })).await;
            assert_eq!((status, code(&answer)), (403, "INTROSPECTION_DISABLED"), "{query}: {answer}");
        }
        let (_, answer) = send(&client, json!({"query": "{ usrs { id } }"})).await;
        assert_eq!(code(&answer), "GRAPHQL_VALIDATION_FAILED");
        assert!(!answer.to_string().contains("users") && !answer.to_string().contains("mean"), "{answer}");
        assert_eq!(send(&client, json!({"query": "{ __typename }"})).await.1["data"]["__typename"], "Query");
    }
    app.stop().await;
}
