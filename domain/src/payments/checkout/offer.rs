//! What a purchase URL shows.

use std::collections::BTreeMap;

use super::{FullCode, check_return, look_at};
use crate::{
    Deps, ProjectId,
    error::{Result, refuse},
    payments::{choice, product::Product, store},
    projects,
    sessions::codes,
};

/// What is for sale at a purchase URL.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// The product, as it will be sold.
    pub product: Product,
    /// `acct_…`
    pub account_id: String,
    /// Whose shop it is.
    pub project_id: ProjectId,
    /// Its name.
    pub project_name: String,
    /// Its logo.
    pub logo_url: Option<String>,
    /// The customer has it, and one is all it can have.
    pub is_owned: bool,
    /// What the items are called that it includes, by key.
    pub item_names: BTreeMap<String, String>,
    /// What the customer has in its line, by key and name; it would be replaced.
    pub conflicts: Vec<(String, String)>,
    /// It can be tried out.
    pub test_mode: bool,
    /// The account could take payments when the URL was made.
    pub charges_enabled: bool,
}

/// What is for sale. Counts as an attempt.
///
/// # Errors
/// `VERIFICATION_CODE_NOT_FOUND`, also for a code that was used or whose time is over; `VERIFICATION_CODE_MAX_ATTEMPTS_REACHED`;
/// `REDIRECT_URL_NOT_WHITELISTED`.
#[crate::boxed]
pub async fn offer(deps: &Deps, code: &FullCode, return_url: Option<&str>) -> Result<Offer> {
    check_return(deps, code, return_url).await?;
    let (_, bound) = look_at(deps, code).await?;
    let (project_id, now) = (&code.project_id, deps.now());
    let customer = bound.customer();
    let Some(project) = projects::lookup(deps, project_id).await? else { return refuse(codes::not_found()) };
    let config = projects::config(deps, project_id).await?;
    let open = store::open_of(deps.db.read(), project_id, &customer, now).await?;
    let quantities = choice::owned_quantities(&open, now);
    let is_owned = !bound.version.product.stackable
        && bound.version.product_id.as_deref().is_some_and(|id| quantities.contains_key(&Some(id)));
    let mut conflicts = Vec::new();
    if bound.version.has_interval_price() {
        let held = choice::in_line(&bound.version, &open, now);
        let versions =
            store::versions(deps.db.read(), project_id, held.iter().map(|row| row.version_id.clone())).await?;
        conflicts.extend(held.iter().filter_map(|row| {
            let name = versions.get(&row.version_id)?.product.display_name.clone();
            Some((row.product_id.clone()?, name))
        }));
    }
    let included = bound.version.product.included_items.keys().map(|id| {
        let item = config.payments.items.get(id);
        (id.clone(), item.map_or_else(|| id.clone(), |item| item.display_name.clone()))
    });
    Ok(Offer {
        item_names: included.collect(),
        product: bound.version.product,
        account_id: bound.account_id,
        project_id: project_id.clone(),
        project_name: project.display_name.clone(),
        logo_url: project.logo_url.clone(),
        is_owned,
        conflicts,
        test_mode: config.payments.test_mode,
        charges_enabled: bound.charges_enabled,
    })
}
