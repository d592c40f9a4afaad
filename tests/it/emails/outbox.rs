//! From the transaction of a cause to a real mail server, through the worker's registry, on both databases.

use std::{sync::Arc, time::Duration};

use postern_domain::{
    EmailId, Level, ProjectId,
    actor::Actor,
    emails::{self, NewEmail, Recipient, SendEmail, Template, outbox},
    ports::mail::Encryption,
    queue::{self, Lane},
    settings::Settings,
    testing::{TestBench, TestDatabase, settings},
};
use postern_worker::{registry, testing::run_due_jobs};

use super::smtp::mailer;
use crate::support::smtp::{Fault, SmtpServer, Step, Tls};

const CODE: &str = "c0de0000000000000000000000000000000000000000000";

/// Runs `test` on each database with a shared mail server of its own.
async fn on_each_database<F, Fut>(test: F)
where
    F: Fn(TestBench, SmtpServer) -> Fut,
    Fut: Future<Output = ()>,
{
    for database in TestDatabase::each().await {
        let server = SmtpServer::start(Tls::Offered).await;
        let shared_mail_server = Some(server.as_server(Encryption::StartTls));
        let settings = Settings { local_mode: false, shared_mail_server, ..settings() };
        let mut bench = TestBench::with_settings(&database, settings).await;
        bench.deps.mailer = Arc::new(mailer(&server, &[]));
        test(bench, server).await;
    }
}

async fn put(bench: &TestBench, project_id: &ProjectId) -> EmailId {
    let deps = &bench.deps;
    let link = format!("https://app.example/verify?code={CODE}");
    let recipient = Recipient::CustomEmails { emails: vec!["ada@example.com".to_owned()] };
    let template = || Template::EmailVerification { link: link.clone().into() };
    deps.db
        .write(async |tx| {
            let new = NewEmail::new(project_id.clone(), recipient.clone(), template());
            emails::enqueue(&tx, deps, new).await
        })
        .await
        .unwrap()
}

async fn run(bench: &TestBench) {
    run_due_jobs(&bench.deps, &registry().unwrap()).await.unwrap();
}

async fn status(bench: &TestBench, project_id: &ProjectId, id: EmailId) -> outbox::OutboxEmail {
    let actor = Actor::new(project_id.clone(), Level::Server, None);
    outbox::get(&bench.deps, &actor, id).await.unwrap()
}

#[tokio::test]
async fn an_enqueued_mail_arrives_with_its_code_and_the_outbox_does_not_tell_it() {
    on_each_database(|bench, server| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, &project_id).await;
        run(&bench).await;
        let received = server.received();
        assert_eq!(received.len(), 1);
        assert!(received[0].was_encrypted);
        assert!(received[0].content.replace("=\r\n", "").contains(CODE));
        let shown = status(&bench, &project_id, id).await;
        assert_eq!(shown.status, "sent");
        assert!(!serde_json::to_string(&shown).unwrap().contains(CODE));
    })
    .await;
}

#[tokio::test]
async fn a_server_that_refuses_for_now_gets_the_same_mail_later() {
    on_each_database(|bench, server| async move {
        let project_id = bench.insert_project().await;
        server.misbehave(Step::Rcpt, Fault::Reply("451 come back"));
        let id = put(&bench, &project_id).await;
        run(&bench).await;
        let waiting = status(&bench, &project_id, id).await;
        assert_eq!((waiting.status, waiting.send_retries), ("scheduled", 1));
        bench.clock.advance_seconds(61);
        run(&bench).await;
        assert_eq!(status(&bench, &project_id, id).await.status, "sent");
        assert_eq!(server.received().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_refuses_for_good_ends_it_with_its_words() {
    on_each_database(|bench, server| async move {
        let project_id = bench.insert_project().await;
        server.misbehave(Step::Rcpt, Fault::Reply("550 5.1.1 nobody of that name"));
        let id = put(&bench, &project_id).await;
        run(&bench).await;
        let failed = status(&bench, &project_id, id).await;
        assert_eq!((failed.status, failed.send_retries), ("server-error", 1));
        assert!(failed.sending.server_error.unwrap().contains("550 5.1.1 nobody of that name"));
    })
    .await;
}

#[tokio::test]
async fn a_crash_between_acceptance_and_commit_costs_one_duplicate_under_the_same_message_id() {
    on_each_database(|bench, server| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, &project_id).await;
        let job = queue::claim(&bench.deps, Lane::Mail, "dies", 1, Duration::from_secs(60), queue::Suspects::Any)
            .await
            .unwrap()
            .remove(0);
        let payload: SendEmail = serde_json::from_value(job.payload).unwrap();
        // The server has taken the mail; the process dies before it can say so.
        drop(emails::send(&bench.deps, &job.lease, &payload).await.unwrap());
        assert_eq!(server.received().len(), 1);
        assert_eq!(status(&bench, &project_id, id).await.status, "sending");
        bench.clock.advance_seconds(61);
        run(&bench).await;
        let received = server.received();
        assert_eq!(received.len(), 2);
        assert_eq!(received[0].header("Message-ID"), received[1].header("Message-ID"));
        assert_eq!(status(&bench, &project_id, id).await.status, "sent");
        bench.clock.advance_seconds(3600);
        run(&bench).await;
        assert_eq!(server.received().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_took_the_mail_and_died_gets_it_once_more() {
    on_each_database(|bench, server| async move {
        let project_id = bench.insert_project().await;
        server.misbehave(Step::End, Fault::Close);
        let id = put(&bench, &project_id).await;
        run(&bench).await;
        assert_eq!(status(&bench, &project_id, id).await.status, "scheduled");
        bench.clock.advance_seconds(61);
        run(&bench).await;
        let received = server.received();
        assert_eq!(received.len(), 2);
        assert_eq!(received[0].header("Message-ID"), received[1].header("Message-ID"));
    })
    .await;
}

#[tokio::test]
async fn a_private_server_of_a_tenant_is_refused_and_said_so() {
    on_each_database(|bench, server| async move {
        let project_id = bench.insert_project().await;
        let port = server.as_server(Encryption::Plain).port;
        let own = serde_json::json!({
            "emails.server": {
                "isShared": false, "host": "localhost", "port": port, "username": "shop", "password": "hunter2",
                "senderName": "Shop", "senderEmail": "shop@tenant.example",
            },
        });
        bench.set_config(&project_id, own).await;
        let id = put(&bench, &project_id).await;
        run(&bench).await;
        let failed = status(&bench, &project_id, id).await;
        assert_eq!(failed.status, "server-error");
        assert!(failed.sending.server_error.unwrap().contains("may not reach"));
        assert_eq!(server.received().len(), 0);
    })
    .await;
}
