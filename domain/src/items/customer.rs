//! Who has items: users, teams, and what only the application knows. Who may look at what they have (wire: payments §2).

use std::collections::HashSet;

use postern_entity::{TeamId, UserId};
use serde_json::json;
use uuid::{Uuid, fmt::Hyphenated};

pub use crate::projects::CustomerType;
use crate::{
    Actor, Code, Deps, Failure, ProjectId,
    error::{Result, refuse},
    permissions,
    projects::{self, ItemConfig},
    teams, users,
    validation::Violations,
};

/// The longest id of a customer that only the application knows, in characters.
pub const MAX_CUSTOM_ID_CHARS: usize = 255;
/// What a member of a team holds who may look at what the team has.
const TEAM_ADMIN: &str = "team_admin";

/// A customer, which need not be there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Customer {
    kind: CustomerType,
    /// UUIDs are written as the database writes them.
    id: String,
}

impl Customer {
    /// The customer that is called so.
    #[must_use]
    pub fn new(kind: CustomerType, id: &str) -> Self {
        let uuid = Some(id).filter(|id| kind != CustomerType::Custom && id.len() == Hyphenated::LENGTH);
        let uuid = uuid.and_then(|id| Uuid::try_parse(id).ok());
        Self { kind, id: uuid.map_or_else(|| id.to_owned(), |uuid| uuid.to_string()) }
    }

    /// A user.
    #[must_use]
    pub fn user(id: UserId) -> Self {
        Self { kind: CustomerType::User, id: id.to_string() }
    }

    /// A team.
    #[must_use]
    pub fn team(id: TeamId) -> Self {
        Self { kind: CustomerType::Team, id: id.to_string() }
    }

    /// What sort of customer it is.
    #[must_use]
    pub fn kind(&self) -> CustomerType {
        self.kind
    }

    /// What it is called.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The user it is, or would be.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        if self.kind == CustomerType::User { self.id.parse().ok() } else { None }
    }

    /// The team it is, or would be.
    #[must_use]
    pub fn team_id(&self) -> Option<TeamId> {
        if self.kind == CustomerType::Team { self.id.parse().ok() } else { None }
    }

    /// Notes a name that is too long, or that no database can hold.
    pub(super) fn check(&self, violations: &mut Violations) {
        if self.kind == CustomerType::Custom {
            violations.text("customer_id", &self.id, MAX_CUSTOM_ID_CHARS);
            violations.require(!self.id.is_empty(), "customer_id", "must not be empty");
        } else {
            violations.storable("customer_id", &self.id);
        }
    }

    /// There is no such customer.
    pub(super) fn not_found(&self) -> Failure {
        match self.kind {
            CustomerType::User => users::not_found(),
            CustomerType::Team => {
                let text = format!("There is no team {}.", self.shown());
                Failure::new(Code::TeamNotFound, text).with(json!({ "team_id": self.id }))
            }
            // Nobody but the application knows them, so every one is there.
            CustomerType::Custom => Failure::not_found("There is no such customer."),
        }
    }

    /// Short enough for a message.
    fn shown(&self) -> String {
        self.id.chars().take(MAX_CUSTOM_ID_CHARS).collect()
    }
}

/// Lets servers look at every customer, and clients at their own user and at teams in which they hold `team_admin`,
/// directly or included in another permission. The API key of a team may look at its team.
///
/// # Errors
/// `USER_AUTHENTICATION_REQUIRED`; `FORBIDDEN` for other users and for custom customers; `TEAM_PERMISSION_REQUIRED`.
#[crate::boxed]
pub async fn require_access(deps: &Deps, actor: &Actor, customer: &Customer) -> Result<()> {
    match Access::of(deps, actor, std::slice::from_ref(customer)).await?.refusal(actor, customer) {
        None => Ok(()),
        Some(failure) => refuse(failure),
    }
}

/// What a caller may look at, looked up once for several customers.
pub(super) struct Access {
    /// The teams among them in which the caller holds `team_admin`.
    administered: HashSet<TeamId>,
}

impl Access {
    pub(super) async fn of(deps: &Deps, actor: &Actor, customers: &[Customer]) -> Result<Self> {
        let mut administered = HashSet::new();
        let teams: Vec<TeamId> = customers.iter().filter_map(Customer::team_id).collect();
        if let (false, Some(user_id)) = (actor.is_server(), actor.user_id()) {
            match teams.as_slice() {
                [] => {}
                [id] => {
                    let connection = deps.db.read();
                    let held = permissions::held_in_team(deps, connection, &actor.project_id, *id, user_id).await?;
                    administered.extend(held.filter(|held| held.contains(TEAM_ADMIN)).map(|_| *id));
                }
                _ => {
                    let held = permissions::of_users_in_teams(deps, &actor.project_id, &[user_id], true).await?;
                    let held = held.into_values().flatten().filter(|grant| grant.id == TEAM_ADMIN);
                    administered.extend(held.map(|grant| grant.team_id));
                }
            }
        }
        Ok(Self { administered })
    }

    /// Why the caller may not look at the customer.
    pub(super) fn refusal(&self, actor: &Actor, customer: &Customer) -> Option<Failure> {
        if actor.is_server() {
            return None;
        }
        if customer.team_id().is_some_and(|team_id| actor.team_id() == Some(team_id)) {
            return None;
        }
        let Some(user_id) = actor.user_id() else {
            return Some(Failure::new(Code::UserAuthenticationRequired, "Sign in to see items."));
        };
        match customer.kind {
            CustomerType::User if customer.user_id() == Some(user_id) => None,
            CustomerType::User => Some(Failure::forbidden("A user can see its own items only.")),
            CustomerType::Team if customer.team_id().is_some_and(|id| self.administered.contains(&id)) => None,
            CustomerType::Team => {
                let details = json!({ "team_id": customer.id, "user_id": user_id, "permission_id": TEAM_ADMIN });
                let text = format!("User {user_id} needs the permission {TEAM_ADMIN} in team {}.", customer.shown());
                Some(Failure::new(Code::TeamPermissionRequired, text).with(details))
            }
            CustomerType::Custom => Some(Failure::forbidden("Only servers can see items of custom customers.")),
        }
    }
}

/// The customer must be there. Nobody but the application knows custom ones, so every one of them is that can be called so.
///
/// # Errors
/// `USER_NOT_FOUND`, `TEAM_NOT_FOUND`; `SCHEMA_ERROR` for the id of a custom customer that is empty or too long.
#[crate::boxed]
pub async fn require_exists(deps: &Deps, project_id: &ProjectId, customer: &Customer) -> Result<()> {
    let mut violations = Violations::default();
    customer.check(&mut violations);
    violations.finish()?;
    let is_there = match customer.kind {
        CustomerType::User => match customer.user_id() {
            Some(id) => users::find(deps, project_id, id).await?.is_some(),
            None => false,
        },
        CustomerType::Team => match customer.team_id() {
            Some(id) => teams::by_ids(deps, project_id, &[id]).await?.contains_key(&id),
            None => false,
        },
        CustomerType::Custom => true,
    };
    if is_there { Ok(()) } else { refuse(customer.not_found()) }
}

/// What the config says of an item for customers of this sort.
///
/// # Errors
/// `ITEM_NOT_FOUND`, `ITEM_CUSTOMER_TYPE_DOES_NOT_MATCH`.
pub(super) async fn require_item(
    deps: &Deps,
    project_id: &ProjectId,
    customer: &Customer,
    item_id: &str,
) -> Result<ItemConfig> {
    let config = projects::config(deps, project_id).await?;
    let Some(item) = config.payments.items.get(item_id).cloned() else {
        let shown: String = item_id.chars().take(MAX_CUSTOM_ID_CHARS).collect();
        let text = format!("The project has no item {shown}.");
        return refuse(Failure::new(Code::ItemNotFound, text).with(json!({ "item_id": item_id })));
    };
    if item.customer_type == customer.kind {
        return Ok(item);
    }
    let (wanted, actual) = (item.customer_type.as_str(), customer.kind.as_str());
    let details = json!({
        "item_id": item_id,
        "customer_id": customer.id,
        "item_customer_type": wanted,
        "actual_customer_type": actual,
    });
    let text = format!("The item {item_id} is one of customers of the type {wanted}, not {actual}.");
    refuse(Failure::new(Code::ItemCustomerTypeDoesNotMatch, text).with(details))
}
