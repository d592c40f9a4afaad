//! Rendering a mail of the outbox: twice when it carries secrets, once as it goes out and once as it may be shown.

use postern_entity::{UserId, email};
use sea_orm::ActiveValue::Set;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    capacity, library,
    render::{self, Answer, Logos, Rendered, View},
    seal::{self, Column, Content},
    send::tell,
    store,
};
use crate::{
    deps::Deps,
    error::{Error, Result},
    events::EventKind,
    notifications::{self, Category, TRANSACTIONAL},
    projects::{self, Project},
    queue::Lease,
    time::Timestamp,
};

/// What came of rendering a mail.
pub(super) enum Prepared {
    /// The row as it is afterwards.
    Row(Box<email::Model>),
    /// The row is gone.
    Gone,
    /// Too much of the project is rendered at this moment.
    Later,
}

/// Renders `email` and writes the outcome down.
pub(super) async fn prepare(deps: &Deps, lease: &Lease, email: email::Model, project: &Project) -> Result<Prepared> {
    let started_at = deps.now();
    let config = projects::config(deps, &project.id).await?;
    let (source, theme_id) = library::sources(&config.emails, &email);
    let views = views(deps, &email, project).await?;
    let answer = render::render_all(deps, &project.id, source.clone(), views.clone()).await?;
    let Answer::Done(mut rendered) = answer else { return Ok(Prepared::Later) };
    // Which category it is, and so whether it can be unsubscribed from, is only known once it was rendered.
    if let Some((user_id, category)) = rendered.as_ref().ok().and_then(|rendered| can_unsubscribe(&email, rendered)) {
        let link = deps
            .db
            .write(|tx| async move { notifications::issue_link(deps, &tx, &project.id, user_id, category).await })
            .await?;
        let answer = render::render_all(deps, &project.id, source.clone(), with_link(views, &link)).await?;
        let Answer::Done(with_link) = answer else { return Ok(Prepared::Later) };
        rendered = with_link;
    }
    let mut changes = match rendered {
        Ok(rendered) => rendered_columns(deps, &email, rendered)?,
        Err(error) => email::ActiveModel { render_error: Set(Some(error.0)), ..Default::default() },
    };
    changes.template_source = Set(source.template);
    changes.theme_id = Set(theme_id);
    changes.rendering_worker_id = Set(Some(Uuid::new_v4()));
    changes.started_rendering_at = Set(Some(started_at));
    let row = save(deps, lease, &email, deps.now(), changes).await?;
    Ok(row.map_or(Prepared::Gone, |row| Prepared::Row(Box::new(row))))
}

/// Writes the rendered columns down unless the row was rendered, paused, cancelled or given another content meanwhile.
async fn save(
    deps: &Deps,
    lease: &Lease,
    email: &email::Model,
    now: Timestamp,
    mut changes: email::ActiveModel,
) -> Result<Option<email::Model>> {
    changes.rendered_at = Set(Some(now));
    deps.db
        .write(async |tx| {
            lease.guard(&tx).await?;
            let Some(row) = store::lock(&tx, &email.project_id, email.id).await? else { return Ok(None) };
            let is_outdated = row.revision != email.revision;
            if is_outdated || row.rendered_at.is_some() || row.is_paused || row.skipped_reason.is_some() {
                return Ok(Some(row));
            }
            let is_broken = matches!(changes.render_error, Set(Some(_)));
            store::update(&tx, &row, now, changes.clone()).await?;
            if is_broken {
                tell(&tx, deps, &row, EventKind::EmailFailed).await?;
            }
            store::find(&*tx, &email.project_id, email.id).await
        })
        .await
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
        codes_valid_for: deps.settings.codes_valid_for(),
        logos: logos(project),
        user_display_name,
        variables,
        is_preview: false,
        unsubscribe_link: None,
    };
    let Some(sealed) = &email.sealed_variables else { return Ok(vec![shown]) };
    let secret: Map<String, Value> =
        seal::open(&deps.keyring, (&email.project_id, email.id), Column::Variables, sealed)?;
    let mut real = shown.clone();
    real.variables.extend(secret);
    Ok(vec![shown, real])
}

pub(super) fn logos(project: &Project) -> Logos {
    Logos {
        logo: project.logo_url.clone(),
        full: project.logo_full_url.clone(),
        dark: project.logo_dark_mode_url.clone(),
        full_dark: project.logo_full_dark_mode_url.clone(),
    }
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
        Some(subject) => Content { subject: render::one_line(subject), ..content },
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
    let is_transactional = category_id == Some(TRANSACTIONAL.id);
    let Content { subject, html, text, .. } = with_subject(shown.content);
    Ok(email::ActiveModel {
        rendered_subject: Set(Some(subject)),
        rendered_html: Set(Some(html)),
        rendered_text: Set(Some(text)),
        rendered_is_transactional: Set(Some(is_transactional)),
        sending_priority: Set(capacity::priority(email.is_high_priority, is_transactional)),
        rendered_category_id: Set(category_id),
        sealed_content: Set(sealed),
        ..Default::default()
    })
}
