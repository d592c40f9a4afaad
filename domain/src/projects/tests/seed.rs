//! What an installation begins with.

use super::*;

#[tokio::test]
async fn the_first_start_makes_and_tells_secrets_the_second_does_not() {
    on_each_database(|bench| async move {
        let deps = &bench.deps;
        let first = seed(deps, &Seed::default()).await.unwrap();
        let (keys, demo) = (first.internal_keys.unwrap(), first.demo.unwrap());
        assert_eq!(seed(deps, &Seed::default()).await.unwrap(), Seeded::default());
        let internal = ProjectId::internal();
        let key = keys.super_secret_admin_key.unwrap();
        assert!(check_key(deps, &internal, Level::Admin, &key).await.unwrap());
        let key = demo.keys.secret_server_key.clone().unwrap();
        assert!(check_key(deps, &demo.project_id, Level::Server, &key).await.unwrap());
        assert_eq!(demo_project(deps).await.unwrap(), Some(demo.clone()));

        let config = config(deps, &internal).await.unwrap();
        assert!(config.teams.create_personal_team_on_sign_up && config.auth.password.allow_sign_in);
        let permissions = &config.rbac.permissions["team_admin"].contained_permission_ids;
        assert_eq!(permissions.iter().collect::<Vec<_>>(), ["$read_members", "$remove_members", "$update_team"]);
        let project = lookup(deps, &internal).await.unwrap().unwrap();
        assert!(project.owner_team_id.is_some());

        delete_project(deps, &admin(&demo.project_id)).await.unwrap();
        assert_eq!(seed(deps, &Seed::default()).await.unwrap(), Seeded::default(), "a deleted demo stays deleted");
        assert_eq!(demo_project(deps).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn two_starters_seed_once() {
    on_each_database(|bench| async move {
        let first = Seed::default();
        let (a, b) = tokio::join!(seed(&bench.deps, &first), seed(&bench.deps, &first));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert!(a.demo.is_some() != b.demo.is_some());
        assert!(a.internal_keys.is_some() != b.internal_keys.is_some());
        let sets = key_sets(&bench.deps, &admin(&ProjectId::internal())).await.unwrap();
        assert_eq!(sets.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn fixed_keys_open_internal_and_changing_them_ends_the_old_ones() {
    on_each_database(|bench| async move {
        let (deps, internal) = (&bench.deps, ProjectId::internal());
        let opens = async |keys: &Keys| {
            let key = keys.super_secret_admin_key.clone().unwrap();
            check_key(deps, &internal, Level::Admin, &key).await.unwrap()
        };
        let (old, new) = (Keys::generate(WantedKeys::ALL).unwrap(), Keys::generate(WantedKeys::ALL).unwrap());
        let seed_with = async |keys: &Keys| {
            seed(deps, &Seed { internal_keys: Some(keys.clone()), ..Seed::default() }).await.unwrap()
        };
        for _ in 0..2 {
            assert_eq!(seed_with(&old).await.internal_keys, None, "who fixed them knows them");
            assert!(opens(&old).await && !opens(&new).await);
        }
        seed_with(&new).await;
        assert!(opens(&new).await && !opens(&old).await);
        seed_with(&old).await;
        assert!(opens(&old).await && !opens(&new).await);
        assert_eq!(key_sets(deps, &admin(&internal)).await.unwrap().len(), 1);
    })
    .await;
}
