use bytes::Bytes;

use super::*;
use crate::{
    ports::http::{HttpError, OutgoingResponse},
    sessions::test_scene::refusal,
    testing::{self, TestBench, TestDatabase},
};

async fn bench(is_required: bool) -> (TestDatabase, TestBench) {
    let database = TestDatabase::sqlite().await;
    let turnstile = Turnstile {
        secret_key: "a&b".to_owned().into(),
        verify_url: "https://turnstile.example/verify".parse().unwrap(),
        is_required,
    };
    let settings = crate::settings::Settings { turnstile: Some(turnstile), ..testing::settings() };
    let bench = TestBench::with_settings(&database, settings).await;
    (database, bench)
}

fn shown(phase: Phase, token: &str) -> BotChallenge {
    BotChallenge { token: Some(token.to_owned()), phase: Some(phase), is_unavailable: false }
}

async fn outcome(bench: &TestBench, challenge: &BotChallenge, makes_user: bool) -> Option<Code> {
    let actor = testing::stranger(&crate::ProjectId::internal());
    let client = ClientInfo { ip: Some("192.0.2.7".parse().unwrap()), ..ClientInfo::default() };
    let outcome = require_passed(&bench.deps, &actor, challenge, &client, makes_user).await;
    outcome.is_err().then(|| refusal(outcome))
}

fn answer(status: u16, body: &'static str) -> std::result::Result<OutgoingResponse, HttpError> {
    Ok(OutgoingResponse { status, headers: Vec::new(), body: Bytes::from_static(body.as_bytes()) })
}

#[tokio::test]
async fn a_good_token_passes_and_is_asked_about_once() {
    let (_database, bench) = bench(false).await;
    bench.http.answer_next(answer(200, r#"{"success": true, "hostname": "app.example.com"}"#));
    assert_eq!(outcome(&bench, &shown(Phase::Invisible, "token"), true).await, None);
    let [asked] = bench.http.requests().try_into().unwrap();
    assert_eq!(asked.url.as_str(), "https://turnstile.example/verify");
    assert_eq!(asked.body, "secret=a%26b&response=token&remoteip=192.0.2.7");
}

#[tokio::test]
async fn whatever_else_comes_back_is_no_proof() {
    let (_database, bench) = bench(false).await;
    for (phase, code) in [(Phase::Invisible, Code::BotChallengeRequired), (Phase::Visible, Code::BotChallengeFailed)] {
        for told in [
            answer(200, r#"{"success": false, "error-codes": ["timeout-or-duplicate"]}"#),
            answer(200, "<html>"),
            answer(500, "{\"success\": true}"),
            Err(HttpError::Timeout),
        ] {
            bench.http.answer_next(told);
            assert_eq!(outcome(&bench, &shown(phase, "token"), true).await, Some(code));
        }
        let asked = bench.http.requests().len();
        for token in ["", &"x".repeat(MAX_TOKEN_BYTES + 1)] {
            assert_eq!(outcome(&bench, &shown(phase, token), true).await, Some(code));
        }
        assert_eq!(bench.http.requests().len(), asked, "nobody is asked about what cannot be a token");
    }
}

#[tokio::test]
async fn who_says_nothing_passes_unless_everybody_must_and_servers_always() {
    let silent = BotChallenge::default();
    let unavailable = BotChallenge { phase: Some(Phase::Visible), is_unavailable: true, token: None };
    let (_database, lenient) = bench(false).await;
    assert_eq!(outcome(&lenient, &silent, true).await, None);
    assert_eq!(outcome(&lenient, &unavailable, true).await, Some(Code::BotChallengeFailed));
    assert_eq!(outcome(&lenient, &unavailable, false).await, None);
    let (_database, strict) = bench(true).await;
    assert_eq!(outcome(&strict, &silent, false).await, Some(Code::BotChallengeRequired));
    let server = testing::server(&crate::ProjectId::internal());
    require_passed(&strict.deps, &server, &silent, &ClientInfo::default(), true).await.unwrap();
    assert!(strict.http.requests().is_empty());
}
