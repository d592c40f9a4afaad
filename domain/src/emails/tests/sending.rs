//! From the outbox to a mail server, with everything that can go wrong on the way.

use postern_entity::email;
use sea_orm::{ActiveValue::Set, EntityTrait, PaginatorTrait};
use uuid::Uuid;

use super::*;
use crate::{
    emails::{DEFAULT_THEME, Status, wipe_expired_secrets},
    error::{Error, Failure},
    ports::mail::{MailError, MailErrorKind},
};

fn failure(kind: MailErrorKind) -> MailError {
    MailError::new(kind, format!("421 {} try later", kind.as_str()))
}

#[tokio::test]
async fn a_mail_goes_out_with_its_code_and_stays_in_the_outbox_without() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let user_id = insert_user(&bench, &project_id, None).await;
        let recipient = Recipient::UserCustomEmails { user_id, emails: vec!["ada@example.com".to_owned()] };
        let id = put(&bench, verification(&project_id, recipient)).await;
        assert_eq!(Status::of(&row(&bench, id).await), Status::Preparing);
        run(&bench).await;

        let sent = bench.mailer.sent();
        let [mail] = sent.as_slice() else { panic!("one mail") };
        assert_eq!(mail.to, ["ada@example.com"]);
        assert_eq!(mail.from_name, "Test");
        assert_eq!(mail.from_address, "noreply@example.com");
        assert_eq!(mail.subject, "Verify your email at Test");
        assert!(mail.html.contains(CODE) && mail.text.contains(CODE));
        assert!(mail.html.contains("Hi Ada &lt;b&gt;,") && mail.text.contains("Hi Ada <b>,"));

        let row = row(&bench, id).await;
        assert_eq!(Status::of(&row), Status::Sent);
        assert_eq!(
            (row.sealed_variables.clone(), row.sealed_content.clone(), row.secrets_expire_at),
            (None, None, None)
        );
        assert_eq!(row.theme_id.as_deref(), Some(DEFAULT_THEME.id));
        assert_eq!(row.message_id, mail.message_id);
        let shown = format!("{row:?}");
        assert!(!shown.contains(CODE) && shown.contains("code=redacted"), "{shown}");
        assert_eq!(due_in(&bench).await, None);
    })
    .await;
}

#[tokio::test]
async fn nothing_readable_in_the_row_holds_the_code_at_any_stage() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        bench.mailer.fail_next(failure(MailErrorKind::Temporary));
        for _ in 0..2 {
            let row = row(&bench, id).await;
            assert!(!format!("{row:?}").contains(CODE));
            for sealed in [row.sealed_variables, row.sealed_content].into_iter().flatten() {
                assert!(!sealed.windows(CODE.len()).any(|window| window == CODE.as_bytes()));
            }
            run(&bench).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_rolled_back_cause_sends_nothing() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let deps = &bench.deps;
        let outcome: Result<(), Error> = deps
            .db
            .write(async |tx| {
                enqueue(&tx, deps, verification(&project_id, to("ada@example.com"))).await?;
                Err(Failure::bad_request("changed my mind").into())
            })
            .await;
        assert!(outcome.is_err());
        run(&bench).await;
        assert_eq!(email::Entity::find().count(deps.db.read()).await.unwrap(), 0);
        assert!(bench.mailer.sent().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_cause_that_runs_twice_sends_one_mail() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let new = NewEmail { dedup_key: Some("receipt 1".to_owned()), ..verification(&project_id, to("a@b.example")) };
        let first = put(&bench, new.clone()).await;
        assert_eq!(put(&bench, new.clone()).await, first);
        let other_project = bench.insert_project().await;
        assert_ne!(put(&bench, NewEmail { project_id: other_project, ..new }).await, first);
        run(&bench).await;
        assert_eq!(bench.mailer.sent().len(), 2);
    })
    .await;
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
        let stopped = queue::claim(&bench.deps, Lane::Mail, "stopped", 1, LEASE).await.unwrap().remove(0);
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

#[tokio::test]
async fn who_gets_a_mail_is_decided_when_it_is_sent() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let other_project = bench.insert_project().await;
        let with_address = insert_user(&bench, &project_id, Some("ada@example.com")).await;
        let without = insert_user(&bench, &project_id, None).await;
        let foreign = insert_user(&bench, &other_project, Some("eve@example.com")).await;
        let none = Vec::new;
        let cases = [
            (Recipient::UserPrimaryEmail { user_id: with_address }, Ok("ada@example.com")),
            (Recipient::UserCustomEmails { user_id: with_address, emails: none() }, Ok("ada@example.com")),
            (Recipient::UserPrimaryEmail { user_id: without }, Err("USER_HAS_NO_PRIMARY_EMAIL")),
            (Recipient::UserCustomEmails { user_id: without, emails: none() }, Err("NO_EMAIL_PROVIDED")),
            (Recipient::CustomEmails { emails: none() }, Err("NO_EMAIL_PROVIDED")),
            (Recipient::UserPrimaryEmail { user_id: UserId::random() }, Err("USER_ACCOUNT_DELETED")),
            (Recipient::UserPrimaryEmail { user_id: foreign }, Err("USER_ACCOUNT_DELETED")),
        ];
        for (recipient, expected) in cases {
            let before = bench.mailer.sent().len();
            let id = put(&bench, verification(&project_id, recipient.clone())).await;
            run(&bench).await;
            let row = row(&bench, id).await;
            match expected {
                Ok(address) => assert_eq!(bench.mailer.sent()[before].to, [address]),
                Err(reason) => {
                    assert_eq!(bench.mailer.sent().len(), before);
                    assert_eq!((Status::of(&row), row.skipped_reason.as_deref()), (Status::Skipped, Some(reason)));
                    assert_eq!(row.sealed_variables, None, "{recipient:?}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_projects_own_server_is_used_when_it_has_one() {
    on_each_database(with_shared_server(), |bench| async move {
        for (port, encryption) in [(465, Encryption::Tls), (587, Encryption::StartTlsIfOffered)] {
            let project_id = bench.insert_project().await;
            set_own_server(&bench, &project_id, port).await;
            put(&bench, verification(&project_id, to("ada@example.com"))).await;
            run(&bench).await;
            let (server, mail) = (bench.mailer.servers().pop().unwrap(), bench.mailer.sent().pop().unwrap());
            assert_eq!(
                (server.host.as_str(), server.port, server.encryption),
                ("mail.tenant.example", port, encryption)
            );
            assert!(server.chosen_by_tenant);
            assert_eq!(mail.from_name, "The Shop");
            assert_eq!(mail.from_address, "shop@tenant.example");
        }
    })
    .await;
}

#[tokio::test]
async fn an_incomplete_server_of_the_project_is_an_error_and_not_somebody_elses_server() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        bench.set_config(&project_id, json!({ "emails.server": { "isShared": false, "host": "mail.example" } })).await;
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        run(&bench).await;
        let row = row(&bench, id).await;
        assert_eq!(Status::of(&row), Status::ServerError);
        assert!(row.send_error.unwrap().contains("not completely configured"));
        assert!(bench.mailer.sent().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_paused_mail_waits_and_a_broken_template_is_an_error() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let paused = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        change(&bench, paused, email::ActiveModel { is_paused: Set(true), ..Default::default() }).await;
        let broken = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        let source = "{% block subject %}{{ nonsense() }}{% endblock %}".to_owned();
        change(&bench, broken, email::ActiveModel { template_source: Set(source), ..Default::default() }).await;
        run(&bench).await;
        assert_eq!(Status::of(&row(&bench, paused).await), Status::Paused);
        let broken = row(&bench, broken).await;
        assert_eq!(Status::of(&broken), Status::RenderError);
        assert!(broken.render_error.unwrap().contains("unknown function"));
        assert!(bench.mailer.sent().is_empty());
    })
    .await;
}

#[tokio::test]
async fn beyond_its_share_of_the_shared_server_a_project_waits_and_others_do_not() {
    on_each_database(with_shared_server(), |bench| async move {
        let (loud, quiet) = (bench.insert_project().await, bench.insert_project().await);
        for _ in 0..55 {
            put(&bench, verification(&loud, to("ada@example.com"))).await;
        }
        run(&bench).await;
        assert_eq!(bench.mailer.sent().len(), 51);
        let waiting = email::Entity::find().all(bench.deps.db.read()).await.unwrap();
        assert_eq!(waiting.iter().filter(|row| Status::of(row) == Status::Queued).count(), 4);
        put(&bench, verification(&quiet, to("bob@example.com"))).await;
        run(&bench).await;
        assert_eq!(bench.mailer.sent().len(), 52);
        bench.clock.advance_seconds(18);
        run(&bench).await;
        assert_eq!(bench.mailer.sent().len(), 53);
        bench.clock.advance_seconds(18 * 3);
        run(&bench).await;
        assert_eq!(bench.mailer.sent().len(), 56);
    })
    .await;
}

#[tokio::test]
async fn a_projects_own_server_has_no_share() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        set_own_server(&bench, &project_id, 465).await;
        for _ in 0..60 {
            put(&bench, verification(&project_id, to("ada@example.com"))).await;
        }
        run(&bench).await;
        assert_eq!(bench.mailer.sent().len(), 60);
    })
    .await;
}

#[tokio::test]
async fn the_mails_of_a_deleted_project_are_gone() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        put(&bench, verification(&project_id, to("ada@example.com"))).await;
        let delete = || postern_entity::project::Entity::delete_by_id(project_id.clone());
        bench.deps.db.write(async |tx| Ok(delete().exec(&*tx).await?)).await.unwrap();
        run(&bench).await;
        assert!(bench.mailer.sent().is_empty());
    })
    .await;
}
