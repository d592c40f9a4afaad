//! The layer around everything else that happens to a job: it starts the job under its lease, turns whatever came out
//! (an ending, an error, a panic, the end of the time limit) into an ending, and hands that to the keeper.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use apalis_core::{error::BoxDynError, task::Task};
use futures::future::BoxFuture;
use postern_domain::{
    queue::{Claimed, Ending, Lease},
    trace,
};
use tokio::sync::mpsc::Sender;
use tower::{Layer, Service, timeout::error::Elapsed};
use tracing::{Span, field};

use crate::{dispatch::Registry, held::Held};

/// An ending on its way to the database.
pub(crate) type Ended = (Lease, Ending);

#[derive(Clone, Debug)]
pub(crate) struct AckLayer {
    pub(crate) held: Arc<Held>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) ended: Sender<Ended>,
}

impl<S> Layer<S> for AckLayer {
    type Service = AckService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AckService { inner, ack: self.clone() }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct AckService<S> {
    inner: S,
    ack: AckLayer,
}

impl<S> Service<Task<Claimed>> for AckService<S>
where
    S: Service<Task<Claimed>, Response = Ending>,
    S::Future: Send + 'static,
    S::Error: Into<BoxDynError>,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Claimed>) -> Self::Future {
        let lease = task.args.lease.clone();
        let kind = task.args.kind.clone();
        let Some(running) = self.ack.held.start(&lease) else {
            // Given back while it waited.
            return Box::pin(std::future::ready(Ok(())));
        };
        let started = Instant::now();
        let span = postern_domain::work_span!(
            "job",
            otel.name = format_args!("process {kind}"),
            otel.kind = "consumer",
            otel.status_code = field::Empty,
            job.id = %lease.job_id,
            job.kind = kind,
            attempt = lease.attempt,
            trace_id = field::Empty,
        );
        // A child of its cause, not a trace of its own with a link: each job has one cause (OpenTelemetry's conventions for
        // messaging leave the choice).
        let traced = trace::begin(span, task.args.cause);
        let run = self.inner.call(task);
        let ack = self.ack.clone();
        Box::pin(traced.run(async move {
            let outcome = tokio::select! {
                outcome = run => outcome,
                () = running.lost.cancelled() => {
                    ack.registry.count_run(&kind, "lost", started.elapsed());
                    tracing::warn!("a job was stopped: its lease was lost");
                    return Ok(());
                }
            };
            let ending = outcome.unwrap_or_else(|error| failed(error.into()));
            let ending = ack.registry.with_backoff(&kind, lease.attempt, ending);
            let outcome = ending.outcome(&lease);
            ack.registry.count_run(&kind, outcome, started.elapsed());
            tracing::debug!(outcome, "a job ended");
            if let Some(reason) = ending.failure() {
                Span::current().record("otel.status_code", "ERROR");
                tracing::warn!(last = lease.is_last_attempt(), reason, "a job failed");
            }
            // A full channel holds the slot, so that no more jobs are claimed than endings can be written down.
            ack.ended.send((lease, ending)).await?;
            drop(running.permit);
            Ok(())
        }))
    }
}

fn failed(error: BoxDynError) -> Ending {
    if error.is::<Elapsed>() { Ending::retry("it took longer than it may") } else { Ending::retry(error.to_string()) }
}
