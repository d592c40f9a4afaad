//! Apple's side of ID tokens and client secrets. The key is that of RFC 7515 §A.3, whose vector is checked where it is verified.

use std::{
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use p256::{
    SecretKey,
    pkcs8::{EncodePrivateKey, LineEnding},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::provider::Fault;

const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";

/// The private key of a team at Apple, which signs client secrets; here the same that signs ID tokens.
pub(crate) static APPLE_KEY: LazyLock<String> = LazyLock::new(|| {
    let key = SecretKey::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(D).unwrap()).unwrap();
    key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
});

pub(crate) fn keys() -> Value {
    json!({ "keys": [
        { "kty": "oct", "kid": "of another sort", "k": "AAAA" },
        { "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "apple-1", "x": X, "y": Y },
    ] })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What Apple signs.
pub(crate) fn of_apple(audience: &str, nonce: Option<&str>, access_token: &str, fault: Option<Fault>) -> String {
    let hashed = |token: &str| BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(token)[..16]);
    let mut claims = json!({
        "iss": "https://appleid.apple.com", "aud": audience, "sub": "001122.apple.0011", "iat": now(), "exp": now() + 600,
        // Apple writes flags as texts.
        "email": "ada@apple.test", "email_verified": "true", "is_private_email": "false",
        "at_hash": hashed(access_token), "nonce": nonce,
    });
    let (field, wrong) = match fault {
        Some(Fault::ForeignNonce) => ("nonce", "another"),
        Some(Fault::ForeignAudience) => ("aud", "another"),
        Some(Fault::ForeignAtHash) => ("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"),
        _ => ("sub", "001122.apple.0011"),
    };
    claims[field] = wrong.into();
    let kid = if fault == Some(Fault::UnknownKey) { "unknown" } else { "apple-1" };
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ec_pem(APPLE_KEY.as_bytes()).unwrap()).unwrap()
}

/// A client secret as Apple wants it.
pub(crate) fn check_client_secret(secret: &str, client_id: &str) {
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&["https://appleid.apple.com"]);
    validation.set_issuer(&["TEAM"]);
    let key = DecodingKey::from_ec_components(X, Y).unwrap();
    let decoded = jsonwebtoken::decode::<Value>(secret, &key, &validation).unwrap();
    assert_eq!((decoded.header.kid.as_deref(), decoded.claims["sub"].as_str()), (Some("KEY"), Some(client_id)));
}
