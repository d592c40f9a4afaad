//! Pausing, cancelling, putting off and correcting mails, and what becomes of them while others look.

use postern_entity::email;
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

use super::{retrying::failure, *};
use crate::{
    Code,
    emails::{
        Recipient, Status, UpdateEmail,
        edit::update,
        prepare::{Prepared, prepare},
    },
    ports::mail::MailErrorKind,
};

const LATER: i64 = 3600;

async fn edit(bench: &TestBench, project_id: &ProjectId, id: EmailId, change: UpdateEmail) -> Result<String, Code> {
    let edited = update(&bench.deps, &server_actor(project_id), id, change).await;
    edited.map(|email| email.status.to_owned()).map_err(|error| error.failure().unwrap().code)
}

fn paused(is_paused: bool) -> UpdateEmail {
    UpdateEmail { is_paused: Some(is_paused), ..UpdateEmail::default() }
}

#[tokio::test]
async fn a_paused_mail_waits_until_it_may_go_on() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        assert_eq!(edit(&bench, &project_id, id, paused(true)).await.unwrap(), "paused");
        run(&bench).await;
        bench.clock.advance_seconds(LATER);
        run(&bench).await;
        assert!(bench.mailer.sent().is_empty());
        edit(&bench, &project_id, id, paused(false)).await.unwrap();
        run(&bench).await;
        assert_eq!(Status::of(&row(&bench, id).await), Status::Sent);
        assert_eq!(bench.mailer.sent().len(), 1);
        assert_eq!(edit(&bench, &project_id, id, paused(true)).await, Err(Code::EmailNotEditable));
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_mail_is_skipped_whatever_else_is_asked_and_its_codes_are_wiped() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        edit(&bench, &project_id, id, paused(true)).await.unwrap();
        let change = UpdateEmail { cancel: true, source: Some("{% broken".to_owned()), ..paused(true) };
        assert_eq!(edit(&bench, &project_id, id, change).await.unwrap(), "skipped");
        run(&bench).await;
        let row = row(&bench, id).await;
        assert_eq!(row.skipped_reason.as_deref(), Some("MANUALLY_CANCELLED"));
        assert_eq!((row.sealed_variables, row.is_paused), (None, false));
        assert!(bench.mailer.sent().is_empty());
        let refused = update(&bench.deps, &server_actor(&project_id), id, paused(false)).await.unwrap_err();
        let failure = refused.failure().unwrap();
        assert_eq!(failure.code, Code::EmailNotEditable);
        assert_eq!(failure.details, Some(json!({ "email_id": id, "status": "SKIPPED" })));
    })
    .await;
}

#[tokio::test]
async fn a_mail_is_put_off_and_called_back() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        let at = bench.deps.now().plus_seconds(LATER);
        let later = UpdateEmail { scheduled_at: Some(at), ..UpdateEmail::default() };
        edit(&bench, &project_id, id, later).await.unwrap();
        run(&bench).await;
        assert_eq!(Status::of(&row(&bench, id).await), Status::Scheduled);
        bench.clock.advance_seconds(LATER / 2);
        let now = UpdateEmail { scheduled_at: Some(bench.deps.now()), ..UpdateEmail::default() };
        edit(&bench, &project_id, id, now).await.unwrap();
        run(&bench).await;
        assert_eq!(bench.mailer.sent().len(), 1);
        bench.clock.advance_seconds(LATER);
        run(&bench).await;
        assert_eq!(bench.mailer.sent().len(), 1, "the job that waited finds it sent");
    })
    .await;
}

#[tokio::test]
async fn a_failed_mail_is_corrected_and_keeps_its_code() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("nobody@example.com"))).await;
        bench.mailer.fail_next(failure(MailErrorKind::Rejected));
        run(&bench).await;
        assert_eq!(Status::of(&row(&bench, id).await), Status::ServerError);
        let shown = row(&bench, id).await.variables;
        let change = UpdateEmail {
            to: Some(to("ada@example.com")),
            variables: shown.as_object().cloned(),
            ..UpdateEmail::default()
        };
        assert_eq!(edit(&bench, &project_id, id, change).await.unwrap(), "preparing");
        let reset = row(&bench, id).await;
        assert_eq!((reset.send_retries, reset.send_error, reset.send_attempt_errors), (0, None, None));
        run(&bench).await;
        let sent = bench.mailer.sent();
        assert_eq!((sent[0].to.as_slice(), sent.len()), (["ada@example.com".to_owned()].as_slice(), 1));
        assert!(sent[0].text.contains(CODE));
    })
    .await;
}

#[tokio::test]
async fn another_value_takes_the_place_of_a_code() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        let variables = json!({ "emailVerificationLink": "https://app.example/elsewhere" });
        let change = UpdateEmail { variables: variables.as_object().cloned(), ..UpdateEmail::default() };
        edit(&bench, &project_id, id, change).await.unwrap();
        let row = row(&bench, id).await;
        assert_eq!((row.sealed_variables, row.secrets_expire_at), (None, None));
        run(&bench).await;
        let sent = bench.mailer.sent();
        assert!(sent[0].text.contains("https://app.example/elsewhere") && !sent[0].text.contains(CODE));
    })
    .await;
}

#[tokio::test]
async fn what_was_rendered_of_an_earlier_content_does_not_count() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        let old = row(&bench, id).await;
        let source = "{% block subject %}New{% endblock %}{% block content %}<mj-section></mj-section>{% endblock %}";
        let change = UpdateEmail { source: Some(source.to_owned()), ..UpdateEmail::default() };
        edit(&bench, &project_id, id, change).await.unwrap();
        // A worker that read the row before the edit goes on rendering it.
        let project = crate::projects::lookup(&bench.deps, &project_id).await.unwrap().unwrap();
        let job =
            queue::claim(&bench.deps, Lane::Mail, "slow", 1, LEASE, queue::Suspects::Any).await.unwrap().remove(0);
        let after = prepare(&bench.deps, &job.lease, old, &project).await.unwrap();
        assert!(matches!(after, Prepared::Row(row) if row.rendered_at.is_none()));
        run(&bench).await;
        assert_eq!(bench.mailer.sent()[0].subject, "New");
    })
    .await;
}

#[tokio::test]
async fn a_mail_that_leaves_meanwhile_is_not_changed() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        put_on_its_way(&bench, id).await;
        for change in [paused(true), UpdateEmail { cancel: true, ..UpdateEmail::default() }] {
            assert_eq!(edit(&bench, &project_id, id, change).await, Err(Code::EmailNotEditable));
        }
        assert_eq!(Status::of(&row(&bench, id).await), Status::Sending);
    })
    .await;
}

/// As the row stands while a mail is on its way.
async fn put_on_its_way(bench: &TestBench, id: EmailId) {
    let at = bench.deps.now();
    let changes = email::ActiveModel {
        rendering_worker_id: Set(Some(Uuid::new_v4())),
        started_rendering_at: Set(Some(at)),
        rendered_at: Set(Some(at)),
        rendered_subject: Set(Some("s".to_owned())),
        rendered_is_transactional: Set(Some(true)),
        is_queued: Set(true),
        started_sending_at: Set(Some(at)),
        sending_claim_id: Set(Some(Uuid::new_v4())),
        ..Default::default()
    };
    change(bench, id, changes).await;
}

#[tokio::test]
async fn wrong_changes_are_refused_and_change_nothing() {
    on_each_database(with_shared_server(), |bench| async move {
        let (project_id, other) = (bench.insert_project().await, bench.insert_project().await);
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        let before = row(&bench, id).await;
        let custom = |emails: &[&str]| {
            Some(Recipient::CustomEmails { emails: emails.iter().map(|email| (*email).to_owned()).collect() })
        };
        let many = vec!["a@example.com"; 51];
        for (change, code) in [
            (UpdateEmail { to: custom(&["not an address"]), ..UpdateEmail::default() }, Code::SchemaError),
            (UpdateEmail { to: custom(&["a@b\r\nBcc: x@y"]), ..UpdateEmail::default() }, Code::SchemaError),
            (UpdateEmail { to: custom(&many), ..UpdateEmail::default() }, Code::SchemaError),
            (UpdateEmail { source: Some("x".repeat(257 * 1024)), ..UpdateEmail::default() }, Code::SchemaError),
        ] {
            assert_eq!(edit(&bench, &project_id, id, change.clone()).await, Err(code), "{change:?}");
        }
        assert_eq!(edit(&bench, &other, id, paused(true)).await, Err(Code::NotFound));
        let client = crate::actor::Actor::new(project_id.clone(), Level::Client, None);
        let refused = update(&bench.deps, &client, id, paused(true)).await.unwrap_err();
        assert_eq!(refused.failure().unwrap().code, Code::Forbidden);
        assert_eq!(row(&bench, id).await, before);
    })
    .await;
}
