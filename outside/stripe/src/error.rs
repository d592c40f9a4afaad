//! What a failed call means.

use postern_domain::ports::{http::HttpError, stripe::StripeError};
use serde::Deserialize;

/// How much is told of what was answered.
const MAX_DETAIL_CHARS: usize = 500;

/// What Stripe answers to a call that fails (docs.stripe.com/api/errors).
#[derive(Deserialize)]
struct Answer {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    message: Option<String>,
}

/// What a failed call means, by its status and answer.
pub(crate) fn failed(status: u16, answer: &[u8]) -> StripeError {
    let Ok(Answer { error: Reason { kind, code, message } }) = serde_json::from_slice(answer) else {
        // Most such answers come from something on the way, which says nothing of the call.
        return StripeError::Unavailable(format!("it answered {status}, and does not say why"));
    };
    // A key that was used for something else has no code, only this type.
    let code = code.or(kind.filter(|kind| kind == "idempotency_error"));
    by_status(status, code.as_deref().unwrap_or_default(), message.as_deref().unwrap_or_default())
}

/// What it means that no answer came.
pub(crate) fn unanswered(error: HttpError) -> StripeError {
    match error {
        HttpError::Timeout => StripeError::Unavailable("no answer in time".to_owned()),
        HttpError::Connection(what) => StripeError::Unavailable(format!("no answer: {}", told(&what))),
        HttpError::Forbidden(what) => unaskable(&what),
    }
}

/// It cannot even be asked.
pub(crate) fn unaskable(what: &str) -> StripeError {
    StripeError::Refused { code: String::new(), message: format!("it cannot be asked: {}", told(what)) }
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
        for error in [HttpError::Timeout, HttpError::Connection("reset".to_owned())] {
            assert!(matches!(unanswered(error), StripeError::Unavailable(_)));
        }
        assert!(matches!(unanswered(HttpError::Forbidden("ftp:".to_owned())), StripeError::Refused { .. }));
    }

    #[test]
    fn a_reason_is_read_whatever_comes_along_with_it() {
        let declined = br#"{"error": {"code": "card_declined", "decline_code": "of next year", "message": "No.", "type": "card_error",
            "payment_intent": {"object": "payment_intent", "status": "of next year"}}}"#;
        let refused =
            |code: &str, message: &str| StripeError::Refused { code: code.to_owned(), message: message.to_owned() };
        assert_eq!(failed(402, declined), refused("card_declined", "No."));
        let reused = br#"{"error": {"message": "Used.", "type": "idempotency_error"}}"#;
        assert_eq!(failed(400, reused), refused("idempotency_error", "Used."));
        assert_eq!(failed(400, br#"{"error": {"type": "invalid_request_error"}}"#), refused("", ""));
        for strange in [&b"<html>"[..], b"", b"{}", br#"{"error": "no"}"#] {
            assert!(matches!(failed(400, strange), StripeError::Unavailable(_)));
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
