//! The settings that take more than one word to check.

use std::{collections::BTreeSet, sync::Arc};

use postern_domain::{
    ports::mail::{Encryption, MailServer},
    secrets::MIN_SERVER_SECRET_BYTES,
    settings::InternalSignUp,
    webhooks::Secret,
};
use postern_gateway::{Proxies, graphql::AllowedDocuments};
use secrecy::SecretString;
use url::Url;

use super::{
    COUNTRY_HEADER, DATABASE_POOLER, DATABASE_URL, DOCUMENTS, INTERNAL_ADMIN_KEY, INTERNAL_CLIENT_KEY,
    INTERNAL_SERVER_KEY, INTERNAL_SIGN_UP, InternalKeys, MAIL_FROM, MAIL_REPORT_SECRET, PUBLIC_URL, REDIS_URL,
    SERVER_SECRET, SMTP_URL, SVIX_TOKEN, SVIX_URL, Svix, TRUSTED_PROXIES, reader::Reader,
};

/// The shortest key that may be fixed for the project `internal`, in characters.
const MIN_KEY_CHARS: usize = 20;

impl Reader {
    /// The proxies in front, and the header in which they tell the country.
    pub(super) fn proxies(&mut self) -> Proxies {
        let trusted = self.subnets(TRUSTED_PROXIES);
        let country_header = self
            .text(COUNTRY_HEADER)
            .and_then(|_| self.parsed(COUNTRY_HEADER, "", "the name of a header, as cf-ipcountry"));
        if country_header.is_some() && trusted.is_empty() {
            self.wrong.push(format!("{TRUSTED_PROXIES} is missing: {COUNTRY_HEADER} needs it"));
        }
        Proxies { trusted, country_header }
    }

    /// The list of GraphQL documents, from the file that is named.
    pub(super) fn documents(&mut self) -> Option<Arc<AllowedDocuments>> {
        let path = self.text(DOCUMENTS)?;
        let list = std::fs::read_to_string(&path).map_err(|error| vec![error.to_string()]);
        match list.and_then(|list| AllowedDocuments::read(&list).map_err(|wrong| wrong.0)) {
            Ok(documents) => Some(Arc::new(documents)),
            Err(wrong) => {
                self.wrong.extend(wrong.iter().map(|wrong| format!("{DOCUMENTS}: {path}: {wrong}")));
                None
            }
        }
    }

    pub(super) fn public_url(&mut self) -> Option<Url> {
        let url: Url = self.parsed(PUBLIC_URL, "http://localhost:8102", "an http or https URL")?;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
            self.wrong.push(format!("{PUBLIC_URL} must be an http or https URL without query and fragment"));
        }
        Some(url)
    }

    pub(super) fn server_secrets(&mut self, local_mode: bool) -> Vec<SecretString> {
        let Some(text) = self.text(SERVER_SECRET) else {
            // Made up in local mode, but by each process for itself.
            if !local_mode || self.role.is_clustered() {
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

    pub(super) fn mail_server(&mut self, local_mode: bool) -> Option<MailServer> {
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

    pub(super) fn mail_from(&mut self, local_mode: bool, public_url: Option<&Url>) -> Option<(String, String)> {
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

    /// What signs the reports of the mail provider.
    pub(super) fn mail_report_secrets(&mut self) -> Vec<Secret> {
        let Some(text) = self.text(MAIL_REPORT_SECRET) else { return Vec::new() };
        let secrets: Vec<_> = text.split(',').map(|secret| Secret::parse(secret.trim())).collect();
        if secrets.iter().any(Option::is_none) {
            self.wrong.push(format!(
                "{MAIL_REPORT_SECRET} must be the signing secret that the mail provider shows, as whsec_…, or new,old"
            ));
        }
        secrets.into_iter().flatten().collect()
    }

    /// The Svix server: both settings or none.
    pub(super) fn svix(&mut self) -> Option<Svix> {
        let (url, token) = (self.text(SVIX_URL), self.text(SVIX_TOKEN));
        if !cfg!(feature = "svix") && (url.is_some() || token.is_some()) {
            self.wrong.push(format!("{SVIX_URL} and {SVIX_TOKEN}: this program was built without the feature `svix`"));
            return None;
        }
        let (url, token) = match (url, token) {
            (None, None) => return None,
            (Some(url), Some(token)) => (url, token),
            (url, _) => {
                let (missing, given) = if url.is_some() { (SVIX_TOKEN, SVIX_URL) } else { (SVIX_URL, SVIX_TOKEN) };
                self.wrong.push(format!("{missing} is missing: {given} needs it"));
                return None;
            }
        };
        let url = url.parse::<Url>().ok().filter(|url| {
            let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
            matches!(url.scheme(), "http" | "https") && url.has_host() && is_bare && url.fragment().is_none()
        });
        if url.is_none() {
            self.wrong.push(format!(
                "{SVIX_URL} must be an http or https URL without credentials, query and fragment, as https://svix.example.com"
            ));
        }
        // What a header cannot carry would fail at each call, and look as if the server were away.
        let fits = token.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits {
            self.wrong.push(format!("{SVIX_TOKEN} must be of printable ASCII characters"));
        }
        Some(Svix { url: url?, token: token.into() })
    }

    pub(super) fn internal_keys(&mut self, local_mode: bool) -> Option<InternalKeys> {
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
        if !local_mode || some || self.role.is_clustered() {
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

    pub(super) fn internal_sign_up(&mut self, local_mode: bool) -> Option<InternalSignUp> {
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

    pub(super) fn database_url(&mut self) -> String {
        let url = self.text(DATABASE_URL).unwrap_or_else(|| "sqlite://data/postern.db".to_owned());
        let postgres = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
        if self.role.is_clustered() && !postgres {
            self.wrong.push(format!(
                "{DATABASE_URL} must begin with postgres://: several processes cannot share an SQLite file"
            ));
        } else if !postgres && !url.starts_with("sqlite://") {
            self.wrong.push(format!("{DATABASE_URL} must begin with sqlite:// or postgres://"));
        }
        url
    }

    /// Whether connections go through a pooler that gives each transaction another one of the server's.
    pub(super) fn pooled(&mut self) -> bool {
        match self.text(DATABASE_POOLER).as_deref() {
            None | Some("none") => false,
            Some("transaction") => true,
            Some(_) => {
                self.wrong.push(format!("{DATABASE_POOLER} must be none or transaction"));
                false
            }
        }
    }

    pub(super) fn redis_url(&mut self) -> Option<SecretString> {
        let Some(text) = self.text(REDIS_URL) else {
            if self.role.is_clustered() {
                self.wrong.push(format!("{REDIS_URL} is missing: the Redis of all processes, as redis://host:6379"));
            }
            return None;
        };
        let fits = text.parse::<Url>().is_ok_and(|url| matches!(url.scheme(), "redis" | "rediss") && url.has_host());
        if !fits {
            self.wrong.push(format!("{REDIS_URL} must be redis://:password@host:6379, or rediss:// for TLS"));
        }
        Some(text.into())
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

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn mail_servers_are_read_from_urls() {
        let server = |text: &str| mail_server(&text.parse().unwrap());
        let tls = server("smtps://me%40example.com:p%2Bw+d@mail.example.com").unwrap();
        assert_eq!((tls.host.as_str(), tls.port, tls.encryption), ("mail.example.com", 465, Encryption::Tls));
        let (user, password) = tls.credentials.unwrap();
        assert_eq!((user.as_str(), password.expose_secret()), ("me@example.com", "p+w+d"));
        let relay = server("smtp://127.0.0.1?tls=none").unwrap();
        assert_eq!((relay.port, relay.encryption), (25, Encryption::Plain));
        assert_eq!(server("smtp://mail.example.com:2525").unwrap().encryption, Encryption::StartTls);
        assert!(server("http://mail.example.com").is_none());
    }
}
