//! Traces over OTLP/HTTP, for collectors of OpenTelemetry. Off unless one of the standard environment variables names an
//! endpoint; those variables set the rest too (`docs/observability.md`).

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::{
    Context, Key,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use postern_domain::trace::{TraceContext, Tracer};
use tokio::runtime::Handle;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const DISABLED: &str = "OTEL_SDK_DISABLED";
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
/// The only protocol that is spoken, as `OTEL_EXPORTER_OTLP_PROTOCOL` names it.
const PROTOCOL: &str = "http/protobuf";
/// How long one export may take unless the environment says otherwise (OpenTelemetry's own default), in milliseconds.
const TIMEOUT_MILLIS: u64 = 10_000;
/// How long the last spans may take to be sent.
const SHUTDOWN: Duration = Duration::from_secs(5);
/// What the process calls itself unless the environment does.
const SERVICE: &str = "postern";

/// Where finished spans go; `None` when no endpoint is named.
///
/// # Errors
/// What is wrong with the variables, naming them.
pub(super) fn provider(runtime: Handle) -> Result<Option<SdkTracerProvider>, String> {
    let is_off = variable(&[DISABLED]).is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"))
        || variable(&[EXPORTER]).is_some_and(|(_, value)| value == "none");
    if is_off || variable(&ENDPOINTS).is_none() {
        return Ok(None);
    }
    if let Some((name, protocol)) = variable(&PROTOCOLS)
        && protocol != PROTOCOL
    {
        return Err(format!("{name} must be {PROTOCOL}, the only protocol that traces are sent by"));
    }
    let client = reqwest::Client::builder().timeout(timeout()?).build().map_err(|error| error.to_string())?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Sender { client, runtime })
        .build()
        .map_err(|error| format!("OTEL_EXPORTER_OTLP_…: {error}"))?;
    Ok(Some(SdkTracerProvider::builder().with_resource(resource()).with_batch_exporter(exporter).build()))
}

/// Sends what is left.
pub(super) fn shut_down(provider: &SdkTracerProvider) {
    if let Err(error) = provider.shutdown_with_timeout(SHUTDOWN) {
        tracing::warn!(%error, "the last traces could not be sent");
    }
}

/// The first of the variables that is set, as OpenTelemetry says: the specific one wins, empty is unset.
fn variable(names: &[&'static str]) -> Option<(&'static str, String)> {
    names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()).map(|value| (*name, value)))
}

fn timeout() -> Result<Duration, String> {
    let Some((name, millis)) = variable(&TIMEOUTS) else { return Ok(Duration::from_millis(TIMEOUT_MILLIS)) };
    millis.parse().map(Duration::from_millis).map_err(|_| format!("{name} must be a number of milliseconds"))
}

fn resource() -> Resource {
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_attribute(version.clone()).build();
    let name = resource.get(&Key::from_static_str("service.name"));
    match name {
        Some(name) if !name.as_str().starts_with("unknown_service") => resource,
        _ => Resource::builder().with_attribute(version).with_service_name(SERVICE).build(),
    }
}

/// Sends exports with the HTTP client that the rest of the process uses. The exporter waits on a thread of its own, outside
/// the runtime that the client needs.
#[derive(Debug)]
struct Sender {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let answer = client.execute(request.try_into()?).await?;
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            *response.body_mut() = answer.bytes().await?;
            Ok::<_, reqwest::Error>(response)
        });
        Ok(sent.await??)
    }
}

/// Puts spans into the traces that callers and earlier processes began.
#[derive(Debug)]
pub(super) struct OpenTelemetry;

impl Tracer for OpenTelemetry {
    fn begin(&self, span: &Span, cause: Option<TraceContext>) -> Option<TraceContext> {
        if let Some(cause) = cause {
            let flags = TraceFlags::default().with_sampled(cause.sampled);
            let trace_id = TraceId::from_bytes(cause.trace_id.to_be_bytes());
            let span_id = SpanId::from_bytes(cause.span_id.to_be_bytes());
            let remote = SpanContext::new(trace_id, span_id, flags, true, TraceState::default());
            // Fails when the span is not recorded at all; then there is nothing to answer below either.
            drop(span.set_parent(Context::new().with_remote_span_context(remote)));
        }
        let context = span.context();
        let begun = context.span().span_context().clone();
        begun.is_valid().then(|| TraceContext {
            trace_id: u128::from_be_bytes(begun.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(begun.span_id().to_bytes()),
            sampled: begun.is_sampled(),
        })
    }
}
