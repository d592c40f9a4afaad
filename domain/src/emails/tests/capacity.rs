//! How fast a project sends, and who goes first.

use postern_entity::{email, email_quota};
use sea_orm::{ActiveValue::Set, EntityTrait, IntoActiveModel};

use super::{retrying::failure, *};
use crate::{
    Code,
    emails::{Status, boost, delivery_info, hurry, jobs::HurryEmails},
    ports::mail::{MailError, MailErrorKind},
};

/// A quarter of 200 at once, and the one at the edge.
const BURST: usize = 51;
/// Between two mails of 200 an hour.
const INTERVAL: i64 = 18;

async fn queued(bench: &TestBench) -> usize {
    let rows = email::Entity::find().all(bench.deps.db.read()).await.unwrap();
    rows.iter().filter(|row| Status::of(row) == Status::Queued).count()
}

async fn put_many(bench: &TestBench, project_id: &ProjectId, count: usize) -> Vec<EmailId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(put(bench, verification(project_id, to("ada@example.com"))).await);
    }
    ids
}

/// Takes the due jobs as a worker does, for so long.
async fn claim(bench: &TestBench, lease: Duration) -> Vec<queue::Claimed> {
    queue::claim(&bench.deps, Lane::Mail, "another", 100, lease, queue::Suspects::Any).await.unwrap()
}

/// Lets a worker have begun to send the mail.
async fn on_its_way(bench: &TestBench, id: EmailId) {
    let jobs = postern_entity::job::Entity::find().all(bench.deps.db.read()).await.unwrap();
    let job = jobs.into_iter().find(|job| job.payload.to_string().contains(&id.to_string())).unwrap();
    let changes = email::ActiveModel {
        waiting_job_id: Set(Some(job.id)),
        started_sending_at: Set(Some(bench.deps.now())),
        sending_claim_id: Set(Some(uuid::Uuid::new_v4())),
        is_queued: Set(true),
        next_send_retry_at: Set(None),
        ..Default::default()
    };
    change(bench, id, changes).await;
}

/// Lets the server have taken it.
pub(super) async fn gone(bench: &TestBench, id: EmailId) {
    let changes = email::ActiveModel {
        finished_sending_at: Set(Some(bench.deps.now())),
        can_have_delivery_info: Set(Some(false)),
        ..Default::default()
    };
    change(bench, id, changes).await;
}

/// Has another worker begin to send as many mails as go at once, and puts some more, which then wait.
pub(super) async fn put_behind(
    bench: &TestBench,
    project_id: &ProjectId,
    lease: Duration,
    count: usize,
) -> (Vec<EmailId>, Vec<EmailId>) {
    let first = put_many(bench, project_id, 8).await;
    for _ in &first {
        bench.mailer.fail_next(failure(MailErrorKind::Temporary));
    }
    run(bench).await;
    bench.clock.advance_seconds(100);
    assert_eq!(claim(bench, lease).await.len(), first.len());
    for id in &first {
        on_its_way(bench, *id).await;
    }
    let behind = put_many(bench, project_id, count).await;
    run(bench).await;
    assert_eq!((bench.mailer.sent().len(), queued(bench).await), (0, count));
    (first, behind)
}

#[tokio::test]
async fn when_one_has_gone_the_next_go_at_once_in_their_order() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let (first, mut behind) = put_behind(&bench, &project_id, LEASE, 20).await;
        gone(&bench, first[0]).await;
        let (deps, now) = (&bench.deps, bench.deps.now());
        deps.db.write(async |tx| super::super::capacity::pass_on(&tx, deps, &project_id, now).await).await.unwrap();
        run(&bench).await;
        assert_eq!(queued(&bench).await, 0, "the clock has not moved");
        // Of the same moment, they go by their ids.
        behind.sort();
        assert_eq!(bench.mailer.sent().len(), behind.len());
        for (mail, id) in bench.mailer.sent().iter().zip(&behind) {
            assert!(mail.message_id.contains(&id.to_string()), "{} is not of {id}", mail.message_id);
        }
    })
    .await;
}

#[tokio::test]
async fn those_behind_do_not_wait_for_what_a_dead_worker_had_on_its_way() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let (first, behind) = put_behind(&bench, &project_id, Duration::from_secs(10), 20).await;
        bench.clock.advance_seconds(11);
        run(&bench).await;
        for id in &behind {
            assert_eq!(Status::of(&row(&bench, *id).await), Status::Sent);
        }
        for id in &first {
            assert_eq!(Status::of(&row(&bench, *id).await), Status::Sending, "the worker may only have slept");
        }
        bench.clock.advance_seconds(50);
        run(&bench).await;
        for id in &first {
            assert_eq!(Status::of(&row(&bench, *id).await), Status::Sent);
        }
        assert_eq!(bench.mailer.sent().len(), 28);
    })
    .await;
}

#[tokio::test]
async fn beyond_its_rate_a_project_waits_and_others_do_not_whosever_the_server_is() {
    on_each_database(with_shared_server(), |bench| async move {
        let (loud, quiet) = (bench.insert_project().await, bench.insert_project().await);
        set_own_server(&bench, &loud, 465).await;
        put_many(&bench, &loud, BURST + 4).await;
        run(&bench).await;
        assert_eq!((bench.mailer.sent().len(), queued(&bench).await), (BURST, 4));
        put(&bench, verification(&quiet, to("bob@example.com"))).await;
        run(&bench).await;
        assert_eq!(bench.mailer.sent().len(), BURST + 1);
        for sent in 1..=4 {
            bench.clock.advance_seconds(INTERVAL);
            run(&bench).await;
            assert_eq!(bench.mailer.sent().len(), BURST + 1 + sent);
        }
    })
    .await;
}

#[tokio::test]
async fn who_is_waited_for_goes_before_those_who_came_earlier() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        put_many(&bench, &project_id, BURST).await;
        run(&bench).await;
        let bulk = put_many(&bench, &project_id, 5).await;
        for id in &bulk {
            change(&bench, *id, email::ActiveModel { is_high_priority: Set(false), ..Default::default() }).await;
        }
        run(&bench).await;
        let urgent = put(&bench, verification(&project_id, to("urgent@example.com"))).await;
        run(&bench).await;
        assert_eq!(queued(&bench).await, 6);
        bench.clock.advance_seconds(INTERVAL);
        run(&bench).await;
        assert_eq!(Status::of(&row(&bench, urgent).await), Status::Sent);
        assert_eq!(queued(&bench).await, 5);
        for left in (0..5).rev() {
            bench.clock.advance_seconds(INTERVAL);
            run(&bench).await;
            assert_eq!(queued(&bench).await, left);
        }
    })
    .await;
}

#[tokio::test]
async fn a_mail_whose_job_is_lost_holds_nobody_up_for_long() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        put_many(&bench, &project_id, BURST).await;
        run(&bench).await;
        let lost = put(&bench, verification(&project_id, to("lost@example.com"))).await;
        run(&bench).await;
        bench
            .deps
            .db
            .write(async |tx| {
                let waiting = postern_entity::job::Entity::delete_many()
                    .filter(postern_entity::job::Column::State.eq(JobState::Pending));
                Ok(waiting.exec(&*tx).await?)
            })
            .await
            .unwrap();
        let next = put(&bench, verification(&project_id, to("next@example.com"))).await;
        for _ in 0..6 {
            run(&bench).await;
            bench.clock.advance_seconds(INTERVAL);
        }
        run(&bench).await;
        assert_eq!(Status::of(&row(&bench, lost).await), Status::Queued);
        assert_eq!(Status::of(&row(&bench, next).await), Status::Sent);
    })
    .await;
}

#[tokio::test]
async fn a_boost_hurries_those_that_wait_and_ends_by_itself() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let actor = server_actor(&project_id);
        put_many(&bench, &project_id, BURST + 8).await;
        run(&bench).await;
        assert_eq!(queued(&bench).await, 8);
        let expires_at = boost(&bench.deps, &actor).await.unwrap();
        assert_eq!(expires_at, bench.deps.now().plus_seconds(4 * 3600));
        let again = boost(&bench.deps, &actor).await.unwrap_err();
        let failure = again.failure().unwrap();
        assert_eq!(failure.code, Code::EmailCapacityBoostAlreadyActive);
        assert_eq!(failure.details, Some(json!({ "expires_at": "2026-01-02T07:04:05.678Z" })));
        let [job] = queue::claim(&bench.deps, Lane::General, "t", 10, LEASE, queue::Suspects::Any)
            .await
            .unwrap()
            .try_into()
            .unwrap();
        let payload: HurryEmails = serde_json::from_value(job.payload).unwrap();
        let ending = hurry(&bench.deps, &job.lease, &payload).await.unwrap();
        queue::end_all(&bench.deps, &[(job.lease, ending)]).await.unwrap();
        // The first waits as long as before, the others a quarter: three intervals of before, in which three would have gone.
        for _ in 0..12 {
            bench.clock.advance_seconds(INTERVAL / 4 + 1);
            run(&bench).await;
        }
        assert_eq!(queued(&bench).await, 0);
        let info = delivery_info(&bench.deps, &actor).await.unwrap();
        assert!(info.is_boost_active && (info.boost_multiplier - 4.0).abs() < f64::EPSILON);
        assert!((info.rate_per_second - (200.0 + 4.0 * 59.0 / 720.0) / 900.0).abs() < 1e-9, "{info:?}");
        bench.clock.advance_seconds(4 * 3600);
        let info = delivery_info(&bench.deps, &actor).await.unwrap();
        assert!(!info.is_boost_active && info.boost_expires_at == Some(expires_at));
        boost(&bench.deps, &actor).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_asked_by_one_mail_at_a_time() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let [first, ..] = put_many(&bench, &project_id, 3).await[..] else { panic!("three mails") };
        let silence = || MailError::new(MailErrorKind::ConnectionFailed, "connection refused").before_greeting();
        for _ in 0..3 {
            bench.mailer.fail_next(silence());
        }
        run(&bench).await;
        let quota =
            email_quota::Entity::find_by_id(project_id.clone()).one(bench.deps.db.read()).await.unwrap().unwrap();
        assert_eq!(quota.failing_since, Some(bench.deps.now()));
        // One is on its way: the others wait for it.
        bench.clock.advance_seconds(100);
        let claimed = claim(&bench, LEASE).await;
        on_its_way(&bench, first).await;
        for job in claimed {
            let payload: SendEmail = serde_json::from_value(job.payload).unwrap();
            if payload.email_id != first {
                let ending = send(&bench.deps, &job.lease, &payload).await.unwrap();
                queue::end_all(&bench.deps, &[(job.lease, ending)]).await.unwrap();
            }
        }
        assert!(bench.mailer.sent().is_empty() && queued(&bench).await == 2);
        // It is cut off after a minute; from then on the server answers.
        bench.clock.advance_seconds(61);
        for _ in 0..30 {
            run(&bench).await;
            bench.clock.advance_seconds(5);
        }
        assert_eq!(bench.mailer.sent().len(), 3);
        let quota =
            email_quota::Entity::find_by_id(project_id.clone()).one(bench.deps.db.read()).await.unwrap().unwrap();
        assert_eq!(quota.failing_since, None);
        assert!(quota.into_active_model().next_at.is_unchanged());
    })
    .await;
}

#[tokio::test]
async fn those_that_wait_for_a_silent_server_hear_that_it_answers() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let first = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        let silence = MailError::new(MailErrorKind::ConnectionFailed, "connection refused").before_greeting();
        bench.mailer.fail_next(silence);
        run(&bench).await;
        on_its_way(&bench, first).await;
        bench.clock.advance_seconds(5);
        put_many(&bench, &project_id, 20).await;
        run(&bench).await;
        assert_eq!(
            (bench.mailer.sent().len(), queued(&bench).await),
            (0, 20),
            "each waits 5 s longer than the one before"
        );
        gone(&bench, first).await;
        bench.clock.advance_seconds(5);
        run(&bench).await;
        assert_eq!((bench.mailer.sent().len(), queued(&bench).await), (20, 0));
    })
    .await;
}

#[tokio::test]
async fn mails_outlive_a_server_that_is_away_for_a_day_but_not_longer() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        let silence = || MailError::new(MailErrorKind::ConnectionFailed, "connection refused").before_greeting();
        // An hour.
        let mut tries = 0;
        while bench.deps.now().millis() < START.millis() + 3_600_000 {
            bench.mailer.fail_next(silence());
            run(&bench).await;
            tries += 1;
            assert_eq!(row(&bench, id).await.send_retries, tries);
            bench.clock.advance_seconds(due_in(&bench).await.unwrap() / 1000 + 1);
        }
        let told = row(&bench, id).await.send_attempt_errors.unwrap();
        assert_eq!(told.as_array().unwrap().len(), 1, "one stands for all of them");
        assert_eq!(told[0]["internal_details"], json!({ "unreached": tries, "since_millis": START.millis() }));
        // What the server then says of the mail counts from the beginning.
        bench.mailer.fail_next(failure(MailErrorKind::Temporary));
        run(&bench).await;
        assert_eq!(Status::of(&row(&bench, id).await), Status::Scheduled);
        bench.clock.advance_seconds(due_in(&bench).await.unwrap() / 1000 + 1);
        run(&bench).await;
        assert_eq!(Status::of(&row(&bench, id).await), Status::Sent);

        // The day begins with the first silence, however long the mail has waited for its turn.
        let id = put(&bench, verification(&project_id, to("bob@example.com"))).await;
        let at = bench.deps.now().plus_seconds(48 * 3600);
        change(&bench, id, email::ActiveModel { scheduled_at: Set(at), ..Default::default() }).await;
        bench.clock.advance_seconds(48 * 3600);
        bench.mailer.fail_next(silence());
        run(&bench).await;
        assert_eq!(Status::of(&row(&bench, id).await), Status::Scheduled);
        bench.clock.advance_seconds(24 * 3600);
        bench.mailer.fail_next(silence());
        run(&bench).await;
        assert_eq!(Status::of(&row(&bench, id).await), Status::ServerError);
        let quota = email_quota::Entity::find_by_id(project_id).one(bench.deps.db.read()).await.unwrap().unwrap();
        assert!(quota.failing_since.is_some(), "the server is as silent as before");
    })
    .await;
}
