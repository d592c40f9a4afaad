//! Indexes hold no more than what is looked for by them. An event or a balance that belongs to no user or no team was entered all
//! the same, and an event that has no place yet was entered for its place too: most of what writing an event cost.
//!
//! While the new ones are built nobody else writes events: some seconds for a million of them.

use sea_orm_migration::prelude::*;

use crate::columns::index;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Name, table, columns, whether each key is there once, and the column without which a row is left out. Every query by one of
/// these compares that column.
type Lean = (&'static str, &'static str, &'static [&'static str], bool, &'static str);
const LEAN: [Lean; 6] = [
    ("event_position", "event", &["position"], true, "position"),
    ("event_by_user", "event", &["user_id", "position"], false, "user_id"),
    ("event_by_team", "event", &["team_id", "position"], false, "team_id"),
    ("item_balance_by_user", "item_balance", &["user_id"], false, "user_id"),
    ("item_balance_by_team", "item_balance", &["team_id"], false, "team_id"),
    ("item_balance_due", "item_balance", &["due_at"], false, "due_at"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table, columns, unique, known) in LEAN {
            manager.drop_index(Index::drop().name(name).table(table).to_owned()).await?;
            let mut lean = index(name, table, columns, unique);
            manager.create_index(lean.and_where(Expr::col(known).is_not_null()).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table, columns, unique, _) in LEAN {
            manager.drop_index(Index::drop().name(name).table(table).to_owned()).await?;
            manager.create_index(index(name, table, columns, unique)).await?;
        }
        Ok(())
    }
}
