//! The form of a user as a line of JSON: what `POST /users` takes, and what a user has who was one elsewhere before.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    ContactChannelId, Failure, LinkedAccountId, Timestamp, UserId,
    error::{Result, refuse},
    users::wire::WireRiskScores,
};

/// The longest line, in bytes: every field of a user at its longest.
pub const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;
/// The most contact channels of a line.
pub const MAX_CHANNELS: usize = 1000;

/// A user. In a line that is imported everything may be left out; `null` is the same as absent.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "`CreateUser` says what the fields mean that are not explained here")]
pub struct UserLine {
    /// A UUID of version 1 to 5. Without one the user gets an id that follows from the line, so that the same line of the
    /// same file is the same user again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Short for one of `contact_channels` that is primary; exports do not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_email_auth_enabled: Option<bool>,
    /// At most [`MAX_CHANNELS`], one of them primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_channels: Option<Vec<ChannelLine>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_image_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_metadata: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_read_only_metadata: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_metadata: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otp_auth_enabled: Option<bool>,
    /// Means nothing, as in `POST /users`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passkey_auth_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth_providers: Option<Vec<OAuthLine>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_anonymous: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restricted_by_admin: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restricted_by_admin_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restricted_by_admin_private_details: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk_scores: Option<WireRiskScores>,
    /// In the clear; hashed when it is imported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// A hash instead of a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<HashLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub totp_secret_base64: Option<String>,
    /// Milliseconds since the epoch. Default: now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_up_at_millis: Option<Timestamp>,
    /// Milliseconds since the epoch. Default: the sign-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_active_at_millis: Option<Timestamp>,
}

/// An address of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelLine {
    /// A UUID of version 1 to 5. Default: a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ContactChannelId>,
    /// The address; loose syntax, normalised.
    pub value: String,
    /// At most one of a user's is.
    #[serde(default)]
    pub is_primary: bool,
    /// The user has proven to hold it.
    #[serde(default)]
    pub is_verified: bool,
    /// Usable to sign in.
    #[serde(default)]
    pub used_for_auth: bool,
    /// Milliseconds since the epoch. Default: the sign-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at_millis: Option<Timestamp>,
}

/// An account of another site: as `POST /users` has it, and what it was elsewhere before. What the other site gave to act in
/// the user's name is not part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuthLine {
    /// Key of the provider in the project's config.
    pub id: String,
    /// The account's id there.
    pub account_id: String,
    /// The account's address there.
    pub email: Option<String>,
    /// The link, a UUID of version 1 to 5. Default: a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_id: Option<LinkedAccountId>,
    /// The user signs in with it. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_sign_in: Option<bool>,
    /// The application reaches the other site by it. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_connected_accounts: Option<bool>,
    /// Milliseconds since the epoch. Default: the sign-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at_millis: Option<Timestamp>,
}

/// A password hash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a text, or an object with algorithm and hash")]
pub enum HashLine {
    /// One that says by itself what it is: bcrypt, or a PHC string of argon2.
    Text(String),
    /// One with the name of its algorithm; what exports have.
    Named(NamedHash),
}

/// A hash with the name of its algorithm. The fields after `hash` are those of Firebase's scrypt only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedHash {
    /// `bcrypt`, `argon2id`, `argon2i`, `argon2d` or `firebase-scrypt`.
    pub algorithm: String,
    /// As [`HashLine::Text`]; of Firebase's scrypt what Firebase exports (base64), or what an export here has.
    pub hash: String,
    /// Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// Base64. Default: that of the command's options, as for those that follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer_key: Option<String>,
    /// Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt_separator: Option<String>,
    /// scrypt's r.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<u32>,
    /// Binary logarithm of scrypt's N.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem_cost: Option<u32>,
}

impl fmt::Debug for UserLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserLine").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for HashLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashLine([hidden])")
    }
}

impl fmt::Debug for NamedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedHash").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl UserLine {
    /// The user that a line of text says.
    ///
    /// # Errors
    /// `SCHEMA_ERROR` that names the field, and never shows its value: it may be a secret.
    pub fn parse(text: &str) -> Result<Self> {
        if !text.trim_start().starts_with('{') {
            return refuse(Failure::schema("the line must be a JSON object"));
        }
        let mut json = serde_json::Deserializer::from_str(text);
        let line = match serde_path_to_error::deserialize::<_, Self>(&mut json) {
            Ok(line) => line,
            Err(error) => {
                let (path, error) = (error.path().to_string(), error.into_inner());
                if !error.is_data() {
                    return refuse(Failure::schema(format!("the line is not valid JSON: column {}", error.column())));
                }
                let field = if path == "." { String::new() } else { format!("{path}: ") };
                return refuse(Failure::schema(format!("{field}{}", without_value(&error.to_string()))));
            }
        };
        match json.end() {
            Ok(()) => Ok(line),
            Err(error) => {
                refuse(Failure::schema(format!("the line goes on after the user: column {}", error.column())))
            }
        }
    }
}

/// The text of an error of serde without the value that it quotes, the fields that there are, and the position.
fn without_value(error: &str) -> String {
    let error = error.split(" at line ").next().unwrap_or_default();
    match error.split_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid ") => format!("must be {expected}"),
        Some((found, _)) => found.to_owned(),
        None => error.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        UserLine::parse(text).unwrap_err().failure().unwrap().message.to_string()
    }

    #[test]
    fn errors_name_the_field_and_not_its_value() {
        assert_eq!(wrong(r#"{"password": 12345678}"#), "password: must be a string");
        assert_eq!(wrong(r#"{"name": "secret"}"#), "name: unknown field `name`");
        assert_eq!(
            wrong(r#"{"password_hash": {"hash": "secret"}}"#),
            "password_hash: a text, or an object with algorithm and hash"
        );
        assert_eq!(wrong(r#"{"contact_channels": [{"value": 5}]}"#), "contact_channels[0].value: must be a string");
        assert_eq!(wrong(r#"{"contact_channels": [{}]}"#), "contact_channels[0]: missing field `value`");
        assert!(wrong(r#"{"id": "secret"}"#).starts_with("id: "));
        for text in [r#"["secret"]"#, "[]", r#""secret""#, "null", "secret"] {
            assert_eq!(wrong(text), "the line must be a JSON object");
        }
        assert_eq!(wrong(r#"{"password": "secret""#), "the line is not valid JSON: column 21");
        assert_eq!(wrong(r#"{} {"password": "secret"}"#), "the line goes on after the user: column 4");
        assert!(!wrong(r#"{"risk_scores": {"sign_up": {"bot": 4567, "free_trial_abuse": 0}}}"#).contains("4567"));
    }

    #[test]
    fn secrets_do_not_show() {
        let line = UserLine::parse(r#"{"password": "secret", "password_hash": {"algorithm": "x", "hash": "secret"}}"#);
        let line = line.unwrap();
        assert!(!format!("{line:?} {:?}", line.password_hash).contains("secret"));
        let Some(HashLine::Named(named)) = line.password_hash else { panic!("it has a name") };
        assert!(!format!("{named:?}").contains("secret"));
    }

    #[test]
    fn null_is_the_same_as_absent() {
        let all_null = serde_json::to_value(UserLine {
            id: Some(UserId::random()),
            client_metadata: Some(Value::Bool(true)),
            contact_channels: Some(Vec::new()),
            ..UserLine::default()
        });
        let Value::Object(mut fields) = all_null.unwrap() else { panic!("an object") };
        fields.values_mut().for_each(|value| *value = Value::Null);
        assert_eq!(UserLine::parse(&Value::Object(fields).to_string()).unwrap(), UserLine::default());
    }
}
