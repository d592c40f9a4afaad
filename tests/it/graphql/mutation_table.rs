//! Every mutation by everybody who has no business with it, aimed at one user's things: nothing of that user has changed, and
//! nothing was sent about it. The mutations and their inputs are made from `schema.graphql`.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use uuid::Uuid;

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

/// After the first of these that a caller may do, it is no member, or nobody.
const ENDS_CALLER: [&str; 4] = ["leaveTeam", "revokeAllSessions", "signOut", "deleteMe"];

/// What even an administrator fails at here: what needs a user, a code, a token, Stripe, or a way in that is off, and what is
/// there already.
const FAILS_ANYWAY: [&str; 39] = [
    "acceptTeamInvitation",
    "addTeamMember",
    "authorizeCrossDomain",
    "authorizeWithProvider",
    "claimCliLogin",
    "completeCliLogin",
    "createCheckoutUrl",
    "createConnectedAccountToken",
    "createLinkedAccount",
    "createRecoveryCodes",
    "deleteMe",
    "exchangeAuthorizationCode",
    "inspectCliLogin",
    "leaveTeam",
    "pollCliLogin",
    "refreshSession",
    "refundTransaction",
    "registerPasskey",
    "resetPassword",
    "revokeAllSessions",
    "revokeSession",
    "revokeTeamPermission",
    "sendMagicLink",
    "sendVerificationEmail",
    "setPassword",
    "signInWithApple",
    "signInWithMagicLink",
    "signInWithPasskey",
    "signInWithPassword",
    "signInWithSecondFactor",
    "signOut",
    "signUpWithPassword",
    "startPasskeyRegistration",
    "startPasskeySignIn",
    "switchProduct",
    "updateMe",
    "updateNotificationPreference",
    "updatePassword",
    "verifyEmail",
];

/// Everything of the owner and its team that anybody could change, and what was sent.
async fn everything(app: &App, world: &World) -> Value {
    let query = "query($user: ID!, $team: ID!, $customer: CustomerInput!, $email: ID!) {
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
        items(customer: $customer) { nodes { key quantity } }
        products(customer: $customer) { nodes { key quantity subscription { id cancelAtPeriodEnd } } } permissionDefinitions(scope: TEAM) { nodes { key } }
        webhookEndpoints { nodes { id url description disabled filterTypes headers { name value } } }
        email(id: $email) { status subject isPaused source toAddresses scheduledAt } emailDrafts { nodes { id displayName source } }
        emailTemplates { nodes { id displayName source } } emailThemes { nodes { id displayName source } } }";
    let (user, team) = (world.id("userId"), world.id("teamId"));
    let variables = json!({"user": user, "team": team, "customer": {"type": "USER", "id": user},
        "email": world.id("node.Email")});
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

/// How many mails went to the owner and to whom its team could invite, and how many events tell of the owner and its team:
/// both are written in the transaction of the change.
async fn told(app: &App, world: &World) -> i64 {
    let reader = app.deps().db.read();
    let sql = "SELECT (SELECT count(*) FROM event WHERE user_id = $1 OR team_id = $2) + (SELECT count(*) FROM email
        WHERE project_id = $3 AND (recipient_user_id = $1 OR CAST(recipient_emails AS text) LIKE '%-mark@example.com%'
            OR CAST(recipient_emails AS text) LIKE '%invitee@example.com%')) AS told";
    let id = |argument| Uuid::parse_str(world.id(argument)).unwrap().into();
    let values = [id("userId"), id("teamId"), app.demo.project_id.as_str().into()];
    let statement = Statement::from_sql_and_values(reader.get_database_backend(), sql, values);
    reader.query_one_raw(statement).await.unwrap().unwrap().try_get("", "told").unwrap()
}

async fn run(world: &World, caller: Caller, client: &Client) -> BTreeMap<String, Vec<(String, String)>> {
    let types = Types::with(world.mutation_values(caller));
    let mut fields = types.fields("Mutation");
    // What takes things away comes late, or the rest would find nothing; what ends the caller comes last.
    fields.sort_by_key(|field| {
        let name = field.name.node.as_str();
        let starts = |with: &[&str]| with.iter().any(|start| name.starts_with(start));
        match () {
            () if starts(&ENDS_CALLER) => 3,
            () if starts(&["deleteUser", "deleteTeam"]) => 2,
            () => i32::from(starts(&["delete", "revoke", "remove"])),
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
    let before = everything(&app, &world).await;
    for (caller, client) in world.callers().filter(|(caller, _)| OUTSIDERS.contains(caller)) {
        let told_before = told(&app, &world).await;
        run(&world, caller, client).await;
        assert_eq!(told(&app, &world).await, told_before, "{caller:?} had something told");
        assert_eq!(everything(&app, &world).await, before, "{caller:?} changed something");
    }
    // A member without permissions may leave, and dress itself up; the team's other things are closed to it.
    let (_, without) = world.callers().find(|(caller, _)| *caller == Caller::MemberWithout).unwrap();
    let refused = run(&world, Caller::MemberWithout, without).await;
    for (mutation, code) in [
        ("updateTeam", "TEAM_PERMISSION_REQUIRED"),
        ("deleteTeam", "TEAM_PERMISSION_REQUIRED"),
        ("removeTeamMember", "TEAM_PERMISSION_REQUIRED"),
        ("inviteToTeam", "TEAM_PERMISSION_REQUIRED"),
        ("revokeTeamInvitation", "TEAM_PERMISSION_REQUIRED"),
        // Keys of teams hide from who may not manage them.
        ("createTeamApiKey", "API_KEY_NOT_FOUND"),
    ] {
        assert_eq!(refused[mutation], [(mutation.to_owned(), code.to_owned())]);
    }
    // The same mutations by somebody who may: what was refused above was refused for who asked, not for how.
    let (_, admin) = world.callers().find(|(caller, _)| *caller == Caller::Admin).unwrap();
    let outcomes = run(&world, Caller::Admin, admin).await;
    let failed: Vec<_> =
        outcomes.iter().filter(|(_, codes)| !codes.is_empty()).map(|(name, _)| name.as_str()).collect();
    assert_eq!(failed, FAILS_ANYWAY, "what is new either succeeds here, or was thought about");
    app.stop().await;
}
