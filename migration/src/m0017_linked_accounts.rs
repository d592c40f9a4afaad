//! Accounts of other sites that users have linked, and what those sites gave to act in the user's name.

use sea_orm_migration::prelude::*;

use crate::columns::{bytes_null, cascade, drop_tables, flag, index, table, text, text_null, time, time_null, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table("linked_account")
                    .col(uuid("id").primary_key())
                    .col(text("project_id"))
                    .col(uuid("user_id"))
                    .col(text("provider_config_id"))
                    .col(text("kind"))
                    .col(text("account_id"))
                    .col(text_null("email"))
                    .col(flag("allow_sign_in"))
                    .col(flag("allow_connected_accounts"))
                    .col(time("created_at"))
                    .foreign_key(&mut cascade("linked_account", "user_id", "user"))
                    .to_owned(),
            )
            .await?;
        let account = ["user_id", "provider_config_id", "account_id"];
        manager.create_index(index("linked_account_of_user", "linked_account", &account, true)).await?;
        manager
            .create_index(index("linked_account_by_age", "linked_account", &["project_id", "created_at"], false))
            .await?;
        // Partial unique indexes: of two requests that want one account at the same time, one is refused here.
        let account = ["project_id", "provider_config_id", "account_id"];
        manager.create_index(for_sign_in("linked_account_sign_in", &account)).await?;
        manager.create_index(for_sign_in("linked_account_one_of_a_type", &["user_id", "kind"])).await?;
        manager
            .create_table(
                table("linked_account_token")
                    .col(uuid("id").primary_key())
                    .col(text("project_id"))
                    .col(uuid("linked_account_id"))
                    .col(text("scopes"))
                    .col(bytes_null("access_token"))
                    .col(time_null("access_expires_at"))
                    .col(bytes_null("refresh_token"))
                    .col(time("created_at"))
                    // What has neither is good for nothing.
                    .check(Expr::cust("access_token IS NOT NULL OR refresh_token IS NOT NULL"))
                    .foreign_key(&mut cascade("linked_account_token", "linked_account_id", "linked_account"))
                    .to_owned(),
            )
            .await?;
        let age = ["linked_account_id", "created_at"];
        manager.create_index(index("linked_account_token_by_age", "linked_account_token", &age, false)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["linked_account_token", "linked_account"]).await
    }
}

/// A unique index over the accounts that somebody signs in with.
fn for_sign_in(name: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    index(name, "linked_account", columns, true).and_where(Expr::col("allow_sign_in").eq(true)).to_owned()
}
