//! Signing in with other sites, through the doors, against sites that speak as theirs do.

mod accounts;
mod faults;
mod id_tokens;
mod provider;
mod sites;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use self::{
    provider::{Back, Provider},
    sites::{SITES, Site},
};
use crate::support::{App, client::Answer};

const REDIRECT: &str = "http://localhost:3000/handler/oauth-callback";
const VERIFIER: &str = "a-verifier-that-is-long-enough-for-the-standard-and-more";

/// Postern beside the sites, with a client of the demo project at each of them.
pub(crate) struct Scene {
    app: App,
    sites: Provider,
    /// A browser that follows nothing by itself.
    browser: reqwest::Client,
}

impl Scene {
    async fn start() -> Self {
        let sites = Provider::start().await;
        let app = App::builder().set("POSTERN_OAUTH_STAND_IN", &sites.url).start().await;
        let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let scene = Self { app, sites, browser };
        scene.configure(json!({})).await;
        scene
    }

    async fn configure(&self, changes: Value) {
        let mut config = json!({ "domains.allowLocalhost": true });
        for site in &SITES {
            let mut provider = json!({ "type": site.kind, "allowSignIn": true, "allowConnectedAccounts": true,
                "isShared": false, "clientId": site.client_id(), "clientSecret": site.client_secret() });
            if site.kind == "apple" {
                provider["appleTeamId"] = "TEAM".into();
                provider["appleKeyId"] = "KEY".into();
                provider["appleBundles"] = json!({ "app": { "bundleId": "test.postern.app" } });
            }
            config[format!("auth.oauth.providers.{}", site.kind)] = provider;
        }
        for (key, value) in changes.as_object().unwrap() {
            config[key] = value.clone();
        }
        let body = json!({ "config_override_string": config.to_string() });
        let admin = self.app.rest().admin();
        admin.patch("/internal/config/override/environment", body).await.json(200);
    }

    fn authorize_url(&self, kind: &str, changes: &[(&str, &str)]) -> Url {
        let keys = &self.app.demo;
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let mut parameters = vec![
            ("client_id", keys.project_id.as_str()),
            ("client_secret", keys.client.as_str()),
            ("redirect_uri", REDIRECT),
            ("scope", "legacy"),
            ("state", "ours"),
            ("grant_type", "authorization_code"),
            ("response_type", "code"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("type", "authenticate"),
            ("unknown_parameters", "are ignored"),
        ];
        for (name, value) in changes {
            parameters.retain(|(known, _)| known != name);
            if !value.is_empty() {
                parameters.push((*name, *value));
            }
        }
        let url = format!("{}/api/v1/auth/oauth/authorize/{kind}", self.app.url);
        Url::parse_with_params(&url, parameters).unwrap()
    }

    async fn get(&self, url: Url, cookie: Option<&str>) -> Answer {
        let mut request = self.browser.get(url);
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        Answer::read(request.send().await.unwrap()).await
    }

    /// Leaves for a site. Answers where the browser goes, and the cookie that it gets.
    async fn leave(&self, kind: &str, changes: &[(&str, &str)]) -> (String, String) {
        let answer = self.get(self.authorize_url(kind, changes), None).await;
        assert_eq!(answer.status, 307, "{}", answer.text);
        let cookie = answer.header("set-cookie");
        assert!(cookie.starts_with("stack-oauth-inner-") && cookie.contains("=true; Path=/; HttpOnly; Max-Age=600"));
        (answer.header("location"), cookie.split(';').next().unwrap().to_owned())
    }

    /// Comes back as the site sends the browser.
    async fn come_back(&self, back: &Back, cookie: Option<&str>) -> Answer {
        let mut url = back.url.clone();
        let request = if back.is_form {
            let form: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&back.fields).finish();
            self.browser.post(url).header("content-type", "application/x-www-form-urlencoded").body(form)
        } else {
            url.query_pairs_mut().extend_pairs(&back.fields);
            self.browser.get(url)
        };
        let request = match cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        Answer::read(request.send().await.unwrap()).await
    }

    /// The whole way to a site and back. Answers where the browser ends up.
    async fn visit(&self, kind: &str, changes: &[(&str, &str)]) -> Url {
        let (location, cookie) = self.leave(kind, changes).await;
        let back = self.sites.visit(&location);
        let answer = self.come_back(&back, Some(&cookie)).await;
        assert!([303, 307].contains(&answer.status.as_u16()), "{} {}", answer.status, answer.text);
        assert_eq!(answer.text, "{}");
        assert!(answer.header("set-cookie").contains("Max-Age=0"));
        answer.header("location").parse().unwrap()
    }

    /// Uses the code of the URL that a browser ended up at.
    async fn exchange(&self, ended_up: &Url) -> Answer {
        assert!(ended_up.as_str().starts_with(REDIRECT), "{ended_up}");
        assert_eq!(parameter(ended_up, "state").as_deref(), Some("ours"), "{ended_up}");
        let keys = &self.app.demo;
        let code = parameter(ended_up, "code").unwrap_or_else(|| panic!("no code: {ended_up}"));
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", &keys.project_id),
            ("client_secret", &keys.client),
            ("redirect_uri", REDIRECT),
            ("code", &code),
            ("code_verifier", VERIFIER),
        ];
        let form: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let url = format!("{}/api/v1/auth/oauth/token", self.app.url);
        let request = self.browser.post(url).header("content-type", "application/x-www-form-urlencoded").body(form);
        Answer::read(request.send().await.unwrap()).await
    }

    /// Signs in with the account at a site.
    async fn sign_in(&self, kind: &str) -> Value {
        self.exchange(&self.visit(kind, &[]).await).await.json(200)
    }

    /// The user of tokens, as servers see it.
    async fn user(&self, tokens: &Value) -> Value {
        let client = self.app.rest().client().with("x-stack-access-token", tokens["access_token"].as_str().unwrap());
        let id = client.get("/users/me").await.json(200)["id"].as_str().unwrap().to_owned();
        self.app.rest().server().get(&format!("/users/{id}")).await.json(200)
    }

    async fn count_users(&self) -> usize {
        self.app.rest().server().get("/users?limit=200").await.json(200)["items"].as_array().unwrap().len()
    }
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The code of the refusal that the application is told.
fn told(ended_up: &Url) -> String {
    parameter(ended_up, "errorCode").unwrap_or_else(|| panic!("no error: {ended_up}"))
}

fn kinds() -> impl Iterator<Item = &'static Site> {
    SITES.iter()
}
