//! What was measured, as a table for people and as JSON for programs.

use serde::Serialize;

use super::compare::{Compared, Spread};

/// What the design asks of a figure (design §6).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Budget {
    /// Not less.
    AtLeast(f64),
    /// Not more.
    AtMost(f64),
}

impl Budget {
    fn met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(limit) => value >= limit,
            Self::AtMost(limit) => value <= limit,
        }
    }
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) name: String,
    /// The figure with its spread.
    pub(crate) value: Spread,
    /// Of the figure; `x floor` is a ratio to the floor measured in the same turns.
    pub(crate) unit: &'static str,
    /// What it has to be, where the design says.
    pub(crate) budget: Option<Budget>,
    /// Whether it is.
    pub(crate) met: Option<bool>,
    /// Mix, state of the caches, and further figures.
    pub(crate) notes: String,
    /// Both sides of a ratio.
    pub(crate) compared: Option<Compared>,
}

impl Row {
    /// A figure without a budget.
    pub(crate) fn plain(name: &str, value: Spread, unit: &'static str, notes: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value, unit, budget: None, met: None, notes: notes.into(), compared: None }
    }

    /// A ratio to a floor.
    pub(crate) fn ratio(name: &str, compared: Compared, mix: &str) -> Self {
        let (floor, subject) = (&compared.floor, &compared.subject);
        let notes = format!(
            "{mix}; {:.0}/s beside {:.0}/s, p50 {:.2} beside {:.2} ms, p99 {:.2} beside {:.2} ms, server time {:.0} beside {:.0} µs",
            subject.per_second.median,
            floor.per_second.median,
            subject.p50_us as f64 / 1000.0,
            floor.p50_us as f64 / 1000.0,
            subject.p99_us as f64 / 1000.0,
            floor.p99_us as f64 / 1000.0,
            subject.cpu_us.median,
            floor.cpu_us.median,
        );
        Self { compared: Some(compared.clone()), ..Self::plain(name, compared.ratio, "x floor", notes) }
    }

    /// The same with what it has to be; the median decides.
    pub(crate) fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self.met = Some(budget.met(self.value.median));
        self
    }

    fn line(&self) -> String {
        let digits = if self.value.median.abs() < 10.0 { 2 } else { 0 };
        let Spread { median, low, high } = self.value;
        let spread = if low < high { format!(" ({low:.digits$}–{high:.digits$})") } else { String::new() };
        let budget = match self.budget {
            None => String::new(),
            Some(Budget::AtLeast(limit)) => format!("≥ {limit}"),
            Some(Budget::AtMost(limit)) => format!("≤ {limit}"),
        };
        let met = match self.met {
            None => "",
            Some(true) => "met",
            Some(false) => "**missed**",
        };
        format!("| {} | {median:.digits$}{spread} {} | {budget} | {met} | {} |", self.name, self.unit, self.notes)
    }
}

/// All figures of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// When it began, in UTC.
    pub(crate) began_at: chrono::DateTime<chrono::Utc>,
    /// `embedded` or `clustered`.
    pub(crate) shape: String,
    /// What ran where.
    pub(crate) setting: String,
    /// The figures.
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// For people.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "# Bench, {}, {}\n\n{}\n\n| what | figure | budget | | how |\n|---|---|---|---|---|\n",
            self.shape,
            self.began_at.format("%Y-%m-%d %H:%M UTC"),
            self.setting
        );
        for row in &self.rows {
            text.push_str(&row.line());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_decides_about_a_budget() {
        let value = Spread { median: 0.5, low: 0.4, high: 0.7 };
        let row = Row::plain("reads", value, "x floor", "warm").budget(Budget::AtLeast(0.6));
        assert_eq!(row.met, Some(false));
        assert_eq!(row.line(), "| reads | 0.50 (0.40–0.70) x floor | ≥ 0.6 | **missed** | warm |");
        assert_eq!(row.budget(Budget::AtMost(0.6)).met, Some(true));
    }
}
