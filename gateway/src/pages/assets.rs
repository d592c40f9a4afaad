//! `/assets/**`: uploaded pictures. Their addresses cannot be guessed and what is behind one never changes, so they need no
//! key and may be kept by whoever has them. They come from strangers: nothing in them is ever run.

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderValue, Response, StatusCode, header},
    routing::get,
};
use postern_domain::{
    Failure, ImageId, ProjectId,
    images::{self, ASSETS},
};
use serde::Deserialize;

use crate::{app::Gateway, rest::reply::Refusal};

const FOR_A_YEAR: &str = "public, max-age=31536000, immutable";

pub(super) fn router() -> Router<Gateway> {
    Router::new().route(&format!("{ASSETS}/{{project_id}}/{{folder}}/{{file}}"), get(serve))
}

#[derive(Deserialize)]
struct Address {
    project_id: String,
    file: String,
}

async fn serve(
    State(gateway): State<Gateway>,
    Path(Address { project_id, file }): Path<Address>,
) -> Result<Response<Body>, Refusal> {
    let id: Option<ImageId> = file.split('.').next().and_then(|id| id.parse().ok());
    let found = match id {
        Some(id) => images::find(&gateway.deps, &ProjectId(project_id), id).await?,
        None => None,
    };
    let Some(picture) = found else { return Err(Failure::not_found("There is no such picture.").into()) };
    let mut response = Response::new(Body::from(picture.bytes));
    *response.status_mut() = StatusCode::OK;
    let content_type = HeaderValue::from_str(&picture.content_type);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type.map_err(postern_domain::Error::internal)?);
    for (name, value) in [
        (header::CACHE_CONTROL, FOR_A_YEAR),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    Ok(response)
}
