//! Queries of rules that applied, each scoped by project but for pruning.

use postern_entity::{sign_up_rule_total, sign_up_rule_trigger};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use crate::{
    ProjectId, SignUpRuleTriggerId, Timestamp,
    db::{Reader, Tx, statement},
    error::Result,
};

/// How often a rule did what, in one hour of the epoch.
pub(super) struct Hour {
    pub(super) rule_id: String,
    pub(super) action: String,
    /// Hours since 1970.
    pub(super) hour: i64,
    pub(super) count: i64,
}

pub(super) async fn insert(tx: &Tx, rows: Vec<sign_up_rule_trigger::ActiveModel>) -> Result<()> {
    sign_up_rule_trigger::Entity::insert_many(rows).exec_without_returning(&**tx).await?;
    Ok(())
}

pub(super) async fn by_hour(reader: &Reader, project_id: &ProjectId, since: Timestamp) -> Result<Vec<Hour>> {
    let sql = "SELECT rule_id, action, created_at / 3600000 AS hour, COUNT(*) AS count FROM sign_up_rule_trigger \
               WHERE project_id = $1 AND created_at >= $2 GROUP BY rule_id, action, created_at / 3600000";
    let values = [project_id.as_str().into(), since.millis().into()];
    let rows = reader.query_all_raw(statement(reader, sql, values)).await?;
    let hour = |row: &sea_orm::QueryResult| -> Result<Hour> {
        Ok(Hour {
            rule_id: row.try_get("", "rule_id")?,
            action: row.try_get("", "action")?,
            hour: row.try_get("", "hour")?,
            count: row.try_get("", "count")?,
        })
    };
    rows.iter().map(hour).collect()
}

/// How often each rule applied before those that are still listed one by one, and how often among those.
pub(super) async fn totals(reader: &Reader, project_id: &ProjectId) -> Result<Vec<(String, i64)>> {
    let sql = "SELECT rule_id, count FROM sign_up_rule_total WHERE project_id = $1 UNION ALL \
               SELECT rule_id, COUNT(*) AS count FROM sign_up_rule_trigger WHERE project_id = $1 GROUP BY rule_id";
    let rows = reader.query_all_raw(statement(reader, sql, [project_id.as_str().into()])).await?;
    rows.iter().map(|row| Ok((row.try_get("", "rule_id")?, row.try_get("", "count")?))).collect()
}

/// Some that are older, of all projects.
pub(super) async fn oldest(tx: &Tx, before: Timestamp, limit: u64) -> Result<Vec<sign_up_rule_trigger::Model>> {
    let old = sign_up_rule_trigger::Entity::find()
        .filter(sign_up_rule_trigger::Column::CreatedAt.lt(before))
        .order_by_asc(sign_up_rule_trigger::Column::CreatedAt)
        .limit(limit);
    Ok(old.all(&**tx).await?)
}

/// Removes those of these that are still there. Answers how many.
pub(super) async fn remove(tx: &Tx, ids: Vec<SignUpRuleTriggerId>) -> Result<u64> {
    let gone = sign_up_rule_trigger::Entity::delete_many().filter(sign_up_rule_trigger::Column::Id.is_in(ids));
    Ok(gone.exec(&**tx).await?.rows_affected)
}

pub(super) async fn add_to_total(tx: &Tx, project_id: &ProjectId, rule_id: &str, count: i64) -> Result<()> {
    let row = sign_up_rule_total::ActiveModel {
        project_id: Set(project_id.clone()),
        rule_id: Set(rule_id.to_owned()),
        count: Set(count),
    };
    let key = [sign_up_rule_total::Column::ProjectId, sign_up_rule_total::Column::RuleId];
    let sum = Expr::col((sign_up_rule_total::Entity, sign_up_rule_total::Column::Count)).add(count);
    let add = OnConflict::columns(key).value(sign_up_rule_total::Column::Count, sum).to_owned();
    sign_up_rule_total::Entity::insert(row).on_conflict(add).exec_without_returning(&**tx).await?;
    Ok(())
}
