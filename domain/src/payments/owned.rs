//! What customers have bought, product by product (wire: payments §5).

use std::collections::HashMap;

use postern_entity::{
    ProjectId, PurchaseId, Timestamp,
    purchase::{self, PurchaseKind},
};

use super::{
    choice::{configured, owned_quantities},
    product::{Product, Version},
    purchases::{is_running, owned},
    store,
};
use crate::{
    Actor, Deps,
    error::Result,
    items::{Customer, require_access, require_exists},
    projects::{self, ProjectConfig},
};

/// What a customer has of a product.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedProduct {
    /// Its key; none stands for all that came with requests.
    pub id: Option<String>,
    /// How many pieces; at least 1.
    pub quantity: i64,
    /// As it was sold last.
    pub product: Product,
    /// The subscription that it is paid by, while that runs.
    pub subscription: Option<OwnedSubscription>,
    /// What the customer can change to; none where the product has no line.
    pub switch_options: Option<Vec<SwitchOption>>,
}

/// A subscription that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedSubscription {
    /// Its id.
    pub id: PurchaseId,
    /// When the present period ends.
    pub period_end: Option<Timestamp>,
    /// It ends then.
    pub cancel_at_period_end: bool,
}

/// A product that a customer can change to.
#[derive(Clone, Debug, PartialEq)]
pub struct SwitchOption {
    /// Its key.
    pub product_id: String,
    /// With the prices that are paid again and again.
    pub product: Product,
}

/// What a customer has, by key of the product; clients do not see what is for servers only.
///
/// # Errors
/// Those of [`require_access`] for clients; `USER_NOT_FOUND`, `TEAM_NOT_FOUND`.
#[crate::boxed]
pub async fn products(deps: &Deps, actor: &Actor, customer: &Customer) -> Result<Vec<OwnedProduct>> {
    require_access(deps, actor, customer).await?;
    require_exists(deps, &actor.project_id, customer).await?;
    let now = deps.now();
    let open = store::open_of(deps.db.read(), &actor.project_id, customer, now).await?;
    let config = projects::config(deps, &actor.project_id).await?;
    of_rows(deps, &actor.project_id, &config, &open, !actor.is_server(), now).await
}

async fn of_rows(
    deps: &Deps,
    project_id: &ProjectId,
    config: &ProjectConfig,
    open: &[purchase::Model],
    is_client: bool,
    now: Timestamp,
) -> Result<Vec<OwnedProduct>> {
    let held: Vec<_> = open.iter().filter(|row| owned(row, now) > 0).collect();
    let versions = held.iter().map(|row| row.version_id.clone());
    let versions: HashMap<String, Version> = store::versions(deps.db.read(), project_id, versions).await?;
    let products = owned_quantities(open, now).into_iter().filter_map(|(id, quantity)| {
        let of_product = || held.iter().filter(|row| row.product_id.as_deref() == id);
        // The one that was sold last says what it is.
        let version = of_product().rev().find_map(|row| versions.get(&row.version_id))?;
        let subscription = of_product().rev().find(|row| is_running(row, now)).map(|row| OwnedSubscription {
            id: row.id,
            period_end: row.period_end,
            cancel_at_period_end: row.cancel_at_period_end,
        });
        Some(OwnedProduct {
            id: id.map(str::to_owned),
            quantity,
            product: version.product.clone(),
            subscription,
            switch_options: version.line_id.as_ref().map(|line_id| switch_options(config, version, line_id, is_client)),
        })
    });
    Ok(products.filter(|owned| !is_client || !owned.product.server_only).collect())
}

/// The other products of the line that are paid again and again.
fn switch_options(config: &ProjectConfig, version: &Version, line_id: &str, is_client: bool) -> Vec<SwitchOption> {
    let others = config.payments.products.iter().filter(|(id, product)| {
        product.product_line_id.as_deref() == Some(line_id)
            && product.customer_type == version.product.customer_type
            && Some(id.as_str()) != version.product_id.as_deref()
    });
    let options = others.filter_map(|(id, _)| {
        let mut other = configured(config, id, is_client).ok()?;
        if !other.add_on_to.is_empty() {
            return None;
        }
        other.product.prices.retain(|_, price| price.interval.is_some());
        let is_option = !other.product.prices.is_empty();
        is_option.then(|| SwitchOption { product_id: id.clone(), product: other.product })
    });
    options.collect()
}

impl OwnedProduct {
    /// Paid once, or by a subscription that runs.
    #[must_use]
    pub fn kind(&self) -> PurchaseKind {
        if self.subscription.is_some() { PurchaseKind::Subscription } else { PurchaseKind::OneTime }
    }
}
