//! Items, as the schema shows them. They are named things: their `id` is `item:key`.

use async_graphql::{Enum, ID, InputObject};
use postern_domain::items::{Customer, CustomerType as Type, Item};
use postern_gateway_macros::guarded;

use crate::graphql::scalars::SafeInt;

/// What stands before the key in the id of an item.
const PREFIX: &str = "item:";

/// What sort of customer has items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Type")]
pub(crate) enum CustomerType {
    /// A user of the project.
    User,
    /// A team of the project.
    Team,
    /// Something that only the application knows.
    Custom,
}

/// Who has items.
#[derive(InputObject)]
pub(crate) struct CustomerInput {
    /// What sort of customer.
    #[graphql(name = "type")]
    kind: CustomerType,
    /// The id of the user or team, or what the application calls the customer.
    id: ID,
}

impl From<CustomerInput> for Customer {
    fn from(input: CustomerInput) -> Self {
        Self::new(input.kind.into(), &input.id)
    }
}

/// The key of an item that a caller names by its key or its id. Keys have no colon.
pub(crate) fn key(id: &ID) -> &str {
    id.strip_prefix(PREFIX).unwrap_or(id)
}

/// What a customer has of an item.
pub(crate) struct ItemObject(pub(crate) Item);

/// What a customer has of an item of the project's config. A client sees those of its own user, and those of teams in which
/// it holds `team_admin`.
#[guarded(CLIENT, graphql(name = "Item"))]
impl ItemObject {
    /// `item:` and the key.
    #[access(CLIENT)]
    fn id(&self) -> ID {
        ID(format!("{PREFIX}{}", self.0.id))
    }

    /// The name by which the config knows it.
    #[access(CLIENT)]
    fn key(&self) -> &str {
        &self.0.id
    }

    /// The name to show.
    #[access(CLIENT)]
    fn display_name(&self) -> &str {
        &self.0.display_name
    }

    /// How much; negative when the customer owes.
    #[access(CLIENT)]
    fn quantity(&self) -> SafeInt {
        SafeInt(self.0.quantity)
    }

    /// How much there is to use: the quantity, or 0 when the customer owes.
    #[access(CLIENT)]
    fn non_negative_quantity(&self) -> SafeInt {
        SafeInt(self.0.non_negative_quantity())
    }
}
