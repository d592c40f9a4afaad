//! Puts the real parts together: database, clock and clients into [`Deps`], [`Deps`] into gateway and worker.

mod database;
mod readiness;
mod running;
mod secrets;

use std::sync::Arc;

use postern_domain::{
    Deps, Error, Result,
    db::{Address, Db, may_come_back},
    items::ItemChanges,
    passwords::Passwords,
    ports::{http::HttpClient, rates::Rates, stripe::Stripe, svix::SvixServer},
    projects::Projects,
    secrets::Keyring,
    sessions::Sessions,
    signal::Signals,
    time::{Clock, SystemClock},
    users::Users,
};
use postern_outside::{
    address::Addresses,
    http::OutgoingHttp,
    mail::SmtpMailer,
    oauth::OAuthProviders,
    rates::LocalRates,
    redis::{Redis, SharedRates},
    sandbox::ProcessSandbox,
};
use secrecy::ExposeSecret;
use url::Url;

pub use database::{Shape, migrate_and_seed};
pub use readiness::Readiness;
pub use running::{Running, start};
pub use secrets::lock_data;

use crate::{cli::SANDBOX, settings::Settings};

/// Makes ring the provider of TLS for the whole process. Called first, because libraries panic when two are compiled in
/// and none is chosen; a second call changes nothing.
pub fn install_crypto_provider() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// What operations need, connected. `clock` is the system's unless a test hands in its own.
///
/// # Errors
/// When the database cannot be reached or the secret cannot be read.
#[postern_domain::boxed]
pub async fn connect(settings: &Settings, clock: Option<Arc<dyn Clock>>) -> Result<Deps> {
    let redis = redis(settings)?;
    connect_with(settings, clock, redis.as_ref()).await.map_err(|error| naming_database(settings, error))
}

/// Names the database that does not answer, for somebody who does not wait for it: what was tried for some time says only that
/// the time is over.
fn naming_database(settings: &Settings, error: Error) -> Error {
    let url = settings.database_url.expose_secret().parse::<Url>().ok().filter(|_| may_come_back(&error));
    let url = url.filter(|url| url.scheme().starts_with("postgres"));
    match url.as_ref().and_then(|url| Some((url.host_str()?, url.port().unwrap_or(5432)))) {
        Some((host, port)) => {
            Error::internal(format!("the database at {host}:{port} (POSTERN_DATABASE_URL) does not answer: {error}"))
        }
        _ => error,
    }
}

async fn connect_with(settings: &Settings, clock: Option<Arc<dyn Clock>>, redis: Option<&Redis>) -> Result<Deps> {
    let signals = Signals::default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let addresses = Addresses::new(&settings.domain.allowed_subnets);
    let host_name = settings.domain.public_url.host_str().unwrap_or("localhost");
    let address = Address {
        url: settings.database_url.expose_secret(),
        max_connections: settings.database_connections,
        pooled: settings.database_pooled,
    };
    let rates: Arc<dyn Rates> = match redis {
        Some(redis) => Arc::new(SharedRates::new(redis.clone())),
        None => Arc::new(LocalRates::default()),
    };
    let clock = clock.unwrap_or_else(|| Arc::new(SystemClock));
    let http: Arc<dyn HttpClient> = Arc::new(OutgoingHttp::new(addresses.clone()).map_err(Error::internal)?);
    Ok(Deps {
        projects: Projects::new(&signals),
        sessions: Sessions::new(&signals),
        users: Users::default(),
        item_changes: ItemChanges::default(),
        db: Db::connect(address, signals).await?,
        clock: Arc::clone(&clock),
        keyring: keyring(settings)?,
        passwords: Passwords::new(cores)?,
        mailer: Arc::new(SmtpMailer::new(addresses, host_name).map_err(Error::internal)?),
        providers: Arc::new(OAuthProviders::new(Arc::clone(&http), clock, settings.oauth_stand_in.clone())),
        http,
        rates,
        sandbox: Arc::new(ProcessSandbox::new(settings.program.clone(), &[SANDBOX])),
        stripe: stripe(settings)?,
        svix: svix(settings)?,
        settings: Arc::new(settings.domain.clone()),
    })
}

#[cfg(feature = "stripe")]
fn stripe(settings: &Settings) -> Result<Option<Arc<dyn Stripe>>> {
    let Some(stripe) = &settings.stripe else { return Ok(None) };
    // The operator says where it is.
    let http = Arc::new(OutgoingHttp::new(Addresses::anywhere()).map_err(Error::internal)?);
    let client = postern_outside_stripe::StripeClient::new(http, &stripe.secret_key, &stripe.api_base)
        .map_err(Error::internal)?;
    Ok(Some(Arc::new(client)))
}

/// There is no client, and settings that want one were refused.
#[cfg(not(feature = "stripe"))]
fn stripe(_: &Settings) -> Result<Option<Arc<dyn Stripe>>> {
    Ok(None)
}

#[cfg(feature = "svix")]
fn svix(settings: &Settings) -> Result<Option<Arc<dyn SvixServer>>> {
    let Some(svix) = &settings.svix else { return Ok(None) };
    let client = postern_outside_svix::SvixClient::new(&svix.url, &svix.token).map_err(Error::internal)?;
    Ok(Some(Arc::new(client)))
}

/// There is no client, and settings that want one were refused.
#[cfg(not(feature = "svix"))]
fn svix(_: &Settings) -> Result<Option<Arc<dyn SvixServer>>> {
    Ok(None)
}

fn keyring(settings: &Settings) -> Result<Keyring> {
    Keyring::new(secrets::server_secrets(settings)?)
}

/// The client of the Redis that the settings name.
///
/// # Errors
/// A URL that is none, or a secret that cannot be read.
pub fn redis(settings: &Settings) -> Result<Option<Redis>> {
    let Some(url) = &settings.redis_url else { return Ok(None) };
    // Named by the oldest secret, so that processes with `old` and with `new,old` hear each other while a secret is
    // rotated; in the moment when `old` is dropped, they are slower.
    let keyring = keyring(settings)?;
    let name = keyring.derive(keyring.generations() - 1, "postern/redis")?;
    let name: String = name.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Redis::new(url.expose_secret(), &name).map(Some).map_err(Error::internal)
}

#[cfg(test)]
mod tests;
