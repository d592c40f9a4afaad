//! Removing what is kept no longer, a few rows at a time.

use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait, Query},
};

use super::Db;
use crate::{Timestamp, error::Result};

/// How many rows one transaction removes.
pub(crate) const PRUNE_BATCH: u64 = 100;

/// Removes some rows, of all projects, whose `time` lies before an instant. Answers whether more may be left.
pub(crate) async fn prune<E: EntityTrait>(db: &Db, key: E::Column, time: E::Column, before: Timestamp) -> Result<bool> {
    let removed = db
        .write(|tx| async move {
            let old = Query::select()
                .column(key)
                .from(E::default())
                .and_where(Expr::col(time).lt(before))
                .limit(PRUNE_BATCH)
                .to_owned();
            Ok(E::delete_many().filter(key.in_subquery(old)).exec(&*tx).await?.rows_affected)
        })
        .await?;
    Ok(removed == PRUNE_BATCH)
}
