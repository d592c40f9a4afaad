//! What goes wrong at the sites or on the way: the code of the contract, and nobody made.

use serde_json::json;

use super::{provider::Fault, *};

#[tokio::test]
async fn no_site_in_trouble_makes_anybody() {
    let scene = Scene::start().await;
    let before = scene.count_users().await;
    for kind in ["github", "apple", "twitch", "facebook"] {
        for fault in [Fault::Down, Fault::Html, Fault::Garbage] {
            let (location, cookie) = scene.leave(kind, &[]).await;
            let back = scene.sites.visit(&location);
            scene.sites.fail(Some(fault));
            let answer = scene.come_back(&back, Some(&cookie)).await;
            scene.sites.fail(None);
            let ended_up: Url = answer.header("location").parse().unwrap();
            assert_eq!(told(&ended_up), "OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE", "{kind} {fault:?}");
            assert_eq!(answer.status, if kind == "apple" { 303 } else { 307 });
        }
        let (location, cookie) = scene.leave(kind, &[]).await;
        let back = scene.sites.visit(&location);
        scene.sites.fail(Some(Fault::RefusesCodes));
        let answer = scene.come_back(&back, Some(&cookie)).await;
        scene.sites.fail(None);
        assert_eq!(
            (answer.status.as_u16(), answer.headers.contains_key("x-stack-known-error")),
            (400, false),
            "{kind}"
        );
    }
    let (location, cookie) = scene.leave("github", &[]).await;
    let back = scene.sites.visit(&location);
    scene.sites.fail(Some(Fault::Nameless));
    assert_eq!(scene.come_back(&back, Some(&cookie)).await.status, 400);
    scene.sites.fail(Some(Fault::Denies));
    let ended_up = scene.visit("google", &[]).await;
    assert_eq!(told(&ended_up), "OAUTH_PROVIDER_ACCESS_DENIED");
    assert_eq!(parameter(&ended_up, "details").as_deref(), Some("{}"));
    assert_eq!(scene.count_users().await, before);
    scene.app.stop().await;
}

#[tokio::test]
async fn no_id_token_that_is_not_the_one_is_believed() {
    let scene = Scene::start().await;
    let before = scene.count_users().await;
    for fault in [Fault::ForeignNonce, Fault::ForeignAudience, Fault::ForeignAtHash, Fault::UnknownKey] {
        let (location, cookie) = scene.leave("apple", &[]).await;
        let back = scene.sites.visit(&location);
        scene.sites.fail(Some(fault));
        let answer = scene.come_back(&back, Some(&cookie)).await;
        assert_eq!(answer.status, 400, "{fault:?}: {}", answer.text);
        assert!(answer.text.contains("ID token"), "{fault:?}: {}", answer.text);
        scene.sites.fail(None);
    }
    assert_eq!(scene.count_users().await, before);
    scene.app.stop().await;
}

#[tokio::test]
async fn only_the_browser_that_left_comes_back_and_once() {
    let scene = Scene::start().await;
    let (location, cookie) = scene.leave("github", &[]).await;
    let back = scene.sites.visit(&location);
    let other = "stack-oauth-inner-another=true";
    for wrong in [None, Some(other)] {
        assert_eq!(scene.come_back(&back, wrong).await.status, 400);
    }
    let mut mixed_up = back.clone();
    mixed_up.url.set_path("/api/v1/auth/oauth/callback/google");
    assert_eq!(scene.come_back(&mixed_up, Some(&cookie)).await.status, 400);
    let mut forged = back.clone();
    forged.fields[0].1 = "0".repeat(45);
    assert_eq!(scene.come_back(&forged, Some(&cookie)).await.status, 400);
    assert_eq!(scene.come_back(&back, Some(&format!("a=b; {cookie}; c=d"))).await.status, 303);
    let again = scene.come_back(&back, Some(&cookie)).await;
    assert_eq!(again.status, 400);
    // The cookie goes whatever comes of it, and nothing but a state gets into its name.
    let name = cookie.split('=').next().unwrap();
    assert_eq!(again.header("set-cookie"), format!("{name}=; Path=/; HttpOnly; Max-Age=0"));
    let mut strange = back.clone();
    strange.fields[0].1 = "a; Domain=evil.test".to_owned();
    let strange = scene.come_back(&strange, Some(&cookie)).await;
    assert_eq!((strange.status.as_u16(), strange.headers.get("set-cookie")), (400, None));
    scene.app.stop().await;
}

#[tokio::test]
async fn whoever_may_not_leave_is_told_why() {
    let scene = Scene::start().await;
    let refused = async |changes: &[(&str, &str)]| {
        let answer = scene.get(scene.authorize_url("github", changes), None).await;
        (
            answer.status.as_u16(),
            answer.headers.get("x-stack-known-error").map(|code| code.to_str().unwrap().to_owned()),
        )
    };
    let code = |status, code: &str| (status, Some(code.to_owned()));
    let unknown = uuid::Uuid::new_v4().to_string();
    assert_eq!(refused(&[("client_id", &unknown)]).await, code(400, "INVALID_OAUTH_CLIENT_ID_OR_SECRET"));
    assert_eq!(refused(&[("client_secret", "pck_wrong")]).await, code(401, "INVALID_PUBLISHABLE_CLIENT_KEY"));
    assert_eq!(refused(&[("code_challenge", "")]).await, code(400, "SCHEMA_ERROR"));
    assert_eq!(refused(&[("response_type", "token")]).await, code(400, "SCHEMA_ERROR"));
    assert_eq!(refused(&[("type", "link")]).await, (400, None));
    let evil = [("after_callback_redirect_url", "https://evil.test/")];
    assert_eq!(refused(&evil).await, code(400, "REDIRECT_URL_NOT_WHITELISTED"));
    assert_eq!(refused(&[("type", "link"), ("token", "garbage")]).await, code(401, "UNPARSABLE_ACCESS_TOKEN"));
    let keys = &scene.app.internal;
    let other = scene.app.internal_rest().client();
    let body = json!({ "email": "eve@example.com", "password": "correct horse" });
    let other = other.post("/auth/password/sign-up", body).await.json(200);
    let foreign = other["access_token"].as_str().unwrap();
    assert_eq!(refused(&[("type", "link"), ("token", foreign)]).await, (403, None), "{}", keys.project_id);
    let nowhere = scene.get(scene.authorize_url("nowhere", &[]), None).await;
    assert_eq!(nowhere.known_error(), "OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED");
    // A URL that is not trusted is told at the return, and not asked at the site for.
    scene.sites.take_calls();
    let (location, cookie) = scene.leave("github", &[("redirect_uri", "https://evil.test/")]).await;
    let answer = scene.come_back(&scene.sites.visit(&location), Some(&cookie)).await;
    assert_eq!(answer.known_error(), "REDIRECT_URL_NOT_WHITELISTED");
    assert_eq!(scene.sites.take_calls(), Vec::<String>::new());
    scene.app.stop().await;
}
