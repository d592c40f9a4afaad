//! `/schema.graphql`: the schema as text, in local mode and for administrators.

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use postern_domain::Level;

use super::{
    door::{Conversation, Door, Way},
    error,
    respond::{self, Format},
    schema,
    socket::Operations,
};
use crate::pages::is_local;

pub(crate) async fn schema(State(door): State<Door>, request: Request) -> Response {
    if !is_local(door.gateway(), &request) {
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
