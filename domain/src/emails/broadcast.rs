//! One content for many users: written into the outbox at once for a few, and by the job [`FillOutbox`] for the others, a
//! few at a time and never far ahead of the worker, so that a mail to everybody holds up nobody (wire: emails §2).

use std::{collections::HashSet, time::Duration};

use postern_entity::{EmailBatchId, EmailDraftId, ProjectId, UserId, email_batch, user};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde_json::{Map, Value, json};

use super::{
    compose::{self, Composition, Origin, Theme},
    edit::check_variables,
    enqueue::Recipient,
    jobs::FillOutbox,
    library::{self, drafts},
    outbox::require_server,
    render,
    seal::SecretVariables,
};
use crate::{
    Actor, Code, Deps, Failure,
    db::{Tx, statement},
    error::{Error, Result, refuse},
    notifications::Category,
    projects,
    queue::{self, Ending, Enqueue, Lease},
    time::Timestamp,
    validation::Violations,
};

/// Mails that are written at once, and by one run of the job (design §1: bulk work commits at most 100 rows).
const AT_ONCE: usize = 100;
/// Users that one call may name.
pub const MAX_USERS: usize = 10_000;
/// Users that the answer of a mail to everybody names.
pub const MAX_NAMED: u64 = 10_000;
/// Mails of a project that wait to be rendered before the job waits for the worker.
const MAX_UNRENDERED: i64 = 200;
/// How long it waits then.
const WAIT: Duration = Duration::from_secs(1);
/// Most characters of a subject.
const MAX_SUBJECT_CHARS: usize = 500;

/// A mail to some users, or to all.
#[derive(Clone, Debug)]
pub struct SendEmails {
    /// To whom; a call that does not say it, or says both, is refused.
    pub to: Option<Audience>,
    /// What it says.
    pub content: Body,
    /// Instead of the template's.
    pub subject: Option<String>,
    /// Name of the category, instead of the template's.
    pub notification_category_name: Option<String>,
    /// Its theme; for a draft its own, otherwise the selected one, when not given.
    pub theme: Option<Theme>,
    /// Goes before others of the project.
    pub is_high_priority: bool,
    /// Not to be sent before.
    pub scheduled_at: Option<Timestamp>,
}

/// To whom.
#[derive(Clone, Debug)]
pub enum Audience {
    /// These users, at most [`MAX_USERS`]; one named twice gets one mail.
    Users(Vec<UserId>),
    /// Everybody who has signed up by now, anonymous users too.
    Everybody,
}

/// What a mail says.
#[derive(Clone, Debug)]
pub enum Body {
    /// This HTML.
    Html(String),
    /// A template of the project, with these variables.
    Template {
        /// The template.
        id: String,
        /// Its variables.
        variables: Map<String, Value>,
    },
    /// A draft.
    Draft(EmailDraftId),
}

/// Puts a mail to users into the outbox: all of them, or none when one is unknown. Answers the users, at most
/// [`MAX_NAMED`].
///
/// # Errors
/// `FORBIDDEN` below server level; `REQUIRES_CUSTOM_EMAIL_SERVER`; `SCHEMA_ERROR`; `BAD_REQUEST` for an unknown category,
/// template or draft; `USER_ID_DOES_NOT_EXIST` for the first unknown user.
#[crate::boxed]
pub async fn send_emails(deps: &Deps, actor: &Actor, wanted: &SendEmails) -> Result<Vec<UserId>> {
    require_server(actor)?;
    let config = projects::config(deps, &actor.project_id).await?;
    library::require_own_server(&config.emails)?;
    check(wanted)?;
    let (composition, draft_id) = compose(deps, actor, &config.emails, wanted).await?;
    let (composition, project_id) = (&composition, &actor.project_id);
    let named = match &wanted.to {
        Some(Audience::Users(users)) => Some(distinct(users)),
        Some(Audience::Everybody) | None => None,
    };
    let named = &named;
    deps.mutate(actor, "emails.send", |tx| async move {
        let now = deps.now();
        let users = match named {
            Some(users) => {
                require_users(&tx, project_id, users).await?;
                users.clone()
            }
            None => everybody(&*tx, project_id, now, None, MAX_NAMED).await?.into_iter().map(|(_, id)| id).collect(),
        };
        if users.len() <= AT_ONCE {
            write(&tx, deps, project_id, composition, &users, None).await?;
        } else {
            let batch = email_batch::Model {
                id: EmailBatchId::random(),
                project_id: project_id.clone(),
                content: serde_json::to_value(composition).map_err(Error::internal)?,
                user_ids: named.as_ref().map(serde_json::to_value).transpose().map_err(Error::internal)?,
                done: 0,
                after_signed_up_at: None,
                after_user_id: None,
                created_at: now,
            };
            let job = Enqueue::new(&FillOutbox { project_id: project_id.clone(), batch_id: batch.id })?;
            email_batch::Entity::insert(batch.into_active_model()).exec_without_returning(&*tx).await?;
            queue::enqueue(deps, &tx, job.project(project_id.clone())).await?;
        }
        if let Some(id) = draft_id {
            drafts::mark_sent(&tx, project_id, id, now).await?;
        }
        Ok(users)
    })
    .await
}

fn check(wanted: &SendEmails) -> Result<()> {
    let mut violations = Violations::default();
    violations.require(wanted.to.is_some(), "user_ids", "or all_users must be given, and not both");
    if let Some(Audience::Users(users)) = &wanted.to {
        let most = MAX_USERS;
        violations.require(users.len() <= most, "user_ids", format_args!("must be at most {most} users"));
    }
    if let Some(subject) = &wanted.subject {
        violations.text("subject", subject, MAX_SUBJECT_CHARS);
    }
    match &wanted.content {
        Body::Html(html) => {
            let most = render::MAX_SOURCE_BYTES - 1024;
            violations.require(html.len() <= most, "html", format_args!("must have at most {most} bytes"));
            violations.storable("html", html);
        }
        Body::Template { variables, .. } => check_variables(&mut violations, variables),
        Body::Draft(_) => {}
    }
    violations.finish()
}

/// What the mails say, and the draft that it is from.
async fn compose(
    deps: &Deps,
    actor: &Actor,
    emails: &projects::Emails,
    wanted: &SendEmails,
) -> Result<(Composition, Option<EmailDraftId>)> {
    let category = match &wanted.notification_category_name {
        None => None,
        Some(name) => match Category::named(name) {
            Some(category) => Some(category),
            None => return refuse(Failure::bad_request("notification_category_name: there is no such category")),
        },
    };
    let mut composition = Composition {
        source: String::new(),
        origin: Origin::Source,
        theme: wanted.theme.clone().unwrap_or(Theme::Selected),
        subject: wanted.subject.clone(),
        category_id: category.map(|category| category.id),
        is_high_priority: wanted.is_high_priority,
        is_awaited: false,
        scheduled_at: wanted.scheduled_at,
        variables: Map::new(),
        skip_deliverability_check: false,
    };
    match &wanted.content {
        Body::Html(html) => composition.source = html_source(html),
        Body::Template { id, variables } => {
            let Some(template) = emails.templates.get(id) else {
                return refuse(Failure::bad_request("template_id: there is no such template"));
            };
            composition.source.clone_from(&template.tsx_source);
            composition.origin = Origin::Template(id.clone());
            composition.variables.clone_from(variables);
        }
        Body::Draft(id) => {
            let Some(draft) = drafts::find(deps, &actor.project_id, *id).await? else {
                return refuse(Failure::bad_request("draft_id: there is no such draft"));
            };
            composition.source = draft.source;
            composition.origin = Origin::Draft(*id);
            composition.theme = wanted.theme.clone().unwrap_or(draft.theme);
            return Ok((composition, Some(*id)));
        }
    }
    Ok((composition, None))
}

/// A template that says exactly this HTML, whatever looks like an instruction in it.
fn html_source(html: &str) -> String {
    let mut source = String::from("{% block html %}");
    for (place, part) in html.split("{%").enumerate() {
        if place > 0 {
            source.push_str("{{ '{%' }}");
        }
        if part.contains('{') {
            source.push_str("{% raw %}");
            source.push_str(part);
            source.push_str("{% endraw %}");
        } else {
            source.push_str(part);
        }
    }
    source.push_str("{% endblock %}");
    source
}

fn distinct(users: &[UserId]) -> Vec<UserId> {
    let mut seen = HashSet::new();
    users.iter().copied().filter(|id| seen.insert(*id)).collect()
}

/// Every one of `users` is there.
async fn require_users(tx: &Tx, project_id: &ProjectId, users: &[UserId]) -> Result<()> {
    for some in users.chunks(1000) {
        let found: Vec<UserId> = user::Entity::find()
            .select_only()
            .column(user::Column::Id)
            .filter(user::Column::ProjectId.eq(project_id.clone()))
            .filter(user::Column::Id.is_in(some.iter().copied()))
            .into_tuple()
            .all(&**tx)
            .await?;
        let found: HashSet<UserId> = found.into_iter().collect();
        if let Some(missing) = some.iter().find(|id| !found.contains(id)) {
            return refuse(no_such_user(*missing));
        }
    }
    Ok(())
}

fn no_such_user(user_id: UserId) -> Failure {
    Failure::new(Code::UserIdDoesNotExist, format!("There is no user with the id {user_id}."))
        .with(json!({ "user_id": user_id }))
}

/// Users that had signed up by `until`, oldest first, from behind `after` on.
async fn everybody<C: ConnectionTrait>(
    connection: &C,
    project_id: &ProjectId,
    until: Timestamp,
    after: Option<(Timestamp, UserId)>,
    limit: u64,
) -> Result<Vec<(Timestamp, UserId)>> {
    let mut found = user::Entity::find()
        .select_only()
        .column(user::Column::SignedUpAt)
        .column(user::Column::Id)
        .filter(user::Column::ProjectId.eq(project_id.clone()))
        .filter(user::Column::SignedUpAt.lte(until));
    if let Some((at, id)) = after {
        found = found.filter(
            Condition::any()
                .add(user::Column::SignedUpAt.gt(at))
                .add(Condition::all().add(user::Column::SignedUpAt.eq(at)).add(user::Column::Id.gt(id))),
        );
    }
    let ordered = found.order_by_asc(user::Column::SignedUpAt).order_by_asc(user::Column::Id).limit(limit);
    Ok(ordered.into_tuple().all(connection).await?)
}

/// Writes one mail for each user; within a batch only once.
async fn write(
    tx: &Tx,
    deps: &Deps,
    project_id: &ProjectId,
    composition: &Composition,
    users: &[UserId],
    batch: Option<EmailBatchId>,
) -> Result<()> {
    for user_id in users {
        let recipient = Recipient::UserPrimaryEmail { user_id: *user_id };
        let dedup_key = batch.map(|batch| format!("batch:{batch}:{user_id}"));
        let none = SecretVariables::new();
        compose::insert(tx, deps, project_id, &recipient, composition.clone(), &none, dedup_key).await?;
    }
    Ok(())
}

/// Runs the job [`FillOutbox`]: the next mails of a batch.
///
/// # Errors
/// Internal only; the queue tries again.
#[crate::boxed]
pub async fn fill_outbox(deps: &Deps, lease: &Lease, job: &FillOutbox) -> Result<Ending> {
    let project_id = &job.project_id;
    if unrendered(deps, project_id).await? >= MAX_UNRENDERED {
        return Ok(Ending::snooze(WAIT));
    }
    let is_over = deps
        .db
        .write(async |tx| {
            lease.guard(&tx).await?;
            let batch = email_batch::Entity::find_by_id(job.batch_id)
                .filter(email_batch::Column::ProjectId.eq(project_id.clone()));
            let Some(batch) = batch.one(&*tx).await? else { return Ok(true) };
            let composition: Composition = serde_json::from_value(batch.content.clone()).map_err(Error::internal)?;
            let (users, mut progress) = next(&tx, &batch).await?;
            write(&tx, deps, project_id, &composition, &users, Some(batch.id)).await?;
            if users.len() < AT_ONCE {
                email_batch::Entity::delete_by_id(batch.id).exec(&*tx).await?;
                return Ok(true);
            }
            progress.id = Set(batch.id);
            email_batch::Entity::update(progress).exec(&*tx).await?;
            Ok(false)
        })
        .await?;
    // Others have their turn in between.
    Ok(if is_over { Ending::done() } else { Ending::snooze(Duration::ZERO) })
}

/// The users of a batch who come next, and how far it is after them.
async fn next(tx: &Tx, batch: &email_batch::Model) -> Result<(Vec<UserId>, email_batch::ActiveModel)> {
    if let Some(listed) = &batch.user_ids {
        let listed: Vec<UserId> = serde_json::from_value(listed.clone()).map_err(Error::internal)?;
        let done = usize::try_from(batch.done).map_err(Error::internal)?;
        let users: Vec<UserId> = listed.into_iter().skip(done).take(AT_ONCE).collect();
        let done = i32::try_from(done + users.len()).map_err(Error::internal)?;
        return Ok((users, email_batch::ActiveModel { done: Set(done), ..Default::default() }));
    }
    let after = batch.after_signed_up_at.zip(batch.after_user_id);
    let found = everybody(&**tx, &batch.project_id, batch.created_at, after, AT_ONCE as u64).await?;
    let (at, id) = found.last().copied().unzip();
    let progress =
        email_batch::ActiveModel { after_signed_up_at: Set(at), after_user_id: Set(id), ..Default::default() };
    Ok((found.into_iter().map(|(_, id)| id).collect(), progress))
}

/// Mails of the project that nobody has rendered yet, counted up to [`MAX_UNRENDERED`].
async fn unrendered(deps: &Deps, project_id: &ProjectId) -> Result<i64> {
    // The condition of the index `email_unrendered`, word by word.
    let sql = format!(
        "SELECT COUNT(*) AS waiting FROM (SELECT 1 FROM email WHERE project_id = $1 AND started_rendering_at IS NULL \
         AND skipped_reason IS NULL AND NOT is_paused LIMIT {MAX_UNRENDERED}) AS waiting"
    );
    let connection = deps.db.read();
    let row = connection.query_one_raw(statement(connection, &sql, [project_id.as_str().into()])).await?;
    Ok(row.map(|row| row.try_get("", "waiting")).transpose()?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_stays_as_it_is_whatever_it_looks_like() {
        for html in ["<p>a</p>", "{% raw %}{{ x }}{% endraw %}", "{# no #} {{ 1 + 1 }} {%", "{%%}{{{%", "{{%", "{"] {
            let mut environment = minijinja::Environment::new();
            environment.set_auto_escape_callback(|_| minijinja::AutoEscape::Html);
            let source = html_source(html);
            assert_eq!(environment.render_str(&source, ()).unwrap(), html, "{source}");
        }
    }
}
