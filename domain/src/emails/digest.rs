//! Telling the owners of projects which of their mails failed (wire: emails §10). Once a day and project, as a mail of the
//! project `internal`, whose users they are.

use postern_entity::{EmailId, ProjectId, Timestamp, email};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};
use serde_json::Value;

use super::{NewEmail, Recipient, Template, enqueue, outbox::addressees};
use crate::{
    Actor, Deps, Failure, Level, UserId,
    error::{Result, refuse},
    projects,
    queue::Ending,
    users,
};

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// Failed mails that are told of one project.
const MAX_TOLD: u64 = 100;
/// Owners that are written to.
const MAX_OWNERS: u64 = 50;

/// What failed in one project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedEmails {
    /// The project.
    pub project_id: ProjectId,
    /// How many failed.
    pub count: u64,
    /// The newest of them, with subject and recipients.
    pub emails: Vec<FailedEmail>,
    /// Its owners: users of project `internal`.
    pub owners: Vec<UserId>,
    /// Their addresses.
    pub owner_emails: Vec<String>,
}

/// A mail that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedEmail {
    /// The mail.
    pub id: EmailId,
    /// Its subject; empty when it did not render.
    pub subject: String,
    /// To whom.
    pub to: Vec<String>,
}

/// What failed in the last day, by project, for an administrator of project `internal`. Writes to nobody.
///
/// # Errors
/// `FORBIDDEN` for everybody else.
#[crate::boxed]
pub async fn failed_emails(deps: &Deps, actor: &Actor) -> Result<Vec<FailedEmails>> {
    if actor.level < Level::Admin || actor.project_id != ProjectId::internal() {
        return refuse(Failure::forbidden("the digest of all projects needs admin access to project internal"));
    }
    failed_since(deps, deps.now().plus_seconds(-DAY_SECONDS)).await
}

/// Writes to the owners of every project in which mails failed in the last day, once a day however often it is called.
/// Answers what it told.
///
/// # Errors
/// Those of [`failed_emails`].
#[crate::boxed]
pub async fn send_digest(deps: &Deps, actor: &Actor) -> Result<Vec<FailedEmails>> {
    let failed = failed_emails(deps, actor).await?;
    write_to_owners(deps, &failed).await?;
    Ok(failed)
}

/// Runs the job [`super::jobs::DigestFailedEmails`].
///
/// # Errors
/// Internal only; the queue tries again.
#[crate::boxed]
pub async fn digest_failed_emails(deps: &Deps) -> Result<Ending> {
    let failed = failed_since(deps, deps.now().plus_seconds(-DAY_SECONDS)).await?;
    write_to_owners(deps, &failed).await?;
    Ok(Ending::done())
}

async fn failed_since(deps: &Deps, since: Timestamp) -> Result<Vec<FailedEmails>> {
    let connection = deps.db.read();
    let project_ids: Vec<ProjectId> = failed(since)
        .select_only()
        .column(email::Column::ProjectId)
        .distinct()
        .order_by_asc(email::Column::ProjectId)
        .into_tuple()
        .all(connection)
        .await?;
    let mut all = Vec::new();
    for project_id in project_ids {
        let Some(project) = projects::lookup(deps, &project_id).await? else { continue };
        let of_project = || failed(since).filter(email::Column::ProjectId.eq(project_id.clone()));
        let count = of_project().count(connection).await?;
        // Not whole rows: sources and parts are long.
        let emails = of_project()
            .select_only()
            .columns([
                email::Column::Id,
                email::Column::RenderedSubject,
                email::Column::RecipientUserId,
                email::Column::RecipientEmails,
            ])
            .order_by_desc(email::Column::UpdatedAt)
            .limit(MAX_TOLD)
            .into_model::<FailedRow>()
            .all(connection)
            .await?;
        let owners = projects::owner_ids(deps, &project, MAX_OWNERS).await?;
        let known = users::by_ids(deps, &ProjectId::internal(), &owners).await?;
        let address = |id: &UserId| Some(known.get(id)?.primary_email.as_ref()?.address.clone());
        all.push(FailedEmails {
            count,
            emails: emails.into_iter().map(FailedEmail::of).collect::<Result<_>>()?,
            owner_emails: owners.iter().filter_map(address).collect(),
            project_id,
            owners,
        });
    }
    Ok(all)
}

/// Mails that failed: came to that since, however old they are. A row changes last when it fails.
fn failed(since: Timestamp) -> Select<email::Entity> {
    email::Entity::find()
        .filter(email::Column::UpdatedAt.gte(since))
        .filter(
            // The condition of the index `email_failed`.
            Condition::any()
                .add(email::Column::RenderError.is_not_null())
                .add(email::Column::SendError.is_not_null())
                .add(email::Column::BouncedAt.is_not_null()),
        )
        .filter(email::Column::SkippedReason.is_null())
}

#[derive(FromQueryResult)]
struct FailedRow {
    id: EmailId,
    rendered_subject: Option<String>,
    recipient_user_id: Option<UserId>,
    recipient_emails: Value,
}

impl FailedEmail {
    fn of(row: FailedRow) -> Result<Self> {
        let subject = row.rendered_subject.unwrap_or_default();
        let to = addressees(row.recipient_user_id, row.recipient_emails)?;
        Ok(Self { id: row.id, subject, to })
    }
}

async fn write_to_owners(deps: &Deps, failed: &[FailedEmails]) -> Result<()> {
    let day = deps.now().seconds().div_euclid(DAY_SECONDS);
    for FailedEmails { project_id, count, emails, owners, .. } in failed {
        // A digest that fails is not told of by another one.
        let Some(project) = projects::lookup(deps, project_id).await?.filter(|_| *project_id != ProjectId::internal())
        else {
            continue;
        };
        let subjects = &emails.iter().map(|email| email.subject.clone()).take(10).collect::<Vec<_>>();
        let project_name = &project.display_name;
        deps.db
            .write(|tx| async move {
                for user_id in owners {
                    let template = Template::FailedEmails {
                        project_name: project_name.clone(),
                        count: *count,
                        subjects: subjects.clone(),
                    };
                    let recipient = Recipient::UserPrimaryEmail { user_id: *user_id };
                    let mail = NewEmail {
                        skip_deliverability_check: false,
                        dedup_key: Some(format!("failed_emails/{project_id}/{user_id}/{day}")),
                        ..NewEmail::new(ProjectId::internal(), recipient, template)
                    };
                    enqueue(&tx, deps, mail).await?;
                }
                Ok(())
            })
            .await?;
    }
    Ok(())
}
