//! Pages that exist in local mode only, and answer only to names of this machine: a page elsewhere that makes its own
//! name resolve to this machine (DNS rebinding) is still not answered.

use axum::{
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::Response,
};

use crate::{app::Gateway, layers};

/// The names, with brackets as in `Host` (RFC 9110 §7.2).
const LOCAL_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Hides the routes below unless this is local mode and the request names this machine.
pub(crate) async fn local_only(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    if is_local(&gateway, &request) {
        return next.run(request).await;
    }
    layers::unknown_path().await
}

/// Whether this is local mode and the request names this machine.
pub(crate) fn is_local(gateway: &Gateway, request: &Request) -> bool {
    gateway.deps.settings.local_mode && names_this_machine(request)
}

fn names_this_machine(request: &Request) -> bool {
    let named = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    // HTTP/2 has the name in the URI.
    named.or_else(|| request.uri().authority().map(|authority| authority.as_str())).is_some_and(is_local_host)
}

fn is_local_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    LOCAL_HOSTS.iter().any(|local| name.eq_ignore_ascii_case(local))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_count() {
        for host in ["localhost", "LOCALHOST:8102", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8102"] {
            assert!(is_local_host(host), "{host}");
        }
        for host in [
            "",
            "localhost.evil.example",
            "evil.example",
            "evil.example:8102",
            "127.0.0.1.evil.example",
            "127.0.0.2",
            "::1",
            "localhost:",
            "localhost:80@evil.example",
            "[::1].evil.example",
            "user@localhost",
        ] {
            assert!(!is_local_host(host), "{host}");
        }
    }
}
