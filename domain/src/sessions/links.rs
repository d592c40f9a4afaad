//! Links in mails that carry a code: to the callback URL that the caller gave, or to a plain page of our own.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{
    Deps, ProjectId,
    error::Result,
    projects::{self, ProjectConfig},
};

/// The parameter that carries the code.
const CODE: &str = "code";

/// Where the link in a mail leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkTarget {
    /// A URL of the application, which must be trusted. It gets the code in its parameter `code`.
    Callback(String),
    /// The page of this server that does the same without an application. For callers who gave no callback URL.
    OwnPage,
}

impl LinkTarget {
    /// The callback URL when there is one, else our own page.
    #[must_use]
    pub fn or_own_page(callback_url: Option<String>) -> Self {
        callback_url.map_or(Self::OwnPage, Self::Callback)
    }

    /// Where to, once trust is settled. `page` is the path of our own page.
    pub(crate) fn resolve(
        &self,
        deps: &Deps,
        config: &ProjectConfig,
        project_id: &ProjectId,
        page: &str,
    ) -> Result<TrustedTarget> {
        match self {
            Self::Callback(url) => TrustedTarget::callback(config, url),
            Self::OwnPage => {
                let mut url = deps.settings.public_url.clone();
                url.set_path(page);
                // A code is found within its project only.
                url.query_pairs_mut().append_pair("project_id", project_id.as_str());
                Ok(TrustedTarget::own(url))
            }
        }
    }
}

/// A URL that may carry a code.
#[derive(Clone, Debug)]
pub(crate) struct TrustedTarget(Url);

impl TrustedTarget {
    /// A callback URL that the project trusts.
    fn callback(config: &ProjectConfig, url: &str) -> Result<Self> {
        Ok(Self(projects::trusted_url(config, url)?))
    }

    /// A page of our own.
    pub(crate) fn own(url: Url) -> Self {
        Self(url)
    }

    /// The link, with the code in place of one that was there.
    pub(crate) fn with_code(&self, code: &SecretString) -> SecretString {
        let mut url = self.0.clone();
        if url.query_pairs().any(|(name, _)| name == CODE) {
            // Written anew only when it must be: encoding a query again may change it.
            let others: Vec<_> = self.0.query_pairs().filter(|(name, _)| name != CODE).collect();
            url.query_pairs_mut().clear().extend_pairs(others);
        }
        url.query_pairs_mut().append_pair(CODE, code.expose_secret());
        String::from(url).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_replaces_one_that_was_there_and_leaves_the_rest_alone() {
        for (callback, link) in [
            ("https://a.example/verify", "https://a.example/verify?code=abc"),
            ("https://a.example/?x=a%20b#top", "https://a.example/?x=a%20b&code=abc#top"),
            ("https://a.example/?code=old&x=1&code=older", "https://a.example/?x=1&code=abc"),
        ] {
            let target = TrustedTarget(callback.parse().unwrap());
            assert_eq!(target.with_code(&"abc".to_owned().into()).expose_secret(), link);
        }
    }
}
