//! Password hashes that come from elsewhere: which are taken, and in which form they are stored. All of them are checked as
//! they are, and replaced by argon2id of today's strength at the next sign-in.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use secrecy::SecretString;

use super::{check_importable, firebase_scrypt};
use crate::error::{Failure, Result, refuse};

/// Most memory (KiB) of an argon2 hash that is imported.
pub const MAX_ARGON2_MEMORY_KIB: u32 = 256 * 1024;
/// Most memory times passes (KiB) of an argon2 hash that is imported: about a second of one core.
pub const MAX_ARGON2_WORK_KIB: u32 = 1024 * 1024;
/// Most lanes of an argon2 hash that is imported.
const MAX_ARGON2_LANES: u32 = 16;
/// The versions of argon2 there are (RFC 9106 has the second).
const ARGON2_VERSIONS: [u32; 2] = [0x10, 0x13];

/// A hash as Firebase exports it, decoded.
#[derive(Clone)]
pub struct FirebaseHash {
    /// What Firebase calls `passwordHash`.
    pub hash: Vec<u8>,
    /// The user's salt.
    pub salt: Vec<u8>,
    /// The project's signer key.
    pub signer_key: Vec<u8>,
    /// The project's salt separator.
    pub salt_separator: Vec<u8>,
    /// scrypt's r: 1 to 8.
    pub rounds: u32,
    /// Binary logarithm of scrypt's N: 1 to 14.
    pub mem_cost: u32,
}

impl fmt::Debug for FirebaseHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirebaseHash").finish_non_exhaustive()
    }
}

impl FirebaseHash {
    /// The form in which it is stored. The signer key is not in it.
    ///
    /// # Errors
    /// `BAD_REQUEST` that says what does not fit.
    pub fn stored_form(&self) -> Result<SecretString> {
        match firebase_scrypt::stored_form(self) {
            Ok(text) => Ok(text.into()),
            Err(why) => refuse(Failure::bad_request(format!("password_hash: {why}"))),
        }
    }
}

/// Checks a hash in one of the forms that are stored: bcrypt, a PHC string of argon2, or an imported hash of Firebase as an
/// export writes it. All are of bounded cost.
///
/// # Errors
/// `BAD_REQUEST` that says what is wrong with it.
pub fn check_stored_form(text: &str) -> Result<()> {
    if text.starts_with("$2") {
        return check_importable(text);
    }
    let Ok(hash) = PasswordHash::new(text) else {
        return refuse(Failure::bad_request(
            "password_hash: must be a bcrypt string, a PHC string of argon2, or a hash of Firebase",
        ));
    };
    match hash.algorithm.as_str() {
        "argon2id" | "argon2i" | "argon2d" => check_argon2(&hash),
        firebase_scrypt::NAME if firebase_scrypt::is_bounded(&hash) => Ok(()),
        firebase_scrypt::NAME => {
            refuse(Failure::bad_request("password_hash: not a hash of Firebase as exports have it"))
        }
        _ => refuse(Failure::bad_request("password_hash: hashes of this algorithm are not taken")),
    }
}

fn check_argon2(hash: &PasswordHash) -> Result<()> {
    let number = |name| hash.params.get_decimal(name).unwrap_or_default();
    let (memory, passes, lanes) = (number("m"), number("t"), number("p"));
    let is_whole = hash.salt.is_some()
        && hash.hash.is_some()
        && hash.version.is_some_and(|version| ARGON2_VERSIONS.contains(&version))
        && hash.params.iter().count() == 3
        && argon2::Params::try_from(hash).is_ok();
    if !is_whole {
        return refuse(Failure::bad_request(
            "password_hash: must name version, m, t, p, salt and hash, as $argon2id$v=19$m=65536,t=3,p=4$…$…",
        ));
    }
    let is_bounded = memory <= MAX_ARGON2_MEMORY_KIB
        && memory.checked_mul(passes).is_some_and(|work| work <= MAX_ARGON2_WORK_KIB)
        && lanes <= MAX_ARGON2_LANES;
    if is_bounded {
        return Ok(());
    }
    refuse(Failure::bad_request(format!(
        "password_hash: argon2 is taken up to m={MAX_ARGON2_MEMORY_KIB}, m times t {MAX_ARGON2_WORK_KIB}, and \
         p={MAX_ARGON2_LANES}"
    )))
}

/// What the algorithm of a stored form is called.
#[must_use]
pub fn algorithm(stored: &str) -> &str {
    if stored.starts_with("$2") {
        return "bcrypt";
    }
    stored.split('$').nth(1).unwrap_or_default()
}
