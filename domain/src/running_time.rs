//! Time limits that count only while this process runs.

use std::{pin::pin, time::Duration};

use tokio::time::{Instant, timeout_at};

/// In how many steps a time limit is watched. What is later than a step was not busy: it stood still.
const STEPS: u32 = 30;

/// Does `work` for at most `limit`; `None` when that was not enough. What this process stands still (stopped by a signal, on a
/// machine that sleeps) is added to the limit, and some time to read what came meanwhile: nobody is taken for slow who was not.
/// `work` is moved: pin what is large before.
pub async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, step) = (pin!(work), limit / STEPS);
    let mut deadline = Instant::now() + limit;
    // Twice as many, so that it ends on a machine where everything is late.
    for _ in 0..2 * STEPS {
        let due = deadline.min(Instant::now() + step);
        if let Ok(done) = timeout_at(due, &mut work).await {
            return Some(done);
        }
        let (now, late) = (Instant::now(), due.elapsed());
        if late > step {
            deadline = (deadline + late).max(now + step);
        } else if due == deadline {
            break;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::thread;

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
