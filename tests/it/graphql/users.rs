//! Users and contact channels through GraphQL: fields and their rules, lists, changes, repeated mutations.

use serde_json::{Value, json};

use super::{ask, codes, data, signed_up};
use crate::support::{App, client::Client};

const CREATE: &str = "mutation($input: CreateUserInput!) { createUser(input: $input) { user { id } } }";

async fn create(server: &Client, input: Value) -> String {
    let created = data(ask(server, CREATE, json!({ "input": input })).await);
    created["createUser"]["user"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_user_sees_itself_and_a_refused_field_is_null_at_its_path() {
    let app = App::start().await;
    let (ada, payload) = signed_up(&app, "ada@example.com").await;
    let answer = ask(&ada, "{ me { displayName serverMetadata riskScores { bot } primaryEmail } }", Value::Null).await;
    assert_eq!(
        answer["data"],
        json!({"me": {"displayName": null, "serverMetadata": null, "riskScores": null, "primaryEmail": "ada@example.com"}})
    );
    let refused = [("me.riskScores", "FORBIDDEN"), ("me.serverMetadata", "FORBIDDEN")];
    let mut told = codes(&answer);
    told.sort();
    assert_eq!(told, refused.map(|(path, code)| (path.to_owned(), code.to_owned())));
    assert_eq!(payload["user"], json!({"id": payload["userId"], "primaryEmail": "ada@example.com"}));
    app.stop().await;
}

#[tokio::test]
async fn another_user_is_not_found_by_any_path() {
    let app = App::start().await;
    let (ada, _) = signed_up(&app, "ada@example.com").await;
    let other = create(&app.rest().server(), json!({"primaryEmail": "bob@example.com"})).await;
    let answer = ask(&ada, "query($id: ID!) { user(id: $id) { id } node(id: $id) { id } }", json!({"id": other})).await;
    assert_eq!(answer["data"], json!({"user": null, "node": null}));
    assert_eq!(codes(&answer), [("user".to_owned(), "USER_NOT_FOUND".to_owned())]);
    let internal = app.internal_rest().server();
    let answer =
        ask(&internal, "query($id: ID!) { user(id: $id) { id } node(id: $id) { id } }", json!({"id": other})).await;
    assert_eq!(answer["data"], json!({"user": null, "node": null}), "ids of another project are not found");
    app.stop().await;
}

#[tokio::test]
async fn a_node_is_whatever_has_the_id() {
    let app = App::start().await;
    let (ada, payload) = signed_up(&app, "ada@example.com").await;
    let me =
        data(ask(&ada, "{ me { id contactChannels { nodes { id } } } sessions { nodes { id } } }", Value::Null).await);
    let query =
        "query($id: ID!) { node(id: $id) { __typename id ... on User { primaryEmail } ... on Session { isCurrent }
        ... on ContactChannel { value } } }";
    for (id, expected) in [
        (&me["me"]["id"], json!({"__typename": "User", "id": payload["userId"], "primaryEmail": "ada@example.com"})),
        (
            &me["me"]["contactChannels"]["nodes"][0]["id"],
            json!({"__typename": "ContactChannel", "id": me["me"]["contactChannels"]["nodes"][0]["id"], "value": "ada@example.com"}),
        ),
        (
            &me["sessions"]["nodes"][0]["id"],
            json!({"__typename": "Session", "id": payload["sessionId"], "isCurrent": true}),
        ),
    ] {
        assert_eq!(data(ask(&ada, query, json!({ "id": id })).await)["node"], expected);
    }
    assert_eq!(codes(&ask(&ada, query, json!({"id": "nope"})).await)[0].1, "BAD_USER_INPUT");
    app.stop().await;
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repeat() {
    let app = App::start().await;
    let server = app.rest().server();
    let mut created = Vec::new();
    for i in 0..5 {
        created.push(create(&server, json!({"displayName": format!("User {i}")})).await);
    }
    let query =
        "query($after: String, $descending: Boolean!) { users(first: 2, after: $after, descending: $descending) {
        totalCount edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage endCursor } } }";
    for descending in [false, true] {
        let (mut seen, mut after) = (Vec::new(), Value::Null);
        loop {
            let variables = json!({"after": after, "descending": descending});
            let page = data(ask(&server, query, variables).await)["users"].clone();
            assert_eq!(page["totalCount"], 5);
            assert_eq!(page["pageInfo"]["hasPreviousPage"], !after.is_null());
            seen.extend(page["edges"].as_array().unwrap().iter().map(|e| e["node"]["id"].as_str().unwrap().to_owned()));
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
        if descending {
            seen.reverse();
        }
        assert_eq!(seen.len(), 5);
        let mut sorted = (seen.clone(), created.clone());
        sorted.0.sort();
        sorted.1.sort();
        assert_eq!(sorted.0, sorted.1);
    }
    let answer =
        ask(&server, "{ users(first: 0) { totalCount nodes { id } pageInfo { hasNextPage } } }", Value::Null).await;
    assert_eq!(data(answer)["users"], json!({"totalCount": 5, "nodes": [], "pageInfo": {"hasNextPage": true}}));
    for bad in ["first: 201", "first: -1", "after: \"nope\""] {
        let answer = ask(&server, &format!("{{ users({bad}) {{ totalCount }} }}"), Value::Null).await;
        assert_eq!(codes(&answer), [("users".to_owned(), "BAD_USER_INPUT".to_owned())], "{bad}");
    }
    let found = ask(&server, "{ users(filter: {query: \"user 3\"}) { nodes { displayName } } }", Value::Null).await;
    assert_eq!(data(found)["users"]["nodes"], json!([{"displayName": "User 3"}]));
    app.stop().await;
}

#[tokio::test]
async fn a_change_says_what_it_keeps_clears_and_sets() {
    let app = App::start().await;
    let server = app.rest().server();
    let id = create(&server, json!({"displayName": "Ada", "clientMetadata": {"a-b": [1]}, "serverMetadata": {"x": 1}}))
        .await;
    let update = "mutation($input: UpdateUserInput!) { updateUser(input: $input) {
        user { displayName clientMetadata serverMetadata countryCode } } }";
    let changed = ask(&server, update, json!({"input": {"id": id, "clientMetadata": null, "countryCode": "de"}})).await;
    assert_eq!(
        data(changed)["updateUser"]["user"],
        json!({"displayName": "Ada", "clientMetadata": null, "serverMetadata": {"x": 1}, "countryCode": "DE"})
    );
    let refused = ask(&server, update, json!({"input": {"id": id, "displayName": "x".repeat(257)}})).await;
    assert_eq!(codes(&refused), [("updateUser".to_owned(), "SCHEMA_ERROR".to_owned())]);
    let unknown = ask(&server, update, json!({"input": {"id": uuid::Uuid::new_v4()}})).await;
    assert_eq!(codes(&unknown), [("updateUser".to_owned(), "USER_NOT_FOUND".to_owned())]);
    assert_eq!(unknown["errors"][0]["extensions"]["status"], 404);
    let delete = "mutation($id: ID!) { deleteUser(input: {id: $id}) { id } }";
    assert_eq!(data(ask(&server, delete, json!({ "id": id })).await)["deleteUser"]["id"], id);
    assert_eq!(codes(&ask(&server, delete, json!({ "id": id })).await)[0].1, "USER_NOT_FOUND");
    app.stop().await;
}

#[tokio::test]
async fn errors_carry_code_status_and_details() {
    let app = App::start().await;
    let server = app.rest().server();
    let input = json!({"primaryEmail": "ada@example.com", "primaryEmailAuthEnabled": true});
    create(&server, input.clone()).await;
    let answer = ask(&server, CREATE, json!({ "input": input })).await;
    assert_eq!(answer["data"], json!({"createUser": null}));
    assert_eq!(
        answer["errors"][0]["extensions"],
        json!({"code": "USER_EMAIL_ALREADY_EXISTS", "status": 409,
            "details": {"email": "ada@example.com", "would_work_if_email_was_verified": false}})
    );
    app.stop().await;
}

#[tokio::test]
async fn mutations_run_one_after_another_each_on_its_own_and_once() {
    let app = App::start().await;
    let server = app.rest().server();
    let mutation = "mutation { a: createUser(input: {displayName: \"A\"}) { user { displayName } }
        bad: updateUser(input: {id: \"00000000-0000-4000-8000-000000000000\"}) { user { id } }
        ...F ...G } fragment F on Mutation { b: createUser(input: {displayName: \"B\"}) { user { id } } }
        fragment G on Mutation { b: createUser(input: {displayName: \"B\"}) { user { displayName } } }";
    let answer = ask(&server, mutation, Value::Null).await;
    assert_eq!(codes(&answer), [("bad".to_owned(), "USER_NOT_FOUND".to_owned())]);
    assert_eq!(answer["data"]["a"]["user"]["displayName"], "A");
    assert_eq!(answer["data"]["b"]["user"]["displayName"], "B");
    assert!(answer["data"]["b"]["user"]["id"].is_string(), "both selections are answered");
    assert_eq!(data(ask(&server, "{ users { totalCount } }", Value::Null).await)["users"]["totalCount"], 2);
    app.stop().await;
}

#[tokio::test]
async fn a_repeated_mutation_answers_what_it_did_the_first_time() {
    let app = App::start().await;
    let server = app.rest().server().with("idempotency-key", "k1");
    let variables = json!({"input": {"displayName": "Ada"}});
    let first = data(ask(&server, CREATE, variables.clone()).await);
    assert_eq!(data(ask(&server, CREATE, variables).await), first);
    let reused = ask(&server, CREATE, json!({"input": {"displayName": "Bob"}})).await;
    assert_eq!(codes(&reused)[0].1, "IDEMPOTENCY_KEY_REUSED");
    let in_input = json!({"input": {"displayName": "Cyd", "idempotencyKey": "k2"}});
    assert_eq!(data(ask(&server, CREATE, in_input.clone()).await), data(ask(&server, CREATE, in_input).await));
    // One header for two mutations of the same sort: each is repeatable for itself.
    let two = "mutation { a: createUser(input: {displayName: \"X\"}) { user { id } }
        b: createUser(input: {displayName: \"X\"}) { user { id } } }";
    let both = data(ask(&server.with("idempotency-key", "k3"), two, Value::Null).await);
    assert_ne!(both["a"], both["b"]);
    assert_eq!(data(ask(&server.with("idempotency-key", "k3"), two, Value::Null).await), both);
    let count = ask(&app.rest().server(), "{ users { totalCount } }", Value::Null).await;
    assert_eq!(data(count)["users"]["totalCount"], 4);
    app.stop().await;
}

#[tokio::test]
async fn users_manage_their_own_contact_channels() {
    let app = App::start().await;
    let (ada, _) = signed_up(&app, "ada@example.com").await;
    let (bob, _) = signed_up(&app, "bob@example.com").await;
    let create = "mutation($input: CreateContactChannelInput!) { createContactChannel(input: $input) {
        contactChannel { id type value isPrimary isVerified usedForAuth user { primaryEmail } } } }";
    let created = data(ask(&ada, create, json!({"input": {"value": "Ada@Work.example"}})).await);
    let channel = &created["createContactChannel"]["contactChannel"];
    assert_eq!(channel["value"], "ada@work.example");
    assert_eq!(channel["user"]["primaryEmail"], "ada@example.com");
    let update = "mutation($input: UpdateContactChannelInput!) { updateContactChannel(input: $input) {
        contactChannel { isPrimary isVerified } } }";
    let variables = json!({"input": {"id": channel["id"], "isPrimary": true}});
    assert!(codes(&ask(&bob, update, variables.clone()).await)[0].0 == "updateContactChannel");
    let updated = data(ask(&ada, update, variables).await);
    assert_eq!(updated["updateContactChannel"]["contactChannel"], json!({"isPrimary": true, "isVerified": false}));
    let verified = json!({"input": {"id": channel["id"], "isVerified": true}});
    assert_eq!(codes(&ask(&ada, update, verified.clone()).await)[0].1, "SCHEMA_ERROR");
    let by_server = data(ask(&app.rest().server(), update, verified).await);
    assert_eq!(by_server["updateContactChannel"]["contactChannel"]["isVerified"], true);
    let delete = "mutation($id: ID!) { deleteContactChannel(input: {id: $id}) { id } }";
    data(ask(&ada, delete, json!({"id": channel["id"]})).await);
    let left = ask(&ada, "{ me { primaryEmail contactChannels { totalCount nodes { value } } } }", Value::Null).await;
    assert_eq!(
        data(left)["me"],
        json!({"primaryEmail": null, "contactChannels": {"totalCount": 1, "nodes": [{"value": "ada@example.com"}]}})
    );
    app.stop().await;
}

#[tokio::test]
async fn the_project_shows_each_caller_its_part() {
    let app = App::start().await;
    let query = "{ project { id displayName description config { signUpEnabled allowLocalhost } } }";
    let by_client = ask(&app.rest().client(), query, Value::Null).await;
    assert_eq!(by_client["data"]["project"]["config"], json!({"signUpEnabled": true, "allowLocalhost": null}));
    assert_eq!(by_client["errors"].as_array().unwrap().len(), 2);
    let by_admin = data(ask(&app.rest().admin(), query, Value::Null).await);
    assert!(by_admin["project"]["config"]["allowLocalhost"].is_boolean());
    assert!(by_admin["project"]["description"].is_string());
    app.stop().await;
}
