//! Request to caller: which headers say who asks, in both families of names, and from where.
//! What they mean is decided by `domain::identity`.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, Request},
    http::{HeaderMap, HeaderName},
};
use ipnet::IpNet;
use postern_domain::{identity::Credentials, sessions::ClientInfo, validation::is_country_code};

/// The prefixes of the contract's headers. Newer clients send the first, older ones the second; the newer wins when a
/// request has both, and answers carry both.
pub(crate) const HEADER_FAMILIES: [&str; 2] = ["x-hexclave", "x-stack"];

/// The names of a header of the contract in both families, from its name without prefix.
macro_rules! both_families {
    ($name:literal) => {
        [
            axum::http::HeaderName::from_static(concat!("x-hexclave-", $name)),
            axum::http::HeaderName::from_static(concat!("x-stack-", $name)),
        ]
    };
}
pub(crate) use both_families;

/// The value of a header of the contract. Empty values count as absent.
pub(crate) fn either(headers: &HeaderMap, names: [HeaderName; 2]) -> Option<&str> {
    names
        .iter()
        .filter_map(|name| headers.get(name))
        .filter_map(|value| value.to_str().ok())
        .find(|value| !value.is_empty())
}

/// What the headers claim. Goes through what the request has, not through all that it could have.
pub(crate) fn credentials(headers: &HeaderMap) -> Credentials {
    let mut found = Credentials::default();
    // The newer family last: its values stay.
    for family in HEADER_FAMILIES.iter().rev() {
        // Every request comes by here: most headers are told apart by two bytes.
        for name in headers.keys().filter(|name| name.as_str().starts_with("x-")) {
            let Some(short) = name.as_str().strip_prefix(family).and_then(|rest| rest.strip_prefix('-')) else {
                continue;
            };
            // Looked up only now: most headers are none of these.
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                claim(&mut found, short, value);
            }
        }
    }
    found
}

/// Notes one header, by its name without prefix. REST does not look at `Authorization`; the GraphQL door fills that in.
fn claim(found: &mut Credentials, name: &str, value: &str) {
    let text = match name {
        "access-type" => &mut found.access_type,
        "project-id" => &mut found.project_id,
        "branch-id" => &mut found.branch_id,
        "publishable-client-key" => &mut found.publishable_client_key,
        "secret-server-key" => &mut found.secret_server_key,
        "super-secret-admin-key" => &mut found.super_secret_admin_key,
        "admin-access-token" => &mut found.admin_access_token,
        "access-token" => &mut found.access_token,
        "development-override-key" => &mut found.development_override_key,
        "allow-anonymous-user" => {
            found.allow_anonymous_user = value == "true";
            return;
        }
        "allow-restricted-user" => {
            found.allow_restricted_user = value == "true";
            return;
        }
        _ => return,
    };
    *text = Some(value.to_owned());
}

/// Finds the client's address: that of the connection, or, while that is a trusted proxy, the next one to the left in
/// `X-Forwarded-For`.
pub(crate) fn client_info(request: &Request, proxies: &Proxies) -> ClientInfo {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
    let user_agent = request.headers().get(axum::http::header::USER_AGENT).and_then(|value| value.to_str().ok());
    ClientInfo {
        ip: peer.map(|peer| past_proxies(peer, request.headers(), &proxies.trusted)),
        user_agent: user_agent.map(str::to_owned),
        country: peer.and_then(|peer| country(peer, request.headers(), proxies)),
    }
}

/// The country that the proxy in front says the client is in, in the header that it always sets itself. Anybody may claim
/// anything in others.
fn country(peer: IpAddr, headers: &HeaderMap, proxies: &Proxies) -> Option<String> {
    if !proxies.trusted.iter().any(|net| net.contains(&peer)) {
        return None;
    }
    let told = headers.get(proxies.country_header.as_ref()?)?.to_str().ok()?;
    // XX and T1 stand for nowhere and for Tor.
    (is_country_code(told) && !told.eq_ignore_ascii_case("xx")).then(|| told.to_ascii_uppercase())
}

/// The proxies in front, and what they tell.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Whose forwarding headers count.
    pub trusted: Vec<IpNet>,
    /// The header in which they tell the country of the client.
    pub country_header: Option<HeaderName>,
}

fn past_proxies(peer: IpAddr, headers: &HeaderMap, trusted_proxies: &[IpNet]) -> IpAddr {
    let trusted = |ip: &IpAddr| trusted_proxies.iter().any(|net| net.contains(ip));
    let forwarded: Vec<_> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|part| part.trim().parse::<IpAddr>().map(|ip| ip.to_canonical()))
        .collect();
    let mut client = peer;
    for next in forwarded.into_iter().rev() {
        // What stands left of the first address that is no trusted proxy was written by the client itself.
        if !trusted(&client) {
            break;
        }
        let Ok(next) = next else { break };
        client = next;
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_family_wins_and_empty_is_absent() {
        let mut headers = HeaderMap::new();
        headers.insert("x-stack-project-id", "old".parse().unwrap());
        assert_eq!(either(&headers, both_families!("project-id")), Some("old"));
        headers.insert("x-hexclave-project-id", "new".parse().unwrap());
        headers.append("x-hexclave-project-id", "once more".parse().unwrap());
        assert_eq!(either(&headers, both_families!("project-id")), Some("new"));
        assert_eq!(credentials(&headers).project_id.as_deref(), Some("new"));
        headers.insert("x-hexclave-project-id", "".parse().unwrap());
        assert_eq!(either(&headers, both_families!("project-id")), Some("old"));
        assert_eq!(credentials(&headers).project_id.as_deref(), Some("old"));
    }

    #[test]
    fn a_country_counts_only_from_a_trusted_proxy_and_in_its_own_header() {
        let mut proxies = Proxies { trusted: vec!["10.0.0.0/8".parse().unwrap()], country_header: None };
        let find = |proxies: &Proxies, peer: &str, told: &str| {
            let headers = HeaderMap::from_iter([(HeaderName::from_static("cf-ipcountry"), told.parse().unwrap())]);
            country(peer.parse().unwrap(), &headers, proxies)
        };
        assert_eq!(find(&proxies, "10.0.0.1", "SE"), None);
        proxies.country_header = Some(HeaderName::from_static("cf-ipcountry"));
        assert_eq!(find(&proxies, "10.0.0.1", "se").as_deref(), Some("SE"));
        for (peer, told) in [("9.9.9.9", "SE"), ("10.0.0.1", "XX"), ("10.0.0.1", "T1"), ("10.0.0.1", "Sweden")] {
            assert_eq!(find(&proxies, peer, told), None, "{peer} {told}");
        }
    }

    #[test]
    fn forwarded_addresses_count_only_behind_trusted_proxies() {
        let nets = ["10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "1.1.1.1, 2.2.2.2, 10.0.0.9".parse().unwrap());
        let find = |peer: &str, nets: &[IpNet]| past_proxies(peer.parse().unwrap(), &headers, nets).to_string();
        assert_eq!(find("10.0.0.1", &nets), "2.2.2.2");
        assert_eq!(find("9.9.9.9", &nets), "9.9.9.9");
        assert_eq!(find("10.0.0.1", &[]), "10.0.0.1");
    }
}
