//! What loaders ask for, and the batch functions of the domain that answer it.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use async_graphql::dataloader::Loader;
use async_trait::async_trait;
use postern_domain::{
    Actor, Deps, Failure, TeamId, Timestamp, UserId, WebhookEndpointId, WebhookMessageId,
    items::{self, Customer, Item},
    linked_accounts::{self, LinkedAccount},
    permissions::{self, ProjectGrant, TeamGrant},
    teams::{self, MemberPage, Position, Team},
    users::{
        self, User,
        channels::{self, ContactChannel},
    },
    webhooks::{self, Attempt, Delivery, Endpoint, Statistics},
};

use crate::graphql::error::{Error, Result, log_fault};

/// Where batches come from: the caller's project, as far as batch functions ask who asks.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) deps: Arc<Deps>,
    pub(super) actor: Actor,
}

/// Why a batch failed, told to everyone who waits for it. What is our fault was logged once.
#[derive(Clone)]
pub(super) enum LoadError {
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

/// What has this id, as far as the caller may see it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Seen<Id>(pub(super) Id);

#[async_trait]
impl Loader<Seen<UserId>> for Source {
    type Value = User;
    type Error = LoadError;

    async fn load(&self, ids: &[Seen<UserId>]) -> Result<HashMap<Seen<UserId>, User>, LoadError> {
        let ids: Vec<_> = ids.iter().map(|Seen(id)| *id).collect();
        let found = users::seen_by_ids(&self.deps, &self.actor, &ids).await?;
        Ok(found.into_iter().map(|(id, user)| (Seen(id), user)).collect())
    }
}

#[async_trait]
impl Loader<Seen<TeamId>> for Source {
    type Value = Team;
    type Error = LoadError;

    async fn load(&self, ids: &[Seen<TeamId>]) -> Result<HashMap<Seen<TeamId>, Team>, LoadError> {
        let ids: Vec<_> = ids.iter().map(|Seen(id)| *id).collect();
        let found = teams::seen_by_ids(&self.deps, &self.actor, &ids).await?;
        Ok(found.into_iter().map(|(id, team)| (Seen(id), team)).collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ContactChannelsOf(pub(super) UserId);

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
pub(super) struct LinkedAccountsOf(pub(super) UserId);

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
pub(super) struct TeamsOf(pub(super) UserId);

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
pub(super) struct MembersOf {
    pub(super) team: TeamId,
    pub(super) after: Option<Position>,
    pub(super) limit: u64,
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
pub(super) struct TeamPermissionsOf {
    pub(super) user: UserId,
    pub(super) recursive: bool,
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
pub(super) struct ProjectPermissionsOf {
    pub(super) user: UserId,
    pub(super) recursive: bool,
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
pub(super) struct DeliveriesOf(pub(super) WebhookMessageId);

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
pub(super) struct AttemptsOf(pub(super) WebhookMessageId);

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

/// How a webhook endpoint has done since then.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StatisticsOf(pub(super) WebhookEndpointId, pub(super) Timestamp);

#[async_trait]
impl Loader<StatisticsOf> for Source {
    type Value = Statistics;
    type Error = LoadError;

    async fn load(&self, keys: &[StatisticsOf]) -> Result<HashMap<StatisticsOf, Self::Value>, LoadError> {
        let mut all = HashMap::new();
        for (since, keys) in grouped(keys.to_vec(), |key| key.1) {
            let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
            let found = webhooks::statistics_of(&self.deps, &self.actor, &ids, since).await?;
            all.extend(found.into_iter().map(|(id, statistics)| (StatisticsOf(id, since), statistics)));
        }
        Ok(all)
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
