//! E-mail addresses: which texts are one, and the one form in which they are stored and compared.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest address, in characters: 64 before the `@` and 255 behind it (RFC 5321 §4.5.3.1).
pub const MAX_CHARS: usize = 320;
/// The longest address that may be used to sign up, in characters.
pub const MAX_STRICT_CHARS: usize = 256;
const MAX_LABEL_CHARS: usize = 63;
/// What may stand before the `@` beside letters and digits (WHATWG HTML, "valid e-mail address").
const LOCAL_PUNCTUATION: &[u8] = b".!#$%&'*+/=?^_`{|}~-";

/// An address in its stored form: surrounding space removed, lower case. Nothing else is folded: dots and tags count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

/// Why a text is no address. Its text names the rule, not the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmailAddress {
    /// Not of the form `name@host`.
    #[error("must be a valid e-mail address")]
    Syntax,
    /// Too long.
    #[error("must be an e-mail address of at most {0} characters")]
    TooLong(usize),
}

impl EmailAddress {
    /// By the syntax of HTML's e-mail fields: the host needs no dot. For everything but signing up and sending codes.
    ///
    /// # Errors
    /// [`InvalidEmailAddress`].
    pub fn loose(text: &str) -> Result<Self, InvalidEmailAddress> {
        Self::parse(text, MAX_CHARS)
    }

    /// The same, but also: at most [`MAX_STRICT_CHARS`], no dot at the ends of the local part nor two in a row, and at
    /// least two characters behind the last dot. For password sign-up and sending sign-in codes.
    ///
    /// # Errors
    /// [`InvalidEmailAddress`].
    pub fn strict(text: &str) -> Result<Self, InvalidEmailAddress> {
        let address = Self::parse(text, MAX_STRICT_CHARS)?;
        let (local, host) = address.0.split_once('@').ok_or(InvalidEmailAddress::Syntax)?;
        let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
        let last_label = host.rsplit('.').next().unwrap_or_default();
        if dots || last_label.len() < 2 { Err(InvalidEmailAddress::Syntax) } else { Ok(address) }
    }

    fn parse(text: &str, max_chars: usize) -> Result<Self, InvalidEmailAddress> {
        let text = text.trim();
        if text.chars().count() > max_chars {
            return Err(InvalidEmailAddress::TooLong(max_chars));
        }
        let (local, host) = text.split_once('@').ok_or(InvalidEmailAddress::Syntax)?;
        let local_fits =
            !local.is_empty() && local.bytes().all(|b| b.is_ascii_alphanumeric() || LOCAL_PUNCTUATION.contains(&b));
        // The syntax is ASCII only, so lower-casing is too.
        if local_fits && host.split('.').all(is_label) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(InvalidEmailAddress::Syntax)
        }
    }

    /// The address as stored and compared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same, by value.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= MAX_LABEL_CHARS
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_trimmed_and_lower_cased_and_nothing_else() {
        assert_eq!(EmailAddress::loose(" A.b+Tag@Example.COM ").unwrap().as_str(), "a.b+tag@example.com");
    }

    #[test]
    fn loose_takes_what_html_takes() {
        for text in ["x@y", "a..b@c", ".a@c.d", "a!#$%&'*+/=?^_`{|}~-@x-y.z", "a@1.2.3.4"] {
            assert!(EmailAddress::loose(text).is_ok(), "{text}");
        }
        for text in
            ["", "@", "x@", "@y", "x", "a@b@c", "a b@c", "a@b c", "a@-b", "a@b-", "a@b..c", "ä@b", "a@ä", "a\0@b"]
        {
            assert_eq!(EmailAddress::loose(text), Err(InvalidEmailAddress::Syntax), "{text}");
        }
        assert!(EmailAddress::loose(&format!("a@{}", "b".repeat(63))).is_ok());
        assert!(EmailAddress::loose(&format!("a@{}", "b".repeat(64))).is_err());
        assert_eq!(
            EmailAddress::loose(&format!("{}@b", "a".repeat(MAX_CHARS))),
            Err(InvalidEmailAddress::TooLong(MAX_CHARS))
        );
    }

    #[test]
    fn strict_refuses_odd_dots_short_ends_and_long_addresses() {
        assert!(EmailAddress::strict("a.b@example.com").is_ok());
        assert!(EmailAddress::strict("a@localhost").is_ok());
        for text in [".a@b.cd", "a.@b.cd", "a..b@c.de", "a@b.c", "x@y"] {
            assert_eq!(EmailAddress::strict(text), Err(InvalidEmailAddress::Syntax), "{text}");
        }
        assert!(EmailAddress::strict(&format!("{}@b.cd", "a".repeat(MAX_STRICT_CHARS - 5))).is_ok());
        assert!(EmailAddress::strict(&format!("{}@b.cd", "a".repeat(MAX_STRICT_CHARS - 4))).is_err());
    }
}
