//! The doors: GraphQL, REST and pages. Each handler decodes, makes one domain call, and encodes; who asks is found out
//! once, in `identity.rs`. No rule and no query lives here.

pub mod app;
mod cursor;
pub mod graphql;
mod identity;
mod layers;
mod pages;
mod rest;
mod telemetry;

pub use app::{Gateway, router};
pub use identity::Proxies;

/// The OpenAPI 3.1 document of the REST API, as JSON.
///
/// # Errors
/// Internal only.
pub fn openapi() -> postern_domain::Result<String> {
    serde_json::to_string_pretty(&rest::openapi()?).map_err(postern_domain::Error::internal)
}
