//! What an id names. Every id is a UUID of its own, so one question over all tables of a project finds the table; what the
//! caller may see of it is the business of the feature that owns it.

use postern_entity::{
    api_key, contact_channel, email, linked_account, session, team, team_invitation, user, webhook_endpoint,
    webhook_message,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Alias, Expr, ExprTrait, SelectStatement, UnionType},
};
use uuid::Uuid;

use crate::{
    ApiKeyId, ContactChannelId, Deps, EmailId, LinkedAccountId, ProjectId, SessionId, TeamId, TeamInvitationId, UserId,
    WebhookEndpointId, WebhookMessageId,
    error::{Error, Result},
};

/// What an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A user.
    User(UserId),
    /// A team.
    Team(TeamId),
    /// An invitation into a team.
    TeamInvitation(TeamInvitationId),
    /// A contact channel, and whose it is.
    ContactChannel(ContactChannelId, UserId),
    /// A linked account of another site, and whose it is.
    LinkedAccount(LinkedAccountId, UserId),
    /// A session, and whose it is.
    Session(SessionId, UserId),
    /// An API key of a user or a team.
    ApiKey(ApiKeyId),
    /// A mail of the outbox.
    Email(EmailId),
    /// A webhook endpoint, perhaps a deleted one.
    WebhookEndpoint(WebhookEndpointId),
    /// A webhook message.
    WebhookMessage(WebhookMessageId),
}

/// What `id` names within the project, if anything. One statement. Checks no access.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn find(deps: &Deps, project_id: &ProjectId, id: Uuid) -> Result<Option<Node>> {
    let mut question = part::<user::Entity>("user", user::Column::Id, user::Column::ProjectId, None, project_id, id);
    let others = [
        part::<team::Entity>("team", team::Column::Id, team::Column::ProjectId, None, project_id, id),
        part::<team_invitation::Entity>(
            "team_invitation",
            team_invitation::Column::Id,
            team_invitation::Column::ProjectId,
            None,
            project_id,
            id,
        ),
        part::<contact_channel::Entity>(
            "contact_channel",
            contact_channel::Column::Id,
            contact_channel::Column::ProjectId,
            Some(contact_channel::Column::UserId),
            project_id,
            id,
        ),
        part::<linked_account::Entity>(
            "linked_account",
            linked_account::Column::Id,
            linked_account::Column::ProjectId,
            Some(linked_account::Column::UserId),
            project_id,
            id,
        ),
        part::<session::Entity>(
            "session",
            session::Column::Id,
            session::Column::ProjectId,
            Some(session::Column::UserId),
            project_id,
            id,
        ),
        part::<api_key::Entity>("api_key", api_key::Column::Id, api_key::Column::ProjectId, None, project_id, id),
        part::<email::Entity>("email", email::Column::Id, email::Column::ProjectId, None, project_id, id),
        part::<webhook_endpoint::Entity>(
            "webhook_endpoint",
            webhook_endpoint::Column::Id,
            webhook_endpoint::Column::ProjectId,
            None,
            project_id,
            id,
        ),
        part::<webhook_message::Entity>(
            "webhook_message",
            webhook_message::Column::Id,
            webhook_message::Column::ProjectId,
            None,
            project_id,
            id,
        ),
    ];
    for other in others {
        question.union(UnionType::All, other);
    }
    let reader = deps.db.read();
    let Some(row) = reader.query_one(&question).await? else { return Ok(None) };
    let (kind, owner): (String, Uuid) = (row.try_get("", "kind")?, row.try_get("", "owner")?);
    Ok(Some(match kind.as_str() {
        "user" => Node::User(UserId(id)),
        "team" => Node::Team(TeamId(id)),
        "team_invitation" => Node::TeamInvitation(TeamInvitationId(id)),
        "contact_channel" => Node::ContactChannel(ContactChannelId(id), UserId(owner)),
        "linked_account" => Node::LinkedAccount(LinkedAccountId(id), UserId(owner)),
        "session" => Node::Session(SessionId(id), UserId(owner)),
        "api_key" => Node::ApiKey(ApiKeyId(id)),
        "email" => Node::Email(EmailId(id)),
        "webhook_endpoint" => Node::WebhookEndpoint(WebhookEndpointId(id)),
        "webhook_message" => Node::WebhookMessage(WebhookMessageId(id)),
        other => return Err(Error::internal(format!("a node of kind {other}"))),
    }))
}

/// The question for one table: its name, and the owner of the row or, where it has none, the row itself.
fn part<E: EntityTrait>(
    kind: &str,
    id_column: E::Column,
    project_column: E::Column,
    owner: Option<E::Column>,
    project_id: &ProjectId,
    id: Uuid,
) -> SelectStatement {
    E::find()
        .select_only()
        .expr_as(Expr::val(kind).cast_as(Alias::new("text")), "kind")
        .expr_as(Expr::col(owner.unwrap_or(id_column)), "owner")
        .filter(project_column.eq(project_id.clone()))
        .filter(id_column.eq(id))
        .into_query()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        linked_accounts,
        teams::{self, CreateTeam},
        testing::{on_each_database, server},
        users::{self, CreateUser, OAuthLink, channels},
    };

    #[tokio::test]
    async fn an_id_is_found_in_its_project_and_in_no_other() {
        on_each_database(|bench| async move {
            let (project_id, other) = (bench.insert_project().await, bench.insert_project().await);
            let (deps, actor) = (&bench.deps, server(&project_id));
            bench.set_config(&project_id, json!({ "auth.oauth.providers": { "github": { "type": "github" } } })).await;
            let input = CreateUser {
                primary_email: Some("a@example.com".to_owned()),
                oauth_providers: vec![OAuthLink::new("github".to_owned(), "1".to_owned(), None)],
                ..CreateUser::default()
            };
            let user = users::create(deps, &actor, input).await.unwrap();
            let channel = channels::list(deps, &actor, Some(user.id), None).await.unwrap().remove(0);
            let team = CreateTeam { display_name: "T".to_owned(), ..CreateTeam::default() };
            let team = teams::create(deps, &actor, team).await.unwrap();
            let link = linked_accounts::list(deps, &actor, Some(user.id)).await.unwrap().remove(0);
            for (id, expected) in [
                (user.id.0, Node::User(user.id)),
                (channel.id.0, Node::ContactChannel(channel.id, user.id)),
                (team.id.0, Node::Team(team.id)),
                (link.id.0, Node::LinkedAccount(link.id, user.id)),
            ] {
                assert_eq!(find(deps, &project_id, id).await.unwrap(), Some(expected));
                assert_eq!(find(deps, &other, id).await.unwrap(), None);
            }
            assert_eq!(find(deps, &project_id, Uuid::new_v4()).await.unwrap(), None);
        })
        .await;
    }
}
