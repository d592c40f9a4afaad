//! Mails of the outbox: one row per mail and recipient descriptor.
//!
//! The status is never a column: it follows from the times and flags below (`domain::emails::status`). What lets somebody
//! in (codes, links with codes) is never in a readable column: the readable ones hold the redacted mail, the sealed ones
//! the real one, and those are wiped once it has left.

use sea_orm::entity::prelude::*;

use crate::{EmailId, JobId, ProjectId, Timestamp, UserId};

/// A row of `email`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "email")]
pub struct Model {
    /// The mail.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: EmailId,
    /// Owner.
    pub project_id: ProjectId,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When a column last changed.
    pub updated_at: Timestamp,
    /// Makes a repeated cause enqueue one mail; unique per project.
    pub dedup_key: Option<String>,
    /// `Message-ID` without angle brackets; the same for every try.
    pub message_id: String,

    /// Source of the template, as the REST contract carries it in `tsx_source`.
    pub template_source: String,
    /// Chosen theme; null means none. Rewritten at rendering when it follows the project's selection.
    pub theme_id: Option<String>,
    /// Rendered with whatever theme the project has selected by then.
    pub uses_selected_theme: bool,
    /// `user-primary-email`, `user-custom-emails` or `custom-emails`.
    pub recipient_kind: String,
    /// The user, for the first two kinds.
    pub recipient_user_id: Option<UserId>,
    /// List of addresses, for the last two kinds.
    pub recipient_emails: Json,
    /// Variables of the template, those that let somebody in redacted.
    pub variables: Json,
    /// The variables that let somebody in: a JSON object, sealed; null once wiped or when there are none.
    pub sealed_variables: Option<Vec<u8>>,
    /// From then on the sealed columns are of no use and wiped.
    pub secrets_expire_at: Option<Timestamp>,
    /// Whether the address is used without asking a deliverability checker.
    pub skip_deliverability_check: bool,
    /// Goes before others of its project.
    pub is_high_priority: bool,
    /// Replaces the subject of the template.
    pub override_subject: Option<String>,
    /// Replaces the category of the template.
    pub override_category_id: Option<Uuid>,
    /// Not to be sent before.
    pub scheduled_at: Timestamp,
    /// `draft` or `programmatic-call`.
    pub created_with: String,
    /// The draft, exactly when made from one.
    pub draft_id: Option<String>,
    /// The template, when made by a call.
    pub template_id: Option<String>,

    /// Held back by an administrator.
    pub is_paused: bool,
    /// How often the content was replaced: what was rendered of an earlier one does not count.
    pub revision: i32,

    /// Claim of the worker that renders; set exactly when rendering has started.
    pub rendering_worker_id: Option<Uuid>,
    /// When rendering started.
    pub started_rendering_at: Option<Timestamp>,
    /// When it ended, well or not.
    pub rendered_at: Option<Timestamp>,
    /// Why it failed, for administrators.
    pub render_error: Option<String>,
    /// Subject, redacted.
    pub rendered_subject: Option<String>,
    /// HTML part, redacted.
    pub rendered_html: Option<String>,
    /// Text part, redacted.
    pub rendered_text: Option<String>,
    /// The category is the one that nobody can switch off.
    pub rendered_is_transactional: Option<bool>,
    /// The category, when it is a known one.
    pub rendered_category_id: Option<Uuid>,
    /// Subject, HTML and text as they go out: a JSON object, sealed; null once wiped or when equal to the readable ones.
    pub sealed_content: Option<Vec<u8>>,

    /// Who goes first among those of the project: the higher.
    pub sending_priority: i32,
    /// Due and waiting for its turn.
    pub is_queued: bool,
    /// When it looks again whether it is its turn; while it is on its way, when the try that a dead process left is over.
    pub capacity_slot_at: Option<Timestamp>,
    /// The job that looks then, or that sends it.
    pub waiting_job_id: Option<JobId>,
    /// Claim of the worker that sends.
    pub sending_claim_id: Option<Uuid>,
    /// When sending started.
    pub started_sending_at: Option<Timestamp>,
    /// When it ended, well or not.
    pub finished_sending_at: Option<Timestamp>,
    /// Why it failed for good, for administrators.
    pub send_error: Option<String>,
    /// Failed tries so far.
    pub send_retries: i32,
    /// When the next try is due.
    pub next_send_retry_at: Option<Timestamp>,
    /// The failed tries, as the REST contract lists them.
    pub send_attempt_errors: Option<Json>,

    /// Why it is not sent at all.
    pub skipped_reason: Option<String>,
    /// More about it; set exactly when there is a reason.
    pub skipped_details: Option<Json>,

    /// What the server called the mail when it took it; how its provider's reports name it.
    pub provider_message_id: Option<String>,
    /// Those of several recipients that the server refused while it took the mail for the others, each with its reason.
    pub refused_recipients: Option<Json>,
    /// Whether the provider reports delivery; set exactly when sending has ended.
    pub can_have_delivery_info: Option<bool>,
    /// Reported by the provider.
    pub delivered_at: Option<Timestamp>,
    /// Reported by the provider.
    pub delivery_delayed_at: Option<Timestamp>,
    /// Reported by the provider.
    pub bounced_at: Option<Timestamp>,
    /// Reported by the provider.
    pub opened_at: Option<Timestamp>,
    /// Reported by the provider; implies opened.
    pub clicked_at: Option<Timestamp>,
    /// Reported by the provider.
    pub marked_as_spam_at: Option<Timestamp>,

    /// Local mailbox: the addresses it arrived at, each between line feeds; null when it went elsewhere.
    pub mailbox_recipients: Option<String>,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
