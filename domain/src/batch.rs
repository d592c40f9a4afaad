//! Doing many small things at once that come one at a time: whatever gathers while one batch is under way is the next
//! batch. So nothing waits when little is asked, and a busy moment costs few queries.

use std::{fmt, future::Future, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use tokio::sync::{mpsc, oneshot};

use crate::{Error, Result};

type Waiting<I, O> = (I, oneshot::Sender<Result<O>>);

/// Hands items to a task that works on batches of them. Cheap to clone; the task ends with the last clone.
pub(crate) struct Batcher<I, O>(mpsc::Sender<Waiting<I, O>>);

impl<I, O> Clone for Batcher<I, O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<I, O> Batcher<I, O>
where
    I: Clone + Send + 'static,
    O: Send + 'static,
{
    /// Starts a task that hands at most `limit` items at a time to `work`, which answers one outcome per item, in their
    /// order.
    #[must_use]
    pub(crate) fn start<F, Fut>(limit: usize, work: F) -> Self
    where
        F: Fn(Vec<I>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<O>>> + Send,
    {
        let limit = limit.max(1);
        let (sender, mut receiver) = mpsc::channel::<Waiting<I, O>>(limit);
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(limit);
            while receiver.recv_many(&mut batch, limit).await > 0 {
                // Those who stopped waiting are left out.
                batch.retain(|(_, answer)| !answer.is_closed());
                let (items, answers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
                if !items.is_empty() {
                    // A panic ends its batch, and not the task, which others need.
                    let outcome = AssertUnwindSafe(async { work(items).await }).catch_unwind().await;
                    answer(outcome.unwrap_or_else(|_| Err(Error::internal("the work on a batch panicked"))), answers);
                }
            }
        });
        Self(sender)
    }

    /// The outcome for `item`.
    ///
    /// # Errors
    /// Those of the work, shared by all items of the batch.
    pub(crate) async fn get(&self, item: I) -> Result<O> {
        let (answer, answered) = oneshot::channel();
        self.0.send((item, answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

fn answer<O>(outcome: Result<Vec<O>>, waiting: Vec<oneshot::Sender<Result<O>>>) {
    // Whoever stopped waiting in the meantime needs no answer.
    match outcome {
        Ok(outcomes) => {
            for (answer, outcome) in waiting.into_iter().zip(outcomes) {
                drop(answer.send(Ok(outcome)));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for answer in waiting {
                drop(answer.send(Err(Error::Shared(Arc::clone(&error)))));
            }
        }
    }
}

fn gone() -> Error {
    Error::internal("the task that works on batches is gone")
}

impl<I, O> fmt::Debug for Batcher<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Batcher")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn what_gathers_during_a_batch_is_the_next_batch() {
        let (sizes, gate) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
        let (noted, waiting) = (Arc::clone(&sizes), Arc::clone(&gate));
        let batcher = Batcher::start(10, move |items: Vec<u32>| {
            noted.lock().unwrap().push(items.len());
            let gate = Arc::clone(&waiting);
            async move {
                gate.acquire().await.unwrap().forget();
                Ok(items.into_iter().map(|item| item * 2).collect())
            }
        });
        let asked: Vec<_> = (0..25)
            .map(|item| {
                let batcher = batcher.clone();
                tokio::spawn(async move { batcher.get(item).await.unwrap() })
            })
            .collect();
        while sizes.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        gate.add_permits(100);
        let answers: Vec<_> = join_all(asked).await.into_iter().map(std::result::Result::unwrap).collect();
        assert_eq!(answers, (0..25).map(|item| item * 2).collect::<Vec<_>>());
        let sizes = sizes.lock().unwrap();
        assert_eq!(sizes.iter().sum::<usize>(), 25);
        assert!(sizes.len() <= 5 && sizes.iter().all(|size| *size <= 10), "{sizes:?}");
    }

    #[tokio::test]
    async fn a_batch_that_panics_fails_its_items_and_the_next_one_works() {
        let batcher = Batcher::start(10, |items: Vec<u32>| {
            assert!(!items.contains(&6), "at once");
            async move {
                tokio::task::yield_now().await;
                assert!(!items.contains(&7), "later");
                Ok(items)
            }
        });
        for item in [6, 7] {
            assert_eq!(batcher.get(item).await.unwrap_err().to_string(), "the work on a batch panicked");
            assert_eq!(batcher.get(8).await.unwrap(), 8);
        }
    }

    #[tokio::test]
    async fn a_failed_batch_fails_its_items_and_the_next_one_works() {
        let batcher = Batcher::start(10, |items: Vec<u32>| async move {
            if items.contains(&7) { Err(Error::internal("seven")) } else { Ok(items) }
        });
        assert_eq!(batcher.get(7).await.unwrap_err().to_string(), "seven");
        assert_eq!(batcher.get(8).await.unwrap(), 8);
    }
}
