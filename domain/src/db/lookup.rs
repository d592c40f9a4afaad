//! Reading rows by their key, one for each request: what is asked for while a statement is under way is the next statement.
//! A busy gateway reads many rows with each round trip, and nobody waits for others when it is not.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::future::BoxFuture;

use super::{PATIENCE, Reader, patiently};
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
    patience: Duration,
    batcher: Arc<OnceLock<Gathered<K, V>>>,
}

impl<K, V> Lookup<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    /// Over this query.
    pub(crate) fn new(fetch: Fetch<K, V>) -> Self {
        Self::with_patience(fetch, PATIENCE)
    }

    /// A statement that takes longer is given up.
    fn with_patience(fetch: Fetch<K, V>, patience: Duration) -> Self {
        Self { fetch, patience, batcher: Arc::default() }
    }

    /// The row with this key, as it is after the call began. The caller sees to it that the row is of the right project.
    /// All readers must lead to the same database.
    ///
    /// # Errors
    /// Those of the database; it counts as out of reach when it does not answer in time.
    pub(crate) async fn get(&self, reader: &Reader, key: K) -> Result<Option<V>> {
        let (fetch, patience) = (self.fetch, self.patience);
        let batcher = self.batcher.get_or_init(|| {
            Batcher::start(MAX_KEYS, move |asked: Vec<(Reader, K)>| async move {
                let (readers, keys): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
                let Some(reader) = readers.first() else { return Ok(Vec::new()) };
                let found = patiently(patience, fetch(reader, &padded(&keys))).await?;
                let found: HashMap<K, V> = found.into_iter().collect();
                Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
            })
        });
        batcher.get((reader.clone(), key)).await
    }
}

/// The keys, and the last one again until their number is a power of two.
pub(crate) fn padded<K: Clone>(keys: &[K]) -> Vec<K> {
    let mut keys = keys.to_vec();
    if let Some(last) = keys.last().cloned() {
        keys.resize(keys.len().next_power_of_two(), last);
    }
    keys
}

impl<K, V> Clone for Lookup<K, V> {
    fn clone(&self) -> Self {
        Self { fetch: self.fetch, patience: self.patience, batcher: Arc::clone(&self.batcher) }
    }
}

impl<K, V> fmt::Debug for Lookup<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use futures::{
        FutureExt,
        future::{join_all, pending},
    };
    use sea_orm::ConnectionTrait;

    use super::*;
    use crate::{
        db::{KeptLookup, statement},
        testing::on_each_database,
    };

    /// Finds every number of 0 to 99, and doubles it.
    fn doubles<'a>(reader: &'a Reader, keys: &'a [i64]) -> Fetched<'a, i64, i64> {
        static DOUBLES: KeptLookup = KeptLookup::new();
        async move {
            let statement = DOUBLES.with(reader, keys, |_| {
                let rows: Vec<_> =
                    (1..=keys.len()).map(|at| format!("SELECT CAST(${at} AS bigint) AS number")).collect();
                let sql =
                    format!("SELECT number, number * 2 FROM ({}) AS given WHERE number < 100", rows.join(" UNION "));
                statement(reader, &sql, keys.iter().map(|key| (*key).into()))
            });
            let rows = reader.query_all_raw(statement).await?;
            rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
        }
        .boxed()
    }

    #[tokio::test]
    async fn whoever_asks_gets_the_row_of_its_own_key_from_few_statements() {
        on_each_database(|mut bench| async move {
            let watch = bench.deps.db.watch();
            let (reader, lookup) = (bench.deps.db.read(), Lookup::new(doubles));
            // More than one statement takes, some twice, some that are not there.
            let keys: Vec<i64> = (0..120).chain(40..60).collect();
            let found = join_all(keys.iter().map(|key| lookup.get(reader, *key))).await;
            for (key, found) in keys.iter().zip(found) {
                assert_eq!(found.unwrap(), (*key < 100).then_some(key * 2), "{key}");
            }
            let statements = watch.take_statements();
            assert!(statements.len() <= 5, "{} statements for {} keys", statements.len(), keys.len());
            assert_eq!(lookup.get(reader, 7).await.unwrap(), Some(14));
            assert_eq!(lookup.get(reader, 700).await.unwrap(), None);
        })
        .await;
    }

    /// Never answers about -1.
    fn stuck<'a>(reader: &'a Reader, keys: &'a [i64]) -> Fetched<'a, i64, i64> {
        if keys.contains(&-1) { pending().boxed() } else { doubles(reader, keys) }
    }

    #[tokio::test]
    async fn a_statement_that_is_never_answered_does_not_hold_up_the_next_ones_for_ever() {
        on_each_database(|bench| async move {
            let (reader, lookup) = (bench.deps.db.read(), Lookup::with_patience(stuck, Duration::from_secs(1)));
            let error = lookup.get(reader, -1).await.unwrap_err();
            assert!(crate::db::may_come_back(&error), "{error}");
            assert_eq!(lookup.get(reader, 7).await.unwrap(), Some(14));
        })
        .await;
    }

    #[test]
    fn there_are_few_numbers_of_keys() {
        let lengths: HashSet<_> = (1..=MAX_KEYS).map(|count| padded(&vec![1; count]).len()).collect();
        assert_eq!(lengths, HashSet::from([1, 2, 4, 8, 16, 32, 64]));
        assert_eq!(padded(&[1, 2, 3]), [1, 2, 3, 3]);
    }
}
