//! Teams, members, invitations, permissions and preferences through GraphQL: the same operations as over REST, with the same
//! answers and codes.

use serde_json::{Value, json};

use super::{ask, codes, data, signed_up};
use crate::support::{App, client::Client};

async fn id_of(client: &Client) -> String {
    data(ask(client, "{ me { id } }", Value::Null).await)["me"]["id"].as_str().unwrap().to_owned()
}

/// A team made by the server with this creator.
async fn team(server: &Client, creator: &str) -> String {
    let mutation = "mutation($input: CreateTeamInput!) { createTeam(input: $input) { team { id displayName } } }";
    let input = json!({"input": {"displayName": "Crew", "creatorUserId": creator}});
    data(ask(server, mutation, input).await)["createTeam"]["team"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_team_is_made_read_changed_left_and_deleted() {
    let app = App::start().await;
    let server = app.rest().server();
    let ((ada, _), (bob, _)) = (signed_up(&app, "ada@example.com").await, signed_up(&app, "bob@example.com").await);
    let (ada_id, bob_id) = (id_of(&ada).await, id_of(&bob).await);
    let id = team(&server, &ada_id).await;
    let add = "mutation($input: TeamMemberInput!) { addTeamMember(input: $input) { teamId userId } }";
    let member = json!({"input": {"teamId": id, "userId": bob_id}});
    assert_eq!(data(ask(&server, add, member.clone()).await)["addTeamMember"], json!({"teamId": id, "userId": bob_id}));
    assert_eq!(codes(&ask(&server, add, member.clone()).await)[0].1, "TEAM_MEMBERSHIP_ALREADY_EXISTS");

    let read = "query($id: ID!) { team(id: $id) { id displayName serverMetadata }
        teamMembers(teamId: $id) { nodes { userId displayName user { primaryEmail } } } }";
    let seen = data(ask(&server, read, json!({"id": id})).await);
    assert_eq!(seen["teamMembers"]["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(seen["teamMembers"]["nodes"][0]["user"]["primaryEmail"], "ada@example.com");
    let seen = ask(&bob, read, json!({"id": id})).await;
    assert_eq!(seen["data"]["team"], json!({"id": id, "displayName": "Crew", "serverMetadata": null}));
    assert!(codes(&seen).contains(&("team.serverMetadata".to_owned(), "FORBIDDEN".to_owned())), "{seen}");

    let rename = "mutation($input: UpdateTeamInput!) { updateTeam(input: $input) { team { displayName } } }";
    let change = json!({"input": {"id": id, "displayName": "Engines"}});
    assert_eq!(codes(&ask(&bob, rename, change.clone()).await)[0].1, "TEAM_PERMISSION_REQUIRED");
    assert_eq!(data(ask(&ada, rename, change).await)["updateTeam"]["team"]["displayName"], "Engines");
    let profile = "mutation($input: UpdateTeamMemberProfileInput!) { updateTeamMemberProfile(input: $input) {
        member { displayName } } }";
    let change = json!({"input": {"teamId": id, "displayName": "Bosun"}});
    let changed = data(ask(&bob, profile, change).await);
    assert_eq!(changed["updateTeamMemberProfile"]["member"]["displayName"], "Bosun");

    let leave = "mutation($input: LeaveTeamInput!) { leaveTeam(input: $input) { userId } }";
    data(ask(&bob, leave, json!({"input": {"teamId": id}})).await);
    assert_eq!(codes(&ask(&bob, read, json!({"id": id})).await)[0].1, "TEAM_MEMBERSHIP_NOT_FOUND");
    let delete = "mutation($input: DeleteTeamInput!) { deleteTeam(input: $input) { id } }";
    let foreign = app.internal_rest().server();
    assert_eq!(codes(&ask(&foreign, delete, json!({"input": {"id": id}})).await)[0].1, "TEAM_NOT_FOUND");
    data(ask(&ada, delete, json!({"input": {"id": id}})).await);
    assert_eq!(codes(&ask(&server, read, json!({"id": id})).await)[0].1, "TEAM_NOT_FOUND");
    app.stop().await;
}

#[tokio::test]
async fn members_hang_on_their_team_for_whom_a_permission_lets_see_them() {
    let app = App::start().await;
    let server = app.rest().server();
    let ((ada, _), (bob, _)) = (signed_up(&app, "ada@example.com").await, signed_up(&app, "bob@example.com").await);
    let (ada_id, bob_id) = (id_of(&ada).await, id_of(&bob).await);
    let ids = [team(&server, &ada_id).await, team(&server, &ada_id).await];
    for id in &ids {
        server.post(&format!("/team-memberships/{id}/{bob_id}"), json!({})).await.json(201);
    }
    let read = "query($first: Int, $after: String) { me { teams { nodes { id
        members(first: $first, after: $after) { nodes { teamId userId } pageInfo { hasNextPage endCursor } } } } } }";
    let both = data(ask(&bob, read, json!({"first": 1})).await)["me"]["teams"]["nodes"].clone();
    for (index, id) in ids.iter().enumerate() {
        assert_eq!(both[index]["members"]["nodes"], json!([{"teamId": id, "userId": ada_id}]), "{both}");
        assert_eq!(both[index]["members"]["pageInfo"]["hasNextPage"], true);
    }
    // One cursor serves every team: it is a time of joining.
    let after = &both[0]["members"]["pageInfo"]["endCursor"];
    let next = data(ask(&bob, read, json!({"after": after})).await)["me"]["teams"]["nodes"].clone();
    assert_eq!(next[0]["members"]["nodes"], json!([{"teamId": ids[0], "userId": bob_id}]));
    assert_eq!(next[0]["members"]["pageInfo"]["hasNextPage"], false);
    let codes_of = |answer: &Value| codes(answer).into_iter().map(|(_, code)| code).collect::<Vec<_>>();
    assert_eq!(codes_of(&ask(&bob, read, json!({"after": "elsewhere"})).await), ["BAD_USER_INPUT"; 2]);

    server.delete(&format!("/team-permissions/{}/{bob_id}/team_member", ids[0])).await.json(200);
    let answer = ask(&bob, read, json!({})).await;
    assert_eq!(codes(&answer), [("me.teams.nodes.0.members".to_owned(), "FORBIDDEN".to_owned())]);
    let teams = &answer["data"]["me"]["teams"]["nodes"];
    assert_eq!(teams[0], json!({"id": ids[0], "members": null}));
    assert_eq!(teams[1]["members"]["nodes"].as_array().unwrap().len(), 2, "{teams}");
    app.stop().await;
}

#[tokio::test]
async fn permissions_are_defined_granted_seen_and_taken() {
    let app = App::start().await;
    let (server, admin) = (app.rest().server(), app.rest().admin());
    let (ada, _) = signed_up(&app, "ada@example.com").await;
    let ada_id = id_of(&ada).await;
    let id = team(&server, &ada_id).await;
    let define = "mutation($input: CreatePermissionDefinitionInput!) { createPermissionDefinition(input: $input) {
        definition { id key scope containedPermissionKeys } } }";
    let input = json!({"input": {"scope": "TEAM", "key": "ship", "containedPermissionKeys": ["$read_members"]}});
    let made = data(ask(&admin, define, input.clone()).await)["createPermissionDefinition"]["definition"].clone();
    let expected =
        json!({"id": "permission:ship", "key": "ship", "scope": "TEAM", "containedPermissionKeys": ["$read_members"]});
    assert_eq!(made, expected);
    assert_eq!(codes(&ask(&admin, define, input.clone()).await)[0].1, "PERMISSION_ID_ALREADY_EXISTS");
    assert_eq!(codes(&ask(&server, define, input).await)[0].1, "FORBIDDEN");

    let held = "query($team: ID!) { teamPermissions(filter: {teamId: $team, recursive: true}) { nodes { key } }
        me { teamPermissions { nodes { key teamId } } projectPermissions { nodes { key } } } }";
    let keys = |list: &Value| -> Vec<String> {
        list["nodes"].as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap().to_owned()).collect()
    };
    let grant = "mutation($input: TeamPermissionInput!) { grantTeamPermission(input: $input) { permission { key } } }";
    let input = json!({"input": {"teamId": id, "userId": ada_id, "key": "ship"}});
    data(ask(&server, grant, input.clone()).await);
    let seen = data(ask(&ada, held, json!({"team": id})).await);
    assert!(keys(&seen["teamPermissions"]).contains(&"$read_members".to_owned()), "{seen}");
    assert_eq!(keys(&seen["me"]["teamPermissions"]), ["ship", "team_admin"]);
    assert_eq!(seen["me"]["projectPermissions"]["nodes"], json!([]));
    let revoke =
        "mutation($input: TeamPermissionInput!) { revokeTeamPermission(input: $input) { permission { key } } }";
    data(ask(&server, revoke, input.clone()).await);
    assert_eq!(codes(&ask(&server, revoke, input).await)[0].1, "TEAM_PERMISSION_NOT_FOUND");
    let unknown = json!({"input": {"teamId": id, "userId": ada_id, "key": "gone"}});
    assert_eq!(codes(&ask(&server, grant, unknown).await)[0].1, "PERMISSION_NOT_FOUND");
    app.stop().await;
}

#[tokio::test]
async fn people_are_invited_and_say_which_mails_they_want() {
    let app = App::start().await;
    let server = app.rest().server();
    let ((ada, _), (bob, _)) = (signed_up(&app, "ada@example.com").await, signed_up(&app, "bob@example.com").await);
    let (ada_id, bob_id) = (id_of(&ada).await, id_of(&bob).await);
    let id = team(&server, &ada_id).await;
    let invite = "mutation($input: InviteToTeamInput!) { inviteToTeam(input: $input) {
        invitation { id teamId recipientEmail } } }";
    let input = json!({"input": {
        "teamId": id, "email": "Bob@Example.com", "callbackUrl": "http://localhost:3000/join",
    }});
    let sent = data(ask(&ada, invite, input.clone()).await)["inviteToTeam"]["invitation"].clone();
    assert_eq!((&sent["teamId"], &sent["recipientEmail"]), (&json!(id), &json!("bob@example.com")));
    assert_eq!(codes(&ask(&bob, invite, input).await)[0].1, "TEAM_MEMBERSHIP_NOT_FOUND");
    let mine = "{ teamInvitations { nodes { id teamDisplayName } } }";
    assert_eq!(data(ask(&bob, mine, Value::Null).await)["teamInvitations"]["nodes"], json!([]));
    app.rest().server().patch(&format!("/users/{bob_id}"), json!({"primary_email_verified": true})).await.json(200);
    let seen = data(ask(&bob, mine, Value::Null).await);
    assert_eq!(seen["teamInvitations"]["nodes"], json!([{"id": sent["id"], "teamDisplayName": "Crew"}]));
    let node = "query($id: ID!) { node(id: $id) { ... on TeamInvitation { recipientEmail } } }";
    let found = data(ask(&bob, node, json!({"id": sent["id"]})).await);
    assert_eq!(found["node"], json!({"recipientEmail": "bob@example.com"}));
    let accept =
        "mutation($input: AcceptTeamInvitationInput!) { acceptTeamInvitation(input: $input) { teamId userId } }";
    let neither = json!({"input": {}});
    assert_eq!(codes(&ask(&bob, accept, neither).await)[0].1, "BAD_USER_INPUT");
    let joined = data(ask(&bob, accept, json!({"input": {"id": sent["id"]}})).await);
    assert_eq!(joined["acceptTeamInvitation"], json!({"teamId": id, "userId": bob_id}));
    let again = ask(&bob, accept, json!({"input": {"id": sent["id"]}})).await;
    assert_eq!(codes(&again)[0].1, "VERIFICATION_CODE_NOT_FOUND");

    let preferences = "{ notificationPreferences { categoryId categoryName enabled canDisable } }";
    let listed = data(ask(&bob, preferences, Value::Null).await)["notificationPreferences"].clone();
    assert_eq!(listed[1]["categoryName"], "Marketing");
    let switch = "mutation($input: UpdateNotificationPreferenceInput!) { updateNotificationPreference(input: $input) {
        preference { enabled } } }";
    let input = json!({"input": {"categoryId": listed[1]["categoryId"], "enabled": false}});
    let switched = data(ask(&bob, switch, input).await);
    assert_eq!(switched["updateNotificationPreference"]["preference"], json!({"enabled": false}));
    let foreign = json!({"input": {"userId": ada_id, "categoryId": listed[1]["categoryId"], "enabled": false}});
    assert_eq!(codes(&ask(&bob, switch, foreign).await)[0].1, "FORBIDDEN");
    app.stop().await;
}
