//! Holds what was acknowledged against what is there: nothing lost, nothing doubled, nothing half-written. Pure; reading
//! back is in `readback.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::Hash,
};

use super::{
    history::{Deed, Outcome, Record},
    readback::{Observed, SeenMessage, SeenUser, USER_CREATED, USER_UPDATED, is_delivered},
    scene::{HOOK_PATH, ORDERED_PATH},
};

/// What a drill permits beyond the promises that hold always.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Permitted {
    /// A process died or stood still, or could not write down what it had done: at each such moment a webhook may be repeated
    /// once under its id, and a mail under its `Message-ID`.
    pub(super) repeats: bool,
    /// Clocks were wrong: how old a try is can be told only a minute after it was seen.
    pub(super) wrong_clocks: bool,
    /// Mails to addresses that begin with [`POISON`] are not taken.
    pub(super) poison: bool,
}

/// How the address of a mail begins that no server takes.
pub(super) const POISON: &str = "poison";

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// How many things were asked for.
    pub(super) tried: usize,
    /// How many were acknowledged.
    pub(super) acknowledged: usize,
    /// For how many nobody was told whether they were done.
    pub(super) unknown: usize,
    /// Effects that were acknowledged and are not there.
    pub(super) lost: Vec<String>,
    /// Effects that are there more than once.
    pub(super) doubled: Vec<String>,
    /// Whatever else contradicts a promise.
    pub(super) wrong: Vec<String>,
    /// Webhooks that arrived once more under the same id.
    pub(super) repeated_hooks: usize,
    /// Mails that arrived once more under the same `Message-ID`.
    pub(super) repeated_mails: usize,
}

impl Findings {
    /// Whether every promise was kept.
    pub(super) fn is_good(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.wrong.is_empty()
    }

    /// An effect with `key` must be there as often as `wanted` says.
    fn count(&mut self, what: &str, key: &str, found: usize, wanted: Wanted) {
        let text = || format!("{what} {key}");
        match (wanted, found) {
            (Wanted::Once, 0) => self.lost.push(text()),
            (Wanted::Once | Wanted::AtMostOnce, 2..) => self.doubled.push(format!("{} {found} times", text())),
            (Wanted::Never, 1..) => self.wrong.push(format!("{} is there, though it was never done", text())),
            _ => {}
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Once,
    AtMostOnce,
    Never,
}

impl From<&Outcome> for Wanted {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Acknowledged => Self::Once,
            Outcome::Unknown => Self::AtMostOnce,
            Outcome::NotSent | Outcome::Refused(_) => Self::Never,
        }
    }
}

/// Judges a drill in which the servers were disturbed so often.
pub(super) fn check(records: &[Record], disturbances: usize, observed: &Observed, permitted: Permitted) -> Findings {
    let with = |outcome: &Outcome| records.iter().filter(|record| record.outcome == *outcome).count();
    let mut findings = Findings {
        tried: records.len(),
        acknowledged: with(&Outcome::Acknowledged),
        unknown: with(&Outcome::Unknown),
        ..Findings::default()
    };
    let found = &mut findings;
    refusals(found, records);
    users(found, records, observed);
    positions(found, observed);
    events(found, records, observed);
    webhooks(found, observed, permitted);
    order(found, observed, disturbances);
    mails(found, records, observed, permitted);
    too_often(found, observed, disturbances);
    findings
}

fn refusals(found: &mut Findings, records: &[Record]) {
    for record in records {
        if let Outcome::Refused(why) = &record.outcome {
            found.wrong.push(format!("{:?} {} was refused: {why}", record.deed, record.marker));
        }
    }
}

fn users(found: &mut Findings, records: &[Record], observed: &Observed) {
    let by_email = tally(observed.users.iter().filter_map(|user| user.email.as_deref()));
    // A user that was renamed is known by the event of its making.
    let renamed: BTreeSet<_> = records.iter().filter_map(|record| record.user_id.as_deref()).collect();
    let of_name = |user: &&SeenUser| !renamed.contains(user.id.as_str());
    let by_name = tally(observed.users.iter().filter(of_name).filter_map(|user| user.display_name.as_deref()));
    let made: BTreeSet<_> = observed.users.iter().map(|user| user.id.as_str()).collect();
    let events = observed.events.iter().filter(|event| event.kind == USER_CREATED);
    let ids: BTreeMap<_, _> = events.map(|event| (event.marker.as_str(), event.user_id.as_str())).collect();
    for record in records {
        let marker = record.marker.as_str();
        let there = match record.deed {
            Deed::SignUp => by_email.get(marker).copied().unwrap_or(0),
            Deed::CreateUser => match ids.get(marker) {
                Some(id) if renamed.contains(id) => usize::from(made.contains(id)),
                _ => by_name.get(marker).copied().unwrap_or(0),
            },
            Deed::UpdateUser | Deed::SendMail => continue,
        };
        found.count("user", marker, there, (&record.outcome).into());
    }
    for user in observed.users.iter().filter(|user| renamed.contains(user.id.as_str())) {
        last_name(found, records, user);
    }
}

/// A renamed user bears the last name that was acknowledged, or one whose answer got lost after that. Which of those that
/// were under way at the same time is the last is the server's to say.
fn last_name(found: &mut Findings, records: &[Record], user: &SeenUser) {
    let renames: Vec<_> = records.iter().filter(|record| record.user_id.as_ref() == Some(&user.id)).collect();
    let was_replaced = |record: &Record| {
        let later = |other: &&Record| other.marker != record.marker && other.sent >= record.ended;
        renames.iter().copied().filter(later).any(|other| matches!(other.outcome, Outcome::Acknowledged))
    };
    let may_stand = |record: &&Record| matches!(record.outcome, Outcome::Acknowledged | Outcome::Unknown);
    let standing = renames.iter().copied().filter(may_stand).filter(|record| !was_replaced(record));
    let possible: Vec<_> = standing.map(|record| record.marker.as_str()).collect();
    let name = user.display_name.as_deref().unwrap_or_default();
    let is_renamed = records.iter().any(|record| record.deed == Deed::UpdateUser && record.marker == name);
    if !possible.contains(&name) && (is_renamed || !possible.is_empty()) {
        found.wrong.push(format!("user {} is called {name}, not {}", user.id, possible.join(" or ")));
    }
}

/// Each position once, without a gap; whoever followed the log live saw the same, each once and in that order.
fn positions(found: &mut Findings, observed: &Observed) {
    let Some((from, seen)) = &observed.followed else { return };
    let log: Vec<_> = observed.events.iter().map(|event| event.position).filter(|position| position > from).collect();
    // Read after the project's log: complete up to where that ended.
    let end = log.last().copied().unwrap_or(*from);
    let elsewhere = observed.elsewhere.iter().filter(|position| (from + 1..end).contains(position));
    let mut taken: Vec<_> = log.iter().chain(elsewhere).copied().collect();
    taken.sort_unstable();
    let mut last = *from;
    for position in taken {
        if position != last + 1 {
            found.wrong.push(format!("position {position} follows {last}"));
        }
        last = position;
    }
    if !log.is_sorted() {
        found.wrong.push("the log is not read in its order".to_owned());
    }
    if *seen != log {
        found.wrong.push(format!("a follower saw {} events that differ from the {} of the log", seen.len(), log.len()));
    }
}

fn events(found: &mut Findings, records: &[Record], observed: &Observed) {
    let there = tally(observed.events.iter().map(|event| (event.kind.as_str(), event.marker.as_str())));
    let mut known = BTreeSet::new();
    for record in records {
        let kind = match record.deed {
            Deed::SignUp | Deed::CreateUser => USER_CREATED,
            Deed::UpdateUser => USER_UPDATED,
            Deed::SendMail => continue,
        };
        let key = (kind, record.marker.as_str());
        known.insert(key);
        let count = there.get(&key).copied().unwrap_or(0);
        found.count("event", &format!("{kind} {}", record.marker), count, (&record.outcome).into());
    }
    for (kind, marker) in there.keys().filter(|(kind, _)| is_delivered(kind)) {
        if !known.contains(&(*kind, *marker)) {
            found.wrong.push(format!("event {kind} {marker} has no cause"));
        }
    }
    // A user is there if and only if its event is: both or neither.
    let made: BTreeSet<_> = observed.users.iter().map(|user| user.id.as_str()).collect();
    let told = observed.events.iter().filter(|event| event.kind == USER_CREATED);
    let told: BTreeSet<_> = told.map(|event| event.user_id.as_str()).collect();
    for id in made.symmetric_difference(&told) {
        found.wrong.push(format!("user {id} is there without its event, or the other way round"));
    }
}

/// Each event is one message; each message arrives, under one id and with the same bytes every time.
fn webhooks(found: &mut Findings, observed: &Observed, permitted: Permitted) {
    let wanted = tally(observed.events.iter().filter(|event| is_delivered(&event.kind)).map(|event| event.key()));
    let messages = tally(observed.messages.iter().map(|message| message.key()));
    for (key, count) in &wanted {
        let text = format!("{} {}", key.0, key.1);
        match messages.get(key).copied().unwrap_or(0) {
            0 => found.lost.push(format!("message {text}")),
            made if made > *count => found.doubled.push(format!("message {text} {made} times")),
            _ => {}
        }
    }
    let mut bodies = BTreeMap::new();
    for hook in observed.hooks.iter().filter(|hook| hook.path == HOOK_PATH) {
        if let Some(why) = &hook.forged {
            found.wrong.push(format!("webhook {}: {why}", hook.id));
        }
        match bodies.insert(hook.id.as_str(), &hook.body) {
            Some(body) if body != &hook.body => found.wrong.push(format!("webhook {} has two contents", hook.id)),
            Some(_) => found.repeated_hooks += 1,
            None => {}
        }
    }
    // Messages of other types are kept to be sent by hand; no endpoint wanted them.
    for message in observed.messages.iter().filter(|message| is_delivered(&message.kind)) {
        if !bodies.contains_key(message.id.as_str()) {
            found.lost.push(format!("webhook {} of {} {}", message.id, message.kind, message.marker));
        }
        if message.states.is_empty() || message.states.iter().any(|state| state != "SUCCEEDED") {
            found.wrong.push(format!("webhook {} is {:?}", message.id, message.states));
        }
    }
    let known: BTreeSet<_> = observed.messages.iter().map(|message| message.id.as_str()).collect();
    for id in bodies.keys().filter(|id| !known.contains(*id)) {
        found.wrong.push(format!("webhook {id} arrived and is no message of the project"));
    }
    if found.repeated_hooks > 0 && !permitted.repeats {
        found.doubled.push(format!("{} webhooks under the same id", found.repeated_hooks));
    }
}

/// At the endpoint that wants order every message arrives, and none after one that stands behind it in the log: what comes again
/// comes directly after itself. It is the one at hand, so one for each disturbance.
fn order(found: &mut Findings, observed: &Observed, disturbances: usize) {
    if !observed.has_ordered {
        return;
    }
    let positions: BTreeMap<_, _> = observed.events.iter().map(|event| (event.key(), event.position)).collect();
    let messages = observed.messages.iter().filter(|message| is_delivered(&message.kind));
    let place = |message: &SeenMessage| positions.get(&message.key()).copied();
    let places: BTreeMap<_, _> = messages.filter_map(|message| Some((message.id.as_str(), place(message)?))).collect();
    let (mut arrived, mut last, mut again) = (BTreeSet::new(), (i64::MIN, ""), 0_usize);
    for hook in observed.hooks.iter().filter(|hook| hook.path == ORDERED_PATH) {
        again += usize::from(!arrived.insert(hook.id.as_str()));
        let Some(place) = places.get(hook.id.as_str()) else { continue };
        if *place < last.0 {
            found.wrong.push(format!("webhook {} after {} where order is wanted", hook.id, last.1));
        }
        last = (*place, hook.id.as_str());
    }
    for id in places.keys().filter(|id| !arrived.contains(*id)) {
        found.lost.push(format!("webhook {id} where order is wanted"));
    }
    if again > disturbances {
        found.wrong.push(format!("{again} webhooks came again where order is wanted, at most {disturbances} may"));
    }
}

/// Nothing comes again more often than the servers were disturbed.
fn too_often(found: &mut Findings, observed: &Observed, disturbances: usize) {
    let hooks = tally(observed.hooks.iter().filter(|hook| hook.path == HOOK_PATH).map(|hook| hook.id.as_str()));
    let mails = tally(observed.mails.iter().map(|mail| mail.message_id.as_str()));
    for (what, times) in [("webhook", hooks), ("mail", mails)] {
        for (id, times) in times.into_iter().filter(|(_, times)| *times > disturbances + 1) {
            found.doubled.push(format!("{what} {id} arrived {times} times over {disturbances} disturbances"));
        }
    }
}

/// As many mails went to an address as were asked for; each is told by its `Message-ID`.
fn mails(found: &mut Findings, records: &[Record], observed: &Observed, permitted: Permitted) {
    let may_fail = |address: &str| permitted.poison && address.starts_with(POISON);
    let mut asked: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let with_mail = records.iter().filter(|record| matches!(record.deed, Deed::SignUp | Deed::SendMail));
    for record in with_mail.filter(|record| !may_fail(&record.marker)) {
        let (least, most) = asked.entry(&record.marker).or_default();
        match record.outcome {
            Outcome::Acknowledged => (*least, *most) = (*least + 1, *most + 1),
            Outcome::Unknown => *most += 1,
            Outcome::NotSent | Outcome::Refused(_) => {}
        }
    }
    let mut by_address: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for mail in &observed.mails {
        found.repeated_mails += usize::from(!ids.insert(mail.message_id.as_str()));
        for address in &mail.to {
            by_address.entry(address).or_default().insert(&mail.message_id);
        }
    }
    for (address, (least, most)) in asked {
        let there = by_address.remove(address).map_or(0, |ids| ids.len());
        if there < least {
            found.lost.push(format!("{} of {least} mails to {address}", least - there));
        }
        if there > most {
            found.doubled.push(format!("{there} instead of {most} mails to {address}"));
        }
    }
    for address in by_address.keys() {
        found.wrong.push(format!("a mail to {address} has no cause"));
    }
    let outbox: Vec<_> = observed.outbox.iter().filter(|mail| !may_fail(&mail.to)).collect();
    for mail in outbox.iter().filter(|mail| mail.status != "sent") {
        found.wrong.push(format!("a mail to {} is {}", mail.to, mail.status));
    }
    if ids.len() != outbox.len() {
        found.wrong.push(format!("{} mails went out, the outbox has {}", ids.len(), outbox.len()));
    }
    if found.repeated_mails > 0 && !permitted.repeats {
        found.doubled.push(format!("{} mails under the same Message-ID", found.repeated_mails));
    }
}

fn tally<K: Ord + Hash>(keys: impl IntoIterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_insert(0) += 1;
    }
    counts
}

#[cfg(test)]
mod tests;
