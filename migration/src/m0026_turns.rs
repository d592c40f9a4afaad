//! Mails that wait for their turn can be told that it has come: which job to wake.

use sea_orm_migration::prelude::*;

use crate::columns::uuid_null;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const JOB: &str = "waiting_job_id";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("email").add_column(uuid_null(JOB)).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("email").drop_column(JOB).to_owned()).await
    }
}
