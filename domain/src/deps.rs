//! What operations are handed: never a global, never made inside.

use std::{fmt, sync::Arc};

use crate::{
    db::Db,
    passwords::Passwords,
    ports::{http::HttpClient, mail::Mailer},
    projects::Projects,
    secrets::Keyring,
    sessions::Sessions,
    settings::Settings,
    time::{Clock, Timestamp},
};

/// Everything an operation may use. Cheap to clone.
#[derive(Clone)]
pub struct Deps {
    /// The database.
    pub db: Db,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Keys derived from the server secret.
    pub keyring: Keyring,
    /// What is kept of projects between requests.
    pub projects: Projects,
    /// What is kept of sessions between requests.
    pub sessions: Sessions,
    /// Password hashing.
    pub passwords: Passwords,
    /// Mail servers.
    pub mailer: Arc<dyn Mailer>,
    /// Hosts chosen by tenants.
    pub http: Arc<dyn HttpClient>,
    /// The installation's settings, as far as rules depend on them.
    pub settings: Arc<Settings>,
}

impl Deps {
    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl fmt::Debug for Deps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deps").field("db", &self.db).field("settings", &self.settings).finish_non_exhaustive()
    }
}
