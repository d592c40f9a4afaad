//! Rows of several tables, new ones and such as replace others, that become durable together, and with them what other requests
//! add at the same time: a few statements and one commit for all of them.
//!
//! PostgreSQL gets the rows of a table as one JSON text, and all tables in one statement, which needs no transaction around it. So
//! there is one to prepare for each set of tables, however many rows there are. SQLite gets the rows of a table in powers of
//! two, for the same reason.

use std::{sync::Arc, time::Duration};

use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, EntityName, EntityTrait, IdenStatic, IntoActiveModel, Iterable,
    PrimaryKeyToColumn, Value,
};
use serde::{Serialize, Serializer, ser::Error as _};

#[cfg(any(test, feature = "testing"))]
use super::Watch;
use super::{Backend, Db, PATIENCE, Tx, is_refused, patiently, refusal::lost_race, statement};
use crate::{
    batch::Batcher,
    error::{Error, Result},
    signal::{Raised, Signal},
};

/// How many additions may be made at once.
const MAX_SHARED: usize = 64;
/// How many rows of a table one statement of SQLite writes. A power of two.
const MAX_ROWS: usize = 64;

/// What gathers additions. Each comes with its database, which is the same for all.
pub(super) type Additions = Batcher<(Db, Arc<NewRows>), Result<()>>;

/// Rows to be written, in an order in which each refers to earlier ones only, and the signals to be told once they are there.
#[derive(Clone, Default)]
pub(crate) struct NewRows {
    tables: Vec<Table>,
    raised: Raised,
}

#[derive(Clone)]
struct Table {
    name: &'static str,
    /// Those that the rows set; the others get their defaults.
    columns: Vec<&'static str>,
    /// Where a row with the same key may be there.
    replaced: Replaced,
    rows: Vec<Vec<Value>>,
}

/// By which key a row may be there, and what is replaced of it; both empty where there must be none.
#[derive(Clone, Default, PartialEq, Eq)]
struct Replaced {
    key: Vec<&'static str>,
    columns: Vec<&'static str>,
}

impl Replaced {
    /// The end of the statement. Both databases know it.
    fn clause(&self) -> String {
        if self.key.is_empty() {
            return String::new();
        }
        let sets = self.columns.iter().map(|column| format!("\"{column}\" = excluded.\"{column}\""));
        let sets = sets.collect::<Vec<_>>().join(", ");
        format!(" ON CONFLICT ({}) DO UPDATE SET {sets}", quoted(&self.key))
    }
}

impl NewRows {
    /// Adds a row.
    pub(crate) fn add<A>(&mut self, row: impl IntoActiveModel<A>)
    where
        A: ActiveModelTrait,
    {
        self.push(row, Replaced::default());
    }

    /// Adds a row, or replaces `columns` in the row with the same primary key. No row may be put twice.
    pub(crate) fn put<A>(&mut self, row: impl IntoActiveModel<A>, columns: &[<A::Entity as EntityTrait>::Column])
    where
        A: ActiveModelTrait,
    {
        let key = <A::Entity as EntityTrait>::PrimaryKey::iter().map(|part| part.into_column().as_str()).collect();
        let columns = columns.iter().map(IdenStatic::as_str).collect();
        self.push(row, Replaced { key, columns });
    }

    fn push<A>(&mut self, row: impl IntoActiveModel<A>, replaced: Replaced)
    where
        A: ActiveModelTrait,
    {
        let (row, name) = (row.into_active_model(), <A::Entity as Default>::default().table_name());
        let set = <A::Entity as EntityTrait>::Column::iter().filter_map(|column| match row.get(column) {
            ActiveValue::Set(value) | ActiveValue::Unchanged(value) => Some((column.as_str(), value)),
            ActiveValue::NotSet => None,
        });
        let (columns, values) = set.unzip();
        let new = Table { name, columns, replaced, rows: vec![values] };
        self.merge(new);
    }

    fn merge(&mut self, new: Table) {
        match self.tables.iter_mut().find(|known| known.takes_as(&new)) {
            Some(known) => known.rows.extend(new.rows),
            None => self.tables.push(new),
        }
    }

    /// How many rows there are.
    pub(crate) fn count(&self) -> usize {
        self.tables.iter().map(|table| table.rows.len()).sum()
    }

    /// Adds rows that were gathered elsewhere, after those that are here.
    pub(crate) fn append(&mut self, later: Self) {
        later.tables.into_iter().for_each(|table| self.merge(table));
        self.raised.extend([&later.raised]);
    }

    /// Tells `signal` once the rows are durable.
    pub(crate) fn raise(&mut self, signal: Signal) {
        self.raised.raise(signal);
    }

    /// Writes the rows within a transaction.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn write(self, tx: &Tx) -> Result<()> {
        match tx.backend() {
            Backend::Sqlite => {
                for table in &self.tables {
                    for rows in in_powers_of_two(&table.rows) {
                        let text = table.with_values(rows.len());
                        tx.execute_raw(statement(&**tx, &text, rows.iter().flatten().cloned())).await?;
                    }
                }
            }
            Backend::Postgres => write_as_json(&**tx, [&self]).await?,
        }
        tx.raise_all(&self.raised);
        Ok(())
    }
}

impl Table {
    /// Whether rows of the other one can be written as rows of this one.
    fn takes_as(&self, other: &Self) -> bool {
        self.name == other.name && self.columns == other.columns && self.replaced == other.replaced
    }

    /// With a place for each value of so many rows.
    fn with_values(&self, count: usize) -> String {
        let row = format!("({})", vec!["?"; self.columns.len()].join(", "));
        let (columns, rows) = (quoted(&self.columns), vec![row; count].join(", "));
        format!("INSERT INTO \"{}\" ({columns}) VALUES {rows}{}", self.name, self.replaced.clause())
    }
}

/// Parts of which each is as long as a power of two says, up to [`MAX_ROWS`].
fn in_powers_of_two<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = 1 << rows.len().min(MAX_ROWS).checked_ilog2()?;
        let (part, rest) = rows.split_at(length);
        rows = rest;
        Some(part)
    })
}

fn quoted(columns: &[&str]) -> String {
    columns.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ")
}

/// The rows of one table, of one or several additions.
struct Together<'a> {
    table: &'a Table,
    rows: Vec<&'a [Value]>,
}

impl<'a> Together<'a> {
    fn all(additions: impl IntoIterator<Item = &'a NewRows>) -> Vec<Self> {
        let mut tables: Vec<Self> = Vec::new();
        for table in additions.into_iter().flat_map(|addition| &addition.tables) {
            let rows = table.rows.iter().map(Vec::as_slice);
            match tables.iter_mut().find(|known| known.table.takes_as(table)) {
                Some(known) => known.rows.extend(rows),
                None => tables.push(Self { table, rows: rows.collect() }),
            }
        }
        tables
    }

    /// With one place for all rows, the `number`th of the statement.
    fn insert(&self, number: usize) -> String {
        let (name, columns) = (self.table.name, quoted(&self.table.columns));
        let rows = format!("json_populate_recordset(NULL::\"{name}\", ${number}::json)");
        format!("INSERT INTO \"{name}\" ({columns}) SELECT {columns} FROM {rows}{}", self.table.replaced.clause())
    }

    /// The rows as objects.
    fn json(&self) -> Result<String> {
        let columns = &self.table.columns;
        let objects: Vec<_> = self.rows.iter().map(|values| Object { columns, values }).collect();
        serde_json::to_string(&objects).map_err(Error::internal)
    }
}

/// Rows of the same table follow each other as they were added; foreign keys are checked when all of them are there.
async fn write_as_json(connection: &impl ConnectionTrait, additions: impl IntoIterator<Item = &NewRows>) -> Result<()> {
    let tables = Together::all(additions);
    let mut inserts: Vec<_> = tables.iter().zip(1..).map(|(table, number)| table.insert(number)).collect();
    let Some(last) = inserts.pop() else { return Ok(()) };
    let earlier: Vec<_> =
        inserts.iter().zip(1..).map(|(insert, number)| format!("added_{number} AS ({insert})")).collect();
    let text = if earlier.is_empty() { last } else { format!("WITH {} {last}", earlier.join(", ")) };
    let values: Vec<Value> = tables.iter().map(|table| Ok(table.json()?.into())).collect::<Result<_>>()?;
    connection.execute_raw(statement(connection, &text, values)).await?;
    Ok(())
}

struct Object<'a> {
    columns: &'a [&'static str],
    values: &'a [Value],
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.columns.iter().zip(self.values.iter().map(Cell)))
    }
}

/// A value in the form that PostgreSQL reads into its column.
struct Cell<'a>(&'a Value);

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bool(value) => value.serialize(serializer),
            Value::Int(value) => value.serialize(serializer),
            Value::BigInt(value) => value.serialize(serializer),
            Value::String(value) => value.serialize(serializer),
            Value::Json(value) => value.serialize(serializer),
            Value::Uuid(value) => value.serialize(serializer),
            Value::Bytes(value) => {
                value.as_ref().map(|bytes| format!("\\x{}", hex::encode(bytes))).serialize(serializer)
            }
            _ => Err(S::Error::custom("a column of a type that new rows cannot have")),
        }
    }
}

impl Db {
    /// Adds rows in an operation of their own.
    ///
    /// # Errors
    /// Those of the database; nothing is added then.
    pub(crate) async fn add(&self, rows: NewRows) -> Result<()> {
        let rows = Arc::new(rows);
        let additions = self.additions.get_or_init(|| gather(PATIENCE));
        match patiently(PATIENCE, additions.get((self.clone(), Arc::clone(&rows)))).await? {
            // Run again, as often as it takes.
            Err(Error::Database(error)) if lost_race(&error) => self.add_in_transaction(&rows).await,
            outcome => outcome,
        }
    }

    async fn add_in_transaction(&self, rows: &NewRows) -> Result<()> {
        self.write(|tx| async move { rows.clone().write(&tx).await }).await
    }

    /// Adds everything or nothing.
    async fn add_all(&self, additions: &[Arc<NewRows>]) -> Result<()> {
        if self.backend == Backend::Sqlite || self.reader.pooled {
            let mut all = NewRows::default();
            additions.iter().for_each(|addition| all.append(NewRows::clone(addition)));
            return self.add_in_transaction(&all).await;
        }
        write_as_json(&self.writer, additions.iter().map(|addition| &**addition)).await?;
        // Here and not by those who asked: they may have gone away, and others must hear of it.
        let mut raised = Raised::default();
        raised.extend(additions.iter().map(|addition| &addition.raised));
        self.signals.send_all(raised);
        #[cfg(any(test, feature = "testing"))]
        self.watch.iter().for_each(Watch::committed);
        Ok(())
    }
}

/// What takes longer than `patience` is given up.
fn gather(patience: Duration) -> Additions {
    Batcher::start(MAX_SHARED, move |gathered: Vec<(Db, Arc<NewRows>)>| async move {
        let (databases, additions): (Vec<_>, Vec<_>) = gathered.into_iter().unzip();
        let mut outcomes = Vec::with_capacity(additions.len());
        if let Some(db) = databases.first() {
            add_together(db, patience, &additions, &mut outcomes).await;
        }
        Ok(outcomes)
    })
}

/// Adds everything at once. If that is refused, each half is tried by itself, so that only those fail of which it is the fault.
async fn add_together(db: &Db, patience: Duration, additions: &[Arc<NewRows>], outcomes: &mut Vec<Result<()>>) {
    match patiently(patience, db.add_all(additions)).await {
        Ok(()) => outcomes.extend(additions.iter().map(|_| Ok(()))),
        Err(error) if additions.len() == 1 => outcomes.push(Err(error)),
        Err(error) if is_refused(&error) => {
            let (left, right) = additions.split_at(additions.len() / 2);
            Box::pin(add_together(db, patience, left, outcomes)).await;
            Box::pin(add_together(db, patience, right, outcomes)).await;
        }
        Err(error) => {
            let error = Arc::new(error);
            outcomes.extend(additions.iter().map(|_| Err(Error::Shared(Arc::clone(&error)))));
        }
    }
}

#[cfg(test)]
mod tests;
