//! What providers report of mails.

use postern_entity::event;
use secrecy::ExposeSecret;

use super::*;
use crate::{
    Code,
    emails::{Status, jobs::NoteEmailReport, note_report, receive_report},
    error::Result,
    ports::mail::Accepted,
    settings::Settings,
    webhooks::{Scheme, Secret, Signed},
};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn with_reports() -> Settings {
    Settings { mail_report_secrets: vec![Secret::parse(SECRET).unwrap()], ..with_shared_server() }
}

struct Sender<'a> {
    bench: &'a TestBench,
    project_id: Option<&'a ProjectId>,
    secret: &'a str,
}

impl Sender<'_> {
    async fn post(&self, message: &str, body: &serde_json::Value) -> Result<()> {
        let (body, at) = (body.to_string(), self.bench.deps.now().seconds());
        let secret = Secret::parse(self.secret).unwrap().to_text();
        let signature = standardwebhooks::Webhook::new(secret.expose_secret()).unwrap();
        let signature = signature.sign(message, at, body.as_bytes()).unwrap();
        let (timestamp, body) = (at.to_string(), body.as_bytes());
        let signed = Signed { id: message, timestamp: &timestamp, signatures: &signature, body };
        receive_report(&self.bench.deps, self.project_id, &signed).await
    }

    /// Reports `kind` of a mail at a second after the start, and lets the worker note it.
    async fn report(&self, kind: &str, second: i64, data: serde_json::Value) {
        let at = crate::emails::iso(START.plus_seconds(second)).unwrap();
        let body = json!({ "type": kind, "created_at": at, "data": data });
        self.post(&format!("msg_{kind}_{second}"), &body).await.unwrap();
        work(self.bench).await;
    }
}

async fn work(bench: &TestBench) {
    for job in queue::claim(&bench.deps, Lane::General, "t", 10, LEASE, queue::Suspects::Any).await.unwrap() {
        let payload: NoteEmailReport = serde_json::from_value(job.payload).unwrap();
        let ending = note_report(&bench.deps, &job.lease, &payload).await.unwrap();
        queue::end_all(&bench.deps, &[(job.lease, ending)]).await.unwrap();
    }
}

async fn sent_mail(bench: &TestBench, project_id: &ProjectId) -> EmailId {
    let id = put(bench, verification(project_id, to("ada@example.com"))).await;
    run(bench).await;
    id
}

async fn status(bench: &TestBench, id: EmailId) -> Status {
    Status::of(&row(bench, id).await)
}

fn named(id: EmailId) -> serde_json::Value {
    json!({ "headers": [{ "name": "X-Entity-Ref-ID", "value": id }] })
}

#[tokio::test]
async fn a_mail_shows_what_was_reported_of_it_in_whatever_order_it_came() {
    on_each_database(with_reports(), |bench| async move {
        let project_id = bench.insert_project().await;
        bench.clock.advance_seconds(100);
        let sender = Sender { bench: &bench, project_id: None, secret: SECRET };
        let id = sent_mail(&bench, &project_id).await;
        assert_eq!(bench.mailer.sent()[0].headers, [("X-Entity-Ref-ID".to_owned(), id.to_string())]);
        sender.report("email.delivery_delayed", 1, named(id)).await;
        assert_eq!(status(&bench, id).await, Status::DeliveryDelayed);
        sender.report("email.delivered", 5, named(id)).await;
        assert_eq!(status(&bench, id).await, Status::Sent);
        sender.report("email.delivery_delayed", 3, named(id)).await;
        assert_eq!(status(&bench, id).await, Status::Sent, "it came late");
        sender.report("email.clicked", 9, named(id)).await;
        sender.report("email.opened", 8, named(id)).await;
        sender.report("email.delivered", 4, named(id)).await;
        let row = row(&bench, id).await;
        assert_eq!(Status::of(&row), Status::Clicked);
        assert_eq!((row.delivered_at, row.opened_at), (Some(START.plus_seconds(4)), Some(START.plus_seconds(8))));
        sender.report("email.complained", 10, named(id)).await;
        assert_eq!(status(&bench, id).await, Status::MarkedAsSpam);

        let bounced = sent_mail(&bench, &project_id).await;
        sender.report("email.bounced", 2, named(bounced)).await;
        assert_eq!(status(&bench, bounced).await, Status::Bounced);
        let info = crate::emails::delivery_info(&bench.deps, &server_actor(&project_id)).await.unwrap();
        assert_eq!((info.stats.hour.sent, info.stats.hour.bounced, info.stats.hour.marked_as_spam), (2, 1, 1));
        assert!((info.penalty_factor - 0.1).abs() < 1e-9, "a mark as spam in two mails");
    })
    .await;
}

#[tokio::test]
async fn a_mail_is_found_by_the_name_that_its_server_gave_it() {
    on_each_database(with_reports(), |bench| async move {
        let project_id = bench.insert_project().await;
        let sender = Sender { bench: &bench, project_id: None, secret: SECRET };
        bench.mailer.accept_next(Accepted { message_id: Some("re_123456".to_owned()), refused: Vec::new() });
        let id = sent_mail(&bench, &project_id).await;
        sender.report("email.delivered", 0, json!({ "email_id": "another" })).await;
        assert_eq!(row(&bench, id).await.delivered_at, None);
        sender.report("email.bounced", 0, json!({ "email_id": "re_123456" })).await;
        assert_eq!(status(&bench, id).await, Status::Bounced);
    })
    .await;
}

#[tokio::test]
async fn a_report_waits_for_the_mail_to_be_noted_as_sent() {
    on_each_database(with_reports(), |bench| async move {
        let project_id = bench.insert_project().await;
        let sender = Sender { bench: &bench, project_id: None, secret: SECRET };
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        let job =
            queue::claim(&bench.deps, Lane::Mail, "slow", 1, LEASE, queue::Suspects::Any).await.unwrap().remove(0);
        let payload: SendEmail = serde_json::from_value(job.payload).unwrap();
        let ending = send(&bench.deps, &job.lease, &payload).await.unwrap();
        sender.report("email.delivered", 0, named(id)).await;
        assert_eq!(row(&bench, id).await.delivered_at, None);
        queue::end_all(&bench.deps, &[(job.lease, ending)]).await.unwrap();
        bench.clock.advance_seconds(5);
        work(&bench).await;
        assert_eq!(row(&bench, id).await.delivered_at, Some(START));
    })
    .await;
}

#[tokio::test]
async fn who_has_not_signed_reports_nothing() {
    on_each_database(with_reports(), |bench| async move {
        let (project_id, own) = (bench.insert_project().await, bench.insert_project().await);
        let id = sent_mail(&bench, &project_id).await;
        let body = json!({ "type": "email.bounced", "data": named(id) });
        let other = Secret::random(Scheme::Hmac).unwrap().to_text();
        let code = |outcome: Result<()>| outcome.unwrap_err().failure().unwrap().code;
        let forged = Sender { bench: &bench, project_id: None, secret: other.expose_secret() };
        assert_eq!(code(forged.post("msg", &body).await), Code::BadRequest);
        // A project without a secret, and one that does not exist, take none.
        for unset in [&own, &ProjectId::random()] {
            let sender = Sender { bench: &bench, project_id: Some(unset), secret: SECRET };
            assert_eq!(code(sender.post("msg", &body).await), Code::BadRequest);
        }
        // A project's own account tells of its own mails only.
        let settings = json!({ "emails.server": {
            "isShared": false, "host": "smtp.resend.com", "port": 465, "username": "resend", "password": "re_1",
            "senderName": "S", "senderEmail": "s@tenant.example", "reportSecret": other.expose_secret(),
        } });
        bench.set_config(&own, settings).await;
        let sender = Sender { bench: &bench, project_id: Some(&own), secret: other.expose_secret() };
        sender.report("email.bounced", 0, named(id)).await;
        assert_eq!(status(&bench, id).await, Status::Sent);
        let its = sent_mail(&bench, &own).await;
        sender.report("email.bounced", 1, named(its)).await;
        assert_eq!(status(&bench, its).await, Status::Bounced);
        // The installation's account does not send for it.
        let installation = Sender { bench: &bench, project_id: None, secret: SECRET };
        installation.report("email.complained", 2, named(its)).await;
        assert_eq!(status(&bench, its).await, Status::Bounced);
        // What is of no interest, and of no mail, is taken all the same.
        installation.report("domain.updated", 3, json!({})).await;
        installation.report("email.delivered", 4, named(EmailId::random())).await;
    })
    .await;
}

#[tokio::test]
async fn a_report_that_comes_twice_is_noted_once() {
    on_each_database(with_reports(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = sent_mail(&bench, &project_id).await;
        let sender = Sender { bench: &bench, project_id: None, secret: SECRET };
        let body = json!({ "type": "email.bounced", "data": named(id) });
        for _ in 0..3 {
            sender.post("msg_1", &body).await.unwrap();
        }
        let [job] = queue::claim(&bench.deps, Lane::General, "t", 10, LEASE, queue::Suspects::Any)
            .await
            .unwrap()
            .try_into()
            .unwrap();
        // Nor does it matter that the job runs twice, or that the provider tells it under another name.
        let payload: NoteEmailReport = serde_json::from_value(job.payload).unwrap();
        for _ in 0..2 {
            drop(note_report(&bench.deps, &job.lease, &payload).await.unwrap());
        }
        bench.clock.advance_seconds(9);
        sender.post("msg_2", &body).await.unwrap();
        work(&bench).await;
        assert_eq!(row(&bench, id).await.bounced_at, Some(START));
        let failed =
            event::Entity::find().filter(event::Column::Kind.eq("email.failed")).all(bench.deps.db.read()).await;
        assert_eq!(failed.unwrap().len(), 1);
    })
    .await;
}
