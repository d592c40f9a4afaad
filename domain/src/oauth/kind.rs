//! The providers that can be set up.

use serde::{Deserialize, Serialize};

/// What sort of provider it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names of well-known sites")]
pub enum ProviderKind {
    Google,
    Github,
    Microsoft,
    Spotify,
    Facebook,
    Discord,
    Gitlab,
    Bitbucket,
    Linkedin,
    Apple,
    X,
    Twitch,
    /// Any issuer of OpenID Connect; an addition to the contract.
    Oidc,
}

impl ProviderKind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Google,
        Self::Github,
        Self::Microsoft,
        Self::Spotify,
        Self::Facebook,
        Self::Discord,
        Self::Gitlab,
        Self::Bitbucket,
        Self::Linkedin,
        Self::Apple,
        Self::X,
        Self::Twitch,
        Self::Oidc,
    ];
    /// Those for which the installation may have clients of its own that projects share (wire/auth §11).
    pub const SHARED: [Self; 4] = [Self::Google, Self::Github, Self::Microsoft, Self::Spotify];

    /// As config and wire spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Github => "github",
            Self::Microsoft => "microsoft",
            Self::Spotify => "spotify",
            Self::Facebook => "facebook",
            Self::Discord => "discord",
            Self::Gitlab => "gitlab",
            Self::Bitbucket => "bitbucket",
            Self::Linkedin => "linkedin",
            Self::Apple => "apple",
            Self::X => "x",
            Self::Twitch => "twitch",
            Self::Oidc => "oidc",
        }
    }

    /// The provider of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projects::OAUTH_PROVIDERS;

    #[test]
    fn every_type_of_the_config_is_known_and_ours_is_the_last() {
        let names: Vec<_> = ProviderKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.split_last(), Some((&"oidc", OAUTH_PROVIDERS)));
        assert!(ProviderKind::ALL.iter().all(|kind| ProviderKind::parse(kind.as_str()) == Some(*kind)));
        assert_eq!(serde_json::to_value(ProviderKind::Linkedin).unwrap(), "linkedin");
    }
}
