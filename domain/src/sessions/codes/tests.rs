use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::{
    Level,
    testing::{TestBench, on_each_database},
};

const KIND: CodeKind = CodeKind::EmailVerification;

async fn issued(bench: &TestBench, project_id: &ProjectId) -> String {
    let deps = &bench.deps;
    let new = NewCode {
        project_id: project_id.clone(),
        kind: KIND,
        user_id: None,
        data: json!({"for": "test"}),
        ttl_seconds: 60,
    };
    let issued = deps.db.write(|tx| issue_in(deps, tx, new.clone())).await.unwrap();
    assert_eq!(issued.expires_at, deps.now().plus_seconds(60));
    issued.code.expose_secret().to_owned()
}

async fn issue_in(deps: &Deps, tx: Tx, new: NewCode) -> Result<IssuedCode> {
    issue(deps, &tx, new).await
}

fn parsed(code: &str) -> OneTimeCode {
    OneTimeCode::parse(code).unwrap()
}

fn ticket(code: &OneTimeCode) -> Ticket<'_> {
    Ticket { kind: KIND, code, burns_when_refused: |_| true }
}

fn client(project_id: &ProjectId) -> Actor {
    Actor::new(project_id.clone(), Level::Client, None)
}

async fn check(bench: &TestBench, project_id: &ProjectId, code: &str) -> Option<Code> {
    let checked = check_code(&bench.deps, project_id, KIND, &parsed(code)).await;
    checked.err().map(|error| error.failure().unwrap().code)
}

async fn redeem_once(bench: &TestBench, project_id: &ProjectId, code: &str) -> Option<Code> {
    let (actor, code) = (client(project_id), parsed(code));
    let redeemed = redeem(&bench.deps, &actor, "test", ticket(&code), |_, used| async move {
        assert_eq!(used.data, json!({"for": "test"}));
        Ok(())
    });
    redeemed.await.err().map(|error| error.failure().unwrap().code)
}

fn with_other_head(code: &str) -> String {
    let head = if code.starts_with("000000") { "111111" } else { "000000" };
    format!("{head}{}", &code[6..])
}

#[tokio::test]
async fn a_code_can_be_checked_often_and_used_once_in_any_case() {
    on_each_database(|bench| async move {
        let project = bench.insert_project().await;
        let code = issued(&bench, &project).await;
        assert_eq!(check(&bench, &project, &code).await, None);
        assert_eq!(check(&bench, &project, &code.to_uppercase()).await, None);
        assert_eq!(redeem_once(&bench, &project, &code.to_uppercase()).await, None);
        assert_eq!(redeem_once(&bench, &project, &code).await, Some(Code::VerificationCodeAlreadyUsed));
        assert_eq!(check(&bench, &project, &code).await, Some(Code::VerificationCodeAlreadyUsed));
    })
    .await;
}

#[tokio::test]
async fn a_code_of_another_kind_or_project_is_not_found() {
    on_each_database(|bench| async move {
        let (project, other) = (bench.insert_project().await, bench.insert_project().await);
        let code = issued(&bench, &project).await;
        assert_eq!(check(&bench, &other, &code).await, Some(Code::VerificationCodeNotFound));
        assert_eq!(check(&bench, &project, &with_other_head(&code)).await, Some(Code::VerificationCodeNotFound));
        let other_kind = check_code(&bench.deps, &project, CodeKind::PasswordReset, &parsed(&code)).await;
        assert!(other_kind.unwrap_err().is(Code::VerificationCodeNotFound));
        assert_eq!(check(&bench, &project, &"0".repeat(45)).await, Some(Code::VerificationCodeNotFound));
    })
    .await;
}

#[tokio::test]
async fn the_first_failure_of_the_contract_is_told() {
    on_each_database(|bench| async move {
        let project = bench.insert_project().await;
        let (expiring, used) = (issued(&bench, &project).await, issued(&bench, &project).await);
        assert_eq!(redeem_once(&bench, &project, &used).await, None);
        for _ in 0..30 {
            check(&bench, &project, &used).await;
        }
        // Used and tried too often: used comes first.
        assert_eq!(check(&bench, &project, &used).await, Some(Code::VerificationCodeAlreadyUsed));
        bench.clock.advance_seconds(59);
        assert_eq!(check(&bench, &project, &expiring).await, None);
        bench.clock.advance_seconds(1);
        assert_eq!(check(&bench, &project, &expiring).await, Some(Code::VerificationCodeExpired));
        assert_eq!(redeem_once(&bench, &project, &expiring).await, Some(Code::VerificationCodeExpired));
        // Used and expired: expired comes first.
        assert_eq!(check(&bench, &project, &used).await, Some(Code::VerificationCodeExpired));
    })
    .await;
}

#[tokio::test]
async fn right_and_wrong_guesses_count_until_twenty_were_made() {
    on_each_database(|bench| async move {
        let project = bench.insert_project().await;
        let code = issued(&bench, &project).await;
        for _ in 0..10 {
            assert_eq!(check(&bench, &project, &with_other_head(&code)).await, Some(Code::VerificationCodeNotFound));
            assert_eq!(check(&bench, &project, &code).await, None);
        }
        assert_eq!(check(&bench, &project, &code).await, Some(Code::VerificationCodeMaxAttemptsReached));
        assert_eq!(redeem_once(&bench, &project, &code).await, Some(Code::VerificationCodeMaxAttemptsReached));
        // Another code is not concerned.
        let other = issued(&bench, &project).await;
        assert_eq!(redeem_once(&bench, &project, &other).await, None);
    })
    .await;
}

#[tokio::test]
async fn of_a_hundred_racers_exactly_one_succeeds() {
    on_each_database(|bench| async move {
        let project = bench.insert_project().await;
        let code = issued(&bench, &project).await;
        let (effects, parsed, actor) = (AtomicUsize::new(0), parsed(&code), client(&project));
        let race = || {
            redeem(&bench.deps, &actor, "test", ticket(&parsed), |_, _| async {
                effects.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
        };
        let outcomes = join_all((0..100).map(|_| race())).await;
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 99));
        for error in lost.into_iter().map(Result::unwrap_err) {
            assert!(error.is(Code::VerificationCodeAlreadyUsed), "{error}");
        }
        assert_eq!(effects.load(Ordering::SeqCst), 1);
    })
    .await;
}

#[tokio::test]
async fn a_refused_effect_leaves_nothing_but_uses_the_code_up() {
    on_each_database(|bench| async move {
        let project = bench.insert_project().await;
        let (code, deps) = (issued(&bench, &project).await, &bench.deps);
        let project_id = &project;
        let refused: Result<()> = redeem(deps, &client(&project), "test", ticket(&parsed(&code)), |tx, _| async move {
            let new = NewCode {
                project_id: project_id.clone(),
                kind: CodeKind::SecondFactor,
                user_id: None,
                data: Value::Null,
                ttl_seconds: 60,
            };
            issue(deps, &tx, new).await?;
            refuse(Failure::bad_request("no"))
        })
        .await;
        assert!(refused.unwrap_err().is(Code::BadRequest));
        assert_eq!(verification_code::Entity::find().count(deps.db.read()).await.unwrap(), 1);
        assert_eq!(redeem_once(&bench, &project, &code).await, Some(Code::VerificationCodeAlreadyUsed));
    })
    .await;
}

#[tokio::test]
async fn a_ticket_that_does_not_burn_outlives_a_refused_effect_but_counts_it() {
    on_each_database(|bench| async move {
        let project = bench.insert_project().await;
        let code = issued(&bench, &project).await;
        let (actor, parsed) = (client(&project), parsed(&code));
        let ticket = Ticket { burns_when_refused: |_| false, ..ticket(&parsed) };
        for _ in 0..20 {
            assert!(usable(&bench.deps, &project, KIND, &parsed).await.unwrap().is_some());
            let refused: Result<()> =
                redeem(&bench.deps, &actor, "test", ticket, |_, _| async { refuse(Failure::bad_request("no")) }).await;
            assert!(refused.unwrap_err().is(Code::BadRequest));
        }
        assert!(usable(&bench.deps, &project, KIND, &parsed).await.unwrap().is_none());
        assert_eq!(redeem_once(&bench, &project, &code).await, Some(Code::VerificationCodeMaxAttemptsReached));
    })
    .await;
}

#[tokio::test]
async fn an_effect_that_breaks_leaves_the_code_usable() {
    on_each_database(|bench| async move {
        let project = bench.insert_project().await;
        let code = issued(&bench, &project).await;
        let broken: Result<()> = redeem(&bench.deps, &client(&project), "test", ticket(&parsed(&code)), |_, _| async {
            Err(Error::internal("broken"))
        })
        .await;
        assert!(broken.is_err());
        assert_eq!(redeem_once(&bench, &project, &code).await, None);
    })
    .await;
}

#[tokio::test]
async fn codes_are_stored_as_hashes_and_pruned_a_month_after_their_expiry() {
    on_each_database(|bench| async move {
        let project = bench.insert_project().await;
        let code = issued(&bench, &project).await;
        let row = verification_code::Entity::find().one(bench.deps.db.read()).await.unwrap().unwrap();
        assert_eq!((row.code_hash, row.tail_hash), (hash_token(&code), hash_token(&code[6..])));
        bench.clock.advance_seconds(60 + KEPT_SECONDS);
        assert!(!prune(&bench.deps).await.unwrap());
        assert_eq!(verification_code::Entity::find().count(bench.deps.db.read()).await.unwrap(), 1);
        bench.clock.advance_seconds(1);
        assert!(!prune(&bench.deps).await.unwrap());
        assert_eq!(check(&bench, &project, &code).await, Some(Code::VerificationCodeNotFound));
    })
    .await;
}

#[test]
fn only_texts_of_45_characters_are_codes() {
    for bad in [String::new(), "a".repeat(44), "a".repeat(46), "a".repeat(1_000_000)] {
        assert!(OneTimeCode::parse(&bad).unwrap_err().is(Code::SchemaError));
    }
    assert!(!format!("{:?}", parsed(&"a".repeat(45))).contains('a'.to_string().repeat(2).as_str()));
    // Characters, not bytes; such a text is a code that nobody has.
    assert_eq!(tail(&"ä".repeat(45)).chars().count(), 39);
}
