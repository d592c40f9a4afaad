//! Changing mails of the outbox that have not left: pausing, cancelling, putting off, giving them another content
//! (wire: emails §1.2 and §1.3).

use postern_entity::{EmailId, email};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, sea_query::Expr, sea_query::ExprTrait,
};
use serde_json::{Map, Value, json};

use super::{
    capacity, compose,
    enqueue::{MAX_ADDRESSES, Recipient},
    library,
    outbox::{OutboxEmail, not_found, require_server},
    seal::{self, Column, SecretVariables, exposed, is_redacted},
    send::wiped,
    status::Status,
    store,
};
use crate::{
    Actor, Code, Deps, Failure,
    db::Tx,
    email_address::EmailAddress,
    error::{Result, refuse},
    patch::Patch,
    queue::Priority,
    time::Timestamp,
    validation::Violations,
};

/// Statuses of mails that may be changed (wire: emails §1.2).
const EDITABLE: [Status; 7] = [
    Status::Paused,
    Status::Preparing,
    Status::Rendering,
    Status::RenderError,
    Status::Scheduled,
    Status::Queued,
    Status::ServerError,
];
/// Why a cancelled mail is skipped.
const CANCELLED: &str = "MANUALLY_CANCELLED";
/// Most bytes that the variables of a mail may have.
pub(super) const MAX_VARIABLES_BYTES: usize = 256 * 1024;

/// What to change of a mail; what is not given stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpdateEmail {
    /// Not to send it at all. Then nothing else counts.
    pub cancel: bool,
    /// Held back, or not any more.
    pub is_paused: Option<bool>,
    /// Not to be sent before.
    pub scheduled_at: Option<Timestamp>,
    /// Whether no deliverability checker is asked.
    pub skip_deliverability_check: Option<bool>,
    /// Another template. Renders and sends the mail again, as do the next three.
    pub source: Option<String>,
    /// Another theme: the selected one when it is not there; to clear it means none.
    pub theme_id: Patch<String>,
    /// Somebody else.
    pub to: Option<Recipient>,
    /// Other variables.
    pub variables: Option<Map<String, Value>>,
}

impl UpdateEmail {
    fn replaces_content(&self) -> bool {
        self.source.is_some() || !self.theme_id.is_keep() || self.to.is_some() || self.variables.is_some()
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Changes a mail that has not left. Whether it may be changed and the change are one statement, so that one which leaves
/// meanwhile is not changed.
///
/// # Errors
/// `FORBIDDEN` below server level; `SCHEMA_ERROR`; `NOT_FOUND`; `EMAIL_NOT_EDITABLE` for one that is on its way, sent or skipped.
#[crate::boxed]
pub async fn update(deps: &Deps, actor: &Actor, id: EmailId, change: UpdateEmail) -> Result<OutboxEmail> {
    require_server(actor)?;
    check(&change)?;
    let change = &change;
    deps.mutate(actor, "emails.update", |tx| async move {
        let Some(row) = store::lock(&tx, &actor.project_id, id).await? else { return refuse(not_found()) };
        if !EDITABLE.contains(&Status::of(&row)) {
            return refuse(not_editable(&row));
        }
        if !change.is_empty() {
            let changes = columns(deps, &row, change)?;
            if !apply(&tx, &row, changes).await? {
                return refuse(not_editable(&row));
            }
            // It may have been the next one.
            if row.capacity_slot_at.is_some() {
                capacity::pass_on(&tx, deps, &row.project_id, deps.now()).await?;
            }
            if !change.cancel && change.is_paused != Some(true) {
                compose::enqueue_job(&tx, deps, &row.project_id, row.id, Priority::High).await?;
            }
        }
        Ok(())
    })
    .await?;
    super::outbox::get(deps, actor, id).await
}

/// Writes the changes, only while the mail may be changed. Answers whether it was.
async fn apply(tx: &Tx, row: &email::Model, changes: email::ActiveModel) -> Result<bool> {
    let editable = EDITABLE.iter().fold(Condition::any(), |any, status| any.add(status.condition()));
    let updated = email::Entity::update_many()
        .set(changes)
        .col_expr(email::Column::Revision, Expr::col(email::Column::Revision).add(1))
        .filter(email::Column::ProjectId.eq(row.project_id.clone()))
        .filter(email::Column::Id.eq(row.id))
        .filter(editable)
        .exec(&**tx)
        .await?;
    Ok(updated.rows_affected > 0)
}

/// The columns to be written. `updated_at` stays, as on the wire.
fn columns(deps: &Deps, row: &email::Model, change: &UpdateEmail) -> Result<email::ActiveModel> {
    if change.cancel {
        return Ok(email::ActiveModel {
            is_paused: Set(false),
            is_queued: Set(false),
            next_send_retry_at: Set(None),
            capacity_slot_at: Set(None),
            skipped_reason: Set(Some(CANCELLED.to_owned())),
            skipped_details: Set(Some(json!({}))),
            updated_at: Set(deps.now()),
            ..wiped()
        });
    }
    let mut changes = if change.replaces_content() { reset() } else { email::ActiveModel::default() };
    if let Some(is_paused) = change.is_paused {
        changes.is_paused = Set(is_paused);
    }
    if let Some(scheduled_at) = change.scheduled_at {
        changes.scheduled_at = Set(scheduled_at);
        changes.is_queued = Set(false);
        changes.capacity_slot_at = Set(None);
    }
    if let Some(skips) = change.skip_deliverability_check {
        changes.skip_deliverability_check = Set(skips);
    }
    if let Some(source) = &change.source {
        changes.template_source = Set(source.clone());
    }
    if let Some(theme_id) = change.theme_id.clone().mentioned() {
        changes.theme_id = Set(theme_id);
        changes.uses_selected_theme = Set(false);
    }
    if let Some(to) = &change.to {
        let (kind, user_id, emails) = to.parts();
        changes.recipient_kind = Set(kind.to_owned());
        changes.recipient_user_id = Set(user_id);
        changes.recipient_emails = Set(json!(emails));
    }
    if let Some(variables) = &change.variables {
        changes.variables = Set(Value::Object(variables.clone()));
        keep_secrets(deps, row, variables, &mut changes)?;
    }
    Ok(changes)
}

/// A mail that nobody has rendered or sent yet. Subject and category that were given with it survive.
fn reset() -> email::ActiveModel {
    email::ActiveModel {
        rendering_worker_id: Set(None),
        started_rendering_at: Set(None),
        rendered_at: Set(None),
        render_error: Set(None),
        rendered_subject: Set(None),
        rendered_html: Set(None),
        rendered_text: Set(None),
        rendered_is_transactional: Set(None),
        rendered_category_id: Set(None),
        sealed_content: Set(None),
        is_queued: Set(false),
        capacity_slot_at: Set(None),
        sending_claim_id: Set(None),
        started_sending_at: Set(None),
        finished_sending_at: Set(None),
        send_error: Set(None),
        send_retries: Set(0),
        next_send_retry_at: Set(None),
        send_attempt_errors: Set(None),
        skipped_reason: Set(None),
        skipped_details: Set(None),
        provider_message_id: Set(None),
        refused_recipients: Set(None),
        can_have_delivery_info: Set(None),
        delivered_at: Set(None),
        delivery_delayed_at: Set(None),
        bounced_at: Set(None),
        opened_at: Set(None),
        clicked_at: Set(None),
        marked_as_spam_at: Set(None),
        ..Default::default()
    }
}

/// A secret stays as long as what is shown in its place comes back unchanged: whoever edits a mail cannot know it.
fn keep_secrets(
    deps: &Deps,
    row: &email::Model,
    variables: &Map<String, Value>,
    changes: &mut email::ActiveModel,
) -> Result<()> {
    let is_kept = |name: &String| variables.contains_key(name) && variables.get(name) == row.variables.get(name);
    let Some(sealed) = &row.sealed_variables else {
        // Wiped: only without what stood for a secret is there anything to send.
        if !row
            .variables
            .as_object()
            .is_some_and(|shown| shown.iter().any(|(name, value)| is_redacted(value) && is_kept(name)))
        {
            changes.secrets_expire_at = Set(None);
        }
        return Ok(());
    };
    let place = (&row.project_id, row.id);
    let secrets: std::collections::BTreeMap<String, String> =
        seal::open(&deps.keyring, place, Column::Variables, sealed)?;
    let kept: SecretVariables =
        secrets.into_iter().filter(|(name, _)| is_kept(name)).map(|(name, value)| (name, value.into())).collect();
    if kept.is_empty() {
        changes.sealed_variables = Set(None);
        changes.secrets_expire_at = Set(None);
    } else {
        changes.sealed_variables = Set(Some(seal::seal(&deps.keyring, place, Column::Variables, &exposed(&kept))?));
    }
    Ok(())
}

fn check(change: &UpdateEmail) -> Result<()> {
    let mut violations = Violations::default();
    if let Some(source) = &change.source {
        library::note_source(&mut violations, source);
    }
    if let Some(variables) = &change.variables {
        check_variables(&mut violations, variables);
    }
    if let Some(to) = &change.to {
        check_recipient(&mut violations, to);
    }
    violations.finish()
}

pub(super) fn check_variables(violations: &mut Violations, variables: &Map<String, Value>) {
    let value = Value::Object(variables.clone());
    violations.json("variables", &value);
    let is_small = value.to_string().len() <= MAX_VARIABLES_BYTES;
    violations.require(is_small, "variables", format_args!("must have at most {MAX_VARIABLES_BYTES} bytes as JSON"));
}

fn check_recipient(violations: &mut Violations, to: &Recipient) {
    let emails = to.parts().2;
    let most = MAX_ADDRESSES;
    violations.require(emails.len() <= most, "to.emails", format_args!("must be at most {most} addresses"));
    for (place, email) in emails.iter().enumerate().take(most) {
        violations.take(&format!("to.emails[{place}]"), EmailAddress::loose(email));
    }
}

fn not_editable(row: &email::Model) -> Failure {
    let status = Status::of(row).as_str().to_uppercase().replace('-', "_");
    let text = format!("The email cannot be changed any more: its status is {status}.");
    Failure::new(Code::EmailNotEditable, text).with(json!({ "email_id": row.id, "status": status }))
}
