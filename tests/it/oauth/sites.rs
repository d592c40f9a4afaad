//! Who signs in at each site, and how each of them tells of it: the shapes of their documentation.

use axum::response::Response;
use serde_json::{Value, json};

use super::provider::json_answer;

/// A site as it is from outside.
pub(crate) struct Site {
    pub(crate) kind: &'static str,
    pub(crate) authorize: &'static str,
    pub(crate) token: &'static str,
    pub(crate) scopes: &'static [&'static str],
    pub(crate) parameters: &'static [(&'static str, &'static str)],
    pub(crate) wants_basic: bool,
    /// What Postern makes of it: id, address and whether it is proven, name.
    pub(crate) account: (&'static str, Option<(&'static str, bool)>, Option<&'static str>),
}

const fn site(
    kind: &'static str,
    authorize: &'static str,
    token: &'static str,
    scopes: &'static [&'static str],
) -> Site {
    let account = ("", None, None);
    Site { kind, authorize, token, scopes, parameters: &[], wants_basic: false, account }
}

const ADA: Option<&str> = Some("Ada Lovelace");

pub(crate) const SITES: [Site; 12] = [
    Site {
        parameters: &[("access_type", "offline"), ("prompt", "consent")],
        account: ("1157", Some(("ada@google.test", true)), ADA),
        ..site(
            "google",
            "accounts.google.com/o/oauth2/v2/auth",
            "oauth2.googleapis.com/token",
            &["https://www.googleapis.com/auth/userinfo.email", "https://www.googleapis.com/auth/userinfo.profile"],
        )
    },
    Site {
        account: ("4242", Some(("ada@github.test", true)), Some("ada")),
        ..site("github", "github.com/login/oauth/authorize", "github.com/login/oauth/access_token", &["user:email"])
    },
    Site {
        account: ("87d349ed", Some(("ada@microsoft.test", false)), ADA),
        ..site(
            "microsoft",
            "login.microsoftonline.com/consumers/oauth2/v2.0/authorize",
            "login.microsoftonline.com/consumers/oauth2/v2.0/token",
            &["User.Read", "openid"],
        )
    },
    Site {
        wants_basic: true,
        account: ("ada_spotify", Some(("ada@spotify.test", false)), ADA),
        ..site(
            "spotify",
            "accounts.spotify.com/authorize",
            "accounts.spotify.com/api/token",
            &["user-read-email", "user-read-private"],
        )
    },
    Site {
        account: ("10158", Some(("ada@facebook.test", false)), ADA),
        ..site(
            "facebook",
            "www.facebook.com/v23.0/dialog/oauth",
            "graph.facebook.com/v23.0/oauth/access_token",
            &["openid", "public_profile", "email"],
        )
    },
    Site {
        account: ("80351110224678912", Some(("ada@discord.test", true)), ADA),
        ..site("discord", "discord.com/oauth2/authorize", "discord.com/api/oauth2/token", &["identify", "email"])
    },
    Site {
        account: ("7", Some(("ada@gitlab.test", true)), ADA),
        ..site("gitlab", "gitlab.com/oauth/authorize", "gitlab.com/oauth/token", &["read_user"])
    },
    Site {
        wants_basic: true,
        account: ("557058:ada", Some(("ada@bitbucket.test", true)), ADA),
        ..site(
            "bitbucket",
            "bitbucket.org/site/oauth2/authorize",
            "bitbucket.org/site/oauth2/access_token",
            &["account", "email"],
        )
    },
    Site {
        account: ("782bbtaQ", Some(("ada@linkedin.test", true)), ADA),
        ..site(
            "linkedin",
            "www.linkedin.com/oauth/v2/authorization",
            "www.linkedin.com/oauth/v2/accessToken",
            &["openid", "profile", "email"],
        )
    },
    Site {
        parameters: &[("response_mode", "form_post")],
        account: ("001122.apple.0011", Some(("ada@apple.test", true)), ADA),
        ..site("apple", "appleid.apple.com/auth/authorize", "appleid.apple.com/auth/token", &["name", "email"])
    },
    Site {
        wants_basic: true,
        account: ("2244994945", None, ADA),
        ..site(
            "x",
            "x.com/i/oauth2/authorize",
            "api.x.com/2/oauth2/token",
            &["users.read", "offline.access", "tweet.read"],
        )
    },
    Site {
        account: ("141981764", Some(("ada@twitch.test", true)), Some("AdaPlays")),
        ..site("twitch", "id.twitch.tv/oauth2/authorize", "id.twitch.tv/oauth2/token", &["user:read:email"])
    },
];

impl Site {
    pub(crate) fn find(is_meant: impl Fn(&Site) -> bool) -> Option<&'static Self> {
        SITES.iter().find(|site| is_meant(site))
    }

    pub(crate) fn of(is_meant: impl Fn(&Site) -> bool) -> &'static Self {
        Self::find(is_meant).expect("a site")
    }

    pub(crate) fn client_id(&self) -> &'static str {
        "postern at the site"
    }

    pub(crate) fn client_secret(&self) -> String {
        if self.kind == "apple" { super::id_tokens::APPLE_KEY.clone() } else { "secret of the client: ü".to_owned() }
    }

    /// Credentials as they come: form-encoded in a header (RFC 6749 §2.3.1), plain in a form.
    pub(crate) fn check_credentials(&self, told: &str) {
        let (id, secret) = told.split_once(':').unwrap();
        if self.kind == "apple" {
            super::id_tokens::check_client_secret(secret, self.client_id());
            return;
        }
        let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let expected = [self.client_id().to_owned(), self.client_secret()];
        let expected = if self.wants_basic { expected.map(|text| encoded(&text)) } else { expected };
        assert_eq!([id, secret], expected, "{}", self.kind);
    }

    /// How the site says that it does not take something.
    pub(crate) fn refused(&self, error: &str) -> Response {
        match self.kind {
            "github" => json_answer(200, &json!({ "error": "bad_verification_code", "error_description": "…" })),
            "twitch" => json_answer(400, &json!({ "status": 400, "message": "Invalid authorization code" })),
            "facebook" => {
                let told = json!({ "message": "This authorization code has been used.", "type": "OAuthException",
                    "code": 100, "error_subcode": 36009, "fbtrace_id": "A" });
                json_answer(400, &json!({ "error": told }))
            }
            _ => json_answer(400, &json!({ "error": error, "error_description": "It is not good any more." })),
        }
    }

    /// How the site hands tokens out.
    pub(crate) fn tokens(&self, access: &str, refresh: &str, scope: &str) -> Value {
        match self.kind {
            "github" => {
                json!({ "access_token": access, "token_type": "bearer", "scope": scope.replace(' ', ","),
                    "refresh_token": refresh, "expires_in": 28800 })
            }
            "twitch" => {
                let scopes: Vec<_> = scope.split(' ').collect();
                json!({ "access_token": access, "expires_in": 14124, "refresh_token": refresh, "scope": scopes,
                    "token_type": "bearer" })
            }
            "bitbucket" => {
                json!({ "access_token": access, "scopes": scope, "expires_in": 7200, "refresh_token": refresh,
                    "token_type": "bearer", "state": "authorization_code" })
            }
            "linkedin" => json!({ "access_token": access, "expires_in": 5184000, "scope": scope.replace(' ', ",") }),
            "facebook" => json!({ "access_token": access, "token_type": "bearer", "expires_in": 5183944 }),
            _ => {
                json!({ "access_token": access, "token_type": "Bearer", "expires_in": 3600, "refresh_token": refresh,
                    "scope": scope })
            }
        }
    }

    /// What a resource tells, and of which site it is.
    pub(crate) fn resource(place: &str) -> Option<(&'static Self, Value)> {
        let (kind, told) = match place {
            "openidconnect.googleapis.com/v1/userinfo" => (
                "google",
                json!({ "sub": "1157", "name": "Ada Lovelace", "given_name": "Ada", "picture": "https://g.test/a.png",
                    "email": "ada@google.test", "email_verified": true }),
            ),
            "api.github.com/user" => (
                "github",
                json!({ "login": "ada", "id": 4242, "node_id": "MDQ6", "avatar_url": "https://gh.test/a.png",
                    "name": null, "email": "shown@github.test" }),
            ),
            "api.github.com/user/emails" => (
                "github",
                json!([{ "email": "old@github.test", "verified": true, "primary": false, "visibility": null },
                    { "email": "ada@github.test", "verified": true, "primary": true, "visibility": "private" }]),
            ),
            "graph.microsoft.com/v1.0/me" => (
                "microsoft",
                json!({ "@odata.context": "…", "id": "87d349ed", "displayName": "Ada Lovelace", "mail": null,
                    "userPrincipalName": "ada@microsoft.test" }),
            ),
            "api.spotify.com/v1/me" => (
                "spotify",
                json!({ "id": "ada_spotify", "display_name": "Ada Lovelace", "email": "ada@spotify.test",
                    "images": [{ "url": "https://s.test/a.jpg", "height": 64, "width": 64 }], "type": "user" }),
            ),
            "graph.facebook.com/v23.0/me?fields=id,name,email,picture" => (
                "facebook",
                json!({ "id": "10158", "name": "Ada Lovelace", "email": "ada@facebook.test",
                    "picture": { "data": { "url": "https://f.test/a.jpg", "is_silhouette": false } } }),
            ),
            "discord.com/api/users/@me" => (
                "discord",
                json!({ "id": "80351110224678912", "username": "ada", "global_name": "Ada Lovelace", "avatar": "8342",
                    "verified": true, "email": "ada@discord.test" }),
            ),
            "gitlab.com/api/v4/user" => (
                "gitlab",
                json!({ "id": 7, "username": "ada", "name": "Ada Lovelace", "avatar_url": "https://gl.test/a.png",
                    "email": "ada@gitlab.test", "confirmed_at": "2012-05-23T09:05:22Z" }),
            ),
            "api.bitbucket.org/2.0/user" => (
                "bitbucket",
                json!({ "type": "user", "uuid": "{b0}", "account_id": "557058:ada", "display_name": "Ada Lovelace",
                    "links": { "avatar": { "href": "https://bb.test/a.png" } } }),
            ),
            "api.bitbucket.org/2.0/user/emails" => (
                "bitbucket",
                json!({ "values": [{ "type": "email", "email": "ada@bitbucket.test", "is_primary": true,
                    "is_confirmed": true }], "page": 1, "size": 1 }),
            ),
            "api.linkedin.com/v2/userinfo" => (
                "linkedin",
                json!({ "sub": "782bbtaQ", "name": "Ada Lovelace", "picture": "https://l.test/a.jpg",
                    "email": "ada@linkedin.test", "email_verified": "true" }),
            ),
            "api.x.com/2/users/me?user.fields=id,name,profile_image_url" => (
                "x",
                json!({ "data": { "id": "2244994945", "name": "Ada Lovelace", "username": "ada",
                    "profile_image_url": "https://x.test/a.jpg" } }),
            ),
            "api.twitch.tv/helix/users" => (
                "twitch",
                json!({ "data": [{ "id": "141981764", "login": "adaplays", "display_name": "AdaPlays",
                    "email": "ada@twitch.test", "profile_image_url": "https://t.test/a.png" }] }),
            ),
            _ => return None,
        };
        Some((Self::of(|site| site.kind == kind), told))
    }
}
