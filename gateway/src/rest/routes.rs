//! Routes with their description: one statement makes the route and its entry in the OpenAPI document, whose inputs come
//! from the same declarations that read requests.

use axum::{
    Router,
    handler::Handler,
    routing::{MethodFilter, on},
};
use postern_domain::Level;
use utoipa::openapi::{
    Content, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, Paths, Required, Response,
    path::{OperationBuilder, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
};

use super::input::Object;
use crate::app::Gateway;

/// Routes and what is said of them.
pub(crate) struct Routes {
    router: Router<Gateway>,
    paths: Paths,
}

impl Routes {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { router: Router::new(), paths: Paths::new() }
    }

    /// `GET path`.
    pub(crate) fn get<H: Handler<T, Gateway>, T: 'static>(self, path: &str, handler: H, about: About) -> Self {
        self.add(HttpMethod::Get, MethodFilter::GET, path, handler, about)
    }

    /// `POST path`.
    pub(crate) fn post<H: Handler<T, Gateway>, T: 'static>(self, path: &str, handler: H, about: About) -> Self {
        self.add(HttpMethod::Post, MethodFilter::POST, path, handler, about)
    }

    /// `PUT path`.
    pub(crate) fn put<H: Handler<T, Gateway>, T: 'static>(self, path: &str, handler: H, about: About) -> Self {
        self.add(HttpMethod::Put, MethodFilter::PUT, path, handler, about)
    }

    /// `PATCH path`.
    pub(crate) fn patch<H: Handler<T, Gateway>, T: 'static>(self, path: &str, handler: H, about: About) -> Self {
        self.add(HttpMethod::Patch, MethodFilter::PATCH, path, handler, about)
    }

    /// `DELETE path`.
    pub(crate) fn delete<H: Handler<T, Gateway>, T: 'static>(self, path: &str, handler: H, about: About) -> Self {
        self.add(HttpMethod::Delete, MethodFilter::DELETE, path, handler, about)
    }

    /// Adds the routes of another noun.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.paths.merge(other.paths);
        self
    }

    /// The router alone.
    pub(crate) fn into_router(self) -> Router<Gateway> {
        self.router
    }

    /// The OpenAPI 3.1 document of these routes, served below `base`.
    pub(crate) fn into_openapi(self, base: &str) -> OpenApi {
        OpenApiBuilder::new()
            .info(
                InfoBuilder::new()
                    .title("Postern")
                    .version(env!("CARGO_PKG_VERSION"))
                    .description(Some(
                        "Users, sessions, projects and mails over REST, for the clients of Stack Auth. Every call carries \
                         x-stack-access-type, x-stack-project-id and the key of that access type.",
                    ))
                    .build(),
            )
            .paths(prefixed(self.paths, base))
            .build()
    }

    fn add<H: Handler<T, Gateway>, T: 'static>(
        mut self,
        method: HttpMethod,
        filter: MethodFilter,
        path: &str,
        handler: H,
        about: About,
    ) -> Self {
        self.router = self.router.route(path, on(filter, handler));
        self.paths.add_path_operation(path, vec![method], about.into_operation());
        self
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

    /// Answers 201, because something is made.
    pub(crate) fn makes(mut self) -> Self {
        self.status = 201;
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

    fn into_operation(self) -> OperationBuilder {
        let done = Response::new(if self.status == 201 { "Made." } else { "Done." });
        let refused = Response::new("Refused: `{code, error, details?}` with `x-stack-known-error`, or a text.");
        self.operation.response(self.status.to_string(), done).response("4XX", refused)
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
