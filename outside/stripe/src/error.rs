//! What a failed call means.

use postern_domain::ports::stripe::StripeError;

use crate::TIMEOUT;

/// How much is told of what was answered.
const MAX_DETAIL_CHARS: usize = 500;

/// What a failed call means.
pub(crate) fn failed(error: stripe::StripeError) -> StripeError {
    match error {
        stripe::StripeError::Stripe(error, status) => {
            let code = error.code.as_ref().map_or("", |code| code.as_str());
            // A key that was used for something else has no code, only this type.
            let kind = error.type_.as_str();
            let code = if code.is_empty() && kind == "idempotency_error" { kind } else { code };
            by_status(status, code, error.message.as_deref().unwrap_or_default())
        }
        stripe::StripeError::Timeout => StripeError::Unavailable(format!("no answer within {} s", TIMEOUT.as_secs())),
        stripe::StripeError::ClientError(what) => StripeError::Unavailable(format!("no answer: {}", told(&what))),
        // Of a failed call whose error cannot be read, the client does not tell the status. Most such answers come from
        // something on the way, which says nothing of the call.
        stripe::StripeError::JSONDeserialize(what) => {
            StripeError::Unavailable(format!("it failed, and does not say why: {}", told(&what)))
        }
        stripe::StripeError::ConfigError(what) => {
            StripeError::Refused { code: String::new(), message: format!("it cannot be asked: {}", told(&what)) }
        }
    }
}

/// An answer that is not of the shape that was expected. It may be done all the same.
pub(crate) fn unreadable(error: &serde_path_to_error::Error<serde_json::Error>) -> StripeError {
    StripeError::Unavailable(format!("the answer cannot be read: {}", told(&error.to_string())))
}

/// What an answer means by its status and code. That it takes time (408), that the same call or the object is in use (409, 424),
/// that it is too much (429) and faults of the server's own pass; everything else stays until somebody changes something.
fn by_status(status: u16, code: &str, message: &str) -> StripeError {
    let reason = || format!("it answered {status} {code} {}", told(message)).trim_end().replace("  ", " ");
    match (status, code) {
        (408 | 409 | 424 | 429 | 500.., _) => StripeError::Unavailable(reason()),
        (404, _) | (_, "resource_missing") | (403, "account_invalid") => StripeError::NotFound(reason()),
        (401 | 403, _) => StripeError::Unauthorized(reason()),
        _ => StripeError::Refused { code: code.to_owned(), message: told(message) },
    }
}

/// Text of somebody else's that may be shown: bounded, and without what looks like a key. Stripe masks keys in its answers;
/// whether everybody on the way does, is not known.
fn told(text: &str) -> String {
    let is_key = |word: &str| ["sk_", "rk_", "_secret_"].iter().any(|mark| word.contains(mark));
    let words: Vec<_> = text.split(' ').map(|word| if is_key(word) { "[key]" } else { word }).collect();
    words.join(" ").chars().take(MAX_DETAIL_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again_and_what_stays_is_not() {
        for status in [408, 409, 424, 429, 500, 502, 503, 504] {
            assert!(matches!(by_status(status, "", "oops"), StripeError::Unavailable(_)), "{status}");
        }
        for (status, code) in
            [(404, ""), (404, "resource_missing"), (400, "resource_missing"), (403, "account_invalid")]
        {
            assert!(matches!(by_status(status, code, ""), StripeError::NotFound(_)), "{status} {code}");
        }
        for (status, code) in [(401, ""), (403, ""), (403, "more_permissions_required")] {
            assert!(matches!(by_status(status, code, ""), StripeError::Unauthorized(_)), "{status} {code}");
        }
        for (status, code) in [(400, ""), (402, "card_declined"), (400, "charge_already_refunded"), (308, "")] {
            let refused = StripeError::Refused { code: code.to_owned(), message: "why".to_owned() };
            assert_eq!(by_status(status, code, "why"), refused);
        }
        for error in [
            stripe::StripeError::Timeout,
            stripe::StripeError::ClientError("reset".to_owned()),
            stripe::StripeError::JSONDeserialize("<html>".to_owned()),
        ] {
            assert!(matches!(failed(error), StripeError::Unavailable(_)));
        }
    }

    #[test]
    fn what_is_told_is_bounded_and_holds_no_key() {
        let long = by_status(500, "", &"x".repeat(10_000)).to_string();
        assert!(long.chars().count() < 600, "{long}");
        let error = by_status(401, "", "Invalid API Key provided: 'sk_live_abc', or rk_live_abc").to_string();
        assert!(!error.contains("abc") && error.contains("Invalid API Key provided: [key] or"), "{error}");
    }
}
