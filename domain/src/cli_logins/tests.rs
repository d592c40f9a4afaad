use futures::future::join_all;

use super::*;
use crate::{
    sessions::{
        refresh,
        test_scene::{Scene, refusal},
    },
    testing::on_each_database,
};

async fn begin(scene: &Scene, anonymous: Option<&SecretString>) -> Started {
    start(scene.deps(), &scene.stranger(), None, anonymous, &ClientInfo::default()).await.unwrap()
}

async fn ask(scene: &Scene, started: &Started) -> Result<Progress> {
    let code = started.polling_code.expose_secret();
    poll(scene.deps(), &scene.stranger(), code, &ClientInfo::default()).await
}

async fn hand(scene: &Scene, started: &Started, token: &SecretString) -> Result<()> {
    complete(scene.deps(), &scene.stranger(), started.login_code.expose_secret(), Some(token), &ClientInfo::default())
        .await
}

#[tokio::test]
async fn a_program_gets_the_browser_s_session_once() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let browser = scene.signed_up().await;
        let started = &begin(&scene, None).await;
        assert!(matches!(ask(&scene, started).await, Ok(Progress::Waiting)));
        let look = inspect(scene.deps(), &scene.stranger(), started.login_code.expose_secret()).await;
        assert_eq!(look.unwrap(), CliSession::None);
        let completed = join_all((0..3).map(|_| hand(&scene, started, &browser.refresh_token))).await;
        assert_eq!(completed.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        let answers = join_all((0..3).map(|_| ask(&scene, started))).await;
        let tokens: Vec<_> = answers
            .into_iter()
            .filter_map(|answer| match answer.unwrap() {
                Progress::Success(token) => Some(token),
                Progress::Used => None,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(tokens.len(), 1);
        assert_eq!(tokens[0].expose_secret(), browser.refresh_token.expose_secret());
        refresh(scene.deps(), &scene.project, &tokens[0], &ClientInfo::default()).await.unwrap();
        let row = cli_login::Entity::find().one(scene.deps().db.read()).await.unwrap().unwrap();
        assert!(row.refresh_token.is_none());
    })
    .await;
}

#[tokio::test]
async fn the_program_s_anonymous_session_is_claimed_once() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let anonymous = scene.anonymous().await;
        let started = &begin(&scene, Some(&anonymous.refresh_token)).await;
        let (deps, stranger, code) = (scene.deps(), &scene.stranger(), started.login_code.expose_secret());
        assert_eq!(inspect(deps, stranger, code).await.unwrap(), CliSession::Anonymous);
        let client = &ClientInfo::default();
        let claims = join_all((0..3).map(|_| claim(deps, stranger, code, client))).await;
        let claimed: Vec<_> = claims.into_iter().filter_map(Result::ok).collect();
        assert_eq!(claimed.len(), 1);
        assert_eq!((claimed[0].user_id, claimed[0].session_id), (anonymous.user_id, anonymous.session_id));
        assert_eq!(inspect(deps, stranger, code).await.unwrap(), CliSession::None);
        // Completing leaves the anonymous user alone.
        hand(&scene, started, &scene.signed_up().await.refresh_token).await.unwrap();
        assert!(scene.user(anonymous.user_id).await.is_anonymous);
        assert_eq!(refusal(inspect(deps, stranger, code).await), Code::BadRequest);
    })
    .await;
}

#[tokio::test]
async fn wrong_and_late_codes_and_tokens_are_refused() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (deps, stranger, client) = (scene.deps(), &scene.stranger(), &ClientInfo::default());
        let user = scene.signed_up().await;
        for millis in [0, MAX_LOGIN_MILLIS + 1] {
            assert_eq!(refusal(start(deps, stranger, Some(millis), None, client).await), Code::SchemaError);
        }
        for token in [&user.refresh_token, &"nothing".to_owned().into()] {
            assert_eq!(refusal(start(deps, stranger, None, Some(token), client).await), Code::BadRequest);
        }
        let started = &begin(&scene, None).await;
        let (login, polling) = (started.login_code.expose_secret(), started.polling_code.expose_secret());
        // Each code is good for its own side only.
        assert_eq!(refusal(poll(deps, stranger, login, client).await), Code::InvalidPollingCode);
        assert_eq!(refusal(poll(deps, stranger, "x", client).await), Code::InvalidPollingCode);
        assert_eq!(
            refusal(complete(deps, stranger, polling, Some(&user.refresh_token), client).await),
            Code::BadRequest
        );
        assert_eq!(refusal(complete(deps, stranger, login, None, client).await), Code::BadRequest);
        assert_eq!(refusal(hand(&scene, started, &"nothing".to_owned().into()).await), Code::BadRequest);
        assert_eq!(refusal(claim(deps, stranger, login, client).await), Code::BadRequest);
        let elsewhere = Actor::new(scene.bench.insert_project().await, crate::Level::Client, None);
        assert_eq!(refusal(poll(deps, &elsewhere, polling, client).await), Code::InvalidPollingCode);
        assert_eq!(refusal(inspect(deps, &elsewhere, login).await), Code::BadRequest);
        scene.bench.clock.advance_millis(DEFAULT_MILLIS);
        assert!(matches!(ask(&scene, started).await, Ok(Progress::Expired)));
        assert_eq!(refusal(hand(&scene, started, &user.refresh_token).await), Code::BadRequest);
        scene.bench.clock.advance_seconds(KEPT_SECONDS + 1);
        assert!(!prune_step(deps).await.unwrap());
        assert_eq!(refusal(ask(&scene, started).await), Code::InvalidPollingCode);
    })
    .await;
}

#[tokio::test]
async fn a_session_that_is_no_longer_anonymous_cannot_be_claimed_and_a_repeated_claim_is_answered_again() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (deps, client) = (scene.deps(), &ClientInfo::default());
        let (first, second) = (scene.anonymous().await, scene.anonymous().await);
        let started = begin(&scene, Some(&first.refresh_token)).await;
        let mut repeated = scene.stranger();
        repeated.idempotency = Some(crate::actor::IdempotencyKey { key: "k".to_owned(), request_hash: vec![1] });
        for _ in 0..2 {
            let claimed = claim(deps, &repeated, started.login_code.expose_secret(), client).await.unwrap();
            assert_eq!(claimed.user_id, first.user_id);
        }
        let started = begin(&scene, Some(&second.refresh_token)).await;
        let change = users::UpdateUser { is_anonymous: Some(false), ..users::UpdateUser::default() };
        users::update(deps, &scene.server(), second.user_id, change).await.unwrap();
        let claimed = claim(deps, &scene.stranger(), started.login_code.expose_secret(), client).await;
        assert_eq!(refusal(claimed), Code::BadRequest);
        scene.bench.clock.advance_millis(DEFAULT_MILLIS);
        prune_step(deps).await.unwrap();
        let rows = cli_login::Entity::find().all(deps.db.read()).await.unwrap();
        assert!(rows.len() == 2 && rows.iter().all(|row| row.anonymous_token.is_none()));
    })
    .await;
}
