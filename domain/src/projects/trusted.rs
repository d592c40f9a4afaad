//! Which URLs a project sends browsers and mail links to (wire: projects-config-webhooks §6).

use url::{Host, Url};

use super::ProjectConfig;
use crate::{
    Code,
    error::{Failure, Result, refuse},
};

/// Longer patterns match nothing.
const MAX_PATTERN_BYTES: usize = 300;
/// Longer URLs are not trusted.
const MAX_URL_BYTES: usize = 8_192;
/// Of the apps that the official clients make for phones.
const MOBILE_SCHEME: &str = "stack-auth-mobile-oauth-url";
/// Schemes that run what follows them; never trusted, although the contract allows any scheme on a local host.
const SCRIPTS: &[&str] = &["javascript", "vbscript", "data", "blob"];

/// The URL in `text`, if the project trusts it. Use what is answered, not the text: a browser reads both alike, other
/// software may not.
///
/// # Errors
/// `REDIRECT_URL_NOT_WHITELISTED`.
pub fn trusted_url(config: &ProjectConfig, text: &str) -> Result<Url> {
    match Url::parse(text) {
        Ok(url) if text.len() <= MAX_URL_BYTES && is_trusted(config, &url) => Ok(url),
        _ => refuse(not_whitelisted()),
    }
}

/// The same of where a browser goes that comes back from another site, which may also be an app of a phone (wire/auth §4). A
/// project that trusts no URL at all trusts no app either.
///
/// # Errors
/// `REDIRECT_URL_NOT_WHITELISTED`.
pub(crate) fn trusted_oauth_redirect(config: &ProjectConfig, text: &str) -> Result<Url> {
    let trusts_any = config.domains.allow_localhost || !config.domains.trusted_domains.is_empty();
    match Url::parse(text) {
        Ok(url) if url.scheme() == MOBILE_SCHEME && text.len() <= MAX_URL_BYTES && trusts_any => Ok(url),
        _ => trusted_url(config, text),
    }
}

pub(crate) fn not_whitelisted() -> Failure {
    Failure::new(
        Code::RedirectUrlNotWhitelisted,
        "The URL is not one that this project trusts: add its domain to the trusted domains.",
    )
}

/// Whether the project trusts `origin`, the value of a browser's `Origin` header.
#[must_use]
pub fn is_trusted_origin(config: &ProjectConfig, origin: &str) -> bool {
    origin.len() <= MAX_URL_BYTES && Url::parse(origin).is_ok_and(|url| is_trusted(config, &url))
}

/// Whether `text` is a domain that could be trusted: a URL, or one with wildcards.
pub(super) fn is_domain(text: &str) -> bool {
    if text.contains('*') {
        return Pattern::parse(text).is_some();
    }
    Url::parse(text).is_ok_and(|url| url.host_str().is_some_and(|host| !host.is_empty()))
}

fn is_trusted(config: &ProjectConfig, url: &Url) -> bool {
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else { return false };
    if SCRIPTS.contains(&url.scheme()) {
        return false;
    }
    (config.domains.allow_localhost && is_local(host))
        || config.domains.trusted_domains.values().filter_map(|domain| domain.base_url.as_deref()).any(|trusted| {
            if trusted.contains('*') {
                Pattern::parse(trusted).is_some_and(|p| p.matches(url))
            } else {
                same_origin(trusted, url)
            }
        })
}

/// `localhost`, anything under it, or an address 127.x.x.x.
fn is_local(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

fn same_origin(trusted: &str, url: &Url) -> bool {
    Url::parse(trusted).is_ok_and(|trusted| {
        trusted.scheme() == url.scheme()
            && trusted.host_str().is_some_and(|host| !host.is_empty())
            && trusted.host_str() == url.host_str()
            && trusted.port_or_known_default() == url.port_or_known_default()
    })
}

/// A trusted domain with wildcards in its host or port.
struct Pattern {
    scheme: String,
    host: Vec<Piece>,
    /// Matched together with the host when given.
    has_port: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Character(char),
    /// `*`: any run without dots.
    WithinLabel,
    /// `**`: any run.
    Anything,
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_PATTERN_BYTES {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let scheme_is_plain = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        if !scheme_is_plain || scheme.is_empty() || authority.is_empty() || authority.contains('@') {
            return None;
        }
        let (host, port) = authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        if port.is_some_and(|port| !port.bytes().all(|b| b.is_ascii_digit() || b == b'*') || port.is_empty()) {
            return None;
        }
        // As a browser writes host names: lower case, other scripts in ASCII. A `*` passes through.
        let host = Host::parse(host).ok()?.to_string();
        let matched = port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        Some(Self { scheme: scheme.to_ascii_lowercase(), host: pieces(&matched), has_port: port.is_some() })
    }

    fn matches(&self, url: &Url) -> bool {
        if url.scheme() != self.scheme {
            return false;
        }
        let Some(host) = url.host_str() else { return false };
        if !self.has_port {
            // `Url` forgets the default port of its scheme.
            return url.port().is_none() && matches(&self.host, host);
        }
        url.port_or_known_default().is_some_and(|port| matches(&self.host, &format!("{host}:{port}")))
    }
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for character in pattern.chars() {
        match (character, pieces.last()) {
            ('*', Some(Piece::WithinLabel | Piece::Anything)) => {
                pieces.pop();
                pieces.push(Piece::Anything);
            }
            ('*', _) => pieces.push(Piece::WithinLabel),
            (character, _) => pieces.push(Piece::Character(character)),
        }
    }
    pieces
}

/// Whether the pieces cover `text` whole. Keeps the set of pieces that may come next, so the time is at most
/// pieces × characters whatever the pattern.
fn matches(pieces: &[Piece], text: &str) -> bool {
    let mut next = vec![false; pieces.len() + 1];
    if let Some(first) = next.first_mut() {
        *first = true;
    }
    skip_empty_runs(pieces, &mut next);
    for character in text.chars() {
        let mut after = vec![false; pieces.len() + 1];
        for (at, piece) in pieces.iter().enumerate() {
            if !next.get(at).copied().unwrap_or_default() {
                continue;
            }
            let reached = match piece {
                Piece::Character(wanted) => (*wanted == character).then_some(at + 1),
                Piece::WithinLabel => (character != '.').then_some(at),
                Piece::Anything => Some(at),
            };
            if let Some(slot) = reached.and_then(|at| after.get_mut(at)) {
                *slot = true;
            }
        }
        skip_empty_runs(pieces, &mut after);
        next = after;
    }
    next.last().copied().unwrap_or_default()
}

/// A wildcard may stand for nothing: what may come next includes what follows it.
fn skip_empty_runs(pieces: &[Piece], next: &mut [bool]) {
    for (at, piece) in pieces.iter().enumerate() {
        if !matches!(piece, Piece::Character(_))
            && next.get(at).copied().unwrap_or_default()
            && let Some(slot) = next.get_mut(at + 1)
        {
            *slot = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn trusting(domains: &[&str], allow_localhost: bool) -> ProjectConfig {
        let domains: serde_json::Map<_, _> = domains
            .iter()
            .enumerate()
            .map(|(at, domain)| (format!("d{at}"), json!({ "baseUrl": domain, "handlerPath": "/handler" })))
            .collect();
        crate::projects::config_from(
            json!({ "domains": { "allowLocalhost": allow_localhost, "trustedDomains": domains } }),
        )
    }

    #[test]
    fn a_url_is_trusted_by_scheme_host_and_port_of_one_domain() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            (
                "https://app.example.com",
                &[
                    "https://app.example.com",
                    "https://app.example.com:443/any/path?query=1#fragment",
                    "https://APP.example.com/",
                    "https://someone@app.example.com/",
                ],
                &[
                    "http://app.example.com",
                    "https://app.example.com:8443",
                    "https://example.com",
                    "https://deep.app.example.com",
                    "https://app.example.com.evil.test",
                    "https://app.example.com@evil.test",
                    "https://evil.test/https://app.example.com",
                    "https://evil.test\\@app.example.com.evil.test",
                    "//app.example.com",
                    "/path",
                    "",
                    "javascript://app.example.com/%0aalert(1)",
                ],
            ),
            ("http://app.example.com:8080/base/", &["http://app.example.com:8080/other"], &["http://app.example.com"]),
            ("http://example.com:80", &["http://example.com"], &["https://example.com"]),
            (
                "https://*.example.com",
                &["https://a.example.com", "https://a-b.example.com/x", "https://a.example.com:443"],
                &[
                    "https://example.com",
                    "https://a.b.example.com",
                    "https://a.example.com:8443",
                    "http://a.example.com",
                    "https://aexample.com",
                    "https://a.example.com.evil.test",
                    "https://evil.test/.example.com",
                    "https://evil.test?.example.com",
                    "https://evil.test#.example.com",
                ],
            ),
            (
                "https://**.example.com",
                &["https://a.example.com", "https://a.b.c.example.com"],
                &["https://example.com", "https://a.example.org", "https://aexample.com"],
            ),
            (
                "https://api-*.example.com",
                &["https://api-.example.com", "https://api-v1.example.com"],
                &["https://api.example.com", "https://api-v1.x.example.com"],
            ),
            (
                "https://*-test.*.example.com",
                &["https://a-test.eu.example.com", "https://a-test-test.eu.example.com"],
                &["https://a-test.example.com", "https://test.eu.example.com"],
            ),
            (
                "https://*.example.com:8443",
                &["https://a.example.com:8443"],
                &["https://a.example.com", "https://a.example.com:84430", "https://a.b.example.com:8443"],
            ),
            ("https://*.example.com:443", &["https://a.example.com", "https://a.example.com:443"], &[]),
            (
                "http://example.com:*",
                &["http://example.com", "http://example.com:3000"],
                &["https://example.com:3000", "http://a.example.com:3000"],
            ),
            ("https://*.Bücher.example", &["https://a.bücher.example", "https://a.xn--bcher-kva.example"], &[]),
            // Patterns that are no patterns trust nothing.
            ("*://example.com", &[], &["https://example.com"]),
            ("https://*@example.com", &[], &["https://a@example.com", "https://example.com"]),
            ("https://*.example.com:a*", &[], &["https://a.example.com"]),
            ("*.example.com", &[], &["https://a.example.com"]),
            ("https://", &[], &["https://a.example.com"]),
        ];
        for (domain, trusted, refused) in cases {
            let config = trusting(&[domain], false);
            for url in *trusted {
                assert!(trusted_url(&config, url).is_ok(), "{domain} should trust {url}");
            }
            for url in *refused {
                let error = trusted_url(&config, url).expect_err(&format!("{domain} should not trust {url}"));
                assert!(error.is(Code::RedirectUrlNotWhitelisted));
            }
        }
    }

    #[test]
    fn local_hosts_are_trusted_only_when_allowed() {
        let (allowing, refusing) = (trusting(&[], true), trusting(&[], false));
        for url in [
            "http://localhost",
            "http://localhost:3000/x",
            "https://a.b.localhost:1",
            "http://127.0.0.1:8080",
            "http://127.1.2.3",
            "myapp://localhost/callback",
        ] {
            assert!(trusted_url(&allowing, url).is_ok(), "{url}");
            assert!(trusted_url(&refusing, url).is_err(), "{url}");
        }
        for url in [
            "http://localhost.evil.test",
            "http://evillocalhost",
            "http://127.0.0.1.evil.test",
            "http://128.0.0.1",
            "http://[::1]",
            "javascript://localhost/%0aalert(1)",
            "data:text/html,localhost",
        ] {
            assert!(trusted_url(&allowing, url).is_err(), "{url}");
        }
        assert!(is_trusted_origin(&allowing, "http://localhost:3000"));
        assert!(!is_trusted_origin(&allowing, "null"));
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        let pattern = format!("https://{}b.example.com", "*a".repeat(100));
        let config = trusting(&[&pattern], false);
        assert!(trusted_url(&config, &format!("https://{}.example.com", "a".repeat(5_000))).is_err());
    }
}
