use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// What happens at one endpoint.
struct World {
    in_order: bool,
    rate: Option<u32>,
    outcome: Outcome,
    /// Numbers of changes, in the order in which they arrived, and when, in milliseconds.
    arrived: Vec<(usize, u64)>,
    /// When somebody was killed, in milliseconds.
    kills: Vec<u64>,
}

/// Three changes that arrive once.
fn good() -> World {
    World {
        in_order: true,
        rate: None,
        outcome: Outcome::Acknowledged,
        arrived: vec![(1, 1000), (2, 2000), (3, 3000)],
        kills: Vec::new(),
    }
}

fn judged(world: &World, change: impl Fn(&mut Vec<Arrival>, &mut BTreeMap<String, Vec<i64>>)) -> Findings {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let marker = |number: usize| format!("change-{number}");
    let endpoint = Endpoint {
        id: String::new(),
        path: "/hook".to_owned(),
        secret: String::new(),
        in_order: world.in_order,
        rate: world.rate,
    };
    let changes: Vec<_> = (1..=3)
        .map(|number| Change { marker: marker(number), outcome: world.outcome.clone(), answered: at(number as u64) })
        .collect();
    let mut log = (1..=3).map(|number| (marker(number), vec![10 * number as i64])).collect();
    let arrival = |(number, millis): &(usize, u64)| Arrival {
        path: "/hook".to_owned(),
        id: format!("msg_{number}"),
        marker: marker(*number),
        body: Bytes::from(marker(*number)),
        at: at(*millis),
        forged: None,
    };
    let mut arrived = world.arrived.iter().map(arrival).collect();
    change(&mut arrived, &mut log);
    let disturbances: Vec<_> =
        world.kills.iter().map(|millis| Disturbance { begun: at(*millis), over: at(*millis) }).collect();
    check(&Case {
        endpoints: &[endpoint],
        changes: &changes,
        log: &log,
        arrived: &arrived,
        disturbances: &disturbances,
    })
}

fn plainly(world: &World) -> Findings {
    judged(world, |_, _| {})
}

#[test]
fn each_once_and_in_order_is_as_it_must_be() {
    let found = plainly(&good());
    assert!(found.is_good(), "{found:?}");
    assert_eq!((found.tried, found.acknowledged, found.repeated_hooks), (3, 3, 0));
}

#[test]
fn what_never_arrived_is_lost_unless_nobody_was_promised_it() {
    let lost = World { arrived: vec![(1, 1000), (3, 3000)], ..good() };
    assert_eq!(plainly(&lost).lost, ["change-2 at /hook"]);
    assert!(plainly(&World { outcome: Outcome::Unknown, ..lost }).is_good());
    let found = judged(&good(), |_, log| drop(log.remove("change-2")));
    assert_eq!(found.lost, ["event of change-2"]);
}

#[test]
fn a_message_may_come_again_only_over_a_kill() {
    let again = World { arrived: vec![(1, 1000), (2, 2000), (2, 12_000), (3, 13_000)], ..good() };
    assert_eq!(plainly(&again).doubled.len(), 1);
    let killed = World { kills: vec![2500], ..again };
    let found = plainly(&killed);
    assert!(found.is_good(), "{found:?}");
    assert_eq!(found.repeated_hooks, 1);
    // The first arrival was long after it, or the second one before it.
    for kill in [15_000, 0] {
        let late = World { arrived: vec![(1, 4000), (2, 5000), (2, 12_000), (3, 13_000)], kills: vec![kill], ..good() };
        assert_eq!(plainly(&late).doubled.len(), 1, "{kill}");
    }
}

#[test]
fn in_order_one_message_for_each_kill_comes_again() {
    let arrived = vec![(1, 1000), (2, 2000), (2, 12_000), (2, 13_000), (3, 14_000)];
    let found = plainly(&World { arrived, kills: vec![2500], ..good() });
    assert!(!found.is_good());
}

#[test]
fn order_is_of_the_log_and_includes_what_comes_again() {
    let swapped = World { arrived: vec![(2, 1000), (1, 2000), (3, 3000)], ..good() };
    assert_eq!(plainly(&swapped).wrong.len(), 1);
    assert!(plainly(&World { in_order: false, ..swapped }).is_good());
    // The first one again, though the second one had been taken: it must have been written down.
    let behind = World { arrived: vec![(1, 1000), (2, 2000), (1, 12_000), (3, 13_000)], kills: vec![2500], ..good() };
    assert_eq!(plainly(&behind).wrong.len(), 1);
    assert!(plainly(&World { in_order: false, ..behind }).is_good());
}

#[test]
fn bytes_ids_and_signatures_stay() {
    let found = judged(&good(), |arrived, _| {
        let again = Arrival { body: Bytes::from("other"), ..arrived[2].clone() };
        arrived.push(again);
    });
    assert!(found.wrong.iter().any(|text| text == "msg_3 has two contents"), "{found:?}");
    let found = judged(&good(), |arrived, _| arrived[1].id = "msg_1".to_owned());
    assert!(!found.is_good());
    let found = judged(&good(), |arrived, _| {
        let again = Arrival { id: "msg_4".to_owned(), ..arrived[2].clone() };
        arrived.push(again);
    });
    assert_eq!(found.doubled, ["change-3 arrived under 2 ids"]);
    let found = judged(&good(), |arrived, _| arrived[0].forged = Some("not by the secret".to_owned()));
    assert_eq!(found.wrong.len(), 1);
    let found = judged(&good(), |arrived, _| arrived[0].marker = "nothing".to_owned());
    assert!(!found.wrong.is_empty() && !found.lost.is_empty());
    let found = judged(&good(), |_, log| log.get_mut("change-1").unwrap().push(11));
    assert_eq!(found.doubled.len(), 1);
}

#[test]
fn a_rate_is_not_exceeded() {
    let hasty = World {
        rate: Some(1),
        in_order: false,
        arrived: (0..30).map(|n| (n % 3 + 1, n as u64 * 100)).collect(),
        ..good()
    };
    assert!(plainly(&hasty).wrong.iter().any(|text| text.contains("within 5s")), "{:?}", plainly(&hasty));
    assert!(plainly(&World { rate: Some(1), ..good() }).is_good());
}

#[test]
fn silences_and_delays_are_measured() {
    let (start, endpoint) = (
        Instant::now(),
        Endpoint { id: String::new(), path: "/hook".to_owned(), secret: String::new(), in_order: false, rate: None },
    );
    let arrival = |id: &str, seconds: u32| Arrival {
        path: "/hook".to_owned(),
        id: id.to_owned(),
        marker: id.to_owned(),
        body: Bytes::new(),
        at: start + SECOND * seconds,
        forged: None,
    };
    let arrived = [arrival("a", 1), arrival("a", 2), arrival("b", 9), arrival("c", 10)];
    assert_eq!(longest_silence(&endpoint, &arrived), SECOND * 8);
    assert_eq!(last_new(&endpoint, &arrived[..2]), Some(start + SECOND));
    let change = Change { marker: "b".to_owned(), outcome: Outcome::Acknowledged, answered: start + SECOND };
    assert_eq!(delays([&change].into_iter(), &[endpoint], &arrived), [SECOND * 8]);
}
