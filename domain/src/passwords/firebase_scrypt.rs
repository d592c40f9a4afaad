//! Firebase's variant of scrypt, which imported users bring along. scrypt (RFC 7914) of the password makes an AES-256 key,
//! and what Firebase keeps is the project's signer key encrypted under it in counter mode from zero
//! (<https://github.com/firebase/scrypt>).
//!
//! Counter mode adds a key stream to the text, so the kept value without the signer key is the key stream itself. That is what is
//! stored here: it tells right passwords from wrong ones just as well, and the signer key, a secret of the other
//! installation, is stored nowhere.

use aes::Aes256;
use argon2::password_hash::phc::{Ident, Output, ParamsString, PasswordHash, Salt};
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher},
};
use scrypt::Params;

use super::FirebaseHash;
use crate::{
    error::{Error, Result},
    random::equal_secrets,
};

/// What the stored form calls the algorithm.
pub(super) const NAME: &str = "firebase-scrypt";
/// The highest `mem_cost`, the binary logarithm of scrypt's N; each step doubles time and memory. Firebase has none higher.
const MAX_MEM_COST: u32 = 14;
/// The highest `rounds`, scrypt's r. Firebase has none higher.
const MAX_ROUNDS: u32 = 8;
/// Names of the parameters in the stored form, as PHC strings of scrypt have them.
const LOG_N: &str = "ln";
const BLOCK_SIZE: &str = "r";

/// The stored form of an imported hash; what is wrong with it otherwise.
pub(super) fn stored_form(given: &FirebaseHash) -> std::result::Result<String, String> {
    if !(1..=MAX_MEM_COST).contains(&given.mem_cost) || !(1..=MAX_ROUNDS).contains(&given.rounds) {
        return Err(format!("mem_cost must be 1 to {MAX_MEM_COST}, and rounds 1 to {MAX_ROUNDS}"));
    }
    if given.hash.len() != given.signer_key.len() {
        return Err("the hash must be as long as the signer key: one of them belongs to another project".to_owned());
    }
    let stream: Vec<u8> = given.hash.iter().zip(&given.signer_key).map(|(hash, key)| hash ^ key).collect();
    let salt = [given.salt.as_slice(), &given.salt_separator].concat();
    let salt = Salt::new(&salt).map_err(|_| {
        format!("salt and separator together must have {} to {} bytes", Salt::MIN_LENGTH, Salt::MAX_LENGTH)
    })?;
    let hash = Output::new(&stream)
        .map_err(|_| format!("the hash must have {} to {} bytes", Output::MIN_LENGTH, Output::MAX_LENGTH))?;
    let mut params = ParamsString::new();
    let named = [(LOG_N, given.mem_cost), (BLOCK_SIZE, given.rounds)];
    for (name, value) in named {
        params.add_decimal(name, value).map_err(|error| error.to_string())?;
    }
    let algorithm = Ident::new(NAME).map_err(|error| error.to_string())?;
    Ok(PasswordHash { algorithm, version: None, params, salt: Some(salt), hash: Some(hash) }.to_string())
}

/// Whether this is a stored form of bounded cost.
pub(super) fn is_bounded(stored: &PasswordHash) -> bool {
    let within = |name, most| stored.params.get_decimal(name).is_some_and(|value| (1..=most).contains(&value));
    stored.version.is_none()
        && stored.params.iter().count() == 2
        && within(LOG_N, MAX_MEM_COST)
        && within(BLOCK_SIZE, MAX_ROUNDS)
        && stored.salt.is_some()
        && stored.hash.is_some()
}

/// Whether the password is the one of the stored form.
pub(super) fn verify(password: &[u8], stored: &PasswordHash) -> Result<bool> {
    let broken = || Error::internal("a stored firebase-scrypt hash lacks a part");
    let number = |name| stored.params.get_decimal(name).ok_or_else(broken);
    let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else { return Err(broken()) };
    let log_n = u8::try_from(number(LOG_N)?).map_err(Error::internal)?;
    let params = Params::new(log_n, number(BLOCK_SIZE)?, 1).map_err(|error| Error::internal(error.to_string()))?;
    let mut key = [0; 32];
    scrypt::scrypt(password, salt, &params, &mut key).map_err(|error| Error::internal(error.to_string()))?;
    let mut stream = vec![0; expected.len()];
    Ctr128BE::<Aes256>::new(&key.into(), &[0; 16].into()).apply_keystream(&mut stream);
    Ok(equal_secrets(&stream, expected.as_bytes()))
}
