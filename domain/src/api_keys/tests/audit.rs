//! What the log keeps for audit of keys, which users do not follow.

use serde_json::{Value, json};

use super::*;
use crate::{
    events::{self, EventFilter, EventKind, Left, MAX_PAGE, jobs::EraseUserEvents},
    sessions::ClientInfo,
};

impl Scene {
    /// The entries about API keys, in their order.
    async fn audit(&self) -> Vec<(String, Value)> {
        let mut events = self.bench.events(&self.project).await;
        events.retain(|(kind, _)| kind.starts_with("api_key."));
        events
    }

    fn entry(&self, kind: EventKind, id: ApiKeyId, owner: Value, more: Value, actor: Value) -> (String, Value) {
        let mut payload = json!({ "id": id, "actor": actor });
        for part in [owner, more] {
            payload.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        }
        (kind.as_str().to_owned(), payload)
    }
}

#[tokio::test]
async fn keys_are_written_down_by_whoever_made_described_and_revoked_them() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let deps = scene.deps();
        let key = create(deps, &scene.keeper(), scene.of_keeper()).await.unwrap();
        let of_team = scene.made(NewApiKey { is_public: true, ..scene.of_team() }).await;
        let (id, team_key) = (key.api_key.id, of_team.api_key.id);
        let change =
            |description: Option<&str>, revoke| ApiKeyChange { description: description.map(str::to_owned), revoke };
        for change in [change(Some("hidden"), false), change(Some("hidden"), true), change(None, true)] {
            update(deps, &scene.keeper(), None, id, change).await.unwrap();
        }
        scene.revoked(team_key).await;
        let (project, keeper) = (&scene.project, scene.keeper);
        let by_keeper = json!({ "project_id": project, "level": "client", "user_id": keeper });
        let by_server = json!({ "project_id": project, "level": "server" });
        let (user, team) = (json!({ "user_id": keeper }), json!({ "team_id": scene.team }));
        let expected = [
            scene.entry(EventKind::ApiKeyCreated, id, user.clone(), json!({ "is_public": false }), by_keeper.clone()),
            scene.entry(
                EventKind::ApiKeyCreated,
                team_key,
                team.clone(),
                json!({ "is_public": true }),
                by_server.clone(),
            ),
            scene.entry(EventKind::ApiKeyUpdated, id, user.clone(), json!({}), by_keeper.clone()),
            scene.entry(EventKind::ApiKeyRevoked, id, user, json!({ "leaked": false }), by_keeper),
            scene.entry(EventKind::ApiKeyRevoked, team_key, team, json!({ "leaked": false }), by_server),
        ];
        assert_eq!(scene.audit().await, expected);
    })
    .await;
}

#[tokio::test]
async fn a_leaked_key_is_written_down_once_and_by_nobody() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let key = scene.made(scene.of_keeper()).await;
        for _ in 0..2 {
            report_leaked(scene.deps(), &key.value, &ClientInfo::default()).await.unwrap();
        }
        let owner = json!({ "user_id": scene.keeper });
        let told = scene.entry(EventKind::ApiKeyRevoked, key.api_key.id, owner, json!({ "leaked": true }), Value::Null);
        assert_eq!(scene.audit().await.split_off(1), [told]);
    })
    .await;
}

#[tokio::test]
async fn users_do_not_follow_what_is_there_for_audit_and_what_tells_of_them_goes_with_them() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (deps, project) = (scene.deps(), &scene.project);
        scene.made(scene.of_keeper()).await;
        while events::sequence(deps).await.unwrap() {}
        let about = async |filter: EventFilter| {
            let page = events::read(deps, project, None, &filter, MAX_PAGE).await.unwrap();
            page.events.into_iter().map(|event| event.kind).collect::<Vec<_>>()
        };
        let everything = EventFilter { user_id: Some(scene.keeper), ..EventFilter::default() };
        assert!(about(everything).await.contains(&EventKind::ApiKeyCreated));
        let own = about(EventFilter::of_user(scene.keeper)).await;
        assert!(own.contains(&EventKind::UserCreated) && !own.contains(&EventKind::ApiKeyCreated), "{own:?}");
        users::delete(deps, &scene.server(), scene.keeper).await.unwrap();
        while events::sequence(deps).await.unwrap() {}
        let job = EraseUserEvents { project_id: project.clone(), user_id: scene.keeper };
        assert_eq!(events::erase_step(deps, &job).await.unwrap(), Left::Nothing);
        let left = scene.audit().await;
        assert_eq!(left, [("api_key.created".to_owned(), Value::Null)]);
    })
    .await;
}

#[tokio::test]
async fn the_use_of_a_key_is_told_once_an_hour() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let key = scene.made(scene.of_keeper()).await.value;
        let uses = || async {
            scene.bench.events(&scene.project).await.iter().filter(|(kind, _)| kind == "api_key.used").count()
        };
        for (wait, expected) in [(0, 1), (60, 1), (3_540, 2), (10, 2)] {
            scene.bench.clock.advance_seconds(wait);
            check(&scene.bench.deps, &scene.server(), None, &key).await.unwrap();
            assert_eq!(uses().await, expected, "after {wait} more seconds");
        }
    })
    .await;
}
