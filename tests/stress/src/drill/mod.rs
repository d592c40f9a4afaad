//! Drills: servers are killed, stopped and cut off under load, and afterwards everything is read back through the doors.
//! Every acknowledged change must be there, every event must have one position without a gap, every effect must be there
//! once by its key, and every job of a dead worker must be done again within 60 s.
//!
//! One file per drill; `scene.rs` is what they share, `check.rs` decides; those of mails, where each project has a mail server
//! of its own, share `mails/`, those of webhooks, which have many endpoints, share `hooks/`, and those of
//! payments, which have a Stripe, share `payments/`. To add one: a file with a
//! `pub(super) async fn`, and a line in `DRILLS`.
//!
//! Whatever is for the clustered shape can be asked to run through a pooler, too; `POOLED` names what does so unasked.

mod check;
mod clock;
mod database;
mod figures;
mod follower;
mod guessing;
mod history;
mod hooks;
mod kill;
mod mails;
mod migrate;
mod paused;
mod payments;
mod poisoned;
mod pool;
mod readback;
mod redis;
mod report;
mod scene;
mod traffic;
mod waits;

use std::{collections::VecDeque, time::Duration};

use anyhow::{Result, ensure};
use clap::ValueEnum;
use futures::{StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use tokio::time::Instant;

pub use self::report::Table;
use self::{scene::Report, traffic::Load};
use crate::stand::Shape;

/// How long and how hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Scale {
    /// For every change: minutes on two cores, several drills at once.
    Small,
    /// For a report: one drill after the other.
    Full,
}

impl Scale {
    /// One of two values.
    const fn pick<T: Copy>(self, small: T, full: T) -> T {
        match self {
            Self::Small => small,
            Self::Full => full,
        }
    }

    /// As on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.pick("small", "full")
    }

    /// What the writers do.
    const fn load(self) -> Load {
        Load { writers: self.pick(1, 2), pause: Duration::from_millis(self.pick(100, 80)) }
    }
}

type Run = fn(Scale, Shape) -> LocalBoxFuture<'static, Result<Report>>;

struct Drill {
    name: &'static str,
    /// What it is for; never `pooled`, which is `clustered` in another way.
    shapes: &'static [Shape],
    run: Run,
}

impl Drill {
    /// Whether it runs in this shape at this scale, or runs there when the shape is asked for.
    fn runs_in(&self, shape: Shape, scale: Scale, is_asked_for: bool) -> bool {
        match shape {
            Shape::Embedded | Shape::Clustered => self.shapes.contains(&shape),
            Shape::Pooled => {
                let is_chosen = POOLED.iter().any(|(name, from)| *name == self.name && *from <= scale);
                self.shapes.contains(&Shape::Clustered) && (is_asked_for || is_chosen)
            }
        }
    }
}

const CLUSTERED: &[Shape] = &[Shape::Clustered];
const BOTH: &[Shape] = &[Shape::Embedded, Shape::Clustered];

/// Every drill.
const DRILLS: &[Drill] = &[
    Drill { name: "kill-worker", shapes: CLUSTERED, run: |scale, shape| Box::pin(kill::worker(scale, shape)) },
    Drill { name: "kill-gateway", shapes: CLUSTERED, run: |scale, shape| Box::pin(kill::gateway(scale, shape)) },
    Drill { name: "kill-both", shapes: BOTH, run: |scale, shape| Box::pin(kill::both(scale, shape)) },
    Drill { name: "database", shapes: CLUSTERED, run: |scale, shape| Box::pin(database::run(scale, shape)) },
    Drill { name: "redis", shapes: CLUSTERED, run: |scale, shape| Box::pin(redis::run(scale, shape)) },
    Drill { name: "paused-workers", shapes: BOTH, run: |scale, shape| Box::pin(paused::in_turn(scale, shape)) },
    Drill { name: "paused-together", shapes: CLUSTERED, run: |scale, shape| Box::pin(paused::together(scale, shape)) },
    Drill { name: "migrate-kill", shapes: BOTH, run: |scale, shape| Box::pin(migrate::run(scale, shape)) },
    Drill { name: "pool", shapes: BOTH, run: |scale, shape| Box::pin(pool::run(scale, shape)) },
    Drill { name: "poisoned", shapes: BOTH, run: |scale, shape| Box::pin(poisoned::run(scale, shape)) },
    Drill { name: "mail-steps", shapes: BOTH, run: |scale, shape| Box::pin(mails::steps(scale, shape)) },
    Drill { name: "mail-down", shapes: BOTH, run: |scale, shape| Box::pin(mails::down(scale, shape)) },
    Drill { name: "hooks-kill", shapes: BOTH, run: |scale, shape| Box::pin(hooks::kill(scale, shape)) },
    Drill { name: "hooks-down", shapes: BOTH, run: |scale, shape| Box::pin(hooks::down(scale, shape)) },
    Drill { name: "hooks-hang", shapes: BOTH, run: |scale, shape| Box::pin(hooks::hang(scale, shape)) },
    Drill { name: "stripe-kill", shapes: BOTH, run: |scale, shape| Box::pin(payments::kill(scale, shape)) },
    Drill { name: "guessing", shapes: BOTH, run: |scale, shape| Box::pin(guessing::run(scale, shape)) },
    Drill { name: "clock", shapes: BOTH, run: |scale, shape| Box::pin(clock::run(scale, shape)) },
];

/// Those that run through a pooler though nobody asked for it, from which scale on. A pooler tells of a database that is away in
/// words of its own; from those who die or stand still within a transaction it takes back one of its few connections.
const POOLED: &[(&str, Scale)] =
    &[("database", Scale::Small), ("kill-both", Scale::Full), ("paused-together", Scale::Full)];

/// Which drills to run, and how.
#[derive(Clone, Debug)]
pub struct Order {
    /// Only this one.
    pub name: Option<String>,
    /// How long and how hard.
    pub scale: Scale,
    /// Only in this shape.
    pub shape: Option<Shape>,
    /// How many at once. They spend most of their time waiting.
    pub at_once: usize,
}

/// The names of all drills.
#[must_use]
pub fn names() -> Vec<&'static str> {
    DRILLS.iter().map(|drill| drill.name).collect()
}

/// Runs drills, and tells each when it has ended. Answers the table of all.
///
/// # Errors
/// When there is no such drill in these shapes.
pub async fn run(order: &Order, mut tell: impl FnMut(&Table)) -> Result<Table> {
    let wanted = |drill: &&Drill| order.name.as_deref().is_none_or(|name| name == drill.name);
    let runs = |(drill, shape): &(&Drill, Shape)| drill.runs_in(*shape, order.scale, order.shape.is_some());
    // What runs through a pooler waits for it more than for anything else: not last, when nothing runs beside it.
    let shapes = [Shape::Embedded, Shape::Pooled, Shape::Clustered];
    let shapes = shapes.into_iter().filter(|shape| order.shape.is_none_or(|only| only == *shape));
    let mut waiting: VecDeque<_> =
        shapes.flat_map(|shape| DRILLS.iter().filter(wanted).map(move |drill| (drill, shape))).filter(runs).collect();
    ensure!(!waiting.is_empty(), "no such drill here; there are: {}", names().join(", "));
    let (mut running, mut table) = (FuturesUnordered::new(), Table::new(order.scale));
    loop {
        while running.len() < order.at_once.max(1)
            && let Some((drill, shape)) = waiting.pop_front()
        {
            running.push(async move {
                let started = Instant::now();
                let ended = (drill.run)(order.scale, shape).await;
                Table::of(order.scale, drill.name, shape, started.elapsed(), ended)
            });
        }
        let Some(ended) = running.next().await else { return Ok(table) };
        tell(&ended);
        table.append(ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drill(name: &str) -> &'static Drill {
        DRILLS.iter().find(|drill| drill.name == name).unwrap()
    }

    #[test]
    fn through_a_pooler_runs_what_was_chosen_for_the_scale_and_what_is_asked_for() {
        let runs = |name, scale, is_asked_for| drill(name).runs_in(Shape::Pooled, scale, is_asked_for);
        assert!(runs("database", Scale::Small, false) && runs("database", Scale::Full, false));
        assert!(!runs("kill-both", Scale::Small, false) && runs("kill-both", Scale::Full, false));
        assert!(!runs("redis", Scale::Full, false) && runs("redis", Scale::Small, true));
        for (name, from) in POOLED {
            assert!(runs(*name, *from, false), "{name}");
        }
    }

    #[test]
    fn a_drill_runs_in_its_own_shapes_asked_for_or_not() {
        for is_asked_for in [false, true] {
            let runs = |name, shape| drill(name).runs_in(shape, Scale::Small, is_asked_for);
            assert!(runs("kill-both", Shape::Embedded) && runs("kill-both", Shape::Clustered));
            assert!(!runs("redis", Shape::Embedded) && runs("redis", Shape::Clustered));
        }
    }
}
