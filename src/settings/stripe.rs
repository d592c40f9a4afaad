//! The settings of payments.

use secrecy::SecretString;
use url::Url;

use super::{STRIPE_API_BASE, STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET, Stripe, reader::Reader};

/// Stripe's are longer; shorter ones can be guessed.
const MIN_WEBHOOK_SECRET_CHARS: usize = 20;

impl Reader {
    /// Stripe: the key, and where it is good for.
    pub(super) fn stripe(&mut self) -> Option<Stripe> {
        let (key, base) = (self.text(STRIPE_SECRET_KEY), self.text(STRIPE_API_BASE));
        let key = match (key, &base) {
            (None, None) => return None,
            (Some(_), _) if !cfg!(feature = "stripe") => {
                self.wrong.push(format!("{STRIPE_SECRET_KEY}: this program was built without the feature `stripe`"));
                return None;
            }
            (Some(key), _) => key,
            (None, Some(_)) => {
                self.wrong.push(format!("{STRIPE_SECRET_KEY} is missing: {STRIPE_API_BASE} needs it"));
                return None;
            }
        };
        // A restricted key will do; a publishable one opens nothing.
        let fits = ["sk_", "rk_"].iter().any(|prefix| key.starts_with(prefix));
        if !fits || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.wrong.push(format!("{STRIPE_SECRET_KEY} must be a secret key of Stripe, as sk_live_… or rk_live_…"));
        }
        let api_base = base.unwrap_or_else(|| "https://api.stripe.com".to_owned()).parse::<Url>().ok().filter(|url| {
            let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
            matches!(url.scheme(), "http" | "https") && url.has_host() && is_bare && url.fragment().is_none()
        });
        if api_base.is_none() {
            self.wrong.push(format!("{STRIPE_API_BASE} must be an http or https URL, as https://api.stripe.com"));
        }
        Some(Stripe { api_base: api_base?, secret_key: key.into() })
    }

    /// What signs the events of Stripe.
    pub(super) fn stripe_webhook_secrets(&mut self) -> Vec<SecretString> {
        let Some(text) = self.text(STRIPE_WEBHOOK_SECRET) else { return Vec::new() };
        let secrets: Vec<_> = text.split(',').map(|secret| secret.trim().to_owned()).collect();
        if secrets.iter().any(|secret| !secret.starts_with("whsec_") || secret.len() < MIN_WEBHOOK_SECRET_CHARS) {
            self.wrong.push(format!(
                "{STRIPE_WEBHOOK_SECRET} must be the signing secret that Stripe shows for the endpoint, as whsec_…, or new,old"
            ));
        }
        secrets.into_iter().map(SecretString::from).collect()
    }
}
