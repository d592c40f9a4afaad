//! Outgoing webhooks over REST: the token of the contract and its test call, and the part of the Svix API that an owner's page
//! or script uses with that token, below `/app/{project id}` (wire/webhooks §3.2, §3.3, §5, §7).
//!
//! The Svix routes have manners of their own: who may call them is in `app.rs`, their lists in `list.rs`, and what they refuse
//! in `refusal.rs`.

mod app;
mod attempts;
mod endpoints;
mod event_types;
mod fields;
mod headers;
mod list;
mod messages;
mod refusal;
mod secrets;
mod sending;
mod token;
mod view;

use super::routes::Routes;

pub(super) fn routes() -> Routes {
    [
        attempts::routes(),
        endpoints::routes(),
        event_types::routes(),
        headers::routes(),
        messages::routes(),
        secrets::routes(),
        sending::routes(),
        token::routes(),
    ]
    .into_iter()
    .fold(Routes::new(), Routes::merge)
}
