//! Passkeys (Web Authentication Level 2): a key pair in somebody's authenticator stands for a password. One a user; whoever
//! registers another replaces it (wire/auth §9).
//!
//! A server of many applications does not know on which host name a passkey is to live: the contract's clients put the
//! page's host name in place of a placeholder. So the origin that the browser tells must be one that the project trusts, and
//! the relying party's id is its host name; a passkey signs in only where it was registered.
//!
//! `ceremony.rs` holds the `webauthn-rs` side of it, `register.rs` and `sign_in.rs` what people do.

mod ceremony;
mod register;
mod sign_in;
mod store;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

pub use self::{
    register::{register, start_registration},
    sign_in::{sign_in, start_sign_in},
};
pub(crate) use store::forget_in;

use crate::{
    Code, Failure,
    error::{Result, refuse},
    projects::ProjectConfig,
    sessions::codes::IssuedCode,
};

/// A challenge for an authenticator.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// What the browser's `navigator.credentials` is given, as JSON (`PublicKeyCredential…OptionsJSON`).
    pub options: Value,
    /// Comes back with the answer.
    pub code: SecretString,
}

/// A challenge as repeatable mutations keep it.
type Kept = (Value, String);

fn challenge(options: &Value, issued: IssuedCode) -> Result<Kept> {
    Ok((options.clone(), issued.code.expose_secret().to_owned()))
}

impl From<Kept> for Challenge {
    fn from((options, code): Kept) -> Self {
        Self { options, code: code.into() }
    }
}

/// Users sign in by passkey in this project.
fn require_enabled(config: &ProjectConfig) -> Result<()> {
    if config.auth.passkey.allow_sign_in {
        return Ok(());
    }
    refuse(Failure::new(Code::PasskeyAuthenticationNotEnabled, "This project does not let users sign in by passkey."))
}

#[cfg(test)]
mod tests;
