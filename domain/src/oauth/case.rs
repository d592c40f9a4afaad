//! What becomes of somebody who came back with an account of another site (wire/auth §11, the table of cases). Decided twice
//! by the same rules: at the return, to tell it, and when the code is used, to do it.

use std::sync::OnceLock;

use postern_entity::linked_account;
use url::Url;

use super::{
    departure::Purpose,
    memory::{Back, Traveller},
};
use crate::{
    Code, Deps, ProjectId, UserId, authorization_codes,
    db::Tx,
    email_address::EmailAddress,
    error::{Failure, Result, refuse},
    images::{Folder, ImageSource, Picture},
    limits,
    linked_accounts::{self, AccountAt, MAX_ACCOUNT_ID_CHARS, NewLinkedAccount},
    ports::oauth::Account,
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
    /// The account becomes this user's, who asked for it, perhaps only for the application to use: a user signs in with one
    /// account of a type.
    Linked { user_id: UserId, signs_in: bool },
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

impl Account {
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

impl Back {
    fn account_at(&self) -> AccountAt<'_> {
        AccountAt { provider: &self.errand.provider_config_id, kind: self.kind, id: &self.account.id }
    }
}

impl Traveller {
    /// Holds the user, who is still signed in in the session in which they left.
    async fn hold(self, deps: &Deps, tx: &Tx, project_id: &ProjectId) -> Result<()> {
        let is_there = users::lock_in(tx, project_id, self.user_id).await?;
        if is_there && sessions::is_own_and_alive_in(deps, tx, project_id, self.session_id).await? {
            return Ok(());
        }
        refuse(sessions::access_token_expired(None))
    }
}

impl Case {
    /// Decides what will become of somebody, and tells the audit of whoever is kept out.
    ///
    /// # Errors
    /// Those of [`Case::of`]; `RATE_LIMITED`; `SIGN_UP_REJECTED`.
    pub(super) async fn foretell(
        deps: &Deps,
        config: &ProjectConfig,
        way: &Way<'_>,
        back: &Back,
        client: &ClientInfo,
    ) -> Result<()> {
        match deps.db.write(|tx| async move { Self::of(deps, &tx, config, way, back).await }).await {
            Ok(Self::New { applicant_email, .. }) => {
                limits::signed_up(deps, way.actor, client).await?;
                let applicant = Applicant::of(applicant_email.as_ref(), way);
                Decision::of(config, &applicant).admit(deps, way).await.map(drop)
            }
            Ok(Self::Known(_) | Self::Linked { .. } | Self::Joined(_)) => Ok(()),
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
    /// `ACCESS_TOKEN_EXPIRED` for somebody who left as a user and is none any more, or not in that session, and for one whom an
    /// administrator acts as; `OAUTH_CONNECTION_ALREADY_CONNECTED_TO_ANOTHER_USER`;
    /// `CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE`; `SIGN_UP_NOT_ENABLED`; `BAD_REQUEST` where the account fits in
    /// with no other ones of the user.
    pub(super) async fn of(deps: &Deps, tx: &Tx, config: &ProjectConfig, way: &Way<'_>, back: &Back) -> Result<Self> {
        let (project_id, account) = (&way.actor.project_id, &back.account);
        let there = back.account_at();
        if let (Purpose::Link, Some(traveller)) = (back.errand.purpose, back.errand.traveller) {
            traveller.hold(deps, tx, project_id).await?;
            return match linked_accounts::signs_in_with(tx, project_id, there).await? {
                Some(link) if link.user_id != traveller.user_id => refuse(Failure::new(
                    Code::OauthConnectionAlreadyConnectedToAnotherUser,
                    "Somebody else signs in with this account of the other site.",
                )),
                _ => {
                    let signs_in = linked_accounts::may_sign_in_with(tx, project_id, traveller.user_id, there).await?;
                    Ok(Self::Linked { user_id: traveller.user_id, signs_in })
                }
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
        let Some(email) = account.address() else { return Self::new(deps, tx, config, way, back, None, true).await };
        let Some(channel) = channels::find_for_auth_in(tx, project_id, &email).await? else {
            return Self::new(deps, tx, config, way, back, Some(email), true).await;
        };
        match config.auth.oauth.account_merge_strategy {
            MergeStrategy::AllowDuplicates => Self::new(deps, tx, config, way, back, Some(email), false).await,
            MergeStrategy::RaiseError => refuse(channels::used_by_someone_else(&email, false)),
            // Whoever made the account there may not be who holds the address; whoever made the one here neither.
            MergeStrategy::LinkMethod if !channel.is_verified => refuse(channels::used_by_someone_else(&email, true)),
            MergeStrategy::LinkMethod if !account.is_email_verified => {
                refuse(channels::used_by_someone_else(&email, false))
            }
            MergeStrategy::LinkMethod => {
                users::lock_in(tx, project_id, channel.user_id).await?;
                let held = channels::find_for_auth_in(tx, project_id, &email).await?;
                let holds = held.is_some_and(|held| held.user_id == channel.user_id && held.is_verified);
                if holds && linked_accounts::may_sign_in_with(tx, project_id, channel.user_id, there).await? {
                    return Ok(Self::Joined(channel.user_id));
                }
                refuse(channels::used_by_someone_else(&email, false))
            }
        }
    }

    async fn new(
        deps: &Deps,
        tx: &Tx,
        config: &ProjectConfig,
        way: &Way<'_>,
        back: &Back,
        address: Option<EmailAddress>,
        used_for_auth: bool,
    ) -> Result<Self> {
        require_may_sign_up(deps, way.actor, config)?;
        if let Some(traveller) = back.errand.traveller {
            let project_id = &way.actor.project_id;
            traveller.hold(deps, tx, project_id).await?;
            if !linked_accounts::may_sign_in_with(tx, project_id, traveller.user_id, back.account_at()).await? {
                return refuse(Failure::bad_request("This user signs in with another account of the site already."));
            }
        }
        let is_verified = back.account.is_email_verified;
        let primary_email = address.clone().map(|address| NewPrimaryEmail { address, is_verified, used_for_auth });
        Ok(Self::New { applicant_email: address, primary_email })
    }

    /// Does it. Answers the user who is let in, and whether they are new. `decision`: what sign-up rules say, once they were
    /// asked.
    ///
    /// # Errors
    /// `SIGN_UP_REJECTED`; those of links that cannot be; `INVALID_AUTHORIZATION_CODE` when the user is gone.
    pub(super) async fn carry_out(
        self,
        deps: &Deps,
        tx: &Tx,
        config: &ProjectConfig,
        way: &Way<'_>,
        back: &Back,
        decision: &OnceLock<Decision>,
    ) -> Result<(User, bool)> {
        let project_id = &way.actor.project_id;
        let email = back.account.address().map(|address| address.as_str().to_owned());
        let account = back.account_at();
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
            Self::Linked { user_id, signs_in } => {
                match linked_accounts::of_user(tx, project_id, user_id, account).await? {
                    // What it is good for is theirs to say.
                    Some(row) => linked_accounts::seen_in(deps, tx, row, email).await?,
                    None => {
                        linked_accounts::link_in(deps, tx, project_id, account.kind, link(user_id, signs_in)).await?;
                    }
                }
                (user_id, false)
            }
            Self::Joined(user_id) => {
                linked_accounts::link_in(deps, tx, project_id, account.kind, link(user_id, true)).await?;
                (user_id, false)
            }
            Self::New { applicant_email, primary_email } => {
                let decision =
                    decision.get_or_init(|| Decision::of(config, &Applicant::of(applicant_email.as_ref(), way)));
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
                    link: Some((
                        account.kind,
                        OAuthLink::new(account.provider.to_owned(), account.id.to_owned(), email),
                    )),
                };
                (newcomer.write(tx).await?.id, true)
            }
        };
        if let Some(tokens) = &back.tokens {
            linked_accounts::keep_tokens_in(deps, tx, config, project_id, user_id, account, tokens).await?;
        }
        match users::find_in(tx, config, project_id, user_id).await? {
            Some(user) => Ok((user, is_new)),
            None => refuse(authorization_codes::invalid()),
        }
    }
}
