//! What owners do with their keys, and whether one is good.

use super::*;
use crate::actor::IdempotencyKey;

const DAY_SECONDS: i64 = 24 * 60 * 60;

#[tokio::test]
async fn a_key_is_told_once_and_kept_as_a_hash() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let expires_at = Some(START.plus_seconds(DAY_SECONDS));
        let input = NewApiKey { expires_at, is_public: true, ..scene.of_keeper() };
        let CreatedApiKey { api_key, value } = create(scene.deps(), &scene.keeper(), input).await.unwrap();
        let expected = ApiKey {
            id: api_key.id,
            owner: KeyOwner::User(scene.keeper),
            description: "CI".to_owned(),
            is_public: true,
            created_at: START,
            expires_at,
            revoked_at: None,
            last_four: value[98..].to_owned(),
        };
        assert_eq!(api_key, expected);
        assert!(value.starts_with("pk_") && value.contains(&api_key.id.0.simple().to_string()), "{value}");
        let row = api_key::Entity::find_by_id(api_key.id).one(scene.deps().db.read()).await.unwrap().unwrap();
        assert!(!format!("{row:?}").contains(&value[3..48]));
        assert_eq!(row.key_hash, crate::random::hash_token(&value));
        assert_eq!(get(scene.deps(), &scene.keeper(), None, api_key.id).await.unwrap(), expected);
        let created = CreatedApiKey { api_key, value };
        assert!(!format!("{created:?}").contains(&created.value));
    })
    .await;
}

#[tokio::test]
async fn keys_that_are_switched_off_are_refused_before_all_else() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (of_user, of_team) = (scene.made(scene.of_keeper()).await, scene.made(scene.of_team()).await);
        let (deps, nobody) = (scene.deps(), stranger(&scene.project));
        let (user, team) = (KeyOwner::User(scene.keeper), KeyOwner::Team(scene.team));
        for (on_user, on_team, owner, key) in [(false, true, user, of_user), (true, false, team, of_team)] {
            switch(&scene.bench, &scene.project, on_user, on_team).await;
            let kind = Some(owner.key_type());
            let change = ApiKeyChange { description: Some("x\0".to_owned()), revoke: true };
            for actor in [&nobody, &scene.server()] {
                for outcome in [
                    create(deps, actor, NewApiKey { description: "\0".to_owned(), ..new(owner) }).await.map(drop),
                    list(deps, actor, owner).await.map(drop),
                    get(deps, actor, kind, key.api_key.id).await.map(drop),
                    update(deps, actor, kind, key.api_key.id, change.clone()).await.map(drop),
                ] {
                    assert_eq!(code(outcome), Code::BadRequest);
                }
            }
            assert_eq!(code(get(deps, &scene.server(), None, key.api_key.id).await), Code::BadRequest);
            for kind in [kind, None] {
                assert_eq!(code(check(deps, &scene.server(), kind, &key.value).await), Code::BadRequest);
            }
            assert_eq!(code(authenticate(deps, &scene.project, &key.value).await), Code::BadRequest);
        }
    })
    .await;
}

#[tokio::test]
async fn who_may_look_after_keys_is_the_user_or_the_keeper_of_the_team() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let deps = scene.deps();
        let (of_user, of_team) = (scene.made(scene.of_keeper()).await, scene.made(scene.of_team()).await);
        let (mine, ours) = (of_user.api_key.id, of_team.api_key.id);
        let (outsider, nobody) = (client(&scene.project, UserId::random()), stranger(&scene.project));
        let unknown = NewApiKey { owner: KeyOwner::Team(TeamId::random()), ..scene.of_team() };
        let revoke = ApiKeyChange { revoke: true, ..ApiKeyChange::default() };
        let before = scene.count().await;
        for (actor, of_user, of_team) in [
            (&nobody, Code::UserAuthenticationRequired, Code::UserAuthenticationRequired),
            (&scene.member(), Code::Forbidden, Code::ApiKeyNotFound),
            (&outsider, Code::Forbidden, Code::ApiKeyNotFound),
        ] {
            assert_eq!(code(create(deps, actor, scene.of_keeper()).await), of_user);
            assert_eq!(code(create(deps, actor, scene.of_team()).await), of_team);
            assert_eq!(code(create(deps, actor, unknown.clone()).await), of_team);
            assert_eq!(code(list(deps, actor, KeyOwner::User(scene.keeper)).await), of_user);
            assert_eq!(code(list(deps, actor, KeyOwner::Team(scene.team)).await), of_team);
            for kind in [None, Some(ApiKeyType::User)] {
                assert_eq!(code(get(deps, actor, kind, mine).await), of_user);
                assert_eq!(code(update(deps, actor, kind, mine, revoke.clone()).await), of_user);
            }
            for kind in [None, Some(ApiKeyType::Team)] {
                assert_eq!(code(get(deps, actor, kind, ours).await), of_team);
                assert_eq!(code(update(deps, actor, kind, ours, revoke.clone()).await), of_team);
            }
            assert_eq!(code(check(deps, actor, None, &of_user_text(&scene).await).await), Code::Forbidden);
        }
        assert_eq!(scene.count().await, before + 3, "only what the table itself made");
        assert_eq!(get(deps, &scene.server(), None, mine).await.unwrap().revoked_at, None);
        assert_eq!(get(deps, &scene.server(), None, ours).await.unwrap().revoked_at, None);

        create(deps, &scene.keeper(), scene.of_keeper()).await.unwrap();
        create(deps, &scene.keeper(), scene.of_team()).await.unwrap();
        update(deps, &scene.keeper(), None, ours, revoke.clone()).await.unwrap();
        let unknown_user = NewApiKey { owner: KeyOwner::User(UserId::random()), ..scene.of_keeper() };
        assert_eq!(code(create(deps, &scene.server(), unknown_user).await), Code::UserNotFound);
        assert_eq!(code(create(deps, &scene.server(), unknown).await), Code::TeamNotFound);
    })
    .await;
}

/// A key of the keeper, made for the look at one refusal.
async fn of_user_text(scene: &Scene) -> String {
    scene.made(scene.of_keeper()).await.value
}

#[tokio::test]
async fn keys_of_one_project_are_not_there_for_another() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let deps = scene.deps();
        let other = scene.bench.insert_project().await;
        switch(&scene.bench, &other, true, true).await;
        let (key, elsewhere) = (scene.made(scene.of_team()).await, server(&other));
        let change = ApiKeyChange { revoke: true, ..ApiKeyChange::default() };
        assert_eq!(code(get(deps, &elsewhere, None, key.api_key.id).await), Code::ApiKeyNotFound);
        assert_eq!(code(update(deps, &elsewhere, None, key.api_key.id, change).await), Code::ApiKeyNotFound);
        assert_eq!(code(check(deps, &elsewhere, None, &key.value).await), Code::ApiKeyNotFound);
        assert_eq!(code(authenticate(deps, &other, &key.value).await), Code::ApiKeyNotFound);
        assert_eq!(list(deps, &elsewhere, KeyOwner::Team(scene.team)).await.unwrap(), []);
        assert_eq!(code(create(deps, &elsewhere, scene.of_team()).await), Code::TeamNotFound);
        assert_eq!(code(create(deps, &elsewhere, scene.of_keeper()).await), Code::UserNotFound);
    })
    .await;
}

#[tokio::test]
async fn keys_are_listed_newest_first_with_those_that_have_ended() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let mut ids = Vec::new();
        for expires_at in [None, Some(START.plus_seconds(-1)), None] {
            ids.insert(0, scene.made(NewApiKey { expires_at, ..scene.of_keeper() }).await.api_key.id);
            scene.bench.clock.advance_seconds(1);
        }
        scene.made(scene.of_team()).await;
        scene.revoked(ids[0]).await;
        let listed = list(scene.deps(), &scene.keeper(), KeyOwner::User(scene.keeper)).await.unwrap();
        assert_eq!(listed.iter().map(|key| key.id).collect::<Vec<_>>(), ids);
        assert!(listed[0].revoked_at.is_some());
        let of_team = list(scene.deps(), &scene.keeper(), KeyOwner::Team(scene.team)).await.unwrap();
        assert_eq!(of_team.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_described_anew_and_revoked_once() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (deps, id) = (scene.deps(), scene.made(scene.of_keeper()).await.api_key.id);
        let mut signals = deps.db.signals().subscribe();
        let mut told = || {
            std::iter::from_fn(|| signals.try_next())
                .filter(|signal| *signal != Signal::EventsWritten)
                .collect::<Vec<_>>()
        };
        let change = ApiKeyChange { description: Some("Nightly".to_owned()), revoke: false };
        let kind = Some(ApiKeyType::User);
        let described = update(deps, &scene.keeper(), kind, id, change).await.unwrap();
        assert_eq!((described.description.as_str(), described.revoked_at), ("Nightly", None));
        let first = scene.revoked(id).await;
        assert_eq!(first.revoked_at, Some(START));
        assert_eq!(told(), [Signal::ApiKeyRevoked { api_key_id: id }]);
        scene.bench.clock.advance_seconds(5);
        assert_eq!(scene.revoked(id).await, first);
        assert_eq!(told(), []);
        for wrong in ["x".repeat(MAX_DESCRIPTION_CHARS + 1), "\0".to_owned()] {
            let change = ApiKeyChange { description: Some(wrong.clone()), revoke: false };
            assert_eq!(code(update(deps, &scene.server(), kind, id, change).await), Code::SchemaError);
            let input = NewApiKey { description: wrong, ..scene.of_keeper() };
            assert_eq!(code(create(deps, &scene.server(), input).await), Code::SchemaError);
        }
        for wrong in [i64::MIN, -1, 253_402_300_800_000] {
            let input = NewApiKey { expires_at: Some(Timestamp(wrong)), ..scene.of_keeper() };
            assert_eq!(code(create(deps, &scene.server(), input).await), Code::SchemaError);
        }
        assert_eq!(code(get(deps, &scene.server(), Some(ApiKeyType::Team), id).await), Code::ApiKeyNotFound);
        assert_eq!(get(deps, &scene.server(), None, id).await.unwrap(), first);
    })
    .await;
}

#[tokio::test]
async fn checking_a_key_says_the_first_thing_that_is_wrong() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (deps, server) = (scene.deps(), scene.server());
        let (user, team) = (Some(ApiKeyType::User), Some(ApiKeyType::Team));
        let key = scene.made(NewApiKey { expires_at: Some(START.plus_seconds(60)), ..scene.of_keeper() }).await;
        for kind in [user, None] {
            assert_eq!(check(deps, &server, kind, &key.value).await.unwrap(), key.api_key);
        }
        let public = scene.made(NewApiKey { is_public: true, ..scene.of_team() }).await;
        assert_eq!(check(deps, &server, team, &public.value).await.unwrap().owner, KeyOwner::Team(scene.team));
        // Written like a key, with the id of one, and another secret.
        let forged = text::generate(key.api_key.id, ApiKeyType::User, false).unwrap();
        for unknown in ["", "sk_", &forged, &key.value.to_uppercase(), &"x".repeat(1_000_000)] {
            assert_eq!(code(check(deps, &server, user, unknown).await), Code::ApiKeyNotFound);
        }
        let wrong = check(deps, &server, team, &key.value).await.unwrap_err();
        let failure = wrong.failure().unwrap();
        assert_eq!(failure.code, Code::WrongApiKeyType);
        assert_eq!(failure.details, Some(json!({ "expected_type": "team", "actual_type": "user" })));
        scene.bench.clock.advance_seconds(60);
        assert_eq!(code(check(deps, &server, user, &key.value).await), Code::ApiKeyExpired);
        scene.revoked(key.api_key.id).await;
        assert_eq!(code(check(deps, &server, user, &key.value).await), Code::ApiKeyRevoked);
        assert_eq!(code(check(deps, &server, team, &key.value).await), Code::WrongApiKeyType);
    })
    .await;
}

#[tokio::test]
async fn keys_go_with_their_owner() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (of_user, of_team) = (scene.made(scene.of_keeper()).await, scene.made(scene.of_team()).await);
        let mut signals = scene.deps().db.signals().subscribe();
        users::delete(scene.deps(), &scene.server(), scene.keeper).await.unwrap();
        let kind = None;
        assert_eq!(code(check(scene.deps(), &scene.server(), kind, &of_user.value).await), Code::ApiKeyNotFound);
        check(scene.deps(), &scene.server(), kind, &of_team.value).await.unwrap();
        while signals.try_next().is_some() {}
        teams::delete(scene.deps(), &scene.server(), scene.team).await.unwrap();
        let told: Vec<_> = std::iter::from_fn(|| signals.try_next()).collect();
        assert!(told.contains(&Signal::TeamDeleted { team_id: scene.team }), "{told:?}");
        assert_eq!(code(check(scene.deps(), &scene.server(), kind, &of_team.value).await), Code::ApiKeyNotFound);
        assert_eq!(scene.count().await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_repeated_request_makes_one_key_and_tells_it_again() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let idempotency = Some(IdempotencyKey::new("once", &[b"make a key"]));
        let actor = Actor { idempotency, ..scene.keeper() };
        let first = create(scene.deps(), &actor, scene.of_keeper()).await.unwrap();
        assert_eq!(create(scene.deps(), &actor, scene.of_keeper()).await.unwrap(), first);
        assert_eq!(scene.count().await, 1);
    })
    .await;
}
