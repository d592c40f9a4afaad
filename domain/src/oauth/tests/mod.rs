//! Visits to other sites on both databases, with sites that send everybody back as they are told. What real ones say is tried
//! through the gateway.

mod flow;
mod merging;
mod tokens;

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use postern_entity::linked_account;
use sea_orm::{EntityTrait, QueryOrder};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::{Arrival, Departing, Purpose, Returned, Travel, arrive, depart};
use crate::{
    Actor, ProjectId, Result,
    authorization_codes::{self, Exchange, Exchanged},
    bot_challenge::BotChallenge,
    ports::oauth::{Account, Tokens},
    sessions::{ClientInfo, test_scene::Scene},
    testing::{TestBench, TestDatabase},
};

const REDIRECT: &str = "https://app.example.com/handler/oauth-callback";
const VERIFIER: &str = "a-verifier-that-is-long-enough-for-the-standard-and-more";
const EMAIL: &str = "ada@example.com";

/// A project with two providers of its own, one of them at two keys.
async fn on_each(test: impl AsyncFn(Scene)) {
    on_each_with(json!({}), test).await;
}

async fn on_each_with(changes: Value, test: impl AsyncFn(Scene)) {
    for database in TestDatabase::each().await {
        let bench = TestBench::on(&database).await;
        let project = bench.insert_project().await;
        test(Scene::with(bench, project, config(&changes)).await).await;
    }
}

fn config(changes: &Value) -> Value {
    let provider = |kind: &str| {
        json!({ "type": kind, "allowSignIn": true, "allowConnectedAccounts": true, "isShared": false,
            "clientId": "us", "clientSecret": "secret" })
    };
    let mut config = json!({
        "auth.oauth.providers": {
            "github": provider("github"), "google": provider("google"), "second": provider("github"),
        },
    });
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

fn account(id: &str) -> Account {
    Account {
        id: id.to_owned(),
        email: Some(EMAIL.to_owned()),
        is_email_verified: true,
        display_name: Some("Ada".to_owned()),
        picture: Url::parse("https://provider.test/ada.png").ok(),
    }
}

fn tokens(access_token: &str, refresh_token: Option<&str>, seconds: Option<u64>, scopes: &str) -> Tokens {
    Tokens {
        access_token: access_token.to_owned().into(),
        refresh_token: refresh_token.map(|token| token.to_owned().into()),
        expires_in: seconds.map(Duration::from_secs),
        scopes: Some(scopes.split(' ').map(str::to_owned).collect()),
    }
}

fn challenge() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER))
}

fn departing(provider: &str) -> Departing {
    Departing {
        provider: provider.to_owned(),
        purpose: Purpose::Authenticate,
        token: None,
        redirect_uri: REDIRECT.to_owned(),
        state: "the application's".to_owned(),
        code_challenge: challenge(),
        code_challenge_method: Some("S256".to_owned()),
        scopes: None,
        error_redirect_url: None,
        after_callback_redirect_url: None,
        challenge: BotChallenge::default(),
        has_cookie: true,
    }
}

impl Scene {
    async fn leave(&self, actor: &Actor, input: Departing) -> Result<Travel> {
        depart(self.deps(), actor, input, &ClientInfo::default()).await
    }

    /// The state of the last one who left.
    fn state(&self) -> String {
        let departures = self.bench.providers.departures();
        departures.last().unwrap().1.state.expose_secret().to_owned()
    }

    fn returned(&self, provider: &str) -> Returned {
        Returned {
            provider: provider.to_owned(),
            state: self.state(),
            code: Some("theirs".to_owned().into()),
            error: None,
            issuer: None,
            apple_user: None,
            has_cookie: true,
        }
    }

    async fn come_back(&self, returned: Returned) -> Result<Arrival> {
        arrive(self.deps(), returned, &ClientInfo::default()).await
    }

    /// Leaves and comes back with the account. Answers where the browser goes.
    async fn visit(&self, actor: &Actor, input: Departing, account: Account) -> Arrival {
        let provider = if input.provider == "second" { "github".to_owned() } else { input.provider.clone() };
        self.leave(actor, input).await.unwrap();
        self.bench.providers.send_back(account, tokens("at", Some("rt"), Some(3600), "email"));
        self.come_back(self.returned(&provider)).await.unwrap()
    }

    async fn exchange(&self, code: &str) -> Result<Exchanged> {
        self.exchange_with(code, Some(VERIFIER), REDIRECT).await
    }

    async fn exchange_with(&self, code: &str, verifier: Option<&str>, redirect_uri: &str) -> Result<Exchanged> {
        let exchange = Exchange {
            code: code.to_owned(),
            redirect_uri: Some(redirect_uri.to_owned()),
            code_verifier: verifier.map(|verifier| verifier.to_owned().into()),
        };
        authorization_codes::exchange(self.deps(), &self.project, exchange, &ClientInfo::default()).await
    }

    /// At another project.
    async fn exchange_in(&self, project: &ProjectId, code: &str) -> Result<Exchanged> {
        let (redirect_uri, code_verifier) = (Some(REDIRECT.to_owned()), Some(VERIFIER.to_owned().into()));
        let exchange = Exchange { code: code.to_owned(), redirect_uri, code_verifier };
        authorization_codes::exchange(self.deps(), project, exchange, &ClientInfo::default()).await
    }

    /// Signs in with the account.
    async fn sign_in_with(&self, provider: &str, account: Account) -> Exchanged {
        let arrival = self.visit(&self.stranger(), departing(provider), account).await;
        self.exchange(&code(&arrival)).await.unwrap()
    }

    async fn all_links(&self) -> Vec<linked_account::Model> {
        let links = linked_account::Entity::find().order_by_asc(linked_account::Column::CreatedAt);
        links.all(self.deps().db.read()).await.unwrap()
    }
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Our code, of whoever is let in.
fn code(arrival: &Arrival) -> String {
    match arrival {
        Arrival::In(url) => parameter(url, "code").unwrap(),
        Arrival::Out(url) => panic!("kept out: {url}"),
    }
}

/// The code of the refusal that the application is told, with its details.
fn told(arrival: &Arrival) -> (String, Value) {
    match arrival {
        Arrival::Out(url) => {
            let details = parameter(url, "details").unwrap();
            (parameter(url, "errorCode").unwrap(), serde_json::from_str(&details).unwrap())
        }
        Arrival::In(url) => panic!("let in: {url}"),
    }
}
