//! What several ways to sign in answer and are asked alike.

use postern_domain::{
    bot_challenge::{BotChallenge, Phase},
    sessions::SignedIn,
};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::input::{OneOf, Words};

/// A session as signing up and in by password and anonymously answers it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Tokens {
    access_token: String,
    refresh_token: String,
    user_id: String,
}

impl From<SignedIn> for Tokens {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            access_token: signed_in.access_token.expose_secret().to_owned(),
            refresh_token: signed_in.refresh_token.expose_secret().to_owned(),
            user_id: signed_in.user_id.to_string(),
        }
    }
}

/// A session as the other ways answer it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct NewTokens {
    #[serde(flatten)]
    tokens: Tokens,
    is_new_user: bool,
}

impl From<SignedIn> for NewTokens {
    fn from(signed_in: SignedIn) -> Self {
        Self { is_new_user: signed_in.is_new_user, tokens: signed_in.into() }
    }
}

/// The names of the phases of a bot challenge.
#[derive(Debug)]
pub(super) struct Phases;

impl Words for Phases {
    const WORDS: &'static [&'static str] = &["invisible", "visible"];
}

/// The phase of a bot challenge.
pub(super) type BotPhase = OneOf<Phases>;

/// What a request says of the bot challenge (wire/auth §13).
pub(super) fn challenge(token: Option<String>, phase: Option<BotPhase>, unavailable: Option<String>) -> BotChallenge {
    BotChallenge {
        token,
        phase: phase.map(|phase| if phase.word == "visible" { Phase::Visible } else { Phase::Invisible }),
        is_unavailable: unavailable.as_deref() == Some("true"),
    }
}
