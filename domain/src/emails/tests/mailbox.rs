//! The local mailbox: the one place where caught mails are readable with their codes.

use sea_orm::EntityTrait;

use super::*;
use crate::{
    codes::Code,
    emails::{Status, mailbox, outbox},
};

#[tokio::test]
async fn local_mode_without_a_server_catches_mails_readable_with_their_codes() {
    on_each_database(settings(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("Ada_1@example.com"))).await;
        run(&bench).await;
        assert!(bench.mailer.sent().is_empty());
        let messages = mailbox::list(&bench.deps, None, 10).await.unwrap();
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].to, ["Ada_1@example.com"]);
        assert!(messages[0].html.contains(CODE) && messages[0].text.contains(CODE));
        assert_eq!(messages[0].received_at_millis, START.millis());

        let row = row(&bench, id).await;
        assert_eq!(Status::of(&row), Status::Sent);
        assert_eq!(row.sealed_variables, None);
        let sealed = row.sealed_content.clone().unwrap();
        assert!(!sealed.windows(CODE.len()).any(|window| window == CODE.as_bytes()), "sealed at rest");
        let shown = outbox::get(&bench.deps, &server_actor(&project_id), id).await.unwrap();
        assert!(!serde_json::to_string(&shown).unwrap().contains(CODE), "redacted in the outbox");
    })
    .await;
}

#[tokio::test]
async fn messages_are_found_by_their_whole_address_newest_first() {
    on_each_database(settings(), |bench| async move {
        let project_id = bench.insert_project().await;
        let several =
            Recipient::CustomEmails { emails: vec!["x@example.com".to_owned(), "a_b@example.com".to_owned()] };
        for recipient in [to("a_b@example.com"), several, to("axb@example.com"), to("a_b@example.com.evil.example")] {
            put(&bench, verification(&project_id, recipient)).await;
            run(&bench).await;
            bench.clock.advance_seconds(1);
        }
        let found = |address: &'static str, limit| {
            let deps = bench.deps.clone();
            async move { mailbox::list(&deps, Some(address), limit).await.unwrap() }
        };
        let messages = found("A_b@Example.com", 10).await;
        assert_eq!(messages.iter().map(|message| message.to.len()).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(found("a_b@example.com", 1).await.len(), 1);
        assert_eq!(found("example.com", 10).await.len(), 0);
        assert_eq!(found("%", 10).await.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn deleting_a_message_forgets_its_codes_and_keeps_the_entry() {
    on_each_database(settings(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        run(&bench).await;
        assert!(mailbox::get(&bench.deps, id).await.unwrap().text.contains(CODE));
        mailbox::delete(&bench.deps, id).await.unwrap();
        assert!(mailbox::get(&bench.deps, id).await.err().unwrap().is(Code::NotFound));
        assert!(mailbox::delete(&bench.deps, id).await.unwrap_err().is(Code::NotFound));
        assert_eq!(mailbox::list(&bench.deps, None, 10).await.unwrap().len(), 0);
        let row = row(&bench, id).await;
        assert_eq!((Status::of(&row), row.sealed_content), (Status::Sent, None));
    })
    .await;
}

#[tokio::test]
async fn outside_local_mode_there_is_no_mailbox() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        assert!(mailbox::list(&bench.deps, None, 10).await.err().unwrap().is(Code::NotFound));
        assert!(mailbox::get(&bench.deps, id).await.err().unwrap().is(Code::NotFound));
        assert!(mailbox::delete(&bench.deps, id).await.unwrap_err().is(Code::NotFound));
        run(&bench).await;
        assert_eq!(bench.mailer.sent().len(), 1);
        let rows = postern_entity::email::Entity::find().all(bench.deps.db.read()).await.unwrap();
        assert!(rows.iter().all(|row| row.mailbox_recipients.is_none()));
    })
    .await;
}
