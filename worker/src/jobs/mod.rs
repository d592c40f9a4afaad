//! Thin files, one per job or feature: decide nothing, call the domain, name the ending.

pub(crate) mod emails;
pub(crate) mod erase_user_events;
pub(crate) mod fold_items;
pub(crate) mod payments;
pub(crate) mod prune;
pub(crate) mod purge_project;
pub(crate) mod send_to_svix;
pub(crate) mod tell_of_leaked_api_key;
pub(crate) mod webhooks;
