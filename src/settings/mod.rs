//! The one place where settings are read: environment variables, or the same names in a TOML file. All are checked at
//! start, and all that is wrong is named at once. Secrets never show in Debug output.

mod names;
mod oauth;
mod parts;
mod reader;
mod stripe;
mod turnstile;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
};

use ipnet::IpNet;
use names::*;
use postern_domain::{projects::Keys, settings::Settings as DomainSettings};
use postern_gateway::{Proxies, graphql::AllowedDocuments};
use reader::Reader;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

/// Official clients discard tokens with less than 20 s left and refresh those older than 75 s.
const ACCESS_TOKEN_RANGE: RangeInclusive<i64> = 60..=86_400;
/// PostgreSQL notices that a table is there already, at each start.
const DEFAULT_LOG: &str = "info,sqlx::postgres::notice=warn";
/// The outbox keeps what a mail hides for seven days.
const CODE_MINUTES_RANGE: RangeInclusive<i64> = 5..=7 * 24 * 60;
const MAILS_PER_HOUR_RANGE: RangeInclusive<i64> = 1..=10_000_000;
const WEBHOOK_RETENTION_RANGE: RangeInclusive<i64> = 5..=90;
const CONNECTIONS_RANGE: RangeInclusive<i64> = 2..=200;

/// What a process of the installation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Gateway and worker in one process, which also migrates.
    All,
    /// The doors.
    Gateway,
    /// The jobs.
    Worker,
    /// A command that does one thing and ends.
    Operator,
}

impl Role {
    /// Whether it is one process of several, which share what a single one may make up for itself.
    #[must_use]
    pub fn is_clustered(self) -> bool {
        matches!(self, Self::Gateway | Self::Worker)
    }
}

/// The settings of this process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the doors listen.
    pub listen: SocketAddr,
    /// Where health and metrics listen.
    pub admin_listen: SocketAddr,
    /// `sqlite://…` or `postgres://…`.
    pub database_url: SecretString,
    /// Most connections to the database.
    pub database_connections: u32,
    /// Whether they go through a pooler that gives each transaction another connection of the server.
    pub database_pooled: bool,
    /// `redis://…` or `rediss://…`.
    pub redis_url: Option<SecretString>,
    /// Where local mode keeps what it makes up.
    pub data_dir: PathBuf,
    /// This program: it runs itself for work that is kept apart.
    pub program: PathBuf,
    /// What a project is made like at each start that migrates.
    pub config_file: Option<PathBuf>,
    /// The server secrets, newest first; in local mode none means: made at first start.
    pub server_secrets: Vec<SecretString>,
    /// Fixed keys of the project `internal`; in local mode none means: made at first start.
    pub internal_keys: Option<InternalKeys>,
    /// The Svix server that delivers webhooks in place of the engine here.
    pub svix: Option<Svix>,
    /// Where customers pay.
    pub stripe: Option<Stripe>,
    /// What stands in for all sites that people sign in with; local mode only.
    pub oauth_stand_in: Option<Url>,
    /// The proxies in front, and what they tell.
    pub proxies: Proxies,
    /// Whether callers may ask about the GraphQL schema.
    pub introspection: bool,
    /// The list of GraphQL documents to which clients are bound.
    pub documents: Option<Arc<AllowedDocuments>>,
    /// What to log, in the syntax of tracing's `EnvFilter`.
    pub log: String,
    /// As what.
    pub log_format: LogFormat,
    /// What rules depend on.
    pub domain: DomainSettings,
}

/// What the log looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

/// Fixed keys of the project `internal`.
#[derive(Clone, Debug)]
pub struct InternalKeys {
    /// `pck_…`
    pub publishable_client_key: SecretString,
    /// `ssk_…`
    pub secret_server_key: SecretString,
    /// `sak_…`
    pub super_secret_admin_key: SecretString,
}

/// Where customers pay.
#[derive(Clone, Debug)]
pub struct Stripe {
    /// The API, without `/v1`.
    pub api_base: Url,
    /// The installation's secret key.
    pub secret_key: SecretString,
}

/// A Svix server and what opens it.
#[derive(Clone, Debug)]
pub struct Svix {
    /// Its URL, without `/api/v1`.
    pub url: Url,
    /// A token of the installation's environment there.
    pub token: SecretString,
}

impl InternalKeys {
    /// The keys in full, for the one place that hashes them.
    pub(crate) fn expose(&self) -> Keys {
        let text = |key: &SecretString| Some(key.expose_secret().to_owned());
        Keys {
            publishable_client_key: text(&self.publishable_client_key),
            secret_server_key: text(&self.secret_server_key),
            super_secret_admin_key: text(&self.super_secret_admin_key),
        }
    }
}

/// All that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("the settings are wrong:\n{}", .0.iter().map(|line| format!("  - {line}")).collect::<Vec<_>>().join("\n"))]
pub struct WrongSettings(pub Vec<String>);

impl Settings {
    /// Reads the environment and, if `config` or `POSTERN_CONFIG` names one, a TOML file. The environment wins.
    ///
    /// # Errors
    /// [`WrongSettings`], naming everything that is missing or wrong.
    pub fn read(config: Option<&Path>, role: Role) -> Result<Self, WrongSettings> {
        let environment: BTreeMap<_, _> = std::env::vars().filter(|(name, _)| NAMES.contains(&name.as_str())).collect();
        let file = config.map(Path::to_owned).or_else(|| environment.get(CONFIG).map(PathBuf::from));
        let mut values = match file {
            Some(path) => read_file(&path)?,
            None => BTreeMap::new(),
        };
        values.extend(environment);
        Self::from_values(values, role)
    }

    /// Variables that look like settings and are none: most likely misspelt.
    #[must_use]
    pub fn misspelt() -> Vec<String> {
        let ours = |name: &String| name.starts_with(PREFIX) && !name.starts_with("POSTERN_TEST_");
        std::env::vars().map(|(name, _)| name).filter(|name| ours(name) && !NAMES.contains(&name.as_str())).collect()
    }

    /// Checks named values; empty ones count as absent.
    ///
    /// # Errors
    /// [`WrongSettings`], naming everything that is missing or wrong.
    pub fn from_values(values: BTreeMap<String, String>, role: Role) -> Result<Self, WrongSettings> {
        let mut reader = Reader { values, role, wrong: Vec::new() };
        let settings = reader.settings();
        match settings {
            Some(settings) if reader.wrong.is_empty() => Ok(settings),
            _ => Err(WrongSettings(reader.wrong)),
        }
    }
}

fn read_file(path: &Path) -> Result<BTreeMap<String, String>, WrongSettings> {
    let wrong = |what: String| WrongSettings(vec![format!("{}: {what}", path.display())]);
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.message().to_owned()))?;
    let unknown: Vec<_> = table
        .keys()
        .filter(|name| !NAMES.contains(&name.as_str()))
        .map(|name| format!("{}: {name} is no setting", path.display()))
        .collect();
    if !unknown.is_empty() {
        return Err(WrongSettings(unknown));
    }
    let text = |value: toml::Value| match value {
        toml::Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(table.into_iter().map(|(name, value)| (name, text(value))).collect())
}

impl Reader {
    fn settings(&mut self) -> Option<Settings> {
        let listen = self.parsed(LISTEN, "127.0.0.1:8102", "an address with a port, as 127.0.0.1:8102");
        let admin_listen = self.parsed(ADMIN_LISTEN, "127.0.0.1:8103", "an address with a port, as 127.0.0.1:8103");
        let public_url = self.public_url();
        let dev = self.switch(DEV, false);
        let loopback = |address: &SocketAddr| address.ip().is_loopback();
        let local_mode =
            dev || (listen.as_ref().is_some_and(loopback) && public_url.as_ref().is_some_and(is_loopback_host));
        let database_url = self.database_url();
        let database_pooled = self.pooled();
        let redis_url = self.redis_url();
        let database_connections = self
            .within(DATABASE_CONNECTIONS, "10", CONNECTIONS_RANGE, "a whole number")
            .and_then(|connections| u32::try_from(connections).ok());
        let server_secrets = self.server_secrets(local_mode);
        let shared_mail_server = self.mail_server(local_mode);
        let mail_from = self.mail_from(local_mode, public_url.as_ref());
        let mails_per_hour = self.within(MAILS_PER_HOUR, "200", MAILS_PER_HOUR_RANGE, "a whole number");
        let mails_per_hour = mails_per_hour.and_then(|mails| u32::try_from(mails).ok()).map(f64::from);
        let mail_report_secrets = self.mail_report_secrets();
        let webhooks_https_only = self.switch(WEBHOOK_HTTPS_ONLY, false);
        let webhook_retention_days =
            self.within(WEBHOOK_RETENTION_DAYS, "90", WEBHOOK_RETENTION_RANGE, "a number of days");
        let svix = self.svix();
        let stripe = self.stripe();
        let stripe_webhook_secrets = self.stripe_webhook_secrets();
        let turnstile = self.turnstile();
        let oauth = self.oauth(local_mode);
        let internal_keys = self.internal_keys(local_mode);
        let internal_sign_up = self.internal_sign_up(local_mode);
        let mut allowed_subnets = self.subnets(ALLOWED_SUBNETS);
        if local_mode && !self.values.contains_key(ALLOWED_SUBNETS) {
            allowed_subnets.extend(["127.0.0.0/8", "::1/128"].iter().filter_map(|net| net.parse::<IpNet>().ok()));
        }
        let proxies = self.proxies();
        let access_token_seconds = self.within(ACCESS_TOKEN_SECONDS, "600", ACCESS_TOKEN_RANGE, "a number of seconds");
        let code_minutes = self.within(CODE_MINUTES, "10080", CODE_MINUTES_RANGE, "a number of minutes");
        let rate_limits = self.switch(RATE_LIMITS, true);
        let introspection = self.switch(INTROSPECTION, true);
        let documents = self.documents();
        let log_format = self.parsed(LOG_FORMAT, "text", "text or json");
        Some(Settings {
            listen: listen?,
            admin_listen: admin_listen?,
            data_dir: data_dir(&database_url),
            program: program(),
            config_file: self.text(CONFIG_FILE).map(PathBuf::from),
            database_url: database_url.into(),
            database_connections: database_connections?,
            database_pooled,
            redis_url,
            server_secrets,
            internal_keys,
            svix,
            stripe,
            oauth_stand_in: oauth.stand_in,
            proxies,
            introspection,
            documents,
            log_format: log_format?,
            log: self.text(LOG).unwrap_or_else(|| DEFAULT_LOG.to_owned()),
            domain: DomainSettings {
                public_url: public_url?,
                local_mode,
                access_token_seconds: access_token_seconds?,
                code_seconds: code_minutes? * 60,
                internal_sign_up: internal_sign_up?,
                allowed_subnets,
                shared_mail_server,
                mail_from: mail_from?,
                mails_per_hour: mails_per_hour?,
                mail_report_secrets,
                stripe_webhook_secrets,
                webhooks_https_only,
                webhook_retention_days: webhook_retention_days?,
                turnstile,
                shared_oauth: oauth.shared,
                shared_oauth_gives_tokens: oauth.gives_tokens,
                rate_limits,
            },
        })
    }
}

/// Where local mode keeps what it makes up: beside the SQLite file, else in `./data`.
fn data_dir(database_url: &str) -> PathBuf {
    let file = database_url.strip_prefix("sqlite://").and_then(|path| path.split('?').next());
    file.and_then(|path| Path::new(path).parent())
        .filter(|path| !path.as_os_str().is_empty())
        .map_or_else(|| PathBuf::from("data"), Path::to_owned)
}

/// This program, also when its file was replaced by a newer one since.
fn program() -> PathBuf {
    let running = Path::new("/proc/self/exe");
    if running.exists() { running.to_owned() } else { std::env::current_exe().unwrap_or_else(|_| "postern".into()) }
}

fn is_loopback_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests;
