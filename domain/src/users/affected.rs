//! Whom a change of the project's config would restrict (wire/projects-config-webhooks §2.3).

use postern_entity::user;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait},
};

use super::{
    User,
    list::verified_primary_email,
    store::{self, Loaded},
};
use crate::{
    Actor, Deps, Failure, Level,
    error::{Result, refuse},
    projects,
    validation::Violations,
};

/// The largest number of users that one answer names.
const MAX_NAMED: u64 = 100;

/// Who would be restricted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Affected {
    /// Some of them, newest first, as they would be.
    pub users: Vec<User>,
    /// How many there are.
    pub total: u64,
}

/// Whom it would restrict to require a verified primary address, if `required` says so: nobody, if it is not to be required,
/// or is already. Names at most `limit` users.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `SCHEMA_ERROR` for a limit outside 1 to 100.
#[crate::boxed]
pub async fn affected_by_verification(
    deps: &Deps,
    actor: &Actor,
    required: Option<bool>,
    limit: u64,
) -> Result<Affected> {
    if actor.level != Level::Admin {
        return refuse(Failure::forbidden("Seeing whom a setting would restrict needs admin access."));
    }
    let mut violations = Violations::default();
    violations.require((1..=MAX_NAMED).contains(&limit), "limit", format_args!("must be 1 to {MAX_NAMED}"));
    violations.finish()?;
    let mut config = (*projects::config(deps, &actor.project_id).await?).clone();
    if required != Some(true) || config.onboarding.require_email_verification {
        return Ok(Affected::default());
    }
    config.onboarding.require_email_verification = true;
    let affected = Condition::all()
        .add(user::Column::ProjectId.eq(actor.project_id.clone()))
        .add(user::Column::IsAnonymous.eq(false))
        .add(Expr::exists(verified_primary_email()).not());
    let reader = deps.db.read();
    let counted = user::Entity::find().select_only().column(user::Column::Id).filter(affected.clone());
    let newest = store::loaded(reader.get_database_backend(), affected)
        .order_by_desc(user::Column::SignedUpAt)
        .order_by_desc(user::Column::Id)
        .limit(limit)
        .into_model::<Loaded>()
        .all(reader)
        .await?;
    Ok(Affected {
        users: newest.into_iter().map(|loaded| loaded.into_user(&config)).collect(),
        total: counted.count(reader).await?,
    })
}
