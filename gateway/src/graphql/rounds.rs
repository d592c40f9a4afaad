//! When a batch of a data loader is complete: once the operation has come as far as it can without it. So whatever the
//! fields of one level ask for is one statement, however many they are and however busy the machine. (Left to themselves,
//! the loaders wait for a millisecond: that is lost when there is one key, and splits the batch when there are many.)

use std::{
    future::{Future, poll_fn, ready},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use async_graphql::runtime::Timer;
use futures::{
    FutureExt, Stream, StreamExt,
    future::BoxFuture,
    stream::{self, FuturesUnordered},
    task::{FutureObj, Spawn, SpawnError},
};

type Load = FutureObj<'static, ()>;

/// The loads of one operation, which run as a part of it.
#[derive(Clone, Default)]
pub(crate) struct Rounds(Arc<Mutex<Vec<Load>>>);

impl Rounds {
    /// Runs an operation whose loaders were given these rounds.
    pub(crate) async fn run<F: Future>(self, operation: F) -> F::Output {
        let mut operation = pin!(operation);
        let mut loads = FuturesUnordered::new();
        poll_fn(|cx| self.poll(&mut loads, cx, |cx| operation.as_mut().poll(cx))).await
    }

    /// The same for an operation with many answers.
    pub(crate) fn run_all<S: Stream + Unpin>(self, mut operation: S) -> impl Stream<Item = S::Item> {
        let mut loads = FuturesUnordered::new();
        stream::poll_fn(move |cx| self.poll(&mut loads, cx, |cx| operation.poll_next_unpin(cx)))
    }

    /// Goes on with the operation first, then with the loads, until neither can.
    fn poll<T>(
        &self,
        loads: &mut FuturesUnordered<Load>,
        cx: &mut Context<'_>,
        mut operation: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        loop {
            if let Poll::Ready(answer) = operation(cx) {
                return Poll::Ready(answer);
            }
            loads.extend(std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)));
            let mut has_loaded = false;
            while let Poll::Ready(Some(())) = loads.poll_next_unpin(cx) {
                has_loaded = true;
            }
            if !has_loaded {
                return Poll::Pending;
            }
        }
    }
}

impl Spawn for Rounds {
    fn spawn_obj(&self, load: Load) -> Result<(), SpawnError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(load);
        Ok(())
    }
}

impl Timer for Rounds {
    /// Not at all: loads begin after the operation has come as far as it can.
    fn delay(&self, _: Duration) -> BoxFuture<'static, ()> {
        ready(()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use async_graphql::dataloader::{DataLoader, Loader};
    use futures::future::join_all;

    use super::*;

    /// Notes the batches.
    struct Doubles(Arc<Mutex<Vec<usize>>>);

    #[async_trait::async_trait]
    impl Loader<u32> for Doubles {
        type Value = u32;
        type Error = ();

        async fn load(&self, keys: &[u32]) -> Result<HashMap<u32, u32>, ()> {
            self.0.lock().unwrap().push(keys.len());
            tokio::task::yield_now().await;
            Ok(keys.iter().map(|key| (*key, key * 2)).collect())
        }
    }

    #[tokio::test]
    async fn each_level_is_one_batch_though_its_fields_take_their_time() {
        let (batches, rounds) = (Arc::new(Mutex::new(Vec::new())), Rounds::default());
        let loader = DataLoader::new(Doubles(Arc::clone(&batches)), rounds.clone(), rounds.clone());
        let field = async |key: u32| {
            // Longer, all together, than the loaders would wait by themselves.
            std::thread::sleep(Duration::from_micros(100));
            let double = loader.load_one(key).await.unwrap().unwrap();
            loader.load_one(double).await.unwrap().unwrap()
        };
        let answers = rounds.run(join_all((0..100).map(field))).await;
        assert_eq!(answers, (0..100).map(|key| key * 4).collect::<Vec<_>>());
        assert_eq!(*batches.lock().unwrap(), [100, 100]);
    }

    #[tokio::test]
    async fn a_stream_loads_for_each_answer() {
        let (batches, rounds) = (Arc::new(Mutex::new(Vec::new())), Rounds::default());
        let loader = DataLoader::new(Doubles(Arc::clone(&batches)), rounds.clone(), rounds.clone());
        let answers = stream::iter(0..3).then(|key| loader.load_one(key)).boxed_local();
        let answers: Vec<_> = rounds.run_all(answers).collect().await;
        assert_eq!(answers, [Ok(Some(0)), Ok(Some(2)), Ok(Some(4))]);
        assert_eq!(*batches.lock().unwrap(), [1, 1, 1]);
    }
}
