//! Changing what a customer has, for servers.

use std::ops::RangeInclusive;

use postern_entity::item_change::ItemChangeKind;
use serde_json::json;

use super::{
    Customer, Item, MAX_QUANTITY,
    balance::{self, Entry},
    customer::require_item,
};
use crate::{
    Actor, Code, Deps, Failure, Timestamp,
    db::NewRows,
    error::{Result, refuse},
    validation::Violations,
};

/// The longest description, in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 1_000;
/// How many grants with ends of their own a customer may have of an item at a time. What ends at the same instant, and what
/// never ends, counts once.
pub const MAX_OPEN_GRANTS: usize = 1_000;
/// The years 1970 to 9999: what either door can write as a time.
const YEARS: RangeInclusive<Timestamp> = Timestamp(0)..=Timestamp(253_402_300_799_999);

/// What is to be added or taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemChange {
    /// How much to add; what is negative is taken. Within [`MAX_QUANTITY`].
    pub delta: i64,
    /// Whether the customer may owe something afterwards.
    pub allow_negative: bool,
    /// When what is added is lost; never when there is none. What is taken stays taken.
    pub expires_at: Option<Timestamp>,
    /// For people; at most [`MAX_DESCRIPTION_CHARS`].
    pub description: Option<String>,
}

/// Adds to or takes from what a customer has of an item, for servers; answers what it has then. Changes of one balance follow
/// each other. Without `allow_negative` a change is refused that leaves something owed, be it one that adds.
///
/// # Errors
/// `FORBIDDEN` for clients; `SCHEMA_ERROR`; `ITEM_NOT_FOUND`; `ITEM_CUSTOMER_TYPE_DOES_NOT_MATCH`; `USER_NOT_FOUND`;
/// `TEAM_NOT_FOUND`; `ITEM_QUANTITY_INSUFFICIENT_AMOUNT`; `BAD_REQUEST` when there would be more than [`MAX_QUANTITY`], had
/// or owed, or more than [`MAX_OPEN_GRANTS`] that end at different times.
#[crate::boxed]
pub async fn change(
    deps: &Deps,
    actor: &Actor,
    customer: &Customer,
    item_id: &str,
    change: ItemChange,
) -> Result<Item> {
    if !actor.is_server() {
        return refuse(Failure::forbidden("Only servers change what customers have of items."));
    }
    check(customer, &change)?;
    let project_id = &actor.project_id;
    let item = require_item(deps, project_id, customer, item_id).await?;
    let (item, change) = (&item, &change);
    deps.mutate(actor, "items.change", |tx| async move {
        let mut balance = balance::hold(deps, &tx, project_id, customer, item_id).await?;
        balance.advance(deps.now());
        let quantity = i128::from(balance.ledger.balance()) + i128::from(change.delta);
        if quantity < 0 && !change.allow_negative {
            return refuse(insufficient(item_id, customer, change.delta));
        }
        if quantity.abs() > i128::from(MAX_QUANTITY) {
            return refuse(Failure::bad_request(format!(
                "Nobody can have or owe more than {MAX_QUANTITY} of an item."
            )));
        }
        balance.ledger.change(change.delta, change.expires_at.map(Timestamp::millis));
        if change.delta > 0 && balance.ledger.grants.len() > MAX_OPEN_GRANTS {
            return refuse(Failure::bad_request(format!(
                "The customer has {MAX_OPEN_GRANTS} grants of this item that end at different times. Let some end at the \
                 same time."
            )));
        }
        let mut told = NewRows::default();
        balance.add_entry(
            &mut told,
            Entry {
                kind: ItemChangeKind::Manual,
                delta: change.delta,
                expires_at: change.expires_at,
                description: change.description.clone(),
                source_key: None,
                made_by: actor.level.as_str(),
            },
        );
        balance.add_event(deps, &mut told);
        let quantity = balance.ledger.balance();
        balance.save(&tx, told).await?;
        Ok(Item { id: item_id.to_owned(), display_name: item.display_name.clone(), quantity })
    })
    .await
}

fn check(customer: &Customer, change: &ItemChange) -> Result<()> {
    let mut violations = Violations::default();
    customer.check(&mut violations);
    let is_countable = change.delta.unsigned_abs() <= MAX_QUANTITY.unsigned_abs();
    violations.require(is_countable, "delta", format_args!("must lie within -{MAX_QUANTITY} and {MAX_QUANTITY}"));
    let can_be = change.expires_at.is_none_or(|at| is_possible(&at));
    violations.require(can_be, "expires_at", "must lie in the years 1970 to 9999");
    violations.text("description", change.description.as_deref().unwrap_or_default(), MAX_DESCRIPTION_CHARS);
    violations.finish()
}

/// Whether something may happen then.
pub(super) fn is_possible(at: &Timestamp) -> bool {
    YEARS.contains(at)
}

/// `quantity` is what was to be added, as the contract has it.
pub(super) fn insufficient(item_id: &str, customer: &Customer, quantity: i64) -> Failure {
    let details = json!({ "item_id": item_id, "customer_id": customer.id(), "quantity": quantity });
    let text = format!("The customer has too little of the item {item_id} for a change by {quantity}.");
    Failure::new(Code::ItemQuantityInsufficientAmount, text).with(details)
}
