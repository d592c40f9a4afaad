//! The tables, one file each: columns and typed ids. No rules live here; queries live in the domain's `store.rs` files,
//! and the shape of the tables is made by the `migration` crate.

pub mod api_key;
pub mod config_override;
pub mod contact_channel;
pub mod email;
pub mod email_batch;
pub mod email_draft;
pub mod email_quota;
pub mod event;
pub mod event_consumer;
pub mod event_head;
pub mod idempotency;
pub mod ids;
pub mod image;
pub mod installation_secret;
pub mod item_balance;
pub mod item_change;
pub mod item_grant;
pub mod item_source;
pub mod job;
pub mod key_set;
pub mod linked_account;
pub mod linked_account_token;
pub mod notification_preference;
pub mod password_hash;
pub mod project;
pub mod project_permission;
pub mod session;
pub mod team;
pub mod team_invitation;
pub mod team_membership;
pub mod team_permission;
pub mod time;
pub mod user;
pub mod verification_code;
pub mod webhook_attempt;
pub mod webhook_delivery;
pub mod webhook_endpoint;
pub mod webhook_message;
pub mod webhook_secret;

pub use ids::*;
pub use password_hash::PasswordHash;
pub use time::Timestamp;
