//! Traces, as a collector of OpenTelemetry gets them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind},
};
use postern_domain::ports::mail::Encryption;
use prost::Message;
use serde_json::json;
use tokio::{net::TcpListener, sync::Notify, time::timeout};

use super::installation::{Installation, roles, stop_all};
use crate::support::{
    client::Client,
    eventually,
    process::Process,
    receiver::Receiver,
    smtp::{SmtpServer, Tls},
    socket::Socket,
};

const PATIENCE: Duration = Duration::from_secs(60);
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

#[derive(Default)]
struct Received {
    spans: Mutex<Vec<Span>>,
    /// Who sent a span, by its id.
    services: Mutex<BTreeMap<Vec<u8>, String>>,
    arrived: Notify,
}

/// A collector that speaks OTLP over HTTP with protobuf.
struct Collector {
    url: String,
    received: Arc<Received>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Received::default());
        let router = Router::new().route("/v1/traces", post(collect)).with_state(Arc::clone(&received));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, received }
    }

    /// Waits until the spans are as `wanted` says, and answers all.
    async fn wait_until(&self, what: &str, wanted: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let wait = async {
            loop {
                let arrived = self.received.arrived.notified();
                let spans = self.received.spans.lock().unwrap().clone();
                if wanted(&spans) {
                    return spans;
                }
                arrived.await;
            }
        };
        match timeout(PATIENCE, wait).await {
            Ok(spans) => spans,
            Err(_) => panic!("no {what} in {:#?}", self.received.spans.lock().unwrap()),
        }
    }

    /// The span with this id and those above it, each with who sent it, up to the id of one that nobody sent.
    fn way_up(&self, spans: &[Span], id: &str) -> Vec<String> {
        let services = self.received.services.lock().unwrap();
        let (mut way, mut id) = (Vec::new(), id.to_owned());
        while let Some(span) = spans.iter().find(|span| hex(&span.span_id) == id) {
            way.push(format!("{}: {}", services[&span.span_id], span.name));
            id = hex(&span.parent_span_id);
        }
        way.push(id);
        way
    }
}

async fn collect(State(received): State<Arc<Received>>, headers: HeaderMap, body: Bytes) -> HeaderMap {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["x-tenant"], "one");
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    for resource in request.resource_spans {
        let attributes = resource.resource.unwrap().attributes;
        let service = text(&attributes, "service.name").unwrap();
        let spans: Vec<_> = resource.scope_spans.into_iter().flat_map(|scope| scope.spans).collect();
        let sent = spans.iter().map(|span| (span.span_id.clone(), service.clone()));
        received.services.lock().unwrap().extend(sent);
        received.spans.lock().unwrap().extend(spans);
    }
    received.arrived.notify_waiters();
    HeaderMap::from_iter([("content-type".parse().unwrap(), "application/x-protobuf".parse().unwrap())])
}

fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?.value.clone()?.value?;
    Some(match found {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => panic!("{name} is {other:?}"),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The settings of a process that sends its spans every 50 ms.
fn settings(collector: &Collector) -> [(&str, &str); 4] {
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=one"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        // Traces do not hang on what the log shows.
        ("POSTERN_LOG", "warn"),
    ]
}

async fn traced(collector: &Collector) -> Process {
    Process::start(&settings(collector)).await
}

async fn endpoint(client: &Client, receiver: &Receiver) {
    let query = "mutation($url: String!) { createWebhookEndpoint(input: {url: $url}) { secret } }";
    let made = client.admin().graphql(query, json!({"url": receiver.url()})).await.json(200);
    assert!(made.get("errors").is_none(), "{made}");
}

fn of_trace<'a>(spans: &'a [Span], trace_id: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| hex(&span.trace_id) == trace_id).collect()
}

/// Checks that the spans lead from the request over the job to the delivery, and answers the id of the request's span.
fn check_chain(spans: &[&Span], request: &str, delivered: &str) -> String {
    let of_kind = |kind: SpanKind, name: &str| {
        let found = spans.iter().find(|span| span.kind == kind as i32 && span.name == name);
        *found.unwrap_or_else(|| panic!("no {kind:?} {name} in {spans:#?}"))
    };
    let request = of_kind(SpanKind::Server, request);
    assert_eq!(text(&request.attributes, "http.response.status_code").as_deref(), Some("200"));
    let delivery = of_kind(SpanKind::Consumer, "process webhook_delivery");
    assert_eq!(delivery.parent_span_id, request.span_id);
    assert!(text(&delivery.attributes, "delivery.id").is_some());
    let attempt = of_kind(SpanKind::Client, "POST");
    assert_eq!(attempt.parent_span_id, delivery.span_id);
    assert_eq!(text(&attempt.attributes, "http.response.status_code").as_deref(), Some("200"));
    // The receiver continues the attempt.
    assert_eq!(delivered, format!("00-{}-{}-01", hex(&attempt.trace_id), hex(&attempt.span_id)));
    hex(&request.parent_span_id)
}

#[tokio::test]
async fn one_trace_leads_from_the_caller_through_request_and_job_to_the_delivery() {
    let (collector, receiver) = (Collector::start().await, Receiver::start().await);
    let process = traced(&collector).await;
    endpoint(&process.rest(), &receiver).await;
    // The delivery ends after its attempt, when what came of it is written.
    let is_attempted = |spans: &[&Span]| {
        let has_ended = |name: &str| spans.iter().any(|span| span.name == name);
        has_ended("POST") && has_ended("process webhook_delivery")
    };

    // Over REST, in the caller's own trace.
    let server = process.rest().server();
    let user = server.post("/users", json!({"display_name": "Ada"})).await.json(201);
    receiver.wait_for(1).await;
    let path = format!("/users/{}", user["id"].as_str().unwrap());
    let caller = server.with("traceparent", &format!("00-{TRACE_ID}-{CALLER}-01"));
    caller.patch(&path, json!({"display_name": "Countess"})).await.json(200);
    let delivered = receiver.wait_for(2).await[1].headers["traceparent"].clone();
    let spans = collector.wait_until("attempt of the trace", |spans| is_attempted(&of_trace(spans, TRACE_ID))).await;
    let parent = check_chain(&of_trace(&spans, TRACE_ID), "PATCH /api/v1/users/{user_id}", &delivered);
    assert_eq!(parent, CALLER);

    // Over GraphQL, in a trace that begins here.
    let mutation = "mutation($id: ID!) { updateUser(input: {id: $id, displayName: \"Ada\"}) { user { id } } }";
    let changed = server.graphql(mutation, json!({"id": user["id"]})).await.json(200);
    assert!(changed.get("errors").is_none(), "{changed}");
    let delivered = receiver.wait_for(3).await[2].headers["traceparent"].clone();
    let trace_id = delivered.split('-').nth(1).unwrap().to_owned();
    assert_ne!(trace_id, TRACE_ID);
    let spans =
        collector.wait_until("attempt of the other trace", |spans| is_attempted(&of_trace(spans, &trace_id))).await;
    let parent = check_chain(&of_trace(&spans, &trace_id), "POST /graphql", &delivered);
    assert_eq!(parent, "");
    assert!(collector.received.services.lock().unwrap().values().all(|name| name == "postern"));
    process.stop().await;
}

/// On SQLite both processes are one.
#[tokio::test]
async fn one_trace_leads_through_two_processes_to_a_webhook_and_to_a_mail() {
    let (collector, receiver) = (Collector::start().await, Receiver::start().await);
    let server = SmtpServer::start(Tls::None).await;
    let smtp = format!("smtp://localhost:{}?tls=none", server.as_server(Encryption::Plain).port);
    let mut settings = settings(&collector).to_vec();
    settings.push(("POSTERN_SMTP_URL", smtp.as_str()));
    let installation = Installation::new(&settings).await;
    let members = installation.start_all().await;
    endpoint(&installation.rest(), &receiver).await;

    let caller = installation.rest().client().with("traceparent", &format!("00-{TRACE_ID}-{CALLER}-01"));
    let sign_up =
        json!({"email": "ada@example.com", "password": "correct horse", "verification_callback_url": installation.url});
    caller.post("/auth/password/sign-up", sign_up).await.json(200);
    let delivered = receiver.wait_for(1).await[0].headers["traceparent"].clone();
    let attempt = delivered.strip_prefix(&format!("00-{TRACE_ID}-")).and_then(|rest| rest.strip_suffix("-01"));
    let attempt = attempt.unwrap_or_else(|| panic!("{delivered}"));

    let (doors, jobs) = (roles().first().unwrap(), roles().last().unwrap());
    let request = format!("postern-{doors}: POST /api/v1/auth/password/sign-up");
    let of_jobs = |name: &str| format!("postern-{jobs}: {name}");
    let to_webhook = [of_jobs("POST"), of_jobs("process webhook_delivery"), request.clone(), CALLER.to_owned()];
    let to_mail = [of_jobs("process send_email"), request, CALLER.to_owned()];
    let mail = |spans: &[Span]| {
        let sent = of_trace(spans, TRACE_ID).into_iter().find(|span| span.name == "process send_email");
        sent.map(|span| hex(&span.span_id)).unwrap_or_default()
    };
    let are_told = |spans: &[Span]| {
        collector.way_up(spans, attempt) == to_webhook && collector.way_up(spans, &mail(spans)) == to_mail
    };
    collector.wait_until("way to the webhook and to the mail", are_told).await;
    let received = eventually("the mail", async || server.received().first().cloned()).await;
    assert_eq!(received.to, ["ada@example.com"]);
    stop_all(members).await;
}

#[tokio::test]
async fn mutations_over_a_socket_are_traced_one_by_one() {
    let (collector, receiver) = (Collector::start().await, Receiver::start().await);
    let process = traced(&collector).await;
    endpoint(&process.rest(), &receiver).await;
    let keys = &process.demo;
    let headers = json!({"x-stack-access-type": "server", "x-stack-project-id": keys.project_id,
        "x-stack-secret-server-key": keys.server});
    let mut socket = Socket::connect_at(&process.url, headers).await;
    for id in ["1", "2"] {
        let mutation = "mutation { createUser(input: {displayName: \"Ada\"}) { user { id } } }";
        socket.subscribe(id, mutation, json!({})).await;
        assert_eq!(socket.hear().await["type"], "next");
        assert_eq!(socket.hear().await["type"], "complete");
    }
    let hooks = receiver.wait_for(2).await;
    let traces: Vec<_> = hooks.iter().map(|hook| hook.headers["traceparent"].split('-').nth(1).unwrap()).collect();
    assert_ne!(traces[0], traces[1]);
    for trace_id in traces {
        let is_operation = |span: &&Span| text(&span.attributes, "graphql.operation").is_some();
        let spans = collector.wait_until("operation", |spans| of_trace(spans, trace_id).iter().any(is_operation)).await;
        let operation = of_trace(&spans, trace_id).into_iter().find(is_operation).unwrap();
        assert_eq!(text(&operation.attributes, "graphql.operation").as_deref(), Some("mutation createUser"));
    }
    process.stop().await;
}

#[tokio::test]
async fn a_protocol_that_is_not_spoken_is_a_refused_start() {
    let data = tempfile::TempDir::new().unwrap();
    let database = crate::support::database_url(data.path()).await;
    let mut command = crate::support::process::postern(data.path(), &database, &["serve"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317").env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let refused = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf"), "{said}");
}
