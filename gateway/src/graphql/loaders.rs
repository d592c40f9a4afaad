//! Data loaders: what several objects of one answer need of the database is asked for in one statement, so that the number
//! of statements does not grow with the rows.
//!
//! To add one: a key type, an `impl Loader` that calls a batch function of the domain, and a method of [`Loaders`].
//! Loaders check no access but where they say `seen`: the fields that use them are guarded, and each starts from an object
//! that the caller may see.

mod source;

use std::sync::{Arc, OnceLock};

use async_graphql::{Context, dataloader::DataLoader};
use postern_domain::{
    Actor, Deps, TeamId, Timestamp, UserId, WebhookEndpointId, WebhookMessageId,
    items::{Customer, Item},
    linked_accounts::LinkedAccount,
    permissions::{ProjectGrant, TeamGrant},
    teams::{MemberPage, Position, Team},
    users::{User, channels::ContactChannel},
    webhooks::{Attempt, Delivery, Endpoint, Statistics},
};

use super::{error::Result, rounds::Rounds};
use source::{
    AttemptsOf, ContactChannelsOf, DeliveriesOf, LinkedAccountsOf, MembersOf, ProjectPermissionsOf, Seen, Source,
    StatisticsOf, TeamPermissionsOf, TeamsOf,
};

/// The loaders of one request.
pub(crate) struct Loaders {
    source: Source,
    rounds: Rounds,
    /// Made when first used: many requests need none.
    loader: OnceLock<DataLoader<Source>>,
}

impl Loaders {
    /// Loaders within the actor's project, for the operation that is run in these rounds.
    pub(crate) fn new(deps: &Arc<Deps>, actor: &Actor, rounds: Rounds) -> Self {
        let source = Source { deps: Arc::clone(deps), actor: actor.clone() };
        Self { source, rounds, loader: OnceLock::new() }
    }

    /// The loaders of the request of `ctx`.
    ///
    /// # Errors
    /// Internal only: whoever asks was let in, so there is a project.
    pub(crate) fn of<'a>(ctx: &Context<'a>) -> Result<&'a Self> {
        ctx.data_opt::<Self>().ok_or_else(|| postern_domain::Error::internal("a request without loaders").into())
    }

    /// A user of the project.
    ///
    /// # Errors
    /// Internal only.
    pub(crate) async fn user(&self, id: UserId) -> Result<Option<User>> {
        Ok(self.loader().load_one(id).await?)
    }

    /// A team of the project.
    ///
    /// # Errors
    /// Internal only.
    pub(crate) async fn team(&self, id: TeamId) -> Result<Option<Team>> {
        Ok(self.loader().load_one(id).await?)
    }

    /// A user of the project, if the caller may see it.
    ///
    /// # Errors
    /// Internal only.
    pub(crate) async fn seen_user(&self, id: UserId) -> Result<Option<User>> {
        Ok(self.loader().load_one(Seen(id)).await?)
    }

    /// A team of the project, if the caller may see it.
    ///
    /// # Errors
    /// Internal only.
    pub(crate) async fn seen_team(&self, id: TeamId) -> Result<Option<Team>> {
        Ok(self.loader().load_one(Seen(id)).await?)
    }

    /// The contact channels of a user, the primary one first.
    ///
    /// # Errors
    /// Internal only.
    pub(crate) async fn contact_channels_of(&self, user: UserId) -> Result<Vec<ContactChannel>> {
        Ok(self.loader().load_one(ContactChannelsOf(user)).await?.unwrap_or_default())
    }

    /// The accounts of other sites that a user has linked, oldest first.
    ///
    /// # Errors
    /// Internal only.
    pub(crate) async fn linked_accounts_of(&self, user: UserId) -> Result<Vec<LinkedAccount>> {
        Ok(self.loader().load_one(LinkedAccountsOf(user)).await?.unwrap_or_default())
    }

    /// The teams of a user, oldest first.
    ///
    /// # Errors
    /// Internal only.
    pub(crate) async fn teams_of(&self, user: UserId) -> Result<Vec<Team>> {
        Ok(self.loader().load_one(TeamsOf(user)).await?.unwrap_or_default())
    }

    /// What a user holds in its teams, by team and key.
    ///
    /// # Errors
    /// Internal only.
    pub(crate) async fn team_permissions_of(&self, user: UserId, recursive: bool) -> Result<Vec<TeamGrant>> {
        Ok(self.loader().load_one(TeamPermissionsOf { user, recursive }).await?.unwrap_or_default())
    }

    /// The members of a team after a position, by the time of joining: at most `limit`.
    ///
    /// # Errors
    /// Internal only.
    pub(crate) async fn members_of(&self, team: TeamId, after: Option<Position>, limit: u64) -> Result<MemberPage> {
        Ok(self.loader().load_one(MembersOf { team, after, limit }).await?.unwrap_or_default())
    }

    /// Whether the caller's user holds a permission in a team, or in the whole project.
    ///
    /// # Errors
    /// Internal only.
    pub(crate) async fn caller_holds(&self, permission: &str, team: Option<TeamId>) -> Result<bool> {
        let Some(user) = self.source.actor.user_id() else { return Ok(false) };
        Ok(match team {
            Some(team) => {
                let held = self.team_permissions_of(user, true).await?;
                held.iter().any(|grant| grant.team_id == team && grant.id == permission)
            }
            None => self.project_permissions_of(user, true).await?.iter().any(|grant| grant.id == permission),
        })
    }

    /// What a user holds in the whole project, by key.
    ///
    /// # Errors
    /// Internal only.
    pub(crate) async fn project_permissions_of(&self, user: UserId, recursive: bool) -> Result<Vec<ProjectGrant>> {
        Ok(self.loader().load_one(ProjectPermissionsOf { user, recursive }).await?.unwrap_or_default())
    }

    /// What a customer has of each item for customers of its sort, by key.
    ///
    /// # Errors
    /// Those of [`items::require_access`].
    pub(crate) async fn items_of(&self, customer: Customer) -> Result<Vec<Item>> {
        Ok(self.loader().load_one(customer).await?.unwrap_or_else(|| Ok(Vec::new()))?)
    }

    /// A webhook endpoint of the project; none once it is deleted.
    ///
    /// # Errors
    /// Access; internal.
    pub(crate) async fn webhook_endpoint(&self, id: WebhookEndpointId) -> Result<Option<Endpoint>> {
        Ok(self.loader().load_one(id).await?)
    }

    /// The deliveries of a webhook message, those to the oldest endpoints first.
    ///
    /// # Errors
    /// Access; internal.
    pub(crate) async fn webhook_deliveries_of(&self, message: WebhookMessageId) -> Result<Vec<Delivery>> {
        Ok(self.loader().load_one(DeliveriesOf(message)).await?.unwrap_or_default())
    }

    /// The newest attempts to deliver a webhook message.
    ///
    /// # Errors
    /// Access; internal.
    pub(crate) async fn webhook_attempts_of(&self, message: WebhookMessageId) -> Result<Vec<Attempt>> {
        Ok(self.loader().load_one(AttemptsOf(message)).await?.unwrap_or_default())
    }

    /// How a webhook endpoint has done since then; none once it is deleted.
    ///
    /// # Errors
    /// A time too long ago; access; internal.
    pub(crate) async fn webhook_statistics(
        &self,
        id: WebhookEndpointId,
        since: Timestamp,
    ) -> Result<Option<Statistics>> {
        Ok(self.loader().load_one(StatisticsOf(id, since)).await?)
    }

    fn loader(&self) -> &DataLoader<Source> {
        self.loader.get_or_init(|| DataLoader::new(self.source.clone(), self.rounds.clone(), self.rounds.clone()))
    }
}
