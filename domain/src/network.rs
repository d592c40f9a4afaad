//! Which addresses outgoing calls to hosts that tenants chose may reach: globally routed ones, and the networks that the
//! operator allowed. Pure; resolving names and connecting are the business of `outside`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// IPv4 networks that are not globally reachable and that the standard library has no stable test for.
/// Source: IANA IPv4 Special-Purpose Address Registry.
const V4_SPECIAL: &[(Ipv4Net, &str)] = &[
    (Ipv4Net::new_assert(Ipv4Addr::new(0, 0, 0, 0), 8), "an unspecified"), // RFC 791 §3.2
    (Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10), "a carrier-grade NAT"), // RFC 6598
    (Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 0, 0), 24), "a protocol-assignment"), // RFC 6890 §2.1
    (Ipv4Net::new_assert(Ipv4Addr::new(192, 88, 99, 0), 24), "a 6to4 relay"), // RFC 7526
    (Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15), "a benchmarking"), // RFC 2544
    (Ipv4Net::new_assert(Ipv4Addr::new(240, 0, 0, 0), 4), "a reserved"),   // RFC 1112 §4
];

/// The only IPv6 network that is routed globally (RFC 4291 §2.4).
const V6_GLOBAL: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Networks within [`V6_GLOBAL`] that lead elsewhere. Source: IANA IPv6 Special-Purpose Address Registry.
const V6_SPECIAL: &[(Ipv6Net, &str)] = &[
    (Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32), "a Teredo"), // RFC 4380: embeds an IPv4 address
    (Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), "a protocol-assignment"), // RFC 2928
    (Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), "a documentation"), // RFC 3849
    (Ipv6Net::new_assert(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), "a 6to4"), // RFC 3056: embeds an IPv4 address
    (Ipv6Net::new_assert(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), "a documentation"), // RFC 9637
];

/// Forms outside [`V6_GLOBAL`] that reach an IPv4 host; named so that the refusal says what it met.
const V6_EMBEDDING: &[(Ipv6Net, &str)] = &[
    (Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96), "an IPv4-mapped"), // RFC 4291 §2.5.5.2
    (Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96), "a NAT64"),     // RFC 6052
    (Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48), "a NAT64"),     // RFC 8215
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 96), "an IPv4-compatible"),                  // RFC 4291 §2.5.5.1
];

/// Why `address` may not be reached, as an adjective with its article ("a private", to be followed by "address"); `None`
/// when it may. `allowed` are the operator's networks; they are compared with the address as it is, so allowing
/// `127.0.0.0/8` does not allow `::ffff:127.0.0.1`.
#[must_use]
pub fn refusal(address: IpAddr, allowed: &[IpNet]) -> Option<&'static str> {
    if allowed.iter().any(|network| network.contains(&address)) {
        return None;
    }
    match address {
        IpAddr::V4(address) => v4_class(address),
        IpAddr::V6(address) => v6_class(address),
    }
}

fn v4_class(address: Ipv4Addr) -> Option<&'static str> {
    if address.is_private() {
        Some("a private")
    } else if address.is_loopback() {
        Some("a loopback")
    } else if address.is_link_local() {
        Some("a link-local")
    } else if address.is_multicast() {
        Some("a multicast")
    } else if address.is_broadcast() {
        Some("a broadcast")
    } else if address.is_documentation() {
        Some("a documentation")
    } else {
        V4_SPECIAL.iter().find(|(network, _)| network.contains(&address)).map(|(_, class)| *class)
    }
}

fn v6_class(address: Ipv6Addr) -> Option<&'static str> {
    if V6_GLOBAL.contains(&address) {
        return V6_SPECIAL.iter().find(|(network, _)| network.contains(&address)).map(|(_, class)| *class);
    }
    if address.is_unspecified() {
        Some("an unspecified")
    } else if address.is_loopback() {
        Some("a loopback")
    } else if address.is_unique_local() {
        Some("a private")
    } else if address.is_unicast_link_local() {
        Some("a link-local")
    } else if address.is_multicast() {
        Some("a multicast")
    } else {
        let embedding = V6_EMBEDDING.iter().find(|(network, _)| network.contains(&address));
        Some(embedding.map_or("a reserved", |(_, class)| *class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(address: &str) -> Option<&'static str> {
        refusal(address.parse().unwrap(), &[])
    }

    #[test]
    fn global_addresses_may_be_reached() {
        for address in
            ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "223.255.255.255"]
        {
            assert_eq!(class(address), None, "{address}");
        }
        for address in ["2606:4700:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888", "2001:200::1", "2003::1"] {
            assert_eq!(class(address), None, "{address}");
        }
    }

    #[test]
    fn every_special_form_is_refused_by_its_name() {
        let table = [
            ("0.0.0.0", "an unspecified"),
            ("0.1.2.3", "an unspecified"),
            ("10.0.0.1", "a private"),
            ("172.16.0.1", "a private"),
            ("172.31.255.255", "a private"),
            ("192.168.1.1", "a private"),
            ("127.0.0.1", "a loopback"),
            ("127.255.255.254", "a loopback"),
            ("169.254.169.254", "a link-local"),
            ("100.64.0.1", "a carrier-grade NAT"),
            ("100.127.255.255", "a carrier-grade NAT"),
            ("192.0.0.8", "a protocol-assignment"),
            ("192.0.2.1", "a documentation"),
            ("198.51.100.1", "a documentation"),
            ("203.0.113.1", "a documentation"),
            ("192.88.99.1", "a 6to4 relay"),
            ("198.18.0.1", "a benchmarking"),
            ("198.19.255.255", "a benchmarking"),
            ("224.0.0.1", "a multicast"),
            ("239.255.255.255", "a multicast"),
            ("240.0.0.1", "a reserved"),
            ("255.255.255.255", "a broadcast"),
            ("::", "an unspecified"),
            ("::1", "a loopback"),
            ("::8.8.8.8", "an IPv4-compatible"),
            ("::ffff:8.8.8.8", "an IPv4-mapped"),
            ("::ffff:127.0.0.1", "an IPv4-mapped"),
            ("64:ff9b::8.8.8.8", "a NAT64"),
            ("64:ff9b:1::1", "a NAT64"),
            ("100::1", "a reserved"),
            ("2001::1", "a Teredo"),
            ("2001:2::1", "a protocol-assignment"),
            ("2001:20::1", "a protocol-assignment"),
            ("2001:db8::1", "a documentation"),
            ("2002:7f00:1::1", "a 6to4"),
            ("3fff::1", "a documentation"),
            ("4000::1", "a reserved"),
            ("5f00::1", "a reserved"),
            ("fc00::1", "a private"),
            ("fd12:3456::1", "a private"),
            ("fe80::1", "a link-local"),
            ("fec0::1", "a reserved"),
            ("ff02::1", "a multicast"),
        ];
        for (address, expected) in table {
            assert_eq!(class(address), Some(expected), "{address}");
        }
    }

    #[test]
    fn an_allowed_network_opens_itself_and_nothing_else() {
        let allowed = ["127.0.0.0/8".parse().unwrap(), "fd00:1::/32".parse().unwrap()];
        for (address, reachable) in [
            ("127.0.0.1", true),
            ("10.0.0.1", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("fd00:1::5", true),
            ("fd00:2::5", false),
            ("8.8.8.8", true),
        ] {
            assert_eq!(refusal(address.parse().unwrap(), &allowed).is_none(), reachable, "{address}");
        }
    }
}
