//! A balance and its rows: what was loaded, what has become of it, and writing down the difference.

use std::collections::HashSet;

use postern_entity::{item_balance, item_change, item_grant, item_source};
use serde_json::json;

use super::{
    Customer, CustomerType,
    ledger::{Ends, FIRST_PLACE, Grant, Ledger, Source},
    store::{self, Key},
};
use crate::{
    Deps, ItemBalanceId, ItemChangeId, ProjectId, Timestamp,
    db::{NewRows, Tx},
    error::{Result, refuse},
    events::{self, EventKind, NewEvent},
    teams, users,
};

/// How many rows of grants that are over one transaction removes. Those that stay count for nothing, and the balance stays
/// due.
pub(super) const MAX_REMOVED: usize = 100;

/// A balance, as it was read and as it is now.
#[derive(Clone, Debug)]
pub(super) struct Balance {
    row: item_balance::Model,
    /// As the rows say.
    before: Ledger,
    /// As it is to be.
    pub(super) ledger: Ledger,
}

impl Balance {
    /// Of these rows: the sources are those that will grant again, by place.
    pub(super) fn new(
        row: item_balance::Model,
        grants: Vec<item_grant::Model>,
        sources: Vec<item_source::Model>,
    ) -> Self {
        let before = Ledger {
            at: row.folded_at.millis(),
            debt: row.debt,
            grants: grants.into_iter().map(grant_of).collect(),
            sources: sources.into_iter().map(source_of).collect(),
            next_place: row.next_place,
        };
        Self { row, ledger: before.clone(), before }
    }

    /// Of a customer who has none yet, and who is known to be there.
    pub(super) fn fresh(project_id: &ProjectId, customer: &Customer, item_id: &str, now: Timestamp) -> Self {
        let row = item_balance::Model {
            id: ItemBalanceId::random(),
            project_id: project_id.clone(),
            customer_type: customer.kind(),
            customer_id: customer.id().to_owned(),
            user_id: customer.user_id(),
            team_id: customer.team_id(),
            item_id: item_id.to_owned(),
            debt: 0,
            folded_at: now,
            next_place: FIRST_PLACE,
            open_grants: 0,
            open_sources: 0,
            due_at: None,
        };
        Self::new(row, Vec::new(), Vec::new())
    }

    pub(super) fn id(&self) -> ItemBalanceId {
        self.row.id
    }

    pub(super) fn key(&self) -> Key {
        let item_balance::Model { project_id, customer_type, customer_id, item_id, .. } = self.row.clone();
        Key { project_id, customer_type, customer_id, item_id }
    }

    pub(super) fn customer(&self) -> Customer {
        Customer::new(self.row.customer_type, &self.row.customer_id)
    }

    pub(super) fn item_id(&self) -> &str {
        &self.row.item_id
    }

    /// The quantity at `now`, which need not be written down for that.
    pub(super) fn quantity_at(&self, now: Timestamp) -> i64 {
        let mut ledger = self.ledger.clone();
        ledger.advance(now.millis());
        ledger.balance()
    }

    /// Whether the quantity is another one than the rows said, at the instant they told of.
    pub(super) fn has_changed(&self) -> bool {
        let mut before = self.before.clone();
        // Grants that were over by then may still have their rows.
        before.advance(before.at);
        self.ledger.balance() != before.balance()
    }

    /// How many rows of grants are over.
    pub(super) fn over(&self) -> usize {
        self.gone().filter(|grant| grant.ends.is_over(self.ledger.at)).count()
    }

    /// Takes the balance to `now`, or to the latest instant that was written down. Answers which it was.
    pub(super) fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.ledger.advance(now.millis());
        Timestamp(self.ledger.at)
    }

    /// Looks a source up that may have nothing left to grant, so that it can be ended.
    pub(super) fn recall(&mut self, source: item_source::Model) {
        if self.before.sources.iter().any(|known| known.place == source.place) {
            return;
        }
        let source = source_of(source);
        for ledger in [&mut self.before, &mut self.ledger] {
            ledger.sources.push(source.clone());
            ledger.sources.sort_by_key(|source| source.place);
        }
    }

    /// Adds the entry to the ledger's rows.
    pub(super) fn add_entry(&self, rows: &mut NewRows, entry: Entry) {
        rows.add(item_change::Model {
            id: ItemChangeId::random(),
            balance_id: self.row.id,
            project_id: self.row.project_id.clone(),
            kind: entry.kind,
            delta: entry.delta,
            expires_at: entry.expires_at,
            description: entry.description,
            source_key: entry.source_key,
            made_by: entry.made_by.to_owned(),
            created_at: Timestamp(self.ledger.at),
        });
    }

    /// Adds the event that tells what the quantity is now.
    pub(super) fn add_event(&self, deps: &Deps, rows: &mut NewRows) {
        let row = &self.row;
        let payload = json!({
            "customer_type": row.customer_type,
            "customer_id": row.customer_id,
            "item_id": row.item_id,
            "quantity": self.ledger.balance(),
        });
        let (project_id, kind) = (row.project_id.clone(), EventKind::ItemChanged);
        let event = NewEvent { project_id, kind, user_id: row.user_id, team_id: row.team_id, payload };
        events::add(deps, rows, event);
    }

    /// Adds the rows of what the balance has become; answers the grants that are to be removed.
    fn settle(mut self, rows: &mut NewRows) -> Vec<(ItemBalanceId, i64)> {
        let (mut gone, mut over): (Vec<_>, Vec<_>) = self.gone().partition(|grant| !grant.ends.is_over(self.ledger.at));
        // What was used up must go now: its end has not come, so it would still count.
        let staying = over.split_off(over.len().min(MAX_REMOVED)).len();
        gone.append(&mut over);
        let gone = gone.into_iter().map(|grant| (self.row.id, grant.place)).collect();
        self.settle_row(staying);
        store::put(rows, &self.row);
        self.changed_grants().for_each(|grant| store::put_grant(rows, self.grant_row(grant)));
        self.changed_sources().for_each(|source| store::put_source(rows, self.source_row(source)));
        gone
    }

    /// Adds the rows of a balance that nobody can have by now, since its customer is being made.
    pub(super) fn add_rows(mut self, rows: &mut NewRows) {
        self.settle_row(0);
        rows.add(self.row.clone());
        self.ledger.grants.iter().for_each(|grant| rows.add(self.grant_row(grant)));
        self.ledger.sources.iter().for_each(|source| rows.add(self.source_row(source)));
    }

    /// `staying`: rows of grants that are over and not removed yet.
    fn settle_row(&mut self, staying: usize) {
        let ledger = &self.ledger;
        let open_sources = ledger.sources.iter().filter(|source| source.next_at().is_some()).count();
        self.row.debt = ledger.debt;
        self.row.folded_at = Timestamp(ledger.at);
        self.row.next_place = ledger.next_place;
        self.row.open_grants = count(ledger.grants.len() + staying);
        self.row.open_sources = count(open_sources);
        self.row.due_at = if staying > 0 { Some(ledger.at) } else { ledger.next_at() }.map(Timestamp);
    }

    /// What is not there any more.
    fn gone(&self) -> impl Iterator<Item = &Grant> {
        let places: HashSet<i64> = self.ledger.grants.iter().map(|grant| grant.place).collect();
        self.before.grants.iter().filter(move |grant| !places.contains(&grant.place))
    }

    fn changed_grants(&self) -> impl Iterator<Item = &Grant> {
        self.ledger.grants.iter().filter(|grant| !self.before.grants.contains(grant))
    }

    fn changed_sources(&self) -> impl Iterator<Item = &Source> {
        self.ledger.sources.iter().filter(|source| !self.before.sources.contains(source))
    }

    fn grant_row(&self, grant: &Grant) -> item_grant::Model {
        item_grant::Model {
            balance_id: self.row.id,
            place: grant.place,
            project_id: self.row.project_id.clone(),
            of_source: grant.of_source,
            remaining: grant.left,
            ends_at: grant.ends.instant().map(Timestamp),
            ends_with_purchase: grant.ends == Ends::WithPurchase,
            granted_at: Timestamp(grant.granted_at),
            parts: grant.parts,
            part_quantity: grant.part_quantity,
            part_interval: grant.part_interval,
        }
    }

    fn source_row(&self, source: &Source) -> item_source::Model {
        item_source::Model {
            balance_id: self.row.id,
            place: source.place,
            project_id: self.row.project_id.clone(),
            source_key: source.key.clone(),
            quantity: source.quantity,
            starts_at: Timestamp(source.starts_at),
            interval: source.interval,
            expires: source.expires,
            ends_at: source.ends_at.map(Timestamp),
            granted: source.granted,
            next_at: source.next_at().map(Timestamp),
        }
    }
}

/// An entry of the ledger.
pub(super) struct Entry {
    pub(super) kind: item_change::ItemChangeKind,
    pub(super) delta: i64,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) description: Option<String>,
    pub(super) source_key: Option<String>,
    pub(super) made_by: &'static str,
}

/// Writes down what the balances have become, with the rows that tell of it. Answers how many rows were touched. The caller
/// holds the balances.
pub(super) async fn save(tx: &Tx, balances: impl IntoIterator<Item = Balance>, told: NewRows) -> Result<usize> {
    let mut rows = told;
    let gone: Vec<_> = balances.into_iter().flat_map(|balance| balance.settle(&mut rows)).collect();
    let touched = gone.len() + rows.count();
    store::remove_grants(tx, &gone).await?;
    rows.write(tx).await?;
    Ok(touched)
}

/// The balance of a customer, held until the transaction ends. The first change of a customer makes it.
///
/// # Errors
/// `USER_NOT_FOUND`, `TEAM_NOT_FOUND`.
pub(super) async fn hold(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    customer: &Customer,
    item_id: &str,
) -> Result<Balance> {
    let mut held = store::lock(tx, project_id, customer, item_id).await?;
    if held.is_none() {
        // The customer first, so that it cannot go meanwhile. While there is a balance, there is its customer.
        let is_there = match (customer.kind(), customer.user_id(), customer.team_id()) {
            (CustomerType::Custom, ..) => true,
            (CustomerType::User, Some(id), _) => users::lock_in(tx, project_id, id).await?,
            (CustomerType::Team, _, Some(id)) => teams::lock_in(tx, project_id, id).await?,
            (CustomerType::User | CustomerType::Team, ..) => false,
        };
        if !is_there {
            return refuse(customer.not_found());
        }
        store::insert(tx, Balance::fresh(project_id, customer, item_id, deps.now()).row).await?;
        // Whose row it is by now does not matter.
        held = store::lock(tx, project_id, customer, item_id).await?;
    }
    match store::with_open(&**tx, held.into_iter().collect()).await?.pop() {
        Some(balance) => Ok(balance),
        // A customer that was deleted a moment ago.
        None => refuse(customer.not_found()),
    }
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn grant_of(row: item_grant::Model) -> Grant {
    let ends = match row.ends_at {
        Some(end) => Ends::At(end.millis()),
        None if row.ends_with_purchase => Ends::WithPurchase,
        None => Ends::Never,
    };
    Grant {
        place: row.place,
        of_source: row.of_source,
        ends,
        left: row.remaining,
        granted_at: row.granted_at.millis(),
        parts: row.parts,
        part_quantity: row.part_quantity,
        part_interval: row.part_interval,
    }
}

fn source_of(row: item_source::Model) -> Source {
    Source {
        place: row.place,
        key: row.source_key,
        quantity: row.quantity,
        starts_at: row.starts_at.millis(),
        interval: row.interval,
        expires: row.expires,
        ends_at: row.ends_at.map(Timestamp::millis),
        granted: row.granted,
    }
}
