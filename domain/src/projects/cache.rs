//! What requests ask of a project again and again, kept for at most five seconds: the project, its config, its valid keys.
//! A change in this process is seen by the very next read; a change elsewhere when its signal arrives, or by age.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    ProjectId,
    error::{Error, Result},
    signal::{Listener, Signal, Signals},
};
use moka::future::Cache;

/// The longest that anything stays cached (design §6).
const LIFETIME: Duration = Duration::from_secs(5);
/// How many projects are remembered as changed before everything cached counts as outdated.
const MAX_REMEMBERED: usize = 1024;
/// How often a value that was outdated on arrival is loaded again before it is loaded past the cache.
const MAX_RELOADS: usize = 3;

/// Values that belong to projects.
pub(crate) struct ProjectCache<K, V> {
    values: Cache<K, Kept<V>>,
    changes: Arc<Mutex<Changes>>,
}

/// A value, when it was asked for, and what was known of changes before.
#[derive(Clone)]
struct Kept<V> {
    seen: u64,
    asked_at: Instant,
    value: V,
}

/// Which projects changed, in the order the signals tell.
#[derive(Debug)]
pub(crate) struct Changes {
    signals: Listener,
    seen: u64,
    last: HashMap<ProjectId, u64>,
    /// Everything loaded before this is outdated, whatever its project.
    all: u64,
}

impl Changes {
    pub(crate) fn listen(signals: &Signals) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { signals: signals.subscribe(), seen: 0, last: HashMap::new(), all: 0 }))
    }

    /// Takes in every signal so far. Answers how many changes were seen, and the least number that a value of `project`
    /// must have been loaded after.
    fn catch_up(&mut self, project_id: &ProjectId) -> (u64, u64) {
        while let Some(signal) = self.signals.try_next() {
            match signal {
                Signal::ProjectChanged { project_id } => {
                    self.seen += 1;
                    if self.last.len() >= MAX_REMEMBERED {
                        self.last.clear();
                        self.all = self.seen;
                    }
                    self.last.insert(project_id, self.seen);
                }
                Signal::Missed => {
                    self.seen += 1;
                    self.all = self.seen;
                }
                _ => {}
            }
        }
        (self.seen, self.last.get(project_id).copied().unwrap_or_default().max(self.all))
    }
}

impl<K, V> ProjectCache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// At most `capacity` values.
    pub(crate) fn new(capacity: u64, changes: Arc<Mutex<Changes>>) -> Self {
        Self { values: Cache::builder().max_capacity(capacity).time_to_live(LIFETIME).build(), changes }
    }

    /// The value under `key`, which belongs to `project_id`; loaded once for all who ask at the same time. What is not
    /// there is not remembered.
    pub(crate) async fn get<F, Fut>(&self, project_id: &ProjectId, key: &K, load: F) -> Result<Option<V>>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<Option<V>>>,
    {
        for _ in 0..MAX_RELOADS {
            let (seen, least) = self.changes.lock().unwrap_or_else(PoisonError::into_inner).catch_up(project_id);
            let loaded = self.values.try_get_with_by_ref(key, async {
                let asked_at = Instant::now();
                match load().await {
                    Ok(Some(value)) => Ok(Kept { seen, asked_at, value }),
                    Ok(None) => Err(None),
                    Err(error) => Err(Some(Arc::new(error))),
                }
            });
            match loaded.await {
                Ok(kept) if kept.seen >= least && kept.asked_at.elapsed() < LIFETIME => return Ok(Some(kept.value)),
                // Loaded by somebody before the change: it must not answer a question asked after it. Or it took so long to come
                // into the cache, because this process stood still, that it is too old already.
                Ok(_) => self.values.invalidate(key).await,
                Err(missing_or_error) => {
                    return missing_or_error.as_ref().clone().map_or(Ok(None), |error| Err(Error::Shared(error)));
                }
            }
        }
        load().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    struct Bench {
        signals: Signals,
        cache: ProjectCache<&'static str, u32>,
        loads: AtomicU32,
    }

    impl Bench {
        fn new() -> Self {
            let signals = Signals::default();
            let cache = ProjectCache::new(100, Changes::listen(&signals));
            Self { signals, cache, loads: AtomicU32::new(0) }
        }

        fn project() -> ProjectId {
            ProjectId("p".to_owned())
        }

        fn change(&self, project_id: ProjectId) {
            self.signals.send(Signal::ProjectChanged { project_id });
        }

        /// Answers how often it was loaded so far.
        async fn get(&self) -> u32 {
            let load = async || Ok(Some(self.loads.fetch_add(1, Ordering::SeqCst) + 1));
            self.cache.get(&Self::project(), &"key", load).await.unwrap().unwrap()
        }
    }

    #[tokio::test]
    async fn a_value_is_loaded_once_until_its_project_changes() {
        let bench = Bench::new();
        assert_eq!((bench.get().await, bench.get().await), (1, 1));
        bench.change(ProjectId::internal());
        bench.signals.send(Signal::Jobs);
        assert_eq!(bench.get().await, 1);
        bench.change(Bench::project());
        assert_eq!((bench.get().await, bench.get().await), (2, 2));
    }

    #[tokio::test]
    async fn a_value_loaded_before_a_change_answers_nothing_asked_after_it() {
        let bench = Bench::new();
        // The change comes while the first load is under way: it has read what was, and puts it into the cache later.
        let slow = async || {
            bench.change(Bench::project());
            Ok(Some(0))
        };
        assert_eq!(bench.cache.get(&Bench::project(), &"key", slow).await.unwrap(), Some(0));
        assert_eq!(bench.get().await, 1);
    }

    #[tokio::test]
    async fn missing_more_signals_than_are_kept_forgets_everything() {
        let bench = Bench::new();
        assert_eq!(bench.get().await, 1);
        for _ in 0..5_000 {
            bench.signals.send(Signal::Jobs);
        }
        assert_eq!((bench.get().await, bench.get().await), (2, 2));
        for project in 0..=MAX_REMEMBERED {
            bench.change(ProjectId(project.to_string()));
            bench.get().await;
        }
        assert_eq!(bench.get().await, 3, "too many projects changed to remember each");
    }

    #[tokio::test]
    async fn what_is_not_there_is_asked_again_and_failures_are_not_kept() {
        let bench = Bench::new();
        let project = Bench::project();
        assert_eq!(bench.cache.get(&project, &"key", async || Ok(None)).await.unwrap(), None);
        let failed = bench.cache.get(&project, &"key", async || Err(Error::internal("down"))).await;
        assert_eq!(failed.unwrap_err().to_string(), "down");
        assert_eq!(bench.get().await, 1);
    }
}
