//! What grants again and again: when its parts are made, and when they are lost.

use postern_entity::item_source::Expires;

use super::Ends;

/// A source of grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::items) struct Source {
    /// The order among the sources and grants of a balance.
    pub(in crate::items) place: i64,
    /// What it is called.
    pub(in crate::items) key: String,
    /// What it grants each time; more than 0.
    pub(in crate::items) quantity: i64,
    /// When its first part is made.
    pub(in crate::items) starts_at: i64,
    /// From one part to the next, more than 0; one part alone where there is none.
    pub(in crate::items) interval: Option<i64>,
    /// When its parts are lost.
    pub(in crate::items) expires: Expires,
    /// From then on it makes none.
    pub(in crate::items) ends_at: Option<i64>,
    /// How many parts it has made.
    pub(in crate::items) granted: i64,
}

impl Source {
    /// When a part is made; the first is 0.
    pub(super) fn time_of(&self, part: i64) -> i64 {
        self.starts_at.saturating_add(part.saturating_mul(self.interval.unwrap_or_default()))
    }

    /// How many parts are made until `at`; never fewer than were made.
    pub(super) fn due(&self, at: i64) -> i64 {
        let last = self.ends_at.map_or(at, |end| at.min(end - 1));
        let due = match self.interval {
            _ if last < self.starts_at => 0,
            None => 1,
            Some(interval) => (last - self.starts_at).checked_div(interval).unwrap_or_default() + 1,
        };
        due.max(self.granted)
    }

    /// When it grants next.
    pub(in crate::items) fn next_at(&self) -> Option<i64> {
        if self.interval.is_none() && self.granted > 0 {
            return None;
        }
        let next = self.time_of(self.granted);
        self.ends_at.is_none_or(|end| next < end).then_some(next)
    }

    /// Whether each part is lost when the next one is made.
    pub(super) fn replaces(&self) -> bool {
        self.expires == Expires::WhenRepeated && self.interval.is_some()
    }

    /// When a part is lost.
    pub(super) fn ends_of(&self, part: i64) -> Ends {
        if self.expires == Expires::Never {
            return Ends::Never;
        }
        let next = self.replaces().then(|| self.time_of(part + 1));
        next.into_iter().chain(self.ends_at).min().map_or(Ends::WithPurchase, Ends::At)
    }
}
