//! Lists, as the GraphQL Cursor Connections Specification has them: pages of at most [`MAX_PAGE`], opaque cursors, a total
//! only when it is asked for.

use std::borrow::Cow;

use async_graphql::{Context, OutputType, TypeName};
use futures::future::BoxFuture;
use postern_gateway_macros::guarded;
use serde::{Serialize, de::DeserializeOwned};

use super::error::{Error, Result};
use crate::cursor;

/// The largest page.
pub(crate) const MAX_PAGE: u64 = 200;
/// The page when its size is not told.
pub(crate) const DEFAULT_PAGE: u64 = 50;

/// The cost of a page: one for asking the database, and its items. For `#[graphql(complexity = …)]`.
pub(crate) fn page_cost(first: Option<i32>, child: usize) -> usize {
    let size = first.map_or(DEFAULT_PAGE, |first| u64::try_from(first).unwrap_or(0).min(MAX_PAGE));
    usize::try_from(size).unwrap_or(usize::MAX).saturating_mul(child).saturating_add(1)
}

/// How many items the caller wants.
///
/// # Errors
/// `BAD_USER_INPUT` outside 0 to [`MAX_PAGE`].
pub(crate) fn page_size(first: Option<i32>) -> Result<u64> {
    match first.map(u64::try_from) {
        None => Ok(DEFAULT_PAGE),
        Some(Ok(size)) if size <= MAX_PAGE => Ok(size),
        Some(_) => Err(Error::bad_input(format!("`first` must be 0 to {MAX_PAGE}."))),
    }
}

/// A place in a list as opaque text. What it holds is nobody's business but ours.
///
/// # Errors
/// Internal only.
pub(crate) fn encode_cursor(place: &impl Serialize) -> Result<String> {
    Ok(cursor::encode(place)?)
}

/// The place that a cursor of ours stands for.
///
/// # Errors
/// `BAD_USER_INPUT` when it is none of ours.
pub(crate) fn decode_cursor<T: DeserializeOwned>(cursor: &str) -> Result<T> {
    cursor::decode(cursor)
        .ok_or_else(|| Error::bad_input("`after` is no cursor of this list: use one that it answered."))
}

/// Counts the whole list, when somebody asks.
pub(crate) type Count = Box<dyn Fn() -> BoxFuture<'static, postern_domain::Result<u64>> + Send + Sync>;

/// A page of a list.
pub(crate) struct Connection<T> {
    edges: Vec<Edge<T>>,
    has_next_page: bool,
    has_previous_page: bool,
    count: Option<Count>,
}

impl<T> Connection<T> {
    /// A page with the cursor of each item. `has_previous_page` is known to be true when the caller came by a cursor.
    pub(crate) fn new(
        items: impl IntoIterator<Item = (String, T)>,
        has_next_page: bool,
        has_previous_page: bool,
    ) -> Self {
        let edges = items.into_iter().map(|(cursor, node)| Edge { cursor, node }).collect();
        Self { edges, has_next_page, has_previous_page, count: None }
    }

    /// The same with a way to count the whole list.
    pub(crate) fn counted(mut self, count: Count) -> Self {
        self.count = Some(count);
        self
    }
}

/// A page of a list that is at hand whole, each item known by an id.
///
/// # Errors
/// `BAD_USER_INPUT` for the page's size or its cursor.
pub(crate) fn connection_of<T, N, I: PartialEq + Serialize + DeserializeOwned>(
    items: Vec<T>,
    first: Option<i32>,
    after: Option<&str>,
    id: impl Fn(&T) -> I,
    node: impl Fn(T) -> N,
) -> Result<Connection<N>> {
    let size = usize::try_from(page_size(first)?).unwrap_or(usize::MAX);
    let total = u64::try_from(items.len()).unwrap_or(u64::MAX);
    let skipped = match after.map(decode_cursor::<I>).transpose()? {
        // An item that is gone since leaves no place to go on from; the list is short, so it begins anew.
        Some(last) => items.iter().position(|item| id(item) == last).map_or(0, |index| index + 1),
        None => 0,
    };
    let has_next_page = items.len() > skipped.saturating_add(size);
    let mut page = Vec::new();
    for item in items.into_iter().skip(skipped).take(size) {
        page.push((encode_cursor(&id(&item))?, node(item)));
    }
    let count: Count = Box::new(move || Box::pin(async move { Ok(total) }));
    Ok(Connection::new(page, has_next_page, skipped > 0).counted(count))
}

impl<T: OutputType> TypeName for Connection<T> {
    fn type_name() -> Cow<'static, str> {
        Cow::Owned(format!("{}Connection", T::type_name()))
    }
}

/// A page of a list.
#[guarded(CLIENT, graphql(name_type))]
impl<T: OutputType + 'static> Connection<T> {
    /// The items of the page, each with its cursor.
    #[access(CLIENT)]
    fn edges(&self) -> &[Edge<T>] {
        &self.edges
    }

    /// The items of the page without their cursors.
    #[access(CLIENT)]
    fn nodes(&self) -> Vec<&T> {
        self.edges.iter().map(|edge| &edge.node).collect()
    }

    /// Where the page stands in the list.
    #[access(CLIENT)]
    fn page_info(&self) -> PageInfo {
        PageInfo {
            has_next_page: self.has_next_page,
            has_previous_page: self.has_previous_page,
            start_cursor: self.edges.first().map(|edge| edge.cursor.clone()),
            end_cursor: self.edges.last().map(|edge| edge.cursor.clone()),
        }
    }

    /// How many items the whole list has. Counted only when asked for.
    #[access(CLIENT)]
    #[graphql(complexity = 50)]
    async fn total_count(&self, _: &Context<'_>) -> Result<Option<u64>> {
        match &self.count {
            Some(count) => Ok(Some(count().await?)),
            None => Ok(None),
        }
    }
}

/// An item of a list.
pub(crate) struct Edge<T> {
    cursor: String,
    node: T,
}

impl<T: OutputType> TypeName for Edge<T> {
    fn type_name() -> Cow<'static, str> {
        Cow::Owned(format!("{}Edge", T::type_name()))
    }
}

/// An item of a list.
#[guarded(CLIENT, graphql(name_type))]
impl<T: OutputType + 'static> Edge<T> {
    /// The place of the item, for `after`.
    #[access(CLIENT)]
    fn cursor(&self) -> &str {
        &self.cursor
    }

    /// The item.
    #[access(CLIENT)]
    fn node(&self) -> &T {
        &self.node
    }
}

/// Where a page stands in its list.
#[guarded(CLIENT, graphql(shareable))]
pub(crate) struct PageInfo {
    /// Whether items follow.
    #[access(CLIENT)]
    has_next_page: bool,
    /// Whether the page was asked for by a cursor, so that items came before.
    #[access(CLIENT)]
    has_previous_page: bool,
    /// The cursor of the first item.
    #[access(CLIENT)]
    start_cursor: Option<String>,
    /// The cursor of the last item: `after` for the next page.
    #[access(CLIENT)]
    end_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_and_foreign_ones_are_refused() {
        let cursor = encode_cursor(&(1_i64, "a")).unwrap();
        assert_eq!(decode_cursor::<(i64, String)>(&cursor).unwrap(), (1, "a".to_owned()));
        for foreign in ["", "!", "bm9wZQ", &encode_cursor(&"other").unwrap()] {
            assert!(decode_cursor::<(i64, String)>(foreign).is_err(), "{foreign}");
        }
    }

    #[test]
    fn pages_are_bounded_and_cost_what_they_may_hold() {
        assert_eq!(page_size(None).unwrap(), DEFAULT_PAGE);
        assert_eq!(page_size(Some(200)).unwrap(), 200);
        assert!(page_size(Some(201)).is_err() && page_size(Some(-1)).is_err());
        assert_eq!(page_cost(Some(10), 3), 31);
        assert_eq!(page_cost(Some(i32::MAX), 1), 201);
        assert_eq!(page_cost(Some(1), usize::MAX), usize::MAX);
    }
}
