//! Data loaders: what several objects of one answer need of the database is asked for in one statement, so that the number
//! of statements does not grow with the rows.
//!
//! To add one: a key type, an `impl Loader` that calls a batch function of the domain, and a method of [`Loaders`].
//! Loaders check no access: the fields that use them are guarded, and each starts from an object that the caller may see.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, OnceLock},
};

use async_graphql::{
    Context,
    dataloader::{DataLoader, Loader},
};
use async_trait::async_trait;
use postern_domain::{
    Actor, Deps, Failure, TeamId, UserId, WebhookEndpointId, WebhookMessageId,
    items::{self, Customer, Item},
    linked_accounts::{self, LinkedAccount},
    permissions::{self, ProjectGrant, TeamGrant},
    teams::{self, MemberPage, Position, Team},
    users::{
        self, User,
        channels::{self, ContactChannel},
    },
    webhooks::{self, Attempt, Delivery, Endpoint},
};

use super::{
    error::{Error, Result, log_fault},
    rounds::Rounds,
};

/// The loaders of one request.
pub(crate) struct Loaders {
    source: Source,
    rounds: Rounds,
    /// Made when first used: many requests need none.
    loader: OnceLock<DataLoader<Source>>,
}

#[derive(Clone)]
struct Source {
    deps: Arc<Deps>,
    actor: Actor,
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

    fn loader(&self) -> &DataLoader<Source> {
        self.loader.get_or_init(|| DataLoader::new(self.source.clone(), self.rounds.clone(), self.rounds.clone()))
    }
}

/// Why a batch failed, told to everyone who waits for it. What is our fault was logged once.
#[derive(Clone)]
enum LoadError {
    Refused(Failure),
    Fault,
}

impl From<postern_domain::Error> for LoadError {
    fn from(error: postern_domain::Error) -> Self {
        match error.told() {
            Ok(failure) => Self::Refused(failure),
            Err(fault) => {
                log_fault(&fault);
                Self::Fault
            }
        }
    }
}

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Refused(failure) => failure.into(),
            LoadError::Fault => Self::logged_fault(),
        }
    }
}

#[async_trait]
impl Loader<UserId> for Source {
    type Value = User;
    type Error = LoadError;

    async fn load(&self, ids: &[UserId]) -> Result<HashMap<UserId, User>, LoadError> {
        Ok(users::by_ids(&self.deps, &self.actor.project_id, ids).await?)
    }
}

#[async_trait]
impl Loader<TeamId> for Source {
    type Value = Team;
    type Error = LoadError;

    async fn load(&self, ids: &[TeamId]) -> Result<HashMap<TeamId, Team>, LoadError> {
        Ok(teams::by_ids(&self.deps, &self.actor.project_id, ids).await?)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ContactChannelsOf(UserId);

#[async_trait]
impl Loader<ContactChannelsOf> for Source {
    type Value = Vec<ContactChannel>;
    type Error = LoadError;

    async fn load(&self, keys: &[ContactChannelsOf]) -> Result<HashMap<ContactChannelsOf, Self::Value>, LoadError> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = channels::of_users(&self.deps, &self.actor.project_id, &ids).await?;
        Ok(found.into_iter().map(|(id, channels)| (ContactChannelsOf(id), channels)).collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct LinkedAccountsOf(UserId);

#[async_trait]
impl Loader<LinkedAccountsOf> for Source {
    type Value = Vec<LinkedAccount>;
    type Error = LoadError;

    async fn load(&self, keys: &[LinkedAccountsOf]) -> Result<HashMap<LinkedAccountsOf, Self::Value>, LoadError> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = linked_accounts::by_users(&self.deps, &self.actor.project_id, &ids).await?;
        Ok(found.into_iter().map(|(id, accounts)| (LinkedAccountsOf(id), accounts)).collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct TeamsOf(UserId);

#[async_trait]
impl Loader<TeamsOf> for Source {
    type Value = Vec<Team>;
    type Error = LoadError;

    async fn load(&self, keys: &[TeamsOf]) -> Result<HashMap<TeamsOf, Self::Value>, LoadError> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = teams::of_users(&self.deps, &self.actor.project_id, &ids).await?;
        Ok(found.into_iter().map(|(id, teams)| (TeamsOf(id), teams)).collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct MembersOf {
    team: TeamId,
    after: Option<Position>,
    limit: u64,
}

#[async_trait]
impl Loader<MembersOf> for Source {
    type Value = MemberPage;
    type Error = LoadError;

    async fn load(&self, keys: &[MembersOf]) -> Result<HashMap<MembersOf, MemberPage>, LoadError> {
        let mut found = HashMap::with_capacity(keys.len());
        // One page of every team; more only where an answer asks for several pages under different names.
        for ((after, limit), teams) in grouped(keys.to_vec(), |key| (key.after, key.limit)) {
            let teams: Vec<_> = teams.iter().map(|key| key.team).collect();
            let pages = teams::member_pages(&self.deps, &self.actor.project_id, &teams, after, limit).await?;
            found.extend(pages.into_iter().map(|(team, page)| (MembersOf { team, after, limit }, page)));
        }
        Ok(found)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct TeamPermissionsOf {
    user: UserId,
    recursive: bool,
}

#[async_trait]
impl Loader<TeamPermissionsOf> for Source {
    type Value = Vec<TeamGrant>;
    type Error = LoadError;

    async fn load(&self, keys: &[TeamPermissionsOf]) -> Result<HashMap<TeamPermissionsOf, Self::Value>, LoadError> {
        let mut found = HashMap::new();
        for recursive in [false, true] {
            let users: Vec<_> = keys.iter().filter(|key| key.recursive == recursive).map(|key| key.user).collect();
            let of_users =
                permissions::of_users_in_teams(&self.deps, &self.actor.project_id, &users, recursive).await?;
            found.extend(of_users.into_iter().map(|(user, held)| (TeamPermissionsOf { user, recursive }, held)));
        }
        Ok(found)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ProjectPermissionsOf {
    user: UserId,
    recursive: bool,
}

#[async_trait]
impl Loader<ProjectPermissionsOf> for Source {
    type Value = Vec<ProjectGrant>;
    type Error = LoadError;

    async fn load(
        &self,
        keys: &[ProjectPermissionsOf],
    ) -> Result<HashMap<ProjectPermissionsOf, Self::Value>, LoadError> {
        let mut found = HashMap::new();
        for recursive in [false, true] {
            let users: Vec<_> = keys.iter().filter(|key| key.recursive == recursive).map(|key| key.user).collect();
            let of_users =
                permissions::of_users_in_project(&self.deps, &self.actor.project_id, &users, recursive).await?;
            found.extend(of_users.into_iter().map(|(user, held)| (ProjectPermissionsOf { user, recursive }, held)));
        }
        Ok(found)
    }
}

#[async_trait]
impl Loader<Customer> for Source {
    type Value = Result<Vec<Item>, Failure>;
    type Error = LoadError;

    async fn load(&self, customers: &[Customer]) -> Result<HashMap<Customer, Self::Value>, LoadError> {
        Ok(items::of_customers(&self.deps, &self.actor, customers).await?)
    }
}

#[async_trait]
impl Loader<WebhookEndpointId> for Source {
    type Value = Endpoint;
    type Error = LoadError;

    async fn load(&self, ids: &[WebhookEndpointId]) -> Result<HashMap<WebhookEndpointId, Endpoint>, LoadError> {
        let found = webhooks::endpoints_by_ids(&self.deps, &self.actor, ids).await?;
        Ok(found.into_iter().map(|endpoint| (endpoint.id, endpoint)).collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct DeliveriesOf(WebhookMessageId);

#[async_trait]
impl Loader<DeliveriesOf> for Source {
    type Value = Vec<Delivery>;
    type Error = LoadError;

    async fn load(&self, keys: &[DeliveriesOf]) -> Result<HashMap<DeliveriesOf, Self::Value>, LoadError> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = webhooks::deliveries_of(&self.deps, &self.actor, &ids).await?;
        Ok(grouped(found, |delivery| DeliveriesOf(delivery.message_id)))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct AttemptsOf(WebhookMessageId);

#[async_trait]
impl Loader<AttemptsOf> for Source {
    type Value = Vec<Attempt>;
    type Error = LoadError;

    async fn load(&self, keys: &[AttemptsOf]) -> Result<HashMap<AttemptsOf, Self::Value>, LoadError> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = webhooks::attempts_of(&self.deps, &self.actor, &ids).await?;
        Ok(grouped(found, |attempt| AttemptsOf(attempt.message_id)))
    }
}

/// What belongs to each key, in the order in which it was found.
fn grouped<K: Hash + Eq, V>(found: Vec<V>, key: impl Fn(&V) -> K) -> HashMap<K, Vec<V>> {
    let mut groups: HashMap<K, Vec<V>> = HashMap::new();
    for one in found {
        groups.entry(key(&one)).or_default().push(one);
    }
    groups
}
