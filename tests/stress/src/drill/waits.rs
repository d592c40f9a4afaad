//! How long the effect of each change was waited for: from the answer until it arrived, and how much of that after whatever had
//! been done to the servers. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    figures::Figures,
    history::{Deed, Disturbance, Outcome, Record},
    readback::{Observed, USER_CREATED, USER_UPDATED},
    scene::HOOK_PATH,
};

/// Waits for effects of one sort.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Waits {
    /// From the answer to each change until its effect arrived; nothing for one that arrived before.
    from_answer: Vec<Duration>,
    /// The longest from the end of the last disturbance that had begun when the effect arrived, or from the answer where that
    /// was later. Not from the end of each: what meets several may wait anew after every one.
    undisturbed: Duration,
}

impl Waits {
    /// Of the webhooks that follow from acknowledged changes.
    pub(super) fn of_webhooks(records: &[Record], observed: &Observed, disturbances: &[Disturbance]) -> Self {
        let mut arrived: BTreeMap<&str, Instant> = BTreeMap::new();
        for hook in observed.hooks.iter().filter(|hook| hook.path == HOOK_PATH) {
            arrived.entry(&hook.id).or_insert(hook.at);
        }
        let mut by_change: BTreeMap<(&str, &str), Instant> = BTreeMap::new();
        for message in &observed.messages {
            if let Some(at) = arrived.get(message.id.as_str()) {
                by_change.insert((&message.kind, &message.marker), *at);
            }
        }
        let pairs = acknowledged(records).filter_map(|record| {
            let kind = match record.deed {
                Deed::SignUp | Deed::CreateUser => USER_CREATED,
                Deed::UpdateUser => USER_UPDATED,
                Deed::SendMail => return None,
            };
            Some((record.ended, *by_change.get(&(kind, record.marker.as_str()))?))
        });
        Self::of(pairs, disturbances)
    }

    /// Of the mails that were promised. Which of several to one address is whose cannot be told: they are taken to have come in
    /// the order in which they were asked for, which makes no wait longer than it was.
    pub(super) fn of_mails(records: &[Record], observed: &Observed, disturbances: &[Disturbance]) -> Self {
        let mut asked: BTreeMap<&str, Vec<Instant>> = BTreeMap::new();
        for record in acknowledged(records).filter(|record| matches!(record.deed, Deed::SignUp | Deed::SendMail)) {
            asked.entry(&record.marker).or_default().push(record.ended);
        }
        let (mut arrived, mut ids): (BTreeMap<&str, Vec<Instant>>, _) = (BTreeMap::new(), BTreeSet::new());
        for mail in &observed.mails {
            if ids.insert(mail.message_id.as_str()) {
                for address in &mail.to {
                    arrived.entry(address).or_default().push(mail.at);
                }
            }
        }
        let pairs = asked.into_iter().flat_map(|(address, mut asked)| {
            let mut came = arrived.remove(address).unwrap_or_default();
            asked.sort();
            came.sort();
            asked.into_iter().zip(came)
        });
        Self::of(pairs, disturbances)
    }

    /// Of pairs of an answer and an arrival.
    fn of(pairs: impl Iterator<Item = (Instant, Instant)>, disturbances: &[Disturbance]) -> Self {
        let mut waits = Self::default();
        for (answered, arrived) in pairs {
            let begun = disturbances.iter().filter(|disturbance| disturbance.begun <= arrived);
            let since = begun.map(|disturbance| disturbance.over).fold(answered, Instant::max);
            waits.from_answer.push(arrived.saturating_duration_since(answered));
            waits.undisturbed = waits.undisturbed.max(arrived.saturating_duration_since(since));
        }
        waits
    }

    /// What is wrong if nothing may be waited for longer than this once everything stands.
    pub(super) fn too_long(&self, what: &str, within: Duration) -> Option<String> {
        let longest = self.undisturbed;
        (longest > within).then(|| {
            format!("{what} arrived {longest:.1?} after their change and the last disturbance, not within {within:?}")
        })
    }

    /// In short, for people; `None` when nothing arrived.
    pub(super) fn note(&self, what: &str) -> Option<String> {
        let (figures, longest) = (Figures::of(self.from_answer.clone()).ok()?, self.from_answer.iter().max()?);
        Some(format!(
            "{what} arrived in {figures}, the slowest {:.1} s after the answer; none later than {:.1} s after the last disturbance",
            longest.as_secs_f64(),
            self.undisturbed.as_secs_f64()
        ))
    }
}

fn acknowledged(records: &[Record]) -> impl Iterator<Item = &Record> {
    records.iter().filter(|record| record.outcome == Outcome::Acknowledged)
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;

    use super::{
        super::readback::{SeenHook, SeenMail, SeenMessage},
        *,
    };

    /// Moments, by seconds since the first one.
    struct Clock(Instant);

    impl Clock {
        fn at(&self, seconds: u64) -> Instant {
            self.0 + Duration::from_secs(seconds)
        }

        fn record(&self, deed: Deed, marker: &str, ended: u64) -> Record {
            let (sent, ended) = (self.at(0), self.at(ended));
            Record { deed, marker: marker.to_owned(), user_id: None, outcome: Outcome::Acknowledged, sent, ended }
        }

        fn disturbance(&self, begun: u64, over: u64) -> Disturbance {
            Disturbance { begun: self.at(begun), over: self.at(over) }
        }
    }

    fn seconds(values: &[u64]) -> Vec<Duration> {
        values.iter().copied().map(Duration::from_secs).collect()
    }

    #[test]
    fn a_webhook_is_waited_for_from_its_answer_and_from_the_last_disturbance_before_it() {
        let clock = Clock(Instant::now());
        let hook = |id: &str, at| SeenHook {
            path: HOOK_PATH.to_owned(),
            id: id.to_owned(),
            body: Bytes::new(),
            forged: None,
            at: clock.at(at),
        };
        let message = |id: &str, kind: &str, marker: &str| SeenMessage {
            id: id.to_owned(),
            kind: kind.to_owned(),
            marker: marker.to_owned(),
            states: Vec::new(),
        };
        let observed = Observed {
            messages: vec![message("1", USER_CREATED, "ada"), message("2", USER_UPDATED, "bob")],
            // The first one comes again, which nobody waits for.
            hooks: vec![hook("1", 40), hook("2", 41), hook("1", 90)],
            ..Observed::default()
        };
        let records = [
            clock.record(Deed::CreateUser, "ada", 2),
            clock.record(Deed::UpdateUser, "bob", 39),
            clock.record(Deed::UpdateUser, "never arrived", 39),
        ];
        let waits = |disturbances: &[Disturbance]| Waits::of_webhooks(&records, &observed, disturbances);
        assert_eq!(waits(&[]), Waits { from_answer: seconds(&[38, 2]), undisturbed: Duration::from_secs(38) });
        let killed = waits(&[clock.disturbance(3, 3), clock.disturbance(10, 11), clock.disturbance(50, 50)]);
        assert_eq!(killed, Waits { from_answer: seconds(&[38, 2]), undisturbed: Duration::from_secs(29) });
        // Both arrived while something was broken.
        assert_eq!(waits(&[clock.disturbance(5, 60)]).undisturbed, Duration::ZERO);

        assert_eq!(killed.too_long("webhooks", Duration::from_secs(29)), None);
        assert!(killed.too_long("webhooks", Duration::from_secs(28)).is_some_and(|why| why.contains("29.0s")));
        assert!(killed.note("webhooks").is_some_and(|note| note.contains("38.0 s") && note.contains("29.0 s")));
        assert_eq!(Waits::default().note("webhooks"), None);
    }

    #[test]
    fn mails_to_one_address_are_taken_in_order_and_each_once() {
        let clock = Clock(Instant::now());
        let mail =
            |id: &str, at| SeenMail { message_id: id.to_owned(), to: vec!["a@b.c".to_owned()], at: clock.at(at) };
        let observed =
            Observed { mails: vec![mail("<2>", 12), mail("<1>", 5), mail("<2>", 70)], ..Observed::default() };
        let lost = Record { outcome: Outcome::Unknown, ..clock.record(Deed::SignUp, "d@e.f", 1) };
        let records = [clock.record(Deed::SendMail, "a@b.c", 10), clock.record(Deed::SignUp, "a@b.c", 1), lost];
        let waits = Waits::of_mails(&records, &observed, &[clock.disturbance(6, 8)]);
        assert_eq!(waits, Waits { from_answer: seconds(&[4, 2]), undisturbed: Duration::from_secs(4) });
    }
}
