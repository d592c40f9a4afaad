//! The REST door: `/api/v1/**`, and the same under `/api/latest/**`. One file per noun: decode, one domain call, encode.
//!
//! To add an endpoint: declare its inputs with `input!` in the noun's file, write the handler (read the [`call::Call`],
//! ask for the level, call the operation, answer with [`reply::Reply`]), and add a line to that file's `routes`.

mod api_keys;
mod auth;
pub(crate) mod call;
mod cli;
mod config;
mod contact_channels;
mod cross_domain;
mod emails;
mod events;
mod greeting;
pub(crate) mod input;
mod items;
mod jwks;
mod key_sets;
mod linked_accounts;
mod magic_link;
mod notifications;
mod oauth;
mod oauth_token;
mod onboarding;
mod passkeys;
mod payments;
mod permissions;
mod projects;
pub(crate) mod reply;
pub(crate) mod routes;
mod second_factor;
mod sessions;
mod sign_in;
mod sign_up_rules;
mod team_invitations;
mod team_members;
mod teams;
mod users;
mod verification;
mod webhooks;

use axum::{Router, middleware::from_fn};
use routes::Routes;

use crate::{app::Gateway, layers};

/// The routes of all nouns under both versions, with CORS and the other manners of the contract.
pub(crate) fn router() -> Router<Gateway> {
    let api = routes()
        .into_router()
        .fallback(layers::unknown_path)
        .method_not_allowed_fallback(layers::unknown_method)
        .layer(from_fn(layers::rest_manners));
    Router::new().nest("/api/v1", api.clone()).nest("/api/latest", api)
}

/// The OpenAPI document of the REST door.
///
/// # Errors
/// Internal only.
pub(crate) fn openapi() -> Result<serde_json::Value, postern_domain::Error> {
    routes().into_openapi("/api/v1")
}

/// Every noun.
fn routes() -> Routes {
    let nouns = [
        greeting::routes(),
        api_keys::routes(),
        auth::routes(),
        cli::routes(),
        config::routes(),
        contact_channels::routes(),
        cross_domain::routes(),
        emails::routes(),
        events::routes(),
        items::routes(),
        jwks::routes(),
        key_sets::routes(),
        linked_accounts::routes(),
        magic_link::routes(),
        notifications::routes(),
        oauth::routes(),
        oauth_token::routes(),
        onboarding::routes(),
        passkeys::routes(),
        payments::routes(),
        permissions::routes(),
        projects::routes(),
        second_factor::routes(),
        sessions::routes(),
        sign_up_rules::routes(),
        team_invitations::routes(),
        team_members::routes(),
        teams::routes(),
        users::routes(),
        verification::routes(),
        webhooks::routes(),
    ];
    nouns.into_iter().fold(Routes::new(), Routes::merge)
}
