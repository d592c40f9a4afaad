//! Preferences and unsubscribing on both databases.

use postern_entity::verification_code;
use sea_orm::EntityTrait;
use secrecy::ExposeSecret;
use url::Url;
use uuid::Uuid;

use super::{CATEGORIES, MARKETING, Preference, TRANSACTIONAL, ask, is_wanted, issue_link, list, unsubscribe, update};
use crate::{
    Code, Deps, ProjectId, UserId,
    sessions::{OneTimeCode, test_scene::refusal},
    testing::{client, on_each_database, server, stranger},
    users::{self, CreateUser},
};

async fn user(deps: &Deps, project_id: &ProjectId) -> UserId {
    users::create(deps, &server(project_id), CreateUser::default()).await.unwrap().id
}

fn enabled(preferences: &[Preference]) -> Vec<bool> {
    preferences.iter().map(|preference| preference.enabled).collect()
}

#[tokio::test]
async fn a_user_decides_category_by_category() {
    on_each_database(|bench| async move {
        let (project_id, other) = (bench.insert_project().await, bench.insert_project().await);
        let deps = &bench.deps;
        let (ada, bob) = (user(deps, &project_id).await, user(deps, &project_id).await);
        let own = &client(&project_id, ada);
        let names: Vec<_> = CATEGORIES.iter().map(|category| category.name).collect();
        let listed = list(deps, own, ada).await.unwrap();
        assert_eq!(listed.iter().map(|one| one.notification_category_name.as_str()).collect::<Vec<_>>(), names);
        assert_eq!(enabled(&listed), [true, true]);
        assert_eq!(listed.iter().map(|one| one.can_disable).collect::<Vec<_>>(), [false, true]);
        for (category, is_enabled) in
            [(MARKETING, false), (MARKETING, true), (MARKETING, false), (TRANSACTIONAL, false)]
        {
            let changed = update(deps, own, ada, category.id, is_enabled).await.unwrap();
            assert_eq!((changed.notification_category_id, changed.enabled), (category.id, is_enabled));
        }
        assert_eq!(enabled(&list(deps, &server(&project_id), ada).await.unwrap()), [false, false]);
        assert_eq!(enabled(&list(deps, &server(&project_id), bob).await.unwrap()), [true, true]);
        let reader = deps.db.read();
        assert!(!is_wanted(reader, &project_id, ada, MARKETING.id).await.unwrap());
        // What answers a user is sent whatever the user chose.
        assert!(is_wanted(reader, &project_id, ada, TRANSACTIONAL.id).await.unwrap());
        assert!(is_wanted(reader, &project_id, bob, MARKETING.id).await.unwrap());

        assert_eq!(refusal(update(deps, own, bob, Uuid::new_v4(), true).await), Code::NotFound);
        for (actor, refused) in [
            (own.clone(), Code::Forbidden),
            (stranger(&project_id), Code::UserAuthenticationRequired),
            (server(&other), Code::UserNotFound),
        ] {
            assert_eq!(refusal(list(deps, &actor, bob).await), refused);
            assert_eq!(refusal(update(deps, &actor, bob, MARKETING.id, true).await), refused);
        }
        let told = bench.events(&project_id).await;
        assert_eq!(told.iter().filter(|(kind, _)| kind == "notification_preference.updated").count(), 4);
    })
    .await;
}

#[tokio::test]
async fn the_link_in_a_mail_asks_and_then_stops_the_mails() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let deps = &bench.deps;
        let ada = user(deps, &project_id).await;
        let link = || async {
            let project_id = &project_id;
            let made = deps.db.write(|tx| async move { issue_link(deps, &tx, project_id, ada, &MARKETING).await });
            let link: Url = made.await.unwrap().expose_secret().parse().unwrap();
            assert_eq!(link.path(), "/unsubscribe");
            let pairs: Vec<_> = link.query_pairs().into_owned().collect();
            assert_eq!(pairs.len(), 1);
            OneTimeCode::parse(&pairs[0].1).unwrap()
        };
        let (first, second) = (link().await, link().await);
        for _ in 0..30 {
            // However often something opens the link.
            let about = ask(deps, &first).await.unwrap();
            assert_eq!((about.category, about.is_done), ("Marketing", false));
        }
        assert_eq!(enabled(&list(deps, &server(&project_id), ada).await.unwrap()), [true, true]);
        for _ in 0..2 {
            assert!(unsubscribe(deps, &first).await.unwrap().is_done);
            assert!(ask(deps, &first).await.unwrap().is_done);
        }
        assert_eq!(enabled(&list(deps, &server(&project_id), ada).await.unwrap()), [true, false]);
        // Changing one's mind is not undone by opening an old mail again.
        update(deps, &server(&project_id), ada, MARKETING.id, true).await.unwrap();
        unsubscribe(deps, &first).await.unwrap();
        assert_eq!(enabled(&list(deps, &server(&project_id), ada).await.unwrap()), [true, true]);

        let unknown = OneTimeCode::parse(&"0".repeat(45)).unwrap();
        assert_eq!(refusal(ask(deps, &unknown).await), Code::VerificationCodeNotFound);
        assert_eq!(refusal(unsubscribe(deps, &unknown).await), Code::VerificationCodeNotFound);
        bench.clock.advance_seconds(30 * 24 * 60 * 60);
        assert_eq!(refusal(ask(deps, &second).await), Code::VerificationCodeExpired);
        assert_eq!(refusal(unsubscribe(deps, &second).await), Code::VerificationCodeExpired);
        users::delete(deps, &server(&project_id), ada).await.unwrap();
        assert_eq!(refusal(unsubscribe(deps, &first).await), Code::VerificationCodeNotFound);
        assert_eq!(verification_code::Entity::find().all(deps.db.read()).await.unwrap(), []);
    })
    .await;
}
