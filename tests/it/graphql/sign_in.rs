//! Signing up, in and out, sessions, and verifying an address, through GraphQL.

use serde_json::{Value, json};

use super::{ask, codes, data, signed_up};
use crate::support::App;

#[tokio::test]
async fn a_user_signs_up_in_and_out() {
    let app = App::start().await;
    let client = app.rest().client();
    let (ada, first) = signed_up(&app, "ada@example.com").await;
    let sign_in = "mutation($input: SignInWithPasswordInput!) { signInWithPassword(input: $input) {
        accessToken refreshToken sessionId user { id } } }";
    let wrong = json!({"input": {"email": "ada@example.com", "password": "wrong"}});
    assert_eq!(codes(&ask(&client, sign_in, wrong).await)[0].1, "EMAIL_PASSWORD_MISMATCH");
    let right = json!({"input": {"email": "Ada@example.com", "password": "correct horse"}});
    let second = data(ask(&client, sign_in, right).await)["signInWithPassword"].clone();
    assert_eq!(second["user"]["id"], first["userId"]);
    assert_ne!(second["sessionId"], first["sessionId"]);
    let sessions = data(ask(&ada, "{ sessions { totalCount nodes { id isCurrent user { id } } } }", Value::Null).await);
    assert_eq!(sessions["sessions"]["totalCount"], 2);
    let phone = client.user(second["accessToken"].as_str().unwrap());
    data(ask(&phone, "mutation { signOut { id } }", Value::Null).await);
    let gone = phone.graphql("{ me { id } }", Value::Null).await.json(401);
    assert_eq!(codes(&gone)[0].1, "ACCESS_TOKEN_EXPIRED", "GraphQL asks for the session");
    phone.get("/users/me").await.json(200); // REST believes the token until it expires.
    app.stop().await;
}

#[tokio::test]
async fn a_refresh_token_makes_access_tokens() {
    let app = App::start().await;
    let (_, payload) = signed_up(&app, "ada@example.com").await;
    let client = app.rest().client();
    let refresh = "mutation($token: String!) { refreshSession(input: {refreshToken: $token}) {
        accessToken userId user { primaryEmail } } }";
    let refreshed =
        data(ask(&client, refresh, json!({"token": payload["refreshToken"]})).await)["refreshSession"].clone();
    assert_eq!(refreshed["user"]["primaryEmail"], "ada@example.com");
    let bearer = format!("Bearer {}", refreshed["accessToken"].as_str().unwrap());
    let by_bearer = app.rest().with("x-stack-project-id", &app.demo.project_id).with("authorization", &bearer);
    assert_eq!(data(ask(&by_bearer, "{ me { id } }", Value::Null).await)["me"]["id"], payload["userId"]);
    let unknown = ask(&client, refresh, json!({"token": "nope"})).await;
    assert_eq!(codes(&unknown)[0].1, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
    app.stop().await;
}

#[tokio::test]
async fn a_session_is_revoked_but_not_ones_own_and_not_anothers() {
    let app = App::start().await;
    let (ada, payload) = signed_up(&app, "ada@example.com").await;
    let (bob, others) = signed_up(&app, "bob@example.com").await;
    let revoke = "mutation($id: ID!) { revokeSession(input: {id: $id}) { id } }";
    let own = ask(&ada, revoke, json!({"id": payload["sessionId"]})).await;
    assert_eq!(codes(&own)[0].1, "CANNOT_DELETE_CURRENT_SESSION");
    let foreign = ask(&ada, revoke, json!({"id": others["sessionId"]})).await;
    assert_eq!(codes(&foreign)[0].1, "NOT_FOUND");
    data(ask(&app.rest().server(), revoke, json!({"id": others["sessionId"]})).await);
    bob.graphql("{ me { id } }", Value::Null).await.json(401);
    let create = "mutation($id: ID!) { createSession(input: {userId: $id}) { accessToken userId } }";
    let made = data(ask(&app.rest().server(), create, json!({"id": others["userId"]})).await)["createSession"].clone();
    let again = app.rest().client().user(made["accessToken"].as_str().unwrap());
    assert_eq!(data(ask(&again, "{ me { id } }", Value::Null).await)["me"]["id"], others["userId"]);
    let all = data(ask(&again, "mutation { revokeAllSessions { count } }", Value::Null).await);
    assert_eq!(all["revokeAllSessions"]["count"], 1);
    app.stop().await;
}

#[tokio::test]
async fn without_a_user_or_a_project_the_code_says_what_is_missing() {
    let app = App::start().await;
    assert_eq!(
        codes(&ask(&app.rest().client(), "{ me { id } }", Value::Null).await),
        [("me".to_owned(), "CANNOT_GET_OWN_USER_WITHOUT_USER".to_owned())]
    );
    assert_eq!(
        codes(&ask(&app.rest(), "{ me { id } __typename }", Value::Null).await),
        [("me".to_owned(), "ACCESS_TYPE_REQUIRED".to_owned())]
    );
    let refused = app.rest().client().with("x-stack-access-token", "nope").graphql("{ me { id } }", Value::Null).await;
    assert_eq!(codes(&refused.json(401))[0].1, "UNPARSABLE_ACCESS_TOKEN");
    let wrong_key = app.rest().server().with("x-stack-secret-server-key", "ssk_nope");
    assert_eq!(
        codes(&wrong_key.graphql("{ users { totalCount } }", Value::Null).await.json(401))[0].1,
        "INVALID_SECRET_SERVER_KEY"
    );
    app.stop().await;
}

#[tokio::test]
async fn an_anonymous_user_signs_up_and_becomes_a_regular_one() {
    let app = App::start().await;
    let client = app.rest().client().with("x-stack-allow-anonymous-user", "true");
    let made =
        data(ask(&client, "mutation { signUpAnonymously { accessToken user { id isAnonymous } } }", Value::Null).await);
    let made = &made["signUpAnonymously"];
    assert_eq!(made["user"]["isAnonymous"], true);
    let sign_up = "mutation($input: SignUpWithPasswordInput!) { signUpWithPassword(input: $input) {
        user { id isAnonymous } } }";
    let anonymous = client.user(made["accessToken"].as_str().unwrap());
    let input = json!({"input": {"email": "ada@example.com", "password": "correct horse"}});
    let upgraded = data(ask(&anonymous, sign_up, input).await);
    assert_eq!(upgraded["signUpWithPassword"]["user"], json!({"id": made["user"]["id"], "isAnonymous": false}));
    app.stop().await;
}

#[tokio::test]
async fn passwords_are_changed_and_kept_from_strangers() {
    let app = App::start().await;
    let (ada, payload) = signed_up(&app, "ada@example.com").await;
    let update = "mutation($input: UpdatePasswordInput!) { updatePassword(input: $input) { success } }";
    let input = |old: &str, new: &str| json!({"input": {"oldPassword": old, "newPassword": new, "refreshToken": payload["refreshToken"]}});
    assert_eq!(
        codes(&ask(&ada, update, input("wrong", "battery staple")).await)[0].1,
        "PASSWORD_CONFIRMATION_MISMATCH"
    );
    assert_eq!(codes(&ask(&ada, update, input("correct horse", "short")).await)[0].1, "PASSWORD_TOO_SHORT");
    data(ask(&ada, update, input("correct horse", "battery staple")).await);
    data(ask(&ada, "{ me { id } }", Value::Null).await);
    app.stop().await;
}

/// Aliases of one request are as many sign-ins.
#[tokio::test]
async fn logins_are_counted_one_by_one_within_a_request() {
    let app = App::start().await;
    let client = app.rest().client();
    signed_up(&app, "ada@example.com").await;
    let attempt = |number: usize| {
        format!(
            "a{number}: signInWithPassword(input: {{email: \"ada@example.com\", password: \"wrong {number}\"}}) {{ userId }}"
        )
    };
    let mutation = format!("mutation {{ {} }}", (0..10).map(attempt).collect::<Vec<_>>().join(" "));
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        let answer = client.graphql(&mutation, Value::Null).await;
        outcomes.extend(codes(&answer.json(200)).into_iter().map(|(_, code)| code));
    }
    let (tried, limited) = outcomes.split_at(20);
    assert!(tried.iter().all(|code| code == "EMAIL_PASSWORD_MISMATCH"), "{outcomes:?}");
    assert!(limited.len() == 10 && limited.iter().all(|code| code == "RATE_LIMITED"), "{outcomes:?}");
    app.stop().await;
}
