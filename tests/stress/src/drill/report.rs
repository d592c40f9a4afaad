//! What drills print: one line each with its figures, and below it what was wrong.

use std::{fmt, time::Duration};

use anyhow::Result;

use super::{Scale, scene::Report};
use crate::stand::Shape;

/// How many contradictions of a sort are shown.
const SHOWN: usize = 12;

/// Drills that have ended.
#[derive(Clone, Debug)]
pub struct Table {
    scale: Scale,
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    name: &'static str,
    shape: Shape,
    took: Duration,
    ended: Result<Report, String>,
}

const COLUMNS: [&str; 12] = [
    "drill",
    "shape",
    "outcome",
    "tried",
    "acked",
    "unknown",
    "lost",
    "doubled",
    "wrong",
    "repeats",
    "recovered",
    "seconds",
];
const WIDTHS: [usize; 12] = [16, 10, 8, 7, 7, 8, 5, 8, 6, 8, 22, 8];

impl Table {
    pub(super) fn new(scale: Scale) -> Self {
        Self { scale, lines: Vec::new() }
    }

    pub(super) fn of(scale: Scale, name: &'static str, shape: Shape, took: Duration, ended: Result<Report>) -> Self {
        let ended = ended.map_err(|error| format!("{error:#}"));
        Self { scale, lines: vec![Line { name, shape, took, ended }] }
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.lines.append(&mut other.lines);
        self.lines.sort_by_key(|line| line.shape);
    }

    /// Whether every promise was kept.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.lines.iter().all(Line::is_good)
    }

    /// The heads of the columns.
    #[must_use]
    pub fn head() -> String {
        row(&COLUMNS.map(str::to_owned))
    }

    /// As a Markdown document.
    #[must_use]
    pub fn document(&self, title: &str) -> String {
        let mut text = format!("# {title}\n\n{EXPLANATION}\n\nScale: {}.\n\n", self.scale.as_str());
        text.push_str(&format!("| {} |\n|{}\n", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len())));
        for line in &self.lines {
            text.push_str(&format!("| {} |\n", line.cells().join(" | ")));
        }
        for line in self.lines.iter().filter(|line| !line.remarks().is_empty()) {
            text.push_str(&format!("\n{} ({}):\n\n", line.name, line.shape.as_str()));
            for remark in line.remarks() {
                text.push_str(&format!("- {}\n", remark.replace('\n', " ")));
            }
        }
        text
    }
}

/// What the columns mean.
const EXPLANATION: &str = "\
Each drill starts its own servers, works through REST, GraphQL, a webhook receiver and a mail server, disturbs the servers, \
and reads everything back. *tried*: changes asked for; *acked*: acknowledged; *unknown*: the answer was cut off or a fault; \
*lost*, *doubled*: effects (users, events, webhooks, mails) that are missing, or there twice by their key; *wrong*: other \
contradictions; *repeats*: webhooks + mails that arrived once more under the same id, which is permitted where a process \
died between doing something and writing it down; *recovered*: the longest time from the end of a disturbance (of a kill: \
from the kill) until a request made since its beginning was acknowledged / until all webhooks / all mails were done after the \
last disturbance was over and the last change answered. Where the first of these is measured, all three have limits, and so \
has the wait for each single webhook and mail after the last disturbance before it arrived.";

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{}", row(&line.cells()))?;
            for remark in line.remarks() {
                writeln!(f, "    {}", remark.replace('\n', "\n    "))?;
            }
        }
        Ok(())
    }
}

impl Line {
    fn is_good(&self) -> bool {
        self.ended.as_ref().is_ok_and(|report| report.findings.is_good())
    }

    fn cells(&self) -> [String; 12] {
        let mut cells = [(); 12].map(|()| String::new());
        let outcome = if self.is_good() { "ok" } else { "BROKEN" };
        let seconds = format!("{:.0}", self.took.as_secs_f64());
        let figures = self.ended.as_ref().map(|report| {
            let found = &report.findings;
            let [hooks, mails] = report.done_again.map(|took| format!("{:.1}", took.as_secs_f64()));
            let again = report.answers_again.map_or("-".to_owned(), |took| format!("{:.1}", took.as_secs_f64()));
            [
                found.tried.to_string(),
                found.acknowledged.to_string(),
                found.unknown.to_string(),
                found.lost.len().to_string(),
                found.doubled.len().to_string(),
                found.wrong.len().to_string(),
                format!("{}+{}", found.repeated_hooks, found.repeated_mails),
                format!("{again} / {hooks} / {mails} s"),
            ]
        });
        let fixed = [self.name.to_owned(), self.shape.as_str().to_owned(), outcome.to_owned()];
        let figures = figures.into_iter().flatten();
        let mut texts = fixed.into_iter().chain(figures);
        for cell in cells.iter_mut().take(11) {
            *cell = texts.next().unwrap_or_else(|| "-".to_owned());
        }
        cells[11] = seconds;
        cells
    }

    /// What was wrong, and what else is worth telling.
    fn remarks(&self) -> Vec<String> {
        let report = match &self.ended {
            Ok(report) => report,
            Err(error) => return vec![error.clone()],
        };
        let mut remarks = Vec::new();
        let found = &report.findings;
        for (what, each) in [("lost", &found.lost), ("doubled", &found.doubled), ("wrong", &found.wrong)] {
            remarks.extend(each.iter().take(SHOWN).map(|text| format!("{what}: {text}")));
            if each.len() > SHOWN {
                remarks.push(format!("{what}: {} more", each.len() - SHOWN));
            }
        }
        remarks.extend(report.notes.iter().cloned());
        remarks
    }
}

fn row(cells: &[String; 12]) -> String {
    let padded = cells.iter().zip(WIDTHS).map(|(cell, width)| format!("{cell:<width$}"));
    padded.collect::<Vec<_>>().join(" ").trim_end().to_owned()
}
