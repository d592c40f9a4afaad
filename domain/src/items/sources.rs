//! What purchases do: grant the items they include, once or again and again, and end (wire: payments §4.1). For features that
//! sell; no caller reaches this by itself.

use postern_entity::item_change::ItemChangeKind;
pub use postern_entity::item_source::Expires;

use super::{
    Customer, MAX_QUANTITY,
    balance::{self, Balance, Entry},
    change::is_possible,
    ledger::Source,
    store,
};
use crate::{
    Deps, Failure, ProjectId, Timestamp,
    db::{NewRows, Tx},
    error::{Result, refuse},
};

/// Who made entries that no caller made.
const SYSTEM: &str = "system";
/// A thousand years: nobody waits longer for a repeat.
const MAX_INTERVAL_MILLIS: i64 = 1_000 * 365 * DAY_MILLIS;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// The longest key of a source, in bytes.
const MAX_KEY_BYTES: usize = 255;

/// What an interval is counted in. Each has a fixed length, unlike the periods of billing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalUnit {
    /// 86,400,000 ms.
    Day,
    /// 7 days.
    Week,
    /// 30 days.
    Month,
    /// 365 days.
    Year,
}

impl IntervalUnit {
    fn millis(self) -> i64 {
        match self {
            Self::Day => DAY_MILLIS,
            Self::Week => 7 * DAY_MILLIS,
            Self::Month => 30 * DAY_MILLIS,
            Self::Year => 365 * DAY_MILLIS,
        }
    }
}

/// The time from one grant of a source to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    millis: i64,
}

impl Interval {
    /// # Errors
    /// `BAD_REQUEST` for none at all, and for more than a thousand years.
    pub fn new(count: u64, unit: IntervalUnit) -> Result<Self> {
        let millis = i64::try_from(count).ok().and_then(|count| count.checked_mul(unit.millis()));
        match millis {
            Some(millis) if (1..=MAX_INTERVAL_MILLIS).contains(&millis) => Ok(Self { millis }),
            _ => refuse(Failure::bad_request(
                "What an item repeats by must be an interval of at least one day and at most a thousand years.",
            )),
        }
    }

    /// So much later.
    #[must_use]
    pub fn after(self, from: Timestamp) -> Timestamp {
        from.plus_millis(self.millis)
    }
}

/// An item that a purchase includes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSource {
    /// The item, by its key; the config is not asked.
    pub item_id: String,
    /// What is granted each time, for all pieces that were bought; 1 to [`MAX_QUANTITY`].
    pub quantity: i64,
    /// When the purchase began: the first grant. In the past, what was missed is granted at once.
    pub starts_at: Timestamp,
    /// How often it is granted again; never when there is none.
    pub repeats: Option<Interval>,
    /// When what was granted is lost. With [`Expires::WhenPurchaseExpires`], and with [`Expires::WhenRepeated`] without repeats,
    /// that is the end of the purchase; a one-time purchase has none, so it says [`Expires::Never`] there.
    pub expires: Expires,
    /// When the purchase ends, if that is known. No repeat falls on that instant or later.
    pub ends_at: Option<Timestamp>,
}

/// Grants what a purchase includes, in the transaction that writes the purchase down. `key` names the purchase; what was
/// granted to this customer under the same key before is not granted again.
///
/// # Errors
/// `USER_NOT_FOUND`, `TEAM_NOT_FOUND`; `BAD_REQUEST` for quantities that nobody can have, and for times beyond the year 9999.
#[crate::boxed]
pub async fn grant_in(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    customer: &Customer,
    key: &str,
    included: &[NewSource],
) -> Result<()> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return refuse(Failure::bad_request(format!("The key of a purchase has 1 to {MAX_KEY_BYTES} bytes.")));
    }
    let mut included: Vec<&NewSource> = included.iter().collect();
    // Balances are held in the order of their items, so that no two purchases wait for each other.
    included.sort_by(|one, other| one.item_id.cmp(&other.item_id));
    for source in included {
        let source = checked(key, source)?;
        let mut balance = balance::hold(deps, tx, project_id, customer, &source.0).await?;
        if store::source(&**tx, balance.id(), key).await?.is_some() {
            continue;
        }
        balance.advance(deps.now());
        let told = start(deps, &mut balance, source.1);
        balance::save(tx, [balance], told).await?;
    }
    Ok(())
}

/// The rows of a grant to a customer who is being made by the same rows, so that nobody can have changed anything.
pub(super) fn add_first(
    deps: &Deps,
    rows: &mut NewRows,
    project_id: &ProjectId,
    customer: &Customer,
    key: &str,
    source: &NewSource,
) -> Result<()> {
    let (item_id, source) = checked(key, source)?;
    let mut balance = Balance::fresh(project_id, customer, &item_id, deps.now());
    let entry = entry_of(&source);
    balance.ledger.start(source);
    balance.clone().add_rows(rows);
    balance.add_entry(rows, entry);
    Ok(())
}

fn checked(key: &str, source: &NewSource) -> Result<(String, Source)> {
    if !(1..=MAX_QUANTITY).contains(&source.quantity) {
        return refuse(Failure::bad_request(format!("A purchase grants 1 to {MAX_QUANTITY} of an item.")));
    }
    if !is_possible(&source.starts_at) || !source.ends_at.is_none_or(|end| is_possible(&end)) {
        return refuse(Failure::bad_request("A purchase begins and ends in the years 1970 to 9999."));
    }
    let new = Source {
        place: 0,
        key: key.to_owned(),
        quantity: source.quantity,
        starts_at: source.starts_at.millis(),
        interval: source.repeats.map(|interval| interval.millis),
        expires: source.expires,
        ends_at: source.ends_at.map(Timestamp::millis),
        granted: 0,
    };
    Ok((source.item_id.clone(), new))
}

fn start(deps: &Deps, balance: &mut Balance, source: Source) -> NewRows {
    let entry = entry_of(&source);
    balance.ledger.start(source);
    let mut told = NewRows::default();
    balance.add_entry(&mut told, entry);
    balance.add_event(deps, &mut told);
    told
}

fn entry_of(source: &Source) -> Entry {
    Entry {
        kind: ItemChangeKind::Source,
        delta: source.quantity,
        expires_at: source.ends_at.map(Timestamp),
        description: None,
        source_key: Some(source.key.clone()),
        made_by: SYSTEM,
    }
}

/// Sets when a purchase ends, moves it, or takes it back, in the transaction that writes that down: whatever it granted ends
/// or repeats accordingly. An end in the past is now. A purchase that has ended stays so.
///
/// # Errors
/// Internal only. A key under which nothing was granted is none.
#[crate::boxed]
pub async fn end_in(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    customer: &Customer,
    key: &str,
    ends_at: Option<Timestamp>,
) -> Result<()> {
    for row in store::sources_of(&**tx, project_id, customer, key).await? {
        let mut balance = balance::hold(deps, tx, project_id, customer, &row.item_id).await?;
        // Read only now that nobody else can change it.
        let Some(source) = store::source(&**tx, balance.id(), key).await? else { continue };
        let (place, known_end) = (source.place, source.ends_at);
        balance.recall(source);
        let at = balance.advance(deps.now());
        let is_over = known_end.is_some_and(|end| end <= at);
        if is_over || known_end == ends_at {
            continue;
        }
        balance.ledger.end(place, ends_at.map(Timestamp::millis));
        let mut told = NewRows::default();
        balance.add_entry(
            &mut told,
            Entry {
                kind: ItemChangeKind::SourceEnd,
                delta: 0,
                expires_at: ends_at,
                description: None,
                source_key: Some(key.to_owned()),
                made_by: SYSTEM,
            },
        );
        if balance.has_changed() {
            balance.add_event(deps, &mut told);
        }
        balance::save(tx, [balance], told).await?;
    }
    Ok(())
}

/// What a source grants at a time, of which nothing is ever lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lasting {
    /// The item.
    pub item_id: String,
    /// The key of the source.
    pub key: String,
    /// How much.
    pub quantity: i64,
}

/// What the sources of a customer whose keys begin with `prefix` grant of what is never lost, item by item in the order of their
/// making, as the transaction sees it.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn lasting_in(tx: &Tx, project_id: &ProjectId, customer: &Customer, prefix: &str) -> Result<Vec<Lasting>> {
    store::lasting(&**tx, project_id, customer, prefix).await
}

/// The keys that begin with `prefix` under which something was granted that may still end or be granted again, as the
/// transaction sees it. One query, however many have ended.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn live_in(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    customer: &Customer,
    prefix: &str,
) -> Result<Vec<String>> {
    store::live_keys(&**tx, project_id, customer, prefix, deps.now()).await
}

/// Lets what a purchase grants grow or shrink with the pieces of it that are left, from its next repeat on, in the transaction
/// that writes that down: what was granted under `key` stays as it is and repeats no more, what would have repeated is
/// granted under `next_key`, `left` pieces instead of `of`; nothing when none are left. Answers whether anything repeated.
///
/// # Errors
/// Those of [`grant_in`].
#[crate::boxed]
pub async fn rescale_in(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    customer: &Customer,
    [key, next_key]: [&str; 2],
    (left, of): (i64, i64),
) -> Result<bool> {
    let mut repeated = false;
    for row in store::sources_of(&**tx, project_id, customer, key).await? {
        let mut balance = balance::hold(deps, tx, project_id, customer, &row.item_id).await?;
        let Some(source) = store::source(&**tx, balance.id(), key).await? else { continue };
        let place = source.place;
        balance.recall(source);
        balance.advance(deps.now());
        let Some(source) = balance.ledger.sources.iter().find(|source| source.place == place).cloned() else {
            continue;
        };
        let Some(next) = balance.ledger.stop(place) else { continue };
        repeated = true;
        let mut told = NewRows::default();
        balance.add_entry(
            &mut told,
            Entry {
                kind: ItemChangeKind::SourceEnd,
                delta: 0,
                expires_at: Some(Timestamp(next)),
                description: None,
                source_key: Some(key.to_owned()),
                made_by: SYSTEM,
            },
        );
        let quantity = i128::from(source.quantity) * i128::from(left) / i128::from(of.max(1));
        let quantity = i64::try_from(quantity).unwrap_or(MAX_QUANTITY).min(MAX_QUANTITY);
        if quantity > 0 && store::source(&**tx, balance.id(), next_key).await?.is_none() {
            let later = Source { place: 0, key: next_key.to_owned(), quantity, starts_at: next, granted: 0, ..source };
            balance.add_entry(&mut told, entry_of(&later));
            balance.ledger.start(later);
        }
        balance::save(tx, [balance], told).await?;
    }
    Ok(repeated)
}
