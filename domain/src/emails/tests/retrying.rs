//! Tries that fail or are cut off, and what becomes of the mail.

use postern_entity::email;
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

use super::*;
use crate::{
    emails::{Status, wipe_expired_secrets},
    ports::mail::{MailError, MailErrorKind},
};

pub(super) fn failure(kind: MailErrorKind) -> MailError {
    MailError::new(kind, format!("421 {} try later", kind.as_str()))
}

#[tokio::test]
async fn a_transient_failure_is_tried_again_later_and_later_five_times_in_all() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        for (attempt, mean) in [(1, 40_000), (2, 80_000), (3, 160_000), (4, 320_000)] {
            bench.mailer.fail_next(failure(MailErrorKind::Timeout));
            run(&bench).await;
            let row = row(&bench, id).await;
            assert_eq!((Status::of(&row), row.send_retries), (Status::Scheduled, attempt));
            let due = due_in(&bench).await.unwrap();
            assert!((mean / 2..=mean * 3 / 2).contains(&due), "attempt {attempt}: {due}");
            assert_eq!(row.next_send_retry_at, Some(bench.deps.now().plus_millis(due)));
            bench.clock.advance_seconds(due / 1000 - 1);
            run(&bench).await;
            assert_eq!(super::row(&bench, id).await.send_retries, attempt, "not before its time");
            bench.clock.advance_seconds(2);
        }
        bench.mailer.fail_next(failure(MailErrorKind::Timeout));
        run(&bench).await;
        let row = row(&bench, id).await;
        assert_eq!((Status::of(&row), row.send_retries), (Status::ServerError, 5));
        assert_eq!(row.send_error.as_deref(), Some("421 TIMEOUT try later"));
        let attempts = row.send_attempt_errors.unwrap();
        assert_eq!(attempts.as_array().unwrap().len(), 5);
        assert_eq!(attempts[0]["timestamp"], "2026-01-02T03:04:05.678Z");
        assert_eq!(attempts[4]["external_details"]["errorType"], "TIMEOUT");
        assert_eq!(due_in(&bench).await, None);
    })
    .await;
}

#[tokio::test]
async fn every_try_of_a_mail_has_the_same_message_id() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        bench.mailer.fail_next(failure(MailErrorKind::SocketClosed));
        run(&bench).await;
        let message_id = row(&bench, id).await.message_id;
        bench.clock.advance_seconds(60);
        run(&bench).await;
        assert_eq!(bench.mailer.sent()[0].message_id, message_id);
        assert_eq!(message_id, format!("{id}@localhost"));
        assert_eq!(row(&bench, id).await.send_retries, 1, "success is not counted");
    })
    .await;
}

#[tokio::test]
async fn a_permanent_failure_ends_at_once_with_what_the_server_said() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("nobody@example.com"))).await;
        bench.mailer.fail_next(MailError::new(MailErrorKind::Rejected, "the server refused: 554 no such user"));
        run(&bench).await;
        let row = row(&bench, id).await;
        assert_eq!((Status::of(&row), row.send_retries), (Status::ServerError, 1));
        assert_eq!(row.send_error.as_deref(), Some("the server refused: 554 no such user"));
        assert_eq!(due_in(&bench).await, None);
    })
    .await;
}

#[tokio::test]
async fn secrets_of_a_failed_mail_are_wiped_when_they_expire() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("nobody@example.com"))).await;
        bench.mailer.fail_next(failure(MailErrorKind::Rejected));
        run(&bench).await;
        let _ending = wipe_expired_secrets(&bench.deps).await.unwrap();
        assert!(row(&bench, id).await.sealed_variables.is_some(), "an administrator may still correct the mail");
        bench.clock.advance_seconds(7 * 24 * 60 * 60);
        let _ending = wipe_expired_secrets(&bench.deps).await.unwrap();
        let row = row(&bench, id).await;
        assert_eq!((row.sealed_variables, row.sealed_content, row.secrets_expire_at), (None, None, None));
    })
    .await;
}

#[tokio::test]
async fn a_mail_whose_codes_expired_is_not_sent() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        bench.clock.advance_seconds(7 * 24 * 60 * 60);
        run(&bench).await;
        let row = row(&bench, id).await;
        assert_eq!(Status::of(&row), Status::ServerError);
        assert!(row.send_error.unwrap().contains("expired"));
        assert!(bench.mailer.sent().is_empty());
    })
    .await;
}

/// As a process leaves the row that dies between saving the state and saving the outcome.
async fn cut_off(bench: &TestBench, id: EmailId) {
    let changes = email::ActiveModel {
        is_queued: Set(true),
        started_sending_at: Set(Some(bench.deps.now())),
        sending_claim_id: Set(Some(Uuid::new_v4())),
        ..Default::default()
    };
    change(bench, id, changes).await;
}

/// Renders the mail and leaves its job waiting.
async fn put_rendered(bench: &TestBench, project_id: &ProjectId) -> EmailId {
    let id = put(bench, verification(project_id, to("ada@example.com"))).await;
    change(bench, id, email::ActiveModel { scheduled_at: Set(START.plus_seconds(10)), ..Default::default() }).await;
    run(bench).await;
    bench.clock.advance_seconds(10);
    id
}

#[tokio::test]
async fn a_try_that_was_cut_off_is_repeated_once_under_the_same_message_id() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put_rendered(&bench, &project_id).await;
        let message_id = row(&bench, id).await.message_id;
        cut_off(&bench, id).await;
        run(&bench).await;
        assert!(bench.mailer.sent().is_empty(), "the try may still be running");
        bench.clock.advance_seconds(60);
        run(&bench).await;
        let sent = bench.mailer.sent();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].message_id, message_id);
        let row = row(&bench, id).await;
        assert_eq!((Status::of(&row), row.send_retries), (Status::Sent, 1));
        assert_eq!(row.send_attempt_errors.unwrap()[0]["external_details"]["errorType"], "INTERRUPTED");
    })
    .await;
}

#[tokio::test]
async fn a_mail_that_kills_its_process_each_time_ends_in_an_error() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put_rendered(&bench, &project_id).await;
        for attempts in 1..=4 {
            change(&bench, id, email::ActiveModel { send_retries: Set(attempts), ..Default::default() }).await;
        }
        cut_off(&bench, id).await;
        bench.clock.advance_seconds(60);
        run(&bench).await;
        let row = row(&bench, id).await;
        assert_eq!((Status::of(&row), row.send_retries), (Status::ServerError, 5));
        assert!(bench.mailer.sent().is_empty());
    })
    .await;
}

#[tokio::test]
async fn the_outcome_of_a_try_that_was_given_up_does_not_count() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        let stopped =
            queue::claim(&bench.deps, Lane::Mail, "stopped", 1, LEASE, queue::Suspects::Any).await.unwrap().remove(0);
        let payload: SendEmail = serde_json::from_value(stopped.payload).unwrap();
        bench.mailer.fail_next(failure(MailErrorKind::Rejected));
        let late = send(&bench.deps, &stopped.lease, &payload).await.unwrap();
        // The worker was stopped here for longer than its lease, and another one sends the mail.
        bench.clock.advance_seconds(120);
        run(&bench).await;
        let lost = queue::end_all(&bench.deps, &[(stopped.lease, late)]).await.unwrap();
        assert_eq!(lost.len(), 1);
        let row = row(&bench, id).await;
        assert_eq!((Status::of(&row), row.send_error), (Status::Sent, None));
        assert_eq!(bench.mailer.sent().len(), 1);
    })
    .await;
}
