//! Everybody who comes in, and what they have linked.

use serde_json::json;

use super::*;

#[tokio::test]
async fn somebody_of_every_site_signs_up_and_in() {
    let scene = Scene::start().await;
    for site in kinds() {
        let (id, email, name) = site.account;
        let first = scene.sign_in(site.kind).await;
        assert_eq!((&first["is_new_user"], &first["newUser"]), (&json!(true), &json!(true)), "{}", site.kind);
        let user = scene.user(&first).await;
        let linked = json!([{ "id": site.kind, "account_id": id, "email": email.map(|(email, _)| email) }]);
        assert_eq!(user["oauth_providers"], linked);
        assert_eq!(user["primary_email"], json!(email.map(|(email, _)| email)), "{}", site.kind);
        assert_eq!(user["primary_email_verified"], email.is_some_and(|(_, is_verified)| is_verified), "{}", site.kind);
        assert_eq!(user["display_name"], json!(name), "{}", site.kind);
        let has_picture = !["microsoft", "apple"].contains(&site.kind);
        assert_eq!(user["profile_image_url"].is_string(), has_picture, "{}", site.kind);
        let again = scene.sign_in(site.kind).await;
        assert_eq!(again["is_new_user"], false, "{}", site.kind);
        assert_eq!(scene.user(&again).await["id"], user["id"]);
    }
    let events = scene.app.rest().admin();
    let query = r#"{ auditEvents(first: 1, types: ["sign_in.succeeded"]) { edges { node { payload } } } }"#;
    let told = events.graphql(query, json!({})).await.json(200);
    let payload = &told["data"]["auditEvents"]["edges"][0]["node"]["payload"];
    assert_eq!((&payload["method"], payload["provider"].is_string()), (&json!("oauth"), true), "{told}");
    scene.app.stop().await;
}

#[tokio::test]
async fn an_application_that_sends_the_browser_itself_is_told_where_to() {
    let scene = Scene::start().await;
    for mode in ["stack_response_mode", "hexclave_response_mode"] {
        let told = scene.get(scene.authorize_url("github", &[(mode, "json")]), None).await;
        assert!(!told.headers.contains_key("set-cookie"));
        let back = scene.sites.visit(told.json(200)["location"].as_str().unwrap());
        let answer = scene.come_back(&back, None).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        scene.exchange(&answer.header("location").parse().unwrap()).await.json(200);
    }
    scene.app.stop().await;
}

#[tokio::test]
async fn accounts_are_linked_and_their_tokens_handed_out_and_renewed() {
    let scene = Scene::start().await;
    let ada = scene.sign_in("google").await;
    let token = ada["access_token"].as_str().unwrap().to_owned();
    let client = scene.app.rest().client().with("x-stack-access-token", &token);
    let link = [("type", "link"), ("token", token.as_str()), ("provider_scope", "repo gist")];
    let linked = scene.exchange(&scene.visit("github", &link).await).await.json(200);
    assert_eq!(
        (&linked["is_new_user"], scene.user(&linked).await["id"].clone()),
        (&json!(false), scene.user(&ada).await["id"].clone())
    );
    let accounts = client.get("/connected-accounts/me").await.json(200);
    let of = |provider: &str| {
        let all = accounts["items"].as_array().unwrap();
        all.iter().find(|account| account["provider"] == provider).unwrap()["provider_account_id"].clone()
    };
    assert_eq!((of("google"), of("github")), (json!("1157"), json!("4242")));

    let path = "/connected-accounts/me/github/4242/access-token";
    let wanted = json!({ "scope": "repo" });
    let first = client.post(path, wanted.clone()).await.json(201);
    for other in ["/connected-accounts/me/github/access-token", "/auth/oauth/connected-accounts/github/access-token"] {
        assert_eq!(client.post(other, wanted.clone()).await.json(201), first);
    }
    let refused = client.post(path, json!({ "scope": "admin:org" })).await;
    assert_eq!(refused.known_error(), "OAUTH_CONNECTION_DOES_NOT_HAVE_REQUIRED_SCOPE");
    // The same by the other door.
    let mutation = r#"mutation { createConnectedAccountToken(input: { providerKey: "github", scopes: ["repo"] })
        { accessToken } }"#;
    let told = client.graphql(mutation, json!({})).await.json(200);
    assert_eq!(told["data"]["createConnectedAccountToken"]["accessToken"], first["access_token"], "{told}");

    scene.sites.expire_tokens();
    let second = client.post(path, json!({})).await.json(201);
    assert_ne!(second, first);
    scene.sites.expire_tokens();
    scene.sites.fail(Some(provider::Fault::Revoked));
    let revoked = client.post(path, json!({})).await;
    assert_eq!(revoked.known_error(), "OAUTH_CONNECTION_DOES_NOT_HAVE_REQUIRED_SCOPE");
    scene.sites.fail(None);
    let links = client.get("/oauth-providers?user_id=me").await.json(200);
    let github = links["items"].as_array().unwrap().iter().find(|link| link["type"] == "github").unwrap().clone();
    client.delete(&format!("/oauth-providers/me/{}", github["id"].as_str().unwrap())).await.json(200);
    assert_eq!(client.post(path, json!({})).await.known_error(), "OAUTH_CONNECTION_NOT_CONNECTED_TO_USER");
    scene.app.stop().await;
}

#[tokio::test]
async fn an_anonymous_user_becomes_a_regular_one_and_graphql_does_the_same() {
    let scene = Scene::start().await;
    let client = scene.app.rest().client();
    let anonymous = client.post("/auth/anonymous/sign-up", json!({})).await.json(200);
    let token = anonymous["access_token"].as_str().unwrap();
    let ended_up = scene.visit("discord", &[("token", token)]).await;
    let signed_in = scene.exchange(&ended_up).await.json(200);
    assert_eq!(signed_in["is_new_user"], true);
    let user = scene.user(&signed_in).await;
    assert_eq!((&user["id"], &user["is_anonymous"]), (&anonymous["user_id"], &json!(false)));

    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let begin = format!(
        r#"mutation {{ authorizeWithProvider(input: {{ providerKey: "discord", purpose: AUTHENTICATE, redirectUri: "{REDIRECT}",
            state: "ours", codeChallenge: "{challenge}" }}) {{ redirectUrl }} }}"#
    );
    let told = client.graphql(&begin, json!({})).await.json(200);
    let location = told["data"]["authorizeWithProvider"]["redirectUrl"].as_str().unwrap_or_else(|| panic!("{told}"));
    let answer = scene.come_back(&scene.sites.visit(location), None).await;
    let code = parameter(&answer.header("location").parse().unwrap(), "code").unwrap();
    let exchange = format!(
        r#"mutation {{ exchangeAuthorizationCode(input: {{ code: "{code}", redirectUri: "{REDIRECT}", codeVerifier: "{VERIFIER}" }})
            {{ signIn {{ user {{ id }} isNewUser }} }} }}"#
    );
    let told = client.graphql(&exchange, json!({})).await.json(200);
    let sign_in = &told["data"]["exchangeAuthorizationCode"]["signIn"];
    assert_eq!((&sign_in["user"]["id"], &sign_in["isNewUser"]), (&user["id"], &json!(false)), "{told}");
    scene.app.stop().await;
}

#[tokio::test]
async fn an_app_of_apples_signs_in_by_its_id_token() {
    let scene = Scene::start().await;
    let client = scene.app.rest().client();
    let path = "/auth/oauth/callback/apple/native";
    let token = |audience| json!({ "id_token": id_tokens::of_apple(audience, None, "none", None) });
    let signed_in = client.post(path, token("test.postern.app")).await.json(200);
    assert_eq!(signed_in["is_new_user"], true);
    // The same account as on the web.
    assert_eq!(scene.user(&scene.sign_in("apple").await).await["id"], signed_in["user_id"]);
    for wrong in [token("another.app"), json!({ "id_token": "garbage" })] {
        assert_eq!(client.post(path, wrong).await.known_error(), "INVALID_APPLE_CREDENTIALS");
    }
    scene.configure(json!({ "auth.oauth.providers.apple.appleBundles": {} })).await;
    assert_eq!(client.post(path, token("test.postern.app")).await.known_error(), "APPLE_BUNDLE_ID_NOT_CONFIGURED");
    scene.configure(json!({ "auth.oauth.providers.apple.allowSignIn": false })).await;
    let off = client.post(path, token("test.postern.app")).await;
    assert_eq!(off.known_error(), "OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED");
    scene.app.stop().await;
}

#[tokio::test]
async fn a_project_shares_the_clients_of_the_installation() {
    let sites = Provider::start().await;
    let github = Site::of(|site| site.kind == "github");
    let app = App::builder()
        .set("POSTERN_OAUTH_STAND_IN", &sites.url)
        .set("POSTERN_OAUTH_GITHUB_CLIENT_ID", github.client_id())
        .set("POSTERN_OAUTH_GITHUB_CLIENT_SECRET", &github.client_secret());
    let app = app.start().await;
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let scene = Scene { app, sites, browser };
    let shared = |kind: &str| json!({ "type": kind, "allowSignIn": true, "allowConnectedAccounts": true });
    let providers = ["github", "google"].map(|kind| (format!("auth.oauth.providers.{kind}"), shared(kind)));
    scene.configure(Value::Object(providers.into_iter().collect())).await;
    let signed_in = scene.sign_in("github").await;
    let refused = scene.get(scene.authorize_url("google", &[]), None).await;
    assert_eq!(refused.known_error(), "OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED");
    let refused = scene.get(scene.authorize_url("github", &[("provider_scope", "repo")]), None).await;
    assert_eq!(refused.known_error(), "OAUTH_EXTRA_SCOPE_NOT_AVAILABLE_WITH_SHARED_OAUTH_KEYS");
    let client = scene.app.rest().client().with("x-stack-access-token", signed_in["access_token"].as_str().unwrap());
    let refused = client.post("/connected-accounts/me/github/access-token", json!({})).await;
    assert_eq!(refused.known_error(), "OAUTH_ACCESS_TOKEN_NOT_AVAILABLE_WITH_SHARED_OAUTH_KEYS");
    scene.app.stop().await;
}
