//! Linked accounts through GraphQL: by themselves and on their users.

use serde_json::{Value, json};

use super::{ask, codes, data, signed_up};
use crate::support::App;

const LINK: &str = "id providerKey type email allowSignIn allowConnectedAccounts createdAt user { id }";

#[tokio::test]
async fn links_are_made_read_changed_and_removed() {
    let app = App::start().await;
    let (own, payload) = signed_up(&app, "ada@example.com").await;
    let (bob, _) = signed_up(&app, "bob@example.com").await;
    let server = app.rest().server();
    let config = json!({"auth.oauth.providers.hub": {"type": "github"}}).to_string();
    let config = json!({ "config_override_string": config });
    app.rest().admin().patch("/internal/config/override/environment", config).await.json(200);
    let create = format!(
        "mutation($input: CreateLinkedAccountInput!) {{ createLinkedAccount(input: $input) {{ linkedAccount {{ accountId {LINK} }} }} }}"
    );
    let input = json!({"input": {"userId": payload["userId"], "providerKey": "hub", "accountId": "1",
        "email": "Ada@Example.com", "allowSignIn": true, "allowConnectedAccounts": false}});
    assert_eq!(codes(&ask(&own, &create, input.clone()).await)[0].1, "FORBIDDEN");
    let link = data(ask(&server, &create, input.clone()).await)["createLinkedAccount"]["linkedAccount"].clone();
    let expected = json!({"accountId": "1", "id": link["id"], "providerKey": "hub", "type": "github",
        "email": "ada@example.com", "allowSignIn": true, "allowConnectedAccounts": false,
        "createdAt": link["createdAt"], "user": {"id": payload["userId"]}});
    assert_eq!(link, expected);
    assert_eq!(codes(&ask(&server, &create, input).await)[0].1, "BAD_REQUEST");

    let mut seen = expected;
    seen.as_object_mut().unwrap().remove("accountId");
    let node = format!("query($id: ID!) {{ node(id: $id) {{ ... on LinkedAccount {{ {LINK} }} }} }}");
    let id = json!({"id": link["id"]});
    assert_eq!(data(ask(&own, &node, id.clone()).await)["node"], seen);
    assert_eq!(data(ask(&bob, &node, id.clone()).await)["node"], Value::Null);
    let list = format!(
        "{{ linkedAccounts {{ totalCount nodes {{ {LINK} }} }}
            me {{ oauthProviders {{ key accountId email }} linkedAccounts {{ nodes {{ {LINK} }} }} }} }}"
    );
    let listed = data(ask(&own, &list, Value::Null).await);
    assert_eq!(listed["linkedAccounts"], json!({"totalCount": 1, "nodes": [seen]}));
    assert_eq!(listed["me"]["linkedAccounts"]["nodes"], json!([seen]));
    let account = json!([{"key": "hub", "accountId": "1", "email": "ada@example.com"}]);
    assert_eq!(listed["me"]["oauthProviders"], account);
    let refused = ask(&own, "{ linkedAccounts { nodes { id accountId } } }", Value::Null).await;
    assert_eq!(codes(&refused), [("linkedAccounts.nodes.0.accountId".to_owned(), "FORBIDDEN".to_owned())]);
    let of_ada = "query($id: ID!) { linkedAccounts(userId: $id) { nodes { id } } }";
    let user = json!({"id": payload["userId"]});
    assert_eq!(codes(&ask(&bob, of_ada, user.clone()).await)[0].1, "FORBIDDEN");
    assert_eq!(data(ask(&server, of_ada, user).await)["linkedAccounts"]["nodes"], json!([{"id": link["id"]}]));

    let update = "mutation($input: UpdateLinkedAccountInput!) { updateLinkedAccount(input: $input) {
        linkedAccount { email allowSignIn allowConnectedAccounts } } }";
    let change = json!({"input": {"id": link["id"], "allowSignIn": false, "allowConnectedAccounts": true}});
    assert_eq!(codes(&ask(&bob, update, change.clone()).await)[0].1, "NOT_FOUND");
    let changed = data(ask(&own, update, change).await)["updateLinkedAccount"]["linkedAccount"].clone();
    assert_eq!(changed, json!({"email": "ada@example.com", "allowSignIn": false, "allowConnectedAccounts": true}));
    let email = json!({"input": {"id": link["id"], "email": null}});
    assert_eq!(codes(&ask(&own, update, email.clone()).await)[0].1, "SCHEMA_ERROR");
    let changed = data(ask(&server, update, email).await)["updateLinkedAccount"]["linkedAccount"].clone();
    assert_eq!(changed["email"], Value::Null);

    let delete = "mutation($id: ID!) { deleteLinkedAccount(input: {id: $id}) { id } }";
    let other = app.internal_rest().server();
    for client in [&bob, &other] {
        assert_eq!(codes(&ask(client, delete, id.clone()).await)[0].1, "NOT_FOUND");
    }
    assert_eq!(data(ask(&server, delete, id.clone()).await)["deleteLinkedAccount"], id);
    assert_eq!(codes(&ask(&own, delete, id).await)[0].1, "NOT_FOUND");
    app.stop().await;
}

#[tokio::test]
async fn a_user_is_made_with_linked_accounts() {
    let app = App::start().await;
    let server = app.rest().server();
    let config = json!({"auth.oauth.providers.hub": {"type": "github"}}).to_string();
    let config = json!({ "config_override_string": config });
    app.rest().admin().patch("/internal/config/override/environment", config).await.json(200);
    let create = "mutation($key: String!) { createUser(input: {oauthProviders: [{key: $key, accountId: \"1\"}]}) {
        user { oauthProviders { key accountId email } linkedAccounts { nodes { allowSignIn allowConnectedAccounts } } } } }";
    let made = data(ask(&server, create, json!({"key": "hub"})).await)["createUser"]["user"].clone();
    let expected = json!({"oauthProviders": [{"key": "hub", "accountId": "1", "email": null}],
        "linkedAccounts": {"nodes": [{"allowSignIn": true, "allowConnectedAccounts": true}]}});
    assert_eq!(made, expected);
    let again = ask(&server, create, json!({"key": "hub"})).await;
    assert_eq!(codes(&again)[0].1, "OAUTH_PROVIDER_ACCOUNT_ID_ALREADY_USED_FOR_SIGN_IN");
    assert_eq!(codes(&ask(&server, create, json!({"key": "lab"})).await)[0].1, "BAD_REQUEST");
    app.stop().await;
}
