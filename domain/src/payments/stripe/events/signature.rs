//! The signature of what Stripe posts: `t=<seconds>,v1=<hex>,…` over `<seconds>.<body>` (wire: payments §9). Checked here
//! and not by the client library, which checks only together with parsing the event into the objects of its own version of
//! Stripe's API; nothing of those is believed, and an event of another version must not be refused for its shape.

use ring::hmac;

use crate::{
    Failure, Timestamp,
    error::{Result, refuse},
};

/// How far the time of a signature may lie from now, in seconds.
pub const TOLERANCE_SECONDS: i64 = 300;
/// Signatures that are looked at: two secrets during a rotation make two.
const MAX_SIGNATURES: usize = 10;

/// # Errors
/// `BAD_REQUEST` when no signature fits any of the secrets, or its time is not now.
pub(super) fn verify<'a>(
    header: &str,
    body: &[u8],
    secrets: impl Iterator<Item = &'a str> + Clone,
    now: Timestamp,
) -> Result<()> {
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let time = parts().find(|(name, _)| *name == "t").and_then(|(_, value)| Some((value, value.parse::<i64>().ok()?)));
    let Some((text, seconds)) = time else {
        return refuse(Failure::bad_request("The signature does not say when it was made."));
    };
    let signatures = parts().filter(|(name, _)| *name == "v1").filter_map(|(_, value)| hex::decode(value).ok());
    let signed = [text.as_bytes(), b".", body].concat();
    // All of them, in constant time each.
    let fits = signatures.take(MAX_SIGNATURES).any(|signature| {
        secrets.clone().any(|secret| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            hmac::verify(&key, &signed, &signature).is_ok()
        })
    });
    if !fits {
        return refuse(Failure::bad_request("The signature does not fit the body."));
    }
    if now.seconds().abs_diff(seconds) > TOLERANCE_SECONDS.unsigned_abs() {
        return refuse(Failure::bad_request("The signature was not made just now."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn sign(secret: &str, at: i64, body: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        hex::encode(hmac::sign(&key, format!("{at}.{body}").as_bytes()))
    }

    fn fits(header: &str, body: &str) -> bool {
        verify(header, body.as_bytes(), ["whsec_new", "whsec_old"].into_iter(), NOW).is_ok()
    }

    #[test]
    fn either_secret_and_any_of_several_signatures_will_do() {
        let at = NOW.seconds();
        let [new, old, other] = ["whsec_new", "whsec_old", "whsec_other"].map(|secret| sign(secret, at, "{}"));
        for header in
            [format!("t={at},v1={new}"), format!("t={at},v1={old},v0=abc"), format!("v1={other}, v1={new}, t={at}")]
        {
            assert!(fits(&header, "{}"), "{header}");
        }
        for header in [
            String::new(),
            format!("t={at}"),
            format!("v1={new}"),
            format!("t={at},v1={other}"),
            format!("t={at},v0={new}"),
            format!("t={},v1={new}", at + 1),
            format!("t=,v1={new}"),
            format!("t={at},v1={}", &new[..62]),
            format!("t={at},v1=zz"),
        ] {
            assert!(!fits(&header, "{}"), "{header}");
        }
        assert!(!fits(&format!("t={at},v1={new}"), "{} "));
    }

    #[test]
    fn five_minutes_either_way_are_now() {
        for (at, is_now) in [(-301, false), (-300, true), (0, true), (300, true), (301, false)] {
            let at = NOW.seconds() + at;
            assert_eq!(fits(&format!("t={at},v1={}", sign("whsec_new", at, "{}")), "{}"), is_now, "{at}");
        }
    }
}
