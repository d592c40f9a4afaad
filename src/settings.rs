//! The one place where settings are read: environment variables, or the same names in a TOML file. All are checked at
//! start, and all that is wrong is named at once. Secrets never show in Debug output.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
};

use ipnet::IpNet;
use postern_domain::{
    ports::mail::{Encryption, MailServer},
    projects::Keys,
    secrets::MIN_SERVER_SECRET_BYTES,
    settings::{InternalSignUp, Settings as DomainSettings},
};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

const PREFIX: &str = "POSTERN_";
const CONFIG: &str = "POSTERN_CONFIG";
const LISTEN: &str = "POSTERN_LISTEN";
const PUBLIC_URL: &str = "POSTERN_PUBLIC_URL";
const DATABASE_URL: &str = "POSTERN_DATABASE_URL";
const DATABASE_CONNECTIONS: &str = "POSTERN_DATABASE_CONNECTIONS";
const SERVER_SECRET: &str = "POSTERN_SERVER_SECRET";
const ADMIN_LISTEN: &str = "POSTERN_ADMIN_LISTEN";
const SMTP_URL: &str = "POSTERN_SMTP_URL";
const MAIL_FROM: &str = "POSTERN_MAIL_FROM";
const INTERNAL_CLIENT_KEY: &str = "POSTERN_INTERNAL_PUBLISHABLE_CLIENT_KEY";
const INTERNAL_SERVER_KEY: &str = "POSTERN_INTERNAL_SECRET_SERVER_KEY";
const INTERNAL_ADMIN_KEY: &str = "POSTERN_INTERNAL_SUPER_SECRET_ADMIN_KEY";
const INTERNAL_SIGN_UP: &str = "POSTERN_INTERNAL_SIGN_UP";
const ALLOWED_SUBNETS: &str = "POSTERN_ALLOWED_SUBNETS";
const TRUSTED_PROXIES: &str = "POSTERN_TRUSTED_PROXIES";
const ACCESS_TOKEN_SECONDS: &str = "POSTERN_ACCESS_TOKEN_SECONDS";
const RATE_LIMITS: &str = "POSTERN_RATE_LIMITS";
const DEV: &str = "POSTERN_DEV";
const LOG: &str = "POSTERN_LOG";

/// Every name that is known.
const NAMES: [&str; 19] = [
    CONFIG,
    LISTEN,
    PUBLIC_URL,
    DATABASE_URL,
    DATABASE_CONNECTIONS,
    SERVER_SECRET,
    ADMIN_LISTEN,
    SMTP_URL,
    MAIL_FROM,
    INTERNAL_CLIENT_KEY,
    INTERNAL_SERVER_KEY,
    INTERNAL_ADMIN_KEY,
    INTERNAL_SIGN_UP,
    ALLOWED_SUBNETS,
    TRUSTED_PROXIES,
    ACCESS_TOKEN_SECONDS,
    RATE_LIMITS,
    DEV,
    LOG,
];

/// The shortest key that may be fixed for the project `internal`, in characters.
const MIN_KEY_CHARS: usize = 20;
/// Official clients discard tokens with less than 20 s left and refresh those older than 75 s.
const ACCESS_TOKEN_RANGE: RangeInclusive<i64> = 60..=86_400;
const CONNECTIONS_RANGE: RangeInclusive<i64> = 2..=200;

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
    /// Where local mode keeps what it makes up.
    pub data_dir: PathBuf,
    /// The server secrets, newest first; in local mode none means: made at first start.
    pub server_secrets: Vec<SecretString>,
    /// Fixed keys of the project `internal`; in local mode none means: made at first start.
    pub internal_keys: Option<InternalKeys>,
    /// Whose forwarding headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// What to log, in the syntax of tracing's `EnvFilter`.
    pub log: String,
    /// What rules depend on.
    pub domain: DomainSettings,
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
    pub fn read(config: Option<&Path>) -> Result<Self, WrongSettings> {
        let environment: BTreeMap<_, _> = std::env::vars().filter(|(name, _)| NAMES.contains(&name.as_str())).collect();
        let file = config.map(Path::to_owned).or_else(|| environment.get(CONFIG).map(PathBuf::from));
        let mut values = match file {
            Some(path) => read_file(&path)?,
            None => BTreeMap::new(),
        };
        values.extend(environment);
        Self::from_values(values)
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
    pub fn from_values(values: BTreeMap<String, String>) -> Result<Self, WrongSettings> {
        let mut reader = Reader { values, wrong: Vec::new() };
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

struct Reader {
    values: BTreeMap<String, String>,
    wrong: Vec<String>,
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
        let database_url = self.text(DATABASE_URL).unwrap_or_else(|| "sqlite://data/postern.db".to_owned());
        let known = ["sqlite://", "postgres://", "postgresql://"].iter().any(|scheme| database_url.starts_with(scheme));
        if !known {
            self.wrong.push(format!("{DATABASE_URL} must begin with sqlite:// or postgres://"));
        }
        let database_connections = self
            .within(DATABASE_CONNECTIONS, "10", CONNECTIONS_RANGE, "a whole number")
            .and_then(|connections| u32::try_from(connections).ok());
        let server_secrets = self.server_secrets(local_mode);
        let shared_mail_server = self.mail_server(local_mode);
        let mail_from = self.mail_from(local_mode, public_url.as_ref());
        let internal_keys = self.internal_keys(local_mode);
        let internal_sign_up = self.internal_sign_up(local_mode);
        let mut allowed_subnets = self.subnets(ALLOWED_SUBNETS);
        if local_mode && !self.values.contains_key(ALLOWED_SUBNETS) {
            allowed_subnets.extend(["127.0.0.0/8", "::1/128"].iter().filter_map(|net| net.parse::<IpNet>().ok()));
        }
        let trusted_proxies = self.subnets(TRUSTED_PROXIES);
        let access_token_seconds = self.within(ACCESS_TOKEN_SECONDS, "600", ACCESS_TOKEN_RANGE, "a number of seconds");
        let rate_limits = self.switch(RATE_LIMITS, true);
        Some(Settings {
            listen: listen?,
            admin_listen: admin_listen?,
            data_dir: data_dir(&database_url),
            database_url: database_url.into(),
            database_connections: database_connections?,
            server_secrets,
            internal_keys,
            trusted_proxies,
            log: self.text(LOG).unwrap_or_else(|| "info".to_owned()),
            domain: DomainSettings {
                public_url: public_url?,
                local_mode,
                access_token_seconds: access_token_seconds?,
                internal_sign_up: internal_sign_up?,
                allowed_subnets,
                shared_mail_server,
                mail_from: mail_from?,
                rate_limits,
            },
        })
    }

    fn text(&self, name: &str) -> Option<String> {
        self.values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    fn parsed<T: FromStr>(&mut self, name: &str, default: &str, what: &str) -> Option<T> {
        let value = self.text(name).unwrap_or_else(|| default.to_owned()).parse().ok();
        if value.is_none() {
            self.wrong.push(format!("{name} must be {what}"));
        }
        value
    }

    fn within(&mut self, name: &str, default: &str, range: RangeInclusive<i64>, what: &str) -> Option<i64> {
        let what = format!("{what} from {} to {}", range.start(), range.end());
        let number = self.parsed(name, default, &what)?;
        if !range.contains(&number) {
            self.wrong.push(format!("{name} must be {what}"));
            return None;
        }
        Some(number)
    }

    fn switch(&mut self, name: &str, default: bool) -> bool {
        match self.text(name).as_deref() {
            None => default,
            Some("1" | "on" | "true") => true,
            Some("0" | "off" | "false") => false,
            Some(_) => {
                self.wrong.push(format!("{name} must be on or off"));
                default
            }
        }
    }

    fn public_url(&mut self) -> Option<Url> {
        let url: Url = self.parsed(PUBLIC_URL, "http://localhost:8102", "an http or https URL")?;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
            self.wrong.push(format!("{PUBLIC_URL} must be an http or https URL without query and fragment"));
        }
        Some(url)
    }

    fn server_secrets(&mut self, local_mode: bool) -> Vec<SecretString> {
        let Some(text) = self.text(SERVER_SECRET) else {
            if !local_mode {
                self.wrong.push(format!(
                    "{SERVER_SECRET} is missing: at least {MIN_SERVER_SECRET_BYTES} random bytes, as `openssl rand -hex 32` prints"
                ));
            }
            return Vec::new();
        };
        if text.split(',').any(|secret| secret.trim().len() < MIN_SERVER_SECRET_BYTES) {
            self.wrong.push(format!("{SERVER_SECRET}: each secret needs at least {MIN_SERVER_SECRET_BYTES} bytes"));
        }
        text.split(',').map(|secret| secret.trim().to_owned().into()).collect()
    }

    fn mail_server(&mut self, local_mode: bool) -> Option<MailServer> {
        let Some(text) = self.text(SMTP_URL) else {
            if !local_mode {
                self.wrong.push(format!("{SMTP_URL} is missing: the mail server, as smtp://user:password@host:587"));
            }
            return None;
        };
        let server = text.parse().ok().and_then(|url: Url| mail_server(&url));
        if server.is_none() {
            self.wrong.push(format!(
                "{SMTP_URL} must be smtp://user:password@host:587 (STARTTLS), smtps://user:password@host:465 (TLS), or \
                 smtp://host:25?tls=none for a relay without TLS"
            ));
        }
        server
    }

    fn mail_from(&mut self, local_mode: bool, public_url: Option<&Url>) -> Option<(String, String)> {
        let host = public_url.and_then(Url::host_str).unwrap_or("localhost");
        let text = match self.text(MAIL_FROM) {
            Some(text) => text,
            None if local_mode => format!("Postern <postern@{host}>"),
            None => {
                self.wrong.push(format!("{MAIL_FROM} is missing: the sender, as Example <noreply@example.com>"));
                return None;
            }
        };
        let (name, address) = match text.split_once('<') {
            Some((name, rest)) => {
                (name.trim().trim_matches('"').to_owned(), rest.trim().trim_end_matches('>').to_owned())
            }
            None => ("Postern".to_owned(), text),
        };
        let fits = address.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty())
            && !address.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,".contains(c));
        if !fits {
            self.wrong.push(format!("{MAIL_FROM} must be an address, or Name <address>"));
        }
        Some((name, address))
    }

    fn internal_keys(&mut self, local_mode: bool) -> Option<InternalKeys> {
        let mut key = |name: &str, prefix: &str| match self.text(name) {
            Some(key) if key.len() >= MIN_KEY_CHARS && key.starts_with(prefix) => Some(key),
            Some(_) => {
                self.wrong
                    .push(format!("{name} must begin with {prefix} and have at least {MIN_KEY_CHARS} characters"));
                None
            }
            None => None,
        };
        let keys =
            [key(INTERNAL_CLIENT_KEY, "pck_"), key(INTERNAL_SERVER_KEY, "ssk_"), key(INTERNAL_ADMIN_KEY, "sak_")];
        let names = [INTERNAL_CLIENT_KEY, INTERNAL_SERVER_KEY, INTERNAL_ADMIN_KEY];
        let some = keys.iter().any(Option::is_some);
        if !local_mode || some {
            let missing: Vec<_> = names.into_iter().filter(|name| self.text(name).is_none()).collect();
            for name in missing {
                self.wrong.push(format!("{name} is missing: a fixed key of the project `internal`"));
            }
        }
        let [Some(client), Some(server), Some(admin)] = keys else { return None };
        Some(InternalKeys {
            publishable_client_key: client.into(),
            secret_server_key: server.into(),
            super_secret_admin_key: admin.into(),
        })
    }

    fn internal_sign_up(&mut self, local_mode: bool) -> Option<InternalSignUp> {
        match self.text(INTERNAL_SIGN_UP).as_deref() {
            None if local_mode => Some(InternalSignUp::Open),
            Some("on" | "1" | "true") => Some(InternalSignUp::Open),
            None | Some("invite") => Some(InternalSignUp::Invite),
            Some(_) => {
                self.wrong.push(format!("{INTERNAL_SIGN_UP} must be on or invite"));
                None
            }
        }
    }

    fn subnets(&mut self, name: &str) -> Vec<IpNet> {
        let Some(text) = self.text(name) else { return Vec::new() };
        let mut nets = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.parse::<IpNet>().or_else(|_| part.parse::<IpAddr>().map(IpNet::from)) {
                Ok(net) => nets.push(net),
                Err(_) => self.wrong.push(format!("{name}: {part} is no network, as 10.0.0.0/8")),
            }
        }
        nets
    }
}

fn mail_server(url: &Url) -> Option<MailServer> {
    let without_tls: BTreeSet<_> = url.query_pairs().map(|(key, value)| format!("{key}={value}")).collect();
    let (encryption, default_port) = match url.scheme() {
        "smtps" => (Encryption::Tls, 465),
        "smtp" if without_tls.contains("tls=none") => (Encryption::Plain, 25),
        "smtp" => (Encryption::StartTls, 587),
        _ => return None,
    };
    let decoded = |text: &str| {
        url::form_urlencoded::parse(format!("x={}", text.replace('+', "%2B")).as_bytes())
            .next()
            .map(|(_, v)| v.into_owned())
    };
    let credentials = match (url.username(), url.password()) {
        ("", _) => None,
        (user, password) => Some((decoded(user)?, decoded(password.unwrap_or_default())?.into())),
    };
    Some(MailServer {
        host: url.host_str().filter(|host| !host.is_empty())?.trim_matches(['[', ']']).to_owned(),
        port: url.port().unwrap_or(default_port),
        encryption,
        credentials,
        chosen_by_tenant: false,
    })
}

/// Where local mode keeps what it makes up: beside the SQLite file, else in `./data`.
fn data_dir(database_url: &str) -> PathBuf {
    let file = database_url.strip_prefix("sqlite://").and_then(|path| path.split('?').next());
    file.and_then(|path| Path::new(path).parent())
        .filter(|path| !path.as_os_str().is_empty())
        .map_or_else(|| PathBuf::from("data"), Path::to_owned)
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
