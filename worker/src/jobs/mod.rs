//! One thin file per job: decide nothing, call the domain, name the ending.

pub(crate) mod deliver_webhook;
pub(crate) mod erase_user_events;
pub(crate) mod fold_items;
pub(crate) mod prune;
pub(crate) mod purge_project;
pub(crate) mod recover_webhook_endpoint;
pub(crate) mod send_email;
pub(crate) mod tell_of_leaked_api_key;
pub(crate) mod wipe_expired_email_secrets;
