//! Things with an id of their own, whatever they are.

use async_graphql::{Context, ID, Interface};
use postern_domain::{
    Actor, Deps, Kind, api_keys, emails, linked_accounts,
    nodes::{self, Node as Found},
    sessions,
    teams::{self, invitations},
    users::{self, channels},
    webhooks,
};
use postern_gateway_macros::guarded;
use uuid::Uuid;

use super::{
    api_keys::types::ApiKeyObject,
    contact_channels::types::ContactChannelObject,
    emails::types::EmailObject,
    error::Result,
    linked_accounts::types::LinkedAccountObject,
    scalars::parse_id,
    schema::{actor, deps},
    sessions::types::SessionObject,
    teams::{invitations::TeamInvitationObject, types::TeamObject},
    users::types::UserObject,
    webhooks::{message::WebhookMessageObject, types::WebhookEndpointObject},
};

/// Something with an id of its own within the project.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "The id, the same as over REST."))]
pub(crate) enum Node {
    /// A user.
    User(UserObject),
    /// A team.
    Team(TeamObject),
    /// An invitation into a team.
    TeamInvitation(TeamInvitationObject),
    /// A contact channel.
    ContactChannel(ContactChannelObject),
    /// A linked account of another site.
    LinkedAccount(LinkedAccountObject),
    /// A session.
    Session(SessionObject),
    /// An API key.
    ApiKey(ApiKeyObject),
    /// A mail of the outbox.
    Email(EmailObject),
    /// A webhook endpoint.
    WebhookEndpoint(WebhookEndpointObject),
    /// A webhook message.
    WebhookMessage(WebhookMessageObject),
}

/// Queries by id alone.
#[derive(Default)]
pub(crate) struct NodeQuery;

#[guarded(root)]
impl NodeQuery {
    /// Whatever has this id within the project; null when nothing has, or nothing that the caller may see.
    #[access(CLIENT, self, keys = ANY)]
    async fn node(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Node>> {
        let (deps, actor) = (deps(ctx)?, actor(ctx)?);
        let id: Uuid = parse_id(&id, "id")?;
        let Some(found) = nodes::find(deps, &actor.project_id, id).await? else { return Ok(None) };
        match see(deps, actor, found).await {
            Err(error) if hides(&error) => Ok(None),
            seen => Ok(seen?),
        }
    }
}

/// Whether the refusal says that the caller may not know of it.
pub(super) fn hides(error: &postern_domain::Error) -> bool {
    let kind = error.failure().map(postern_domain::Failure::kind);
    matches!(kind, Some(Kind::NotFound | Kind::Forbidden | Kind::Unauthenticated))
}

/// What was found, as far as the caller may see it: each feature decides for its own.
async fn see(deps: &Deps, actor: &Actor, found: Found) -> postern_domain::Result<Option<Node>> {
    Ok(match found {
        Found::User(id) => Some(Node::User(UserObject(users::get(deps, actor, id).await?))),
        Found::Team(id) => Some(Node::Team(TeamObject(teams::get(deps, actor, id).await?))),
        Found::TeamInvitation(id) => {
            Some(Node::TeamInvitation(TeamInvitationObject(invitations::get(deps, actor, id).await?)))
        }
        Found::ContactChannel(id, user_id) => {
            Some(Node::ContactChannel(ContactChannelObject(channels::get(deps, actor, user_id, id).await?)))
        }
        Found::LinkedAccount(id, user_id) => {
            Some(Node::LinkedAccount(LinkedAccountObject(linked_accounts::get(deps, actor, user_id, id).await?)))
        }
        Found::Session(id, user_id) => {
            let sessions = sessions::list(deps, actor, user_id).await?;
            sessions.into_iter().find(|session| session.id == id).map(|session| Node::Session(SessionObject(session)))
        }
        Found::ApiKey(id) => Some(Node::ApiKey(ApiKeyObject(api_keys::get(deps, actor, None, id).await?))),
        Found::Email(id) => Some(Node::Email(EmailObject(emails::outbox::get(deps, actor, id).await?))),
        Found::WebhookEndpoint(id) => {
            Some(Node::WebhookEndpoint(WebhookEndpointObject(webhooks::endpoint(deps, actor, id).await?)))
        }
        Found::WebhookMessage(id) => {
            Some(Node::WebhookMessage(WebhookMessageObject(webhooks::message(deps, actor, id).await?)))
        }
    })
}
