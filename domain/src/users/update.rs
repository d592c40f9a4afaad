//! Changing a user.

use postern_entity::{PasswordHash, user};
use sea_orm::{ActiveValue::Set, IntoActiveModel};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{
    Changes, UpdateOwnUser, UpdateUser, User, not_found, otp_sign_in_is_off, password, password_sign_in_is_off,
    primary_email,
    read::no_own_user,
    record,
    store::{self, Loaded},
    totp,
};
use crate::{
    Actor, Deps, Failure, ProjectId, UserId, api_keys,
    db::Tx,
    error::{Error, Result, refuse},
    events::{self, EventKind, FactorChange, NewEvent},
    images::{self, ImageSource, Place},
    passkeys,
    patch::Patch,
    projects::{self, ProjectConfig},
    sessions, teams, text_search,
};

/// Changes a user, for servers. Writes `user.updated` even when nothing changes.
///
/// # Errors
/// `FORBIDDEN` for clients; `SCHEMA_ERROR`; `USER_NOT_FOUND`; `USER_EMAIL_ALREADY_EXISTS`; `TEAM_MEMBERSHIP_NOT_FOUND` for
/// the selected team; `BAD_REQUEST` for ways to sign in that the project has switched off, flags of an address that is not
/// there, and pictures.
#[crate::boxed]
pub async fn update(deps: &Deps, actor: &Actor, id: UserId, input: UpdateUser) -> Result<User> {
    if !actor.is_server() {
        return refuse(Failure::forbidden("Only servers can change other users, and these fields."));
    }
    let changes = input.check(deps, &actor.project_id, ImageSource::Server).await?;
    run(deps, actor, id, &changes).await
}

/// Changes the user the caller speaks for, as far as users may change themselves.
///
/// # Errors
/// `CANNOT_GET_OWN_USER_WITHOUT_USER`; `FORBIDDEN` for API keys that would change how the user signs in; those of
/// [`update`], as far as they concern the fields.
#[crate::boxed]
pub async fn update_own(deps: &Deps, actor: &Actor, input: UpdateOwnUser) -> Result<User> {
    let Some(id) = actor.user_id() else { return refuse(no_own_user()) };
    if input.touches_sign_in() {
        api_keys::require_no_key(actor)?;
    }
    let kept = actor.user.as_ref().filter(|_| input.ends_other_sessions).map(|user| user.session_id);
    let mut changes = UpdateUser::from(input).check(deps, &actor.project_id, ImageSource::of(actor)).await?;
    changes.ends_sessions_but = kept;
    run(deps, actor, id, &changes).await
}

async fn run(deps: &Deps, actor: &Actor, id: UserId, changes: &Changes) -> Result<User> {
    let (project_id, config) = (&actor.project_id, &*projects::config(deps, &actor.project_id).await?);
    deps.mutate(actor, "users.update", |tx| async move {
        let before = hold(&tx, project_id, id).await?;
        check_ways_to_sign_in(config, &before, changes)?;
        events::record_all(deps, &tx, factor_changes(actor, &before, changes)).await?;
        write(deps, &tx, config, before, changes).await
    })
    .await
}

/// Changes a user in the caller's transaction, with all that follows from it, and writes `user.updated`. Checks neither
/// access nor whether the project lets users sign in that way. For anonymous users who sign up, and for password resets.
///
/// # Errors
/// Those of [`update`], as far as they concern neither the input alone nor ways to sign in.
#[crate::boxed]
pub async fn apply_in(
    deps: &Deps,
    tx: &Tx,
    config: &ProjectConfig,
    project_id: &ProjectId,
    id: UserId,
    changes: &Changes,
) -> Result<User> {
    write(deps, tx, config, hold(tx, project_id, id).await?, changes).await
}

/// What the audit tells of the factors that change.
fn factor_changes(actor: &Actor, before: &Loaded, changes: &Changes) -> Vec<NewEvent> {
    let totp = match &changes.totp_secret {
        Patch::Set(_) => Some("set"),
        Patch::Clear => before.row.requires_totp_mfa.then_some("removed"),
        Patch::Keep => None,
    };
    let passkey = (changes.removes_passkey && before.has_passkey).then_some("removed");
    let password = match &changes.password_hash {
        Patch::Set(_) => Some("set"),
        Patch::Clear => before.row.password_hash.is_some().then_some("removed"),
        Patch::Keep => None,
    };
    [("password", password), ("totp", totp), ("passkey", passkey)]
        .into_iter()
        .filter_map(|(factor, change)| Some(FactorChange { factor, change: change? }))
        .map(|change| change.event(actor, before.row.id, None))
        .collect()
}

async fn hold(tx: &Tx, project_id: &ProjectId, id: UserId) -> Result<Loaded> {
    if !store::lock(tx, project_id, id).await? {
        return refuse(not_found());
    }
    match store::find(&**tx, project_id, id).await? {
        Some(loaded) => Ok(loaded),
        None => Err(Error::internal("a user vanished while it was held")),
    }
}

/// Writes the change of a user that is held.
async fn write(deps: &Deps, tx: &Tx, config: &ProjectConfig, before: Loaded, changes: &Changes) -> Result<User> {
    let (id, project_id) = (before.row.id, &before.row.project_id);
    store::update(tx, changed_row(deps, before.row.clone(), changes)?).await?;
    images::replace_in(deps, tx, project_id, Place::User(id), &changes.picture).await?;
    primary_email::change(deps, tx, project_id, &before, changes).await?;
    select_team(tx, project_id, id, changes).await?;
    if changes.stops_being_anonymous && before.row.is_anonymous {
        let name = changes.display_name.as_ref().set().map(String::as_str);
        let address = changes.primary_email.as_ref().set().map(|address| address.as_str());
        teams::rename_personal_in(deps, tx, project_id, id, name, address).await?;
    }
    if !changes.totp_secret.is_keep() {
        // They stand in for a factor that is no longer the same.
        sessions::recovery_codes::forget_in(tx, project_id, id).await?;
    }
    if changes.removes_passkey {
        passkeys::forget_in(tx, project_id, id).await?;
    }
    if !changes.password_hash.is_keep() {
        password::changed_in(deps, tx, project_id, id).await?;
        sessions::end_all_in(deps, tx, project_id, id, None).await?;
    } else if let Some(kept) = changes.ends_sessions_but {
        sessions::end_all_in(deps, tx, project_id, id, Some(kept)).await?;
    }
    let Some(after) = store::find(&**tx, project_id, id).await? else {
        return Err(Error::internal("a user vanished while it was held"));
    };
    let user = after.into_user(config);
    record(deps, tx, EventKind::UserUpdated, &user).await?;
    Ok(user)
}

/// What is switched off cannot be begun; what is there already can be kept, changed and removed.
fn check_ways_to_sign_in(config: &ProjectConfig, before: &Loaded, changes: &Changes) -> Result<()> {
    if changes.otp_auth_enabled == Some(true) && !before.row.otp_auth_enabled && !config.auth.otp.allow_sign_in {
        return refuse(otp_sign_in_is_off());
    }
    if matches!(changes.password_hash, Patch::Set(_)) && before.row.password_hash.is_none() {
        if !config.auth.password.allow_sign_in {
            return refuse(password_sign_in_is_off());
        }
        let has_address = match changes.primary_email {
            Patch::Set(_) => true,
            Patch::Clear => false,
            Patch::Keep => before.primary.is_some(),
        };
        if !has_address {
            return refuse(Failure::bad_request("password: a first password needs a primary e-mail address."));
        }
    }
    Ok(())
}

fn changed_row(deps: &Deps, row: user::Model, changes: &Changes) -> Result<user::ActiveModel> {
    let now = deps.now();
    let (project_id, id, was_anonymous) = (row.project_id.clone(), row.id, row.is_anonymous);
    let mut row = row.into_active_model();
    row.updated_at = Set(now);
    if let Some(name) = changes.display_name.clone().mentioned() {
        row.display_name_folded = Set(name.as_deref().map(text_search::fold));
        row.display_name = Set(name);
    }
    set_mentioned(&mut row.profile_image_url, &changes.picture.as_ref().map(|picture| picture.url.clone()));
    set_json(&mut row.client_metadata, changes.client_metadata.as_ref());
    set_json(&mut row.client_read_only_metadata, changes.client_read_only_metadata.as_ref());
    set_json(&mut row.server_metadata, changes.server_metadata.as_ref());
    if let Some(enabled) = changes.otp_auth_enabled {
        row.otp_auth_enabled = Set(enabled);
    }
    set_mentioned(&mut row.password_hash, &changes.password_hash.as_ref().map(stored));
    if let Some(secret) = changes.totp_secret.as_ref().mentioned() {
        row.requires_totp_mfa = Set(secret.is_some());
        row.totp_secret = Set(match secret {
            Some(secret) => Some(totp::seal(deps, &project_id, id, secret)?),
            None => None,
        });
        row.totp_last_step = Set(None);
    }
    if changes.stops_being_anonymous && was_anonymous {
        row.is_anonymous = Set(false);
        row.signed_up_at = Set(now);
    }
    if let Some(restricted) = changes.restricted_by_admin {
        row.restricted_by_admin = Set(restricted);
    }
    set_mentioned(&mut row.restricted_by_admin_reason, &changes.restricted_by_admin_reason);
    set_mentioned(&mut row.restricted_by_admin_private_details, &changes.restricted_by_admin_private_details);
    set_mentioned(&mut row.country_code, &changes.country_code);
    if let Some(scores) = changes.risk_scores {
        row.risk_bot = Set(scores.bot.into());
        row.risk_free_trial_abuse = Set(scores.free_trial_abuse.into());
    }
    Ok(row)
}

fn stored(hash: &SecretString) -> PasswordHash {
    PasswordHash(hash.expose_secret().to_owned())
}

type Column<T> = sea_orm::ActiveValue<T>;

fn set_mentioned<T: Clone>(column: &mut Column<Option<T>>, change: &Patch<T>)
where
    Option<T>: Into<sea_orm::Value>,
{
    if let Some(value) = change.clone().mentioned() {
        *column = Set(value);
    }
}

/// JSON null and an empty column are the same to everybody who reads.
fn set_json(column: &mut Column<Option<Value>>, change: Option<&Value>) {
    if let Some(value) = change {
        *column = Set(Some(value.clone()).filter(|value| !value.is_null()));
    }
}

async fn select_team(tx: &Tx, project_id: &ProjectId, id: UserId, changes: &Changes) -> Result<()> {
    let Some(team_id) = changes.selected_team_id.mentioned() else { return Ok(()) };
    if teams::select_in(tx, project_id, id, team_id).await? {
        return Ok(());
    }
    match team_id {
        Some(team_id) => refuse(teams::membership_not_found(team_id, id)),
        None => Ok(()),
    }
}
