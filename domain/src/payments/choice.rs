//! Which product a request means, and whether its customer may have it (wire: payments §5, product checks).

use std::collections::BTreeMap;

use postern_entity::{
    ProjectId, Timestamp,
    purchase::{self, PurchaseKind},
};
use serde_json::json;

use super::{
    product::{Product, Version},
    purchases::{is_over, is_running, owned},
};
use crate::{
    Actor, Code, Deps, Failure,
    error::{Result, refuse},
    items::{self, Customer},
    projects::{self, ProjectConfig},
};

/// The key of a product in messages and details is shown no longer than this, in characters.
const SHOWN_CHARS: usize = 255;

/// A product of the config, or one that comes with the request.
#[derive(Clone, Debug, PartialEq)]
pub enum ProductChoice {
    /// By its key.
    Configured(String),
    /// All of it; for servers.
    Inline(Box<Product>),
}

impl ProductChoice {
    /// # Errors
    /// `BAD_REQUEST` when there is both or neither.
    pub fn of(id: Option<String>, inline: Option<Product>) -> Result<Self> {
        match (id, inline) {
            (Some(id), None) => Ok(Self::Configured(id)),
            (None, Some(product)) => Ok(Self::Inline(Box::new(product))),
            _ => refuse(Failure::bad_request("Name one product: by its key, or all of it.")),
        }
    }
}

/// The product that is meant, as it would be sold now to this customer.
///
/// # Errors
/// `PRODUCT_DOES_NOT_EXIST`, `PRODUCT_CUSTOMER_TYPE_DOES_NOT_MATCH`; `BAD_REQUEST` for what cannot be sold, and for a client
/// that brings a product along.
pub(super) async fn chosen(deps: &Deps, actor: &Actor, customer: &Customer, choice: &ProductChoice) -> Result<Version> {
    let config = projects::config(deps, &actor.project_id).await?;
    let version = match choice {
        ProductChoice::Inline(_) if !actor.is_server() => {
            return refuse(Failure::bad_request("Only servers sell products that are not configured."));
        }
        ProductChoice::Inline(product) => Version::inline((**product).clone())?,
        ProductChoice::Configured(id) => configured(&config, id, !actor.is_server())?,
    };
    require_type(&version, customer)?;
    if version.product.prices.is_empty() && matches!(choice, ProductChoice::Inline(_)) {
        return refuse(Failure::bad_request("The product has no price."));
    }
    Ok(version)
}

/// The configured product.
///
/// # Errors
/// `PRODUCT_DOES_NOT_EXIST`, also for one that clients do not see; `BAD_REQUEST`.
pub(super) fn configured(config: &ProjectConfig, id: &str, is_client: bool) -> Result<Version> {
    match config.payments.products.get(id) {
        Some(product) if is_client && product.server_only => refuse(unknown(id, Some("server_only"))),
        Some(product) => Version::configured(id, product),
        // Whoever looks for an item among the products is told so.
        None if config.payments.items.contains_key(id) => refuse(unknown(id, Some("item_exists"))),
        None => refuse(unknown(id, None)),
    }
}

fn unknown(id: &str, context: Option<&str>) -> Failure {
    let shown: String = id.chars().take(SHOWN_CHARS).collect();
    let text = match context {
        Some("server_only") => format!("The product {shown} is for servers only."),
        Some(_) => format!("There is no product {shown}, but an item of that key."),
        None => format!("There is no product {shown}."),
    };
    Failure::new(Code::ProductDoesNotExist, text).with(json!({ "product_id": shown, "context": context }))
}

fn require_type(version: &Version, customer: &Customer) -> Result<()> {
    let wanted = version.product.customer_type;
    if wanted == customer.kind() {
        return Ok(());
    }
    let (wanted, actual) = (wanted.as_str(), customer.kind().as_str());
    let details = json!({
        "product_id": version.product_id,
        "customer_id": customer.id(),
        "product_customer_type": wanted,
        "actual_customer_type": actual,
    });
    let text = format!("The product is one for customers of the type {wanted}, not {actual}.");
    refuse(Failure::new(Code::ProductCustomerTypeDoesNotMatch, text).with(details))
}

/// What a customer has beside a product that it wants.
#[derive(Debug, Default)]
pub(super) struct Conflicts {
    /// Subscriptions of the same line that would be replaced.
    pub(super) replaced: Vec<purchase::Model>,
}

/// Whether a customer who has bought `open` may have `quantity` of the product; answers what it would replace.
///
/// # Errors
/// `PRODUCT_ALREADY_GRANTED`; `BAD_REQUEST` for more than one of what cannot be stacked, for an add-on to nothing, and for a
/// line that is held for good.
pub(super) fn check(
    version: &Version,
    customer: &Customer,
    quantity: i64,
    open: &[purchase::Model],
    now: Timestamp,
) -> Result<Conflicts> {
    if !(1..=items::MAX_QUANTITY).contains(&quantity) {
        return refuse(Failure::bad_request("The quantity must be at least 1, and one that can be counted."));
    }
    if quantity != 1 && !version.product.stackable {
        return refuse(Failure::bad_request("This product is not stackable: its quantity is 1."));
    }
    let quantities = owned_quantities(open, now);
    if let Some(id) = &version.product_id
        && !version.product.stackable
        && quantities.contains_key(&Some(id.as_str()))
    {
        let text = format!("The customer has the product {id} already.");
        let details = json!({ "product_id": id, "customer_id": customer.id() });
        return refuse(Failure::new(Code::ProductAlreadyGranted, text).with(details));
    }
    if !version.add_on_to.is_empty() && !version.add_on_to.iter().any(|id| quantities.contains_key(&Some(id.as_str())))
    {
        return refuse(Failure::bad_request(
            "This product is an add-on to another one that the customer does not have.",
        ));
    }
    let in_line = in_line(version, open, now);
    if for_good(&in_line) {
        return refuse(Failure::bad_request("The customer holds another product of this line for good."));
    }
    Ok(Conflicts { replaced: in_line.into_iter().filter(|row| is_running(row, now)).cloned().collect() })
}

/// Whether a customer who has bought `open` holds for good what leaves no place for the product: itself, when it cannot be
/// stacked, or another one of its line.
pub(super) fn is_held_for_good(version: &Version, open: &[purchase::Model], now: Timestamp) -> bool {
    let is_it = |row: &&purchase::Model| row.product_id.is_some() && row.product_id == version.product_id;
    let held = open.iter().filter(is_it).filter(|row| owned(row, now) > 0).collect::<Vec<_>>();
    (!version.product.stackable && for_good(&held)) || for_good(&in_line(version, open, now))
}

fn for_good(held: &[&purchase::Model]) -> bool {
    held.iter().any(|row| row.kind == PurchaseKind::OneTime)
}

/// What a customer holds in the line of a product, the products aside that it is an add-on to.
pub(super) fn in_line<'a>(version: &Version, open: &'a [purchase::Model], now: Timestamp) -> Vec<&'a purchase::Model> {
    let Some(line_id) = &version.line_id else { return Vec::new() };
    // Neither what this one is an add-on to, nor add-ons that are held, fill the line.
    let is_base = |row: &purchase::Model| {
        row.is_add_on || row.product_id.as_ref().is_some_and(|id| version.add_on_to.contains(id))
    };
    let held = open.iter().filter(|row| row.line_id.as_ref() == Some(line_id) && owned(row, now) > 0);
    // The same product again is a question of stacking.
    held.filter(|row| !is_base(row) && row.product_id != version.product_id).collect()
}

/// How much a customer has of each product; all that came with requests count as one.
pub(super) fn owned_quantities(open: &[purchase::Model], now: Timestamp) -> BTreeMap<Option<&str>, i64> {
    let mut quantities = BTreeMap::new();
    for row in open.iter().filter(|row| !is_over(row, now)) {
        let count = owned(row, now);
        if count > 0 {
            let sum: &mut i64 = quantities.entry(row.product_id.as_deref()).or_insert(0);
            *sum = sum.saturating_add(count).min(items::MAX_QUANTITY);
        }
    }
    quantities
}

/// Nothing can be bought while the project says so.
///
/// # Errors
/// `NEW_PURCHASES_BLOCKED`.
pub(super) async fn require_open(deps: &Deps, project_id: &ProjectId) -> Result<()> {
    if !projects::config(deps, project_id).await?.payments.block_new_purchases {
        return Ok(());
    }
    refuse(Failure::new(Code::NewPurchasesBlocked, "This project sells nothing at present."))
}
