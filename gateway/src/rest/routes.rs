//! Routes with their description: one statement makes the route and its entry in the OpenAPI document, whose inputs come
//! from the same declarations that read requests, and whose answers from the types that handlers return.

use std::{future::Future, sync::Arc};

use axum::{
    Router,
    extract::{FromRequest, Request},
    handler::Handler,
    response::{IntoResponse, Response},
    routing::{MethodFilter, on},
};
use futures::future::BoxFuture;
use postern_domain::{Error, Level};
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};
use utoipa::openapi::{
    Content, HttpMethod, InfoBuilder, OpenApiBuilder, Paths, Required,
    path::{OperationBuilder, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
};

use super::{input::Object, reply::Answers};
use crate::app::Gateway;

/// Routes and what is said of them.
pub(crate) struct Routes {
    router: Router<Gateway>,
    paths: Paths,
    answers: Vec<Told>,
}

type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What a route answers.
struct Told {
    path: String,
    method: &'static str,
    status: u16,
    /// None: an answer without a body.
    media_type: Option<&'static str>,
    shape: Shape,
    refusal: Shape,
}

impl Routes {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { router: Router::new(), paths: Paths::new(), answers: Vec::new() }
    }

    /// `GET path`.
    pub(crate) fn get<C, H, F>(self, path: &str, handler: H, about: About) -> Self
    where
        C: FromRequest<Gateway> + Send + 'static,
        H: Fn(C) -> F + Copy + Send + Sync + 'static,
        F: Future<Output: Answers> + Send + 'static,
    {
        self.add(("get", HttpMethod::Get, MethodFilter::GET), path, handler, about)
    }

    /// `POST path`.
    pub(crate) fn post<C, H, F>(self, path: &str, handler: H, about: About) -> Self
    where
        C: FromRequest<Gateway> + Send + 'static,
        H: Fn(C) -> F + Copy + Send + Sync + 'static,
        F: Future<Output: Answers> + Send + 'static,
    {
        self.add(("post", HttpMethod::Post, MethodFilter::POST), path, handler, about)
    }

    /// `PUT path`.
    pub(crate) fn put<C, H, F>(self, path: &str, handler: H, about: About) -> Self
    where
        C: FromRequest<Gateway> + Send + 'static,
        H: Fn(C) -> F + Copy + Send + Sync + 'static,
        F: Future<Output: Answers> + Send + 'static,
    {
        self.add(("put", HttpMethod::Put, MethodFilter::PUT), path, handler, about)
    }

    /// `PATCH path`.
    pub(crate) fn patch<C, H, F>(self, path: &str, handler: H, about: About) -> Self
    where
        C: FromRequest<Gateway> + Send + 'static,
        H: Fn(C) -> F + Copy + Send + Sync + 'static,
        F: Future<Output: Answers> + Send + 'static,
    {
        self.add(("patch", HttpMethod::Patch, MethodFilter::PATCH), path, handler, about)
    }

    /// `DELETE path`.
    pub(crate) fn delete<C, H, F>(self, path: &str, handler: H, about: About) -> Self
    where
        C: FromRequest<Gateway> + Send + 'static,
        H: Fn(C) -> F + Copy + Send + Sync + 'static,
        F: Future<Output: Answers> + Send + 'static,
    {
        self.add(("delete", HttpMethod::Delete, MethodFilter::DELETE), path, handler, about)
    }

    /// Adds the routes of another noun.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.paths.merge(other.paths);
        self.answers.extend(other.answers);
        self
    }

    /// The router alone.
    pub(crate) fn into_router(self) -> Router<Gateway> {
        self.router
    }

    /// The OpenAPI 3.1 document of these routes, served below `base`.
    ///
    /// # Errors
    /// Internal only.
    pub(crate) fn into_openapi(self, base: &str) -> Result<Value, Error> {
        let info = InfoBuilder::new().title("Postern").version(env!("CARGO_PKG_VERSION")).description(Some(
            "Users, sessions, projects and mails over REST, for the clients of Stack Auth. Every call carries \
             x-stack-access-type, x-stack-project-id and the key of that access type.",
        ));
        let document = OpenApiBuilder::new().info(info.build()).paths(prefixed(self.paths, base)).build();
        let mut document = serde_json::to_value(document).map_err(Error::internal)?;
        let mut generator = SchemaSettings::draft2020_12()
            .for_serialize()
            .with(|settings| settings.definitions_path = "/components/schemas".into())
            .into_generator();
        for Told { path, method, status, media_type, shape, refusal } in self.answers {
            let mut done = json!({ "description": match status {
                201 => "Made.",
                202 => "Begun.",
                _ => "Done.",
            } });
            if let Some(media_type) = media_type {
                put(&mut done, "content", json!({ media_type: { "schema": shape(&mut generator) } }));
            }
            let text = json!({ "schema": { "type": "string" } });
            let mut refused = json!({
                "application/json": { "schema": refusal(&mut generator) },
                "text/plain": text.clone(),
            });
            // What is a page when it goes well is one when it does not.
            if media_type == Some("text/html") {
                put(&mut refused, "text/html", text);
            }
            let mut responses = json!({ "4XX": {
                "description": "Refused: a code that clients know, in the header `x-stack-known-error` too; or words.",
                "content": refused,
            } });
            put(&mut responses, &status.to_string(), done);
            let operation = document.pointer_mut(&format!("/paths/{}/{method}", escaped(&format!("{base}{path}"))));
            let operation = operation.ok_or_else(|| Error::internal(format!("{method} {path} is not described")))?;
            put(operation, "responses", responses);
        }
        put(&mut document, "components", json!({ "schemas": generator.take_definitions(true) }));
        Ok(document)
    }

    fn add<C, H, F>(
        mut self,
        (name, method, filter): (&'static str, HttpMethod, MethodFilter),
        path: &str,
        handler: H,
        about: About,
    ) -> Self
    where
        C: FromRequest<Gateway> + Send + 'static,
        H: Fn(C) -> F + Copy + Send + Sync + 'static,
        F: Future<Output: Answers> + Send + 'static,
    {
        self.router = self.router.route(path, on(filter, Endpoint::new(handler)));
        self.answers.push(Told {
            path: path.to_owned(),
            method: name,
            status: about.status,
            media_type: F::Output::MEDIA_TYPE,
            shape: F::Output::shape,
            refusal: F::Output::refusal,
        });
        self.paths.add_path_operation(path, vec![method], about.operation);
        self
    }
}

/// A handler, whatever it takes and answers: for axum all are of one type, so what surrounds them is compiled once.
#[derive(Clone)]
struct Endpoint(Arc<dyn Fn(Request, Gateway) -> BoxFuture<'static, Response> + Send + Sync>);

impl Endpoint {
    fn new<C, H, F>(handler: H) -> Self
    where
        C: FromRequest<Gateway> + Send + 'static,
        H: Fn(C) -> F + Copy + Send + Sync + 'static,
        F: Future<Output: Answers> + Send + 'static,
    {
        Self(Arc::new(move |request, gateway| {
            Box::pin(async move {
                let call = match C::from_request(request, &gateway).await {
                    Ok(call) => call,
                    Err(refusal) => return refusal.into_response(),
                };
                handler(call).await.into_response()
            })
        }))
    }
}

impl Handler<(), Gateway> for Endpoint {
    type Future = BoxFuture<'static, Response>;

    fn call(self, request: Request, gateway: Gateway) -> Self::Future {
        (self.0)(request, gateway)
    }
}

/// A key of a JSON pointer (RFC 6901 §3).
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Sets a field of a JSON object.
fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

fn prefixed(paths: Paths, base: &str) -> Paths {
    let mut prefixed = Paths::new();
    prefixed.paths = paths.paths.into_iter().map(|(path, item)| (format!("{base}{path}"), item)).collect();
    prefixed
}

/// What is said of one route.
pub(crate) struct About {
    operation: OperationBuilder,
    status: u16,
}

impl About {
    /// One sentence, and the access types that may call it; none where no authentication is needed.
    pub(crate) fn new(tag: &str, summary: &str, allowed: &[Level]) -> Self {
        let names: Vec<_> = allowed.iter().map(|level| level.as_str()).collect();
        let access = match names.as_slice() {
            [] => "Needs no authentication.".to_owned(),
            names => format!("Access types: {}.", names.join(", ")),
        };
        let operation = OperationBuilder::new().tag(tag).summary(Some(summary)).description(Some(access));
        Self { operation, status: 200 }
    }

    /// The same for whoever shows an application token, or the keys of the owner: see `webhooks`.
    pub(crate) fn by_token(tag: &str, summary: &str) -> Self {
        let mut about = Self::new(tag, summary, &[]);
        about.operation = about.operation.description(Some(
            "Needs an application token in the header `Authorization`, or the keys of the project's owner.",
        ));
        about
    }

    /// Answers 201, because something is made.
    pub(crate) fn makes(self) -> Self {
        self.answers(201)
    }

    /// Answers with this status.
    pub(crate) fn answers(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Reads these path parameters.
    pub(crate) fn path<P: Object>(self) -> Self {
        self.parameters::<P>(ParameterIn::Path)
    }

    /// Reads these query parameters.
    pub(crate) fn query<Q: Object>(self) -> Self {
        self.parameters::<Q>(ParameterIn::Query)
    }

    /// Reads this body.
    pub(crate) fn body<B: Object>(mut self) -> Self {
        let content = Content::new(Some(B::schema()));
        let body = RequestBodyBuilder::new().required(Some(Required::True)).content("application/json", content);
        self.operation = self.operation.request_body(Some(body.build()));
        self
    }

    fn parameters<O: Object>(mut self, place: ParameterIn) -> Self {
        for (name, schema, required) in O::fields() {
            let required = if required { Required::True } else { Required::False };
            let parameter =
                ParameterBuilder::new().name(name).parameter_in(place.clone()).required(required).schema(Some(schema));
            self.operation = self.operation.parameter(parameter);
        }
        self
    }
}
