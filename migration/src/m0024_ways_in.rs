//! Ways in: passkeys, recovery codes, logins of programs, authorization codes, sign-up rules that applied; which TOTP codes
//! are spent, and from where sessions come.

use sea_orm_migration::prelude::*;

use crate::columns::{
    big, big_null, bytes, bytes_null, cascade, drop_tables, index, json, table, text, text_null, time, time_null, uuid,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One column a statement: SQLite takes no more.
        for (name, column) in [
            ("user", big_null("totp_last_step")),
            ("session", text_null("network")),
            ("session", text_null("last_used_country")),
            ("api_key", time_null("last_used_at")),
        ] {
            manager.alter_table(Table::alter().table(name).add_column(column).to_owned()).await?;
        }
        passkeys(manager).await?;
        hand_overs(manager).await?;
        sign_up_rules(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = [
            "sign_up_rule_total",
            "sign_up_rule_trigger",
            "authorization_code",
            "cli_login",
            "recovery_code",
            "passkey",
        ];
        drop_tables(manager, &tables).await?;
        let columns = [
            ("api_key", "last_used_at"),
            ("session", "last_used_country"),
            ("session", "network"),
            ("user", "totp_last_step"),
        ];
        for (name, column) in columns {
            manager.alter_table(Table::alter().table(name).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

async fn passkeys(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let passkey = table("passkey")
        .col(uuid("user_id").primary_key())
        .col(text("project_id"))
        .col(bytes("credential_id"))
        .col(text("rp_id"))
        .col(json("credential"))
        .col(time("created_at"))
        .col(time_null("last_used_at"))
        .foreign_key(&mut cascade("passkey", "user_id", "user"))
        .to_owned();
    manager.create_table(passkey).await?;
    manager.create_index(index("passkey_by_credential", "passkey", &["project_id", "credential_id"], true)).await?;
    let recovery_code = table("recovery_code")
        .col(uuid("user_id"))
        .col(bytes("code_hash"))
        .col(text("project_id"))
        .col(time("created_at"))
        .col(time_null("used_at"))
        .primary_key(Index::create().col("user_id").col("code_hash"))
        .foreign_key(&mut cascade("recovery_code", "user_id", "user"))
        .to_owned();
    manager.create_table(recovery_code).await
}

async fn hand_overs(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let cli_login = table("cli_login")
        .col(uuid("id").primary_key())
        .col(text("project_id"))
        .col(bytes("polling_hash"))
        .col(bytes("login_hash"))
        .col(bytes_null("anonymous_token"))
        .col(bytes_null("refresh_token"))
        .col(time("created_at"))
        .col(time("expires_at"))
        .col(time_null("claimed_at"))
        .col(time_null("completed_at"))
        .col(time_null("used_at"))
        .foreign_key(&mut cascade("cli_login", "project_id", "project"))
        .to_owned();
    manager.create_table(cli_login).await?;
    manager.create_index(index("cli_login_by_poll", "cli_login", &["project_id", "polling_hash"], true)).await?;
    manager.create_index(index("cli_login_by_login", "cli_login", &["project_id", "login_hash"], true)).await?;
    manager.create_index(index("cli_login_expiry", "cli_login", &["expires_at"], false)).await?;
    let authorization_code = table("authorization_code")
        .col(uuid("id").primary_key())
        .col(text("project_id"))
        .col(bytes("code_hash"))
        .col(uuid("user_id"))
        .col(uuid("session_id"))
        .col(bytes_null("refresh_token"))
        .col(text("redirect_uri"))
        .col(text("code_challenge"))
        .col(text("code_challenge_method"))
        .col(text_null("after_callback_redirect_url"))
        .col(time("created_at"))
        .col(time("expires_at"))
        .col(time_null("used_at"))
        .foreign_key(&mut cascade("authorization_code", "user_id", "user"))
        .to_owned();
    manager.create_table(authorization_code).await?;
    manager
        .create_index(index("authorization_code_hash", "authorization_code", &["project_id", "code_hash"], true))
        .await?;
    manager.create_index(index("authorization_code_expiry", "authorization_code", &["expires_at"], false)).await?;
    manager.create_index(index("authorization_code_of", "authorization_code", &["user_id"], false)).await
}

async fn sign_up_rules(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let trigger = table("sign_up_rule_trigger")
        .col(uuid("id").primary_key())
        .col(text("project_id"))
        .col(text("rule_id"))
        .col(text("action"))
        .col(time("created_at"))
        .foreign_key(&mut cascade("sign_up_rule_trigger", "project_id", "project"))
        .to_owned();
    manager.create_table(trigger).await?;
    manager
        .create_index(index("sign_up_rule_trigger_of", "sign_up_rule_trigger", &["project_id", "created_at"], false))
        .await?;
    manager.create_index(index("sign_up_rule_trigger_age", "sign_up_rule_trigger", &["created_at"], false)).await?;
    let total = table("sign_up_rule_total")
        .col(text("project_id"))
        .col(text("rule_id"))
        .col(big("count"))
        .primary_key(Index::create().col("project_id").col("rule_id"))
        .foreign_key(&mut cascade("sign_up_rule_total", "project_id", "project"))
        .to_owned();
    manager.create_table(total).await
}
