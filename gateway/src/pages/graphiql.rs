//! `/graphiql`: the GraphQL workbench of local mode, with the headers of the demo project filled in. Its files are in
//! `assets/graphiql`, made by `scripts/vendor-graphiql`.

use std::collections::BTreeMap;

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::from_fn_with_state,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use minijinja::{Environment, context};
use postern_domain::{Error, Level, projects, random::random_token};
use rust_embed::RustEmbed;

use super::{guarded, local_only};
use crate::{app::Gateway, layers, rest::reply::Refusal};

const SOURCE: &str = include_str!("graphiql.html");
/// Names carry the version, so what was once fetched never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

#[derive(RustEmbed)]
#[folder = "assets/graphiql"]
struct Assets;

pub(super) fn router(gateway: &Gateway) -> Router<Gateway> {
    Router::new()
        .route("/graphiql", get(page))
        .route("/assets/graphiql/{name}", get(asset))
        .route_layer(from_fn_with_state(gateway.clone(), local_only))
}

async fn page(State(gateway): State<Gateway>) -> Result<Response, Refusal> {
    let nonce = random_token()?;
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; font-src data:; \
         img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    );
    let headers = demo_headers(&gateway).await?;
    // The name ends in .html, so that what is put into it is escaped.
    let html = Environment::new()
        .render_named_str("graphiql.html", SOURCE, context! { nonce, headers })
        .map_err(Error::internal)?;
    Ok((guarded(&policy), Html(html)).into_response())
}

/// The headers of the demo project's administration; none when the project was deleted.
async fn demo_headers(gateway: &Gateway) -> postern_domain::Result<BTreeMap<&'static str, String>> {
    let Some(demo) = projects::demo_project(&gateway.deps).await? else { return Ok(BTreeMap::new()) };
    Ok(BTreeMap::from([
        ("x-stack-access-type", Level::Admin.as_str().to_owned()),
        ("x-stack-project-id", demo.project_id.to_string()),
        ("x-stack-super-secret-admin-key", demo.keys.super_secret_admin_key.unwrap_or_default()),
    ]))
}

/// A file of the page, as it is stored: compressed, which every browser takes.
async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let (file, encoding) = match Assets::get(&format!("{name}.gz")) {
        Some(file) => (file, Some((header::CONTENT_ENCODING, "gzip"))),
        None => match Assets::get(&name) {
            Some(file) => (file, None),
            None => return layers::unknown_path().await,
        },
    };
    let tag = format!("\"{}\"", hex::encode(file.metadata.sha256_hash()));
    let caching = [(header::CACHE_CONTROL, FOR_EVER.to_owned()), (header::ETAG, tag.clone())];
    if headers.get(header::IF_NONE_MATCH).map(HeaderValue::as_bytes) == Some(tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    let content_type = [(header::CONTENT_TYPE, content_type(&name))];
    (caching, content_type, axum::response::AppendHeaders(encoding), file.data).into_response()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "txt")) => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_the_files_that_are_there() {
        let named: Vec<_> =
            SOURCE.split("/assets/graphiql/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let mut stored: Vec<_> =
            Assets::iter().filter_map(|file| file.strip_suffix(".gz").map(str::to_owned)).collect();
        stored.sort();
        let mut sorted = named.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, stored);
        assert!(named.iter().all(|name| content_type(name).starts_with("text/")));
    }
}
