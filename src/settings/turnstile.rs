//! The settings of the challenge that tells people from programs.

use postern_domain::settings::Turnstile;
use url::Url;

use super::{TURNSTILE_REQUIRED, TURNSTILE_SECRET_KEY, TURNSTILE_VERIFY_URL, reader::Reader};

/// Where Cloudflare says whether a token is good.
const VERIFY_URL: &str = "https://challenges.cloudflare.com/turnstile/v0/siteverify";

impl Reader {
    /// Turnstile: the key, and where tokens are checked.
    pub(super) fn turnstile(&mut self) -> Option<Turnstile> {
        let key = self.text(TURNSTILE_SECRET_KEY);
        let verify_url: Option<Url> = self.parsed(TURNSTILE_VERIFY_URL, VERIFY_URL, "a URL");
        let is_required = self.switch(TURNSTILE_REQUIRED, false);
        if let Some(url) = &verify_url
            && (!matches!(url.scheme(), "http" | "https") || !url.has_host())
        {
            self.wrong.push(format!("{TURNSTILE_VERIFY_URL} must be an http or https URL, as {VERIFY_URL}"));
        }
        let Some(key) = key else {
            let besides =
                [(is_required, TURNSTILE_REQUIRED), (self.text(TURNSTILE_VERIFY_URL).is_some(), TURNSTILE_VERIFY_URL)];
            for (_, name) in besides.into_iter().filter(|(is_set, _)| *is_set) {
                self.wrong.push(format!("{TURNSTILE_SECRET_KEY} is missing: {name} needs it"));
            }
            return None;
        };
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.wrong.push(format!("{TURNSTILE_SECRET_KEY} must be the secret key of a site at Turnstile"));
        }
        Some(Turnstile { secret_key: key.into(), verify_url: verify_url?, is_required })
    }
}
