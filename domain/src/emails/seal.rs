//! What of a mail lets somebody in: how it is sealed in the row, and what stands in its place where the outbox shows it.

use std::collections::BTreeMap;

use postern_entity::{EmailId, ProjectId, email};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::{
    error::{Error, Result},
    rotation::Rotation,
    secrets::{Keyring, Place},
};

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";
/// The query parameter of a link that carries a one-time code.
const CODE_PARAMETER: &str = "code";
/// What stands there instead: without characters that a URL would have to escape.
const REDACTED_CODE: &str = "redacted";

/// Subject and both parts of a mail as they go out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) subject: String,
    pub(super) html: String,
    pub(super) text: String,
    /// Stops mails of this category, where that can be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unsubscribe_link: Option<String>,
}

/// Secret variables of a template by name.
pub(super) type SecretVariables = BTreeMap<String, SecretString>;

/// The columns of `email` that are sealed.
#[derive(Clone, Copy)]
pub(super) enum Column {
    Variables,
    Content,
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Variables => "sealed_variables",
            Self::Content => "sealed_content",
        }
    }
}

fn place<'a>(project_id: &'a ProjectId, row: &'a str, column: Column) -> Place<'a> {
    Place { project: project_id.as_str(), table: "email", row, column: column.name() }
}

/// Seals both columns again under the newest server secret.
pub(crate) async fn reseal(rotation: &mut Rotation<'_>) -> Result<()> {
    for (what, column, name) in [
        ("variables of mails", email::Column::SealedVariables, Column::Variables),
        ("mails", email::Column::SealedContent, Column::Content),
    ] {
        rotation
            .column::<email::Entity>(what, column, move |keyring, row, sealed| {
                keyring.reseal(&place(&row.project_id, &row.id.to_string(), name), sealed)
            })
            .await?;
    }
    Ok(())
}

/// Seals `value` for one column of one mail.
pub(super) fn seal<T: Serialize>(
    keyring: &Keyring,
    (project_id, email_id): (&ProjectId, EmailId),
    column: Column,
    value: &T,
) -> Result<Vec<u8>> {
    let plain = serde_json::to_vec(value).map_err(Error::internal)?;
    keyring.seal(&place(project_id, &email_id.to_string(), column), &plain)
}

/// Opens what [`seal`] made.
pub(super) fn open<T: for<'de> Deserialize<'de>>(
    keyring: &Keyring,
    (project_id, email_id): (&ProjectId, EmailId),
    column: Column,
    sealed: &[u8],
) -> Result<T> {
    let row = email_id.to_string();
    serde_json::from_slice(&keyring.open(&place(project_id, &row, column), sealed)?).map_err(Error::internal)
}

/// The variables as plain text, to be sealed.
pub(super) fn exposed(variables: &SecretVariables) -> BTreeMap<&str, &str> {
    variables.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect()
}

/// A secret as the outbox may show it: a link loses its code, anything else is gone altogether.
pub(super) fn redact(secret: &SecretString) -> String {
    redact_link(secret.expose_secret()).unwrap_or_else(|| REDACTED.to_owned())
}

/// Whether a variable stands for a secret.
pub(super) fn is_redacted(shown: &Value) -> bool {
    shown.as_str().is_some_and(|text| text == REDACTED || text.contains(&format!("{CODE_PARAMETER}={REDACTED_CODE}")))
}

/// `None` when this is not a link with its code in the parameter where we put codes: then nothing of it is safe to show.
fn redact_link(link: &str) -> Option<String> {
    let mut url = Url::parse(link).ok()?;
    if !matches!(url.scheme(), "http" | "https") || !url.query_pairs().any(|(name, _)| name == CODE_PARAMETER) {
        return None;
    }
    let pairs: Vec<_> = url
        .query_pairs()
        .map(|(name, value)| {
            let shown = if name == CODE_PARAMETER { REDACTED_CODE.to_owned() } else { value.into_owned() };
            (name.into_owned(), shown)
        })
        .collect();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::MIN_SERVER_SECRET_BYTES;

    #[test]
    fn a_link_loses_its_code_and_nothing_else() {
        let shown = redact(&"https://app.example/verify?next=%2Fhome&code=abc123#top".into());
        assert_eq!(shown, "https://app.example/verify?next=%2Fhome&code=redacted#top");
        for secret in ["ABC123", "https://app.example/verify/abc123", "javascript:alert(1)?code=abc123"] {
            assert_eq!(redact(&secret.into()), REDACTED);
        }
    }

    #[test]
    fn what_was_sealed_for_one_column_does_not_open_in_another() {
        let keyring = Keyring::new(vec!["k".repeat(MIN_SERVER_SECRET_BYTES).into()]).unwrap();
        let place = (&ProjectId::random(), EmailId::random());
        let variables = SecretVariables::from([("otp".to_owned(), "ABC123".into())]);
        let sealed = seal(&keyring, place, Column::Variables, &exposed(&variables)).unwrap();
        let opened: BTreeMap<String, String> = open(&keyring, place, Column::Variables, &sealed).unwrap();
        assert_eq!(opened["otp"], "ABC123");
        assert!(open::<BTreeMap<String, String>>(&keyring, place, Column::Content, &sealed).is_err());
    }
}
