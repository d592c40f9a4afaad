//! The fold of a ledger of items (wire: payments §4.2). Pure: what is open of the grants, what is owed, and what becomes of
//! both by removals, grants, and the passing of time. Instants are milliseconds since the epoch.
//!
//! A [`Ledger`] is what the fold of everything up to an instant amounts to. [`Ledger::advance`] takes it to a later one:
//! grants end, and sources grant again. That takes arithmetic, not a step for each missed repeat, so the parts that a source
//! has granted and that end together are one [`Grant`] of several parts.
//!
//! Where the contract leaves it open:
//! - What ends with a purchase whose end nobody knows yet is used before what never ends: it will be lost, the other not.
//! - Time never goes back: an instant before the one that the ledger tells of counts as that one.
//! - A source grants at no instant at or after its end.

mod grant;
mod source;

use self::grant::{latest, take};
pub(super) use self::{
    grant::{Ends, Grant},
    source::Source,
};

/// The most that a customer has or owes, and the most that one change adds or takes: what clients can hold exactly in the
/// numbers of JavaScript (2^53 − 1).
pub const MAX_QUANTITY: i64 = (1 << 53) - 1;

/// The place of what never ends: it is all alike, so it is one grant.
const LASTING: i64 = 0;
/// The place of the first grant that may end.
pub(super) const FIRST_PLACE: i64 = LASTING + 1;

/// What a customer has of an item at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ledger {
    /// The instant.
    pub(super) at: i64,
    /// What is owed: 0 or less. Never beside open grants.
    pub(super) debt: i64,
    /// What is open, in no order. A grant that is over may still be here; the next step drops it.
    pub(super) grants: Vec<Grant>,
    /// What will grant again, or may be ended, by place.
    pub(super) sources: Vec<Source>,
    /// The place of whatever comes next.
    pub(super) next_place: i64,
}

impl Ledger {
    /// Nothing.
    #[cfg(test)]
    pub(super) fn empty(at: i64) -> Self {
        Self { at, debt: 0, grants: Vec::new(), sources: Vec::new(), next_place: FIRST_PLACE }
    }

    /// What the customer has; negative when it owes. Within [`MAX_QUANTITY`]: what repeats add beyond counts for nothing.
    pub(super) fn balance(&self) -> i64 {
        let has: i128 = self.grants.iter().map(|grant| i128::from(grant.left)).sum();
        clamped(has + i128::from(self.debt))
    }

    /// When something changes next by itself.
    pub(super) fn next_at(&self) -> Option<i64> {
        let ends = self.grants.iter().filter_map(|grant| grant.ends.instant());
        ends.chain(self.sources.iter().filter_map(Source::next_at)).min()
    }

    /// The same at a later instant.
    pub(super) fn advance(&mut self, to: i64) {
        self.at = self.at.max(to);
        let mut sources = std::mem::take(&mut self.sources);
        self.pay_by_repeats(&mut sources);
        for source in &mut sources {
            let due = source.due(self.at);
            self.add_parts(source, due, source.quantity);
            source.granted = due;
        }
        self.sources = sources;
        self.grants.retain(|grant| !grant.ends.is_over(self.at));
    }

    /// Adds or takes a quantity now. What is added pays what is owed first, and is lost at `expires_at`; if that has passed,
    /// it counts for nothing. What is taken stays taken.
    pub(super) fn change(&mut self, delta: i64, expires_at: Option<i64>) {
        match u64::try_from(delta) {
            Err(_) => self.remove(delta.saturating_neg()),
            Ok(_) => self.give(delta, expires_at.map_or(Ends::Never, Ends::At)),
        }
    }

    /// Adds a source, which grants now if its time has come. `source.place` is chosen here.
    pub(super) fn start(&mut self, source: Source) {
        self.sources.push(Source { place: self.next_place, ..source });
        self.next_place += 1;
        self.advance(self.at);
    }

    /// Sets, moves or takes back the end of the source at `place`, which must be among the sources; an end that has passed
    /// is now. A source that is over stays so.
    pub(super) fn end(&mut self, place: i64, ends_at: Option<i64>) {
        let Some(source) = self.sources.iter_mut().find(|source| source.place == place) else { return };
        if source.ends_at.is_some_and(|end| end <= self.at) {
            return;
        }
        source.ends_at = ends_at.map(|end| end.max(self.at));
        let ends = source.ends_of(source.granted - 1);
        self.grants.iter_mut().filter(|grant| grant.place == place).for_each(|grant| grant.ends = ends);
        self.advance(self.at);
    }

    /// Lets the source at `place` grant no more; what it granted is lost when it would have been. Answers when it would have
    /// granted next.
    pub(super) fn stop(&mut self, place: i64) -> Option<i64> {
        let source = self.sources.iter_mut().find(|source| source.place == place)?;
        let next = source.next_at()?;
        let replaces = source.replaces();
        // It has made the one part that a source without repeats makes, be it that nothing was ever granted.
        source.interval = None;
        source.granted = source.granted.max(1);
        if replaces {
            // What it granted ends when it would have, whatever becomes of the purchase's own end: it is no longer the source's.
            let detached = self.grants.iter_mut().find(|grant| grant.place == place);
            if let Some(grant) = detached {
                (grant.place, grant.of_source) = (self.next_place, false);
                self.next_place += 1;
            }
        }
        Some(next)
    }

    /// Takes from what ends soonest; what is missing is owed.
    fn remove(&mut self, amount: i64) {
        let mut wanted = amount;
        self.grants.sort_by_key(|grant| grant.ends);
        for ending_together in self.grants.chunk_by_mut(|one, other| one.ends == other.ends) {
            wanted -= take(ending_together, wanted);
        }
        self.grants.retain(|grant| grant.left > 0);
        self.debt -= wanted;
    }

    fn give(&mut self, quantity: i64, ends: Ends) {
        if ends.is_over(self.at) {
            return;
        }
        let paid = quantity.min(-self.debt);
        self.debt += paid;
        let left = quantity - paid;
        match ends {
            _ if left == 0 => {}
            Ends::Never => self.add_lasting(i128::from(left)),
            ends => match self.mergeable(ends) {
                Some(grant) => grant.left = clamped(i128::from(grant.left) + i128::from(left)),
                None => {
                    let place = self.next_place;
                    self.next_place += 1;
                    self.grants.push(Grant::single(place, false, ends, left, self.at));
                }
            },
        }
    }

    fn add_lasting(&mut self, quantity: i128) {
        match self.grants.iter_mut().find(|grant| grant.place == LASTING) {
            Some(grant) => grant.left = clamped(i128::from(grant.left) + quantity),
            None => self.grants.push(Grant::single(LASTING, false, Ends::Never, clamped(quantity), self.at)),
        }
    }

    /// The grant that a new one with this end may become one with: made by hand, with the same end, and nothing that may
    /// come to end with them has been granted in between. So nobody can tell them apart.
    fn mergeable(&mut self, ends: Ends) -> Option<&mut Grant> {
        let newest = self.grants.iter().filter(|grant| grant.of_source).map(Grant::newest_part).max();
        let alike = self.grants.iter_mut().filter(|grant| !grant.of_source && grant.ends == ends);
        alike.max_by_key(|grant| grant.newest_part()).filter(|grant| newest < Some(grant.newest_part()))
    }

    /// Lets due repeats pay what is owed, in the order of time. Afterwards either nothing is owed, or nothing is due.
    fn pay_by_repeats(&mut self, sources: &mut [Source]) {
        if self.debt == 0 {
            return;
        }
        let made_until = |sources: &[Source], until: i64| -> i128 {
            let made = sources.iter().map(|source| {
                let parts = source.due(until) - source.granted;
                i128::from(parts) * i128::from(source.quantity)
            });
            made.sum()
        };
        let owed = -i128::from(self.debt);
        let all = made_until(sources, self.at);
        if all < owed {
            self.debt = clamped(all - owed);
            sources.iter_mut().for_each(|source| source.granted = source.due(self.at));
            return;
        }
        // Up to the last instant at which something is still owed, everything pays.
        let first = sources.iter().filter_map(Source::next_at).min().unwrap_or(self.at);
        let before = latest(first - 1, self.at, |until| made_until(sources, until) < owed);
        let mut rest = clamped(owed - made_until(sources, before));
        sources.iter_mut().for_each(|source| source.granted = source.due(before));
        self.debt = 0;
        // One of the parts of the next instant is paid with in part.
        for source in sources {
            if source.due(before + 1) > source.granted {
                let paid = rest.min(source.quantity);
                rest -= paid;
                self.add_parts(source, source.granted + 1, source.quantity - paid);
                source.granted += 1;
            }
        }
    }

    /// Adds what `source` grants from what it has granted up to the part before `until`. Of the first of these `first` is
    /// left. Nothing is owed.
    fn add_parts(&mut self, source: &Source, until: i64, first: i64) {
        let count = until - source.granted;
        if count <= 0 {
            return;
        }
        let all = i128::from(first) + i128::from(count - 1) * i128::from(source.quantity);
        match source.ends_of(until - 1) {
            Ends::Never => self.add_lasting(all),
            ends if source.replaces() => {
                // Each ends with the next one.
                self.grants.retain(|grant| grant.place != source.place);
                let left = if count == 1 { first } else { source.quantity };
                let granted_at = source.time_of(until - 1);
                self.grants.push(Grant::single(source.place, true, ends, left, granted_at));
            }
            ends => {
                let earlier = self.grants.iter_mut().find(|grant| grant.place == source.place);
                if let Some(grant) = earlier {
                    grant.add_parts(count);
                } else {
                    let granted_at = source.time_of(source.granted);
                    let mut grant = Grant::single(source.place, true, ends, first, granted_at);
                    grant.repeats(source.quantity, source.interval.unwrap_or_default());
                    grant.add_parts(count - 1);
                    self.grants.push(grant);
                }
            }
        }
        self.grants.retain(|grant| grant.left > 0);
    }
}

/// Within what a customer can have or owe.
fn clamped(quantity: i128) -> i64 {
    let max = i128::from(MAX_QUANTITY);
    i64::try_from(quantity.clamp(-max, max)).unwrap_or(MAX_QUANTITY)
}

#[cfg(test)]
mod tests;
