//! Random tokens and how they are kept: shown once, stored as SHA-256. They hold 224 random bits, so a slow password hash
//! would add nothing.

use rand::{TryRngCore, rngs::OsRng};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::{Error, Result};

/// Crockford's alphabet in lower case: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Characters of a random token ("R45" in the wire facts): 28 random bytes at 5 bits each, rounded up.
pub const TOKEN_LENGTH: usize = 45;
const TOKEN_BYTES: usize = 28;

/// `N` bytes from the operating system's generator.
///
/// # Errors
/// Internal, when the system has no randomness to give.
pub fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    OsRng.try_fill_bytes(&mut bytes).map_err(Error::internal)?;
    Ok(bytes)
}

/// A fresh token of [`TOKEN_LENGTH`] characters: refresh tokens, one-time codes, key bodies.
///
/// # Errors
/// Internal, when the system has no randomness to give.
pub fn random_token() -> Result<String> {
    Ok(base32(&random_bytes::<TOKEN_BYTES>()?))
}

/// Whether `text` could be such a token.
#[must_use]
pub fn is_token(text: &str) -> bool {
    text.len() == TOKEN_LENGTH && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

/// The form in which a token is stored and looked up.
#[must_use]
pub fn hash_token(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// Compares secrets without telling by the time taken where they differ.
#[must_use]
pub fn equal_secrets(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Crockford base32 in lower case, five bits a character, the last one padded with zero bits.
#[must_use]
pub fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            push_digit(&mut text, bits >> held);
        }
    }
    if held > 0 {
        push_digit(&mut text, bits << (5 - held));
    }
    text
}

fn push_digit(text: &mut String, bits: u32) {
    if let Some(digit) = ALPHABET.get((bits & 31) as usize) {
        text.push(char::from(*digit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_45_characters_of_the_alphabet_and_differ() {
        let (a, b) = (random_token().unwrap(), random_token().unwrap());
        assert_eq!(a.len(), TOKEN_LENGTH);
        assert!(a.bytes().all(|byte| ALPHABET.contains(&byte)));
        assert_ne!(a, b);
        assert!(is_token(&a) && !is_token(&a[1..]) && !is_token(&a.to_uppercase()) && !is_token(&"u".repeat(45)));
    }

    #[test]
    fn base32_follows_crockford() {
        assert_eq!(base32(b""), "");
        assert_eq!(base32(&[0xff]), "zw");
        assert_eq!(base32(b"hello"), "d1jprv3f");
    }
}
