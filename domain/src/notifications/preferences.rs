//! Reading and changing what a user wants.

use schemars::JsonSchema;
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    category::{CATEGORIES, Category},
    store,
};
use crate::{
    Actor, Code, Deps, Failure, ProjectId, UserId,
    db::Tx,
    error::{Result, refuse},
    events::{self, EventKind, NewEvent},
    users,
};

/// What a user wants of one category; also its form on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Preference {
    /// The category.
    pub notification_category_id: Uuid,
    /// Its name.
    pub notification_category_name: String,
    /// Whether the user gets its mails.
    pub enabled: bool,
    /// Whether its mails say how to be rid of them.
    pub can_disable: bool,
}

impl Preference {
    fn new(category: &Category, chosen: Option<bool>) -> Self {
        Self {
            notification_category_id: category.id,
            notification_category_name: category.name.to_owned(),
            enabled: chosen.unwrap_or(category.is_enabled_by_default),
            can_disable: category.can_be_disabled,
        }
    }
}

/// What a user wants, category by category.
///
/// # Errors
/// Clients: `USER_AUTHENTICATION_REQUIRED`; `FORBIDDEN` for another user. Servers: `USER_NOT_FOUND`.
#[crate::boxed]
pub async fn list(deps: &Deps, actor: &Actor, user_id: UserId) -> Result<Vec<Preference>> {
    require_own_or_server(actor, user_id)?;
    if users::find(deps, &actor.project_id, user_id).await?.is_none() {
        return refuse(users::not_found());
    }
    let chosen = store::of_user(deps.db.read(), &actor.project_id, user_id).await?;
    let preference = |category: &Category| Preference::new(category, chosen.get(&category.id).copied());
    Ok(CATEGORIES.iter().map(preference).collect())
}

/// Switches a category on or off for a user. That mails of a category cannot be done without is only said, not enforced
/// (wire §7).
///
/// # Errors
/// `NOT_FOUND` for an unknown category; then those of [`list`].
#[crate::boxed]
pub async fn update(
    deps: &Deps,
    actor: &Actor,
    user_id: UserId,
    category_id: Uuid,
    enabled: bool,
) -> Result<Preference> {
    let Some(category) = Category::of(category_id) else {
        return refuse(Failure::not_found("There is no such notification category."));
    };
    require_own_or_server(actor, user_id)?;
    deps.mutate(actor, "notifications.update", |tx| async move {
        if !users::lock_in(&tx, &actor.project_id, user_id).await? {
            return refuse(users::not_found());
        }
        choose_in(deps, &tx, &actor.project_id, user_id, category, enabled).await
    })
    .await
}

/// Writes the choice of a user that the caller holds.
pub(super) async fn choose_in(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    user_id: UserId,
    category: &Category,
    enabled: bool,
) -> Result<Preference> {
    store::choose(tx, project_id, user_id, category.id, enabled, deps.now()).await?;
    let payload = json!({ "user_id": user_id, "notification_category_id": category.id, "enabled": enabled });
    let kind = EventKind::NotificationPreferenceUpdated;
    let event = NewEvent { project_id: project_id.clone(), kind, user_id: Some(user_id), team_id: None, payload };
    events::record(deps, tx, event).await?;
    Ok(Preference::new(category, Some(enabled)))
}

/// Whether a user gets mails of a category. Every user gets those of no known category.
pub(crate) async fn is_wanted(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    user_id: UserId,
    category_id: Uuid,
) -> Result<bool> {
    let Some(category) = Category::of(category_id).filter(|category| category.can_be_disabled) else {
        return Ok(true);
    };
    let chosen = store::of_user(connection, project_id, user_id).await?;
    Ok(chosen.get(&category.id).copied().unwrap_or(category.is_enabled_by_default))
}

fn require_own_or_server(actor: &Actor, user_id: UserId) -> Result<()> {
    if actor.is_server() || actor.is_user(user_id) {
        return Ok(());
    }
    if actor.user.is_none() {
        return refuse(Failure::new(Code::UserAuthenticationRequired, "Sign in to see which mails you get."));
    }
    refuse(Failure::forbidden("A user can choose its own mails only."))
}
