//! A purchase and what it grants: writing it down, letting it begin, end, grow and shrink. The items it includes are granted
//! under keys that name the purchase and how often it has begun, so whatever tells of it twice grants once.

use std::collections::HashMap;

use postern_entity::{
    ProjectId, PurchaseId, Timestamp,
    purchase::{self, PurchaseKind, PurchaseSource, PurchaseStatus},
};

use super::{product::Version, store};
use crate::{
    Code, Deps,
    db::Tx,
    error::{Error, Result},
    items::{self, Customer, Expires, Lasting, NewSource},
};

/// How the key ends of what a beginning grants once, beside what it grants again and again.
const ONCE: &str = ":once";

/// What is to be written down.
#[derive(Clone, Debug)]
pub(super) struct NewPurchase<'a> {
    pub(super) kind: PurchaseKind,
    pub(super) version: &'a Version,
    pub(super) price_id: Option<String>,
    pub(super) quantity: i64,
    pub(super) source: PurchaseSource,
    pub(super) status: PurchaseStatus,
    pub(super) stripe_id: Option<String>,
    /// Of a subscription.
    pub(super) period: Option<(Timestamp, Timestamp)>,
    pub(super) created_at: Timestamp,
}

/// Writes a purchase down. Nothing is granted yet. None when Stripe's name for it is known already.
pub(super) async fn add(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    customer: &Customer,
    new: NewPurchase<'_>,
) -> Result<Option<purchase::Model>> {
    let version_id = store::keep_version(tx, project_id, new.version, deps.now()).await?;
    let row = purchase::Model {
        id: PurchaseId::random(),
        project_id: project_id.clone(),
        kind: new.kind,
        customer_type: customer.kind(),
        customer_id: customer.id().to_owned(),
        product_id: new.version.product_id.clone(),
        sold_version_id: version_id.clone(),
        sold_price_id: new.price_id.clone(),
        sold_quantity: new.quantity,
        version_id,
        line_id: new.version.line_id.clone(),
        is_add_on: !new.version.add_on_to.is_empty(),
        price_id: new.price_id,
        quantity: new.quantity,
        revoked_quantity: 0,
        source: new.source,
        status: new.status,
        stripe_id: new.stripe_id,
        started: 0,
        period_start: new.period.map(|(start, _)| start),
        period_end: new.period.map(|(_, end)| end),
        cancel_at_period_end: false,
        canceled_at: None,
        ends_at: None,
        refunded_at: None,
        created_at: new.created_at,
    };
    Ok(store::insert(tx, &row).await?.then_some(row))
}

/// Lets a purchase begin, or begin anew, at an instant: grants the items it includes for all its pieces. The caller writes
/// the row.
pub(super) async fn begin(
    deps: &Deps,
    tx: &Tx,
    row: &mut purchase::Model,
    version: &Version,
    at: Timestamp,
) -> Result<()> {
    let begins_anew = row.started > 0;
    row.started += 1;
    let pieces = row.quantity - row.revoked_quantity;
    let mut sources = sources(row, version, pieces, at);
    if begins_anew {
        let had = items::lasting_in(tx, &row.project_id, &customer_of(row), &keys(row)).await?;
        let once = spare_lasting(&mut sources, &most(had));
        let once_key = format!("{}{ONCE}", key(row, row.started));
        grant(deps, tx, row, &once_key, &once).await?;
    }
    grant(deps, tx, row, &key(row, row.started), &sources).await
}

/// The most of each item that is never lost that a purchase has granted at a time: what one beginning granted, or what the
/// first one did with all that was added since.
fn most(lasting: Vec<Lasting>) -> HashMap<String, i64> {
    let mut by_item: HashMap<String, (Option<i64>, i64, i64)> = HashMap::new();
    for Lasting { item_id, key, quantity } in lasting {
        let (first, largest, added) = by_item.entry(item_id).or_default();
        if key.ends_with(ONCE) {
            *added = added.saturating_add(quantity);
        } else {
            first.get_or_insert(quantity);
            *largest = quantity.max(*largest);
        }
    }
    let most = by_item.into_iter().map(|(item_id, (first, largest, added))| {
        (item_id, first.unwrap_or_default().saturating_add(added).max(largest))
    });
    most.collect()
}

/// What is never lost is not granted once more because a purchase begins anew or becomes another product: whoever changes to
/// and fro would have it each time. What is more than before is granted now (answered), the whole again from the next repeat on.
fn spare_lasting(sources: &mut Vec<NewSource>, had: &HashMap<String, i64>) -> Vec<NewSource> {
    let mut once = Vec::new();
    sources.retain_mut(|source| {
        let before = had.get(&source.item_id).copied().filter(|_| source.expires == Expires::Never);
        let Some(before) = before else { return true };
        if source.quantity > before {
            once.push(NewSource { quantity: source.quantity - before, repeats: None, ..source.clone() });
        }
        let Some(interval) = source.repeats else { return false };
        source.starts_at = interval.after(source.starts_at);
        true
    });
    once
}

/// What was paid for a customer who is gone stays written down, and grants nothing.
async fn grant(deps: &Deps, tx: &Tx, row: &purchase::Model, key: &str, sources: &[NewSource]) -> Result<()> {
    match items::grant_in(deps, tx, &row.project_id, &customer_of(row), key, sources).await {
        Err(Error::Refused(failure)) if matches!(failure.code, Code::UserNotFound | Code::TeamNotFound) => {
            tracing::warn!(purchase = %row.id, "a purchase for a customer who is gone grants nothing");
            Ok(())
        }
        other => other,
    }
}

fn sources(row: &purchase::Model, version: &Version, pieces: i64, at: Timestamp) -> Vec<NewSource> {
    let is_subscription = row.kind == PurchaseKind::Subscription;
    let included = version.product.included_items.iter().filter_map(|(item_id, item)| {
        let repeats = match item.repeat {
            super::product::Repeat::Every(period) => period.repeats().ok(),
            super::product::Repeat::Never(_) => None,
        };
        // What nobody can count is the most that somebody can.
        let quantity = item.quantity.checked_mul(pieces).unwrap_or(items::MAX_QUANTITY).min(items::MAX_QUANTITY);
        (quantity > 0).then(|| NewSource {
            item_id: item_id.clone(),
            quantity,
            starts_at: at,
            repeats,
            expires: item.expires.of(is_subscription, repeats.is_some()),
            ends_at: row.ends_at,
        })
    });
    included.collect()
}

/// Sets, moves or takes back when a purchase ends, with all that it granted. An end in the past is now. The caller writes the
/// row.
pub(super) async fn end(deps: &Deps, tx: &Tx, row: &mut purchase::Model, ends_at: Option<Timestamp>) -> Result<()> {
    row.ends_at = ends_at;
    let customer = customer_of(row);
    for started in live(deps, tx, row).await? {
        items::end_in(deps, tx, &row.project_id, &customer, &key(row, started), ends_at).await?;
    }
    Ok(())
}

/// The numbers of its beginnings of which something may still end or be granted again, in order. One query, however often it
/// has begun: a customer may change to and fro for years.
async fn live(deps: &Deps, tx: &Tx, row: &purchase::Model) -> Result<Vec<i64>> {
    if row.started == 0 {
        return Ok(Vec::new());
    }
    let keys = keys(row);
    let live = items::live_in(deps, tx, &row.project_id, &customer_of(row), &keys).await?;
    let mut live: Vec<_> = live.iter().filter_map(|key| key.strip_prefix(&keys)?.parse().ok()).collect();
    live.sort_unstable();
    Ok(live)
}

/// From the next repeats on, what is granted is for `pieces` of the `before` that there were. The caller writes the row.
pub(super) async fn rescale(deps: &Deps, tx: &Tx, row: &mut purchase::Model, before: i64, pieces: i64) -> Result<()> {
    let customer = customer_of(row);
    for started in live(deps, tx, row).await? {
        let (now, later) = (key(row, started), key(row, row.started + 1));
        let keys = [now.as_str(), later.as_str()];
        if items::rescale_in(deps, tx, &row.project_id, &customer, keys, (pieces, before)).await? {
            row.started += 1;
        }
    }
    Ok(())
}

/// Grants the items for `pieces` more, beside those that were granted before. The caller writes the row.
pub(super) async fn add_pieces(
    deps: &Deps,
    tx: &Tx,
    row: &mut purchase::Model,
    version: &Version,
    pieces: i64,
) -> Result<()> {
    row.started += 1;
    let sources = sources(row, version, pieces, deps.now());
    grant(deps, tx, row, &key(row, row.started), &sources).await
}

/// Whose it is.
pub(super) fn customer_of(row: &purchase::Model) -> Customer {
    Customer::new(row.customer_type, &row.customer_id)
}

/// Under which items are granted.
fn key(row: &purchase::Model, started: i64) -> String {
    format!("{}{started}", keys(row))
}

/// How all keys of a purchase begin.
fn keys(row: &purchase::Model) -> String {
    let kind = match row.kind {
        PurchaseKind::Subscription => "sub",
        PurchaseKind::OneTime => "otp",
    };
    format!("{kind}:{}:", row.id)
}

/// How many pieces its customer has by it at `now`: none before it was paid, and none when it is over.
pub(super) fn owned(row: &purchase::Model, now: Timestamp) -> i64 {
    if row.started == 0 || is_over(row, now) { 0 } else { row.quantity - row.revoked_quantity }
}

pub(super) fn is_over(row: &purchase::Model, now: Timestamp) -> bool {
    row.ends_at.is_some_and(|end| end <= now)
}

/// Whether it is a subscription that still runs: neither over nor cancelled.
pub(super) fn is_running(row: &purchase::Model, now: Timestamp) -> bool {
    row.kind == PurchaseKind::Subscription
        && !is_over(row, now)
        && row.started > 0
        && row.status != PurchaseStatus::Canceled
}
