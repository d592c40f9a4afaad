//! What is Apple's alone: client secrets that are signed anew for each call, and the name of a user, told once in a form.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use postern_domain::{
    Timestamp,
    ports::oauth::{AppleKey, ProviderClient, ProviderError},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::sites::APPLE_ISSUER;

/// How long a client secret is good; it is made for one call.
const SECRET_SECONDS: i64 = 5 * 60;

/// developer.apple.com, "Creating a client secret".
#[derive(Serialize)]
struct SecretClaims<'a> {
    iss: &'a str,
    iat: i64,
    exp: i64,
    aud: &'a str,
    sub: &'a str,
}

/// The client secret of this moment: signed, where the client has a key for that, else the one that it has.
///
/// # Errors
/// `Refused` for a key that cannot sign.
pub(super) fn client_secret(client: &ProviderClient, now: Timestamp) -> Result<String, ProviderError> {
    let secret = client.client_secret.expose_secret();
    let Some(AppleKey { team_id, key_id }) = &client.apple_key else { return Ok(secret.to_owned()) };
    let now = now.millis() / 1000;
    let claims =
        SecretClaims { iss: team_id, iat: now, exp: now + SECRET_SECONDS, aud: APPLE_ISSUER, sub: &client.client_id };
    let header = Header { kid: Some(key_id.clone()), ..Header::new(Algorithm::ES256) };
    EncodingKey::from_ec_pem(secret.as_bytes())
        .and_then(|key| jsonwebtoken::encode(&header, &claims, &key))
        .map_err(|_| ProviderError::Refused("The client secret for Apple is no private key (PKCS #8, PEM).".to_owned()))
}

/// The name in the parameter `user` of Apple's form.
pub(super) fn name(user: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct User {
        name: Name,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Name {
        first_name: Option<String>,
        last_name: Option<String>,
    }
    let User { name } = serde_json::from_str(user).ok()?;
    let parts = [name.first_name, name.last_name];
    let parts: Vec<_> = parts.iter().flatten().map(|part| part.trim()).filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_put_together_from_what_is_there() {
        let both = r#"{"name":{"firstName":"Ada","lastName":"Lovelace"},"email":"ada@example.com"}"#;
        assert_eq!(name(both).as_deref(), Some("Ada Lovelace"));
        assert_eq!(name(r#"{"name":{"firstName":" ","lastName":"L"}}"#).as_deref(), Some("L"));
        for nothing in [r#"{"name":{}}"#, r#"{"email":"a@b.c"}"#, "garbage", ""] {
            assert_eq!(name(nothing), None);
        }
    }
}
