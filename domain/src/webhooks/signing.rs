//! Signatures of the Standard Webhooks specification: `v1`, HMAC-SHA256 with a secret that both sides know, and `v1a`,
//! Ed25519, whose receivers hold a public key only. Both over `{id}.{timestamp}.{body}`. Pure. wire/webhooks §4.

use std::{fmt, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use postern_entity::WebhookMessageId;
use ring::signature::{Ed25519KeyPair, KeyPair};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use standardwebhooks::Webhook;

use super::wire_id::wire_message_id;
use crate::{
    Timestamp,
    error::{Error, Result},
    random::{equal_secrets, random_bytes},
};

const SYMMETRIC: &str = "whsec_";
const PRIVATE: &str = "whsk_";
const PUBLIC: &str = "whpk_";
/// Lengths of the decoded symmetric key that the specification recommends.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=75;
/// Length of the symmetric keys we make.
const NEW_KEY_BYTES: usize = 24;
/// An Ed25519 private key is written as its seed and its public key, 32 bytes each.
const SEED_BYTES: usize = 32;
/// How far the clocks of sender and receiver may be apart.
const TOLERANCE_SECONDS: u64 = 5 * 60;
/// Signatures of one message that are looked at.
const MAX_SIGNATURES: usize = 10;
/// Both families say the same; libraries look for either.
const FAMILIES: [&str; 2] = ["svix", "webhook"];

/// How deliveries to an endpoint are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// `v1`: the receiver knows the secret.
    #[default]
    Hmac,
    /// `v1a`: the receiver knows the public key.
    Ed25519,
}

/// What signs.
#[derive(Clone)]
pub struct Secret(Key);

#[derive(Clone)]
enum Key {
    Symmetric(SecretSlice<u8>),
    Asymmetric { private: SecretSlice<u8>, pair: Arc<Ed25519KeyPair> },
}

impl Secret {
    /// A fresh random one.
    ///
    /// # Errors
    /// Internal, when the system has no randomness to give.
    pub fn random(scheme: Scheme) -> Result<Self> {
        match scheme {
            Scheme::Hmac => Ok(Self(Key::Symmetric(random_bytes::<NEW_KEY_BYTES>()?.to_vec().into()))),
            Scheme::Ed25519 => {
                let seed = random_bytes::<SEED_BYTES>()?;
                let pair =
                    Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|error| Error::internal(error.to_string()))?;
                let private = [seed.as_slice(), pair.public_key().as_ref()].concat();
                Ok(Self(Key::Asymmetric { private: private.into(), pair: Arc::new(pair) }))
            }
        }
    }

    /// From its text: `whsec_` and standard base64 of 24 to 75 bytes, or `whsk_` and that of an Ed25519 private key: its seed
    /// and its public key. `None` when it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(encoded) = text.strip_prefix(PRIVATE) {
            let private = BASE64_STANDARD.decode(encoded).ok()?;
            let (seed, public) = private.split_at_checked(SEED_BYTES)?;
            let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()?;
            return Some(Self(Key::Asymmetric { private: private.into(), pair: Arc::new(pair) }));
        }
        let key = BASE64_STANDARD.decode(text.strip_prefix(SYMMETRIC)?).ok()?;
        KEY_BYTES.contains(&key.len()).then(|| Self(Key::Symmetric(key.into())))
    }

    /// How it signs.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        match self.0 {
            Key::Symmetric(_) => Scheme::Hmac,
            Key::Asymmetric { .. } => Scheme::Ed25519,
        }
    }

    /// As it is kept: what [`Self::parse`] reads.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        let (prefix, bytes) = match &self.0 {
            Key::Symmetric(key) => (SYMMETRIC, key),
            Key::Asymmetric { private, .. } => (PRIVATE, private),
        };
        format!("{prefix}{}", BASE64_STANDARD.encode(bytes.expose_secret())).into()
    }

    /// What a receiver verifies with: the secret itself, or the public key, `whpk_…`.
    #[must_use]
    pub fn verifying_text(&self) -> SecretString {
        match &self.0 {
            Key::Symmetric(_) => self.to_text(),
            Key::Asymmetric { pair, .. } => format!("{PUBLIC}{}", BASE64_STANDARD.encode(pair.public_key())).into(),
        }
    }

    fn sign(&self, message_id: &str, timestamp_seconds: i64, body: &[u8]) -> Result<String> {
        match &self.0 {
            Key::Symmetric(key) => Webhook::from_bytes(key.expose_secret().to_vec())
                .and_then(|webhook| webhook.sign(message_id, timestamp_seconds, body))
                .map_err(Error::internal),
            Key::Asymmetric { pair, .. } => {
                let signed = [format!("{message_id}.{timestamp_seconds}.").as_bytes(), body].concat();
                Ok(format!("v1a,{}", BASE64_STANDARD.encode(pair.sign(&signed))))
            }
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The six headers of one attempt, in both families: id, timestamp, and one signature per secret, separated by spaces.
/// `secrets` are the valid ones, newest first; `body` must be the very bytes that are sent.
///
/// # Errors
/// Internal, when the body is not UTF-8: it is JSON, so it always is.
pub fn signature_headers(
    secrets: &[Secret],
    message_id: WebhookMessageId,
    at: Timestamp,
    body: &[u8],
) -> Result<Vec<(String, String)>> {
    signed_headers(secrets, &wire_message_id(message_id), at.seconds(), body)
}

fn signed_headers(
    secrets: &[Secret],
    message_id: &str,
    timestamp_seconds: i64,
    body: &[u8],
) -> Result<Vec<(String, String)>> {
    let signatures: Vec<_> =
        secrets.iter().map(|secret| secret.sign(message_id, timestamp_seconds, body)).collect::<Result<_>>()?;
    let signatures = signatures.join(" ");
    let family = |family: &str| {
        [
            (format!("{family}-id"), message_id.to_owned()),
            (format!("{family}-timestamp"), timestamp_seconds.to_string()),
            (format!("{family}-signature"), signatures.clone()),
        ]
    };
    Ok(FAMILIES.into_iter().flat_map(family).collect())
}

/// What somebody sent under the specification, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The message.
    pub id: &'a str,
    /// Seconds since the epoch, as text.
    pub timestamp: &'a str,
    /// Signatures, separated by spaces.
    pub signatures: &'a str,
    /// The very bytes that were signed.
    pub body: &'a [u8],
}

/// Whether one of `secrets` has signed, not longer ago than the specification's libraries allow.
///
/// # Errors
/// Internal only.
pub fn is_signed(secrets: &[Secret], signed: &Signed<'_>, now: Timestamp) -> Result<bool> {
    let Ok(seconds) = signed.timestamp.parse::<i64>() else { return Ok(false) };
    if now.seconds().abs_diff(seconds) > TOLERANCE_SECONDS || std::str::from_utf8(signed.body).is_err() {
        return Ok(false);
    }
    for secret in secrets {
        let expected = secret.sign(signed.id, seconds, signed.body)?;
        let mut given = signed.signatures.split(' ').take(MAX_SIGNATURES);
        if given.any(|signature| equal_secrets(signature.as_bytes(), expected.as_bytes())) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    const BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;

    fn header<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
        headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str()).unwrap()
    }

    #[test]
    fn the_published_vector_is_met_in_both_families() {
        let headers = signed_headers(&[Secret::parse(SECRET).unwrap()], ID, 1_649_367_553, BODY).unwrap();
        for family in FAMILIES {
            assert_eq!(header(&headers, &format!("{family}-id")), ID);
            assert_eq!(header(&headers, &format!("{family}-timestamp")), "1649367553");
            assert_eq!(
                header(&headers, &format!("{family}-signature")),
                "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
            );
        }
    }

    #[test]
    fn an_asymmetric_key_is_its_seed_and_its_public_key() {
        let private = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
        let secret = Secret::parse(private).unwrap();
        assert_eq!(secret.to_text().expose_secret(), private);
        assert_eq!(secret.verifying_text().expose_secret(), "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=");
        // The scheme makes the same signature each time (RFC 8032 §5.1.6).
        assert_eq!(secret.sign(ID, 1, BODY).unwrap(), secret.sign(ID, 1, BODY).unwrap());
    }

    #[test]
    fn asymmetric_secrets_are_read_back_and_verified_by_their_public_key() {
        let secret = Secret::random(Scheme::Ed25519).unwrap();
        let again = Secret::parse(secret.to_text().expose_secret()).unwrap();
        assert_eq!((again.scheme(), secret.scheme()), (Scheme::Ed25519, Scheme::Ed25519));
        let public = secret.verifying_text();
        let public = BASE64_STANDARD.decode(public.expose_secret().strip_prefix(PUBLIC).unwrap()).unwrap();
        let signature = again.sign(ID, 1, BODY).unwrap();
        let signature = BASE64_STANDARD.decode(signature.strip_prefix("v1a,").unwrap()).unwrap();
        let signed = [format!("{ID}.1.").as_bytes(), BODY].concat();
        let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, public);
        assert!(key.verify(&signed, &signature).is_ok());
        assert!(key.verify(BODY, &signature).is_err());
    }

    #[test]
    fn every_valid_secret_signs_newest_first() {
        let (new, old) = (Secret::random(Scheme::Hmac).unwrap(), Secret::parse(SECRET).unwrap());
        let headers = signed_headers(&[new.clone(), old], ID, 1_649_367_553, BODY).unwrap();
        let signatures: Vec<_> = header(&headers, "svix-signature").split(' ').collect();
        assert_eq!(signatures.len(), 2);
        assert_eq!(signatures[0], new.sign(ID, 1_649_367_553, BODY).unwrap());
        assert_eq!(signatures[1], "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }

    #[test]
    fn a_library_accepts_them_within_five_minutes_and_not_beyond() {
        let now = chrono::Utc::now().timestamp();
        let secret = Secret::random(Scheme::Hmac).unwrap();
        let verify = |timestamp: i64, body: &[u8]| {
            let headers: http::HeaderMap = signed_headers(std::slice::from_ref(&secret), ID, timestamp, BODY)
                .unwrap()
                .into_iter()
                .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
                .collect();
            Webhook::new(secret.to_text().expose_secret()).unwrap().verify(body, &headers)
        };
        assert!(verify(now, BODY).is_ok());
        assert!(verify(now - 290, BODY).is_ok());
        assert!(verify(now + 290, BODY).is_ok());
        assert!(verify(now - 310, BODY).is_err());
        assert!(verify(now + 310, BODY).is_err());
        assert!(verify(now, b"{}").is_err());
    }

    #[test]
    fn secrets_are_read_back_from_their_text_and_never_shown() {
        let secret = Secret::random(Scheme::Hmac).unwrap();
        let text = secret.to_text();
        assert_eq!(text.expose_secret().len(), SYMMETRIC.len() + 32);
        assert_eq!(Secret::parse(text.expose_secret()).unwrap().to_text().expose_secret(), text.expose_secret());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn malformed_secrets_are_refused() {
        let of_length = |bytes: usize| format!("whsec_{}", BASE64_STANDARD.encode(vec![7; bytes]));
        for (text, good) in [
            (of_length(24), true),
            (of_length(75), true),
            (of_length(23), false),
            (of_length(76), false),
            ("whsec_".to_owned(), false),
            ("whsec_!!!!".to_owned(), false),
            (of_length(24).replace("whsec_", "whsk_"), false),
            // A public key that does not belong to the seed.
            (of_length(64).replace("whsec_", "whsk_"), false),
            (of_length(24).replace("whsec_", ""), false),
        ] {
            assert_eq!(Secret::parse(&text).is_some(), good, "{text}");
        }
    }

    #[test]
    fn a_message_is_signed_by_a_known_secret_and_not_long_ago() {
        let (ours, other) = (Secret::parse(SECRET).unwrap(), Secret::random(Scheme::Hmac).unwrap());
        let signature = ours.sign(ID, 1_649_367_553, BODY).unwrap();
        let signatures = format!("v1,bm90IHRoaXM= {signature}");
        let signed = Signed { id: ID, timestamp: "1649367553", signatures: &signatures, body: BODY };
        let at = |seconds: i64| Timestamp(seconds * 1000);
        let holds = |secrets: &[Secret], signed: Signed<'_>, now| is_signed(secrets, &signed, now).unwrap();
        let (now, both) = (at(1_649_367_553), [other.clone(), ours.clone()]);
        assert!(holds(&both, signed, now) && holds(&both, signed, at(1_649_367_553 + 300)));
        assert!(!holds(&both, signed, at(1_649_367_553 + 301)) && !holds(&both, signed, at(1_649_367_553 - 301)));
        assert!(!holds(&[other], signed, now) && !holds(&[], signed, now));
        assert!(!holds(&both, Signed { id: "msg_2", ..signed }, now));
        assert!(!holds(&both, Signed { timestamp: "1649367554", ..signed }, now));
        assert!(!holds(&both, Signed { timestamp: "soon", ..signed }, now));
        assert!(!holds(&both, Signed { body: b"{}", ..signed }, now));
        assert!(!holds(&both, Signed { signatures: "", ..signed }, now));
    }
}
