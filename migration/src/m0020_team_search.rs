//! Searching teams by any part of their names.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, DbBackend, Statement, prelude::Uuid},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const FOLDED: &str = "display_name_folded";
/// Teams of one statement.
const BATCH: u64 = 500;

/// The project stands in the index, as it does for users. SQLite looks at the names one by one: teams are fewer.
const POSTGRES_UP: &str =
    "CREATE INDEX team_by_name_part ON team USING gin (project_id, display_name_folded gin_trgm_ops)";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = ColumnDef::new(FOLDED).text().not_null().default("").to_owned();
        manager.alter_table(Table::alter().table("team").add_column(column).to_owned()).await?;
        fold_names(manager).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            manager.get_connection().execute_unprepared(POSTGRES_UP).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::Postgres {
            manager.drop_index(Index::drop().name("team_by_name_part").table("team").to_owned()).await?;
        }
        manager.alter_table(Table::alter().table("team").drop_column(FOLDED).to_owned()).await
    }
}

/// The names of the teams there are, folded as those of new ones will be: the databases fold by rules of their own.
async fn fold_names(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let (connection, backend) = (manager.get_connection(), manager.get_database_backend());
    let mut after: Option<sea_orm::Value> = None;
    loop {
        let mut select = Query::select();
        select.columns(["id", "display_name"]).from("team").order_by("id", Order::Asc).limit(BATCH);
        if let Some(after) = &after {
            select.and_where(Expr::col("id").gt(Expr::val(after.clone())));
        }
        let rows = connection.query_all(&select).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = Some(last.try_get::<Uuid>("", "id")?.into());
        for row in rows {
            let (id, name): (Uuid, String) = (row.try_get("", "id")?, row.try_get("", "display_name")?);
            let folded = name.to_lowercase().replace('ς', "σ");
            let sql = match backend {
                DbBackend::Postgres => "UPDATE team SET display_name_folded = $1 WHERE id = $2",
                _ => "UPDATE team SET display_name_folded = ? WHERE id = ?",
            };
            connection.execute_raw(Statement::from_sql_and_values(backend, sql, [folded.into(), id.into()])).await?;
        }
    }
}
