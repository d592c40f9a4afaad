//! Lists as clients of Svix walk them: `iterator` goes on behind the last item. There is no way back.

use postern_domain::{
    Failure, Result,
    webhooks::{Page, PageRequest, Place},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    cursor,
    rest::input::{Positive, Words, input},
};

/// The page when its size is not told.
pub(super) const DEFAULT_LIMIT: u64 = 50;
/// The largest page.
pub(super) type Limit = Positive<250>;

/// Endpoints and types of events come oldest first, as Svix has it.
#[derive(Debug)]
pub(super) struct Ascending;

impl Words for Ascending {
    const WORDS: &'static [&'static str] = &["ascending"];
}

input! {
    /// A list without filters.
    pub(super) struct Paged { limit: Option<Limit>, iterator: Option<String> }
}

/// The page that is asked for.
///
/// # Errors
/// `SCHEMA_ERROR` for an iterator that is none of ours.
pub(super) fn page(limit: Option<Limit>, iterator: Option<&str>) -> Result<PageRequest> {
    let after = iterator.map(read_iterator::<Place>).transpose()?;
    Ok(PageRequest { limit: limit.map_or(DEFAULT_LIMIT, |limit| limit.0), after })
}

/// The place that an iterator stands for.
///
/// # Errors
/// `SCHEMA_ERROR` for one that is none of ours.
pub(super) fn read_iterator<T: serde::de::DeserializeOwned>(iterator: &str) -> Result<T> {
    cursor::decode(iterator)
        .ok_or_else(|| Failure::schema("query.iterator is none of this list: use one that it answered").into())
}

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "{T}Page")]
pub(super) struct AppList<T> {
    data: Vec<T>,
    iterator: Option<String>,
    prev_iterator: Option<String>,
    done: bool,
}

impl<T> AppList<T> {
    /// Items with their places.
    ///
    /// # Errors
    /// Internal only.
    pub(super) fn of<I>(page: Page<I>, place: impl Fn(&I) -> Place, item: impl Fn(I) -> T) -> Result<Self> {
        let iterator = page.items.last().map(|last| cursor::encode(&place(last))).transpose()?;
        Ok(Self::new(page.items.into_iter().map(item).collect(), iterator, !page.has_more))
    }

    /// Nothing.
    pub(super) fn empty() -> Self {
        Self::new(Vec::new(), None, true)
    }

    /// These items; `iterator` stands for the last of them.
    pub(super) fn new(data: Vec<T>, iterator: Option<String>, done: bool) -> Self {
        Self { data, iterator, prev_iterator: None, done }
    }
}
