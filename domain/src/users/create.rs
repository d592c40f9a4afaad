//! Making a user: by a server, and on behalf of every way to sign up.

use postern_entity::{PasswordHash, contact_channel, user};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::{
    CreateUser, NewPrimaryEmail, NewUser, OAuthAccount, User,
    channels::{self, EMAIL},
    email_already_exists, event, totp,
};
use crate::{
    Actor, ContactChannelId, Deps, Failure, ProjectId, Timestamp, UserId,
    db::{NewRows, Tx},
    error::{Result, refuse},
    events::{self, EventKind},
    images::{self, Place},
    linked_accounts, permissions,
    projects::{self, ProjectConfig},
    teams::{self, Team},
    text_search,
};

/// A user just made.
#[derive(Clone, Debug, PartialEq)]
pub struct Created {
    /// As it was before its personal team was made; what `user.created` carries and a server is answered
    /// (wire/users-teams-permissions.md §1.6).
    pub snapshot: User,
    /// The personal team, where the project wants one. It is selected.
    pub personal_team: Option<Team>,
}

impl Created {
    /// The user as it is now.
    #[must_use]
    pub fn into_user(self) -> User {
        User { selected_team: self.personal_team, ..self.snapshot }
    }
}

/// Makes a user, for servers. The answer does not show the personal team yet.
///
/// # Errors
/// `FORBIDDEN` for clients; `SCHEMA_ERROR`; `BAD_REQUEST` for ways to sign in that the project has switched off, flags of an
/// address that is not given, pictures and linked accounts; `USER_EMAIL_ALREADY_EXISTS`;
/// `OAUTH_PROVIDER_ACCOUNT_ID_ALREADY_USED_FOR_SIGN_IN`.
#[crate::boxed]
pub async fn create(deps: &Deps, actor: &Actor, input: CreateUser) -> Result<User> {
    if !actor.is_server() {
        return refuse(Failure::forbidden("Only servers can create users."));
    }
    let config = &*projects::config(deps, &actor.project_id).await?;
    check_ways_to_sign_in(config, &input)?;
    let new = &input.check(deps, &actor.project_id).await?;
    let mut rows = NewRows::default();
    let user = add(deps, &mut rows, config, &actor.project_id, new)?.snapshot;
    or_taken(deps.add(actor, "users.create", rows, user).await, new)
}

/// The ways to sign in that the user is to have are among those of the project.
pub(super) fn check_ways_to_sign_in(config: &ProjectConfig, input: &CreateUser) -> Result<()> {
    let has_password = input.password.is_some() || input.password_hash.is_some();
    if has_password && !config.auth.password.allow_sign_in {
        return refuse(super::password_sign_in_is_off());
    }
    if input.otp_auth_enabled == Some(true) && !config.auth.otp.allow_sign_in {
        return refuse(super::otp_sign_in_is_off());
    }
    linked_accounts::check_providers(config, &input.oauth_providers)
}

/// Makes a user in the caller's transaction, with its primary address, its personal team where the project wants one, and
/// the events. Checks neither access nor whether the project lets people sign up.
///
/// # Errors
/// `USER_EMAIL_ALREADY_EXISTS` when the address is to be used to sign in and somebody does so already.
#[crate::boxed]
pub async fn create_in(
    deps: &Deps,
    tx: &Tx,
    config: &ProjectConfig,
    project_id: &ProjectId,
    new: &NewUser,
) -> Result<Created> {
    let mut rows = NewRows::default();
    let created = add(deps, &mut rows, config, project_id, new)?;
    or_taken(rows.write(tx).await, new)?;
    Ok(created)
}

/// Who a new user is, and since when.
pub(super) struct Origin {
    /// The user.
    pub(super) id: UserId,
    /// When it signed up.
    pub(super) signed_up_at: Timestamp,
    /// When it was last seen.
    pub(super) last_active_at: Timestamp,
    /// Id and age of its primary address, if it has one.
    pub(super) primary: (ContactChannelId, Timestamp),
    /// Addresses besides the primary one, each with its id and age.
    pub(super) others: Vec<(ContactChannelId, Timestamp, NewPrimaryEmail)>,
    /// Whether events tell of it and of its personal team.
    pub(super) is_told: bool,
}

impl Origin {
    /// Somebody new.
    fn here(now: Timestamp) -> Self {
        Self {
            id: UserId::random(),
            signed_up_at: now,
            last_active_at: now,
            primary: (ContactChannelId::random(), now),
            others: Vec::new(),
            is_told: true,
        }
    }
}

/// Adds the rows of a user, its primary address, its linked accounts, its personal team where the project wants one, and their
/// events.
fn add(
    deps: &Deps,
    rows: &mut NewRows,
    config: &ProjectConfig,
    project_id: &ProjectId,
    new: &NewUser,
) -> Result<Created> {
    add_from(deps, rows, config, project_id, new, &Origin::here(deps.now()))
}

/// The same for a user who may have been one elsewhere before.
pub(super) fn add_from(
    deps: &Deps,
    rows: &mut NewRows,
    config: &ProjectConfig,
    project_id: &ProjectId,
    new: &NewUser,
    origin: &Origin,
) -> Result<Created> {
    let now = deps.now();
    let row = user_row(deps, project_id, new, origin, now)?;
    let channel = |id_and_age, email, is_primary| channel_row(project_id, origin.id, id_and_age, email, is_primary);
    let primary = new.primary_email.as_ref().map(|email| channel(origin.primary, email, true));
    rows.add(row.clone());
    images::add(deps, rows, project_id, Place::User(row.id), new.picture.as_ref());
    if let Some(primary) = &primary {
        rows.add(primary.clone());
    }
    for (id, created_at, email) in &origin.others {
        rows.add(channel((*id, *created_at), email, false));
    }
    let linked = linked_accounts::new_rows(config, project_id, origin.id, &new.linked_accounts, origin.signed_up_at)?;
    for row in &linked {
        rows.add(row.clone());
    }
    permissions::add_sign_up_defaults(rows, config, project_id, row.id, now);
    let snapshot = User::new(row, primary, None, linked.into_iter().map(OAuthAccount::from).collect(), false, config);
    let personal_team = if config.teams.create_personal_team_on_sign_up {
        Some(teams::add_personal(deps, rows, config, &snapshot, origin.is_told)?)
    } else {
        None
    };
    if origin.is_told {
        events::add(deps, rows, event(EventKind::UserCreated, &snapshot)?);
    }
    Ok(Created { snapshot, personal_team })
}

fn or_taken<T>(written: Result<T>, new: &NewUser) -> Result<T> {
    channels::or_taken(linked_accounts::or_taken(written), || {
        email_already_exists(new.primary_email.as_ref().map_or("", |email| email.address.as_str()))
    })
}

fn user_row(
    deps: &Deps,
    project_id: &ProjectId,
    new: &NewUser,
    origin: &Origin,
    now: Timestamp,
) -> Result<user::Model> {
    let id = origin.id;
    let value = |value: &Option<Value>| value.clone().filter(|value| !value.is_null());
    let restriction = new.restriction.clone();
    let (reason, details) = restriction.clone().map(|texts| (texts.reason, texts.private_details)).unwrap_or_default();
    let totp_secret = match &new.totp_secret {
        Some(secret) => Some(totp::seal(deps, project_id, id, secret)?),
        None => None,
    };
    Ok(user::Model {
        id,
        project_id: project_id.clone(),
        display_name: new.display_name.clone(),
        display_name_folded: new.display_name.as_deref().map(text_search::fold),
        profile_image_url: new.picture.as_ref().map(|picture| picture.url.clone()),
        client_metadata: value(&new.client_metadata),
        client_read_only_metadata: value(&new.client_read_only_metadata),
        server_metadata: value(&new.server_metadata),
        signed_up_at: origin.signed_up_at,
        last_active_at: origin.last_active_at,
        password_hash: new.password_hash.as_ref().map(|hash| PasswordHash(hash.expose_secret().to_owned())),
        otp_auth_enabled: new.otp_auth_enabled,
        requires_totp_mfa: totp_secret.is_some(),
        totp_secret,
        totp_last_step: None,
        is_anonymous: new.is_anonymous,
        restricted_by_admin: restriction.is_some(),
        restricted_by_admin_reason: reason,
        restricted_by_admin_private_details: details,
        country_code: new.country_code.clone(),
        risk_bot: new.risk_scores.bot.into(),
        risk_free_trial_abuse: new.risk_scores.free_trial_abuse.into(),
        created_at: now,
        updated_at: now,
    })
}

fn channel_row(
    project_id: &ProjectId,
    user_id: UserId,
    (id, created_at): (ContactChannelId, Timestamp),
    email: &NewPrimaryEmail,
    is_primary: bool,
) -> contact_channel::Model {
    contact_channel::Model {
        id,
        project_id: project_id.clone(),
        user_id,
        kind: EMAIL.to_owned(),
        value: email.address.as_str().to_owned(),
        is_primary,
        is_verified: email.is_verified,
        used_for_auth: email.used_for_auth,
        created_at,
    }
}
