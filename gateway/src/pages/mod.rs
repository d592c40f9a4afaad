//! Pages for people: the local mailbox, GraphiQL, and the plain pages behind links in mails. They work without an
//! application; everything a page needs is in this program, nothing is fetched from elsewhere.
//!
//! To add a plain page: a file with its routes, its content through `plain.rs`, and a line in [`router`].

mod assets;
mod graphiql;
mod link;
mod local;
mod mailbox;
mod plain;
mod purchase;
mod reset_password;
mod sign_in;
mod team_invitation;
pub(crate) mod unsubscribe;
mod verify;

use axum::{
    Router,
    http::{HeaderName, header},
};

use crate::app::Gateway;

pub(crate) use local::{is_local, local_only};

/// The routes of all pages.
pub(crate) fn router(gateway: &Gateway) -> Router<Gateway> {
    Router::new()
        .merge(assets::router())
        .merge(graphiql::router(gateway))
        .merge(mailbox::router(gateway))
        .merge(purchase::router())
        .merge(reset_password::router())
        .merge(sign_in::router())
        .merge(team_invitation::router())
        .merge(unsubscribe::router())
        .merge(verify::router())
}

/// The headers of a page with this content security policy. Its address may carry a code, which must not leak to wherever
/// somebody goes from here.
fn guarded(policy: &str) -> [(HeaderName, String); 2] {
    [(header::CONTENT_SECURITY_POLICY, policy.to_owned()), (header::REFERRER_POLICY, "no-referrer".to_owned())]
}
