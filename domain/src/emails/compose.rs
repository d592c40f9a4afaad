//! What a mail says and how it is sent, whoever it goes to; and its row in the outbox.

use postern_entity::{EmailDraftId, EmailId, ProjectId, email};
use sea_orm::{ActiveValue::Set, EntityTrait, TryInsertResult, sea_query::OnConflict};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    enqueue::Recipient,
    jobs::SendEmail,
    seal::{Column, SecretVariables, exposed, seal},
    store,
    theme::DEFAULT_THEME,
};
use crate::{
    db::Tx,
    deps::Deps,
    error::{Error, Result},
    queue::{self, Enqueue, Priority},
    time::Timestamp,
};

/// The secrets of a mail are of no use any longer than the codes in them live (wire: 7 days by default).
const SECRETS_LIVE_SECONDS: i64 = 7 * 24 * 60 * 60;

/// A mail without its recipient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Composition {
    /// Source of the template. Empty: that of the project's template which `origin` names, as it is at rendering.
    pub(super) source: String,
    pub(super) origin: Origin,
    pub(super) theme: Theme,
    /// Instead of the template's.
    pub(super) subject: Option<String>,
    /// Instead of the template's.
    pub(super) category_id: Option<Uuid>,
    pub(super) is_high_priority: bool,
    /// Caused by an action of ours, for which somebody waits.
    pub(super) is_awaited: bool,
    /// Not to be sent before; at once when none is given.
    pub(super) scheduled_at: Option<Timestamp>,
    /// Those that may be shown.
    pub(super) variables: Map<String, Value>,
    /// Do not ask a deliverability checker: somebody is waiting for this very mail.
    pub(super) skip_deliverability_check: bool,
}

/// What a mail was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Origin {
    /// A source that was handed over.
    Source,
    /// A template of the project.
    Template(String),
    /// A draft.
    Draft(EmailDraftId),
}

/// Which theme a mail wears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Theme {
    /// Whatever the project has selected when the mail is rendered.
    Selected,
    /// None.
    None,
    /// This one; the selected one when it is gone.
    Id(String),
}

impl Theme {
    /// As two columns: the id, and whether it follows the selection.
    pub(super) fn columns(&self) -> (Option<String>, bool) {
        match self {
            Self::Selected => (Some(DEFAULT_THEME.id.to_owned()), true),
            Self::None => (None, false),
            Self::Id(id) => (Some(id.clone()), false),
        }
    }

    pub(super) fn of_columns(id: Option<&str>, uses_selected: bool) -> Self {
        match id {
            _ if uses_selected => Self::Selected,
            None => Self::None,
            Some(id) => Self::Id(id.to_owned()),
        }
    }
}

/// Writes the mail into the outbox with the job that sends it. Answers its id; with a `dedup_key` that was used before,
/// the id of the mail that used it.
pub(super) async fn insert(
    tx: &Tx,
    deps: &Deps,
    project_id: &ProjectId,
    recipient: &Recipient,
    composition: Composition,
    secret: &SecretVariables,
    dedup_key: Option<String>,
) -> Result<EmailId> {
    let (id, now) = (EmailId::random(), deps.now());
    // Mails that somebody waits for pass those of all other projects; the others only of their own.
    let priority = if composition.is_awaited { Priority::High } else { Priority::Low };
    let sealed = if secret.is_empty() {
        None
    } else {
        Some(seal(&deps.keyring, (project_id, id), Column::Variables, &exposed(secret))?)
    };
    let row = email::ActiveModel {
        project_id: Set(project_id.clone()),
        dedup_key: Set(dedup_key.clone()),
        message_id: Set(message_id(deps, id)),
        secrets_expire_at: Set(sealed.as_ref().map(|_| now.plus_seconds(SECRETS_LIVE_SECONDS))),
        sealed_variables: Set(sealed),
        ..composition.columns(id, recipient, now)
    };
    let once = OnConflict::columns([email::Column::ProjectId, email::Column::DedupKey]).do_nothing().to_owned();
    match email::Entity::insert(row).on_conflict(once).try_insert().exec_without_returning(&**tx).await? {
        TryInsertResult::Inserted(1..) => {
            // Rendered at once, whenever it is to leave (wire: emails §1.4).
            enqueue_job(tx, deps, project_id, id, priority).await?;
            Ok(id)
        }
        TryInsertResult::Inserted(0) | TryInsertResult::Conflicted | TryInsertResult::Empty => {
            let earlier = store::by_dedup_key(&**tx, project_id, &dedup_key.unwrap_or_default()).await?;
            earlier.ok_or_else(|| Error::internal("a mail was neither inserted nor there before"))
        }
    }
}

/// The job that brings a mail forward.
pub(super) async fn enqueue_job(
    tx: &Tx,
    deps: &Deps,
    project_id: &ProjectId,
    id: EmailId,
    priority: Priority,
) -> Result<()> {
    let job = Enqueue::new(&SendEmail { project_id: project_id.clone(), email_id: id })?.priority(priority);
    queue::enqueue(deps, tx, job.project(project_id.clone())).await?;
    Ok(())
}

impl Composition {
    fn columns(self, id: EmailId, recipient: &Recipient, now: Timestamp) -> email::ActiveModel {
        let (kind, user_id, emails) = recipient.parts();
        let (theme_id, uses_selected_theme) = self.theme.columns();
        let (created_with, draft_id, template_id) = match self.origin {
            Origin::Source => (store::PROGRAMMATIC_CALL, None, None),
            Origin::Template(id) => (store::PROGRAMMATIC_CALL, None, Some(id)),
            Origin::Draft(id) => (store::DRAFT, Some(id.to_string()), None),
        };
        email::ActiveModel {
            id: Set(id),
            created_at: Set(now),
            updated_at: Set(now),
            template_source: Set(self.source),
            theme_id: Set(theme_id),
            uses_selected_theme: Set(uses_selected_theme),
            recipient_kind: Set(kind.to_owned()),
            recipient_user_id: Set(user_id),
            recipient_emails: Set(json!(emails)),
            variables: Set(Value::Object(self.variables)),
            skip_deliverability_check: Set(self.skip_deliverability_check),
            is_high_priority: Set(self.is_high_priority),
            override_subject: Set(self.subject),
            override_category_id: Set(self.category_id),
            scheduled_at: Set(self.scheduled_at.map_or(now, |at| at.max(now))),
            created_with: Set(created_with.to_owned()),
            draft_id: Set(draft_id),
            template_id: Set(template_id),
            ..Default::default()
        }
    }
}

/// Stable for all tries of the mail (RFC 5322 §3.6.4): the row's id at the host that people know.
fn message_id(deps: &Deps, id: EmailId) -> String {
    format!("{id}@{}", deps.settings.public_url.host_str().unwrap_or("localhost"))
}

/// The mail that a `Message-ID` of ours names, whatever stands around it.
pub(super) fn of_message_id(text: &str) -> Option<EmailId> {
    let (id, _) = text.trim().trim_start_matches('<').split_once('@')?;
    let id: Uuid = id.parse().ok()?;
    Some(EmailId(id))
}
