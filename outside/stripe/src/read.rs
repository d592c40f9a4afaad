//! Parts that several answers share.

use postern_entity::Timestamp;
use serde::Deserialize;

/// A list, or what search found.
#[derive(Debug, Deserialize)]
pub(crate) struct List<T> {
    pub(crate) data: Vec<T>,
    #[serde(default)]
    pub(crate) has_more: bool,
}

/// Another object: its id, or the whole of it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Link<T = HasId> {
    /// As most are.
    Id(String),
    /// As it is when asked for.
    Whole(T),
}

/// Whatever else it has.
#[derive(Debug, Deserialize)]
pub(crate) struct HasId {
    pub(crate) id: String,
}

impl Link {
    pub(crate) fn into_id(self) -> String {
        match self {
            Self::Id(id) | Self::Whole(HasId { id }) => id,
        }
    }
}

impl<T> Link<T> {
    pub(crate) fn whole(self) -> Option<T> {
        match self {
            Self::Id(_) => None,
            Self::Whole(object) => Some(object),
        }
    }
}

/// Stripe tells time in seconds.
pub(crate) fn time(unix_seconds: i64) -> Timestamp {
    Timestamp(unix_seconds.saturating_mul(1000))
}
