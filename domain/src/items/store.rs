//! Queries of balances, their open grants and sources, and the ledger; each is scoped by project. None begins a transaction.

use std::{collections::HashMap, time::Duration};

use postern_entity::{item_balance, item_grant, item_source};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, IdenStatic, IntoActiveModel, Iterable,
    QueryFilter, QueryOrder, QueryResult, QuerySelect, QueryTrait, Select, Value,
    sea_query::{Expr, ExprTrait, LockBehavior, LockType, OnConflict, SelectStatement},
};
use serde::Serialize;

use super::{Customer, CustomerType, balance::Balance, sources::Lasting};
use crate::{
    ItemBalanceId, ProjectId, Timestamp,
    db::{Backend, Held, NewRows, Tx, padded, statement},
    error::{Error, Result},
};

/// How many ids one statement asks for; below what either database takes.
const MAX_IDS: usize = 1000;

/// The columns of a [`Key`].
const KEY: [&str; 4] = ["project_id", "customer_type", "customer_id", "item_id"];

/// By whom and what a balance is found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Key {
    pub(super) project_id: ProjectId,
    pub(super) customer_type: CustomerType,
    pub(super) customer_id: String,
    pub(super) item_id: String,
}

/// The balance of a customer, held until the transaction ends.
pub(super) async fn lock(
    tx: &Tx,
    project_id: &ProjectId,
    customer: &Customer,
    item_id: &str,
) -> Result<Option<item_balance::Model>> {
    let mut select = of_customer(project_id, customer).filter(item_balance::Column::ItemId.eq(item_id));
    if tx.backend() == Backend::Postgres {
        QueryTrait::query(&mut select).lock(LockType::NoKeyUpdate);
    }
    Ok(select.one(&**tx).await?)
}

/// The balances that are there of these customers and items, whatever their projects, held until the transaction ends: in
/// the order of their keys, so that those who hold several do not wait for each other.
///
/// # Errors
/// Those of the database; on PostgreSQL [`Held`], when somebody else holds one of them for longer than `patience`.
pub(super) async fn lock_each(tx: &Tx, keys: &[&Key], patience: Duration) -> Result<Vec<item_balance::Model>> {
    let columns = columns::<item_balance::Entity>("", Some("balance"));
    let keys = serde_json::to_string(keys).map_err(Error::internal)?;
    // One text, however many are wanted.
    let statement = match tx.backend() {
        Backend::Postgres => {
            // Byte by byte, as purchases lock theirs, whatever the database sorts by.
            let in_order = KEY.map(|column| format!("{column} COLLATE \"C\"")).join(", ");
            // The rows are locked last of all, so the patience counts already; it does until the transaction ends.
            let sql = format!(
                "SELECT {columns} FROM (SELECT set_config('lock_timeout', $2, true)) AS patience CROSS JOIN \
                 json_to_recordset($1::json) \
                 AS wanted(project_id text, customer_type text, customer_id text, item_id text) \
                 JOIN item_balance AS balance USING (project_id, customer_type, customer_id, item_id) \
                 ORDER BY {in_order} FOR NO KEY UPDATE OF balance"
            );
            statement(&**tx, &sql, [keys.into(), format!("{}ms", patience.as_millis()).into()])
        }
        Backend::Sqlite => {
            let same = |column: &str| format!("balance.{column} = wanted.value ->> '{column}'");
            let same = KEY.map(same).join(" AND ");
            let sql =
                format!("SELECT {columns} FROM json_each($1) AS wanted CROSS JOIN item_balance AS balance ON {same}");
            statement(&**tx, &sql, [keys.into()])
        }
    };
    let rows = tx.query_all_raw(statement).await.map_err(Held::or)?;
    Ok(rows.iter().map(|row| item_balance::Model::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

/// Adds a balance, unless there is one of the same customer and item.
pub(super) async fn insert(tx: &Tx, row: item_balance::Model) -> Result<()> {
    item_balance::Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(&**tx)
        .await?;
    Ok(())
}

/// The balances of customers with what is open: of one item, or of all. One statement for each sort of customer and thousand
/// of them, so that nothing can change between a balance and its grants.
pub(super) async fn read(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    customers: &[Customer],
    item_id: Option<&str>,
) -> Result<Vec<Balance>> {
    let mut found = Vec::new();
    for kind in [CustomerType::User, CustomerType::Team, CustomerType::Custom] {
        let ids: Vec<_> = customers.iter().filter(|customer| customer.kind() == kind).map(Customer::id).collect();
        for ids in ids.chunks(MAX_IDS) {
            let mut values: Vec<Value> = vec![project_id.as_str().into(), kind.as_str().into()];
            let mut place = |value: &str| {
                values.push(value.into());
                format!("${}", values.len())
            };
            let ids: Vec<_> = ids.iter().map(|id| place(id)).collect();
            let of_item = item_id.map(|item_id| format!(" AND item_id = {}", place(item_id))).unwrap_or_default();
            let sql = reading(&format!("customer_id IN ({}){of_item}", ids.join(", ")));
            let rows = connection.query_all_raw(statement(connection, &sql, values)).await?;
            found.extend(together(&rows)?);
        }
    }
    Ok(found)
}

/// What the columns of the three tables are called in an answer.
const BALANCE: &str = "balance_";
const GRANT: &str = "grant_";
const SOURCE: &str = "source_";

/// One row for each open grant or source of a balance, and one for a balance without.
fn reading(which: &str) -> String {
    let balance = columns::<item_balance::Entity>(BALANCE, Some("chosen"));
    let with_grant = columns::<item_grant::Entity>(GRANT, Some("item_grant"));
    let with_source = columns::<item_source::Entity>(SOURCE, Some("item_source"));
    let (no_grant, no_source) =
        (columns::<item_grant::Entity>(GRANT, None), columns::<item_source::Entity>(SOURCE, None));
    format!(
        "WITH chosen AS (SELECT * FROM item_balance WHERE project_id = $1 AND customer_type = $2 AND {which}) \
         SELECT {balance}, {with_grant}, {no_source} FROM chosen \
         LEFT JOIN item_grant ON item_grant.balance_id = chosen.id \
         UNION ALL SELECT {balance}, {no_grant}, {with_source} FROM chosen \
         JOIN item_source ON item_source.balance_id = chosen.id AND item_source.next_at IS NOT NULL"
    )
}

/// The columns of a table, or nothing in the place of each.
fn columns<E: EntityTrait>(prefix: &str, table: Option<&str>) -> String {
    let column = |column: E::Column| {
        let name = column.as_str();
        match table {
            Some(table) => format!("{table}.\"{name}\" AS \"{prefix}{name}\""),
            None => format!("NULL AS \"{prefix}{name}\""),
        }
    };
    E::Column::iter().map(column).collect::<Vec<_>>().join(", ")
}

/// A balance with what is open of it.
type Open = (item_balance::Model, Vec<item_grant::Model>, Vec<item_source::Model>);

fn together(rows: &[QueryResult]) -> Result<Vec<Balance>> {
    let mut balances: HashMap<ItemBalanceId, Open> = HashMap::new();
    for row in rows {
        let balance = item_balance::Model::from_query_result(row, BALANCE)?;
        let (_, grants, sources) = balances.entry(balance.id).or_insert_with(|| (balance, Vec::new(), Vec::new()));
        if row.try_get::<Option<i64>>(GRANT, "place")?.is_some() {
            grants.push(item_grant::Model::from_query_result(row, GRANT)?);
        }
        if row.try_get::<Option<i64>>(SOURCE, "place")?.is_some() {
            sources.push(item_source::Model::from_query_result(row, SOURCE)?);
        }
    }
    let balances = balances.into_values().map(|(balance, grants, mut sources)| {
        sources.sort_by_key(|source| source.place);
        Balance::new(balance, grants, sources)
    });
    Ok(balances.collect())
}

/// Balances of whatever project that change by themselves at `now` or before, those due longest first. On PostgreSQL they
/// are held until the transaction ends; those that somebody else holds are left out.
pub(super) async fn lock_due(tx: &Tx, now: Timestamp, limit: u64) -> Result<Vec<item_balance::Model>> {
    let mut select = item_balance::Entity::find()
        .filter(item_balance::Column::DueAt.lte(now))
        .order_by_asc(item_balance::Column::DueAt)
        .limit(limit);
    if tx.backend() == Backend::Postgres {
        QueryTrait::query(&mut select).lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked);
    }
    Ok(select.all(&**tx).await?)
}

/// What is open of each of these balances, which are held, and its sources that will grant again. Two statements at most for each
/// thousand; none where nothing is open.
pub(super) async fn with_open(
    connection: &impl ConnectionTrait,
    rows: Vec<item_balance::Model>,
) -> Result<Vec<Balance>> {
    let ids = |is_wanted: fn(&item_balance::Model) -> bool| -> Vec<ItemBalanceId> {
        rows.iter().filter(|row| is_wanted(row)).map(|row| row.id).collect()
    };
    let (with_grants, with_sources) = (ids(|row| row.open_grants > 0), ids(|row| row.open_sources > 0));
    let mut grants: HashMap<ItemBalanceId, Vec<item_grant::Model>> = HashMap::new();
    for ids in with_grants.chunks(MAX_IDS) {
        let of_balances = item_grant::Column::BalanceId.is_in(padded(ids));
        for grant in item_grant::Entity::find().filter(of_balances).all(connection).await? {
            grants.entry(grant.balance_id).or_default().push(grant);
        }
    }
    let mut sources: HashMap<ItemBalanceId, Vec<item_source::Model>> = HashMap::new();
    for ids in with_sources.chunks(MAX_IDS) {
        let select = item_source::Entity::find()
            .filter(item_source::Column::BalanceId.is_in(padded(ids)))
            .filter(item_source::Column::NextAt.is_not_null())
            .order_by_asc(item_source::Column::Place);
        for source in select.all(connection).await? {
            sources.entry(source.balance_id).or_default().push(source);
        }
    }
    let balances = rows.into_iter().map(|row| {
        let grants = grants.remove(&row.id).unwrap_or_default();
        let sources = sources.remove(&row.id).unwrap_or_default();
        Balance::new(row, grants, sources)
    });
    Ok(balances.collect())
}

/// The sources of a customer with this key, whatever their items, with their balances. The balances are not held.
pub(super) async fn sources_of(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    customer: &Customer,
    source_key: &str,
) -> Result<Vec<item_balance::Model>> {
    let with_source = item_source::Entity::find()
        .select_only()
        .column(item_source::Column::BalanceId)
        .filter(item_source::Column::BalanceId.in_subquery(ids(of_customer(project_id, customer))))
        .filter(item_source::Column::SourceKey.eq(source_key))
        .into_query();
    Ok(item_balance::Entity::find()
        .filter(item_balance::Column::ProjectId.eq(project_id.clone()))
        .filter(item_balance::Column::Id.in_subquery(with_source))
        .order_by_asc(item_balance::Column::ItemId)
        .all(connection)
        .await?)
}

/// The source with this key, over or not.
pub(super) async fn source(
    connection: &impl ConnectionTrait,
    balance_id: ItemBalanceId,
    source_key: &str,
) -> Result<Option<item_source::Model>> {
    Ok(item_source::Entity::find()
        .filter(item_source::Column::BalanceId.eq(balance_id))
        .filter(item_source::Column::SourceKey.eq(source_key))
        .one(connection)
        .await?)
}

/// Writes the row of a balance that is held.
pub(super) fn put(rows: &mut NewRows, row: &item_balance::Model) {
    use item_balance::Column;
    let changed =
        [Column::Debt, Column::FoldedAt, Column::NextPlace, Column::OpenGrants, Column::OpenSources, Column::DueAt];
    rows.put(row.clone(), &changed);
}

/// Adds or replaces a grant.
pub(super) fn put_grant(rows: &mut NewRows, row: item_grant::Model) {
    use item_grant::Column;
    let replaced = [
        Column::Remaining,
        Column::EndsAt,
        Column::EndsWithPurchase,
        Column::GrantedAt,
        Column::Parts,
        Column::PartQuantity,
        Column::PartInterval,
    ];
    rows.put(row, &replaced);
}

/// Adds a source, or writes how far it has come.
pub(super) fn put_source(rows: &mut NewRows, row: item_source::Model) {
    use item_source::Column;
    rows.put(row, &[Column::Interval, Column::EndsAt, Column::Granted, Column::NextAt]);
}

/// Removes grants that are over or used up: by their balance and place.
pub(super) async fn remove_grants(tx: &Tx, gone: &[(ItemBalanceId, i64)]) -> Result<()> {
    let key = [item_grant::Column::BalanceId, item_grant::Column::Place];
    for gone in gone.chunks(MAX_IDS) {
        item_grant::Entity::delete_many()
            .filter(Expr::tuple(key.map(Expr::col)).in_tuples(padded(gone)))
            .exec(&**tx)
            .await?;
    }
    Ok(())
}

/// Whose balances these are, and of what.
pub(super) async fn owners(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    ids: &[ItemBalanceId],
) -> Result<Vec<item_balance::Model>> {
    let mut rows = Vec::new();
    for ids in ids.chunks(MAX_IDS) {
        let select = item_balance::Entity::find()
            .filter(item_balance::Column::ProjectId.eq(project_id.clone()))
            .filter(item_balance::Column::Id.is_in(ids.iter().copied()));
        rows.extend(select.all(connection).await?);
    }
    Ok(rows)
}

/// What each source whose key begins so grants at a time, if it is never lost: by item, in the order of their making.
pub(super) async fn lasting(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    customer: &Customer,
    prefix: &str,
) -> Result<Vec<Lasting>> {
    let balances = of_customer(project_id, customer).all(connection).await?;
    let items: HashMap<_, _> = balances.into_iter().map(|row| (row.id, row.item_id)).collect();
    let sources = item_source::Entity::find()
        .filter(item_source::Column::BalanceId.in_subquery(ids(of_customer(project_id, customer))))
        .filter(item_source::Column::SourceKey.starts_with(prefix))
        .filter(item_source::Column::Expires.eq(item_source::Expires::Never))
        .order_by_asc(item_source::Column::BalanceId)
        .order_by_asc(item_source::Column::Place)
        .all(connection)
        .await?;
    let named = sources.into_iter().filter_map(|row| {
        let item_id = items.get(&row.balance_id)?.clone();
        Some(Lasting { item_id, key: row.source_key, quantity: row.quantity })
    });
    Ok(named.collect())
}

/// The keys that begin so of sources that an end or a change at `now` makes a difference to: they are not over, and grant again,
/// or what they granted ends with them.
pub(super) async fn live_keys(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    customer: &Customer,
    prefix: &str,
    now: Timestamp,
) -> Result<Vec<String>> {
    use item_source::Column;
    let keys = item_source::Entity::find()
        .select_only()
        .column(Column::SourceKey)
        .distinct()
        .filter(Column::BalanceId.in_subquery(ids(of_customer(project_id, customer))))
        .filter(Column::SourceKey.starts_with(prefix))
        .filter(Condition::any().add(Column::EndsAt.is_null()).add(Column::EndsAt.gt(now)))
        .filter(
            Condition::any().add(Column::Interval.is_not_null()).add(Column::Expires.ne(item_source::Expires::Never)),
        );
    Ok(keys.into_tuple().all(connection).await?)
}

fn of_customer(project_id: &ProjectId, customer: &Customer) -> Select<item_balance::Entity> {
    item_balance::Entity::find()
        .filter(item_balance::Column::ProjectId.eq(project_id.clone()))
        .filter(item_balance::Column::CustomerType.eq(customer.kind()))
        .filter(item_balance::Column::CustomerId.eq(customer.id()))
}

fn ids(balances: Select<item_balance::Entity>) -> SelectStatement {
    balances.select_only().column(item_balance::Column::Id).into_query()
}
