//! Operations of whatever type as one type. What surrounds them (transactions, tries, keys that make them repeatable) is a lot of
//! code and the same for all, so it is compiled once, and not for each of the hundreds of operations.

use std::{
    future::Future,
    mem,
    sync::{Mutex, PoisonError},
};

use futures::future::BoxFuture;
use serde::{Serialize, de::DeserializeOwned};

use super::{Db, Tx};
use crate::error::{Error, Result};

/// One try of an operation; what comes of it goes into an [`Outcome`]. It lives as long as what it was made of.
pub(crate) type Try<'a> = BoxFuture<'a, Result<()>>;

/// Begins one try of an operation in a transaction.
pub(crate) type Operation<'a> = dyn FnMut(Tx) -> Try<'a> + Send + 'a;

/// Where an operation leaves what came of it.
pub(crate) struct Outcome<T>(Mutex<Option<T>>);

impl<T: Send> Outcome<T> {
    pub(crate) fn none() -> Self {
        Self(Mutex::new(None))
    }

    /// Runs `try_it`, and keeps what comes of it.
    pub(crate) fn of<'a, Fut>(&'a self, try_it: Fut) -> Try<'a>
    where
        Fut: Future<Output = Result<T>> + Send + 'a,
    {
        Box::pin(async move {
            let outcome = try_it.await?;
            self.put(outcome);
            Ok(())
        })
    }

    fn put(&self, outcome: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    /// What was kept last.
    ///
    /// # Errors
    /// Internal, when nothing was.
    pub(crate) fn take(self) -> Result<T> {
        let kept = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        kept.ok_or_else(|| Error::internal("an operation succeeded without an outcome"))
    }
}

/// An outcome that can be kept as text and be had from it again.
pub(crate) trait AsText: Send + Sync {
    /// The text of what is kept.
    fn text(&self) -> Result<Vec<u8>>;
    /// Keeps what the text says.
    fn put_text(&self, text: &[u8]) -> Result<()>;
}

impl<T: Serialize + DeserializeOwned + Send> AsText for Outcome<T> {
    fn text(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(&*self.0.lock().unwrap_or_else(PoisonError::into_inner)).map_err(Error::internal)
    }

    fn put_text(&self, text: &[u8]) -> Result<()> {
        self.put(serde_json::from_slice(text).map_err(Error::internal)?);
        Ok(())
    }
}

impl Db {
    /// Runs `operation` in one transaction and commits it; an error rolls everything back. The operation may run several
    /// times on PostgreSQL, so it must not keep state outside the transaction. Signals raised through the [`Tx`] go out
    /// after the commit only.
    ///
    /// # Errors
    /// Those of the operation, and those of the database.
    pub async fn write<T, F, Fut>(&self, mut operation: F) -> Result<T>
    where
        F: FnMut(Tx) -> Fut + Send,
        Fut: Future<Output = Result<T>> + Send,
        T: Send,
    {
        let outcome = Outcome::none();
        self.run(&mut |tx| outcome.of(operation(tx))).await?;
        outcome.take()
    }
}
