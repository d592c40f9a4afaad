//! Results of jobs that are written many at a time, in the transaction that ends their jobs.

use std::{
    any::{Any, TypeId},
    collections::BTreeMap,
    sync::Arc,
};

use futures::future::BoxFuture;

use crate::{Deps, Result, db::Tx};

/// What a kind of job comes to, where one statement can store many: see [`super::Ending::with_result`].
pub trait JobResult: Send + Sync + Sized + 'static {
    /// Writes the results of jobs whose leases still hold. May be run several times; the last one counts.
    fn write_all<'a>(deps: &'a Deps, tx: &'a Tx, results: &'a [&'a Self]) -> BoxFuture<'a, Result<()>>;
}

type Shared = Arc<dyn Any + Send + Sync>;
type Write = for<'a> fn(&'a Deps, &'a Tx, &'a [Shared]) -> BoxFuture<'a, Result<()>>;

/// A result of any kind.
#[derive(Clone)]
pub(super) struct AnyResult {
    result: Shared,
    write: Write,
}

impl AnyResult {
    pub(super) fn new<R: JobResult>(result: R) -> Self {
        Self { result: Arc::new(result), write: write_kind::<R> }
    }
}

/// Writes results of several kinds, all of one kind together.
pub(super) async fn write(deps: &Deps, tx: &Tx, results: impl Iterator<Item = &AnyResult>) -> Result<()> {
    let mut kinds: BTreeMap<TypeId, (Write, Vec<Shared>)> = BTreeMap::new();
    for AnyResult { result, write } in results {
        let kind = kinds.entry(result.as_ref().type_id()).or_insert_with(|| (*write, Vec::new()));
        kind.1.push(Arc::clone(result));
    }
    for (write, results) in kinds.into_values() {
        write(deps, tx, &results).await?;
    }
    Ok(())
}

fn write_kind<'a, R: JobResult>(deps: &'a Deps, tx: &'a Tx, results: &'a [Shared]) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let results: Vec<&R> = results.iter().filter_map(|result| result.downcast_ref()).collect();
        R::write_all(deps, tx, &results).await
    })
}
