//! Whoever signs up, by whatever way: a new user, or an anonymous one who stays the same user (wire/auth §7).

use secrecy::SecretString;

use super::{password::Outcome, second_factor, way::Way};
use crate::{
    Deps, UserId,
    db::Tx,
    email_address::EmailAddress,
    error::Result,
    patch::Patch,
    projects::ProjectConfig,
    sign_up_rules::Admission,
    users::{self, Changes, NewPrimaryEmail, NewUser, Restriction, User},
};

/// A sign-up that may be written.
pub(super) struct Newcomer<'a> {
    pub(super) deps: &'a Deps,
    pub(super) config: &'a ProjectConfig,
    pub(super) way: Way<'a>,
    /// What the sign-up rules say.
    pub(super) admission: Admission,
    pub(super) email: EmailAddress,
    /// Whether the way in proves that the address is theirs.
    pub(super) is_verified: bool,
    pub(super) password_hash: Option<SecretString>,
    /// Whether codes may be mailed there to sign in.
    pub(super) otp_auth_enabled: bool,
}

impl Newcomer<'_> {
    /// The user, who is held from here on.
    pub(super) async fn write(&self, tx: &Tx) -> Result<User> {
        self.admission.count_in(self.deps, tx, &self.way.actor.project_id).await?;
        match self.anonymous_caller(tx).await? {
            Some(user_id) => self.upgrade(tx, user_id).await,
            None => self.create(tx).await,
        }
    }

    /// Lets the user in, who is new whoever it was before.
    pub(super) async fn pass_in(&self, tx: &Tx, user: &User) -> Result<Outcome> {
        second_factor::pass_in(self.deps, tx, user, true, &self.way).await
    }

    async fn create(&self, tx: &Tx) -> Result<User> {
        let address = self.email.clone();
        let new = NewUser {
            primary_email: Some(NewPrimaryEmail { address, is_verified: self.is_verified, used_for_auth: true }),
            password_hash: self.password_hash.clone(),
            otp_auth_enabled: self.otp_auth_enabled,
            restriction: self
                .admission
                .restriction()
                .map(|details| Restriction { reason: None, private_details: Some(details) }),
            country_code: self.way.client.country.clone(),
            ..NewUser::default()
        };
        let created = users::create_in(self.deps, tx, self.config, &self.way.actor.project_id, &new).await?;
        Ok(created.into_user())
    }

    /// The caller, if it is an anonymous user still.
    async fn anonymous_caller(&self, tx: &Tx) -> Result<Option<UserId>> {
        let actor = self.way.actor;
        let Some(caller) = actor.user.as_ref().filter(|user| user.is_anonymous) else { return Ok(None) };
        if !users::lock_in(tx, &actor.project_id, caller.id).await? {
            return Ok(None);
        }
        let user = users::find_in(tx, self.config, &actor.project_id, caller.id).await?;
        Ok(user.filter(|user| user.is_anonymous).map(|user| user.id))
    }

    /// The same user with an address and credentials. Its sessions end where there is a password now.
    async fn upgrade(&self, tx: &Tx, user_id: UserId) -> Result<User> {
        let details = self.admission.restriction();
        let changes = Changes {
            primary_email: Patch::Set(self.email.clone()),
            primary_email_verified: Some(self.is_verified),
            primary_email_auth_enabled: Some(true),
            password_hash: self.password_hash.clone().map_or(Patch::Keep, Patch::Set),
            otp_auth_enabled: self.otp_auth_enabled.then_some(true),
            stops_being_anonymous: true,
            restricted_by_admin: details.is_some().then_some(true),
            restricted_by_admin_private_details: details.map_or(Patch::Keep, Patch::Set),
            country_code: self.way.client.country.clone().map_or(Patch::Keep, Patch::Set),
            ..Changes::default()
        };
        users::apply_in(self.deps, tx, self.config, &self.way.actor.project_id, user_id, &changes).await
    }
}
