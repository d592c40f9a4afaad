//! Billing periods by the calendar, and the clock.

use chrono::{DateTime, Datelike, Days, Months, Utc};

/// The instant that is the fake's present: the machine's, unless somebody has set it.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    set: Option<i64>,
}

impl Clock {
    pub(crate) fn now(&self) -> i64 {
        self.set.unwrap_or_else(|| Utc::now().timestamp())
    }

    pub(crate) fn set(&mut self, unix_seconds: i64) {
        self.set = Some(unix_seconds);
    }
}

/// `count` intervals after `from`. The 31st becomes the last day of a shorter month.
pub(crate) fn after(from: i64, interval: &str, count: i64) -> Option<i64> {
    let from = DateTime::<Utc>::from_timestamp(from, 0)?;
    let count = u32::try_from(count).ok()?;
    let then = match interval {
        "day" => from.checked_add_days(Days::new(count.into())),
        "week" => from.checked_add_days(Days::new(u64::from(count).checked_mul(7)?)),
        "month" => from.checked_add_months(Months::new(count)),
        "year" => from.checked_add_months(Months::new(count.checked_mul(12)?)),
        _ => None,
    };
    then.map(|then| then.timestamp())
}

/// The end of the period that begins at `start`, for a subscription billed from `anchor` on: whole intervals after the anchor, so
/// that one of the 31st comes back to the 31st.
pub(crate) fn period_end(anchor: i64, start: i64, interval: &str, count: i64) -> Option<i64> {
    let passed = match interval {
        "month" | "year" => months_between(anchor, start)?,
        "week" => (start - anchor) / 604_800,
        _ => (start - anchor) / 86_400,
    };
    let per_interval = if interval == "year" { 12 } else { 1 } * count.max(1);
    let whole = (passed / per_interval).max(0);
    // One less and one more, for what counting by months cannot see.
    (whole.saturating_sub(1)..=whole + 2).find_map(|n| after(anchor, interval, n * count).filter(|end| *end > start))
}

fn months_between(from: i64, to: i64) -> Option<i64> {
    let month =
        |at: i64| DateTime::<Utc>::from_timestamp(at, 0).map(|at| i64::from(at.year()) * 12 + i64::from(at.month0()));
    Some(month(to)? - month(from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: &str) -> i64 {
        format!("{day}T08:30:00Z").parse::<DateTime<Utc>>().unwrap().timestamp()
    }

    #[test]
    fn periods_follow_the_calendar_and_come_back_to_their_day() {
        let mut start = at("2026-10-31");
        for end in ["2026-11-30", "2026-12-31", "2027-01-31", "2027-02-28", "2027-03-31"] {
            start = period_end(at("2026-10-31"), start, "month", 1).unwrap();
            assert_eq!(start, at(end), "{end}");
        }
        assert_eq!(period_end(at("2028-02-29"), at("2028-02-29"), "year", 1), Some(at("2029-02-28")));
        assert_eq!(period_end(at("2026-01-01"), at("2026-04-01"), "month", 3), Some(at("2026-07-01")));
        assert_eq!(period_end(at("2026-01-01"), at("2026-01-15"), "week", 2), Some(at("2026-01-29")));
        assert_eq!(period_end(at("2026-01-01"), at("2026-01-01"), "day", 10), Some(at("2026-01-11")));
        assert_eq!(after(0, "fortnight", 1), None);
    }
}
