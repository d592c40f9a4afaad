//! How an API key is written (wire: users-teams-permissions §6): `sk_` or `pk_`, 45 random characters, the 32 digits of its
//! id, `user` or `team`, one digit for scanners, a constant, and the CRC-32 of all that. Scanners of public code find keys
//! by this; we refuse what is not written so before the database is asked.

use std::fmt;

use uuid::Uuid;

use super::ApiKeyType;
use crate::{
    ApiKeyId,
    error::Result,
    random::{TOKEN_LENGTH, base32, hash_token, is_token, random_token},
};

/// Characters of a key.
pub const KEY_LENGTH: usize = 102;
/// What scanners look for.
const MARKER: &str = "574ck4u7h";
const PREFIX_LENGTH: usize = 3;
const ID_LENGTH: usize = uuid::fmt::Simple::LENGTH;
const TYPE_LENGTH: usize = 4;
const CHECKSUM_LENGTH: usize = 8;
const SECRET: &str = "sk_";
const PUBLIC: &str = "pk_";
/// The scanners' digit: who made the key (1 = whoever hosts the server) …
const SELF_HOSTED: u8 = 1;
/// … plus this if it is public.
const PUBLIC_BIT: u8 = 2;

/// A text that is written like a key: what it says of itself, and by what it is found. `Debug` shows nothing that opens.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct KeyText {
    pub(super) id: ApiKeyId,
    pub(super) kind: ApiKeyType,
    pub(super) is_public: bool,
    /// As the database has it.
    pub(super) hash: Vec<u8>,
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyText").field("id", &self.id).finish_non_exhaustive()
    }
}

impl KeyText {
    /// `None` when it is not written like a key.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // Nothing else is looked at in a text of another length: it may be a megabyte.
        if text.len() != KEY_LENGTH {
            return None;
        }
        let (signed, checksum) = text.split_at_checked(KEY_LENGTH - CHECKSUM_LENGTH)?;
        let (prefix, rest) = signed.split_at_checked(PREFIX_LENGTH)?;
        let (token, rest) = rest.split_at_checked(TOKEN_LENGTH)?;
        let (id, rest) = rest.split_at_checked(ID_LENGTH)?;
        let (kind, mark) = rest.split_at_checked(TYPE_LENGTH)?;
        let is_public = match prefix {
            SECRET => false,
            PUBLIC => true,
            _ => return None,
        };
        let kind = match kind {
            "user" => ApiKeyType::User,
            "team" => ApiKeyType::Team,
            _ => return None,
        };
        let uuid = Uuid::try_parse(id).ok()?;
        let fits = is_token(token)
            && uuid.simple().to_string() == id
            && mark == mark_of(is_public)
            && checksum == checksum_of(signed);
        fits.then(|| Self { id: ApiKeyId(uuid), kind, is_public, hash: hash_token(text) })
    }
}

/// Whether the text is written like an API key. Says nothing about whether there is such a key.
#[must_use]
pub fn is_api_key(text: &str) -> bool {
    KeyText::parse(text).is_some()
}

/// A fresh key.
///
/// # Errors
/// Internal, when the system has no randomness to give.
pub(super) fn generate(id: ApiKeyId, kind: ApiKeyType, is_public: bool) -> Result<String> {
    let prefix = if is_public { PUBLIC } else { SECRET };
    let (token, id, kind, mark) = (random_token()?, id.0.simple(), kind.as_str(), mark_of(is_public));
    let signed = format!("{prefix}{token}{id}{kind}{mark}");
    Ok(format!("{signed}{}", checksum_of(&signed)))
}

/// The scanners' digit and the constant.
fn mark_of(is_public: bool) -> String {
    let flags = if is_public { SELF_HOSTED + PUBLIC_BIT } else { SELF_HOSTED };
    // Five bits are one digit: the flags are moved to the upper end of the byte, and its first digit is taken.
    let digit = base32(&[flags << 3]).chars().next().unwrap_or_default();
    format!("{digit}{MARKER}")
}

fn checksum_of(signed: &str) -> String {
    format!("{:08x}", crc32fast::hash(signed.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written out by hand, its checksum by another program (Python's `zlib.crc32`).
    const WRITTEN: &str =
        "sk_0123456789abcdefghjkmnpqrstvwxyz0123456789abc0f8fad5bd9cb469fa16570867728950euser1574ck4u7hbbbc4692";

    #[test]
    fn keys_are_written_as_the_contract_says() {
        for (kind, is_public, prefix, end) in [
            (ApiKeyType::User, false, "sk_", "user1574ck4u7h"),
            (ApiKeyType::Team, false, "sk_", "team1574ck4u7h"),
            (ApiKeyType::User, true, "pk_", "user3574ck4u7h"),
            (ApiKeyType::Team, true, "pk_", "team3574ck4u7h"),
        ] {
            let id = ApiKeyId::random();
            let key = generate(id, kind, is_public).unwrap();
            assert_eq!(key.len(), KEY_LENGTH, "{key}");
            assert!(key.starts_with(prefix) && key[80..94] == *end, "{key}");
            assert_eq!(key[48..80], id.0.simple().to_string());
            let read = KeyText::parse(&key).unwrap();
            assert_eq!(read, KeyText { id, kind, is_public, hash: hash_token(&key) });
            assert!(!format!("{read:?}").contains(&key[3..48]));
        }
    }

    #[test]
    fn the_checksum_is_the_one_of_zlib() {
        let read = KeyText::parse(WRITTEN).unwrap();
        assert_eq!((read.kind, read.is_public), (ApiKeyType::User, false));
        assert_eq!(read.id.to_string(), "0f8fad5b-d9cb-469f-a165-70867728950e");
    }

    /// The text with a right checksum at its end.
    fn signed(text: &str) -> String {
        let signed = &text[..KEY_LENGTH - CHECKSUM_LENGTH];
        format!("{signed}{}", checksum_of(signed))
    }

    #[test]
    fn what_is_written_otherwise_is_no_key() {
        let key = generate(ApiKeyId::random(), ApiKeyType::User, false).unwrap();
        assert!(is_api_key(&signed(&key)));
        for at in 0..KEY_LENGTH {
            let mut bytes = key.clone().into_bytes();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            assert!(!is_api_key(&String::from_utf8(bytes).unwrap()), "character {at} was changed");
        }
        // Well signed, and wrong all the same: the length of each part is that of the original.
        for (from, to) in [
            ("sk_", "xk_"),
            ("user1574ck4u7h", "item1574ck4u7h"),
            ("user1574ck4u7h", "user0574ck4u7h"),
            ("user1574ck4u7h", "user3574ck4u7h"),
            ("user1574ck4u7h", "user1574ck4u7x"),
        ] {
            assert!(!is_api_key(&signed(&key.replacen(from, to, 1))), "{to}");
        }
        for (at, wrong) in [(3, "u"), (3, "U"), (3, "ä"), (48, "g"), (48, "A")] {
            let mut text = key.clone();
            text.replace_range(at..at + wrong.len(), wrong);
            assert!(!is_api_key(&signed(&text)), "{wrong} at {at}");
        }
        for text in ["", "sk_", &key[1..], &format!("{key} "), &key.to_uppercase(), &"ä".repeat(51)] {
            assert!(!is_api_key(text), "{text}");
        }
    }
}
