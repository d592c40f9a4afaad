//! How far the log's own work is behind, for operators.

use sea_orm::{ConnectionTrait, QueryResult};

use crate::{Deps, Error, Result, db::statement};

/// What of the log is still to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogLag {
    /// For how long the oldest event without a place has waited for it, in milliseconds.
    pub waiting_millis: u64,
    /// By cursor, how many placed events it has not passed yet.
    pub consumers: Vec<(String, u64)>,
}

/// Measures it by one statement of a few rows.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn lag(deps: &Deps) -> Result<LogLag> {
    let connection = deps.db.read();
    let sql = "SELECT NULL AS name, position, (SELECT created_at FROM event WHERE position IS NULL ORDER BY seq LIMIT 1) \
               AS waiting_since FROM event_head UNION ALL SELECT name, position, NULL FROM event_consumer";
    let rows = connection.query_all_raw(statement(connection, sql, [])).await?;
    let (mut end, mut lag, mut cursors) = (0_i64, LogLag::default(), Vec::new());
    for row in &rows {
        let position = row.try_get("", "position")?;
        match row.try_get::<Option<String>>("", "name")? {
            Some(name) => cursors.push((name, position)),
            None => {
                end = position;
                lag.waiting_millis = waiting_millis(deps, row)?;
            }
        }
    }
    let behind = |position: i64| u64::try_from(end.saturating_sub(position)).unwrap_or(0);
    lag.consumers = cursors.into_iter().map(|(name, position)| (name, behind(position))).collect();
    Ok(lag)
}

fn waiting_millis(deps: &Deps, row: &QueryResult) -> Result<u64, Error> {
    let since = row.try_get::<Option<i64>>("", "waiting_since")?;
    Ok(since.and_then(|since| u64::try_from(deps.now().millis().saturating_sub(since)).ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        events::{EventKind, NewEvent, consume, record_all, sequence},
        testing::on_each_database,
    };

    #[tokio::test]
    async fn the_log_tells_what_waits_for_a_place_and_who_is_behind() {
        on_each_database(async |bench| {
            let deps = &bench.deps;
            let project_id = bench.insert_project().await;
            assert_eq!(lag(deps).await.unwrap(), LogLag::default());
            let event =
                NewEvent { project_id, kind: EventKind::UserCreated, user_id: None, team_id: None, payload: json!({}) };
            let write = async |count| {
                let events = vec![event.clone(); count];
                deps.db.write(async |tx| record_all(deps, &tx, events.clone()).await).await.unwrap();
            };
            write(1).await;
            bench.clock.advance_seconds(3);
            assert_eq!(lag(deps).await.unwrap().waiting_millis, 3000);
            sequence(deps).await.unwrap();
            deps.db.write(async |tx| consume(deps, &tx, "mine").await).await.unwrap();
            write(2).await;
            sequence(deps).await.unwrap();
            let expected = LogLag { waiting_millis: 0, consumers: vec![("mine".to_owned(), 2)] };
            assert_eq!(lag(deps).await.unwrap(), expected);
        })
        .await;
    }
}
