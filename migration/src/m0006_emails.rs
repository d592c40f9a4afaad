//! The outbox of mails and the share of the installation's mail server that each project has used.

use sea_orm_migration::prelude::*;

use crate::columns::{
    big, bytes_null, cascade, count, drop_tables, flag, index, json, json_null, table, text, text_null, time,
    time_null, uuid, uuid_null,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// What must hold in every row, so that a status can be told from the times alone. Written without functions that only
/// one of the databases has.
const INVARIANTS: &[&str] = &[
    "(rendering_worker_id IS NULL) = (started_rendering_at IS NULL)",
    "rendered_at IS NULL OR started_rendering_at IS NOT NULL",
    "(render_error IS NULL AND rendered_subject IS NULL) OR rendered_at IS NOT NULL",
    "rendered_at IS NULL OR ((render_error IS NULL) <> (rendered_subject IS NULL))",
    "(rendered_subject IS NULL) = (rendered_is_transactional IS NULL)",
    "sealed_content IS NULL OR rendered_subject IS NOT NULL",
    "started_sending_at IS NULL OR rendered_subject IS NOT NULL",
    "(started_sending_at IS NULL) = (sending_claim_id IS NULL)",
    "finished_sending_at IS NULL OR started_sending_at IS NOT NULL",
    "send_error IS NULL OR finished_sending_at IS NOT NULL",
    "(can_have_delivery_info IS NULL) = (finished_sending_at IS NULL)",
    "(draft_id IS NOT NULL) = (created_with = 'draft')",
    "template_id IS NULL OR created_with = 'programmatic-call'",
    "(skipped_reason IS NULL) = (skipped_details IS NULL)",
    "clicked_at IS NULL OR opened_at IS NOT NULL",
    "send_retries > 0 OR (next_send_retry_at IS NULL AND send_attempt_errors IS NULL)",
    "finished_sending_at IS NULL OR next_send_retry_at IS NULL",
    "(recipient_kind = 'custom-emails') = (recipient_user_id IS NULL)",
    "mailbox_recipients IS NULL OR finished_sending_at IS NOT NULL",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(email_table()).await?;
        manager.create_index(index("email_by_age", "email", &["project_id", "created_at", "id"], false)).await?;
        manager.create_index(index("email_by_sending", "email", &["project_id", "finished_sending_at"], false)).await?;
        manager.create_index(index("email_dedup", "email", &["project_id", "dedup_key"], true)).await?;
        manager
            .create_index(
                index("email_by_expiry", "email", &["secrets_expire_at"], false)
                    .and_where(Expr::col("secrets_expire_at").is_not_null())
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                index("email_in_mailbox", "email", &["finished_sending_at", "id"], false)
                    .and_where(Expr::col("mailbox_recipients").is_not_null())
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                table("email_quota")
                    .col(text("project_id").primary_key())
                    .col(time("next_at"))
                    .col(big("interval_millis"))
                    .col(time("computed_at"))
                    .foreign_key(&mut cascade("email_quota", "project_id", "project"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["email_quota", "email"]).await
    }
}

fn email_table() -> TableCreateStatement {
    let mut email = table("email");
    email
        .col(uuid("id").primary_key())
        .col(text("project_id"))
        .col(time("created_at"))
        .col(time("updated_at"))
        .col(text_null("dedup_key"))
        .col(text("message_id"));
    content_columns(&mut email);
    progress_columns(&mut email);
    email.foreign_key(&mut cascade("email", "project_id", "project"));
    for invariant in INVARIANTS {
        email.check(Expr::cust(*invariant));
    }
    email
}

fn content_columns(email: &mut TableCreateStatement) {
    email
        .col(text("template_source"))
        .col(text_null("theme_id"))
        .col(flag("uses_selected_theme"))
        .col(text("recipient_kind"))
        .col(uuid_null("recipient_user_id"))
        .col(json("recipient_emails"))
        .col(json("variables"))
        .col(bytes_null("sealed_variables"))
        .col(time_null("secrets_expire_at"))
        .col(flag("skip_deliverability_check"))
        .col(flag("is_high_priority"))
        .col(text_null("override_subject"))
        .col(uuid_null("override_category_id"))
        .col(time("scheduled_at"))
        .col(text("created_with"))
        .col(text_null("draft_id"))
        .col(text_null("template_id"));
}

fn progress_columns(email: &mut TableCreateStatement) {
    email
        .col(flag("is_paused"))
        .col(uuid_null("rendering_worker_id"))
        .col(time_null("started_rendering_at"))
        .col(time_null("rendered_at"))
        .col(text_null("render_error"))
        .col(text_null("rendered_subject"))
        .col(text_null("rendered_html"))
        .col(text_null("rendered_text"))
        .col(ColumnDef::new("rendered_is_transactional").boolean().null())
        .col(uuid_null("rendered_category_id"))
        .col(bytes_null("sealed_content"))
        .col(flag("is_queued"))
        .col(time_null("capacity_slot_at"))
        .col(uuid_null("sending_claim_id"))
        .col(time_null("started_sending_at"))
        .col(time_null("finished_sending_at"))
        .col(text_null("send_error"))
        .col(count("send_retries"))
        .col(time_null("next_send_retry_at"))
        .col(json_null("send_attempt_errors"))
        .col(text_null("skipped_reason"))
        .col(json_null("skipped_details"))
        .col(ColumnDef::new("can_have_delivery_info").boolean().null())
        .col(time_null("delivered_at"))
        .col(time_null("delivery_delayed_at"))
        .col(time_null("bounced_at"))
        .col(time_null("opened_at"))
        .col(time_null("clicked_at"))
        .col(time_null("marked_as_spam_at"))
        .col(text_null("mailbox_recipients"));
}
