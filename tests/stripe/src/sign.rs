//! How Stripe signs what it posts.

use ring::hmac;

/// The header `stripe-signature` for a payload that is posted at this second: the time, and HMAC-SHA256 over time, dot and
/// payload.
///
/// ```
/// let header = postern_fake_stripe::sign(b"{}", "whsec_test", 1_700_000_000);
/// assert!(header.starts_with("t=1700000000,v1="));
/// ```
#[must_use]
pub fn sign(payload: &[u8], secret: &str, at: i64) -> String {
    let mut signing = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
    signing.update(format!("{at}.").as_bytes());
    signing.update(payload);
    format!("t={at},v1={}", hex::encode(signing.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_other_tools_make() {
        // printf '1700000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test
        let expected = "t=1700000000,v1=c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925";
        assert_eq!(sign(br#"{"id":"evt_1"}"#, "whsec_test", 1_700_000_000), expected);
    }
}
