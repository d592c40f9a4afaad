//! Time limits that count only while this process runs.

use std::{pin::pin, time::Duration};

/// In how many steps a time limit is counted.
const STEPS: u32 = 30;

/// Does `work` for at most `limit`; `None` when that was not enough. While this process stands still (stopped by a signal, on a
/// machine that sleeps) the limit moves on by one of [`STEPS`] at most: what came in the meantime is read, and nobody is taken
/// for slow who was not. `work` is moved: pin what is large before.
pub async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    for _ in 0..STEPS {
        if let Ok(done) = tokio::time::timeout(limit / STEPS, &mut work).await {
            return Some(done);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Instant};

    use tokio::sync::oneshot;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(600);

    #[tokio::test]
    async fn what_came_while_the_process_stood_still_is_taken() {
        let (answer, answered) = oneshot::channel();
        let (relayed, relay) = oneshot::channel();
        let work = tokio::spawn(within(LIMIT, relay));
        // Another task has to hand it over, as it is with connections: it is not there when the limit is looked at first.
        tokio::spawn(async move { relayed.send(answered.await.unwrap()) });
        tokio::task::yield_now().await;
        // The only thread there is: everything stands still, while the answer comes.
        answer.send("an answer").unwrap();
        thread::sleep(2 * LIMIT);
        assert_eq!(work.await.unwrap(), Some(Ok("an answer")));
    }

    #[tokio::test]
    async fn what_takes_longer_is_given_up_and_not_before() {
        let started = Instant::now();
        assert_eq!(within(LIMIT, std::future::pending::<()>()).await, None);
        assert!(started.elapsed() >= LIMIT, "{:?}", started.elapsed());
    }
}
