//! Pages for people: the schema as text, and in local mode GraphiQL with the headers of the demo project filled in.

use async_graphql::http::GraphiQLSource;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use postern_domain::{Level, projects};

use super::{
    door::{Conversation, Door, Way},
    error,
    respond::{self, Format},
    schema,
    socket::Operations,
};

/// `/graphiql`: local mode only.
pub(crate) async fn graphiql(State(door): State<Door>, headers: HeaderMap) -> Response {
    if !is_local(&door, &headers) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let demo = match demo_headers(&door).await {
        Ok(demo) => demo,
        Err(error) => {
            error::log_fault(&error);
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let mut source = GraphiQLSource::build().endpoint("/graphql").subscription_endpoint("/graphql").title("Postern");
    for (name, value) in &demo {
        source = source.header(name, value).ws_connection_param(name, value);
    }
    Html(source.finish()).into_response()
}

/// The headers of the demo project's administration; none when the project was deleted.
async fn demo_headers(door: &Door) -> postern_domain::Result<Vec<(&'static str, String)>> {
    let Some(demo) = projects::demo_project(door.deps()).await? else { return Ok(Vec::new()) };
    Ok(vec![
        ("x-stack-access-type", Level::Admin.as_str().to_owned()),
        ("x-stack-project-id", demo.project_id.to_string()),
        ("x-stack-super-secret-admin-key", demo.keys.super_secret_admin_key.unwrap_or_default()),
    ])
}

/// `/schema.graphql`: in local mode, and for administrators.
pub(crate) async fn schema(State(door): State<Door>, request: Request) -> Response {
    if !is_local(&door, request.headers()) {
        let conversation = Conversation::new(door, Way::Get, &request);
        match conversation.admit(request.headers()).await {
            Ok(caller) if caller.actor().is_some_and(|actor| actor.level == Level::Admin) => {}
            Ok(_) => return StatusCode::FORBIDDEN.into_response(),
            Err(error) => {
                let status = error::status_of(&error).unwrap_or(StatusCode::UNAUTHORIZED);
                return respond::refused(Format::Json, status, error);
            }
        }
    }
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], schema::sdl()).into_response()
}

/// Local mode, asked by a name that means this machine: another site's name that resolves here must not read the keys.
fn is_local(door: &Door, headers: &HeaderMap) -> bool {
    door.deps().settings.local_mode
        && headers.get(header::HOST).and_then(|host| host.to_str().ok()).is_some_and(names_this_machine)
}

fn names_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    matches!(name, "localhost" | "127.0.0.1" | "::1")
}

#[cfg(test)]
mod tests {
    use super::names_this_machine;

    #[test]
    fn only_names_of_this_machine_see_local_pages() {
        for good in ["localhost", "localhost:8102", "127.0.0.1:1", "[::1]:8102", "[::1]"] {
            assert!(names_this_machine(good), "{good}");
        }
        for bad in ["", "evil.example", "localhost.evil.example:8102", "127.0.0.1.evil.example", "[::2]", "::1"] {
            assert!(!names_this_machine(bad), "{bad}");
        }
    }
}
