//! What operators see of a running process: metrics, logs and traces. What is counted, logged and traced where is the
//! business of the crates that do the work; here it is collected and handed out.

mod logs;
pub mod metrics;
mod traces;

use std::io::{self, IsTerminal};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use postern_domain::trace;
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterFn, LevelFilter},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::settings::LogFormat;

/// Logging and tracing of this process, until the end.
#[derive(Debug)]
#[must_use = "ends with `finish`"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Begins to log to standard error what `filter` (in the syntax of tracing's `EnvFilter`) lets through, and to trace if the
/// environment names an endpoint. Needs the runtime on which traces are sent, and that a provider of TLS is installed.
///
/// # Errors
/// What is wrong with the filter or the variables of OpenTelemetry.
pub fn start(filter: &str, format: LogFormat, runtime: &tokio::runtime::Handle) -> Result<Telemetry, String> {
    let filter = EnvFilter::builder().parse(filter).map_err(|error| format!("POSTERN_LOG is no filter: {error}"))?;
    let provider = traces::provider(runtime.clone())?;
    let subscriber = tracing_subscriber::registry().with(provider.as_ref().map(traced));
    let log = fmt::layer().with_writer(io::stderr);
    match format {
        LogFormat::Text => {
            let log = log.with_ansi(io::stderr().is_terminal()).fmt_fields(logs::TextFields);
            subscriber.with(log.with_filter(filter)).init();
        }
        LogFormat::Json => {
            let log = log.with_ansi(false).fmt_fields(logs::JsonFields).event_format(logs::JsonLine);
            subscriber.with(log.with_filter(filter)).init();
        }
    }
    if provider.is_some() {
        trace::install(Box::new(traces::OpenTelemetry));
    }
    Ok(Telemetry { provider })
}

impl Telemetry {
    /// Sends what is left. Not on a thread of the runtime, which it waits for.
    pub fn finish(self) {
        if let Some(provider) = self.provider {
            traces::shut_down(&provider);
        }
    }
}

/// Records our own spans, whatever the log shows, and in them what went wrong.
fn traced(provider: &SdkTracerProvider) -> impl Layer<Registry> + use<> {
    let ours = |metadata: &Metadata<'_>| metadata.target().starts_with("postern") && *metadata.level() <= Level::WARN;
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("postern"))
        .with_context_activation(false)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(FilterFn::new(ours).with_max_level_hint(LevelFilter::WARN))
}
