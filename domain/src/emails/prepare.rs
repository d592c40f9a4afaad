//! Rendering a mail of the outbox: twice when it carries secrets, once as it goes out and once as it may be shown.

use postern_entity::{EmailId, ProjectId, UserId, email};
use sea_orm::ActiveValue::Set;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    render::{self, Rendered, Source, View},
    seal::{self, Column, Content},
    store,
    theme::{self, BUILT_IN_THEMES},
};
use crate::{
    deps::Deps,
    error::{Error, Result},
    notifications::{self, Category, TRANSACTIONAL},
    projects::{self, Project},
    queue::Lease,
    time::Timestamp,
};

/// Renders `email` and writes the outcome down. Answers the row as it is afterwards; `None` when it is gone.
pub(super) async fn prepare(
    deps: &Deps,
    lease: &Lease,
    email: email::Model,
    project: &Project,
) -> Result<Option<email::Model>> {
    let started_at = deps.now();
    let theme_id = theme_id(deps, &email, project).await?;
    let source = Source { template: email.template_source.clone(), theme: theme::source(theme_id.as_deref()) };
    let views = views(deps, &email, project).await?;
    let mut rendered = render::render_all(source.clone(), views.clone()).await?;
    // Which category it is, and so whether it can be unsubscribed from, is only known once it was rendered.
    if let Some((user_id, category)) = rendered.as_ref().ok().and_then(|rendered| can_unsubscribe(&email, rendered)) {
        let link = deps
            .db
            .write(|tx| async move { notifications::issue_link(deps, &tx, &project.id, user_id, category).await })
            .await?;
        rendered = render::render_all(source, with_link(views, &link)).await?;
    }
    let mut changes = match rendered {
        Ok(rendered) => rendered_columns(deps, &email, rendered)?,
        Err(error) => email::ActiveModel { render_error: Set(Some(error.0)), ..Default::default() },
    };
    changes.theme_id = Set(theme_id);
    changes.rendering_worker_id = Set(Some(Uuid::new_v4()));
    changes.started_rendering_at = Set(Some(started_at));
    save(deps, lease, (&email.project_id, email.id), deps.now(), changes).await
}

/// Writes the rendered columns down unless the row was rendered, paused or cancelled meanwhile.
async fn save(
    deps: &Deps,
    lease: &Lease,
    (project_id, id): (&ProjectId, EmailId),
    now: Timestamp,
    mut changes: email::ActiveModel,
) -> Result<Option<email::Model>> {
    changes.rendered_at = Set(Some(now));
    deps.db
        .write(async |tx| {
            lease.guard(&tx).await?;
            let Some(row) = store::lock(&tx, project_id, id).await? else { return Ok(None) };
            if row.rendered_at.is_some() || row.is_paused || row.skipped_reason.is_some() {
                return Ok(Some(row));
            }
            store::update(&tx, &row, now, changes.clone()).await?;
            store::find(&*tx, project_id, id).await
        })
        .await
}

/// The theme to use; `None` for none.
async fn theme_id(deps: &Deps, email: &email::Model, project: &Project) -> Result<Option<String>> {
    let is_known = |id: &str| BUILT_IN_THEMES.iter().any(|theme| theme.id == id);
    match &email.theme_id {
        None => Ok(None),
        Some(id) if !email.uses_selected_theme && is_known(id) => Ok(Some(id.clone())),
        Some(_) => Ok(Some(projects::config(deps, &project.id).await?.emails.selected_theme_id.clone())),
    }
}

/// What the template sees: first what may be shown, then, when there are secrets, what goes out.
async fn views(deps: &Deps, email: &email::Model, project: &Project) -> Result<Vec<View>> {
    let user_display_name = match email.recipient_user_id {
        Some(user_id) => store::user_display_name(deps.db.read(), &email.project_id, user_id).await?,
        None => None,
    }
    .unwrap_or_default();
    let mut variables = Map::from_iter([
        ("projectDisplayName".to_owned(), Value::from(project.display_name.clone())),
        ("userDisplayName".to_owned(), Value::from(user_display_name.clone())),
    ]);
    let own = email.variables.as_object().ok_or_else(|| Error::internal("the variables of a mail are no object"))?;
    variables.extend(own.clone());
    let shown = View {
        project_display_name: project.display_name.clone(),
        project_logo_url: project.logo_url.clone(),
        project_logo_full_url: project.logo_full_url.clone(),
        user_display_name,
        variables,
        unsubscribe_link: None,
    };
    let Some(sealed) = &email.sealed_variables else { return Ok(vec![shown]) };
    let secret: Map<String, Value> =
        seal::open(&deps.keyring, (&email.project_id, email.id), Column::Variables, sealed)?;
    let mut real = shown.clone();
    real.variables.extend(secret);
    Ok(vec![shown, real])
}

/// Who can unsubscribe from what, if the mail goes to a user.
fn can_unsubscribe(email: &email::Model, rendered: &[Rendered]) -> Option<(UserId, &'static Category)> {
    let stated = || Category::named(rendered.first()?.category.as_deref()?);
    let category = email.override_category_id.map_or_else(stated, Category::of)?;
    email.recipient_user_id.filter(|_| category.can_be_disabled).map(|user_id| (user_id, category))
}

/// The same with the link, which is a secret: who holds it decides for the user.
fn with_link(mut views: Vec<View>, link: &SecretString) -> Vec<View> {
    let mut real = views.pop().unwrap_or_default();
    let mut shown = views.pop().unwrap_or_else(|| real.clone());
    shown.unsubscribe_link = Some(seal::redact(link));
    real.unsubscribe_link = Some(link.expose_secret().to_owned());
    vec![shown, real]
}

fn rendered_columns(deps: &Deps, email: &email::Model, rendered: Vec<Rendered>) -> Result<email::ActiveModel> {
    let mut rendered = rendered.into_iter();
    let shown = rendered.next().ok_or_else(|| Error::internal("nothing was rendered"))?;
    let with_subject = |content: Content| match &email.override_subject {
        Some(subject) => Content { subject: subject.clone(), ..content },
        None => content,
    };
    let sealed = match rendered.next() {
        Some(real) => {
            let place = (&email.project_id, email.id);
            Some(seal::seal(&deps.keyring, place, Column::Content, &with_subject(real.content))?)
        }
        None => None,
    };
    let category_id = email.override_category_id.or_else(|| Some(Category::named(shown.category.as_deref()?)?.id));
    let Content { subject, html, text, .. } = with_subject(shown.content);
    Ok(email::ActiveModel {
        rendered_subject: Set(Some(subject)),
        rendered_html: Set(Some(html)),
        rendered_text: Set(Some(text)),
        rendered_is_transactional: Set(Some(category_id == Some(TRANSACTIONAL.id))),
        rendered_category_id: Set(category_id),
        sealed_content: Set(sealed),
        ..Default::default()
    })
}
