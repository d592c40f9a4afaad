//! The stored form of a password, kept out of logs.

use std::fmt;

use sea_orm::DeriveValueType;

/// A PHC string (argon2, imported Firebase scrypt) or modular-crypt string (imported bcrypt). `Debug` does not show it: a leaked hash can be
/// guessed at.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash([hidden])")
    }
}
