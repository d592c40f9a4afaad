//! Drafts: mails that somebody writes before they are sent (wire: emails §5).

use postern_entity::{EmailDraftId, ProjectId, email_draft};
use sea_orm::{ActiveValue::Set, IntoActiveModel};

use super::{check_name, check_source, config_for_admin, store};
use crate::{
    Actor, Deps, Failure,
    db::Tx,
    emails::compose::Theme,
    error::{Result, refuse},
    patch::Patch,
    time::Timestamp,
};

/// What a new draft says.
const STARTER: &str = include_str!("draft.mjml");
/// How many drafts a project may have.
const MAX_DRAFTS: u64 = 1000;

/// A draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The draft.
    pub id: EmailDraftId,
    /// Its name, for people.
    pub display_name: String,
    /// Its source.
    pub source: String,
    /// Its theme.
    pub theme: Theme,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was last sent.
    pub sent_at: Option<Timestamp>,
}

impl From<email_draft::Model> for Draft {
    fn from(row: email_draft::Model) -> Self {
        Self {
            theme: Theme::of_columns(row.theme_id.as_deref(), row.uses_selected_theme),
            id: row.id,
            display_name: row.display_name,
            source: row.template_source,
            updated_at: row.updated_at,
            sent_at: row.sent_at,
        }
    }
}

/// A draft to be made.
#[derive(Clone, Debug)]
pub struct NewDraft {
    /// Its name, for people.
    pub display_name: String,
    /// Its source; a mail to begin with when not given.
    pub source: Option<String>,
    /// Its theme.
    pub theme: Theme,
}

/// What to change of a draft.
#[derive(Clone, Debug, Default)]
pub struct UpdateDraft {
    /// Its name, for people.
    pub display_name: Option<String>,
    /// Its source.
    pub source: Option<String>,
    /// Its theme; to clear it means the selected one.
    pub theme: Patch<Theme>,
}

/// All drafts, last changed first.
///
/// # Errors
/// `FORBIDDEN` below ADMIN.
#[crate::boxed]
pub async fn list(deps: &Deps, actor: &Actor) -> Result<Vec<Draft>> {
    config_for_admin(deps, actor).await?;
    let rows = store::drafts(deps.db.read(), &actor.project_id, MAX_DRAFTS).await?;
    Ok(rows.into_iter().map(Draft::from).collect())
}

/// One draft.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `NOT_FOUND`.
#[crate::boxed]
pub async fn get(deps: &Deps, actor: &Actor, id: EmailDraftId) -> Result<Draft> {
    config_for_admin(deps, actor).await?;
    match store::draft(deps.db.read(), &actor.project_id, id).await? {
        Some(row) => Ok(row.into()),
        None => refuse(not_found()),
    }
}

/// Makes a draft. It is not tried out: it may be unfinished.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `SCHEMA_ERROR`; `BAD_REQUEST` for one too many.
#[crate::boxed]
pub async fn create(deps: &Deps, actor: &Actor, new: NewDraft) -> Result<Draft> {
    config_for_admin(deps, actor).await?;
    check_name(&new.display_name)?;
    let source = new.source.unwrap_or_else(|| STARTER.to_owned());
    check_source(&source)?;
    let (theme_id, uses_selected_theme) = new.theme.columns();
    let row = &email_draft::Model {
        id: EmailDraftId::random(),
        project_id: actor.project_id.clone(),
        display_name: new.display_name,
        template_source: source,
        theme_id,
        uses_selected_theme,
        created_at: deps.now(),
        updated_at: deps.now(),
        sent_at: None,
    };
    let id = deps
        .mutate(actor, "emails.create_draft", |tx| async move {
            if store::count_drafts(&tx, &actor.project_id).await? >= MAX_DRAFTS {
                return refuse(Failure::bad_request(format!("A project can have at most {MAX_DRAFTS} drafts.")));
            }
            store::insert_draft(&tx, row.clone().into_active_model()).await?;
            Ok(row.id)
        })
        .await?;
    Ok(Draft { id, ..row.clone().into() })
}

/// Changes a draft.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `SCHEMA_ERROR`; `NOT_FOUND`.
#[crate::boxed]
pub async fn update(deps: &Deps, actor: &Actor, id: EmailDraftId, change: UpdateDraft) -> Result<Draft> {
    config_for_admin(deps, actor).await?;
    change.display_name.as_deref().map_or(Ok(()), check_name)?;
    change.source.as_deref().map_or(Ok(()), check_source)?;
    let mut changes = email_draft::ActiveModel { updated_at: Set(deps.now()), ..Default::default() };
    changes.display_name = change.display_name.map_or(changes.display_name, Set);
    changes.template_source = change.source.map_or(changes.template_source, Set);
    if let Some(theme) = change.theme.mentioned() {
        let (theme_id, uses_selected_theme) = theme.unwrap_or(Theme::Selected).columns();
        changes.theme_id = Set(theme_id);
        changes.uses_selected_theme = Set(uses_selected_theme);
    }
    let changes = &changes;
    deps.mutate(actor, "emails.update_draft", |tx| async move {
        if store::update_draft(&tx, &actor.project_id, id, changes.clone()).await? {
            Ok(())
        } else {
            refuse(not_found())
        }
    })
    .await?;
    get(deps, actor, id).await
}

/// Removes a draft. Mails made from it stay.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `NOT_FOUND`.
#[crate::boxed]
pub async fn delete(deps: &Deps, actor: &Actor, id: EmailDraftId) -> Result<()> {
    config_for_admin(deps, actor).await?;
    deps.mutate(actor, "emails.delete_draft", |tx| async move {
        if store::delete_draft(&tx, &actor.project_id, id).await? { Ok(()) } else { refuse(not_found()) }
    })
    .await
}

/// The draft for whoever sends it.
pub(in crate::emails) async fn find(deps: &Deps, project_id: &ProjectId, id: EmailDraftId) -> Result<Option<Draft>> {
    Ok(store::draft(deps.db.read(), project_id, id).await?.map(Draft::from))
}

/// Says when it was last sent.
pub(in crate::emails) async fn mark_sent(
    tx: &Tx,
    project_id: &ProjectId,
    id: EmailDraftId,
    at: Timestamp,
) -> Result<()> {
    let changes = email_draft::ActiveModel { sent_at: Set(Some(at)), ..Default::default() };
    store::update_draft(tx, project_id, id, changes).await.map(drop)
}

fn not_found() -> Failure {
    Failure::not_found("There is no such draft.")
}
