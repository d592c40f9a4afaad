//! Tries that fail or are cut off, and what becomes of the mail.

use std::sync::Arc;

use async_trait::async_trait;
use postern_entity::email;
use sea_orm::ActiveValue::Set;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::*;
use crate::{
    Deps,
    emails::{Status, UpdateEmail, sweep, update, wipe_expired_secrets},
    ports::{
        mail::{Accepted, MailError, MailErrorKind, Mailer, OutgoingMail},
        sandbox::{Sandbox, SandboxError},
    },
    testing::FakeMailer,
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
        assert_eq!((row.sealed_variables, row.sealed_content), (None, None));
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
        let expired = row(&bench, id).await;
        assert_eq!(Status::of(&expired), Status::ServerError);
        assert!(expired.send_error.unwrap().contains("expired"));

        // Nor once they were wiped, whatever is changed about it but the codes themselves.
        let paused = UpdateEmail { is_paused: Some(true), ..UpdateEmail::default() };
        let id = put(&bench, verification(&project_id, to("bob@example.com"))).await;
        update(&bench.deps, &server_actor(&project_id), id, paused).await.unwrap();
        bench.clock.advance_seconds(7 * 24 * 60 * 60);
        let _ending = wipe_expired_secrets(&bench.deps).await.unwrap();
        let shown = row(&bench, id).await.variables.as_object().cloned();
        for change in [
            UpdateEmail { is_paused: Some(false), ..UpdateEmail::default() },
            UpdateEmail { to: Some(to("cid@example.com")), ..UpdateEmail::default() },
            UpdateEmail { variables: shown, ..UpdateEmail::default() },
        ] {
            update(&bench.deps, &server_actor(&project_id), id, change).await.unwrap();
            run(&bench).await;
            assert_eq!(Status::of(&row(&bench, id).await), Status::ServerError);
        }
        assert!(bench.mailer.sent().is_empty());
        let variables = json!({ "emailVerificationLink": "https://app.example/" }).as_object().cloned();
        let change = UpdateEmail { variables, ..UpdateEmail::default() };
        update(&bench.deps, &server_actor(&project_id), id, change).await.unwrap();
        run(&bench).await;
        assert_eq!(bench.mailer.sent().len(), 1);
    })
    .await;
}

/// A worker whose sandbox cannot be started.
struct NoSandbox;

#[async_trait::async_trait]
impl Sandbox for NoSandbox {
    async fn run(&self, _: &str, _: Vec<u8>, _: Duration) -> Result<Vec<u8>, SandboxError> {
        Err(SandboxError::Unavailable("no process can be started".to_owned()))
    }
}

#[tokio::test]
async fn a_mail_that_fails_for_our_own_reasons_is_tried_ten_times_and_then_ends() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        let source = Set("{% block html %}x{% endblock %}".to_owned());
        change(&bench, id, email::ActiveModel { template_source: source, ..Default::default() }).await;
        let deps = crate::deps::Deps { sandbox: std::sync::Arc::new(NoSandbox), ..bench.deps.clone() };
        for attempt in 1..=10 {
            let jobs = queue::claim(&deps, Lane::Mail, "t", 1, LEASE, queue::Suspects::Any).await.unwrap();
            let [job] = jobs.try_into().unwrap();
            let payload: SendEmail = serde_json::from_value(job.payload).unwrap();
            match send(&deps, &job.lease, &payload).await {
                Err(error) => {
                    let again = queue::Ending::retry_after(Duration::from_secs(1), error.to_string());
                    queue::end_all(&deps, &[(job.lease, again)]).await.unwrap();
                }
                Ok(ending) => {
                    assert_eq!(attempt, 10);
                    queue::end_all(&deps, &[(job.lease, ending)]).await.unwrap();
                }
            }
            bench.clock.advance_seconds(1);
        }
        let row = row(&bench, id).await;
        assert_eq!(Status::of(&row), Status::RenderError);
        assert!(row.render_error.unwrap().contains("the log of the server says why"));
    })
    .await;
}

#[tokio::test]
async fn a_mail_whose_job_is_lost_is_taken_up_again() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let lost = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        let paused = put(&bench, verification(&project_id, to("bob@example.com"))).await;
        change(&bench, paused, email::ActiveModel { is_paused: Set(true), ..Default::default() }).await;
        let later = put(&bench, verification(&project_id, to("cid@example.com"))).await;
        let at = Set(bench.deps.now().plus_seconds(3600));
        change(&bench, later, email::ActiveModel { scheduled_at: at, ..Default::default() }).await;
        let all = postern_entity::job::Entity::delete_many;
        bench.deps.db.write(async |tx| Ok(all().exec(&*tx).await?)).await.unwrap();
        bench.clock.advance_seconds(15 * 60 + 1);
        for _ in 0..2 {
            let _ending = sweep(&bench.deps).await.unwrap();
        }
        let jobs = postern_entity::job::Entity::find().all(bench.deps.db.read()).await.unwrap();
        assert_eq!(jobs.len(), 1, "once in an hour, and neither what is paused nor what has time");
        run(&bench).await;
        assert_eq!(Status::of(&row(&bench, lost).await), Status::Sent);
    })
    .await;
}

#[tokio::test]
async fn what_no_database_can_store_is_left_out_of_mails_and_answers() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let with_source = async |source: &str| {
            let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
            let source = Set(source.to_owned());
            change(&bench, id, email::ActiveModel { template_source: source, ..Default::default() }).await;
            run(&bench).await;
            row(&bench, id).await
        };
        let nul = r#"{% block subject %}a{{ "\0" }}b{% endblock %}{% block category %}{{ "\0" }}{% endblock %}{% block text %}c{{ "\u0000" }}d{% endblock %}{% block html %}e{{ "\x00" }}f{% endblock %}"#;
        let sent = with_source(nul).await;
        assert_eq!(Status::of(&sent), Status::Sent);
        assert_eq!((sent.rendered_subject.as_deref(), sent.rendered_text.as_deref()), (Some("a b"), Some("cd\n")));
        assert!(sent.rendered_html.unwrap().contains("ef"));
        bench.mailer.fail_next(MailError::new(MailErrorKind::Rejected, "554 what\0ever"));
        let refused = with_source("{% block html %}x{% endblock %}").await;
        assert_eq!(refused.send_error.as_deref(), Some("554 what ever"));
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

/// A mailer whose servers take the mail, and whose process stands still before it hears of that.
#[derive(Debug)]
struct StandsStill {
    mailer: Arc<FakeMailer>,
    goes_on: Semaphore,
}

#[async_trait]
impl Mailer for StandsStill {
    async fn send(&self, server: &MailServer, mail: &OutgoingMail) -> Result<Accepted, MailError> {
        let taken = self.mailer.send(server, mail).await;
        self.goes_on.acquire().await.unwrap().forget();
        taken
    }

    async fn check(&self, server: &MailServer) -> Result<(), MailError> {
        self.mailer.check(server).await
    }
}

#[tokio::test]
async fn what_the_server_said_counts_though_the_job_is_lost_meanwhile() {
    for is_stopped in [false, true] {
        on_each_database(with_shared_server(), |bench| async move {
            let project_id = bench.insert_project().await;
            let id = put_rendered(&bench, &project_id).await;
            let mailer = Arc::new(StandsStill { mailer: Arc::clone(&bench.mailer), goes_on: Semaphore::new(0) });
            let deps = Deps { mailer: Arc::clone(&mailer) as Arc<dyn Mailer>, ..bench.deps.clone() };
            let lease = Duration::from_millis(300);
            let claimed =
                queue::claim(&deps, Lane::Mail, "stopped", 1, lease, queue::Suspects::Any).await.unwrap().remove(0);
            let payload: SendEmail = serde_json::from_value(claimed.payload).unwrap();
            let handler = tokio::spawn({
                let (deps, lease) = (deps.clone(), claimed.lease.clone());
                async move { send(&deps, &lease, &payload).await }
            });
            until(|| async { bench.mailer.sent().len() == 1 }).await;
            until(|| async { claimed.lease.is_over() }).await;
            bench.clock.advance_seconds(1);
            // Somebody else takes the job over, and leaves the try its time.
            run(&bench).await;
            assert_eq!(due_in(&bench).await, Some(59_000));
            if is_stopped {
                handler.abort();
                assert!(handler.await.unwrap_err().is_cancelled());
                mailer.goes_on.add_permits(1);
            } else {
                mailer.goes_on.add_permits(1);
                let ending = handler.await.unwrap().unwrap();
                let lost = queue::end_all(&deps, &[(claimed.lease.clone(), ending)]).await.unwrap();
                assert_eq!(lost, [claimed.lease.job_id]);
            }
            until(|| async { row(&bench, id).await.finished_sending_at.is_some() }).await;
            bench.clock.advance_seconds(60);
            run(&bench).await;
            let row = row(&bench, id).await;
            assert_eq!((Status::of(&row), row.send_retries, bench.mailer.sent().len()), (Status::Sent, 0, 1));
        })
        .await;
    }
}

async fn until<Fut: Future<Output = bool>>(condition: impl Fn() -> Fut) {
    let met = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), met).await.unwrap();
}
