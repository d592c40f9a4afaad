//! The REST door: what holds for every request, then one file per noun.

mod api_keys;
mod authentication;
mod every;
mod images;
mod invitations;
pub(crate) mod items;
mod linked_accounts;
mod manners;
mod notifications;
pub(crate) mod projects;
mod sessions;
mod statements;
mod teams;
mod users;
mod ways_in;
mod webhooks;
