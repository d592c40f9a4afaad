//! The speeds of single calls, each beside its floor.

use std::sync::Arc;

use anyhow::Result;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::Full;
use serde_json::json;

use super::{
    compare::{Plan, Side, compare},
    load::{Load, Make},
    report::{Budget, Row},
    scene::{Scene, in_turn, request},
};

const READERS: &str = "64 signed-in users in turn; tokens, keys, project and config cached, the user read from the \
    database each time, its pages in memory";
const WRITERS: &str =
    "users with a verified address to sign in by, no password, no webhook endpoints; keys and config cached";

/// `GET /api/v1/users/me`.
pub(crate) async fn users_me(scene: &Scene, plan: &Plan) -> Result<Row> {
    let row = against_read(scene, plan, "GET /api/v1/users/me", users_me_load(scene)?).await?;
    Ok(row.budget(Budget::AtLeast(0.6)))
}

/// `me` over GraphQL.
pub(crate) async fn graphql_me(scene: &Scene, plan: &Plan) -> Result<Row> {
    let row = against_read(scene, plan, "GraphQL me { id displayName primaryEmail }", graphql_me_load(scene)?).await?;
    Ok(row.budget(Budget::AtLeast(0.4)))
}

/// An access token for a refresh token.
pub(crate) async fn refresh(scene: &Scene, plan: &Plan) -> Result<Row> {
    let row = against_read(scene, plan, "refresh of an access token", refresh_load(scene)?).await?;
    Ok(row.budget(Budget::AtLeast(0.3)))
}

/// `POST /api/v1/users`.
pub(crate) async fn create_user(scene: &Scene, plan: &Plan) -> Result<Row> {
    let make = in_turn(scene.by_each(|headers| request(Method::POST, "/write", headers, ""))?);
    let floor = Load::new(scene.floor.address, StatusCode::CREATED, "id", make);
    let floor = Side { load: floor, pid: scene.floor.pid };
    let subject = Side { load: create_user_load(scene)?, pid: scene.pid()? };
    let compared = compare(plan, &floor, &subject).await?;
    Ok(Row::ratio("POST /api/v1/users", compared, WRITERS).budget(Budget::AtLeast(0.4)))
}

async fn against_read(scene: &Scene, plan: &Plan, name: &str, load: Load) -> Result<Row> {
    let make = in_turn(scene.by_each(|headers| request(Method::GET, "/read", headers, ""))?);
    let floor = Load::new(scene.floor.address, StatusCode::OK, "display_name", make);
    let floor = Side { load: floor, pid: scene.floor.pid };
    let compared = compare(plan, &floor, &Side { load, pid: scene.pid()? }).await?;
    Ok(Row::ratio(name, compared, READERS))
}

/// The load of [`users_me`].
pub(crate) fn users_me_load(scene: &Scene) -> Result<Load> {
    let requests = scene.by_each(|headers| request(Method::GET, "/api/v1/users/me", headers, ""))?;
    Ok(Load::new(scene.address()?, StatusCode::OK, "primary_email", in_turn(requests)))
}

/// The load of [`graphql_me`].
pub(crate) fn graphql_me_load(scene: &Scene) -> Result<Load> {
    let body = json!({ "query": "{ me { id displayName primaryEmail } }" }).to_string();
    let requests = scene.by_each(|headers| request(Method::POST, "/graphql", headers, body.clone()))?;
    Ok(Load::new(scene.address()?, StatusCode::OK, r#""displayName":"Person"#, in_turn(requests)))
}

/// The load of [`refresh`].
pub(crate) fn refresh_load(scene: &Scene) -> Result<Load> {
    let mut headers = HeaderMap::new();
    headers.insert("host", scene.address()?.to_string().parse()?);
    headers.insert("content-type", "application/x-www-form-urlencoded".parse()?);
    let (project, key) = (&scene.stand.project.project_id, &scene.stand.project.client);
    let requests = scene.people.iter().map(|person| {
        let token = &person.refresh_token;
        let body = format!("grant_type=refresh_token&client_id={project}&client_secret={key}&refresh_token={token}");
        request(Method::POST, "/api/v1/auth/oauth/token", &headers, body)
    });
    Ok(Load::new(scene.address()?, StatusCode::OK, r#""access_token":"ey"#, in_turn(requests.collect::<Result<_>>()?)))
}

/// The load of [`create_user`].
pub(crate) fn create_user_load(scene: &Scene) -> Result<Load> {
    let (headers, run) = (scene.server_headers(&scene.stand.project)?, uuid::Uuid::new_v4().simple());
    let make: Make = Arc::new(move |number| {
        let body = json!({ "display_name": "Grace Hopper", "primary_email": format!("grace-{run}-{number}@example.com"),
            "primary_email_auth_enabled": true, "primary_email_verified": true });
        Ok(request(Method::POST, "/api/v1/users", &headers, body.to_string())?.map(Full::new))
    });
    Ok(Load::new(scene.address()?, StatusCode::CREATED, "primary_email", make))
}
