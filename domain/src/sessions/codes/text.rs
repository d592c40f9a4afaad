//! How a code is written: six characters that somebody types, in front of a tail that the caller knows.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::{
    error::{Failure, Result, refuse},
    random::{TOKEN_LENGTH, hash_token},
};

/// Characters in front of the tail.
const HEAD_CHARS: usize = 6;

/// A code as somebody typed or followed it: lower-cased, of the right length. `Debug` does not show it.
#[derive(Clone)]
pub struct OneTimeCode(SecretString);

impl OneTimeCode {
    /// # Errors
    /// `SCHEMA_ERROR` when it does not have 45 characters.
    pub fn parse(text: &str) -> Result<Self> {
        // Bytes first: counting the characters of a megabyte would be work for nothing.
        if text.len() > TOKEN_LENGTH * 4 || text.chars().count() != TOKEN_LENGTH {
            return refuse(Failure::schema(format!("code must have exactly {TOKEN_LENGTH} characters")));
        }
        Ok(Self(text.to_lowercase().into()))
    }

    pub(super) fn hash(&self) -> Vec<u8> {
        hash_token(self.0.expose_secret())
    }

    pub(super) fn tail_hash(&self) -> Vec<u8> {
        hash_token(tail(self.0.expose_secret()))
    }

    /// The characters in front of the tail.
    pub(in crate::sessions) fn head(&self) -> &str {
        head_and_tail(&self.0).0
    }
}

impl fmt::Debug for OneTimeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeCode(hidden)")
    }
}

pub(super) fn tail(code: &str) -> &str {
    split(code).1
}

/// What a person types, and what the caller who asked for the code knows of it.
pub(in crate::sessions) fn head_and_tail(code: &SecretString) -> (&str, &str) {
    split(code.expose_secret())
}

fn split(code: &str) -> (&str, &str) {
    let at = code.char_indices().nth(HEAD_CHARS).map_or(code.len(), |(at, _)| at);
    code.split_at_checked(at).unwrap_or((code, ""))
}
