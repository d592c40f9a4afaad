use futures::future::join_all;
use postern_entity::{
    ContactChannelId, PasswordHash, ProjectId, Timestamp, UserId, contact_channel, event_consumer, user,
};
use serde_json::json;
use tokio::task::yield_now;

use super::*;
use crate::{
    db::may_come_back,
    testing::{TestBench, on_each_database},
};

/// A row of a table where it disturbs nobody.
fn consumer(name: &str) -> NewRows {
    let mut rows = NewRows::default();
    rows.add(event_consumer::Model { name: name.to_owned(), position: -7, updated_at: Timestamp(1) });
    rows.raise(Signal::EventsWritten);
    rows
}

async fn consumers(db: &Db) -> Vec<String> {
    let rows = event_consumer::Entity::find().all(db.read()).await.unwrap();
    rows.into_iter().map(|row| row.name).collect()
}

/// A row in which every column says something, and what is hard to write stands somewhere.
fn full_user(project_id: &ProjectId) -> user::Model {
    let hard = "\"quoted\" \\ back\nline, ünïcödé 🎈 {brace}, $1 ? NULL \\x00";
    let metadata = json!({"a": [1, -2.5, 9_007_199_254_740_993_i64, true, null], "": {"b": hard}});
    user::Model {
        id: UserId::random(),
        project_id: project_id.clone(),
        display_name: Some(hard.to_owned()),
        display_name_folded: Some(String::new()),
        profile_image_url: None,
        client_metadata: Some(metadata.clone()),
        client_read_only_metadata: Some(json!("text")),
        server_metadata: Some(json!([metadata])),
        signed_up_at: Timestamp(i64::from(u32::MAX) * 1000),
        last_active_at: Timestamp(0),
        password_hash: Some(PasswordHash(hard.to_owned())),
        otp_auth_enabled: true,
        requires_totp_mfa: false,
        totp_secret: Some((0..=255).collect()),
        totp_last_step: None,
        is_anonymous: false,
        restricted_by_admin: true,
        restricted_by_admin_reason: Some("null".to_owned()),
        restricted_by_admin_private_details: None,
        country_code: Some("DE".to_owned()),
        risk_bot: -1,
        risk_free_trial_abuse: i32::MAX,
        created_at: Timestamp(1),
        updated_at: Timestamp(2),
    }
}

fn address(user: &user::Model, value: &str) -> contact_channel::Model {
    contact_channel::Model {
        id: ContactChannelId::random(),
        project_id: user.project_id.clone(),
        user_id: user.id,
        kind: "email".to_owned(),
        value: value.to_owned(),
        is_primary: true,
        is_verified: false,
        used_for_auth: true,
        created_at: Timestamp(3),
    }
}

fn user_with_address(project_id: &ProjectId, value: &str) -> (UserId, NewRows) {
    let (mut rows, user) = (NewRows::default(), full_user(project_id));
    rows.add(user.clone());
    rows.add(address(&user, value));
    (user.id, rows)
}

/// How many users and addresses there are.
async fn counts(bench: &TestBench) -> (usize, usize) {
    let reader = bench.deps.db.read();
    let users = user::Entity::find().all(reader).await.unwrap().len();
    (users, contact_channel::Entity::find().all(reader).await.unwrap().len())
}

#[tokio::test]
async fn every_value_arrives_as_it_was() {
    on_each_database(|bench| async move {
        let (db, project_id) = (&bench.deps.db, bench.insert_project().await);
        let mut users: Vec<_> = (0..3).map(|_| full_user(&project_id)).collect();
        // And one in which whatever can be missing is.
        users.push(user::Model {
            display_name: None,
            display_name_folded: None,
            client_metadata: None,
            client_read_only_metadata: None,
            server_metadata: None,
            password_hash: None,
            totp_secret: None,
            country_code: None,
            ..full_user(&project_id)
        });
        let channel = address(&users[1], "ada+ünï@example.com");
        let (mut alone, mut together) = (NewRows::default(), NewRows::default());
        alone.add(users[0].clone());
        users[1..].iter().for_each(|user| together.add(user.clone()));
        together.add(channel.clone());
        db.add(alone).await.unwrap();
        let within = &together;
        db.write(|tx| async move { within.clone().write(&tx).await }).await.unwrap();
        for user in users {
            let found = user::Entity::find_by_id(user.id).one(db.read()).await.unwrap().unwrap();
            assert_eq!(found, user);
        }
        let found = contact_channel::Entity::find_by_id(channel.id).one(db.read()).await.unwrap().unwrap();
        assert_eq!(found, channel);
        db.add(NewRows::default()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_row_that_is_put_is_added_or_replaced_in_the_columns_named() {
    on_each_database(|bench| async move {
        let db = &bench.deps.db;
        let all = |position: i64, updated_at: i64| {
            let mut rows = NewRows::default();
            for number in 0..70 {
                let (name, updated_at) = (format!("{number:02}"), Timestamp(updated_at));
                let row = event_consumer::Model { name, position: position + number, updated_at };
                rows.put(row, &[event_consumer::Column::Position]);
            }
            rows
        };
        for (position, updated_at) in [(100, 1), (500, 2)] {
            let rows = all(position, updated_at);
            db.write(|tx| {
                let rows = rows.clone();
                async move { rows.write(&tx).await }
            })
            .await
            .unwrap();
            let mut found = event_consumer::Entity::find().all(db.read()).await.unwrap();
            found.retain(|row| row.name.len() == 2);
            found.sort_by(|one, other| one.name.cmp(&other.name));
            let seen: Vec<_> = found.iter().map(|row| (row.position, row.updated_at)).collect();
            // The time is not among what is replaced.
            let expected: Vec<_> = (0..70).map(|number| (position + number, Timestamp(1))).collect();
            assert_eq!(seen, expected);
        }
        // One that is only added must not be there.
        let error = db.add(consumer("00")).await.unwrap_err();
        assert!(is_refused(&error), "{error}");
    })
    .await;
}

#[test]
fn sqlite_gets_few_different_statements() {
    let rows: Vec<_> = (0..150).collect();
    let parts: Vec<_> = in_powers_of_two(&rows).collect();
    assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [64, 64, 16, 4, 2]);
    assert_eq!(parts.concat(), rows);
    assert_eq!(in_powers_of_two(&[0; 0]).count(), 0);
}

#[tokio::test]
async fn of_additions_that_share_a_statement_only_those_at_fault_fail_and_whole() {
    on_each_database(|mut bench| async move {
        let project_id = &bench.insert_project().await;
        let watch = bench.deps.db.watch();
        let (db, mut signals) = (&bench.deps.db, bench.deps.db.signals().subscribe());
        // Every tenth wants an address that another one has.
        let additions = (0..60).map(|number| async move {
            let value = if number % 10 == 3 { "taken".to_owned() } else { format!("{number}") };
            let (id, mut rows) = user_with_address(project_id, &value);
            rows.raise(Signal::EventsWritten);
            (number, id, db.add(rows).await)
        });
        let outcomes = join_all(additions).await;
        let failed: Vec<_> = outcomes.iter().filter(|(_, _, outcome)| outcome.is_err()).collect();
        assert_eq!(failed.len(), 5);
        assert!(failed.iter().all(|(number, ..)| number % 10 == 3), "{failed:?}");
        for (number, id, outcome) in &outcomes {
            let found = user::Entity::find_by_id(*id).one(db.read()).await.unwrap();
            assert_eq!(found.is_some(), outcome.is_ok(), "{number}: {outcome:?}");
            assert!(outcome.as_ref().err().is_none_or(|error| matches!(error, Error::Database(_))), "{outcome:?}");
        }
        assert_eq!(counts(&bench).await, (55, 55));
        assert!(watch.commits() < 40, "{}", watch.commits());
        assert_eq!(signals.try_next(), Some(Signal::EventsWritten));
    })
    .await;
}

#[tokio::test]
async fn what_gathers_is_few_statements() {
    on_each_database(|mut bench| async move {
        let watch = bench.deps.db.watch();
        let db = &bench.deps.db;
        let names: Vec<_> = (0..50).map(|number| format!("{number:02}")).collect();
        join_all(names.iter().map(|name| db.add(consumer(name)))).await.into_iter().for_each(|added| added.unwrap());
        let statements = watch.take_statements();
        assert!(watch.commits() <= 3, "{}", watch.commits());
        if db.backend() == Backend::Postgres {
            assert!(statements.len() <= 3, "{statements:?}");
            // The same text, whatever the number of rows.
            assert!(statements.iter().all(|text| *text == statements[0]), "{statements:?}");
        } else {
            assert!(statements.len() <= 10, "{statements:?}");
        }
        let mut there = consumers(db).await;
        there.sort_unstable();
        assert_eq!(there, names);
    })
    .await;
}

#[tokio::test]
async fn whoever_goes_away_takes_nobody_along_and_leaves_nothing_half_done() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let tasks: Vec<_> = (0..200_usize)
            .map(|number| {
                let (db, (id, rows)) = (bench.deps.db.clone(), user_with_address(&project_id, &number.to_string()));
                (number, id, tokio::spawn(async move { db.add(rows).await }))
            })
            .collect();
        let mut kept = Vec::new();
        for (number, id, task) in tasks {
            if number % 3 == 0 {
                kept.push((id, task));
            } else {
                for _ in 0..number % 7 {
                    yield_now().await;
                }
                task.abort();
            }
        }
        for (id, task) in kept {
            task.await.unwrap().unwrap();
            assert!(user::Entity::find_by_id(id).one(bench.deps.db.read()).await.unwrap().is_some());
        }
        // After whatever was still under way.
        bench.deps.db.add(consumer("last")).await.unwrap();
        let (users, addresses) = counts(&bench).await;
        assert_eq!(users, addresses);
    })
    .await;
}

#[tokio::test]
async fn a_statement_that_is_never_answered_does_not_hold_up_the_next_ones_for_ever() {
    on_each_database(|bench| async move {
        let db = &bench.deps.db;
        if db.backend() == Backend::Sqlite {
            return;
        }
        // Whoever adds the same key waits for this transaction, which does not end.
        let holder = db.begin().await.unwrap();
        write_as_json(&holder, [&consumer("held")]).await.unwrap();
        let additions = gather(Duration::from_secs(1));
        let add = async |name| additions.get((db.clone(), Arc::new(consumer(name)))).await.unwrap();
        let error = add("held").await.unwrap_err();
        assert!(may_come_back(&error), "{error}");
        add("free").await.unwrap();
        holder.rollback().await.unwrap();
        assert!(consumers(db).await.contains(&"free".to_owned()));
    })
    .await;
}
