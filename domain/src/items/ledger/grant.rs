//! One grant: what is left of it, and taking from those that end together.

use super::MAX_QUANTITY;

/// When a grant is lost. What is lost sooner comes first, and is used first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::items) enum Ends {
    /// At this instant.
    At(i64),
    /// When its source ends, which nobody knows yet.
    WithPurchase,
    /// Never.
    Never,
}

impl Ends {
    /// Whether it is lost at `at`.
    pub(in crate::items) fn is_over(self, at: i64) -> bool {
        self.instant().is_some_and(|end| end <= at)
    }

    /// The instant, where it is known.
    pub(in crate::items) fn instant(self) -> Option<i64> {
        match self {
            Self::At(end) => Some(end),
            Self::WithPurchase | Self::Never => None,
        }
    }
}

/// What is left of something that was granted: of one or more parts, made at regular times, that are lost together. All
/// parts but the oldest are whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::items) struct Grant {
    /// Its order among what was granted at the same instant.
    pub(in crate::items) place: i64,
    /// Whether a source of the same place made it.
    pub(in crate::items) of_source: bool,
    /// When it is lost.
    pub(in crate::items) ends: Ends,
    /// What is left, in all parts.
    pub(in crate::items) left: i64,
    /// When the oldest part was made.
    pub(in crate::items) granted_at: i64,
    /// How many there are.
    pub(in crate::items) parts: i64,
    /// What each but the oldest holds.
    pub(in crate::items) part_quantity: i64,
    /// From one to the next.
    pub(in crate::items) part_interval: i64,
}

impl Grant {
    /// Of one part.
    pub(super) fn single(place: i64, of_source: bool, ends: Ends, left: i64, granted_at: i64) -> Self {
        Self { place, of_source, ends, left, granted_at, parts: 1, part_quantity: left, part_interval: 0 }
    }

    /// Says what parts that are added later hold, and how far apart they are.
    pub(super) fn repeats(&mut self, part_quantity: i64, part_interval: i64) {
        (self.part_quantity, self.part_interval) = (part_quantity, part_interval);
    }

    /// Adds whole parts; those that nobody could count any more are left out.
    pub(super) fn add_parts(&mut self, count: i64) {
        let room = (MAX_QUANTITY - self.left).checked_div(self.part_quantity).unwrap_or_default();
        let count = count.min(room.max(0));
        self.parts += count;
        self.left += count * self.part_quantity;
    }

    /// When its newest part was made, and its place: what is older comes first.
    pub(super) fn newest_part(&self) -> (i64, i64) {
        (self.granted_at.saturating_add((self.parts - 1).saturating_mul(self.part_interval)), self.place)
    }

    /// How many parts were made until then.
    fn parts_until(&self, until: i64) -> i64 {
        if until < self.granted_at {
            return 0;
        }
        match (until - self.granted_at).checked_div(self.part_interval) {
            Some(later) => later.saturating_add(1).min(self.parts),
            None => self.parts,
        }
    }

    /// What the oldest `count` parts hold.
    fn in_oldest(&self, count: i64) -> i64 {
        if count == 0 { 0 } else { self.left - (self.parts - count) * self.part_quantity }
    }

    /// Takes the oldest `count` parts whole; answers what they held.
    fn take_oldest(&mut self, count: i64) -> i64 {
        let taken = self.in_oldest(count);
        self.left -= taken;
        self.parts -= count;
        self.granted_at = self.granted_at.saturating_add(count.saturating_mul(self.part_interval));
        taken
    }
}

/// Takes at most `wanted` from grants that end together, the oldest parts first. Answers how much it took.
pub(super) fn take(grants: &mut [Grant], wanted: i64) -> i64 {
    let made_until = |grants: &[Grant], until: i64| -> i128 {
        grants.iter().map(|grant| i128::from(grant.in_oldest(grant.parts_until(until)))).sum()
    };
    let first = grants.iter().map(|grant| grant.granted_at).min().unwrap_or_default();
    let last = grants.iter().map(|grant| grant.newest_part().0).max().unwrap_or_default();
    let until = latest(first - 1, last, |until| made_until(grants, until) <= i128::from(wanted));
    let mut rest = wanted;
    for grant in grants.iter_mut() {
        rest -= grant.take_oldest(grant.parts_until(until));
    }
    // What was made at the next instant is more than is wanted still.
    let mut next: Vec<&mut Grant> = grants.iter_mut().filter(|grant| grant.left > 0).collect();
    next.sort_by_key(|grant| (grant.granted_at, grant.place));
    for grant in next {
        let part = grant.in_oldest(1);
        if rest < part {
            grant.left -= rest;
            return wanted;
        }
        rest -= grant.take_oldest(1);
    }
    wanted - rest
}

/// The latest instant of `from..=to` of which `holds` is true: it is of `from`, and once it is not it never is again.
pub(super) fn latest(from: i64, to: i64, holds: impl Fn(i64) -> bool) -> i64 {
    let (mut from, mut to) = (from, to.max(from));
    while from < to {
        // Rounded up, so that it ends.
        let middle = from + (to - from) / 2 + (to - from) % 2;
        if holds(middle) {
            from = middle;
        } else {
            to = middle - 1;
        }
    }
    from
}
