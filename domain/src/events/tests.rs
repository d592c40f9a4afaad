//! The log's promises, on each database.

use std::time::Duration;

use futures::future::join_all;
use postern_entity::{ProjectId, UserId};
use serde_json::json;
use tokio::sync::oneshot;

use super::{jobs::EraseUserEvents, *};
use crate::{
    Code, Deps,
    db::Backend,
    testing::{START, on_each_database},
};

fn event(project_id: &ProjectId, kind: EventKind, number: usize) -> NewEvent {
    NewEvent {
        project_id: project_id.clone(),
        kind,
        user_id: None,
        team_id: None,
        payload: json!({ "number": number }),
    }
}

async fn write(deps: &Deps, events: &[NewEvent]) {
    deps.db.write(async |tx| record_all(deps, &tx, events.to_vec()).await).await.unwrap();
}

async fn sequence_all(deps: &Deps) {
    while sequence(deps).await.unwrap() {}
}

fn numbers(events: &[LoggedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.payload.as_ref().unwrap()["number"].as_u64().unwrap()).collect()
}

async fn read_all(deps: &Deps, project_id: &ProjectId, after: Option<i64>) -> EventPage {
    read(deps, project_id, after, &EventFilter::default(), MAX_PAGE).await.unwrap()
}

#[tokio::test]
async fn a_transaction_that_is_overtaken_is_not_missed() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        let project_id = &bench.insert_project().await;
        let (inserted, has_inserted) = oneshot::channel();
        let (commit, may_commit) = oneshot::channel::<()>();
        let slow = {
            let (deps, project_id) = (deps.clone(), project_id.clone());
            let mut once = Some((inserted, may_commit));
            tokio::spawn(async move {
                let (deps, project_id) = (&deps, &project_id);
                deps.db
                    .write(move |tx| {
                        let (inserted, may_commit) = once.take().expect("nothing races for the same rows");
                        async move {
                            record(deps, &tx, event(project_id, EventKind::UserCreated, 1)).await?;
                            inserted.send(()).unwrap();
                            may_commit.await.unwrap();
                            Ok(())
                        }
                    })
                    .await
                    .unwrap();
            })
        };
        has_inserted.await.unwrap();
        let fast = {
            let (deps, project_id) = (deps.clone(), project_id.clone());
            tokio::spawn(async move { write(&deps, &[event(&project_id, EventKind::UserUpdated, 2)]).await })
        };
        // On SQLite the second writer waits for the first, so nothing can be overtaken there.
        let mut cursor = None;
        if deps.db.backend() == Backend::Postgres {
            fast.await.unwrap();
            sequence_all(deps).await;
            let page = read_all(deps, project_id, None).await;
            assert_eq!(numbers(&page.events), [2], "written later, committed earlier");
            cursor = Some(page.position);
            commit.send(()).unwrap();
        } else {
            assert!(!sequence(deps).await.unwrap());
            assert_eq!(read_all(deps, project_id, None).await.events, []);
            commit.send(()).unwrap();
            fast.await.unwrap();
        }
        slow.await.unwrap();
        sequence_all(deps).await;
        let page = read_all(deps, project_id, cursor).await;
        let expected: &[u64] = if cursor.is_some() { &[1] } else { &[1, 2] };
        assert_eq!(numbers(&page.events), expected);
        assert_eq!(page.position, 2);
    })
    .await;
}

#[tokio::test]
async fn positions_are_gap_free_and_unique_however_many_sequencers_race() {
    on_each_database(async |bench| {
        const WRITERS: usize = 6;
        const TRANSACTIONS: usize = 25;
        const EVENTS: usize = 3;
        const ALL: usize = WRITERS * TRANSACTIONS * EVENTS;
        let deps = &bench.deps;
        let project_id = &bench.insert_project().await;
        let writers = (0..WRITERS).map(|writer| async move {
            for transaction in 0..TRANSACTIONS {
                let first = (writer * TRANSACTIONS + transaction) * EVENTS;
                let events: Vec<_> =
                    (first..first + EVENTS).map(|number| event(project_id, EventKind::UserUpdated, number)).collect();
                write(deps, &events).await;
            }
        });
        let sequencers = (0..3).map(|_| async {
            while newest(deps).await.unwrap() < ALL as i64 {
                sequence(deps).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        tokio::join!(join_all(writers), join_all(sequencers));
        let mut events = Vec::new();
        let mut after = None;
        loop {
            let page = read_all(deps, project_id, after).await;
            events.extend(page.events);
            after = Some(page.position);
            if !page.has_more {
                break;
            }
        }
        let positions: Vec<_> = events.iter().map(|event| event.position).collect();
        assert_eq!(positions, (1..=ALL as i64).collect::<Vec<_>>());
        // The order of one writer is kept, within a transaction and between them.
        let numbers = numbers(&events);
        for writer in 0..WRITERS as u64 {
            let per_writer = (TRANSACTIONS * EVENTS) as u64;
            let own: Vec<_> = numbers.iter().filter(|number| **number / per_writer == writer).collect();
            assert_eq!(own.len() as u64, per_writer);
            assert!(own.is_sorted(), "{own:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_event_exists_if_and_only_if_its_change_commits_and_shows_after_it_was_placed() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        let project_id = &bench.insert_project().await;
        let mut signals = deps.db.signals().subscribe();
        let failed: Result<()> = deps
            .db
            .write(async |tx| {
                record(deps, &tx, event(project_id, EventKind::UserCreated, 1)).await?;
                Err(crate::Error::internal("the change fails"))
            })
            .await;
        assert!(failed.is_err());
        write(deps, &[event(project_id, EventKind::UserCreated, 2)]).await;
        assert_eq!(signals.next().await, Signal::EventsWritten);
        assert_eq!(read_all(deps, project_id, None).await.events, []);
        sequence_all(deps).await;
        assert_eq!(signals.next().await, Signal::LogAdvanced { position: 1 });
        let page = read_all(deps, project_id, None).await;
        assert_eq!((numbers(&page.events), page.events[0].created_at), (vec![2], START));
    })
    .await;
}

#[tokio::test]
async fn a_reader_gets_what_fits_its_filter_and_goes_on_where_the_stretch_ended() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        let (project_id, other) = (&bench.insert_project().await, &bench.insert_project().await);
        let user_id = UserId::random();
        let mut about_user = event(project_id, EventKind::UserUpdated, 2);
        about_user.user_id = Some(user_id);
        write(deps, &[event(project_id, EventKind::UserCreated, 1), about_user]).await;
        write(deps, &[event(other, EventKind::UserCreated, 3), event(project_id, EventKind::UserCreated, 4)]).await;
        sequence_all(deps).await;
        let created = EventFilter { kinds: vec![EventKind::UserCreated], ..EventFilter::default() };
        let page = read(deps, project_id, None, &created, 1).await.unwrap();
        assert_eq!((numbers(&page.events), page.position, page.has_more), (vec![1], 1, true));
        let page = read(deps, project_id, Some(page.position), &created, 5).await.unwrap();
        assert_eq!((numbers(&page.events), page.position, page.has_more), (vec![4], 4, false));
        let of_user = EventFilter { user_id: Some(user_id), ..EventFilter::default() };
        let page = read(deps, project_id, Some(0), &of_user, 5).await.unwrap();
        assert_eq!((numbers(&page.events), page.position), (vec![2], 4), "a quiet reader's cursor moves on");
        let page = read_all(deps, other, Some(1)).await;
        assert_eq!((numbers(&page.events), page.position), (vec![3], 4));
    })
    .await;
}

#[tokio::test]
async fn events_past_the_retention_go_in_order_and_older_cursors_are_refused() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        let project_id = &bench.insert_project().await;
        let old: Vec<_> = (1..=150).map(|number| event(project_id, EventKind::UserUpdated, number)).collect();
        write(deps, &old).await;
        sequence_all(deps).await;
        bench.clock.advance_seconds(RETENTION_DAYS * 24 * 60 * 60);
        assert!(!prune_step(deps).await.unwrap(), "not past it yet");
        bench.clock.advance_seconds(1);
        write(deps, &[event(project_id, EventKind::UserUpdated, 151)]).await;
        sequence_all(deps).await;
        assert!(prune_step(deps).await.unwrap(), "a step removes a hundred");
        assert_eq!(oldest(deps).await.unwrap(), 100);
        assert_eq!(numbers(&read_all(deps, project_id, Some(100)).await.events)[0], 101);
        while prune_step(deps).await.unwrap() {}
        let all = EventFilter::default();
        for refused in [0, 149, 152] {
            let error = read(deps, project_id, Some(refused), &all, 5).await.unwrap_err();
            assert!(error.is(Code::CursorExpired), "{refused}");
        }
        assert_eq!(numbers(&read_all(deps, project_id, Some(150)).await.events), [151]);
        assert_eq!(numbers(&read_all(deps, project_id, None).await.events), [151]);
        assert_eq!(newest(deps).await.unwrap(), 151);
    })
    .await;
}

#[tokio::test]
async fn nothing_is_removed_that_a_cursor_has_yet_to_pass() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        let project_id = &bench.insert_project().await;
        let consumed = async || deps.db.write(async |tx| consume(deps, &tx, "test").await).await.unwrap();
        assert_eq!(consumed().await, []);
        write(deps, &[event(project_id, EventKind::UserCreated, 1)]).await;
        sequence_all(deps).await;
        bench.clock.advance_seconds(RETENTION_DAYS * 24 * 60 * 60 + 1);
        prune_step(deps).await.unwrap();
        assert!(has_unconsumed(deps, "test").await.unwrap());
        assert_eq!(numbers(&consumed().await), [1]);
        assert!(!has_unconsumed(deps, "test").await.unwrap());
        prune_step(deps).await.unwrap();
        assert_eq!(oldest(deps).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_consumer_deals_with_each_event_once_and_again_when_its_transaction_failed() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        let project_id = &bench.insert_project().await;
        let events: Vec<_> = (1..=250).map(|number| event(project_id, EventKind::UserUpdated, number)).collect();
        write(deps, &events).await;
        sequence_all(deps).await;
        let failed: Result<()> = deps
            .db
            .write(async |tx| {
                assert_eq!(consume(deps, &tx, "test").await?.len(), 100);
                Err(crate::Error::internal("the work fails"))
            })
            .await;
        assert!(failed.is_err());
        let workers = (0..3).map(|_| async {
            let mut seen = Vec::new();
            while has_unconsumed(deps, "test").await.unwrap() {
                seen.extend(deps.db.write(async |tx| consume(deps, &tx, "test").await).await.unwrap());
                tokio::task::yield_now().await;
            }
            seen
        });
        let mut seen: Vec<_> = join_all(workers).await.concat();
        seen.sort_by_key(|event| event.position);
        assert_eq!(numbers(&seen), (1..=250).collect::<Vec<_>>());
        // Another consumer has a cursor of its own.
        assert!(has_unconsumed(deps, "other").await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn payloads_of_a_deleted_user_are_erased_once_every_cursor_has_passed_them() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        let project_id = &bench.insert_project().await;
        let (user_id, other) = (UserId::random(), UserId::random());
        let about = |user_id, kind, number| NewEvent { user_id: Some(user_id), ..event(project_id, kind, number) };
        let mut events: Vec<_> = (1..=120).map(|number| about(user_id, EventKind::UserUpdated, number)).collect();
        events.extend([about(user_id, EventKind::UserDeleted, 121), about(other, EventKind::UserUpdated, 122)]);
        let deleted = async |tx: Tx| {
            record_all(deps, &tx, events.clone()).await?;
            consume(deps, &tx, "test").await?;
            erase_user(deps, &tx, project_id, user_id).await
        };
        deps.db.write(deleted).await.unwrap();
        let lane = crate::queue::Lane::General;
        let job = crate::queue::claim(deps, lane, "test", 1, Duration::from_secs(60), crate::queue::Suspects::Any)
            .await
            .unwrap()
            .remove(0);
        let job: EraseUserEvents = serde_json::from_value(job.payload).unwrap();
        assert_eq!(erase_step(deps, &job).await.unwrap(), Left::Waiting, "not even placed");
        sequence_all(deps).await;
        assert_eq!(erase_step(deps, &job).await.unwrap(), Left::Waiting, "not yet consumed");
        assert_eq!(numbers(&read_all(deps, project_id, None).await.events).len(), 122);
        while !deps.db.write(async |tx| consume(deps, &tx, "test").await).await.unwrap().is_empty() {}
        assert_eq!(erase_step(deps, &job).await.unwrap(), Left::More, "a step erases a hundred");
        assert_eq!(erase_step(deps, &job).await.unwrap(), Left::Nothing);
        let events = read_all(deps, project_id, None).await.events;
        let kept: Vec<_> = events.into_iter().filter(|event| event.payload.is_some()).collect();
        assert_eq!(numbers(&kept), [121, 122]);
    })
    .await;
}
