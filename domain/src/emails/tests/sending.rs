//! From the outbox to a mail server, with everything that can go wrong on the way.

use postern_entity::{email, event};
use sea_orm::{ActiveValue::Set, EntityTrait, PaginatorTrait};

use super::*;
use crate::{
    emails::{DEFAULT_THEME, Status},
    error::{Error, Failure},
    ports::mail::MailErrorKind,
};

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
        bench.mailer.fail_next(super::retrying::failure(MailErrorKind::Temporary));
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
        let told = event::Entity::find().filter(event::Column::Kind.eq("email.failed"));
        assert_eq!(told.count(bench.deps.db.read()).await.unwrap(), 1, "whoever follows the log hears of it");
        assert!(bench.mailer.sent().is_empty());
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

#[tokio::test]
async fn a_mail_that_can_be_done_without_says_how_to_stop_it_and_then_stays_away() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let user_id = insert_user(&bench, &project_id, None).await;
        let deps = &bench.deps;
        let news = async || {
            let recipient = Recipient::UserCustomEmails { user_id, emails: vec!["ada@example.com".to_owned()] };
            let id = put(&bench, verification(&project_id, recipient)).await;
            let source = "{% block subject %}News{% endblock %}{% block category %}Marketing{% endblock %}\
                {% block text %}News{% endblock %}{% block content %}<mj-section></mj-section>{% endblock %}";
            let change =
                email::ActiveModel { id: Set(id), template_source: Set(source.to_owned()), ..Default::default() };
            deps.db.write(async |tx| Ok(email::Entity::update(change.clone()).exec(&*tx).await?)).await.unwrap();
            run(&bench).await;
            row(&bench, id).await
        };
        let first = news().await;
        let [mail] = bench.mailer.sent().try_into().unwrap();
        let header = |name: &str| mail.headers.iter().find(|(known, _)| known == name).unwrap().1.clone();
        assert_eq!(header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
        let link = header("List-Unsubscribe").trim_matches(['<', '>']).to_owned();
        assert!(mail.text.contains(&link) && mail.html.contains(&link), "{}", mail.text);
        let code = link.split("code=").nth(1).unwrap();
        assert!(!format!("{first:?}").contains(code), "the code can be read");
        assert!(first.rendered_text.unwrap().contains("code=redacted"));

        let code = crate::sessions::OneTimeCode::parse(code).unwrap();
        crate::notifications::unsubscribe(deps, &code).await.unwrap();
        let second = news().await;
        assert_eq!(second.skipped_reason.as_deref(), Some("USER_UNSUBSCRIBED"));
        assert_eq!(bench.mailer.sent().len(), 1);
    })
    .await;
}
