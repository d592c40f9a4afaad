//! Reading rows by their key, one for each request: what is asked for while a statement is under way is the next statement.
//! A busy gateway reads many rows with each round trip, and nobody waits for others when it is not.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, OnceLock},
};

use futures::future::BoxFuture;

use super::Reader;
use crate::{batch::Batcher, error::Result};

/// The most rows of one statement. A power of two.
const MAX_KEYS: usize = 64;

/// Reads the rows with these keys, whatever their projects. Their number is a power of two, so that there are few different
/// statements to prepare; the same key may be there twice.
pub(crate) type Fetch<K, V> = for<'a> fn(&'a Reader, &'a [K]) -> Fetched<'a, K, V>;
/// The rows that were found, each with its key.
pub(crate) type Fetched<'a, K, V> = BoxFuture<'a, Result<Vec<(K, V)>>>;

type Gathered<K, V> = Batcher<(Reader, K), Option<V>>;

/// Rows of one table by one key, unique in the installation. Cheap to clone.
pub(crate) struct Lookup<K, V> {
    fetch: Fetch<K, V>,
    batcher: Arc<OnceLock<Gathered<K, V>>>,
}

impl<K, V> Lookup<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    /// Over this query.
    pub(crate) fn new(fetch: Fetch<K, V>) -> Self {
        Self { fetch, batcher: Arc::default() }
    }

    /// The row with this key, as it is after the call began. The caller sees to it that the row is of the right project.
    /// All readers must lead to the same database.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn get(&self, reader: &Reader, key: K) -> Result<Option<V>> {
        let fetch = self.fetch;
        let batcher = self.batcher.get_or_init(|| {
            Batcher::start(MAX_KEYS, move |asked: Vec<(Reader, K)>| async move {
                let (readers, keys): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
                let Some(reader) = readers.first() else { return Ok(Vec::new()) };
                let found: HashMap<K, V> = fetch(reader, &padded(&keys)).await?.into_iter().collect();
                Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
            })
        });
        batcher.get((reader.clone(), key)).await
    }
}

/// The keys, and the last one again until their number is a power of two.
fn padded<K: Clone>(keys: &[K]) -> Vec<K> {
    let mut keys = keys.to_vec();
    if let Some(last) = keys.last().cloned() {
        keys.resize(keys.len().next_power_of_two(), last);
    }
    keys
}

impl<K, V> Clone for Lookup<K, V> {
    fn clone(&self) -> Self {
        Self { fetch: self.fetch, batcher: Arc::clone(&self.batcher) }
    }
}

impl<K, V> fmt::Debug for Lookup<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }
}
