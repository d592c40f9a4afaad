//! Places in lists as opaque text. Both doors write and read them alike, so each takes the other's.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use postern_domain::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};

/// A place as text. What it holds is nobody's business but ours.
///
/// # Errors
/// Internal only.
pub(crate) fn encode(place: &impl Serialize) -> Result<String> {
    Ok(BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).map_err(Error::internal)?))
}

/// The place that a text of ours stands for.
pub(crate) fn decode<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}
