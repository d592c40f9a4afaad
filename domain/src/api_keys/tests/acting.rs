//! Keys that speak for their owners.

use super::*;
use crate::{Level, patch::Patch, sessions};

/// What a key may do is one list; every mutation passes it.
#[tokio::test]
async fn an_api_key_does_what_the_list_says_and_nothing_else() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let key = scene.made(scene.of_keeper()).await;
        let acting = authenticate(scene.deps(), &scene.project, &key.value).await.unwrap();
        assert_eq!(acting, ActingKey { id: key.api_key.id, owner: KeyOwner::User(scene.keeper) });
        let actor = Actor::of_key(scene.project.clone(), acting);
        assert_eq!((actor.level, actor.user_id(), actor.team_id()), (Level::Client, Some(scene.keeper), None));
        let deps = scene.deps();
        for operation in ["api_keys.create", "sessions.revoke", "users.delete", "a mutation of tomorrow"] {
            assert_eq!(code(deps.mutate(&actor, operation, |_| async { Ok(()) }).await), Code::Forbidden);
            assert_eq!(deps.mutate(&scene.keeper(), operation, |_| async { Ok(1) }).await.unwrap(), 1);
        }
        for operation in OF_KEYS {
            assert_eq!(deps.mutate(&actor, operation, |_| async { Ok(1) }).await.unwrap(), 1);
        }
        let input =
            users::UpdateOwnUser { display_name: Patch::Set("Ada".to_owned()), ..users::UpdateOwnUser::default() };
        assert_eq!(users::update_own(deps, &actor, input.clone()).await.unwrap().display_name.as_deref(), Some("Ada"));
        let with_mail = Patch::Set("eve@example.com".to_owned());
        for input in [
            users::UpdateOwnUser { primary_email: with_mail, ..input.clone() },
            users::UpdateOwnUser { otp_auth_enabled: Some(false), ..input.clone() },
            users::UpdateOwnUser { passkey_auth_enabled: Some(false), ..input.clone() },
            users::UpdateOwnUser { totp_secret_base64: Patch::Clear, ..input },
        ] {
            assert_eq!(code(users::update_own(deps, &actor, input).await), Code::Forbidden);
        }
        assert_eq!(code(list(deps, &actor, KeyOwner::User(scene.keeper)).await), Code::Forbidden);
        assert_eq!(code(get(deps, &actor, None, key.api_key.id).await), Code::Forbidden);
        assert_eq!(code(sessions::list(deps, &actor, scene.keeper).await), Code::Forbidden);
    })
    .await;
}

#[tokio::test]
async fn a_teams_key_sees_its_team_and_no_other_and_holds_no_permission() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let deps = scene.deps();
        let key = scene.made(scene.of_team()).await;
        let acting = authenticate(deps, &scene.project, &key.value).await.unwrap();
        let actor = Actor::of_key(scene.project.clone(), acting);
        assert_eq!((actor.user_id(), actor.team_id()), (None, Some(scene.team)));
        let other = CreateTeam { display_name: "Others".to_owned(), ..CreateTeam::default() };
        let other = teams::create(deps, &scene.server(), other).await.unwrap().id;
        assert_eq!(teams::get(deps, &actor, scene.team).await.unwrap().display_name, "Analysts");
        assert_eq!(code(teams::get(deps, &actor, other).await), Code::TeamNotFound);
        let listed = teams::list(deps, &actor, &ListTeams::default()).await.unwrap().teams;
        assert_eq!(listed.iter().map(|team| team.id).collect::<Vec<_>>(), [scene.team]);
        assert_eq!(code(users::get_own(deps, &actor).await), Code::CannotGetOwnUserWithoutUser);
        assert_eq!(code(users::get(deps, &actor, scene.keeper).await), Code::UserNotFound);
        let change = teams::UpdateTeam { display_name: Some("Ours".to_owned()), ..teams::UpdateTeam::default() };
        let refused = teams::update(deps, &actor, scene.team, change).await;
        assert_eq!(code(refused), Code::UserAuthenticationRequired);
    })
    .await;
}

#[tokio::test]
async fn a_key_speaks_for_its_owner_only_while_it_is_good_and_secret() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (deps, project) = (scene.deps(), &scene.project);
        let public = scene.made(NewApiKey { is_public: true, ..scene.of_keeper() }).await;
        assert_eq!(code(authenticate(deps, project, &public.value).await), Code::Forbidden);
        assert_eq!(code(authenticate(deps, project, "sk_nonsense").await), Code::ApiKeyNotFound);
        let key = scene.made(NewApiKey { expires_at: Some(START.plus_seconds(60)), ..scene.of_team() }).await;
        authenticate(deps, project, &key.value).await.unwrap();
        scene.bench.clock.advance_seconds(60);
        assert_eq!(code(authenticate(deps, project, &key.value).await), Code::ApiKeyExpired);
        scene.revoked(key.api_key.id).await;
        assert_eq!(code(authenticate(deps, project, &key.value).await), Code::ApiKeyRevoked);
    })
    .await;
}
