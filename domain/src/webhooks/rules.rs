//! What an endpoint may look like. Pure. Sources: wire/webhooks §5.1, §7.4; design §4.10.

use std::{collections::BTreeSet, net::IpAddr};

use url::{Host, Url};

use super::{matching, shape::Shape};
use crate::{network, settings::Settings};

/// What is wrong with a value, to be put behind the name of its field.
type Checked<T> = std::result::Result<T, String>;

/// The most endpoints of one project. An event writes one delivery for each, in one transaction.
pub const MAX_ENDPOINTS: u64 = 100;
/// The longest URL of an endpoint, in characters.
pub const MAX_URL_CHARS: usize = 2048;
/// The longest description, in characters.
pub(super) const MAX_DESCRIPTION_CHARS: usize = 1000;
/// The highest rate that can be asked for, in deliveries a second.
const MAX_RATE: i32 = 10_000;
const MAX_CHANNELS: usize = 10;
const MAX_CHANNEL_CHARS: usize = 128;
/// The most headers that the owner may add, and the sizes of their parts in bytes.
pub(super) const MAX_HEADERS: usize = 50;
const MAX_HEADER_NAME_BYTES: usize = 100;
const MAX_HEADER_VALUE_BYTES: usize = 4096;

const REFUSED_HEADERS: &[&str] = &[
    "age",
    "cache-control",
    "clear-site-data",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-type",
    "expires",
    "host",
    "keep-alive",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "warning",
];
const REFUSED_HEADER_PREFIXES: &[&str] =
    &["svix-", "x-svix-", "webhook-", "x-amz-", "x-amzn-", "x-google", "x-goog-", "x-gfe", "x-azure-", "x-fd-"];
const SENSITIVE_HEADERS: &[&str] = &["authorization", "x-auth-token", "x-api-key", "www-authenticate"];
const SENSITIVE_HEADER_PREFIX: &str = "proxy-";

/// The URL of an endpoint, normalised. An address in it must be one that outgoing calls may reach; a name is looked up at
/// each connection only, because it can change its meaning.
pub(super) fn url(text: &str, settings: &Settings) -> Checked<String> {
    if text.chars().count() > MAX_URL_CHARS {
        return Err(format!("must have at most {MAX_URL_CHARS} characters"));
    }
    let url = Url::parse(text).map_err(|error| format!("must be an absolute URL: {error}"))?;
    match url.scheme() {
        "https" => {}
        "http" if settings.webhooks_https_only => return Err("must begin with https://".to_owned()),
        "http" => {}
        _ => return Err("must begin with http:// or https://".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold credentials; use a header".to_owned());
    }
    if url.fragment().is_some() {
        return Err("must not have a fragment".to_owned());
    }
    let address: Option<IpAddr> = match url.host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(address.into()),
        Some(Host::Domain(_)) => None,
        None => return Err("must have a host".to_owned()),
    };
    if let Some(class) = address.and_then(|address| network::refusal(address, &settings.allowed_subnets)) {
        return Err(format!("has {class} address, which outgoing calls may not reach"));
    }
    Ok(url.into())
}

/// Types that can be sent, each once, in the order given.
pub(super) fn filter_types(types: Option<Vec<String>>) -> Checked<Option<Vec<String>>> {
    let Some(types) = types else { return Ok(None) };
    if types.is_empty() {
        return Err("must name at least one event type; leave it out to get all of them".to_owned());
    }
    if let Some(unknown) = types.iter().find(|name| !matching::is_sent(name)) {
        let shown: String = unknown.chars().take(100).collect();
        return Err(format!("names {shown:?}, which is no event type that can be delivered"));
    }
    Ok(Some(each_once(types)))
}

pub(super) fn channels(channels: Option<Vec<String>>) -> Checked<Option<Vec<String>>> {
    let Some(channels) = channels else { return Ok(None) };
    let channels = each_once(channels);
    if !(1..=MAX_CHANNELS).contains(&channels.len()) {
        return Err(format!("must be 1 to {MAX_CHANNELS}; leave them out to get every message"));
    }
    let is_name = |name: &String| {
        (1..=MAX_CHANNEL_CHARS).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    if !channels.iter().all(is_name) {
        return Err(format!("must each be 1 to {MAX_CHANNEL_CHARS} letters, digits, '-', '_', '.' or ':'"));
    }
    Ok(Some(channels))
}

/// At most so many deliveries a second.
pub(super) fn rate_limit(per_second: Option<i32>) -> Checked<()> {
    if per_second.is_none_or(|rate| (1..=MAX_RATE).contains(&rate)) {
        return Ok(());
    }
    Err(format!("must be 1 to {MAX_RATE} deliveries a second; leave it out for no limit"))
}

/// A selection that asks for what the endpoint gets.
pub(super) fn selection(text: Option<&str>, filter_types: Option<&[String]>) -> Checked<()> {
    text.map_or(Ok(()), |text| Shape::checked(text, filter_types).map(drop))
}

/// The name of a header as it is stored: lower case.
pub(super) fn header_name(name: &str) -> Checked<String> {
    let shown: String = name.chars().take(MAX_HEADER_NAME_BYTES).collect();
    if name.is_empty() || name.len() > MAX_HEADER_NAME_BYTES || !name.bytes().all(is_token_byte) {
        return Err(format!("has {shown:?}, which is no header name of 1 to {MAX_HEADER_NAME_BYTES} characters"));
    }
    let name = name.to_ascii_lowercase();
    let refused = REFUSED_HEADERS.contains(&name.as_str())
        || REFUSED_HEADER_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    if refused { Err(format!("has {name:?}, which is not yours to set")) } else { Ok(name) }
}

/// Visible ASCII, spaces and tabs within: what every receiver reads alike (RFC 9110 §5.5).
pub(super) fn header_value(name: &str, value: &str) -> Checked<()> {
    if value.len() > MAX_HEADER_VALUE_BYTES {
        return Err(format!("must give {name:?} a value of at most {MAX_HEADER_VALUE_BYTES} bytes"));
    }
    if !value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) || value.trim() != value {
        return Err(format!("must give {name:?} a value of printable ASCII without spaces around it"));
    }
    Ok(())
}

/// Whether the value of this header is never shown again.
pub(super) fn is_sensitive(name: &str) -> bool {
    SENSITIVE_HEADERS.contains(&name) || name.starts_with(SENSITIVE_HEADER_PREFIX)
}

/// RFC 9110 §5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn each_once(items: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    items.into_iter().filter(|item| seen.insert(item.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::settings;

    fn allowing(allowed: &[&str]) -> Settings {
        let allowed_subnets = allowed.iter().map(|network| network.parse().unwrap()).collect();
        Settings { allowed_subnets, ..settings() }
    }

    #[test]
    fn urls_are_absolute_http_without_credentials_or_fragment() {
        for (text, expected) in [
            ("https://example.com/hook?a=1", Some("https://example.com/hook?a=1")),
            ("http://example.com", Some("http://example.com/")),
            ("HTTPS://EXAMPLE.com:443/", Some("https://example.com/")),
            ("https://93.184.216.34/", Some("https://93.184.216.34/")),
            ("https://bücher.example/", Some("https://xn--bcher-kva.example/")),
            ("", None),
            ("/hook", None),
            ("example.com/hook", None),
            ("ftp://example.com/", None),
            ("file:///etc/passwd", None),
            ("javascript:alert(1)", None),
            ("https://user@example.com/", None),
            ("https://:word@example.com/", None),
            ("https://example.com/#top", None),
            ("https:///", None),
            ("https://exa mple.com/", None),
            ("https://example.com:99999/", None),
        ] {
            assert_eq!(url(text, &allowing(&[])).ok().as_deref(), expected, "{text:?}");
        }
        assert!(url(&format!("https://example.com/{}", "a".repeat(MAX_URL_CHARS)), &allowing(&[])).is_err());
        let https_only = Settings { webhooks_https_only: true, ..allowing(&[]) };
        assert_eq!(url("http://example.com/", &https_only), Err("must begin with https://".to_owned()));
        assert!(url("https://example.com/", &https_only).is_ok());
    }

    #[test]
    fn addresses_that_may_not_be_reached_are_refused_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "017700000001",
            "127.0.0.1.",
            "10.1.2.3",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "[::1]",
            "[::]",
            "[::ffff:10.0.0.1]",
            "[64:ff9b::a00:1]",
            "[2002:a00:1::]",
            "[fe80::1]",
            "[fd00::1]",
        ] {
            let refused = url(&format!("http://{host}/"), &allowing(&[])).unwrap_err();
            assert!(refused.ends_with("address, which outgoing calls may not reach"), "{host}: {refused}");
        }
        assert!(url("http://127.0.0.1:9000/", &allowing(&["127.0.0.0/8"])).is_ok());
    }

    #[test]
    fn filters_name_types_that_can_be_delivered() {
        let list = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>());
        assert_eq!(filter_types(None), Ok(None));
        let wanted = ["user.created", "session.created", "user.created"];
        assert_eq!(filter_types(list(&wanted)), Ok(list(&["user.created", "session.created"])));
        for bad in [list(&[]), list(&["user.exploded"]), list(&["key_set.created"]), list(&["stack.test"])] {
            assert!(filter_types(bad.clone()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn channels_are_few_and_short() {
        let list = |count: usize| Some((0..count).map(|number| format!("c-{number}")).collect::<Vec<_>>());
        assert!(channels(None).is_ok());
        assert!(channels(list(10)).is_ok());
        assert!(channels(list(11)).is_err());
        assert!(channels(list(0)).is_err());
        assert!(channels(Some(vec!["a b".to_owned()])).is_err());
        assert!(channels(Some(vec!["a".repeat(129)])).is_err());
    }

    #[test]
    fn headers_of_ours_and_of_the_transport_are_refused_by_name() {
        for name in REFUSED_HEADERS.iter().copied().chain([
            "Svix-Id",
            "svix-anything",
            "WEBHOOK-signature",
            "x-amz-date",
            "x-amzn-trace",
            "x-googleapis",
            "x-goog-a",
            "x-gfe",
            "x-azure-a",
            "x-fd-a",
            "x-svix-a",
            "",
            "x bad",
            "x:bad",
            "x\r\nbad",
            "ü",
        ]) {
            assert!(header_name(name).is_err(), "{name:?}");
        }
        assert!(header_name(&"a".repeat(MAX_HEADER_NAME_BYTES + 1)).is_err());
        assert_eq!(header_name("X-My-Header").as_deref(), Ok("x-my-header"));
        assert_eq!(header_name("Authorization").as_deref(), Ok("authorization"));
    }

    #[test]
    fn header_values_are_printable() {
        for (value, good) in [
            ("Bearer abc", true),
            ("", true),
            ("a\tb", true),
            ("a\r\nx: y", false),
            ("a\nb", false),
            ("a\0", false),
            ("ü", false),
            (" a", false),
        ] {
            assert_eq!(header_value("x-a", value).is_ok(), good, "{value:?}");
        }
        assert!(header_value("x-a", &"v".repeat(MAX_HEADER_VALUE_BYTES)).is_ok());
        assert!(header_value("x-a", &"v".repeat(MAX_HEADER_VALUE_BYTES + 1)).is_err());
    }

    #[test]
    fn sensitive_headers_are_known() {
        for name in ["authorization", "x-api-key", "x-auth-token", "www-authenticate", "proxy-anything"] {
            assert!(is_sensitive(name), "{name}");
        }
        assert!(!is_sensitive("x-my-header"));
    }
}
