//! Whoever signs up, by whatever way: a new user, or an anonymous one who stays the same user (wire/auth §7).

use secrecy::SecretString;

use super::{password::Outcome, second_factor, way::Way};
use crate::{
    Deps,
    db::Tx,
    error::Result,
    images::Picture,
    linked_accounts,
    oauth::ProviderKind,
    patch::Patch,
    projects::ProjectConfig,
    sign_up_rules::Admission,
    users::{self, Changes, NewPrimaryEmail, NewUser, OAuthLink, Restriction, User},
};

/// A sign-up that may be written.
pub(crate) struct Newcomer<'a> {
    pub(crate) deps: &'a Deps,
    pub(crate) config: &'a ProjectConfig,
    pub(crate) way: Way<'a>,
    /// What the sign-up rules say.
    pub(crate) admission: Admission,
    /// The first address, where the way in tells one.
    pub(crate) email: Option<NewPrimaryEmail>,
    pub(crate) password_hash: Option<SecretString>,
    /// Whether codes may be mailed there to sign in.
    pub(crate) otp_auth_enabled: bool,
    /// What the way in tells of them besides; what an anonymous user has already stays.
    pub(crate) display_name: Option<String>,
    pub(crate) picture: Option<Picture>,
    /// The account of another site that they come in by.
    pub(crate) link: Option<(ProviderKind, OAuthLink)>,
}

impl Newcomer<'_> {
    /// The user, who is held from here on.
    pub(crate) async fn write(&self, tx: &Tx) -> Result<User> {
        self.admission.count_in(self.deps, tx, &self.way.actor.project_id).await?;
        match self.anonymous_caller(tx).await? {
            Some(user) => self.upgrade(tx, &user).await,
            None => self.create(tx).await,
        }
    }

    /// Lets the user in, who is new whoever it was before.
    pub(super) async fn pass_in(&self, tx: &Tx, user: &User) -> Result<Outcome> {
        second_factor::pass_in(self.deps, tx, user, true, &self.way).await
    }

    async fn create(&self, tx: &Tx) -> Result<User> {
        let new = NewUser {
            display_name: self.display_name.clone(),
            picture: self.picture.clone(),
            primary_email: self.email.clone(),
            linked_accounts: self.link.iter().map(|(_, link)| link.clone()).collect(),
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
    async fn anonymous_caller(&self, tx: &Tx) -> Result<Option<User>> {
        let actor = self.way.actor;
        let Some(caller) = actor.user.as_ref().filter(|user| user.is_anonymous) else { return Ok(None) };
        if !users::lock_in(tx, &actor.project_id, caller.id).await? {
            return Ok(None);
        }
        let user = users::find_in(tx, self.config, &actor.project_id, caller.id).await?;
        Ok(user.filter(|user| user.is_anonymous))
    }

    /// The same user with an address and credentials. Its sessions end where there is a password now.
    async fn upgrade(&self, tx: &Tx, user: &User) -> Result<User> {
        let project_id = &self.way.actor.project_id;
        if let Some((kind, link)) = &self.link {
            linked_accounts::link_in(self.deps, tx, project_id, *kind, link.to_account(user.id)).await?;
        }
        let details = self.admission.restriction();
        let changes = Changes {
            display_name: set_some(self.display_name.clone().filter(|_| user.display_name.is_none())),
            picture: set_some(self.picture.clone().filter(|_| user.profile_image_url.is_none())),
            primary_email: set_some(self.email.as_ref().map(|email| email.address.clone())),
            primary_email_verified: self.email.as_ref().map(|email| email.is_verified),
            primary_email_auth_enabled: self.email.as_ref().map(|email| email.used_for_auth),
            password_hash: set_some(self.password_hash.clone()),
            otp_auth_enabled: self.otp_auth_enabled.then_some(true),
            stops_being_anonymous: true,
            restricted_by_admin: details.is_some().then_some(true),
            restricted_by_admin_private_details: set_some(details),
            country_code: set_some(self.way.client.country.clone()),
            ..Changes::default()
        };
        users::apply_in(self.deps, tx, self.config, project_id, user.id, &changes).await
    }
}

fn set_some<T>(value: Option<T>) -> Patch<T> {
    value.map_or(Patch::Keep, Patch::Set)
}
