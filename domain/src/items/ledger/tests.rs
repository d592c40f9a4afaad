//! The fold against the contract's example and against a plain fold that takes one step for each event.

use proptest::prelude::*;

use super::{Ends, Ledger, MAX_QUANTITY, Source};
use postern_entity::item_source::Expires;

const DAY: i64 = 86_400_000;

fn source(quantity: i64, interval: Option<i64>, expires: Expires) -> Source {
    let key = "purchase".to_owned();
    Source { place: 0, key, quantity, starts_at: 0, interval, expires, ends_at: None, granted: 0 }
}

/// What is open, by its end in days, and what is owed.
fn open(ledger: &Ledger) -> (Vec<(i64, Option<i64>)>, i64) {
    let mut grants: Vec<_> =
        ledger.grants.iter().map(|grant| (grant.left, grant.ends.instant().map(|end| end / DAY))).collect();
    grants.sort_by_key(|(_, end)| end.unwrap_or(i64::MAX));
    (grants, ledger.debt)
}

/// The worked example of wire: payments §4.2.
#[test]
fn the_worked_example_of_the_contract_comes_out() {
    let mut ledger = Ledger::empty(0);
    ledger.start(source(100, Some(30 * DAY), Expires::WhenRepeated));
    ledger.start(source(20, None, Expires::Never));
    assert_eq!(open(&ledger), (vec![(100, Some(30)), (20, None)], 0));
    let at = |ledger: &mut Ledger, day: i64, delta: i64, ends: Option<i64>| {
        ledger.advance(day * DAY);
        ledger.change(delta, ends.map(|day| day * DAY));
        (open(ledger), ledger.balance())
    };
    assert_eq!(at(&mut ledger, 5, 50, Some(15)), ((vec![(50, Some(15)), (100, Some(30)), (20, None)], 0), 170));
    assert_eq!(at(&mut ledger, 10, -70, None), ((vec![(80, Some(30)), (20, None)], 0), 100));
    assert_eq!(at(&mut ledger, 15, 0, None), ((vec![(80, Some(30)), (20, None)], 0), 100));
    assert_eq!(at(&mut ledger, 20, -160, None), ((vec![], -60), -60));
    assert_eq!(at(&mut ledger, 25, 40, None), ((vec![], -20), -20));
    assert_eq!(at(&mut ledger, 30, 0, None), ((vec![(80, Some(60))], 0), 80));
    ledger.end(1, Some(60 * DAY));
    assert_eq!(at(&mut ledger, 60, 0, None), ((vec![], 0), 0));
    assert_eq!(ledger.next_at(), None);
}

#[test]
fn removals_take_what_ends_soonest_and_of_that_the_oldest() {
    let mut ledger = Ledger::empty(0);
    ledger.change(5, None);
    ledger.start(source(10, Some(DAY), Expires::WhenPurchaseExpires));
    ledger.change(7, Some(9 * DAY));
    ledger.advance(2 * DAY);
    // 7 that end, three parts that end with a purchase, and what is lasting.
    assert_eq!(ledger.balance(), 7 + 30 + 5);
    ledger.change(-18, None);
    let run = ledger.grants.iter().find(|grant| grant.of_source).unwrap();
    assert_eq!((run.left, run.parts, run.granted_at), (19, 2, DAY));
    ledger.change(-22, None);
    assert_eq!(open(&ledger), (vec![(2, None)], 0));
}

#[test]
fn catching_up_over_a_million_periods_is_arithmetic() {
    for (expires, expected) in [
        (Expires::Never, 3_000_003),
        (Expires::WhenPurchaseExpires, 3_000_003),
        // Only the newest is there.
        (Expires::WhenRepeated, 3),
    ] {
        let mut ledger = Ledger::empty(0);
        ledger.start(source(3, Some(DAY), expires));
        ledger.advance(1_000_000 * DAY);
        assert_eq!((ledger.balance(), ledger.grants.len()), (expected, 1), "{expires:?}");
        ledger.change(-1, None);
        assert_eq!((ledger.balance(), ledger.grants.len()), (expected - 1, 1), "{expires:?}");
    }
    let mut ledger = Ledger::empty(0);
    ledger.start(source(3, Some(DAY), Expires::WhenPurchaseExpires));
    ledger.change(-3_000_001, None);
    ledger.advance(1_000_000 * DAY);
    assert_eq!((ledger.balance(), ledger.debt), (2, 0));
}

#[test]
fn what_is_made_by_hand_with_one_end_is_one_grant() {
    let mut ledger = Ledger::empty(0);
    for hour in 0..1000 {
        ledger.advance(hour);
        ledger.change(1, None);
        ledger.change(2, Some(DAY));
    }
    assert_eq!((ledger.grants.len(), ledger.balance()), (2, 3000));
    ledger.change(1, Some(ledger.at));
    assert_eq!(ledger.balance(), 3000, "what is over when it is made counts for nothing");
}

#[test]
fn a_source_that_began_in_the_past_grants_what_was_missed() {
    let mut ledger = Ledger::empty(10 * DAY);
    ledger.start(Source { starts_at: 0, ..source(5, Some(4 * DAY), Expires::Never) });
    assert_eq!((ledger.balance(), ledger.next_at()), (15, Some(12 * DAY)));
}

#[test]
fn an_end_in_the_past_is_now_and_for_good() {
    let mut ledger = Ledger::empty(0);
    ledger.start(source(5, Some(DAY), Expires::WhenPurchaseExpires));
    ledger.advance(3 * DAY);
    ledger.end(1, Some(DAY));
    assert_eq!((ledger.balance(), ledger.next_at()), (0, None));
    ledger.end(1, None);
    ledger.advance(9 * DAY);
    assert_eq!(ledger.balance(), 0);
}

#[test]
fn what_nobody_can_count_is_left_out() {
    let mut ledger = Ledger::empty(0);
    ledger.start(source(MAX_QUANTITY, Some(DAY), Expires::Never));
    ledger.start(source(MAX_QUANTITY / 2, Some(DAY), Expires::WhenPurchaseExpires));
    ledger.advance(1_000_000 * DAY);
    assert_eq!(ledger.balance(), MAX_QUANTITY);
    assert!(ledger.grants.iter().all(|grant| grant.left <= MAX_QUANTITY));
}

/// The fold as the contract words it: one grant for each event, one step for each instant.
#[derive(Clone, Debug, Default)]
struct Plain {
    at: i64,
    debt: i64,
    open: Vec<Open>,
    sources: Vec<Source>,
    next: i64,
}

#[derive(Clone, Debug)]
struct Open {
    ends: Ends,
    left: i64,
    /// When it was made, and its order among what was made then.
    age: (i64, i64),
    source: Option<(i64, i64)>,
}

impl Plain {
    fn advance(&mut self, to: i64) {
        while self.at < to {
            self.at += 1;
            self.settle();
        }
    }

    fn settle(&mut self) {
        let at = self.at;
        self.open.retain(|open| !open.ends.is_over(at));
        for index in 0..self.sources.len() {
            let source = self.sources[index].clone();
            let is_due = source.starts_at <= at
                && source.ends_at.is_none_or(|end| at < end)
                && match source.interval {
                    Some(interval) => source.starts_at + interval * source.granted == at,
                    None => source.granted == 0,
                };
            if is_due {
                let ends = Self::ends(&source, source.granted);
                self.sources[index].granted += 1;
                self.give(source.quantity, ends, source.place, Some((source.place, source.granted)));
            }
        }
    }

    fn ends(source: &Source, part: i64) -> Ends {
        let of_purchase = source.ends_at.map_or(Ends::WithPurchase, Ends::At);
        match (source.expires, source.interval) {
            (Expires::Never, _) => Ends::Never,
            (Expires::WhenRepeated, Some(interval)) => {
                of_purchase.min(Ends::At(source.starts_at + interval * (part + 1)))
            }
            _ => of_purchase,
        }
    }

    fn give(&mut self, quantity: i64, ends: Ends, order: i64, source: Option<(i64, i64)>) {
        if ends.is_over(self.at) {
            return;
        }
        let paid = quantity.min(-self.debt);
        self.debt += paid;
        self.open.push(Open { ends, left: quantity - paid, age: (self.at, order), source });
    }

    fn change(&mut self, delta: i64, expires_at: Option<i64>) {
        self.next += 1;
        if delta >= 0 {
            return self.give(delta, expires_at.map_or(Ends::Never, Ends::At), self.next, None);
        }
        let mut wanted = -delta;
        self.open.sort_by_key(|open| (open.ends, open.age));
        for open in &mut self.open {
            let taken = wanted.min(open.left);
            open.left -= taken;
            wanted -= taken;
        }
        self.debt -= wanted;
    }

    fn start(&mut self, source: Source) {
        self.next += 1;
        self.sources.push(Source { place: self.next, ..source });
        self.settle_new();
    }

    /// Only the newest source can be due at an instant that was settled.
    fn settle_new(&mut self) {
        let others = self.sources.len() - 1;
        let rest: Vec<_> = self.sources.drain(..others).collect();
        self.settle();
        self.sources.splice(0..0, rest);
    }

    /// Its parts end when they would have, but for those that end with the purchase.
    fn stop(&mut self, index: usize) {
        let source = &mut self.sources[index];
        let next = match source.interval {
            Some(interval) => source.starts_at + interval * source.granted,
            None if source.granted == 0 => source.starts_at,
            None => return,
        };
        if source.ends_at.is_some_and(|end| end <= next) {
            return;
        }
        let detaches = source.expires == Expires::WhenRepeated && source.interval.is_some();
        (source.interval, source.granted) = (None, source.granted.max(1));
        let place = source.place;
        if detaches {
            for open in self.open.iter_mut().filter(|open| open.source.is_some_and(|(of, _)| of == place)) {
                open.source = None;
                self.next += 1;
            }
        }
    }

    fn end(&mut self, index: usize, ends_at: Option<i64>) {
        let at = self.at;
        let source = &mut self.sources[index];
        if source.ends_at.is_some_and(|end| end <= at) {
            return;
        }
        source.ends_at = ends_at.map(|end| end.max(at));
        let source = source.clone();
        for open in &mut self.open {
            if let Some((place, part)) = open.source
                && place == source.place
            {
                open.ends = Self::ends(&source, part);
            }
        }
        self.open.retain(|open| !open.ends.is_over(at));
    }

    fn balance(&self) -> i64 {
        self.open.iter().map(|open| open.left).sum::<i64>() + self.debt
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Forward or, when the clock jumps, back.
    Wait(i64),
    Change(i64, Option<i64>),
    Start {
        quantity: i64,
        interval: Option<i64>,
        expires: Expires,
        starts_in: i64,
        ends_in: Option<i64>,
    },
    End(usize, Option<i64>),
    /// Lets a source grant no more.
    Stop(usize),
    /// Writes down what is true now, as the worker does.
    Fold,
}

fn step() -> impl Strategy<Value = Step> {
    let expires = prop_oneof![Just(Expires::Never), Just(Expires::WhenPurchaseExpires), Just(Expires::WhenRepeated)];
    let start = (1..12_i64, proptest::option::of(1..9_i64), expires, 0..4_i64, proptest::option::of(0..40_i64));
    prop_oneof![
        4 => (-9..25_i64).prop_map(Step::Wait),
        1 => (100..400_i64).prop_map(Step::Wait),
        5 => (-40..30_i64, proptest::option::of(-2..20_i64)).prop_map(|(delta, ends)| Step::Change(delta, ends)),
        1 => (-400..-100_i64).prop_map(|delta| Step::Change(delta, None)),
        2 => start.prop_map(|(quantity, interval, expires, starts_in, ends_in)| Step::Start {
            quantity, interval, expires, starts_in, ends_in
        }),
        2 => (0..8_usize, proptest::option::of(-3..30_i64)).prop_map(|(index, ends)| Step::End(index, ends)),
        1 => (0..8_usize).prop_map(Step::Stop),
        1 => Just(Step::Fold),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn state_and_reads_are_those_of_the_plain_fold(
        steps in proptest::collection::vec(step(), 1..40),
        ahead in 0..120_i64,
    ) {
        let (mut clock, mut ledger, mut plain) = (0, Ledger::empty(0), Plain::default());
        for step in steps {
            // A change or a fold takes effect at the latest instant that is known of.
            let settle = |ledger: &mut Ledger, plain: &mut Plain, clock: i64| {
                ledger.advance(clock);
                plain.advance(clock);
                ledger.at
            };
            match step.clone() {
                Step::Wait(by) => clock += by,
                Step::Fold => {
                    settle(&mut ledger, &mut plain, clock);
                }
                Step::Change(delta, ends) => {
                    let at = settle(&mut ledger, &mut plain, clock);
                    ledger.change(delta, ends.map(|by| at + by));
                    plain.change(delta, ends.map(|by| at + by));
                }
                Step::Start { quantity, interval, expires, starts_in, ends_in } => {
                    let at = settle(&mut ledger, &mut plain, clock);
                    let starts_at = at + starts_in;
                    let ends_at = ends_in.map(|by| starts_at + by);
                    let new = Source { starts_at, ends_at, ..source(quantity, interval, expires) };
                    ledger.start(new.clone());
                    plain.start(new);
                }
                Step::Stop(index) => {
                    settle(&mut ledger, &mut plain, clock);
                    if !plain.sources.is_empty() {
                        let index = index % plain.sources.len();
                        let place = ledger.sources[index].place;
                        ledger.stop(place);
                        plain.stop(index);
                    }
                }
                Step::End(index, ends) => {
                    let at = settle(&mut ledger, &mut plain, clock);
                    if !plain.sources.is_empty() {
                        let index = index % plain.sources.len();
                        let place = ledger.sources[index].place;
                        ledger.end(place, ends.map(|by| at + by));
                        plain.end(index, ends.map(|by| at + by));
                    }
                }
            }
            prop_assert!(ledger.debt == 0 || ledger.grants.is_empty(), "{ledger:?}");
            prop_assert!(ledger.grants.iter().all(|grant| grant.left > 0), "{ledger:?}");
            for at in [clock, clock + ahead] {
                let (mut read, mut read_plainly) = (ledger.clone(), plain.clone());
                read.advance(at);
                read_plainly.advance(at);
                prop_assert_eq!(read.balance(), read_plainly.balance(), "{:?} at {}: {:?} {:?}", step, at, read, read_plainly);
            }
            // Nothing happens before the instant that the worker is told.
            let mut before = ledger.clone();
            before.advance(ledger.next_at().map_or(ledger.at + ahead, |next| next - 1));
            prop_assert_eq!(before.balance(), ledger.balance());
        }
    }
}
