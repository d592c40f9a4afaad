//! Which trace a piece of work belongs to. A request that carries a W3C trace context (www.w3.org/TR/trace-context), or that
//! is traced here, passes it on to what it causes: jobs and events keep it in their rows, webhooks carry it outside.
//!
//! Tracing itself is not done here: the root installs a [`Tracer`] if an operator wants one. Without it a caller's context
//! is handed on as it came.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    str::FromStr,
    sync::OnceLock,
    task::{Context, Poll},
};

use futures::{Stream, stream::BoxStream};
use tracing::{Instrument, Span, field};

/// The name of the header, and of the columns that keep it.
pub const TRACEPARENT: &str = "traceparent";
/// The field of a span that holds the id of its trace, for the log.
const TRACE_ID: &str = "trace_id";
/// Of the flags only this one is known: whether the trace is recorded.
const SAMPLED: u8 = 0x01;

/// The place in a trace under which work continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace; never 0.
    pub trace_id: u128,
    /// The span that caused the work; never 0.
    pub span_id: u64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

/// The text is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent")]
pub struct NotATraceparent;

impl FromStr for TraceContext {
    type Err = NotATraceparent;

    /// Versions to come may say more behind the parts that are known (§ 3.2.4 of the recommendation).
    fn from_str(text: &str) -> Result<Self, NotATraceparent> {
        let mut parts = text.split('-');
        let mut part = |length: usize| {
            let part = parts.next().filter(|part| part.len() == length).ok_or(NotATraceparent)?;
            let is_hex = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            let number = is_hex.then(|| u128::from_str_radix(part, 16).ok()).flatten();
            number.ok_or(NotATraceparent)
        };
        let (version, trace_id, span_id, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        if version == 0xff || (version == 0 && parts.next().is_some()) || trace_id == 0 || span_id == 0 {
            return Err(NotATraceparent);
        }
        let span_id = u64::try_from(span_id).map_err(|_| NotATraceparent)?;
        Ok(Self { trace_id, span_id, sampled: flags & u128::from(SAMPLED) != 0 })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = if self.sampled { SAMPLED } else { 0 };
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace_id, self.span_id)
    }
}

/// Records spans as parts of traces.
pub trait Tracer: Send + Sync {
    /// Makes `span`, which was not entered yet, continue `cause`, and answers under which place what happens within the span
    /// continues. `None` when the span is not recorded.
    fn begin(&self, span: &Span, cause: Option<TraceContext>) -> Option<TraceContext>;
}

static TRACER: OnceLock<Box<dyn Tracer>> = OnceLock::new();

/// Has spans recorded by `tracer` from now on; the first one of a process stays.
pub fn install(tracer: Box<dyn Tracer>) {
    // A second one is only ever tried by tests that start several servers in one process.
    drop(TRACER.set(tracer));
}

tokio::task_local! {
    static CURRENT: Option<TraceContext>;
}

/// The place in a trace of the work under way.
#[must_use]
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(|current| *current).ok().flatten()
}

/// A span with its place in a trace, for work to be done within it.
#[derive(Clone, Debug)]
#[must_use = "does nothing until work is done within it"]
pub struct Traced {
    span: Span,
    context: Option<TraceContext>,
}

/// A span for [`begin`]. Its fields, among them the ids of request and job, stand on every line of the log that is written within
/// it, also where the log shows errors only: so it has their level.
#[macro_export]
macro_rules! work_span {
    ($($fields:tt)*) => { ::tracing::error_span!($($fields)*) };
}

/// Begins `span`, caused by `cause` or, without one, by the work under way. If the span has a field `trace_id`, it is filled.
pub fn begin(span: Span, cause: Option<TraceContext>) -> Traced {
    let begun = TRACER.get().and_then(|tracer| tracer.begin(&span, cause));
    let context = begun.or(cause).or_else(current);
    if let Some(context) = context {
        span.record(TRACE_ID, field::display(format_args!("{:032x}", context.trace_id)));
    }
    Traced { span, context }
}

/// The span and trace of the work under way, for work that goes on in another task.
pub fn carry_on() -> Traced {
    Traced { span: Span::current(), context: current() }
}

impl Traced {
    /// The span.
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// `work`, within the span.
    pub fn run<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self.context, work.instrument(self.span))
    }

    /// The same for work that waits for nothing.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.span.enter();
        CURRENT.sync_scope(self.context, work)
    }

    /// The same for work that answers many times.
    pub fn stream<T: 'static>(self, work: BoxStream<'static, T>) -> BoxStream<'static, T> {
        Box::pin(TracedStream { traced: self, work })
    }
}

struct TracedStream<T> {
    traced: Traced,
    work: BoxStream<'static, T>,
}

impl<T> Stream for TracedStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Self { traced, work } = &mut *self;
        traced.within(|| work.as_mut().poll_next(cx))
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written_as_the_recommendation_says() {
        let context: TraceContext = TEXT.parse().unwrap();
        assert_eq!(context.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((context.span_id, context.sampled), (0x00f0_67aa_0ba9_02b7, true));
        assert_eq!(context.to_string(), TEXT);
        let later = format!("cc{}-what-the-future-brings", &TEXT[2..]);
        assert_eq!(later.parse(), Ok(context));
        let unsampled = TEXT.replace("-01", "-02");
        assert!(!unsampled.parse::<TraceContext>().unwrap().sampled);
    }

    #[test]
    fn whatever_else_is_refused() {
        for text in [
            "",
            "00",
            &TEXT.to_uppercase(),
            &TEXT.replace("00-4", "ff-4"),
            &format!("{TEXT}-more"),
            &format!("{TEXT} "),
            &TEXT.replace("00f067aa0ba902b7", "0000000000000000"),
            &TEXT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
            &TEXT.replace("4bf9", "+bf9"),
            &TEXT.replace("4bf9", "4bf"),
        ] {
            assert_eq!(text.parse::<TraceContext>(), Err(NotATraceparent), "{text}");
        }
    }

    #[tokio::test]
    async fn work_knows_its_place_and_so_does_what_it_spawns() {
        let context: TraceContext = TEXT.parse().unwrap();
        assert_eq!(current(), None);
        let work = async {
            let inner = begin(Span::none(), None).run(async { current() }).await;
            let spawned = tokio::spawn(carry_on().run(async { current() })).await.unwrap();
            (current(), inner, spawned)
        };
        assert_eq!(begin(Span::none(), Some(context)).run(work).await, (Some(context), Some(context), Some(context)));
        let stream = futures::stream::iter(0..2).map(|_| current()).boxed();
        let seen: Vec<_> = begin(Span::none(), Some(context)).stream(stream).collect().await;
        assert_eq!(seen, [Some(context), Some(context)]);
    }
}
