use futures::future::join_all;

use super::*;
use crate::{
    Level,
    sessions::{
        refresh, revoke_all,
        test_scene::{Scene, refusal},
    },
    testing::on_each_database,
};

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT: &str = "https://app.example.com/back?x=1#fragment";

fn input() -> HandOver {
    HandOver {
        redirect_uri: REDIRECT.to_owned(),
        state: "a state".to_owned(),
        code_challenge: CHALLENGE.to_owned(),
        code_challenge_method: None,
        after_callback_redirect_url: Some("https://app.example.com/after".to_owned()),
    }
}

async fn hand(scene: &Scene, signed_in: &SignedIn) -> Exchange {
    let actor = scene.client(signed_in).await;
    let url =
        hand_over(scene.deps(), &actor, Some(&signed_in.refresh_token), input(), &ClientInfo::default()).await.unwrap();
    assert!(url.as_str().starts_with("https://app.example.com/back?x=1&code="), "{url}");
    assert!(url.as_str().ends_with("&state=a+state"), "{url}");
    let code = url.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    Exchange { code, redirect_uri: Some(REDIRECT.to_owned()), code_verifier: Some(VERIFIER.to_owned().into()) }
}

async fn take(scene: &Scene, exchange: &Exchange) -> Result<Exchanged> {
    super::exchange(scene.deps(), &scene.project, exchange.clone(), &ClientInfo::default()).await
}

#[tokio::test]
async fn a_code_hands_the_very_session_over_once() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let signed_in = scene.signed_up().await;
        let code = &hand(&scene, &signed_in).await;
        let outcomes = join_all((0..4).map(|_| take(&scene, code))).await;
        let mut taken: Vec<_> = outcomes.into_iter().filter_map(Result::ok).collect();
        assert_eq!(taken.len(), 1);
        let taken = taken.pop().unwrap();
        let (ours, theirs) = (&signed_in.refresh_token, &taken.signed_in.refresh_token);
        assert_eq!(ours.expose_secret(), theirs.expose_secret());
        assert_eq!(taken.after_callback_redirect_url.as_deref(), Some("https://app.example.com/after"));
        assert_eq!(scene.claims(&taken.signed_in).await.refresh_token_id, signed_in.session_id);
        let row = authorization_code::Entity::find().one(scene.deps().db.read()).await.unwrap().unwrap();
        assert!(row.refresh_token.is_none() && row.used_at.is_some());
        assert_eq!(refusal(take(&scene, code).await), Code::InvalidAuthorizationCode);
        refresh(scene.deps(), &scene.project, theirs, &ClientInfo::default()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_wrong_verifier_leaves_the_code_good_and_a_wrong_target_does_not() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let code = hand(&scene, &scene.signed_up().await).await;
        for verifier in [None, Some(CHALLENGE.to_owned().into()), Some("short".to_owned().into())] {
            let wrong = Exchange { code_verifier: verifier, ..code.clone() };
            assert_eq!(refusal(take(&scene, &wrong).await), Code::InvalidAuthorizationCode);
        }
        let elsewhere = Exchange { redirect_uri: Some("https://app.example.com/".to_owned()), ..code.clone() };
        assert_eq!(refusal(take(&scene, &elsewhere).await), Code::BadRequest);
        assert_eq!(refusal(take(&scene, &code).await), Code::InvalidAuthorizationCode);
    })
    .await;
}

#[tokio::test]
async fn a_code_ends_with_its_time_its_session_and_its_project() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let signed_in = scene.signed_up().await;
        let late = hand(&scene, &signed_in).await;
        scene.bench.clock.advance_seconds(CODE_SECONDS);
        assert_eq!(refusal(take(&scene, &late).await), Code::InvalidAuthorizationCode);
        let foreign = hand(&scene, &signed_in).await;
        let other = scene.bench.insert_project().await;
        let client = ClientInfo::default();
        let outcome = super::exchange(scene.deps(), &other, foreign.clone(), &client).await;
        assert_eq!(refusal(outcome), Code::InvalidAuthorizationCode);
        revoke_all(scene.deps(), &scene.server(), signed_in.user_id).await.unwrap();
        assert_eq!(refusal(take(&scene, &foreign).await), Code::InvalidAuthorizationCode);
        scene.bench.clock.advance_seconds(CODE_SECONDS + 1);
        assert!(!prune_step(scene.deps()).await.unwrap());
        assert!(authorization_code::Entity::find().one(scene.deps().db.read()).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn only_the_session_s_own_token_hands_it_over_and_only_to_trusted_places() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let signed_in = scene.signed_up().await;
        let other = scene.anonymous().await;
        let (deps, actor) = (scene.deps(), &scene.client(&signed_in).await);
        let own = Some(&signed_in.refresh_token);
        let cases = [
            (&scene.stranger(), own, input(), Code::UserAuthenticationRequired),
            (actor, None, input(), Code::BadRequest),
            (actor, Some(&other.refresh_token), input(), Code::Unauthenticated),
            (
                actor,
                own,
                HandOver { redirect_uri: "https://evil.example".to_owned(), ..input() },
                Code::RedirectUrlNotWhitelisted,
            ),
            (
                actor,
                own,
                HandOver { after_callback_redirect_url: Some("https://evil.example".to_owned()), ..input() },
                Code::RedirectUrlNotWhitelisted,
            ),
            (actor, own, HandOver { state: String::new(), ..input() }, Code::SchemaError),
            (actor, own, HandOver { state: "s".repeat(513), ..input() }, Code::SchemaError),
            (actor, own, HandOver { code_challenge: "short".to_owned(), ..input() }, Code::SchemaError),
            (actor, own, HandOver { code_challenge_method: Some("plain".to_owned()), ..input() }, Code::SchemaError),
        ];
        for (actor, token, input, code) in cases {
            assert_eq!(
                refusal(hand_over(deps, actor, token, input.clone(), &ClientInfo::default()).await),
                code,
                "{input:?}"
            );
        }
        let server = Actor::new(scene.project.clone(), Level::Server, None);
        assert_eq!(
            refusal(hand_over(deps, &server, own, input(), &ClientInfo::default()).await),
            Code::UserAuthenticationRequired
        );
        assert!(authorization_code::Entity::find().one(deps.db.read()).await.unwrap().is_none());
    })
    .await;
}
