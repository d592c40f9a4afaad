//! Holds the changes that were made against what arrived at the endpoints. Pure.
//!
//! What is promised, and checked:
//! - Every acknowledged change arrives at every endpoint, under one message id, which is the same everywhere, and with the
//!   same bytes each time, signed by the endpoint's secret.
//! - A message arrives again only if somebody was disturbed (a worker killed, say) between the two arrivals, because the
//!   first one may not have been written down then; at an endpoint at most as many for each disturbance as can be under way.
//! - At an endpoint that wants order, arrivals never go back in the log. So a message that comes again comes directly after
//!   itself: what came before it was written down, and comes no more. It is the one at hand, and no other.
//! - An endpoint with a rate gets no more than that.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::body::Bytes;
use tokio::time::Instant;

use super::Endpoint;
use crate::drill::{
    check::Findings,
    history::{Disturbance, Outcome},
};

/// The most attempts to an endpoint that are under way at a time.
const UNDER_WAY: usize = 32;
/// How much later than it was sent a request may be noted here, beside a busy machine.
const LAG: Duration = Duration::from_secs(2);
/// Over how long a rate is watched.
const RATE_WINDOW: Duration = Duration::from_secs(5);

/// A change that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// The name that nobody else gets.
    pub(super) marker: String,
    pub(super) outcome: Outcome,
    pub(super) answered: Instant,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) path: String,
    pub(super) id: String,
    pub(super) marker: String,
    pub(super) body: Bytes,
    pub(super) at: Instant,
    /// What is wrong with its signature.
    pub(super) forged: Option<String>,
}

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    pub(super) endpoints: &'a [Endpoint],
    pub(super) changes: &'a [Change],
    /// Where in the log each change stands.
    pub(super) log: &'a BTreeMap<String, Vec<i64>>,
    /// In that order.
    pub(super) arrived: &'a [Arrival],
    /// After which a message may arrive again.
    pub(super) disturbances: &'a [Disturbance],
}

/// Judges. *Tried* are deliveries: each change at each endpoint.
pub(super) fn check(case: &Case<'_>) -> Findings {
    let with = |outcome: &Outcome| case.changes.iter().filter(|change| change.outcome == *outcome).count();
    let endpoints = case.endpoints.len();
    let mut found = Findings {
        tried: case.changes.len() * endpoints,
        acknowledged: with(&Outcome::Acknowledged) * endpoints,
        unknown: with(&Outcome::Unknown) * endpoints,
        ..Findings::default()
    };
    changes(&mut found, case);
    messages(&mut found, case);
    let mut by_path: BTreeMap<&str, Vec<&Arrival>> = BTreeMap::new();
    for arrival in case.arrived {
        by_path.entry(&arrival.path).or_default().push(arrival);
    }
    for endpoint in case.endpoints {
        let arrived = by_path.get(endpoint.path.as_str()).map_or(&[][..], Vec::as_slice);
        all_there(&mut found, case, endpoint, arrived);
        repeats(&mut found, case, endpoint, arrived);
        if endpoint.in_order {
            order(&mut found, case, endpoint, arrived);
        }
        if let Some(rate) = endpoint.rate {
            pace(&mut found, endpoint, rate, arrived);
        }
    }
    found
}

/// Each is one event.
fn changes(found: &mut Findings, case: &Case<'_>) {
    for change in case.changes {
        let marker = &change.marker;
        match (&change.outcome, case.log.get(marker).map_or(0, Vec::len)) {
            (Outcome::Refused(why), _) => found.wrong.push(format!("{marker} was refused: {why}")),
            (Outcome::Acknowledged, 0) => found.lost.push(format!("event of {marker}")),
            (_, events @ 2..) => found.doubled.push(format!("{events} events of {marker}")),
            _ => {}
        }
    }
}

/// Each is one change, with the same id and bytes wherever and whenever it arrives.
fn messages(found: &mut Findings, case: &Case<'_>) {
    let known: BTreeSet<_> = case.endpoints.iter().map(|endpoint| endpoint.path.as_str()).collect();
    let mut bodies: BTreeMap<&str, &Bytes> = BTreeMap::new();
    let mut ids: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for arrival in case.arrived.iter().filter(|arrival| known.contains(arrival.path.as_str())) {
        let Arrival { path, id, marker, .. } = arrival;
        if let Some(why) = &arrival.forged {
            found.wrong.push(format!("{id} at {path}: {why}"));
        }
        if !case.log.contains_key(marker) {
            found.wrong.push(format!("{id} at {path} tells of {marker:?}, which is no event"));
        }
        ids.entry(marker).or_default().insert(id);
        if bodies.insert(id, &arrival.body).is_some_and(|body| *body != arrival.body) {
            found.wrong.push(format!("{id} has two contents"));
        }
    }
    for (marker, ids) in ids.into_iter().filter(|(_, ids)| ids.len() > 1) {
        found.doubled.push(format!("{marker} arrived under {} ids", ids.len()));
    }
}

fn all_there(found: &mut Findings, case: &Case<'_>, endpoint: &Endpoint, arrived: &[&Arrival]) {
    let there: BTreeSet<_> = arrived.iter().map(|arrival| arrival.marker.as_str()).collect();
    let owed = case.changes.iter().filter(|change| change.outcome == Outcome::Acknowledged);
    let missing = owed.filter(|change| !there.contains(change.marker.as_str()));
    found.lost.extend(missing.map(|change| format!("{} at {}", change.marker, endpoint.path)));
}

fn repeats(found: &mut Findings, case: &Case<'_>, endpoint: &Endpoint, arrived: &[&Arrival]) {
    let mut last: BTreeMap<&str, Instant> = BTreeMap::new();
    let mut count = 0;
    for arrival in arrived {
        let Some(before) = last.insert(&arrival.id, arrival.at) else { continue };
        count += 1;
        let explains = |disturbance: &Disturbance| before <= disturbance.over + LAG && disturbance.begun <= arrival.at;
        if !case.disturbances.iter().any(explains) {
            found.doubled.push(format!("{} at {} again without a cause", arrival.marker, endpoint.path));
        }
    }
    let most = case.disturbances.len() * if endpoint.in_order { 1 } else { UNDER_WAY };
    if count > most {
        found.wrong.push(format!("{count} messages came again at {}, at most {most} may", endpoint.path));
    }
    found.repeated_hooks += count;
}

fn order(found: &mut Findings, case: &Case<'_>, endpoint: &Endpoint, arrived: &[&Arrival]) {
    let mut last = (i64::MIN, "");
    for arrival in arrived {
        let Some(place) = case.log.get(&arrival.marker).and_then(|places| places.first()) else { continue };
        if *place < last.0 {
            found.wrong.push(format!("{} after {} at {}, which wants order", arrival.marker, last.1, endpoint.path));
        }
        last = (*place, &arrival.marker);
    }
}

/// Counted over a while: how far apart requests are sent is not quite how far apart they are noted here.
fn pace(found: &mut Findings, endpoint: &Endpoint, rate: u32, arrived: &[&Arrival]) {
    let most = f64::from(rate) * (RATE_WINDOW + LAG).as_secs_f64() + 1.0;
    for (index, first) in arrived.iter().enumerate() {
        let until = first.at + RATE_WINDOW;
        let within = arrived.iter().skip(index).take_while(|arrival| arrival.at < until).count();
        if within as f64 > most {
            found.wrong.push(format!("{within} arrived at {} within {RATE_WINDOW:?}, at {rate}/s", endpoint.path));
            return;
        }
    }
}

/// When each message first arrived at an endpoint, in that order.
fn new_arrivals(endpoint: &Endpoint, arrived: &[Arrival]) -> Vec<Instant> {
    let mut ids = BTreeSet::new();
    let here = arrived.iter().filter(|arrival| arrival.path == endpoint.path);
    here.filter(|arrival| ids.insert(arrival.id.as_str())).map(|arrival| arrival.at).collect()
}

/// When the last new message arrived at an endpoint.
pub(super) fn last_new(endpoint: &Endpoint, arrived: &[Arrival]) -> Option<Instant> {
    new_arrivals(endpoint, arrived).into_iter().max()
}

/// The longest time in which nothing new arrived at an endpoint, between its first arrival and its last.
pub(super) fn longest_silence(endpoint: &Endpoint, arrived: &[Arrival]) -> Duration {
    let times = new_arrivals(endpoint, arrived);
    let pairs = times.iter().zip(times.iter().skip(1));
    pairs.map(|(before, after)| after.saturating_duration_since(*before)).max().unwrap_or_default()
}

/// How long after its answer each acknowledged change first arrived at each of these endpoints; nothing for those that
/// arrived before.
pub(super) fn delays<'a>(
    changes: impl Iterator<Item = &'a Change>,
    endpoints: &[Endpoint],
    arrived: &[Arrival],
) -> Vec<Duration> {
    let mut first: BTreeMap<(&str, &str), Instant> = BTreeMap::new();
    for arrival in arrived {
        first.entry((&arrival.path, &arrival.marker)).or_insert(arrival.at);
    }
    let at =
        |endpoint: &Endpoint, change: &Change| first.get(&(endpoint.path.as_str(), change.marker.as_str())).copied();
    let of = |change: &Change| {
        let times = endpoints.iter().filter_map(|endpoint| at(endpoint, change));
        times.map(|at| at.saturating_duration_since(change.answered)).collect::<Vec<_>>()
    };
    changes.filter(|change| change.outcome == Outcome::Acknowledged).flat_map(of).collect()
}

#[cfg(test)]
mod tests;
