//! What operations are handed: never a global, never made inside.

use std::{fmt, sync::Arc};

use crate::{
    db::{Backend, Db},
    error::Result,
    items::ItemChanges,
    passwords::Passwords,
    ports::{
        http::HttpClient, mail::Mailer, oauth::Providers, rates::Rates, sandbox::Sandbox, stripe::Stripe,
        svix::SvixServer,
    },
    projects::Projects,
    secrets::Keyring,
    sessions::Sessions,
    settings::Settings,
    time::{Clock, Timestamp},
    users::Users,
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
    /// Users that are being read.
    pub users: Users,
    /// Items that are being changed.
    pub item_changes: ItemChanges,
    /// Password hashing.
    pub passwords: Passwords,
    /// Mail servers.
    pub mailer: Arc<dyn Mailer>,
    /// Hosts chosen by tenants.
    pub http: Arc<dyn HttpClient>,
    /// How often things happen.
    pub rates: Arc<dyn Rates>,
    /// Sites that people sign in with.
    pub providers: Arc<dyn Providers>,
    /// Where what tenants wrote is run.
    pub sandbox: Arc<dyn Sandbox>,
    /// Where customers pay, if the installation has it.
    pub stripe: Option<Arc<dyn Stripe>>,
    /// What delivers webhooks in place of the engine here, if the installation has it.
    pub svix: Option<Arc<dyn SvixServer>>,
    /// The installation's settings, as far as rules depend on them.
    pub settings: Arc<Settings>,
}

impl Deps {
    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// By how many milliseconds our clock is ahead of the database's; `None` where they are one, or where ours stands still.
    ///
    /// # Errors
    /// Those of the database: this asks it in any case.
    #[crate::boxed]
    pub async fn clock_difference(&self) -> Result<Option<i64>> {
        if self.db.backend() == Backend::Sqlite || self.clock.fixed().is_some() {
            self.db.ping().await?;
            return Ok(None);
        }
        let asked = self.now().millis();
        let theirs = self.db.clock_millis().await?;
        // It was read somewhere between question and answer.
        Ok(Some((asked + self.now().millis()) / 2 - theirs))
    }
}

impl fmt::Debug for Deps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deps").field("db", &self.db).field("settings", &self.settings).finish_non_exhaustive()
    }
}
