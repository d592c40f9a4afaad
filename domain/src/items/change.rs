//! Changing what a customer has, for servers.

use std::{ops::RangeInclusive, sync::Arc};

use postern_entity::item_change::ItemChangeKind;
use serde_json::json;

use super::{
    Customer, Item, MAX_QUANTITY,
    balance::{self, Balance, Entry},
    customer::require_item,
    store::Key,
};
use crate::{
    Actor, Code, Deps, Failure, Timestamp,
    db::NewRows,
    error::{Result, refuse},
    idempotency::may_share,
    trace::{self, Traced},
    validation::Violations,
};

/// Under which name keys are kept of it.
const OPERATION: &str = "items.change";
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
    let asked = Arc::new(Asked {
        key: Key {
            project_id: project_id.clone(),
            customer_type: customer.kind(),
            customer_id: customer.id().to_owned(),
            item_id: item_id.to_owned(),
        },
        change,
        made_by: actor.level.as_str(),
        cause: trace::carry_on(),
    });
    let (asked, answer) =
        (&asked, &|quantity| Item { id: item_id.to_owned(), display_name: item.display_name.clone(), quantity });
    if may_share(actor, OPERATION)?
        && let Some(outcome) = deps.item_changes.make(deps, Arc::clone(asked)).await?
    {
        return outcome.map(answer);
    }
    deps.mutate(actor, OPERATION, |tx| async move {
        let mut balance = balance::hold(deps, &tx, project_id, customer, item_id).await?;
        let mut told = NewRows::default();
        let quantity = asked.make(deps, deps.now(), &mut balance, &mut told)?;
        balance::save(&tx, [balance], told).await?;
        Ok(answer(quantity))
    })
    .await
}

/// A change that was found to be possible, as far as that can be said without its balance.
pub(super) struct Asked {
    key: Key,
    change: ItemChange,
    made_by: &'static str,
    /// What the event of the change is caused by.
    cause: Traced,
}

impl Asked {
    /// Of which balance.
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// Makes the change of this balance, which is held, at `now`, and adds the rows that tell of it; answers the quantity after it.
    /// What is refused leaves no more than that the balance has come to the present.
    ///
    /// # Errors
    /// `ITEM_QUANTITY_INSUFFICIENT_AMOUNT`, `BAD_REQUEST`.
    pub(super) fn make(&self, deps: &Deps, now: Timestamp, balance: &mut Balance, told: &mut NewRows) -> Result<i64> {
        let change = &self.change;
        balance.advance(now);
        let quantity = i128::from(balance.ledger.balance()) + i128::from(change.delta);
        if quantity < 0 && !change.allow_negative {
            return refuse(insufficient(&self.key.item_id, &balance.customer(), change.delta));
        }
        if quantity.abs() > i128::from(MAX_QUANTITY) {
            return refuse(Failure::bad_request(format!(
                "Nobody can have or owe more than {MAX_QUANTITY} of an item."
            )));
        }
        let mut ledger = balance.ledger.clone();
        ledger.change(change.delta, change.expires_at.map(Timestamp::millis));
        if change.delta > 0 && ledger.grants.len() > MAX_OPEN_GRANTS {
            return refuse(Failure::bad_request(format!(
                "The customer has {MAX_OPEN_GRANTS} grants of this item that end at different times. Let some end at the \
                 same time."
            )));
        }
        balance.ledger = ledger;
        balance.add_entry(
            told,
            Entry {
                kind: ItemChangeKind::Manual,
                delta: change.delta,
                expires_at: change.expires_at,
                description: change.description.clone(),
                source_key: None,
                made_by: self.made_by,
            },
        );
        self.cause.within(|| balance.add_event(deps, told));
        Ok(balance.ledger.balance())
    }
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
