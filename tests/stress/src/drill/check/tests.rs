use tokio::time::Instant;

use super::{
    super::readback::{OutboxMail, SeenEvent, SeenHook, SeenMail},
    *,
};

fn record(deed: Deed, marker: &str, outcome: Outcome) -> Record {
    let now = Instant::now();
    let user_id = (deed == Deed::UpdateUser).then(|| "user-0".to_owned());
    Record { deed, marker: marker.to_owned(), user_id, outcome, sent: now, ended: now }
}

fn event(position: i64, kind: &str, user_id: &str, marker: &str) -> SeenEvent {
    SeenEvent { position, kind: kind.to_owned(), user_id: user_id.to_owned(), marker: marker.to_owned() }
}

fn user(id: &str, email: Option<&str>, display_name: Option<&str>) -> SeenUser {
    SeenUser { id: id.to_owned(), email: email.map(str::to_owned), display_name: display_name.map(str::to_owned) }
}

/// A renamed user, one who signed up, and what follows from both.
fn good() -> (Vec<Record>, Observed) {
    let records = vec![
        record(Deed::CreateUser, "created-0", Outcome::Acknowledged),
        record(Deed::UpdateUser, "renamed-1", Outcome::Acknowledged),
        record(Deed::SignUp, "a@b.c", Outcome::Acknowledged),
        record(Deed::SendMail, "a@b.c", Outcome::Acknowledged),
    ];
    let events = vec![
        event(7, USER_CREATED, "user-0", "created-0"),
        event(8, USER_UPDATED, "user-0", "renamed-1"),
        event(9, USER_CREATED, "user-1", "a@b.c"),
    ];
    let of = |event: &SeenEvent| SeenMessage {
        id: format!("msg-{}", event.position),
        kind: event.kind.clone(),
        marker: event.marker.clone(),
        states: vec!["SUCCEEDED".to_owned()],
    };
    let messages: Vec<_> = events.iter().map(of).collect();
    let hook = |message: &SeenMessage| SeenHook {
        path: HOOK_PATH.to_owned(),
        id: message.id.clone(),
        body: message.marker.clone().into_bytes().into(),
        forged: None,
        at: Instant::now(),
    };
    let mail = |id: &str| SeenMail { message_id: id.to_owned(), to: vec!["a@b.c".to_owned()], at: Instant::now() };
    let sent = || OutboxMail { to: "a@b.c".to_owned(), status: "sent".to_owned(), is_open: false, errors: Vec::new() };
    let observed = Observed {
        users: vec![user("user-0", None, Some("renamed-1")), user("user-1", Some("a@b.c"), None)],
        hooks: messages.iter().map(hook).collect(),
        has_ordered: false,
        messages,
        events,
        elsewhere: vec![3, 12],
        followed: Some((6, vec![7, 8, 9])),
        mails: vec![mail("<1>"), mail("<2>")],
        outbox: vec![sent(), sent()],
    };
    (records, observed)
}

/// What is found when the good end of a drill is changed.
fn found(change: impl FnOnce(&mut Vec<Record>, &mut Observed)) -> Findings {
    let (mut records, mut observed) = good();
    change(&mut records, &mut observed);
    check(&records, 0, &observed, Permitted::default())
}

#[test]
fn a_good_end_is_good() {
    let found = found(|_, _| {});
    assert_eq!(found, Findings { tried: 4, acknowledged: 4, ..Findings::default() });
    assert!(found.is_good());
}

#[test]
fn what_is_missing_is_lost() {
    type Change = fn(&mut Vec<Record>, &mut Observed);
    let changes: [(&str, Change); 6] = [
        ("user a@b.c", |_, observed| drop(observed.users.remove(1))),
        ("user created-0", |_, observed| drop(observed.users.remove(0))),
        ("event user.updated renamed-1", |_, observed| drop(observed.events.remove(1))),
        ("message user.created a@b.c", |_, observed| drop(observed.messages.remove(2))),
        ("webhook msg-9", |_, observed| drop(observed.hooks.remove(2))),
        ("1 of 2 mails to a@b.c", |_, observed| drop(observed.mails.remove(1))),
    ];
    for (what, change) in changes {
        let lost = found(change).lost;
        assert!(lost.iter().any(|lost| lost.contains(what)), "{what}: {lost:?}");
    }
}

#[test]
fn what_is_there_twice_is_doubled() {
    type Change = fn(&mut Vec<Record>, &mut Observed);
    let changes: [(&str, Change); 6] = [
        ("user a@b.c 2 times", |_, observed| observed.users.push(user("user-2", Some("a@b.c"), None))),
        ("event user.updated renamed-1 2 times", |_, observed| {
            observed.events.push(event(10, USER_UPDATED, "user-0", "renamed-1"));
        }),
        ("message user.created a@b.c 2 times", |_, observed| {
            let again = SeenMessage { id: "msg-again".to_owned(), ..observed.messages[2].clone() };
            observed.messages.push(again);
        }),
        ("1 webhooks under the same id", |_, observed| observed.hooks.push(observed.hooks[0].clone())),
        ("3 instead of 2 mails to a@b.c", |_, observed| {
            observed.mails.push(SeenMail { message_id: "<3>".to_owned(), ..observed.mails[0].clone() });
        }),
        ("1 mails under the same Message-ID", |_, observed| observed.mails.push(observed.mails[0].clone())),
    ];
    for (what, change) in changes {
        let doubled = found(change).doubled;
        assert!(doubled.iter().any(|doubled| doubled.contains(what)), "{what}: {doubled:?}");
    }
}

#[test]
fn repeats_under_the_same_key_may_be_permitted() {
    let (records, mut observed) = good();
    observed.hooks.push(observed.hooks[0].clone());
    observed.mails.push(observed.mails[0].clone());
    let found = check(&records, 1, &observed, Permitted { repeats: true, ..Permitted::default() });
    assert!(found.is_good(), "{found:?}");
    assert_eq!((found.repeated_hooks, found.repeated_mails), (1, 1));
    observed.hooks[3].body = "other".into();
    let found = check(&records, 1, &observed, Permitted { repeats: true, ..Permitted::default() });
    assert_eq!(found.wrong, ["webhook msg-7 has two contents"]);
}

#[test]
fn each_disturbance_permits_one_repeat() {
    let (records, mut observed) = good();
    for _ in 0..2 {
        observed.hooks.push(observed.hooks[0].clone());
        observed.mails.push(observed.mails[0].clone());
    }
    let doubled = |disturbances| {
        check(&records, disturbances, &observed, Permitted { repeats: true, ..Permitted::default() }).doubled
    };
    assert_eq!(
        doubled(1),
        ["webhook msg-7 arrived 3 times over 1 disturbances", "mail <1> arrived 3 times over 1 disturbances"]
    );
    assert!(doubled(2).is_empty());
}

#[test]
fn where_order_is_wanted_nothing_goes_back_and_nothing_is_missing() {
    let arrived = |ids: &[&str]| {
        let (records, mut observed) = good();
        observed.has_ordered = true;
        let hook =
            |id: &&str| SeenHook { path: ORDERED_PATH.to_owned(), id: (*id).to_owned(), ..observed.hooks[0].clone() };
        let ordered: Vec<_> = ids.iter().map(hook).collect();
        observed.hooks.extend(ordered);
        check(&records, 1, &observed, Permitted { repeats: true, ..Permitted::default() })
    };
    for ids in [&["msg-7", "msg-8", "msg-9"][..], &["msg-7", "msg-8", "msg-8", "msg-9"]] {
        let found = arrived(ids);
        assert!(found.is_good(), "{found:?}");
    }
    assert_eq!(arrived(&["msg-7", "msg-9", "msg-8"]).wrong, ["webhook msg-8 after msg-9 where order is wanted"]);
    assert_eq!(arrived(&["msg-7", "msg-9"]).lost, ["webhook msg-8 where order is wanted"]);
    let often = arrived(&["msg-7", "msg-7", "msg-8", "msg-8", "msg-9"]);
    assert_eq!(often.wrong, ["2 webhooks came again where order is wanted, at most 1 may"]);
}

#[test]
fn places_of_events_elsewhere_are_no_gaps() {
    let (records, mut observed) = good();
    for event in &mut observed.events[1..] {
        event.position += 1;
    }
    observed.followed = Some((6, vec![7, 9, 10]));
    let found = check(&records, 0, &observed, Permitted::default());
    assert_eq!(found.wrong, ["position 9 follows 7"]);
    observed.elsewhere.push(8);
    let found = check(&records, 0, &observed, Permitted::default());
    assert!(found.is_good(), "{found:?}");
}

#[test]
fn other_contradictions_are_wrong() {
    type Change = fn(&mut Vec<Record>, &mut Observed);
    let changes: [(&str, Change); 12] = [
        ("position 9 follows 7", |_, observed| drop(observed.events.remove(1))),
        ("position 8 follows 8", |_, observed| observed.events[2].position = 8),
        ("a follower saw 1 events", |_, observed| observed.followed = Some((6, vec![9]))),
        ("a follower saw 4 events", |_, observed| observed.followed = Some((6, vec![7, 8, 8, 9]))),
        ("is called other, not renamed-1", |_, observed| {
            observed.users[0].display_name = Some("other".to_owned());
        }),
        ("event user.created stranger has no cause", |_, observed| {
            observed.events.push(event(10, USER_CREATED, "user-0", "stranger"));
        }),
        ("user user-2 is there without its event", |_, observed| observed.users.push(user("user-2", None, None))),
        ("webhook msg-7: bad", |_, observed| observed.hooks[0].forged = Some("bad".to_owned())),
        ("webhook msg-7 is [\"FAILED\"]", |_, observed| observed.messages[0].states = vec!["FAILED".to_owned()]),
        ("a mail to a@b.c is queued", |_, observed| observed.outbox[0].status = "queued".to_owned()),
        ("was refused: 403", |records, _| {
            records.push(record(Deed::SendMail, "a@b.c", Outcome::Refused("403".to_owned())));
        }),
        ("user a@b.c is there, though it was never done", |records, _| records[2].outcome = Outcome::NotSent),
    ];
    for (what, change) in changes {
        let wrong = found(change).wrong;
        assert!(wrong.iter().any(|wrong| wrong.contains(what)), "{what}: {wrong:?}");
    }
}

#[test]
fn what_nobody_was_told_of_may_be_there_or_not() {
    let unknown = |records: &mut Vec<Record>| {
        for record in records {
            record.outcome = Outcome::Unknown;
        }
    };
    assert!(found(|records, _| unknown(records)).is_good());
    let nothing = found(|records, observed| {
        unknown(records);
        *observed = Observed::default();
    });
    assert!(nothing.is_good(), "{nothing:?}");
    assert_eq!((nothing.tried, nothing.acknowledged, nothing.unknown), (4, 0, 4));
    let halved = found(|records, observed| {
        unknown(records);
        observed.events.truncate(2);
    });
    assert!(halved.wrong.iter().any(|wrong| wrong.contains("user-1")), "a user without its event: {halved:?}");
}

#[test]
fn the_last_of_two_changes_is_known_only_when_one_followed_the_other() {
    let (mut records, mut observed) = good();
    let first = records[1].clone();
    observed.events[1].marker = "renamed-2".to_owned();
    observed.users[0].display_name = Some("renamed-1".to_owned());
    // Sent before the answer to the first, answered after it: the server may have done either last.
    let meanwhile = Record { marker: "renamed-2".to_owned(), ended: Instant::now(), ..first.clone() };
    let overlapping = Record { ended: Instant::now(), ..first.clone() };
    records.splice(1..2, [overlapping, meanwhile.clone()]);
    let wrong = |records: &[Record]| check(records, 0, &observed, Permitted::default()).wrong;
    assert!(!wrong(&records).iter().any(|wrong| wrong.contains("is called")), "{:?}", wrong(&records));
    records[2] = Record { sent: Instant::now(), ended: Instant::now(), ..meanwhile };
    assert!(wrong(&records).iter().any(|wrong| wrong.contains("is called renamed-1, not renamed-2")));
}
