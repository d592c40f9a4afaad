//! What becomes of somebody who came back with an account of another site (wire/auth §11, the table of cases). Decided twice
//! by the same rules: at the return, to tell it, and when the code is used, to do it.

use postern_entity::linked_account;
use url::Url;

use super::{
    departure::Purpose,
    memory::{Back, KeptAccount},
};
use crate::{
    Actor, Code, Deps, ProjectId, UserId, authorization_codes,
    db::Tx,
    email_address::EmailAddress,
    error::{Failure, Result, refuse},
    identity,
    images::{Folder, ImageSource, Picture},
    limits,
    linked_accounts::{self, AccountAt, MAX_ACCOUNT_ID_CHARS, NewLinkedAccount},
    projects::{MergeStrategy, ProjectConfig},
    sessions::{self, ClientInfo, Newcomer, Way, require_may_sign_up},
    sign_up_rules::{Applicant, Decision},
    users::{self, MAX_DISPLAY_NAME_CHARS, NewPrimaryEmail, OAuthLink, User, channels},
};

/// What becomes of somebody.
#[derive(Debug)]
pub(super) enum Case {
    /// The account is one that this user signs in with.
    Known(linked_account::Model),
    /// The account becomes this user's, who asked for it.
    Linked(UserId),
    /// The account becomes this user's, who has proven the same address.
    Joined(UserId),
    /// Somebody new, or an anonymous user who becomes a regular one.
    New {
        /// The address that sign-up rules look at.
        applicant_email: Option<EmailAddress>,
        /// The address that the user gets.
        primary_email: Option<NewPrimaryEmail>,
    },
}

impl KeptAccount {
    /// What a site tells can be kept.
    pub(super) fn check(&self) -> Result<()> {
        let fits = (1..=MAX_ACCOUNT_ID_CHARS).contains(&self.id.chars().count()) && !self.id.contains('\0');
        if fits {
            Ok(())
        } else {
            refuse(Failure::bad_request("The id of the account at the other site cannot be kept."))
        }
    }

    /// The address, if it is one.
    pub(super) fn address(&self) -> Option<EmailAddress> {
        EmailAddress::loose(self.email.as_deref()?).ok()
    }
}

impl Case {
    /// Decides what will become of somebody, and tells the audit of whoever is kept out.
    ///
    /// # Errors
    /// Those of [`Case::of`]; `ACCESS_TOKEN_EXPIRED` for a link of somebody whose session has ended; `RATE_LIMITED`;
    /// `SIGN_UP_REJECTED`.
    pub(super) async fn foretell(
        deps: &Deps,
        config: &ProjectConfig,
        way: &Way<'_>,
        back: &Back,
        client: &ClientInfo,
    ) -> Result<()> {
        sessions::require_live(deps, way.actor).await?;
        match deps.db.write(|tx| async move { Self::of(deps, &tx, config, way, back).await }).await {
            Ok(Self::New { applicant_email, .. }) => {
                limits::signed_up(deps, way.actor, client).await?;
                let applicant = Applicant::of(applicant_email.as_ref(), way);
                Decision::of(config, &applicant).admit(deps, way).await.map(drop)
            }
            Ok(Self::Known(_) | Self::Linked(_) | Self::Joined(_)) => Ok(()),
            Err(error) => {
                if let Some(failure) = error.failure() {
                    way.failed(deps, None, failure.code).await?;
                }
                Err(error)
            }
        }
    }

    /// Decides. The user whom it concerns is held from here on.
    ///
    /// # Errors
    /// `USER_AUTHENTICATION_REQUIRED` for a link of somebody who is gone; `OAUTH_CONNECTION_ALREADY_CONNECTED_TO_ANOTHER_USER`;
    /// `CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE`; `SIGN_UP_NOT_ENABLED`.
    pub(super) async fn of(deps: &Deps, tx: &Tx, config: &ProjectConfig, way: &Way<'_>, back: &Back) -> Result<Self> {
        let (project_id, account) = (&way.actor.project_id, &back.account);
        let there = AccountAt { provider: &back.errand.provider_config_id, id: &account.id };
        if let (Purpose::Link, Some(traveller)) = (back.errand.purpose, back.errand.traveller) {
            if !users::lock_in(tx, project_id, traveller.user_id).await? {
                identity::require_user(&Actor { user: None, ..way.actor.clone() })?;
            }
            return match linked_accounts::signs_in_with(tx, project_id, there).await? {
                Some(link) if link.user_id != traveller.user_id => refuse(Failure::new(
                    Code::OauthConnectionAlreadyConnectedToAnotherUser,
                    "Somebody else signs in with this account of the other site.",
                )),
                _ => Ok(Self::Linked(traveller.user_id)),
            };
        }
        if let Some(link) = linked_accounts::signs_in_with(tx, project_id, there).await? {
            users::lock_in(tx, project_id, link.user_id).await?;
            // It may have been given up until the user was held.
            let held = linked_accounts::signs_in_with(tx, project_id, there).await?;
            if let Some(held) = held.filter(|held| held.user_id == link.user_id) {
                return Ok(Self::Known(held));
            }
        }
        let address = account.address();
        let Some(email) = &address else { return Self::new(deps, way, config, None, true, account) };
        let Some(channel) = channels::find_for_auth_in(tx, project_id, email).await? else {
            return Self::new(deps, way, config, address, true, account);
        };
        match config.auth.oauth.account_merge_strategy {
            MergeStrategy::AllowDuplicates => Self::new(deps, way, config, address, false, account),
            MergeStrategy::RaiseError => refuse(channels::used_by_someone_else(email, false)),
            // Whoever made the account there may not be who holds the address; whoever made the one here neither.
            MergeStrategy::LinkMethod if !channel.is_verified => refuse(channels::used_by_someone_else(email, true)),
            MergeStrategy::LinkMethod if !account.is_email_verified => {
                refuse(channels::used_by_someone_else(email, false))
            }
            MergeStrategy::LinkMethod => {
                users::lock_in(tx, project_id, channel.user_id).await?;
                let held = channels::find_for_auth_in(tx, project_id, email).await?;
                let holds = held.is_some_and(|held| held.user_id == channel.user_id && held.is_verified);
                if holds && linked_accounts::may_sign_in_with(tx, config, project_id, channel.user_id, there).await? {
                    return Ok(Self::Joined(channel.user_id));
                }
                refuse(channels::used_by_someone_else(email, false))
            }
        }
    }

    fn new(
        deps: &Deps,
        way: &Way<'_>,
        config: &ProjectConfig,
        address: Option<EmailAddress>,
        used_for_auth: bool,
        account: &KeptAccount,
    ) -> Result<Self> {
        require_may_sign_up(deps, way.actor, config)?;
        let primary_email = address.clone().map(|address| NewPrimaryEmail {
            address,
            is_verified: account.is_email_verified,
            used_for_auth,
        });
        Ok(Self::New { applicant_email: address, primary_email })
    }

    /// Does it. Answers the user who is let in, and whether they are new.
    ///
    /// # Errors
    /// `SIGN_UP_REJECTED`; those of links that cannot be.
    pub(super) async fn carry_out(
        self,
        deps: &Deps,
        tx: &Tx,
        config: &ProjectConfig,
        way: &Way<'_>,
        back: &Back,
    ) -> Result<(User, bool)> {
        let project_id = &way.actor.project_id;
        let email = back.account.address().map(|address| address.as_str().to_owned());
        let account = AccountAt { provider: &back.errand.provider_config_id, id: &back.account.id };
        let link = |user_id, allow_sign_in| NewLinkedAccount {
            user_id,
            provider_config_id: account.provider.to_owned(),
            account_id: account.id.to_owned(),
            email: email.clone(),
            allow_sign_in,
            allow_connected_accounts: true,
        };
        let (user_id, is_new) = match self {
            Self::Known(row) => {
                linked_accounts::seen_in(deps, tx, row.clone(), email).await?;
                (row.user_id, false)
            }
            Self::Linked(user_id) => {
                // A user signs in with one account of a type; further ones are for the application.
                let signs_in = linked_accounts::may_sign_in_with(tx, config, project_id, user_id, account).await?;
                linked_accounts::link_in(deps, tx, config, project_id, link(user_id, signs_in)).await?;
                (user_id, false)
            }
            Self::Joined(user_id) => {
                linked_accounts::link_in(deps, tx, config, project_id, link(user_id, true)).await?;
                (user_id, false)
            }
            Self::New { applicant_email, primary_email } => {
                let decision = Decision::of(config, &Applicant::of(applicant_email.as_ref(), way));
                let newcomer = Newcomer {
                    deps,
                    config,
                    way: *way,
                    admission: decision.admission()?,
                    email: primary_email,
                    password_hash: None,
                    otp_auth_enabled: false,
                    display_name: back.account.shown_name(),
                    picture: back.account.shown_picture(deps, project_id),
                    link: Some(OAuthLink::new(account.provider.to_owned(), account.id.to_owned(), email.clone())),
                };
                (newcomer.write(tx).await?.id, true)
            }
        };
        if let Some(tokens) = back.tokens.clone() {
            linked_accounts::keep_tokens_in(deps, tx, config, project_id, user_id, account, tokens.into()).await?;
        }
        match users::find_in(tx, config, project_id, user_id).await? {
            Some(user) => Ok((user, is_new)),
            None => refuse(authorization_codes::invalid()),
        }
    }
}

impl KeptAccount {
    fn shown_name(&self) -> Option<String> {
        let name: String =
            self.display_name.as_deref()?.chars().filter(|c| *c != '\0').take(MAX_DISPLAY_NAME_CHARS).collect();
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    }

    /// One that cannot be kept is left out: nobody is kept out for it.
    fn shown_picture(&self, deps: &Deps, project_id: &ProjectId) -> Option<Picture> {
        let url: &Url = self.picture.as_ref()?;
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        Picture::read(deps, project_id, Folder::Users, "picture", url.as_str(), ImageSource::Server).ok()
    }
}
