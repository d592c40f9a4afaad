//! Keys that sign access tokens: derived from the server secret and the audience, never stored. Each project and kind of
//! user has keys of its own, so a token for restricted users does not pass where regular ones are expected.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::DecodingKey;
use moka::future::Cache;
use p256::ecdsa::SigningKey;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::tokens::Audience;
use crate::{
    error::{Error, Result},
    secrets::Keyring,
};

/// How many audiences stay derived; each takes well under a kilobyte.
const MAX_CACHED_AUDIENCES: u64 = 4_096;
/// Public keys per audience (wire/auth §2): who caches the set knows the next signer before it signs.
const PUBLISHED: usize = 2;
const KEY_ID_CHARS: usize = 12;

/// The derived keys of the audiences seen lately.
pub(super) type KeyCache = Cache<Audience, Arc<AudienceKeys>>;

pub(super) fn cache() -> KeyCache {
    Cache::new(MAX_CACHED_AUDIENCES)
}

/// A public key as a JSON Web Key (RFC 7517) on the curve P-256 (RFC 7518 §6.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PublicKey {
    kty: &'static str,
    alg: &'static str,
    crv: &'static str,
    x: String,
    y: String,
    kid: String,
}

/// A JSON Web Key Set (RFC 7517 §5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct JwkSet {
    /// The keys, current signers first within each kind of user.
    pub keys: Vec<PublicKey>,
}

/// The keys of one audience.
pub(super) struct AudienceKeys {
    /// One per server secret, newest first: the first signs, all verify.
    signers: Vec<KeyPair>,
    /// What the world sees.
    pub(super) published: Vec<PublicKey>,
}

struct KeyPair {
    // Parsed once: jsonwebtoken's own signing parses the private key and derives its public key for each token, which
    // costs as much as the signature. By ring, which signs in an eighth of
    // the time that p256 takes (16 and 127 µs, measured on 2026-11-25).
    signing: EcdsaKeyPair,
    verifying: DecodingKey,
    public: PublicKey,
}

impl AudienceKeys {
    fn derive(keyring: &Keyring, audience: &Audience) -> Result<Self> {
        let signers = (0..keyring.generations())
            .map(|generation| KeyPair::derive(keyring, generation, &format!("postern/access-token/{audience}")))
            .collect::<Result<Vec<_>>>()?;
        let mut published: Vec<_> = signers.iter().map(|pair| pair.public.clone()).take(PUBLISHED).collect();
        if published.len() < PUBLISHED {
            // With one secret there is no other signer yet; the contract still promises two keys.
            let spare = KeyPair::derive(keyring, 0, &format!("postern/access-token/spare/{audience}"))?;
            published.push(spare.public);
        }
        Ok(Self { signers, published })
    }

    /// The id of the key that signs, and its signature over `message` as JWS wants it (RFC 7518 §3.4).
    pub(super) fn sign(&self, message: impl FnOnce(&str) -> Result<String>) -> Result<String> {
        let pair = self.signers.first().ok_or_else(|| Error::internal("an audience without a signing key"))?;
        let message = message(&pair.public.kid)?;
        let signature = pair.signing.sign(&SystemRandom::new(), message.as_bytes());
        let signature = signature.map_err(|_| Error::internal("the system has no randomness to sign with"))?;
        Ok(format!("{message}.{}", BASE64.encode(signature)))
    }

    /// The key with this id, if it may verify.
    pub(super) fn verifying(&self, key_id: &str) -> Option<&DecodingKey> {
        self.signers.iter().find(|pair| pair.public.kid == key_id).map(|pair| &pair.verifying)
    }
}

impl KeyPair {
    fn derive(keyring: &Keyring, generation: usize, label: &str) -> Result<Self> {
        let private = scalar(keyring, generation, label)?;
        let point = private.verifying_key().to_encoded_point(false);
        let signing = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &private.to_bytes(),
            point.as_bytes(),
            &SystemRandom::new(),
        )
        .map_err(|error| Error::internal(error.to_string()))?;
        let (Some(x), Some(y)) = (point.x(), point.y()) else {
            return Err(Error::internal("a public key without coordinates"));
        };
        let (x, y) = (BASE64.encode(x), BASE64.encode(y));
        let verifying = DecodingKey::from_ec_components(&x, &y).map_err(Error::internal)?;
        let kid = key_id(&x, &y)?;
        Ok(Self { signing, verifying, public: PublicKey { kty: "EC", alg: "ES256", crv: "P-256", x, y, kid } })
    }
}

/// 32 derived bytes are a private key unless they are zero or reach the order of the group, which happens once in 2³²
/// labels: then the next ones are taken.
fn scalar(keyring: &Keyring, generation: usize, label: &str) -> Result<SigningKey> {
    for attempt in 0..=u8::MAX {
        let bytes = keyring.derive(generation, &format!("{label}/{attempt}"))?;
        if let Ok(key) = SigningKey::from_slice(&bytes) {
            return Ok(key);
        }
    }
    Err(Error::internal("no private key could be derived"))
}

/// The beginning of the thumbprint of the key (RFC 7638).
fn key_id(x: &str, y: &str) -> Result<String> {
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let mut id = BASE64.encode(Sha256::digest(canonical));
    if id.len() < KEY_ID_CHARS {
        return Err(Error::internal("a thumbprint shorter than a key id"));
    }
    id.truncate(KEY_ID_CHARS);
    Ok(id)
}

/// The keys of `audience`, derived at most once while they stay cached.
pub(super) async fn of(keyring: &Keyring, cache: &KeyCache, audience: &Audience) -> Result<Arc<AudienceKeys>> {
    if let Some(keys) = cache.get(audience).await {
        return Ok(keys);
    }
    let keys = Arc::new(AudienceKeys::derive(keyring, audience)?);
    cache.insert(audience.clone(), Arc::clone(&keys)).await;
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::{super::tokens::UserKind, *};
    use crate::{ProjectId, secrets::MIN_SERVER_SECRET_BYTES};

    fn keyring(letters: &[&str]) -> Keyring {
        Keyring::new(letters.iter().map(|letter| letter.repeat(MIN_SERVER_SECRET_BYTES).into()).collect()).unwrap()
    }

    fn ids(keyring: &Keyring, kind: UserKind) -> Vec<String> {
        let audience = Audience { project_id: ProjectId::internal(), kind };
        let keys = AudienceKeys::derive(keyring, &audience).unwrap();
        keys.published.iter().map(|key| key.kid.clone()).collect()
    }

    /// RFC 5869, P-256 and RFC 7638, worked out by a second implementation. Fixed for ever: another derivation would make
    /// every token and every cached key set of an installation worthless.
    const VECTOR: &str = r#"{"kty":"EC","alg":"ES256","crv":"P-256","x":"p5R25CdG4Gdb7N2mI638U0o7W1ZGXDtvvGrRwB-sqsA","y":"FDZhzzQCwLG3uuJxy-knEoEVr_kWvz5_G_poWUIKPCc","kid":"ABCY_o5j5jvp"}"#;

    #[test]
    fn derivation_is_what_it_always_was() {
        let audience = Audience { project_id: ProjectId::internal(), kind: UserKind::Regular };
        let keys = AudienceKeys::derive(&keyring(&["a"]), &audience).unwrap();
        let shown = serde_json::to_string(&keys.published[0]).unwrap();
        assert_eq!(shown, VECTOR);
    }

    #[test]
    fn each_kind_of_user_and_each_secret_has_keys_of_its_own() {
        let mut all = Vec::new();
        for letters in [&["a"], &["b"]] {
            for kind in UserKind::ALL {
                all.extend(ids(&keyring(letters), kind));
            }
        }
        assert!(all.iter().all(|id| id.len() == KEY_ID_CHARS));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!((count, all.len()), (12, 12));
    }

    #[test]
    fn a_rotation_publishes_the_new_signer_and_the_old_one() {
        let before = ids(&keyring(&["a"]), UserKind::Regular);
        let during = ids(&keyring(&["b", "a"]), UserKind::Regular);
        assert_eq!(during[1], before[0]);
        assert_eq!(during[0], ids(&keyring(&["b"]), UserKind::Regular)[0]);
        assert_eq!(ids(&keyring(&["c", "b", "a"]), UserKind::Regular).len(), PUBLISHED);
    }
}
