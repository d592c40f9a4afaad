//! Managing webhooks through GraphQL. What receivers get is tested with the worker.

use serde_json::{Value, json};

use super::{ask, codes, data};
use crate::support::{App, client::Client};

async fn register(admin: &Client, url: &str) -> Value {
    let mutation = "mutation($input: CreateWebhookEndpointInput!) { createWebhookEndpoint(input: $input) {
        secret webhookEndpoint { id url filterTypes headers { name value } sensitiveHeaders disabled } } }";
    let headers = json!([{"name": "X-Team", "value": "a"}]);
    let input = json!({"url": url, "description": "d", "filterTypes": ["user.created"], "headers": headers});
    data(ask(admin, mutation, json!({ "input": input })).await)["createWebhookEndpoint"].clone()
}

#[tokio::test]
async fn an_administrator_manages_endpoints() {
    let app = App::start().await;
    let admin = app.rest().admin();
    let made = register(&admin, "http://127.0.0.1:9/hook").await;
    let (id, secret) = (&made["webhookEndpoint"]["id"], &made["secret"]);
    assert!(secret.as_str().unwrap().starts_with("whsec_"));
    assert_eq!(made["webhookEndpoint"]["headers"], json!([{"name": "x-team", "value": "a"}]));
    let asked = ask(&admin, "query($id: ID!) { webhookSecret(endpointId: $id) }", json!({ "id": id })).await;
    assert_eq!(&data(asked)["webhookSecret"], secret);
    let rotate = "mutation($id: ID!) { rotateWebhookSecret(input: {id: $id, gracePeriodSeconds: 0}) { secret } }";
    assert_ne!(&data(ask(&admin, rotate, json!({ "id": id })).await)["rotateWebhookSecret"]["secret"], secret);
    let update = "mutation($input: UpdateWebhookEndpointInput!) { updateWebhookEndpoint(input: $input) {
        webhookEndpoint { description filterTypes headers { name } disabled } } }";
    let input =
        json!({"id": id, "filterTypes": null, "headers": [{"name": "x-team", "value": null}], "disabled": true});
    assert_eq!(
        data(ask(&admin, update, json!({ "input": input })).await)["updateWebhookEndpoint"]["webhookEndpoint"],
        json!({"description": "d", "filterTypes": null, "headers": [], "disabled": true})
    );
    let test = "mutation($id: ID!) { sendTestWebhook(input: {endpointId: $id}) { messageId deliveryId } }";
    assert_eq!(codes(&ask(&admin, test, json!({ "id": id })).await)[0].1, "CONFLICT");
    let node = "query($id: ID!) { node(id: $id) { __typename id } }";
    let found = data(ask(&admin, node, json!({ "id": id })).await);
    assert_eq!(found["node"]["__typename"], "WebhookEndpoint");
    assert_eq!(data(ask(&app.rest().server(), node, json!({ "id": id })).await)["node"], Value::Null);
    let delete = "mutation($id: ID!) { deleteWebhookEndpoint(input: {id: $id}) { id } }";
    data(ask(&admin, delete, json!({ "id": id })).await);
    assert_eq!(codes(&ask(&admin, delete, json!({ "id": id })).await)[0].1, "NOT_FOUND");
    app.stop().await;
}

#[tokio::test]
async fn what_was_sent_is_read_by_pages() {
    let app = App::start().await;
    let admin = app.rest().admin();
    let made = register(&admin, "http://127.0.0.1:9/hook").await;
    let test = "mutation($id: ID!) { sendTestWebhook(input: {endpointId: $id}) { messageId deliveryId } }";
    for _ in 0..3 {
        data(ask(&admin, test, json!({"id": made["webhookEndpoint"]["id"]})).await);
    }
    let query = "query($after: String) { webhookMessages(first: 2, after: $after) { pageInfo { hasNextPage endCursor }
        nodes { id eventType payload deliveries { nodes { endpoint { id url } } } attempts { totalCount } } } }";
    let first = data(ask(&admin, query, json!({})).await)["webhookMessages"].clone();
    assert_eq!(first["pageInfo"]["hasNextPage"], true);
    let rest =
        data(ask(&admin, query, json!({"after": first["pageInfo"]["endCursor"]})).await)["webhookMessages"].clone();
    assert_eq!((first["nodes"].as_array().unwrap().len(), rest["nodes"].as_array().unwrap().len()), (2, 1));
    assert_eq!(rest["nodes"][0]["eventType"], "stack.test");
    assert_eq!(
        rest["nodes"][0]["deliveries"]["nodes"][0]["endpoint"],
        json!({
        "id": made["webhookEndpoint"]["id"], "url": "http://127.0.0.1:9/hook"})
    );
    let resend = "mutation($input: ResendWebhookMessageInput!) { resendWebhookMessage(input: $input) { messageId } }";
    let input = json!({"messageId": rest["nodes"][0]["id"], "endpointId": made["webhookEndpoint"]["id"]});
    let resent = data(ask(&admin, resend, json!({ "input": input })).await);
    assert_eq!(resent["resendWebhookMessage"]["messageId"], rest["nodes"][0]["id"]);
    app.stop().await;
}

#[tokio::test]
async fn bad_endpoints_are_refused_with_every_reason() {
    let app = App::start().await;
    let mutation = "mutation($input: CreateWebhookEndpointInput!) { createWebhookEndpoint(input: $input) { secret } }";
    let input = json!({"url": "ftp://example.com", "secret": "nope", "filterTypes": []});
    let refused = ask(&app.rest().admin(), mutation, json!({ "input": input })).await;
    assert_eq!(codes(&refused), [("createWebhookEndpoint".to_owned(), "SCHEMA_ERROR".to_owned())]);
    app.stop().await;
}
