//! What is in a database: its schema, and how many rows each table has. Read past Postern, as an operator would compare two.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement};

const POSTGRES_SCHEMA: &str = "
    SELECT format('column %s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default)
        FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT format('index %s', indexdef) FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT format('trigger %s', pg_get_triggerdef(oid)) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT format('extension %s', extname) FROM pg_extension";
const POSTGRES_TABLES: &str = "SELECT format('%s', table_name) FROM information_schema.tables
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE'";

const SQLITE_SCHEMA: &str = "SELECT type || ' ' || name || ' ' || COALESCE(sql, '') FROM sqlite_master";
/// Without those in which the index of a search keeps its pages: how many these are says nothing.
const SQLITE_TABLES: &str =
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'user\\_search\\_text%' ESCAPE '\\'";

/// What is in a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// One line for each column, index, constraint and so on.
    pub(super) schema: BTreeSet<String>,
    /// Of each table.
    rows: BTreeMap<String, i64>,
}

impl Contents {
    /// Reads a database. The file of SQLite may be missing still.
    pub(super) async fn read(database_url: &str) -> Result<Self> {
        let is_file = database_url.starts_with("sqlite:");
        let url = format!("{database_url}{}", if is_file { "?mode=rwc" } else { "" });
        let connection = Database::connect(url).await?;
        let read = Self::read_from(&connection).await;
        connection.close().await?;
        read.with_context(|| database_url.to_owned())
    }

    async fn read_from(connection: &DatabaseConnection) -> Result<Self> {
        let (schema, tables) = match connection.get_database_backend() {
            DbBackend::Sqlite => (SQLITE_SCHEMA, SQLITE_TABLES),
            _ => (POSTGRES_SCHEMA, POSTGRES_TABLES),
        };
        let mut contents = Self { schema: texts(connection, schema).await?.into_iter().collect(), ..Self::default() };
        for table in texts(connection, tables).await? {
            let statement = format!(r#"SELECT COUNT(*) FROM "{table}""#);
            let statement = Statement::from_string(connection.get_database_backend(), statement);
            let row = connection.query_one_raw(statement).await?.context("a count without a row")?;
            contents.rows.insert(table, row.try_get_by_index(0)?);
        }
        Ok(contents)
    }

    /// What is only here (`+`), and what is only there (`-`); nothing when both are the same.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let (here, there) = (self.lines(), other.lines());
        let more = here.difference(&there).map(|line| format!("+ {line}"));
        let less = there.difference(&here).map(|line| format!("- {line}"));
        more.chain(less).collect()
    }

    fn lines(&self) -> BTreeSet<String> {
        let rows = self.rows.iter().map(|(table, count)| format!("{count} rows in {table}"));
        self.schema.iter().cloned().chain(rows).collect()
    }
}

/// The first column of what a statement finds.
async fn texts(connection: &DatabaseConnection, sql: &str) -> Result<Vec<String>> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let rows = connection.query_all_raw(statement).await?;
    let texts: Result<Vec<String>, DbErr> = rows.iter().map(|row| row.try_get_by_index(0)).collect();
    Ok(texts?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_from_both_sides() {
        let contents = |schema: &[&str], rows: &[(&str, i64)]| Contents {
            schema: schema.iter().map(|line| (*line).to_owned()).collect(),
            rows: rows.iter().map(|(table, count)| ((*table).to_owned(), *count)).collect(),
        };
        let whole = contents(&["table a", "index b"], &[("a", 2)]);
        assert!(whole.differences(&whole.clone()).is_empty());
        let other = contents(&["table a", "index c"], &[("a", 1)]);
        assert_eq!(other.differences(&whole), ["+ 1 rows in a", "+ index c", "- 2 rows in a", "- index b"]);
    }

    #[tokio::test]
    async fn a_file_is_read_and_may_be_missing_still() {
        let dir = tempfile::TempDir::new().unwrap();
        let url = format!("sqlite://{}", dir.path().join("some.db").display());
        assert_eq!(Contents::read(&url).await.unwrap(), Contents::default());

        let connection = Database::connect(&url).await.unwrap();
        let sql =
            "CREATE TABLE one (id INTEGER PRIMARY KEY); CREATE INDEX other ON one (id); INSERT INTO one VALUES (7)";
        connection.execute_unprepared(sql).await.unwrap();
        connection.close().await.unwrap();
        let contents = Contents::read(&url).await.unwrap();
        assert!(contents.schema.iter().any(|line| line.starts_with("index other ")), "{contents:?}");
        assert_eq!(contents.rows, BTreeMap::from([("one".to_owned(), 1)]));
    }
}
