//! One GraphQL operation from request to answer, whatever it came by: prepared, executed within its time, its errors
//! completed. Recognising callers is `caller`'s business, reading and writing HTTP is `http`'s.

use std::{
    pin::pin,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use async_graphql::{Request, Response, ServerError, ValidationMode, Value, parser::types::OperationType};
use axum::http::HeaderMap;
use futures::{
    FutureExt, StreamExt,
    stream::{self, BoxStream},
};
use postern_domain::{Actor, Deps, running_time::within, sessions::ClientInfo, trace};
use tracing::field;

use super::{
    allowed::AllowedDocuments,
    caller::{self, Caller},
    document::{self, Documents, Prepared},
    error::{self, DoorCode, Error},
    events::tail::Tails,
    guard::SignedIn,
    in_force::InForce,
    live::Live,
    loaders::Loaders,
    persisted::PersistedQueries,
    rounds::Rounds,
    schema::{self, Schema},
    socket::{Ended, Operations},
    telemetry::{self, Operation},
};
use crate::{app::Gateway, layers::RequestId};

/// How long one operation may take, and one event of a subscription.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Which operations the way that a request came by may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// GET: what changes nothing.
    Get,
    /// POST: what answers once.
    Post,
    /// GET whose answers are read as events.
    GetEvents,
    /// A socket, or POST whose answers are read as events: everything.
    Stream,
}

impl Way {
    fn check(self, kind: OperationType) -> Result<(), ServerError> {
        let refuse = |code, text: &str| Err(Error::door(code, text).into_server_error());
        match (self, kind) {
            (Self::Get | Self::GetEvents, OperationType::Mutation) => {
                refuse(DoorCode::MethodNotAllowed, "A mutation is sent by POST.")
            }
            (Self::Get | Self::Post, OperationType::Subscription) => refuse(
                DoorCode::NotAcceptable,
                "A subscription is read over a WebSocket (graphql-transport-ws) or with `Accept: text/event-stream`.",
            ),
            _ => Ok(()),
        }
    }
}

/// Everything an operation needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Door(Arc<Parts>);

struct Parts {
    gateway: Gateway,
    tails: Tails,
    documents: Documents,
    persisted: PersistedQueries,
    live: Live,
    executor: OnceLock<Executor>,
}

/// What executes operations. Made for the first one: an installation whose clients speak REST does without these megabytes.
struct Executor {
    schema: Schema,
    /// The same for documents that passed its checks before.
    unchecked: OnceLock<Schema>,
    counted: telemetry::Operations,
}

/// How an installation sets the door up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether callers may ask about the schema. Each is shown what it can use.
    pub introspection: bool,
    /// The documents to which clients are bound; none: they may send what they like. Servers and administrators may always.
    pub allowed: Option<Arc<AllowedDocuments>>,
}

impl Default for Options {
    fn default() -> Self {
        Self { introspection: true, allowed: None }
    }
}

impl Door {
    /// A door to the operations of the domain. Looks after live connections from now on.
    pub(crate) fn new(gateway: Gateway) -> Self {
        let tails = Tails::new((*gateway.deps).clone());
        let persisted = PersistedQueries::new(gateway.graphql.allowed.clone());
        let documents = Documents::default();
        let live = Live::new((*gateway.deps).clone());
        Self(Arc::new(Parts { gateway, tails, documents, persisted, live, executor: OnceLock::new() }))
    }

    fn executor(&self) -> &Executor {
        self.0.executor.get_or_init(|| {
            let schema = self.schema(ValidationMode::Strict);
            let counted = telemetry::Operations::new(&schema.sdl());
            Executor { schema, unchecked: OnceLock::new(), counted }
        })
    }

    fn schema(&self, checks: ValidationMode) -> Schema {
        let suggests = self.deps().settings.local_mode && self.gateway().graphql.introspection;
        let builder = schema::build(suggests).validation_mode(checks);
        builder.data(self.0.tails.clone()).data(Arc::clone(self.deps())).finish()
    }

    /// What operations are handed.
    pub(crate) fn deps(&self) -> &Arc<Deps> {
        &self.0.gateway.deps
    }

    /// What all doors share.
    pub(crate) fn gateway(&self) -> &Gateway {
        &self.0.gateway
    }

    /// Runs an operation that answers once.
    async fn execute(&self, caller: &Caller, mut request: Request, way: Way) -> Response {
        let started = Instant::now();
        let mut operation = self.executor().counted.invalid();
        let mut response = {
            // Pinned first: the state of an operation is large, and the time limit would move it.
            let work = pin!(async {
                match self.prepare(caller, &mut request, way).await {
                    Ok((prepared, chosen)) => {
                        chosen.note();
                        operation = chosen;
                        self.answer(&prepared, request, caller).await
                    }
                    Err(error) => Response::from_errors(vec![error]),
                }
            });
            within(TIME_LIMIT, work).await.unwrap_or_else(too_slow)
        };
        operation.answered(started, &response);
        error::complete(&mut response, caller.request_id(), self.0.gateway.graphql.introspection);
        response
    }

    /// Runs an operation that may answer many times.
    fn answers(&self, caller: &Caller, mut request: Request, way: Way) -> BoxStream<'static, Response> {
        let (door, caller) = (self.clone(), caller.clone());
        let tells_schema = self.0.gateway.graphql.introspection;
        let request_id = caller.request_id().map(ToOwned::to_owned);
        // Of its own: a socket has many, and the span of the request that it began with is over.
        let span = postern_domain::work_span!(
            "operation",
            otel.name = "graphql",
            otel.kind = "server",
            request.id = request_id,
            graphql.operation = field::Empty,
            trace_id = field::Empty,
        );
        let answers = async move {
            let started = Instant::now();
            let prepared = {
                let preparing = pin!(door.prepare(&caller, &mut request, way));
                within(TIME_LIMIT, preparing).await
            };
            let (operation, answer) = match prepared {
                Some(Ok((prepared, operation))) => {
                    operation.note();
                    if prepared.kind == OperationType::Subscription {
                        return door.subscribe(&caller, request, &operation);
                    }
                    let work = pin!(door.answer(&prepared, request, &caller));
                    (operation, within(TIME_LIMIT, work).await.unwrap_or_else(too_slow))
                }
                Some(Err(error)) => (door.executor().counted.invalid(), Response::from_errors(vec![error])),
                None => (door.executor().counted.invalid(), too_slow()),
            };
            operation.answered(started, &answer);
            stream::once(async { answer }).boxed()
        };
        // On the heap: its state is given back when the stream begins; subscriptions would keep it to their end.
        let answers = answers.boxed().flatten_stream().map(move |mut response| {
            error::complete(&mut response, request_id.as_deref(), tells_schema);
            response
        });
        trace::begin(span, None).stream(answers.boxed())
    }

    /// Executes what answers once.
    async fn answer(&self, prepared: &Prepared, request: Request, caller: &Caller) -> Response {
        let (request, rounds) = self.with_data(request, caller);
        let executor = self.executor();
        if prepared.fits() {
            let unchecked = executor.unchecked.get_or_init(|| self.schema(ValidationMode::Fast));
            return rounds.run(unchecked.execute(request)).await;
        }
        let response = rounds.run(executor.schema.execute(request)).await;
        // What the checks refuse has no data at all.
        if response.data != Value::Null {
            prepared.found_to_fit();
        }
        response
    }

    fn subscribe(&self, caller: &Caller, request: Request, operation: &Operation) -> BoxStream<'static, Response> {
        let (request, rounds) = self.with_data(request, caller);
        let mut following = operation.followed();
        rounds
            .run_all(self.executor().schema.execute_stream(request))
            .map(move |mut response| {
                // No event could be made at all: the subscription was refused, or has lost its right.
                if response.data == Value::Null {
                    for error in &mut response.errors {
                        error.path.clear();
                    }
                }
                following.told(&response);
                response
            })
            .boxed()
    }

    async fn prepare(
        &self,
        caller: &Caller,
        request: &mut Request,
        way: Way,
    ) -> Result<(Prepared, Operation), ServerError> {
        let is_trusted = caller.actor().is_some_and(Actor::is_server);
        self.0.persisted.resolve(request, is_trusted).await?;
        let prepared = self.0.documents.prepare(request).await?;
        way.check(prepared.kind)?;
        if prepared.introspects() && !self.0.gateway.graphql.introspection {
            let text = "This installation does not tell about its schema.";
            return Err(Error::door(DoorCode::IntrospectionDisabled, text).into_server_error());
        }
        let name = request.operation_name.clone();
        let document = request.parsed_query()?;
        Ok((prepared, self.executor().counted.of(document, document::choose(document, name.as_deref())?)))
    }

    /// The request with what its fields need, and the rounds to run it in.
    fn with_data(&self, request: Request, caller: &Caller) -> (Request, Rounds) {
        let rounds = Rounds::default();
        let request = match caller.actor() {
            Some(actor) => {
                let loaders = Loaders::new(self.deps(), actor, rounds.clone());
                request.data(loaders).data(SignedIn::default()).data(actor.clone())
            }
            None => request,
        };
        (request.data(caller.clone()), rounds)
    }
}

/// The answer to an operation that took too long. Called within its span, so that the log says which one it was.
fn too_slow() -> Response {
    let limit_seconds = TIME_LIMIT.as_secs();
    tracing::warn!(limit_seconds, "a GraphQL operation took too long and was cut off");
    let text = format!("The operation took longer than {limit_seconds} seconds.");
    Response::from_errors(vec![Error::door(DoorCode::Timeout, text).into_server_error()])
}

/// One conversation: a request, or a socket with its many.
#[derive(Clone)]
pub(crate) struct Conversation {
    door: Door,
    way: Way,
    client: ClientInfo,
    request_id: Option<String>,
}

impl Conversation {
    /// A conversation over `door` with whoever sent `request`.
    pub(crate) fn new(door: Door, way: Way, request: &axum::extract::Request) -> Self {
        let client = door.gateway().client_info(request);
        let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
        Self { door, way, client, request_id }
    }

    /// The same whose answers are read as events.
    pub(crate) fn streaming(mut self) -> Self {
        self.way = if self.way == Way::Get { Way::GetEvents } else { Way::Stream };
        self
    }

    /// Runs an operation that answers once.
    pub(crate) async fn execute(&self, caller: &Caller, request: Request) -> Response {
        self.door.execute(caller, request, self.way).await
    }
}

impl Operations for Conversation {
    type Caller = Caller;

    async fn admit(&self, headers: &HeaderMap) -> Result<Caller, ServerError> {
        let (client, request_id) = (self.client.clone(), self.request_id.clone());
        caller::recognise(self.door.deps(), headers, client, request_id).await.map_err(Error::into_server_error)
    }

    fn run(&self, caller: &Caller, request: Request, in_force: InForce) -> BoxStream<'static, Response> {
        self.door.answers(caller, request.data(in_force), self.way)
    }

    async fn stopping(&self) {
        self.door.gateway().stopping.cancelled().await;
    }

    async fn ended(&self, caller: &Caller) -> Ended {
        tokio::select! {
            () = self.door.0.live.gone(caller) => Ended::CallerGone,
            () = self.stopping() => Ended::Stopping,
        }
    }
}
