//! A project in which one user has something of everything, with everybody who might ask for it.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{api_keys, ask, data, signed_up};
use crate::support::{App, client::Client, eventually};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Caller {
    Nobody,
    /// Who holds the publishable key only.
    Client,
    /// The user to whom everything belongs.
    Owner,
    /// A member of the owner's team, with the permissions of members.
    Member,
    /// A member without any permission.
    MemberWithout,
    /// A user who has nothing to do with the owner.
    Stranger,
    Anonymous,
    Restricted,
    /// Whoever holds a key of the owner.
    UserKey,
    /// Whoever holds a key of the owner's team.
    TeamKey,
    Server,
    Admin,
    /// A user and the server of another project.
    ForeignUser,
    ForeignServer,
}

impl Caller {
    pub(super) fn level(self) -> &'static str {
        match self {
            Self::Nobody => "NONE",
            Self::Server | Self::ForeignServer => "SERVER",
            Self::Admin => "ADMIN",
            _ => "CLIENT",
        }
    }
}

/// In what only the owner's side may see.
const OF_OWNER: [&str; 4] = ["owner-mark@", "second-mark@", "owner-client-mark", "key-mark"];
/// In what only backends may see.
const OF_SERVERS: [&str; 3] = ["owner-server-mark", "team-server-mark", "mail-mark"];
/// In what only the team may see.
const OF_TEAM: &str = "team-mark";
/// In what only those may see who may invite.
const OF_INVITERS: &str = "invited-mark@";
/// In what only the project's administration may see.
const OF_ADMINS: [&str; 2] = ["hook-mark", "draft-mark"];
/// A built-in template and a built-in theme that is not selected.
const TEMPLATE: &str = "e7d009ce-8d47-4528-b245-5bf119f2ffa3";
const THEME: &str = "a0172b5d-cff0-463b-83bb-85124697373a";

pub(super) struct World {
    callers: Vec<(Caller, Client)>,
    values: HashMap<&'static str, String>,
}

impl World {
    pub(super) async fn make(app: &App) -> Self {
        let (rest, foreign) = (app.rest(), app.internal_rest());
        let (server, admin) = (rest.server(), rest.admin());
        configure(&admin).await;

        let (owner, owner_id) = user(app, "owner-mark").await;
        let (member, member_id) = user(app, "member").await;
        let (without, without_id) = user(app, "without").await;
        let (stranger, _) = user(app, "stranger").await;
        let (restricted, restricted_id) = user(app, "restricted").await;
        server.patch(&format!("/users/{restricted_id}"), json!({"restricted_by_admin": true})).await.json(200);
        let anonymous = rest.client().post("/auth/anonymous/sign-up", json!({})).await.json(200);
        let anonymous = rest.client().user(anonymous["access_token"].as_str().unwrap());

        let marks =
            json!({"client_metadata": {"mark": "owner-client-mark"}, "server_metadata": {"mark": "owner-server-mark"}});
        server.patch(&format!("/users/{owner_id}"), marks).await.json(200);
        let team = json!({"display_name": "team-mark", "creator_user_id": owner_id,
            "server_metadata": {"mark": "team-server-mark"}});
        let team = id(&server.post("/teams", team).await.json(201)["id"]);
        for member in [&member_id, &without_id] {
            server.post(&format!("/team-memberships/{team}/{member}"), json!({})).await.json(201);
        }
        server.delete(&format!("/team-permissions/{team}/{without_id}/team_member")).await.json(200);
        server.post(&format!("/project-permissions/{owner_id}/enter"), json!({})).await.json(201);

        let channel = json!({"user_id": owner_id, "type": "email", "value": "second-mark@example.com",
            "is_verified": true, "used_for_auth": false});
        let channel = id(&server.post("/contact-channels", channel).await.json(201)["id"]);
        let link = json!({"user_id": owner_id, "provider_config_id": "hub", "account_id": "1",
            "email": "owner-mark@hub.example", "allow_sign_in": true, "allow_connected_accounts": true});
        let link = id(&server.post("/oauth-providers", link).await.json(201)["id"]);
        let invite = "mutation($input: InviteToTeamInput!) { inviteToTeam(input: $input) { invitation { id } } }";
        let input = json!({"input": {"teamId": team, "email": "invited-mark@example.com",
            "callbackUrl": "http://localhost:8000/join"}});
        let invitation = id(&data(ask(&server, invite, input).await)["inviteToTeam"]["invitation"]["id"]);
        let session =
            id(&data(ask(&owner, "{ sessions { nodes { id } } }", Value::Null).await)["sessions"]["nodes"][0]["id"]);
        let user_key = api_keys::user_key(&owner, json!({"description": "key-mark"})).await;
        let team_key = api_keys::team_key(app, &json!(team)).await;
        let (endpoint, message) = webhook(&admin).await;
        let (email, draft) = mails(&admin, &owner_id).await;
        logged(&server, &owner_id).await;
        server.post(&format!("/payments/products/user/{owner_id}"), json!({"product_id": "plan"})).await.json(200);

        let by_key = |key: &Value| api_keys::by_key(app, &key["value"]);
        // The first use of a key within an hour is told to the audit.
        for key in [&user_key, &team_key] {
            data(ask(&by_key(key), "{ project { id } }", Value::Null).await);
        }
        let (foreign_user, _) = foreign_user(&foreign).await;
        let callers = vec![
            (Caller::Nobody, rest.clone()),
            (Caller::Client, rest.client()),
            (Caller::Owner, owner),
            (Caller::Member, member),
            (Caller::MemberWithout, without),
            (Caller::Stranger, stranger),
            (Caller::Anonymous, anonymous.with("x-stack-allow-anonymous-user", "true")),
            (Caller::Restricted, restricted.with("x-stack-allow-restricted-user", "true")),
            (Caller::UserKey, by_key(&user_key)),
            (Caller::TeamKey, by_key(&team_key)),
            (Caller::Server, server),
            (Caller::Admin, admin),
            (Caller::ForeignUser, foreign_user),
            (Caller::ForeignServer, foreign.server()),
        ];
        let text = |text: &str| format!("\"{text}\"");
        let values = HashMap::from([
            ("user.id", text(&owner_id)),
            ("userId", text(&owner_id)),
            ("team.id", text(&team)),
            ("teamId", text(&team)),
            ("teamInvitations.userId", "null".to_owned()),
            ("apiKeys.teamId", "null".to_owned()),
            ("filter", format!("{{ userId: \"{owner_id}\" }}")),
            // Nested pages cost as many times.
            ("first", "5".to_owned()),
            ("users.filter", "null".to_owned()),
            ("webhookMessages.filter", "null".to_owned()),
            ("webhookEndpoint.id", text(&endpoint)),
            ("webhookMessage.id", text(&message)),
            ("statistics.since", "null".to_owned()),
            ("customer", format!("{{ type: USER, id: \"{owner_id}\" }}")),
            ("itemId", text("credits")),
            ("transactions.type", "null".to_owned()),
            ("transactions.customerType", "null".to_owned()),
            ("transactions.customerId", "null".to_owned()),
            ("endpointId", text(&endpoint)),
            ("checkApiKey.key", user_key["value"].to_string()),
            ("scope", "TEAM".to_owned()),
            (
                "representations",
                format!("[{{__typename: \"User\", id: \"{owner_id}\"}}, {{__typename: \"Team\", id: \"{team}\"}}]"),
            ),
            ("node.User", text(&owner_id)),
            ("node.Team", text(&team)),
            ("node.TeamInvitation", text(&invitation)),
            ("node.ContactChannel", text(&channel)),
            ("node.LinkedAccount", text(&link)),
            ("node.Session", text(&session)),
            ("node.ApiKey", user_key["apiKey"]["id"].to_string()),
            ("node.Email", text(&email)),
            ("email.id", text(&email)),
            ("draft", text(&draft)),
            ("EmailPreviewInput.templateId", text(TEMPLATE)),
            ("EmailPreviewInput.source", "null".to_owned()),
            ("EmailPreviewInput.themeSource", "null".to_owned()),
            ("themeId", "null".to_owned()),
            ("noTheme", "false".to_owned()),
            ("node.WebhookEndpoint", text(&endpoint)),
            ("node.WebhookMessage", text(&message)),
        ]);
        Self { callers, values }
    }

    pub(super) fn callers(&self) -> impl Iterator<Item = (Caller, &Client)> {
        self.callers.iter().map(|(caller, client)| (*caller, client))
    }

    /// What to put into arguments: the ids of the owner's things.
    pub(super) fn values(&self) -> HashMap<&'static str, String> {
        self.values.clone()
    }

    /// The id that is put into this argument.
    pub(super) fn id(&self, argument: &str) -> &str {
        self.values[argument].trim_matches('"')
    }

    /// The same for mutations, which are told apart by their inputs, with changes that would show: those that a caller of
    /// this kind may ask for at all, so that nothing is refused for its input.
    pub(super) fn mutation_values(&self, of: Caller) -> HashMap<&'static str, String> {
        let mut values = self.values();
        let mut put = |inputs: &[&'static str], value: String| {
            values.extend(inputs.iter().map(|input| (*input, value.clone())));
        };
        for (of, inputs) in [
            ("node.User", &["UpdateUserInput.id", "DeleteUserInput.id"][..]),
            ("node.Team", &["UpdateTeamInput.id", "DeleteTeamInput.id", "selectedTeamId"]),
            ("node.TeamInvitation", &["AcceptTeamInvitationInput.id", "RevokeTeamInvitationInput.id"]),
            (
                "node.ContactChannel",
                &["UpdateContactChannelInput.id", "DeleteContactChannelInput.id", "contactChannelId"],
            ),
            ("node.LinkedAccount", &["UpdateLinkedAccountInput.id", "DeleteLinkedAccountInput.id"]),
            ("node.Session", &["RevokeSessionInput.id"]),
            ("node.ApiKey", &["UpdateApiKeyInput.id", "RevokeApiKeyInput.id"]),
            ("node.WebhookMessage", &["messageId"]),
            ("node.Email", &["UpdateEmailInput.id"]),
            ("draft", &["UpdateEmailDraftInput.id", "DeleteEmailDraftInput.id"]),
            (
                "endpointId",
                &[
                    "UpdateWebhookEndpointInput.id",
                    "DeleteWebhookEndpointInput.id",
                    "RotateWebhookSecretInput.id",
                    "RecoverWebhookEndpointInput.id",
                ],
            ),
        ] {
            put(inputs, self.values[of].clone());
        }
        put(&["displayName", "description"], "\"changed\"".to_owned());
        mail_inputs(&mut put, &self.values["userId"]);
        put(&["clientMetadata"], "{ changed: true }".to_owned());
        if of.level() != "CLIENT" {
            put(&["clientReadOnlyMetadata", "serverMetadata"], "{ changed: true }".to_owned());
        }
        put(&["TeamPermissionInput.key"], "\"team_admin\"".to_owned());
        put(&["ProjectPermissionInput.key"], "\"enter\"".to_owned());
        put(&["providerKey"], "\"hub\"".to_owned());
        put(&["productId", "fromProductId"], "\"plan\"".to_owned());
        put(&["toProductId"], "\"other\"".to_owned());
        put(&["product", "subscriptionId", "priceKey", "returnUrl"], "null".to_owned());
        put(&["amountUsd"], "\"1\"".to_owned());
        put(&["RefundTransactionInput.id"], format!("\"{}\"", uuid::Uuid::nil()));
        put(&["InviteToTeamInput.email"], "\"invitee@example.com\"".to_owned());
        put(&["SignUpWithPasswordInput.email"], "\"new@example.com\"".to_owned());
        put(&["CreateContactChannelInput.value"], "\"third@example.com\"".to_owned());
        put(&["CreateWebhookEndpointInput.url"], "\"http://127.0.0.1:9/other\"".to_owned());
        webhook_inputs(&mut put, &self.values["endpointId"]);
        put(&["password", "newPassword"], "\"another horse\"".to_owned());
        put(&["SignInWithPasswordInput.email", "SendPasswordResetInput.email"], "\"nobody@example.com\"".to_owned());
        values
    }

    /// Whether the caller's user holds a permission in the team that it gets to see.
    pub(super) fn holds(caller: Caller, permission: &str) -> bool {
        assert_eq!(permission, "\"$read_members\"", "say here who holds it");
        // A user of `internal` has a team of its own.
        matches!(caller, Caller::Owner | Caller::UserKey | Caller::Member | Caller::ForeignUser)
    }

    /// What may stand in no answer to this caller.
    pub(super) fn marks_hidden_from(caller: Caller) -> Vec<&'static str> {
        use Caller::{Admin, Member, MemberWithout, Owner, Server, TeamKey, UserKey};
        let mut hidden = Vec::new();
        let mut hide = |marks: &[&'static str], shown_to: &[Caller]| {
            if !shown_to.contains(&caller) {
                hidden.extend_from_slice(marks);
            }
        };
        hide(&OF_OWNER, &[Owner, UserKey, Server, Admin]);
        hide(&OF_SERVERS, &[Server, Admin]);
        hide(&[OF_TEAM], &[Owner, Member, MemberWithout, UserKey, TeamKey, Server, Admin]);
        hide(&[OF_INVITERS], &[Owner, Member, UserKey, Server, Admin]);
        hide(&OF_ADMINS, &[Admin]);
        hidden
    }
}

fn id(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Something of everything that a config can name.
async fn configure(admin: &Client) {
    let project = json!({"config": {"allow_user_api_keys": true, "allow_team_api_keys": true}});
    admin.patch("/internal/projects/current", project).await.json(200);
    let config = json!({
        "auth.oauth.providers.hub": {"type": "github"},
        "domains.trustedDomains.app": {"baseUrl": "https://app.example.com"},
        "payments.items": {"credits": {}, "seats": {"customerType": "team"}},
        "payments.productLines": {"plans": {"customerType": "user"}},
        "payments.products": {"plan": plan("Plan"), "other": plan("Other")},
        "rbac.permissions.enter": {"scope": "project"},
        "auth.signUpRules.all": {"enabled": true, "condition": "true", "action": {"type": "log"}},
        // Nobody listens there.
        "emails.server": {"isShared": false, "host": "127.0.0.1", "port": 9, "username": "", "password": "",
            "senderName": "Shop", "senderEmail": "shop@example.com"},
    });
    let config = json!({"config_override_string": config.to_string()});
    admin.patch("/internal/config/override/environment", config).await.json(200);
}

/// A product that can be had several times, and changed for the others of its line.
fn plan(name: &str) -> Value {
    json!({"displayName": name, "customerType": "user", "productLineId": "plans", "stackable": true,
        "prices": {"monthly": {"USD": "5", "interval": [1, "month"], "freeTrial": [7, "day"]}},
        "includedItems": {"credits": {"quantity": 1, "repeat": [1, "week"], "expires": "never"}}})
}

async fn user(app: &App, name: &str) -> (Client, String) {
    let (client, payload) = signed_up(app, &format!("{name}@example.com")).await;
    (client, id(&payload["userId"]))
}

async fn foreign_user(project: &Client) -> (Client, String) {
    let body = json!({"email": "foreign@example.com", "password": "correct horse"});
    let tokens = project.client().post("/auth/password/sign-up", body).await.json(200);
    (project.client().user(tokens["access_token"].as_str().unwrap()), id(&tokens["user_id"]))
}

/// An endpoint, and a message to it that was tried once: nobody listens there.
async fn webhook(admin: &Client) -> (String, String) {
    let create = "mutation($input: CreateWebhookEndpointInput!) { createWebhookEndpoint(input: $input) {
        webhookEndpoint { id } } }";
    let input = json!({"url": "http://127.0.0.1:9/hook-mark", "headers": [{"name": "x-mark", "value": "hook-mark"}]});
    let made = data(ask(admin, create, json!({ "input": input })).await);
    let endpoint = id(&made["createWebhookEndpoint"]["webhookEndpoint"]["id"]);
    let send = "mutation($id: ID!) { sendTestWebhook(input: {endpointId: $id}) { messageId } }";
    let message = id(&data(ask(admin, send, json!({ "id": endpoint })).await)["sendTestWebhook"]["messageId"]);
    let query = "query($id: ID!) { node(id: $id) { ... on WebhookMessage { attempts { totalCount } } } }";
    eventually("the first attempt", async || {
        let tried = data(ask(admin, query, json!({ "id": message })).await)["node"]["attempts"]["totalCount"].clone();
        tried.as_i64().filter(|tried| *tried > 0)
    })
    .await;
    (endpoint, message)
}

/// A mail to the owner that has long to wait, and a draft.
async fn mails(admin: &Client, owner: &str) -> (String, String) {
    let send = "mutation($owner: ID!) { sendEmail(input: {userIds: [$owner], html: \"<p>mail-mark</p>\",
        subject: \"mail-mark\", scheduledAt: \"2099-01-01T00:00:00Z\"}) { userIds } }";
    data(ask(admin, send, json!({ "owner": owner })).await);
    let query = "{ emails(status: SCHEDULED) { nodes { id subject } } }";
    let email = eventually("the rendered mail", async || {
        let found = data(ask(admin, query, Value::Null).await)["emails"]["nodes"].clone();
        found.as_array().unwrap().iter().find(|mail| mail["subject"] == "mail-mark").map(|mail| id(&mail["id"]))
    })
    .await;
    let create = "mutation { createEmailDraft(input: {displayName: \"draft-mark\"}) { emailDraft { id } } }";
    let draft = id(&data(ask(admin, create, Value::Null).await)["createEmailDraft"]["emailDraft"]["id"]);
    (email, draft)
}

/// What mutations of webhooks are given.
fn webhook_inputs(put: &mut impl FnMut(&[&'static str], String), endpoint: &str) {
    put(&["selection"], "null".to_owned());
    put(&["SendExampleWebhookInput.eventType"], "\"user.created\"".to_owned());
    put(&["RedriveWebhookDeliveriesInput.deliveries"], format!("{{ endpointId: {endpoint} }}"));
    put(&["ReplayWebhookMessagesInput.eventTypes"], "null".to_owned());
    let yesterday = chrono::Utc::now() - chrono::Duration::days(1);
    let since = format!("\"{}\"", yesterday.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    put(&["RecoverWebhookEndpointInput.since", "ReplayWebhookMessagesInput.since"], since);
    put(&["RecoverWebhookEndpointInput.until", "ReplayWebhookMessagesInput.until"], "null".to_owned());
}

/// What mutations of mails are given.
fn mail_inputs(put: &mut impl FnMut(&[&'static str], String), owner: &str) {
    let text = |text: &str| serde_json::to_string(text).unwrap();
    put(&["UpdateEmailTemplateInput.id", "DeleteEmailTemplateInput.id"], text(TEMPLATE));
    put(&["UpdateEmailThemeInput.id", "DeleteEmailThemeInput.id"], text(THEME));
    let template = "{% block subject %}s{% endblock %}{% block category %}Transactional{% endblock %}\
        {% block content %}<mj-section></mj-section>{% endblock %}";
    put(&["UpdateEmailTemplateInput.source"], text(template));
    put(&["UpdateEmailThemeInput.source"], text("<mjml><mj-body>{{ children }}</mj-body></mjml>"));
    put(&["SendEmailInput.userIds"], format!("[{owner}]"));
    put(&["SendEmailInput.html"], text("<p>changed</p>"));
    put(&["SendEmailInput.notificationCategoryName"], text("Marketing"));
    put(&["UpdateEmailInput.variables"], "{}".to_owned());
    put(&["InviteToSignInInput.email", "SendTestEmailInput.recipient"], text("invitee@example.com"));
    put(&["InviteToSignInInput.callbackUrl"], text("http://localhost:8000/join"));
    put(&["SendTestEmailInput.host"], text("127.0.0.1"));
    put(&["SendTestEmailInput.senderEmail"], text("shop@example.com"));
    put(&["EmailToInput.addresses"], "null".to_owned());
}

/// Waits until the log has events about the user.
async fn logged(server: &Client, user: &str) {
    let query = "query($id: ID!) { events(userId: $id) { nodes { type } } }";
    eventually("events about the user", async || {
        let events = data(ask(server, query, json!({ "id": user })).await)["events"]["nodes"].clone();
        events.as_array().unwrap().first().cloned()
    })
    .await;
}
