//! The settings of sites that people sign in with: the installation's clients there, which projects share.

use std::collections::BTreeMap;

use postern_domain::{oauth::ProviderKind, settings::SharedOAuthClient};
use url::Url;

use super::{OAUTH_CLIENTS, OAUTH_SHARED_TOKENS, OAUTH_STAND_IN, reader::Reader};

/// What the settings say of other sites.
pub(super) struct OAuthSettings {
    pub(super) shared: BTreeMap<ProviderKind, SharedOAuthClient>,
    pub(super) gives_tokens: bool,
    pub(super) stand_in: Option<Url>,
}

impl Reader {
    /// The shared clients, each with its secret, and what stands in for the sites when something is tried out.
    pub(super) fn oauth(&mut self, local_mode: bool) -> OAuthSettings {
        let mut shared = BTreeMap::new();
        for (kind, [id_name, secret_name]) in ProviderKind::SHARED.into_iter().zip(OAUTH_CLIENTS) {
            match (self.text(id_name), self.text(secret_name)) {
                (Some(id), Some(secret)) => drop(shared.insert(kind, SharedOAuthClient { id, secret: secret.into() })),
                (Some(_), None) => self.wrong.push(format!("{secret_name} is missing: {id_name} needs it")),
                (None, Some(_)) => self.wrong.push(format!("{id_name} is missing: {secret_name} needs it")),
                (None, None) => {}
            }
        }
        let gives_tokens = self.switch(OAUTH_SHARED_TOKENS, false);
        let stand_in = self.text(OAUTH_STAND_IN);
        if stand_in.is_some() && !local_mode {
            self.wrong.push(format!("{OAUTH_STAND_IN} is for trying things out, in local mode only"));
        }
        let stand_in = stand_in.and_then(|text| match Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
            _ => {
                self.wrong.push(format!("{OAUTH_STAND_IN} must be an http or https URL"));
                None
            }
        });
        OAuthSettings { shared, gives_tokens, stand_in }
    }
}
