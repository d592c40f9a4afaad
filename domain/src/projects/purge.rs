//! Removing what a deleted project leaves behind, a few rows at a time, so that nobody queues behind it.

use sea_orm::ConnectionTrait;

use super::{jobs::PurgeProject, store};
use crate::{
    Deps,
    db::{Backend, Tx},
    error::Result,
    payments,
};

/// The tables that may hold many rows of one project, and how many rows one transaction removes. Rows that hang on them go
/// along. What is in no table here is little, and goes with the project's own row.
const TABLES: &[(&str, u32)] = &[
    ("event", 100),
    ("job", 100),
    ("email", 100),
    // Each may have a quarter of a megabyte of source.
    ("email_batch", 5),
    ("email_draft", 25),
    // Each may have deliveries to many endpoints, with many attempts.
    ("webhook_message", 5),
    ("webhook_endpoint", 5),
    ("idempotency", 100),
    ("verification_code", 100),
    ("cli_login", 100),
    ("oauth_visit", 100),
    ("sign_up_rule_trigger", 100),
    // Up to a megabyte each.
    ("image", 5),
    ("stripe_event", 25),
    ("stripe_customer", 100),
    // Each may have invoices and operations, and may go on at Stripe.
    (PURCHASE, 25),
    ("product_version", 25),
    ("item_change", 100),
    ("item_balance", 25),
    ("user", 25),
    ("team", 25),
    ("key_set", 100),
];

/// Removed by its feature.
const PURCHASE: &str = "purchase";

/// Whether there is more to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purged {
    /// Call again.
    More,
    /// Everything is gone, the project's row included.
    Everything,
}

/// Removes some of what is left of a deleted project. One that is not marked as deleted is left alone.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn purge_step(deps: &Deps, job: &PurgeProject) -> Result<Purged> {
    deps.db
        .write(|tx| async move {
            if !store::hold_deleted(&tx, &job.project_id).await? {
                return Ok(Purged::Everything);
            }
            for (table, batch) in TABLES {
                let removed = match *table {
                    PURCHASE => payments::remove_some(deps, &tx, &job.project_id, u64::from(*batch)).await?,
                    table => remove_some(&tx, table, *batch, job).await?,
                };
                if removed > 0 {
                    return Ok(Purged::More);
                }
            }
            store::remove_deleted(&tx, &job.project_id).await?;
            Ok(Purged::Everything)
        })
        .await
}

async fn remove_some(tx: &Tx, table: &str, batch: u32, job: &PurgeProject) -> Result<u64> {
    // Tables differ in their keys; the place of a row is a key that all have.
    let sql = match tx.backend() {
        Backend::Sqlite => format!(
            r#"DELETE FROM "{table}" WHERE rowid IN (SELECT rowid FROM "{table}" WHERE project_id = $1 LIMIT {batch})"#
        ),
        Backend::Postgres => format!(
            r#"DELETE FROM "{table}" WHERE ctid = ANY(ARRAY(SELECT ctid FROM "{table}" WHERE project_id = $1 LIMIT {batch}))"#
        ),
    };
    let statement = crate::db::statement(&**tx, &sql, [job.project_id.as_str().into()]);
    Ok(tx.execute_raw(statement).await?.rows_affected())
}

#[cfg(test)]
mod tests {
    use sea_orm::Statement;

    use super::*;
    use crate::testing::TestBench;

    #[tokio::test]
    async fn every_table_of_a_project_is_removed_one_way_or_another() {
        let database = crate::testing::TestDatabase::sqlite().await;
        let bench = TestBench::on(&database).await;
        let names = |sql: String| async {
            let rows =
                bench.deps.db.read().query_all_raw(Statement::from_string(sea_orm::DbBackend::Sqlite, sql)).await;
            rows.unwrap().iter().map(|row| row.try_get::<String>("", "name").unwrap()).collect::<Vec<_>>()
        };
        let tables = names("SELECT name FROM sqlite_master WHERE type = 'table'".to_owned()).await;
        let small = ["config_override", "email_quota", "stripe_account", "sign_up_rule_total"];
        let mut seen = 0;
        for table in &tables {
            if names(format!("SELECT name FROM pragma_table_info('{table}') WHERE name = 'project_id'"))
                .await
                .is_empty()
            {
                continue;
            }
            seen += 1;
            // Follows `ON DELETE CASCADE` up to a table that is removed by name.
            let mut owners = vec![table.clone()];
            let is_removed = loop {
                let Some(owner) = owners.pop() else { break false };
                if TABLES.iter().any(|(name, _)| *name == owner) || small.contains(&owner.as_str()) {
                    break true;
                }
                owners.extend(
                    names(format!(
                        "SELECT \"table\" AS name FROM pragma_foreign_key_list('{owner}') WHERE on_delete = 'CASCADE' AND \"table\" <> 'project'"
                    ))
                    .await,
                );
            };
            assert!(is_removed, "{table} is missing in the list");
        }
        assert!(seen > TABLES.len());
    }
}
