//! One content for many users.

use std::collections::BTreeSet;

use postern_entity::{email, email_batch, user};
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::Map;

use super::*;
use crate::{
    Code,
    emails::{
        Audience, Body, SendEmails, Status, Theme, fill_outbox,
        jobs::FillOutbox,
        library::drafts::{self, NewDraft},
        send_emails,
    },
    error::Result,
};

fn html(to: Audience, html: &str) -> SendEmails {
    SendEmails {
        to: Some(to),
        content: Body::Html(html.to_owned()),
        subject: Some("News".to_owned()),
        notification_category_name: None,
        theme: None,
        is_high_priority: false,
        scheduled_at: None,
    }
}

async fn send_all(bench: &TestBench, project_id: &ProjectId, wanted: &SendEmails) -> Result<Vec<UserId>> {
    send_emails(&bench.deps, &server_actor(project_id), wanted).await
}

async fn with_own_server(bench: &TestBench) -> ProjectId {
    let project_id = bench.insert_project().await;
    set_own_server(bench, &project_id, 465).await;
    project_id
}

async fn mails(bench: &TestBench) -> Vec<email::Model> {
    email::Entity::find().all(bench.deps.db.read()).await.unwrap()
}

/// Runs the jobs that fill the outbox, with the clock moving on while they wait.
async fn fill(bench: &TestBench) {
    for _ in 0..1000 {
        let jobs = queue::claim(&bench.deps, Lane::General, "t", 10, LEASE, queue::Suspects::Any).await.unwrap();
        for job in jobs {
            let payload: FillOutbox = serde_json::from_value(job.payload).unwrap();
            let ending = fill_outbox(&bench.deps, &job.lease, &payload).await.unwrap();
            queue::end_all(&bench.deps, &[(job.lease, ending)]).await.unwrap();
        }
        run(bench).await;
        if email_batch::Entity::find().count(bench.deps.db.read()).await.unwrap() == 0 {
            return;
        }
        bench.clock.advance_seconds(1);
    }
    panic!("the batch never ends");
}

#[tokio::test]
async fn a_mail_to_a_few_users_stands_in_the_outbox_at_once() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = with_own_server(&bench).await;
        let ada = insert_user(&bench, &project_id, Some("ada@example.com")).await;
        let nobody = insert_user(&bench, &project_id, None).await;
        let wanted = html(Audience::Users(vec![ada, nobody, ada]), "<p>Hello {{ user.displayName }}</p>");
        assert_eq!(send_all(&bench, &project_id, &wanted).await.unwrap(), [ada, nobody]);
        assert_eq!(mails(&bench).await.len(), 2, "one mail for each");
        run(&bench).await;
        let sent = bench.mailer.sent();
        assert_eq!(
            (sent.len(), sent[0].subject.as_str(), sent[0].from_address.as_str()),
            (1, "News", "shop@tenant.example")
        );
        assert!(sent[0].html.contains("<p>Hello {{ user.displayName }}</p>"), "HTML stays as it is");
        let skipped = mails(&bench).await.into_iter().find(|row| row.recipient_user_id == Some(nobody)).unwrap();
        assert_eq!(skipped.skipped_reason.as_deref(), Some("USER_HAS_NO_PRIMARY_EMAIL"));
        assert_eq!(skipped.rendered_is_transactional, Some(false));
    })
    .await;
}

#[tokio::test]
async fn nobody_gets_a_mail_when_one_user_is_unknown() {
    on_each_database(with_shared_server(), |bench| async move {
        let (project_id, other) = (with_own_server(&bench).await, bench.insert_project().await);
        let ada = insert_user(&bench, &project_id, Some("ada@example.com")).await;
        let foreign = insert_user(&bench, &other, Some("bob@example.com")).await;
        let refused = send_all(&bench, &project_id, &html(Audience::Users(vec![ada, foreign]), "x")).await.unwrap_err();
        let failure = refused.failure().unwrap();
        assert_eq!((failure.code, &failure.details), (Code::UserIdDoesNotExist, &Some(json!({ "user_id": foreign }))));
        assert!(mails(&bench).await.is_empty());
        assert_eq!(send_all(&bench, &project_id, &html(Audience::Users(vec![]), "x")).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn everybody_gets_one_mail_also_when_the_worker_dies_between() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = with_own_server(&bench).await;
        let mut users = BTreeSet::new();
        for _ in 0..250 {
            users.insert(insert_user(&bench, &project_id, None).await.0);
        }
        let other = bench.insert_project().await;
        insert_user(&bench, &other, None).await;
        let named = send_all(&bench, &project_id, &html(Audience::Everybody, "x")).await.unwrap();
        assert_eq!(named.len(), 250);
        assert!(mails(&bench).await.is_empty(), "more than a hundred are written by the worker");
        bench.clock.advance_seconds(1);
        let late = insert_user(&bench, &project_id, None).await;
        let moved = user::ActiveModel {
            id: sea_orm::ActiveValue::Set(late),
            signed_up_at: sea_orm::ActiveValue::Set(bench.deps.now()),
            ..Default::default()
        };
        bench.deps.db.write(async |tx| Ok(user::Entity::update(moved.clone()).exec(&*tx).await?)).await.unwrap();
        // The first run commits its hundred, and its worker dies before it can say so.
        let job =
            queue::claim(&bench.deps, Lane::General, "dies", 1, LEASE, queue::Suspects::Any).await.unwrap().remove(0);
        let payload: FillOutbox = serde_json::from_value(job.payload).unwrap();
        drop(fill_outbox(&bench.deps, &job.lease, &payload).await.unwrap());
        assert_eq!(mails(&bench).await.len(), 100);
        bench.clock.advance_seconds(61);
        fill(&bench).await;
        let written = mails(&bench).await;
        let to: BTreeSet<_> = written.iter().filter_map(|row| row.recipient_user_id.map(|id| id.0)).collect();
        assert_eq!((written.len(), to), (250, users), "everybody who was there, once");
    })
    .await;
}

#[tokio::test]
async fn a_long_list_is_written_by_the_worker_never_far_ahead_of_it() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = with_own_server(&bench).await;
        let mut users = Vec::new();
        for _ in 0..320 {
            users.push(insert_user(&bench, &project_id, None).await);
        }
        send_all(&bench, &project_id, &html(Audience::Users(users.clone()), "x")).await.unwrap();
        for _ in 0..5 {
            for job in queue::claim(&bench.deps, Lane::General, "t", 10, LEASE, queue::Suspects::Any).await.unwrap() {
                let payload: FillOutbox = serde_json::from_value(job.payload).unwrap();
                let ending = fill_outbox(&bench.deps, &job.lease, &payload).await.unwrap();
                queue::end_all(&bench.deps, &[(job.lease, ending)]).await.unwrap();
            }
        }
        assert_eq!(mails(&bench).await.len(), 200, "it waits for those to be rendered");
        bench.clock.advance_seconds(1);
        fill(&bench).await;
        assert_eq!(mails(&bench).await.len(), 320);
    })
    .await;
}

#[tokio::test]
async fn a_template_and_a_draft_are_sent_with_what_belongs_to_them() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = with_own_server(&bench).await;
        let ada = insert_user(&bench, &project_id, Some("ada@example.com")).await;
        let template = "0f8fad5b-d9cb-469f-a165-70867728950e";
        let source = "{% block subject %}For {{ variables.what }}{% endblock %}{% block category %}Marketing{% endblock %}\
            {% block variables %}{\"what\": \"you\"}{% endblock %}{% block html %}<i>{{ variables.what }}</i>{% endblock %}";
        bench.set_config(&project_id, json!({
            "emails.server": { "isShared": false, "host": "h.example", "port": 465, "username": "u", "password": "p",
                "senderName": "S", "senderEmail": "s@tenant.example" },
            format!("emails.templates.{template}"): { "displayName": "T", "tsxSource": source },
        }))
        .await;
        let of_template = |variables: serde_json::Value| SendEmails {
            content: Body::Template { id: template.to_owned(), variables: variables.as_object().cloned().unwrap() },
            subject: None,
            theme: Some(Theme::None),
            ..html(Audience::Users(vec![ada]), "")
        };
        send_all(&bench, &project_id, &of_template(json!({ "what": "<you>" }))).await.unwrap();
        run(&bench).await;
        let sent = bench.mailer.sent();
        assert_eq!((sent[0].subject.as_str(), sent[0].html.as_str()), ("For <you>", "<i>&lt;you&gt;</i>"));
        assert!(sent[0].headers.iter().any(|(name, _)| name == "List-Unsubscribe"));
        for wrong in [json!({}), json!({ "what": 5 })] {
            send_all(&bench, &project_id, &of_template(wrong)).await.unwrap();
        }
        run(&bench).await;
        let broken: Vec<_> = mails(&bench).await.into_iter().filter_map(|row| row.render_error).collect();
        assert_eq!(broken.len(), 2);
        assert!(broken.iter().all(|why| why.contains("variables.what")), "{broken:?}");

        let admin = crate::actor::Actor::new(project_id.clone(), Level::Admin, None);
        let new = NewDraft { display_name: "D".to_owned(), source: None, theme: Theme::None };
        let draft = drafts::create(&bench.deps, &admin, new).await.unwrap();
        let of_draft = SendEmails { content: Body::Draft(draft.id), subject: None, ..html(Audience::Users(vec![ada]), "") };
        send_all(&bench, &project_id, &of_draft).await.unwrap();
        run(&bench).await;
        let of_draft = mails(&bench).await.into_iter().find(|row| row.draft_id.is_some()).unwrap();
        assert_eq!((of_draft.created_with.as_str(), &of_draft.theme_id), ("draft", &None));
        assert_eq!(Status::of(&of_draft), Status::Sent);
        let draft = drafts::get(&bench.deps, &admin, draft.id).await.unwrap();
        assert_eq!(draft.sent_at, Some(bench.deps.now()));
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_in_the_order_of_the_contract() {
    on_each_database(with_shared_server(), |bench| async move {
        let shared = bench.insert_project().await;
        let project_id = with_own_server(&bench).await;
        let ada = insert_user(&bench, &project_id, None).await;
        let to = || Audience::Users(vec![ada, UserId::random()]);
        let code = |outcome: Result<Vec<UserId>>| outcome.unwrap_err().failure().unwrap().code;
        let nobody = SendEmails { to: None, ..html(to(), "x") };
        assert_eq!(code(send_all(&bench, &shared, &nobody).await), Code::RequiresCustomEmailServer);
        assert_eq!(code(send_all(&bench, &project_id, &nobody).await), Code::SchemaError);
        let category = SendEmails { notification_category_name: Some("Spam".to_owned()), ..html(to(), "x") };
        assert_eq!(code(send_all(&bench, &project_id, &category).await), Code::BadRequest);
        let unknown = |content| SendEmails { content, ..html(to(), "x") };
        let template = Body::Template { id: uuid::Uuid::new_v4().to_string(), variables: Map::new() };
        assert_eq!(code(send_all(&bench, &project_id, &unknown(template)).await), Code::BadRequest);
        let draft = Body::Draft(postern_entity::EmailDraftId::random());
        assert_eq!(code(send_all(&bench, &project_id, &unknown(draft)).await), Code::BadRequest);
        assert_eq!(code(send_all(&bench, &project_id, &html(to(), "x")).await), Code::UserIdDoesNotExist);
        let huge = html(to(), &"x".repeat(300 * 1024));
        assert_eq!(code(send_all(&bench, &project_id, &huge).await), Code::SchemaError);
        assert!(mails(&bench).await.is_empty());
    })
    .await;
}
