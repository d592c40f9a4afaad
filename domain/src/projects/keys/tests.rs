//! Key sets, on both databases.

use super::*;
use crate::testing::on_each_database;

fn admin(project_id: &ProjectId) -> Actor {
    Actor::new(project_id.clone(), Level::Admin, None)
}

fn new_key_set(deps: &Deps) -> NewKeySet {
    NewKeySet { description: "test".to_owned(), expires_at: deps.now().plus_seconds(60), wanted: WantedKeys::ALL }
}

#[tokio::test]
async fn each_key_opens_its_own_level_of_its_own_project_only() {
    on_each_database(|bench| async move {
        let (project, other) = (bench.insert_project().await, bench.insert_project().await);
        let created = create_key_set(&bench.deps, &admin(&project), new_key_set(&bench.deps)).await.unwrap();
        let keys = created.keys;
        let levels = [
            (Level::Client, keys.publishable_client_key.unwrap(), "pck_"),
            (Level::Server, keys.secret_server_key.unwrap(), "ssk_"),
            (Level::Admin, keys.super_secret_admin_key.unwrap(), "sak_"),
        ];
        for (level, key, prefix) in &levels {
            assert!(key.starts_with(prefix) && key.len() == 49, "{key}");
            for (asked, _, _) in &levels {
                assert_eq!(check_key(&bench.deps, &project, *asked, key).await.unwrap(), asked == level);
                assert!(!check_key(&bench.deps, &other, *asked, key).await.unwrap());
            }
        }
        assert!(!check_key(&bench.deps, &project, Level::Client, "").await.unwrap());
        assert!(!check_key(&bench.deps, &project, Level::Client, &"x".repeat(100_000)).await.unwrap());
        assert!(!check_key(&bench.deps, &project, Level::Client, NO_PUBLISHABLE_CLIENT_KEY).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_key_ends_at_its_expiry_and_at_once_when_revoked() {
    on_each_database(|bench| async move {
        let project = bench.insert_project().await;
        let (deps, actor) = (&bench.deps, admin(&project));
        let first = create_key_set(deps, &actor, new_key_set(deps)).await.unwrap();
        let second = create_key_set(deps, &actor, new_key_set(deps)).await.unwrap();
        let (first_key, second_key) = (first.keys.secret_server_key.unwrap(), second.keys.secret_server_key.unwrap());
        assert!(check_key(deps, &project, Level::Server, &first_key).await.unwrap());
        assert!(check_key(deps, &project, Level::Server, &second_key).await.unwrap());

        let revoke = KeySetChange { description: Some("leaked".to_owned()), revoke: true };
        let revoked = update_key_set(deps, &actor, first.key_set.id, revoke.clone()).await.unwrap();
        assert!(!check_key(deps, &project, Level::Server, &first_key).await.unwrap());
        assert_eq!((revoked.description.as_str(), revoked.revoked_at), ("leaked", Some(deps.now())));
        bench.clock.advance_seconds(30);
        let again = update_key_set(deps, &actor, first.key_set.id, revoke).await.unwrap();
        assert_eq!(again.revoked_at, revoked.revoked_at);
        assert_eq!(key_set(deps, &actor, first.key_set.id).await.unwrap(), again);

        assert!(check_key(deps, &project, Level::Server, &second_key).await.unwrap());
        bench.clock.advance_seconds(30);
        assert!(!check_key(deps, &project, Level::Server, &second_key).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn sets_are_listed_newest_first_without_their_keys() {
    on_each_database(|bench| async move {
        let (project, other) = (bench.insert_project().await, bench.insert_project().await);
        let (deps, actor) = (&bench.deps, admin(&project));
        let mut made = Vec::new();
        for publishable_client_key in [true, false] {
            let wanted = WantedKeys { publishable_client_key, secret_server_key: false, super_secret_admin_key: true };
            made.push(create_key_set(deps, &actor, NewKeySet { wanted, ..new_key_set(deps) }).await.unwrap());
            bench.clock.advance_seconds(1);
        }
        create_key_set(deps, &admin(&other), new_key_set(deps)).await.unwrap();
        let listed = key_sets(deps, &actor).await.unwrap();
        assert_eq!(listed, [made[1].key_set.clone(), made[0].key_set.clone()]);
        let key = made[0].keys.publishable_client_key.as_deref().unwrap();
        assert_eq!(listed[1].publishable_client_key_last_four.as_deref(), key.get(45..));
        assert_eq!(listed[0].publishable_client_key_last_four, None);
        let error = key_set(deps, &admin(&other), made[0].key_set.id).await.unwrap_err();
        assert!(error.is(Code::ApiKeyNotFound));
    })
    .await;
}

#[tokio::test]
async fn only_administrators_touch_key_sets() {
    on_each_database(|bench| async move {
        let project = bench.insert_project().await;
        let deps = &bench.deps;
        let id = create_key_set(deps, &admin(&project), new_key_set(deps)).await.unwrap().key_set.id;
        for level in [Level::Client, Level::Server] {
            let actor = Actor::new(project.clone(), level, None);
            let revoke = KeySetChange { description: None, revoke: true };
            assert!(create_key_set(deps, &actor, new_key_set(deps)).await.unwrap_err().is(Code::Forbidden));
            assert!(key_sets(deps, &actor).await.unwrap_err().is(Code::Forbidden));
            assert!(key_set(deps, &actor, id).await.unwrap_err().is(Code::Forbidden));
            assert!(update_key_set(deps, &actor, id, revoke).await.unwrap_err().is(Code::Forbidden));
        }
        let left = key_sets(deps, &admin(&project)).await.unwrap();
        assert_eq!(left.len(), 1);
        assert!(left[0].is_valid(deps.now()));
    })
    .await;
}

#[test]
fn keys_do_not_show_in_debug() {
    let keys = Keys::generate(WantedKeys::ALL).unwrap();
    for prefix in ["pck_", "ssk_", "sak_"] {
        assert!(!format!("{keys:?}").contains(prefix));
    }
    assert_eq!(last_four("ab"), "ab");
    assert_eq!(last_four("pck_1234"), "1234");
}
