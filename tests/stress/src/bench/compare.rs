//! Two servers measured in turns, so that whatever else the machine does meets both: the floor and the subject, one slice
//! each, as often as it takes for a median with its spread.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use super::{
    load::{Load, Slice, histogram},
    process,
};

/// How long and how often is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Connections that are kept busy.
    pub(crate) connections: usize,
    /// How often each side is measured.
    pub(crate) rounds: usize,
    /// How long each time.
    pub(crate) slice: Duration,
    /// How long each side runs before that.
    pub(crate) warm_up: Duration,
}

/// The middle of several figures, with the smallest and the largest.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// `None` without figures.
    pub(crate) fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let median = *figures.get(figures.len() / 2)?;
        Some(Self { median, low: *figures.first()?, high: *figures.last()? })
    }
}

/// One server under a load.
pub(crate) struct Side {
    /// What is sent.
    pub(crate) load: Load,
    /// The process whose time counts.
    pub(crate) pid: u32,
}

/// What one side did.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    /// Answers per second.
    pub(crate) per_second: Spread,
    /// Half of the answers took no longer, in microseconds.
    pub(crate) p50_us: u64,
    /// 99 of 100 answers took no longer, in microseconds.
    pub(crate) p99_us: u64,
    /// Processor time of the server per answer, in microseconds; the database's own process, where it has one, is not in it.
    pub(crate) cpu_us: Spread,
}

/// Floor and subject.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Compared {
    /// Answers per second of the subject, for each one of the floor.
    pub(crate) ratio: Spread,
    pub(crate) floor: Figures,
    pub(crate) subject: Figures,
}

/// Measures both in turns.
///
/// # Errors
/// The first bad answer.
pub(crate) async fn compare(plan: &Plan, floor: &Side, subject: &Side) -> Result<Compared> {
    let mut of_floor = Measured::default();
    let mut of_subject = Measured::default();
    for side in [floor, subject] {
        side.load.run(plan.connections, plan.warm_up).await?;
    }
    for round in 0..plan.rounds {
        // Who comes first takes turns too.
        if round % 2 == 0 {
            of_floor.add(measure(plan, floor).await?);
            of_subject.add(measure(plan, subject).await?);
        } else {
            of_subject.add(measure(plan, subject).await?);
            of_floor.add(measure(plan, floor).await?);
        }
    }
    let ratios = of_subject.per_second.iter().zip(&of_floor.per_second).map(|(subject, floor)| subject / floor);
    let ratio = Spread::of(ratios.collect()).context("nothing was measured")?;
    Ok(Compared { ratio, floor: of_floor.figures()?, subject: of_subject.figures()? })
}

async fn measure(plan: &Plan, side: &Side) -> Result<(Slice, Duration)> {
    let before = process::cpu_time(side.pid)?;
    let slice = side.load.run(plan.connections, plan.slice).await?;
    let spent = process::cpu_time(side.pid)?.saturating_sub(before);
    Ok((slice, spent))
}

/// The slices of one side.
#[derive(Default)]
struct Measured {
    per_second: Vec<f64>,
    cpu_us: Vec<f64>,
    slices: Vec<Slice>,
}

impl Measured {
    fn add(&mut self, (slice, cpu): (Slice, Duration)) {
        self.per_second.push(slice.per_second());
        self.cpu_us.push(cpu.as_secs_f64() * 1e6 / slice.requests.max(1) as f64);
        self.slices.push(slice);
    }

    fn figures(self) -> Result<Figures> {
        let mut latency = histogram()?;
        for slice in &self.slices {
            latency.add(&slice.latency)?;
        }
        let spread = |figures| Spread::of(figures).context("nothing was measured");
        Ok(Figures {
            per_second: spread(self.per_second)?,
            p50_us: latency.value_at_quantile(0.5),
            p99_us: latency.value_at_quantile(0.99),
            cpu_us: spread(self.cpu_us)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_middle_and_ends() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0, 9.0, 5.0]).unwrap();
        assert_eq!((spread.low, spread.median, spread.high), (1.0, 3.0, 9.0));
        assert!(Spread::of(Vec::new()).is_none());
    }
}
