//! What the log keeps for audit: who changed a project, its config and its keys. Never to what: values may be secrets.

use super::*;
use crate::{
    events::{Audience, EventKind},
    permissions::{self, NewDefinition},
    teams::{self, CreateTeam},
};

/// The entries for audit about a project, in their order.
async fn entries(bench: &TestBench, project_id: &ProjectId) -> Vec<(EventKind, Value)> {
    let events =
        bench.events(project_id).await.into_iter().map(|(kind, told)| (kind.parse::<EventKind>().unwrap(), told));
    events.filter(|(kind, _)| kind.audience() == Audience::None).collect()
}

/// The same without those that were there before, which the next call counts among.
async fn new_entries(bench: &TestBench, project_id: &ProjectId, known: &mut usize) -> Vec<(EventKind, Value)> {
    let new = entries(bench, project_id).await.split_off(*known);
    *known += new.len();
    new
}

fn told_of(actor: &Actor) -> Value {
    let mut told = json!({ "project_id": actor.project_id, "level": actor.level.as_str() });
    if let Some(id) = actor.user_id() {
        told["user_id"] = json!(id);
    }
    if let Some(id) = actor.owner {
        told["owner_id"] = json!(id);
    }
    told
}

#[tokio::test]
async fn whoever_makes_changes_hands_over_or_deletes_a_project_is_written_down() {
    on_each_database(|bench| async move {
        let (owner, project) = owned(&bench).await;
        let (deps, id, mut known) = (&bench.deps, &project.id, 0);
        let from = project.owner_team_id.unwrap();
        let made = json!({ "id": id, "owner_team_id": from, "actor": told_of(&owner) });
        assert_eq!(new_entries(&bench, id, &mut known).await, [(EventKind::ProjectCreated, made)]);

        // An owner administers by an admin access token.
        let actor = Actor { owner: owner.user_id(), ..admin(id) };
        let change = ProjectChange {
            display_name: Some("Hidden".to_owned()),
            description: Patch::Set("hidden".to_owned()),
            config: ConfigChange { sign_up_enabled: Some(false), ..ConfigChange::default() },
            ..ProjectChange::default()
        };
        update_project(deps, &actor, change).await.unwrap();
        let expected = [
            (
                EventKind::ProjectUpdated,
                json!({ "id": id, "changed": ["display_name", "description"], "actor": told_of(&actor) }),
            ),
            (
                EventKind::ConfigUpdated,
                json!({ "level": "environment", "change": "merged", "keys": ["auth.allowSignUp"], "actor": told_of(&actor) }),
            ),
        ];
        assert_eq!(new_entries(&bench, id, &mut known).await, expected);
        let same = ProjectChange { display_name: Some("Hidden".to_owned()), ..ProjectChange::default() };
        update_project(deps, &actor, same).await.unwrap();
        assert_eq!(new_entries(&bench, id, &mut known).await, [], "nothing has changed");

        let to = CreateTeam { creator_user_id: owner.user_id(), ..CreateTeam::default() };
        let internal = Actor::new(ProjectId::internal(), Level::Server, None);
        let to = teams::create(deps, &internal, to).await.unwrap().id;
        transfer_project(deps, &owner, id, to).await.unwrap();
        let moved = json!({ "id": id, "from_team_id": from, "to_team_id": to, "actor": told_of(&owner) });
        assert_eq!(new_entries(&bench, id, &mut known).await, [(EventKind::ProjectTransferred, moved)]);

        delete_project(deps, &actor).await.unwrap();
        assert_eq!(new_entries(&bench, id, &mut known).await, [], "its own log goes with it");
        let gone = json!({ "id": id, "actor": told_of(&actor) });
        assert_eq!(entries(&bench, &ProjectId::internal()).await, [(EventKind::ProjectDeleted, gone)]);
    })
    .await;
}

#[tokio::test]
async fn every_way_to_change_a_config_is_written_down_with_its_settings_and_without_their_values() {
    on_each_database(|bench| async move {
        let (_, project) = owned(&bench).await;
        let (deps, id, actor) = (&bench.deps, &project.id, admin(&project.id));
        let server = Actor::new(id.clone(), Level::Server, None);
        let mut known = entries(&bench, id).await.len();
        let (branch, environment) = (ConfigLevel::Branch, ConfigLevel::Environment);
        let source = Some(ConfigSource::PushedFromUnknown);
        replace_override(deps, &server, branch, r#"{"auth.otp.allowSignIn":true}"#, source).await.unwrap();
        let secret = r#"{"emails.server":{"isShared":false,"password":"hidden"}}"#;
        merge_override(deps, &actor, environment, secret).await.unwrap();
        reset_config_keys(deps, &actor, environment, &["emails.server".to_owned()]).await.unwrap();
        unlink_config_source(deps, &actor).await.unwrap();
        let definition = NewDefinition { id: "edit".to_owned(), description: None, contained_permission_ids: Vec::new() };
        permissions::create(deps, &actor, PermissionScope::Team, definition).await.unwrap();
        let file = json!({ "branch": { "users": { "allowClientUserDeletion": true } }, "environment": { "domains.allowLocalhost": false } });
        let file = ConfigFile::read(file).unwrap();
        apply_config_file(deps, &actor, &file).await.unwrap();
        apply_config_file(deps, &actor, &file).await.unwrap();
        let changes: Vec<_> = [
            (&server, "branch", "replaced", json!(["auth.otp.allowSignIn"])),
            (&actor, "environment", "merged", json!(["emails.server"])),
            (&actor, "environment", "reset", json!(["emails.server"])),
            (&actor, "branch", "unlinked", json!([])),
            (&actor, "environment", "merged", json!(["rbac.permissions"])),
            (&actor, "branch", "replaced", json!(["users.allowClientUserDeletion"])),
            (&actor, "environment", "merged", json!(["domains.allowLocalhost"])),
        ]
        .into_iter()
        .map(|(actor, level, change, keys)| {
            json!({ "level": level, "change": change, "keys": keys, "actor": told_of(actor) })
        })
        .map(|told| (EventKind::ConfigUpdated, told))
        .collect();
        assert_eq!(new_entries(&bench, id, &mut known).await, changes);

        // The installation's own settings may name a file.
        let again = json!({ "project": id, "branch": {} });
        let again = Seed { config: Some(ConfigFile::read(again).unwrap()), ..Seed::default() };
        seed(deps, &again).await.unwrap();
        let told = json!({ "level": "branch", "change": "replaced", "keys": [], "actor": null });
        assert_eq!(new_entries(&bench, id, &mut known).await, [(EventKind::ConfigUpdated, told)]);
        assert!(merge_override(deps, &actor, environment, r#"{"nothing":1}"#).await.is_err());
        assert_eq!(new_entries(&bench, id, &mut known).await, [], "a refused change is none");
    })
    .await;
}

#[tokio::test]
async fn key_sets_are_written_down_without_their_keys() {
    on_each_database(|bench| async move {
        let (_, project) = owned(&bench).await;
        let (deps, id, actor) = (&bench.deps, &project.id, admin(&project.id));
        let mut known = entries(&bench, id).await.len();
        let set = create_key_set(deps, &actor, NewKeySet::lasting(deps, "hidden")).await.unwrap().key_set.id;
        let change =
            |description: Option<&str>, revoke| KeySetChange { description: description.map(str::to_owned), revoke };
        update_key_set(deps, &actor, set, change(Some("other"), true)).await.unwrap();
        update_key_set(deps, &actor, set, change(Some("other"), true)).await.unwrap();
        let expected = [
            (EventKind::KeySetCreated, json!({ "id": set, "actor": told_of(&actor) })),
            (
                EventKind::KeySetUpdated,
                json!({ "id": set, "changed": ["description", "revoked"], "actor": told_of(&actor) }),
            ),
        ];
        assert_eq!(new_entries(&bench, id, &mut known).await, expected);
    })
    .await;
}
