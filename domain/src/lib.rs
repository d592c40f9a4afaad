//! Every rule of Postern. Operations take [`deps::Deps`], an [`actor::Actor`] and a parsed input, run in one transaction,
//! and answer an outcome or an [`error::Error`]. Both doors of the gateway and the worker call the same ones.
//!
//! Features are folders: `mod.rs` says what the feature promises and is its only public face, one file per noun holds its
//! operations, `store.rs` its queries (always scoped by project), `jobs.rs` the payloads of its jobs.
//! Nothing here knows HTTP, GraphQL, SMTP or a vendor; what is needed of the outer world is a trait in [`ports`].

pub mod actor;
pub mod api_keys;
pub mod authorization_codes;
mod batch;
pub mod bot_challenge;
pub mod ci_order;
pub mod cli_logins;
pub mod codes;
pub mod db;
pub mod deps;
pub mod email_address;
pub mod emails;
pub mod error;
pub mod events;
pub mod idempotency;
pub mod identity;
pub mod images;
pub mod items;
pub mod limits;
pub mod linked_accounts;
pub mod network;
pub mod nodes;
pub mod notifications;
pub mod oauth;
pub mod passkeys;
pub mod passwords;
pub mod patch;
pub mod payments;
pub mod permissions;
pub mod ports;
pub mod projects;
pub mod queue;
pub mod random;
pub mod rotation;
pub mod running_time;
pub mod secrets;
pub mod sessions;
pub mod settings;
pub mod sign_up_rules;
pub mod signal;
pub mod teams;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text_search;
pub mod time;
pub mod trace;
pub mod users;
pub mod validation;
mod waiting;
pub mod webhooks;

pub use actor::{Actor, Level};
pub use codes::{Code, Kind};
pub use deps::Deps;
pub use error::{Error, Failure, Result};
/// On every public operation that is not generic, here and in the crates above. Else every crate that awaits it compiles it anew,
/// with all that it awaits, and proves anew that it may move between threads: the root took eight times as long to compile.
pub use postern_domain_macros::boxed;
pub use postern_entity::{ids::*, time::Timestamp};
