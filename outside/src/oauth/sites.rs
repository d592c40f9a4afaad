//! The providers that are known by name: where they are, what is asked of users, and how they tell who somebody is. What is
//! peculiar to one of them stands in its row.

use postern_domain::oauth::ProviderKind;

/// A provider that is known by name.
pub(super) struct Site {
    /// Where browsers go (RFC 6749 §3.1). `{tenant}` is replaced.
    pub(super) authorize: &'static str,
    /// Where codes are taken (RFC 6749 §3.2). `{tenant}` is replaced.
    pub(super) token: &'static str,
    /// What is asked of every user.
    pub(super) scopes: &'static [&'static str],
    /// Parameters of the way there besides those of the standards.
    pub(super) parameters: &'static [(&'static str, &'static str)],
    /// Scopes that others are part of, which are then not told.
    pub(super) implied_scopes: &'static [(&'static str, &'static [&'static str])],
    /// Whether it knows proof keys (RFC 7636).
    pub(super) takes_proof: bool,
    /// Whether our credentials go into the header of the call and not into its body (RFC 6749 §2.3.1).
    pub(super) wants_basic: bool,
    /// Who somebody is.
    pub(super) identity: Identity,
}

/// How a provider tells who somebody is.
pub(super) enum Identity {
    /// By a resource that the access token opens.
    Profile(Profile),
    /// By an ID token of this issuer, signed by one of the keys at this address.
    IdToken { issuer: &'static str, keys: &'static str },
}

/// A resource that tells of the account, by JSON pointers (RFC 6901) into it.
pub(super) struct Profile {
    pub(super) url: &'static str,
    /// A text or a number.
    pub(super) id: &'static str,
    /// The first that is there.
    pub(super) name: &'static [&'static str],
    pub(super) picture: &'static str,
    /// The first that is there.
    pub(super) email: &'static [&'static str],
    pub(super) verified: Verified,
    /// Where addresses are listed, if not above.
    pub(super) emails: Option<Emails>,
    /// Whether nobody comes in without an address.
    pub(super) needs_email: bool,
}

/// When an address counts as proven.
pub(super) enum Verified {
    Never,
    Always,
    /// When this is true.
    Flag(&'static str),
    /// When there is something.
    Present(&'static str),
}

/// A resource that lists addresses, by pointers into it and its entries.
pub(super) struct Emails {
    pub(super) url: &'static str,
    pub(super) list: &'static str,
    pub(super) address: &'static str,
    pub(super) is_primary: &'static str,
    pub(super) is_verified: &'static str,
}

const PLAIN: Profile = Profile {
    url: "",
    id: "/id",
    name: &["/name"],
    picture: "",
    email: &["/email"],
    verified: Verified::Never,
    emails: None,
    needs_email: false,
};

/// Claims of OpenID Connect (Core 1.0 §5.1), as some answer that speak it only in part.
pub(super) const CLAIMS: Profile =
    Profile { id: "/sub", picture: "/picture", verified: Verified::Flag("/email_verified"), ..PLAIN };

const SITE: Site = Site {
    authorize: "",
    token: "",
    scopes: &[],
    parameters: &[],
    implied_scopes: &[],
    takes_proof: true,
    wants_basic: false,
    identity: Identity::Profile(PLAIN),
};

/// The row of a provider; none for one that is found by its issuer.
pub(super) fn site(kind: ProviderKind) -> Option<&'static Site> {
    Some(match kind {
        ProviderKind::Google => &GOOGLE,
        ProviderKind::Github => &GITHUB,
        ProviderKind::Microsoft => &MICROSOFT,
        ProviderKind::Spotify => &SPOTIFY,
        ProviderKind::Facebook => &FACEBOOK,
        ProviderKind::Discord => &DISCORD,
        ProviderKind::Gitlab => &GITLAB,
        ProviderKind::Bitbucket => &BITBUCKET,
        ProviderKind::Linkedin => &LINKEDIN,
        ProviderKind::Apple => &APPLE,
        ProviderKind::X => &X,
        ProviderKind::Twitch => &TWITCH,
        ProviderKind::Oidc => return None,
    })
}

/// A refresh token comes with the user's consent only, which is asked for each time therefore.
static GOOGLE: Site = Site {
    authorize: "https://accounts.google.com/o/oauth2/v2/auth",
    token: "https://oauth2.googleapis.com/token",
    scopes: &["https://www.googleapis.com/auth/userinfo.email", "https://www.googleapis.com/auth/userinfo.profile"],
    parameters: &[("access_type", "offline"), ("include_granted_scopes", "true"), ("prompt", "consent")],
    identity: Identity::Profile(Profile { url: "https://openidconnect.googleapis.com/v1/userinfo", ..CLAIMS }),
    ..SITE
};

static GITHUB: Site = Site {
    authorize: "https://github.com/login/oauth/authorize",
    token: "https://github.com/login/oauth/access_token",
    scopes: &["user:email"],
    implied_scopes: &[
        ("user", &["read:user", "user:email", "user:follow"]),
        ("repo", &["public_repo", "repo:invite", "repo:status", "repo_deployment", "security_events"]),
        ("admin:org", &["write:org", "read:org"]),
        ("write:org", &["read:org"]),
    ],
    identity: Identity::Profile(Profile {
        url: "https://api.github.com/user",
        name: &["/name", "/login"],
        picture: "/avatar_url",
        // The address of the profile is the one to show, which may be none of the account's.
        email: &[],
        emails: Some(Emails {
            url: "https://api.github.com/user/emails",
            list: "",
            address: "/email",
            is_primary: "/primary",
            is_verified: "/verified",
        }),
        ..PLAIN
    }),
    ..SITE
};

/// Whoever runs a tenant writes into its users' profiles what they like, addresses too.
static MICROSOFT: Site = Site {
    authorize: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
    token: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
    scopes: &["User.Read", "openid"],
    identity: Identity::Profile(Profile {
        url: "https://graph.microsoft.com/v1.0/me",
        name: &["/displayName"],
        email: &["/mail", "/userPrincipalName"],
        ..PLAIN
    }),
    ..SITE
};

static SPOTIFY: Site = Site {
    authorize: "https://accounts.spotify.com/authorize",
    token: "https://accounts.spotify.com/api/token",
    scopes: &["user-read-email", "user-read-private"],
    wants_basic: true,
    identity: Identity::Profile(Profile {
        url: "https://api.spotify.com/v1/me",
        name: &["/display_name"],
        picture: "/images/0/url",
        ..PLAIN
    }),
    ..SITE
};

static FACEBOOK: Site = Site {
    authorize: "https://www.facebook.com/v23.0/dialog/oauth",
    token: "https://graph.facebook.com/v23.0/oauth/access_token",
    scopes: &["openid", "public_profile", "email"],
    identity: Identity::Profile(Profile {
        url: "https://graph.facebook.com/v23.0/me?fields=id,name,email,picture",
        picture: "/picture/data/url",
        needs_email: true,
        ..PLAIN
    }),
    ..SITE
};

static DISCORD: Site = Site {
    authorize: "https://discord.com/oauth2/authorize",
    token: "https://discord.com/api/oauth2/token",
    scopes: &["identify", "email"],
    identity: Identity::Profile(Profile {
        url: "https://discord.com/api/users/@me",
        name: &["/global_name", "/username"],
        // Only a part of the address, which is put together in `profile.rs`.
        picture: "/avatar",
        verified: Verified::Flag("/verified"),
        ..PLAIN
    }),
    ..SITE
};

static GITLAB: Site = Site {
    authorize: "https://gitlab.com/oauth/authorize",
    token: "https://gitlab.com/oauth/token",
    scopes: &["read_user"],
    identity: Identity::Profile(Profile {
        url: "https://gitlab.com/api/v4/user",
        name: &["/name", "/username"],
        picture: "/avatar_url",
        verified: Verified::Present("/confirmed_at"),
        ..PLAIN
    }),
    ..SITE
};

static BITBUCKET: Site = Site {
    authorize: "https://bitbucket.org/site/oauth2/authorize",
    token: "https://bitbucket.org/site/oauth2/access_token",
    scopes: &["account", "email"],
    wants_basic: true,
    identity: Identity::Profile(Profile {
        url: "https://api.bitbucket.org/2.0/user",
        id: "/account_id",
        name: &["/display_name"],
        picture: "/links/avatar/href",
        email: &[],
        emails: Some(Emails {
            url: "https://api.bitbucket.org/2.0/user/emails",
            list: "/values",
            address: "/email",
            is_primary: "/is_primary",
            is_verified: "/is_confirmed",
        }),
        ..PLAIN
    }),
    ..SITE
};

static LINKEDIN: Site = Site {
    authorize: "https://www.linkedin.com/oauth/v2/authorization",
    token: "https://www.linkedin.com/oauth/v2/accessToken",
    scopes: &["openid", "profile", "email"],
    takes_proof: false,
    identity: Identity::Profile(Profile { url: "https://api.linkedin.com/v2/userinfo", ..CLAIMS }),
    ..SITE
};

/// Hands the code over in a form as soon as it is asked for more than `openid`.
static APPLE: Site = Site {
    authorize: "https://appleid.apple.com/auth/authorize",
    token: "https://appleid.apple.com/auth/token",
    scopes: &["name", "email"],
    parameters: &[("response_mode", "form_post")],
    identity: Identity::IdToken { issuer: APPLE_ISSUER, keys: "https://appleid.apple.com/auth/keys" },
    ..SITE
};

/// Who signs Apple's ID tokens.
pub(super) const APPLE_ISSUER: &str = "https://appleid.apple.com";

static X: Site = Site {
    authorize: "https://x.com/i/oauth2/authorize",
    token: "https://api.x.com/2/oauth2/token",
    scopes: &["users.read", "offline.access", "tweet.read"],
    wants_basic: true,
    identity: Identity::Profile(Profile {
        url: "https://api.x.com/2/users/me?user.fields=id,name,profile_image_url",
        id: "/data/id",
        name: &["/data/name"],
        picture: "/data/profile_image_url",
        email: &[],
        ..PLAIN
    }),
    ..SITE
};

/// Nobody has an account there without having proven their address.
static TWITCH: Site = Site {
    authorize: "https://id.twitch.tv/oauth2/authorize",
    token: "https://id.twitch.tv/oauth2/token",
    scopes: &["user:read:email"],
    identity: Identity::Profile(Profile {
        url: "https://api.twitch.tv/helix/users",
        id: "/data/0/id",
        name: &["/data/0/display_name"],
        picture: "/data/0/profile_image_url",
        email: &["/data/0/email"],
        verified: Verified::Always,
        ..PLAIN
    }),
    ..SITE
};
