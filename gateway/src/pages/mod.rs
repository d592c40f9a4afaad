//! Pages for people: the local mailbox, and the plain pages behind links in mails. They work without an application;
//! everything a page needs is in it, nothing is fetched from elsewhere.
//!
//! To add a plain page: a file with its routes, its content through `plain.rs`, and a line in [`router`].

mod local;
mod mailbox;
mod plain;
mod verify;

use axum::Router;

use crate::app::Gateway;

pub(crate) use local::local_only;

/// The routes of all pages.
pub(crate) fn router(gateway: &Gateway) -> Router<Gateway> {
    Router::new().merge(mailbox::router(gateway)).merge(verify::router())
}
