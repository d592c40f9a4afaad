//! Queries of invitations, each scoped by project. None begins a transaction.

use postern_entity::{contact_channel, team, team_invitation};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, IntoActiveModel, JoinType, QueryFilter,
    QueryOrder, QueryResult, QuerySelect, QueryTrait, Select,
};

use super::Invitation;
use crate::{ProjectId, TeamId, TeamInvitationId, Timestamp, UserId, db::Tx, error::Result};

/// How many invitations one answer lists: a team that has sent more than that has stopped looking at them.
const MAX_LISTED: u64 = 1000;

impl FromQueryResult for Invitation {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        let invitation = team_invitation::Model::from_query_result(row, prefix)?;
        Ok(Self::new(invitation, row.try_get(prefix, "team_display_name")?))
    }
}

pub(super) async fn insert(tx: &Tx, row: team_invitation::Model) -> Result<()> {
    team_invitation::Entity::insert(row.into_active_model()).exec_without_returning(&**tx).await?;
    Ok(())
}

/// Invitations that can be accepted, newest first.
fn pending(project_id: &ProjectId, now: Timestamp) -> Select<team_invitation::Entity> {
    let to_team = team_invitation::Entity::belongs_to(team::Entity)
        .from(team_invitation::Column::TeamId)
        .to(team::Column::Id)
        .into();
    team_invitation::Entity::find()
        .join(JoinType::InnerJoin, to_team)
        .column_as(team::Column::DisplayName, "team_display_name")
        .filter(team_invitation::Column::ProjectId.eq(project_id.clone()))
        .filter(team_invitation::Column::ExpiresAt.gt(now))
        .order_by_desc(team_invitation::Column::CreatedAt)
        .order_by_desc(team_invitation::Column::Id)
}

/// Those into a team; with `id` only that one.
pub(super) async fn of_team(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    team_id: TeamId,
    id: Option<TeamInvitationId>,
    now: Timestamp,
) -> Result<Vec<Invitation>> {
    let mut select = pending(project_id, now).filter(team_invitation::Column::TeamId.eq(team_id));
    if let Some(id) = id {
        select = select.filter(team_invitation::Column::Id.eq(id));
    }
    Ok(select.limit(MAX_LISTED).into_model().all(connection).await?)
}

/// Those to addresses that the user has proven to hold; with `id` only that one.
pub(super) async fn of_recipient(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    user_id: UserId,
    id: Option<TeamInvitationId>,
    now: Timestamp,
) -> Result<Vec<Invitation>> {
    let addresses = contact_channel::Entity::find()
        .select_only()
        .column(contact_channel::Column::Value)
        .filter(contact_channel::Column::ProjectId.eq(project_id.clone()))
        .filter(contact_channel::Column::UserId.eq(user_id))
        .filter(contact_channel::Column::IsVerified.eq(true))
        .into_query();
    let mut select = pending(project_id, now).filter(team_invitation::Column::RecipientEmail.in_subquery(addresses));
    if let Some(id) = id {
        select = select.filter(team_invitation::Column::Id.eq(id));
    }
    Ok(select.limit(MAX_LISTED).into_model().all(connection).await?)
}

/// Whether the invitation went to an address of the user, verified or not.
pub(super) async fn is_invited(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    id: TeamInvitationId,
    user_id: UserId,
) -> Result<bool> {
    let addresses = contact_channel::Entity::find()
        .select_only()
        .column(contact_channel::Column::Value)
        .filter(contact_channel::Column::ProjectId.eq(project_id.clone()))
        .filter(contact_channel::Column::UserId.eq(user_id))
        .into_query();
    let select = team_invitation::Entity::find()
        .filter(team_invitation::Column::ProjectId.eq(project_id.clone()))
        .filter(team_invitation::Column::Id.eq(id))
        .filter(team_invitation::Column::RecipientEmail.in_subquery(addresses));
    Ok(select.one(connection).await?.is_some())
}

/// The invitation of that id, expired or not.
pub(super) async fn find(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    id: TeamInvitationId,
) -> Result<Option<team_invitation::Model>> {
    let select = team_invitation::Entity::find()
        .filter(team_invitation::Column::ProjectId.eq(project_id.clone()))
        .filter(team_invitation::Column::Id.eq(id));
    Ok(select.one(connection).await?)
}

/// Removes an invitation. Answers whether it was there.
pub(super) async fn remove(tx: &Tx, project_id: &ProjectId, id: TeamInvitationId) -> Result<bool> {
    let gone = team_invitation::Entity::delete_many()
        .filter(team_invitation::Column::ProjectId.eq(project_id.clone()))
        .filter(team_invitation::Column::Id.eq(id))
        .exec(&**tx)
        .await?;
    Ok(gone.rows_affected > 0)
}
