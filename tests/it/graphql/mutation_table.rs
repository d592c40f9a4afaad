//! Every mutation by everybody who has no business with it, aimed at one user's things: nothing of that user has changed, and
//! nothing was sent about it. The mutations and their inputs are made from `schema.graphql`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    ask, codes, data,
    sdl::Types,
    world::{Caller, World},
};
use crate::support::{App, client::Client};

/// Who has no business with the owner's things at all.
const OUTSIDERS: [Caller; 8] = [
    Caller::Nobody,
    Caller::Client,
    Caller::Stranger,
    Caller::Anonymous,
    Caller::Restricted,
    Caller::TeamKey,
    Caller::ForeignUser,
    Caller::ForeignServer,
];

/// After the first of these that a caller may do, it is nobody.
const ENDS_CALLER: [&str; 3] = ["revokeAllSessions", "signOut", "deleteMe"];

/// Everything of the owner and its team that anybody could change, and what was sent.
async fn everything(app: &App, world: &World) -> Value {
    let query = "query($user: ID!, $team: ID!, $customer: CustomerInput!) {
        user(id: $user) { displayName primaryEmail primaryEmailVerified primaryEmailAuthEnabled profileImageUrl clientMetadata
            clientReadOnlyMetadata serverMetadata hasPassword otpAuthEnabled passkeyAuthEnabled requiresTotpMfa isAnonymous
            restrictedByAdmin restrictedByAdminReason restrictedByAdminPrivateDetails countryCode riskScores { bot freeTrialAbuse }
            selectedTeam { id } oauthProviders { key accountId email } items { nodes { key quantity } }
            linkedAccounts { nodes { id allowSignIn allowConnectedAccounts accountId email } }
            contactChannels { nodes { id value isVerified isPrimary usedForAuth } } teams { nodes { id } }
            projectPermissions { nodes { key } } teamPermissions { nodes { key teamId } } }
        team(id: $team) { displayName profileImageUrl clientMetadata clientReadOnlyMetadata serverMetadata
            members { nodes { userId displayName profileImageUrl } } items { nodes { key quantity } } }
        teamPermissions(filter: {teamId: $team}) { nodes { key userId } }
        teamInvitations(teamId: $team) { nodes { id recipientEmail } }
        apiKeys(userId: $user) { nodes { id description revokedAt expiresAt } }
        keysOfTeam: apiKeys(teamId: $team) { nodes { id description revokedAt expiresAt } }
        sessions(userId: $user) { nodes { id } } notificationPreferences(userId: $user) { categoryId enabled }
        items(customer: $customer) { nodes { key quantity } } permissionDefinitions(scope: TEAM) { nodes { key } }
        webhookEndpoints { nodes { id url description disabled filterTypes headers { name value } } } }";
    let (user, team) = (world.id("userId"), world.id("teamId"));
    let variables = json!({"user": user, "team": team, "customer": {"type": "USER", "id": user}});
    let mut seen = data(ask(&app.rest().admin(), query, variables).await);
    seen["password still good"] = sign_in(app).await;
    seen
}

/// Whether the owner's password is what it was, without what is new each time.
async fn sign_in(app: &App) -> Value {
    let body = json!({"email": "owner-mark@example.com", "password": "correct horse"});
    let tokens = app.rest().client().post("/auth/password/sign-in", body).await.json(200);
    let own = app.rest().client().user(tokens["access_token"].as_str().unwrap());
    data(ask(&own, "mutation { signOut { id } }", Value::Null).await);
    tokens["user_id"].clone()
}

/// What was mailed to the owner, or about its things.
async fn mails(app: &App) -> Value {
    let mailbox = app.rest().raw(reqwest::Method::GET, "/mailbox/api/messages?to=owner-mark@example.com", None).await;
    mailbox.json(200)["items"].as_array().unwrap().len().into()
}

async fn run(client: &Client, types: &Types) -> BTreeMap<String, Vec<(String, String)>> {
    let mut fields = types.fields("Mutation");
    // What takes things away comes late, or the rest would find nothing; what ends the caller comes last.
    fields.sort_by_key(|field| {
        let name = field.name.node.as_str();
        let starts = |with: &[&str]| with.iter().any(|start| name.starts_with(start));
        match () {
            () if starts(&ENDS_CALLER) => 3,
            () if starts(&["deleteUser", "deleteTeam"]) => 2,
            () => i32::from(starts(&["delete", "revoke", "remove", "leave"])),
        }
    });
    let mut outcomes = BTreeMap::new();
    for field in fields {
        let mutation = format!("mutation {{ {} }}", types.call(&field));
        let answer = client.graphql(&mutation, Value::Null).await;
        if answer.status == 401 && ENDS_CALLER.contains(&field.name.node.as_str()) {
            continue;
        }
        let answer = answer.json(200);
        assert!(answer.get("data").is_some(), "{mutation}: {answer}");
        let codes = codes(&answer);
        assert!(!codes.iter().any(|(_, code)| code == "INTERNAL_SERVER_ERROR"), "{mutation}: {answer}");
        outcomes.insert(field.name.node.to_string(), codes);
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_changes_what_is_not_its_own() {
    let app = App::builder().set("POSTERN_RATE_LIMITS", "off").start().await;
    let world = World::make(&app).await;
    let types = Types::with(world.mutation_values());
    let (before, mails_before) = (everything(&app, &world).await, mails(&app).await);
    for (caller, client) in world.callers().filter(|(caller, _)| OUTSIDERS.contains(caller)) {
        run(client, &types).await;
        assert_eq!(everything(&app, &world).await, before, "{caller:?} changed something");
        assert_eq!(mails(&app).await, mails_before, "{caller:?} had a mail sent");
    }
    // A member without permissions may leave, and dress itself up; the team's other things are closed to it.
    let (_, without) = world.callers().find(|(caller, _)| *caller == Caller::MemberWithout).unwrap();
    let refused = run(without, &types).await;
    for mutation in
        ["updateTeam", "deleteTeam", "removeTeamMember", "inviteToTeam", "revokeTeamInvitation", "createTeamApiKey"]
    {
        assert_eq!(refused[mutation].len(), 1, "{mutation}: {:?}", refused[mutation]);
    }
    // The same mutations by somebody who may: what was refused above was refused for who asked, not for how.
    let (_, admin) = world.callers().find(|(caller, _)| *caller == Caller::Admin).unwrap();
    let outcomes = run(admin, &types).await;
    let failed: Vec<_> = outcomes.iter().filter(|(_, codes)| !codes.is_empty()).collect();
    assert!(outcomes.len() - failed.len() >= 30, "{failed:#?}");
    assert_ne!(everything_or_less(&app, &world).await, before);
    app.stop().await;
}

/// The same, or nothing where it is gone.
async fn everything_or_less(app: &App, world: &World) -> Value {
    let user = json!({"id": world.id("userId")});
    ask(&app.rest().admin(), "query($id: ID!) { user(id: $id) { displayName } }", user).await
}
