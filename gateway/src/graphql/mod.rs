//! The GraphQL door. One folder per noun holds its types, queries and mutations; each field carries its rule (see
//! `guard`). The rest is what every operation passes through: `http` and `socket` read requests, `caller` finds out who
//! asks, `document` bounds what is asked, `door` runs it, `respond` and `stream` write answers.
//!
//! To add a field: a method with a description and `#[access(…)]` in the noun's `types.rs`. To add a mutation: an input, a
//! payload and a method in its `mutation.rs` that decodes, calls one operation of the domain, and wraps the outcome. API keys
//! are refused unless the rule of the root field says `keys = …` and the domain's list (`api_keys`) has the operation. Then
//! bring `schema.graphql` up to date with `postern schema > schema.graphql`.

mod allowed;
mod api_keys;
mod caller;
mod connection;
mod contact_channels;
mod document;
mod door;
mod emails;
mod error;
mod events;
mod federation;
mod guard;
mod http;
mod in_force;
mod items;
mod linked_accounts;
mod live;
mod loaders;
mod node;
mod notifications;
mod payments;
mod permissions;
mod persisted;
mod projects;
mod repeat;
mod request;
mod respond;
mod rounds;
mod scalars;
mod schema;
mod schema_text;
mod sessions;
mod socket;
mod stream;
mod teams;
mod telemetry;
mod users;
mod webhooks;

pub use allowed::{AllowedDocuments, WrongDocuments};
pub use door::Options;
pub use schema::sdl;

pub(crate) use http::router;
