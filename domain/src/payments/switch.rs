//! Changing from one product of a line to another, paid by the same subscription (wire: payments §5).

use postern_entity::{
    StripeOperationId, Timestamp,
    purchase::{self, PurchaseKind},
};
use serde_json::{Value, json};

use super::{
    choice,
    money::times,
    product::{Unit, Version},
    purchases::{self, is_running, owned},
    store,
    stripe::{self, Connected, Request, Switch},
};
use crate::{
    Actor, Code, Deps, Failure,
    db::Tx,
    error::{Error, Result, refuse},
    items::{Customer, CustomerType, require_access, require_exists},
    ports::stripe::{BillingUnit, Metadata, RecurringPrice, StripeError, SubscriptionChange},
    projects,
};

/// What is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwitchProduct {
    /// The product that the customer has.
    pub from_product_id: String,
    /// The one that it wants.
    pub to_product_id: String,
    /// A price of it; the first that is paid again and again when not given.
    pub price_id: Option<String>,
    /// How many pieces; as many as before when not given.
    pub quantity: Option<i64>,
}

/// Changes what a customer pays for, at once, by the card that pays for it already.
///
/// # Errors
/// Those of [`require_access`]; `NEW_PURCHASES_BLOCKED`; `DEFAULT_PAYMENT_METHOD_REQUIRED`; `BAD_REQUEST` for everything that
/// cannot be changed into each other, as the contract lists it; `CONFLICT` while something else is being done to the
/// subscription; `UNAVAILABLE` when Stripe is away, which is then done later.
#[crate::boxed]
pub async fn switch(deps: &Deps, actor: &Actor, customer: &Customer, wanted: &SwitchProduct) -> Result<()> {
    choice::require_open(deps, &actor.project_id).await?;
    if customer.kind() == CustomerType::Custom {
        return refuse(Failure::bad_request("Only users and teams change products."));
    }
    require_access(deps, actor, customer).await?;
    require_exists(deps, &actor.project_id, customer).await?;
    let (project_id, config) = (&actor.project_id, projects::config(deps, &actor.project_id).await?);
    let [from, to] = [&wanted.from_product_id, &wanted.to_product_id];
    let from_version = known(choice::configured(&config, from, !actor.is_server()))?;
    let to_version = &known(choice::configured(&config, to, !actor.is_server()))?;
    let (price_id, switch) = check(&from_version, to_version, customer, wanted)?;
    let connected = stripe::require_connected(deps, project_id).await?;
    let (price_id, switch) = (&price_id, &switch);
    let id: StripeOperationId = {
        // Whether there is a card is Stripe's to say, and asked before anything is written down.
        require_card(deps, &connected, actor, customer).await?;
        deps.mutate(actor, "payments.switch", |tx| async move {
            store::lock_customer(&tx, project_id, customer).await?;
            let now = deps.now();
            let open = store::open_of(&*tx, project_id, customer, now).await?;
            let row = subscription(&open, from, to_version, now)?;
            let quantity = wanted.quantity.unwrap_or(row.quantity - row.revoked_quantity);
            if quantity < 1 || (quantity > 1 && !to_version.product.stackable) {
                return refuse(Failure::bad_request("This product is not stackable: its quantity is 1."));
            }
            if times(switch.cents, quantity).is_none() {
                return refuse(Failure::bad_request("That is more than can be charged."));
            }
            let version_id = store::keep_version(&tx, project_id, to_version, now).await?;
            let subscription_id = row.stripe_id.clone().unwrap_or_default();
            let metadata = metadata(to, &version_id, price_id);
            let request = Switch { subscription_id, version_id, quantity, metadata, ..switch.clone() };
            stripe::begin(deps, &tx, row, &Request::Switch(request)).await
        })
        .await?
    };
    stripe::run(deps, project_id, id).await
}

/// What a subscription at Stripe says about what it is for (wire: payments §6).
pub(super) fn metadata(product_id: &str, version_id: &str, price_id: &str) -> Metadata {
    let pairs = [("productId", product_id), ("productVersionId", version_id), ("priceId", price_id)];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// An unknown product is a plain refusal here, as the contract has it.
fn known(version: Result<Version>) -> Result<Version> {
    version.map_err(|error| match error {
        Error::Refused(failure) if failure.code == Code::ProductDoesNotExist => {
            Error::Refused(Failure::bad_request(failure.message))
        }
        other => other,
    })
}

/// All that can be said without looking at what the customer has. Answers the price, and the request without what depends on
/// the subscription.
fn check(from: &Version, to: &Version, customer: &Customer, wanted: &SwitchProduct) -> Result<(String, Switch)> {
    let no = |text: &'static str| refuse(Failure::bad_request(text));
    if wanted.from_product_id == wanted.to_product_id {
        return no("The customer has this very product.");
    }
    if [from, to].iter().any(|version| version.product.customer_type != customer.kind()) {
        return no("The product is for another sort of customer.");
    }
    if from.line_id.is_none() || from.line_id != to.line_id {
        return no("The products are not of one line.");
    }
    if !to.add_on_to.is_empty() {
        return no("An add-on cannot be changed to.");
    }
    if !from.has_interval_price() {
        return no("The product that the customer has is not paid again and again.");
    }
    let mut recurring = to.product.prices.iter().filter(|(_, price)| price.interval.is_some());
    let (price_id, price) = match &wanted.price_id {
        Some(id) => (id.as_str(), to.price(id)?),
        None => match recurring.next() {
            Some((id, price)) => (id.as_str(), price),
            None => return no("The product that the customer wants is not paid again and again."),
        },
    };
    let Some(interval) = price.interval else { return no("The price is not paid again and again.") };
    let Some(cents) = price.cents() else { return no("The price has no amount in US dollars.") };
    let request = Switch {
        subscription_id: String::new(),
        version_id: String::new(),
        product_name: to.product.display_name.clone(),
        price_id: price_id.to_owned(),
        cents,
        interval,
        quantity: 1,
        metadata: Metadata::new(),
    };
    Ok((price_id.to_owned(), request))
}

/// The subscription that is changed.
fn subscription<'a>(
    open: &'a [purchase::Model],
    from: &str,
    to: &Version,
    now: Timestamp,
) -> Result<&'a purchase::Model> {
    let of_line = open.iter().filter(|row| row.line_id == to.line_id && owned(row, now) > 0 && !row.is_add_on);
    if of_line.clone().any(|row| row.kind == PurchaseKind::OneTime) {
        return refuse(Failure::bad_request("The customer holds a product of this line for good."));
    }
    let of_product = open.iter().filter(|row| row.product_id.as_deref() == Some(from) && owned(row, now) > 0);
    match of_product.filter(|row| is_running(row, now)).find(|row| row.stripe_id.is_some()) {
        Some(row) => Ok(row),
        None => refuse(Failure::bad_request("The customer does not pay for this product by a subscription.")),
    }
}

async fn require_card(deps: &Deps, connected: &Connected, actor: &Actor, customer: &Customer) -> Result<()> {
    let card = stripe::billing::default_card(deps, connected, &actor.project_id, customer).await?;
    if card.is_some() {
        return Ok(());
    }
    let details = json!({ "customer_type": customer.kind().as_str(), "customer_id": customer.id() });
    let text = "The customer has no card to pay by.";
    refuse(Failure::new(Code::DefaultPaymentMethodRequired, text).with(details))
}

/// The call at Stripe.
pub(super) async fn call(connected: &Connected, wanted: &Switch, key: &str) -> Result<Value, StripeError> {
    let (api, account_id) = (&connected.api, &connected.account_id);
    let item_id = api.subscription_item(account_id, &wanted.subscription_id).await?;
    let change = SubscriptionChange {
        item_id,
        price: recurring(&wanted.product_name, wanted.cents, wanted.interval.0, wanted.interval.1),
        quantity: wanted.quantity,
        metadata: wanted.metadata.clone(),
    };
    api.change_subscription(account_id, &wanted.subscription_id, &change, key).await?;
    Ok(json!({}))
}

/// A price at Stripe. Only dollars are charged.
pub(super) fn recurring(product_name: &str, cents: i64, count: u64, unit: Unit) -> RecurringPrice {
    RecurringPrice {
        product_name: product_name.to_owned(),
        unit_amount: cents,
        currency: "usd".to_owned(),
        interval_count: u32::try_from(count).unwrap_or(u32::MAX),
        interval: match unit {
            Unit::Day => BillingUnit::Day,
            Unit::Week => BillingUnit::Week,
            Unit::Month => BillingUnit::Month,
            Unit::Year => BillingUnit::Year,
        },
    }
}

/// Stripe has changed it.
pub(super) async fn settle(deps: &Deps, tx: &Tx, mut row: purchase::Model, wanted: &Switch) -> Result<()> {
    let project_id = row.project_id.clone();
    let Some(version) = store::version(&**tx, &project_id, &wanted.version_id).await? else { return Ok(()) };
    row.price_id = Some(wanted.price_id.clone());
    become_version(deps, tx, &mut row, &version, &wanted.version_id, wanted.quantity).await?;
    store::update(tx, row).await
}

/// Lets a subscription be for another product from now on, unless it is already: what the old one granted ends with it. The
/// caller writes the row.
pub(super) async fn become_version(
    deps: &Deps,
    tx: &Tx,
    row: &mut purchase::Model,
    version: &Version,
    version_id: &str,
    quantity: i64,
) -> Result<()> {
    if row.version_id == version_id {
        return Ok(());
    }
    let (now, ends_at) = (deps.now(), row.ends_at);
    purchases::end(deps, tx, row, Some(now)).await?;
    row.ends_at = ends_at;
    (row.version_id, row.product_id) = (version_id.to_owned(), version.product_id.clone());
    (row.line_id, row.is_add_on) = (version.line_id.clone(), !version.add_on_to.is_empty());
    (row.quantity, row.revoked_quantity) = (quantity, 0);
    if row.started > 0 {
        purchases::begin(deps, tx, row, version, now).await?;
    }
    Ok(())
}
