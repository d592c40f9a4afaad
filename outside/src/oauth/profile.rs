//! Reading what a provider tells of an account.

use postern_domain::{
    oauth::ProviderKind,
    ports::oauth::{Account, ProviderError},
};
use serde_json::Value;
use url::Url;

use super::sites::{Emails, Profile, Verified};

/// The account that `told` describes; `listed` is the list of its addresses, where there is one.
///
/// # Errors
/// `Unacceptable` without an id.
pub(super) fn account(
    kind: ProviderKind,
    profile: &Profile,
    told: &Value,
    listed: Option<&Value>,
) -> Result<Account, ProviderError> {
    let Some(id) = id(told, profile.id) else {
        return Err(ProviderError::Unacceptable("The provider does not tell which account it is.".to_owned()));
    };
    let (email, is_verified) = match (&profile.emails, listed) {
        (Some(emails), Some(listed)) => of_list(emails, listed),
        _ => (first(told, profile.email), is_verified(&profile.verified, told)),
    };
    if profile.needs_email && email.is_none() {
        return Err(ProviderError::Unacceptable("The provider does not tell the address of the account.".to_owned()));
    }
    let picture = text(told, profile.picture);
    let picture = match kind {
        ProviderKind::Discord => picture.map(|hash| format!("https://cdn.discordapp.com/avatars/{id}/{hash}.png")),
        _ => picture,
    };
    Ok(Account {
        is_email_verified: email.is_some() && is_verified,
        id,
        email,
        display_name: first(told, profile.name),
        picture: picture.and_then(|url| Url::parse(&url).ok()),
    })
}

fn id(told: &Value, pointer: &str) -> Option<String> {
    match told.pointer(pointer)? {
        Value::Number(number) => Some(number.to_string()),
        _ => text(told, pointer),
    }
}

fn text(told: &Value, pointer: &str) -> Option<String> {
    told.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn first(told: &Value, pointers: &[&str]) -> Option<String> {
    pointers.iter().find_map(|pointer| text(told, pointer))
}

fn is_true(told: &Value, pointer: &str) -> bool {
    // Some write it as a text.
    told.pointer(pointer).is_some_and(|flag| flag.as_bool() == Some(true) || flag.as_str() == Some("true"))
}

fn is_verified(verified: &Verified, told: &Value) -> bool {
    match verified {
        Verified::Never => false,
        Verified::Always => true,
        Verified::Flag(pointer) => is_true(told, pointer),
        Verified::Present(pointer) => text(told, pointer).is_some(),
    }
}

/// The primary address, else the first one, and whether it is proven.
fn of_list(emails: &Emails, listed: &Value) -> (Option<String>, bool) {
    let entries = listed.pointer(emails.list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let primary = entries.iter().find(|entry| is_true(entry, emails.is_primary)).or(entries.first());
    primary.map_or((None, false), |entry| (text(entry, emails.address), is_true(entry, emails.is_verified)))
}
