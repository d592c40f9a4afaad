//! Holds the mails that are owed against the outbox and against what arrived: each once, but for those that the server had
//! taken when their sender died. Pure.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use crate::{
    drill::{history::Outcome, readback::OutboxMail},
    stand::Delivered,
};

/// How the outbox calls a try that nobody ended.
pub(super) const INTERRUPTED: &str = "INTERRUPTED";

/// A mail that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Nobody else has it.
    pub(super) address: String,
    pub(super) outcome: Outcome,
    pub(super) sent: Instant,
    pub(super) answered: Instant,
}

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    pub(super) asked: &'a [Asked],
    pub(super) outbox: &'a [OutboxMail],
    pub(super) arrived: &'a [Delivered],
    /// The `Message-ID`s of mails that the server had taken when their sender was killed: these may arrive once more.
    pub(super) may_repeat: &'a BTreeSet<String>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) tried: usize,
    pub(super) acknowledged: usize,
    pub(super) unknown: usize,
    /// Acknowledged, and never arrived.
    pub(super) lost: Vec<String>,
    /// Not come to an end.
    pub(super) stuck: Vec<String>,
    /// Whatever else contradicts a promise.
    pub(super) wrong: Vec<String>,
    /// Arrived twice under one `Message-ID`.
    pub(super) doubled: usize,
    /// Of these, whose outbox says that a try was interrupted.
    pub(super) told: usize,
    /// Whose outbox says so, arrived twice or not.
    pub(super) interrupted: usize,
}

/// Judges.
pub(super) fn check(case: &Case<'_>) -> Tally {
    let mut found = Tally { tried: case.asked.len(), ..Tally::default() };
    let rows: BTreeMap<_, _> = case.outbox.iter().map(|row| (row.to.as_str(), row)).collect();
    let was_interrupted = |row: &OutboxMail| row.errors.iter().any(|error| error == INTERRUPTED);
    found.interrupted = case.outbox.iter().filter(|row| was_interrupted(row)).count();
    if rows.len() != case.outbox.len() {
        found.wrong.push("the outbox has two mails to one address".to_owned());
    }
    for row in case.outbox {
        if row.is_open {
            found.stuck.push(format!("the mail to {} is {}", row.to, row.status));
        } else if row.status != "sent" {
            found.wrong.push(format!("the mail to {} is {}", row.to, row.status));
        }
    }
    let mut arrived: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for mail in case.arrived {
        for address in &mail.to {
            *arrived.entry(address).or_default().entry(&mail.message_id).or_default() += 1;
        }
    }
    for asked in case.asked {
        let address = asked.address.as_str();
        let ids = arrived.remove(address).unwrap_or_default();
        match &asked.outcome {
            Outcome::Acknowledged => {
                found.acknowledged += 1;
                if ids.is_empty() {
                    found.lost.push(format!("the mail to {address}"));
                }
            }
            Outcome::Unknown => found.unknown += 1,
            Outcome::NotSent => {}
            Outcome::Refused(why) => found.wrong.push(format!("{address} was refused: {why}")),
        }
        if ids.len() > 1 {
            found.wrong.push(format!("mails to {address} under {} ids", ids.len()));
        }
        for (id, times) in ids.into_iter().filter(|(_, times)| *times > 1) {
            let is_told = rows.get(address).is_some_and(|row| was_interrupted(row));
            found.doubled += 1;
            found.told += usize::from(is_told);
            if times > 2 || !case.may_repeat.contains(id) {
                found.wrong.push(format!("the mail to {address} arrived {times} times"));
            }
            if !is_told {
                found.wrong.push(format!("the outbox does not tell that the mail to {address} may have arrived twice"));
            }
        }
    }
    found.wrong.extend(arrived.keys().map(|address| format!("a mail to {address} has no cause")));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "a@b.c";

    struct World {
        outcome: Outcome,
        row: OutboxMail,
        arrived: Vec<&'static str>,
        may_repeat: Vec<&'static str>,
    }

    /// Asked for, sent, arrived once.
    fn good() -> World {
        let row = OutboxMail { to: ADDRESS.to_owned(), status: "sent".to_owned(), is_open: false, errors: Vec::new() };
        World { outcome: Outcome::Acknowledged, row, arrived: vec!["<1>"], may_repeat: Vec::new() }
    }

    fn judged(world: &World) -> Tally {
        let now = Instant::now();
        let delivered = |id: &&str| Delivered { message_id: (*id).to_owned(), to: vec![ADDRESS.to_owned()], at: now };
        check(&Case {
            asked: &[Asked { address: ADDRESS.to_owned(), outcome: world.outcome.clone(), sent: now, answered: now }],
            outbox: std::slice::from_ref(&world.row),
            arrived: &world.arrived.iter().map(delivered).collect::<Vec<_>>(),
            may_repeat: &world.may_repeat.iter().map(|id| (*id).to_owned()).collect(),
        })
    }

    fn is_good(tally: &Tally) -> bool {
        tally.lost.is_empty() && tally.stuck.is_empty() && tally.wrong.is_empty()
    }

    #[test]
    fn one_mail_is_as_it_must_be() {
        let tally = judged(&good());
        assert!(is_good(&tally), "{tally:?}");
        assert_eq!((tally.tried, tally.acknowledged, tally.doubled), (1, 1, 0));
    }

    #[test]
    fn a_mail_that_never_arrived_is_lost_unless_nobody_was_promised_it() {
        let lost = World { arrived: Vec::new(), ..good() };
        assert_eq!(judged(&lost).lost.len(), 1);
        assert!(is_good(&judged(&World { outcome: Outcome::Unknown, ..lost })));
    }

    #[test]
    fn a_mail_without_an_end_is_stuck_and_one_that_failed_is_wrong() {
        let open = OutboxMail { status: "sending".to_owned(), is_open: true, ..good().row };
        assert_eq!(judged(&World { row: open, ..good() }).stuck.len(), 1);
        let failed = OutboxMail { status: "server-error".to_owned(), ..good().row };
        assert_eq!(judged(&World { row: failed, ..good() }).wrong.len(), 1);
    }

    #[test]
    fn a_mail_may_arrive_twice_where_the_server_had_it_and_the_outbox_tells() {
        let told = OutboxMail { errors: vec![INTERRUPTED.to_owned()], ..good().row };
        let twice = World { row: told.clone(), arrived: vec!["<1>", "<1>"], may_repeat: vec!["<1>"], ..good() };
        let tally = judged(&twice);
        assert!(is_good(&tally), "{tally:?}");
        assert_eq!((tally.doubled, tally.told), (1, 1));
        for broken in [
            World { may_repeat: vec!["<2>"], row: told.clone(), arrived: vec!["<1>", "<1>"], ..good() },
            World { arrived: vec!["<1>", "<1>"], may_repeat: vec!["<1>"], ..good() },
            World { row: told.clone(), arrived: vec!["<1>", "<1>", "<1>"], may_repeat: vec!["<1>"], ..good() },
            World { row: told, arrived: vec!["<1>", "<2>"], may_repeat: vec!["<1>"], ..good() },
        ] {
            assert_eq!(judged(&broken).wrong.len(), 1);
        }
    }
}
