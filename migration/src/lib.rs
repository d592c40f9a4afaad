//! Changes of the tables, one file each, in the order they are applied. This crate imports nothing of ours, so that an old
//! change keeps meaning what it meant when it was shipped. Shipped changes are frozen; `down` must undo `up`.
//!
//! To add a change: a new file `mNNNN_what_it_does.rs`, a line in [`Migrator::migrations`], and the test
//! `up_down_up` covers it on both databases.

use sea_orm_migration::prelude::*;
pub use sea_orm_migration::{MigratorTrait, SchemaManager};

mod columns;
mod m0001_projects;
mod m0002_users;
mod m0003_sessions;
mod m0004_events;
mod m0005_jobs;
mod m0006_emails;
mod m0007_webhooks;
mod m0008_idempotency;
mod m0009_installation;
mod m0010_trace_context;
mod m0011_permissions;
mod m0012_invitations;
mod m0013_api_keys;
mod m0014_images;
mod m0015_search;
mod m0016_items;
mod m0017_linked_accounts;
mod m0018_members_by_joining;
mod m0019_search_scope;
mod m0020_team_search;
mod m0021_outbox;
mod m0022_webhook_lines;
mod m0023_payments;
mod m0024_ways_in;
mod m0025_oauth;
mod m0026_turns;
mod m0027_lean_indexes;

/// One change a line.
macro_rules! changes {
    ($($change:ident)*) => { vec![$(Box::new($change::Migration)),*] };
}

/// Every change, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        changes! {
            m0001_projects
            m0002_users
            m0003_sessions
            m0004_events
            m0005_jobs
            m0006_emails
            m0007_webhooks
            m0008_idempotency
            m0009_installation
            m0010_trace_context
            m0011_permissions
            m0012_invitations
            m0013_api_keys
            m0014_images
            m0015_search
            m0016_items
            m0017_linked_accounts
            m0018_members_by_joining
            m0019_search_scope
            m0020_team_search
            m0021_outbox
            m0022_webhook_lines
            m0023_payments
            m0024_ways_in
            m0025_oauth
            m0026_turns
            m0027_lean_indexes
        }
    }
}
