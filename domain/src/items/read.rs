//! Reading what customers have. Nothing is written for that: what has ended and what has repeated by now is worked out.

use std::collections::{BTreeMap, HashMap};

use super::{
    Customer, Item,
    customer::{Access, require_access, require_exists, require_item},
    store,
};
use crate::{
    Actor, Deps, Failure, ItemBalanceId, ProjectId,
    error::Result,
    projects::{self, ProjectConfig},
    validation::Violations,
};

/// What a customer has of one item; 0 if it never got any.
///
/// # Errors
/// Those of [`require_access`] for clients; `SCHEMA_ERROR` for a custom id that is too long; `ITEM_NOT_FOUND`;
/// `ITEM_CUSTOMER_TYPE_DOES_NOT_MATCH`; `USER_NOT_FOUND`; `TEAM_NOT_FOUND`.
#[crate::boxed]
pub async fn get(deps: &Deps, actor: &Actor, customer: &Customer, item_id: &str) -> Result<Item> {
    require_access(deps, actor, customer).await?;
    check(customer)?;
    let project_id = &actor.project_id;
    let item = require_item(deps, project_id, customer, item_id).await?;
    let mut found = store::read(deps.db.read(), project_id, std::slice::from_ref(customer), Some(item_id)).await?;
    let quantity = match found.pop() {
        Some(balance) => balance.quantity_at(deps.now()),
        None => {
            // While there is a balance, there is its customer.
            require_exists(deps, project_id, customer).await?;
            0
        }
    };
    Ok(Item { id: item_id.to_owned(), display_name: item.display_name, quantity })
}

/// What a customer has of each item that the project has for customers of its sort, by key.
///
/// # Errors
/// Those of [`get`], but for the ones about items.
#[crate::boxed]
pub async fn list(deps: &Deps, actor: &Actor, customer: &Customer) -> Result<Vec<Item>> {
    require_access(deps, actor, customer).await?;
    check(customer)?;
    let mut found = of_all(deps, &actor.project_id, std::slice::from_ref(customer)).await?;
    match found.remove(customer) {
        Some((items, true)) => Ok(items),
        other => {
            require_exists(deps, &actor.project_id, customer).await?;
            Ok(other.map(|(items, _)| items).unwrap_or_default())
        }
    }
}

/// The same for many customers, which are known to be there, for loaders: the number of statements does not grow with them.
/// Whom the caller may not look at has the refusal.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn of_customers(
    deps: &Deps,
    actor: &Actor,
    customers: &[Customer],
) -> Result<HashMap<Customer, Result<Vec<Item>, Failure>>> {
    let access = Access::of(deps, actor, customers).await?;
    let (mut answers, mut open) = (HashMap::new(), Vec::new());
    for customer in customers {
        match access.refusal(actor, customer) {
            Some(refusal) => drop(answers.insert(customer.clone(), Err(refusal))),
            None => open.push(customer.clone()),
        }
    }
    let found = of_all(deps, &actor.project_id, &open).await?;
    answers.extend(found.into_iter().map(|(customer, (items, _))| (customer, Ok(items))));
    Ok(answers)
}

/// What each customer has, and whether anything of it was ever written down.
async fn of_all(
    deps: &Deps,
    project_id: &ProjectId,
    customers: &[Customer],
) -> Result<HashMap<Customer, (Vec<Item>, bool)>> {
    let config = projects::config(deps, project_id).await?;
    let now = deps.now();
    let mut quantities: HashMap<Customer, BTreeMap<String, i64>> = HashMap::new();
    for balance in store::read(deps.db.read(), project_id, customers, None).await? {
        let of_customer = quantities.entry(balance.customer()).or_default();
        of_customer.insert(balance.item_id().to_owned(), balance.quantity_at(now));
    }
    let found = customers.iter().map(|customer| {
        let known = quantities.remove(customer);
        let is_known = known.is_some();
        (customer.clone(), (items(&config, customer, &known.unwrap_or_default()), is_known))
    });
    Ok(found.collect())
}

fn items(config: &ProjectConfig, customer: &Customer, quantities: &BTreeMap<String, i64>) -> Vec<Item> {
    let of_kind = config.payments.items.iter().filter(|(_, item)| item.customer_type == customer.kind());
    let items = of_kind.map(|(id, item)| Item {
        id: id.clone(),
        display_name: item.display_name.clone(),
        quantity: quantities.get(id).copied().unwrap_or_default(),
    });
    items.collect()
}

fn check(customer: &Customer) -> Result<()> {
    let mut violations = Violations::default();
    customer.check(&mut violations);
    violations.finish()
}

/// Whose each balance is, and of which item.
pub(crate) async fn balances_of(
    deps: &Deps,
    project_id: &ProjectId,
    ids: impl IntoIterator<Item = ItemBalanceId>,
) -> Result<HashMap<ItemBalanceId, (Customer, String)>> {
    let ids: Vec<_> = ids.into_iter().collect();
    let rows = store::owners(deps.db.read(), project_id, &ids).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.id, (Customer::new(row.customer_type, &row.customer_id), row.item_id)))
        .collect())
}

/// What a customer has of an item, whatever the config says, as the transaction sees it; nothing where nothing was ever
/// written down.
pub(super) async fn quantity_in(
    deps: &Deps,
    connection: &impl sea_orm::ConnectionTrait,
    project_id: &ProjectId,
    customer: &Customer,
    item_id: &str,
) -> Result<Option<i64>> {
    let mut found = store::read(connection, project_id, std::slice::from_ref(customer), Some(item_id)).await?;
    Ok(found.pop().map(|balance| balance.quantity_at(deps.now())))
}
