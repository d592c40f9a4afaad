//! A project in which people sign up and in by password, for the tests of this feature.

use postern_entity::{email, event, session, user};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::{
    Claims, ClientInfo, OneTimeCode, PasswordSignUp, SignedIn, sign_in_with_password, sign_up_anonymously,
    sign_up_with_password, verify,
};
use crate::{
    Actor, Code, Deps, Level, ProjectId, Result, UserId, actor::ActingUser, bot_challenge::BotChallenge,
    secrets::Place, testing::TestBench,
};

pub(crate) const EMAIL: &str = "ada@example.com";
pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const CALLBACK: &str = "https://app.example.com/handler?x=1";

pub(crate) struct Scene {
    pub(crate) bench: TestBench,
    pub(crate) project: ProjectId,
}

impl Scene {
    /// Passwords on, one trusted domain.
    pub(crate) async fn on(bench: TestBench) -> Self {
        let project = bench.insert_project().await;
        Self::with(bench, project, json!({})).await
    }

    pub(crate) async fn with(bench: TestBench, project: ProjectId, config: Value) -> Self {
        let scene = Self { bench, project };
        scene.configure(config).await;
        scene
    }

    /// The usual config with changes.
    pub(crate) async fn configure(&self, changes: Value) {
        let mut config = json!({
            "auth.password.allowSignIn": true,
            "domains.trustedDomains": { "app": { "baseUrl": "https://app.example.com" } },
        });
        for (key, value) in changes.as_object().unwrap() {
            config[key] = value.clone();
        }
        self.bench.set_config(&self.project, config).await;
    }

    pub(crate) fn deps(&self) -> &Deps {
        &self.bench.deps
    }

    pub(crate) fn stranger(&self) -> Actor {
        Actor::new(self.project.clone(), Level::Client, None)
    }

    pub(crate) fn server(&self) -> Actor {
        Actor::new(self.project.clone(), Level::Server, None)
    }

    /// Whoever signed in, with the token it got.
    pub(crate) async fn client(&self, signed_in: &SignedIn) -> Actor {
        let claims = self.claims(signed_in).await;
        let user = ActingUser {
            id: claims.sub,
            session_id: claims.refresh_token_id,
            is_anonymous: claims.is_anonymous,
            is_restricted: claims.is_restricted,
        };
        Actor::new(self.project.clone(), Level::Client, Some(user))
    }

    pub(crate) async fn claims(&self, signed_in: &SignedIn) -> Claims {
        let claims = verify(self.deps(), signed_in.access_token.expose_secret()).await.unwrap();
        assert_eq!((claims.sub, claims.refresh_token_id), (signed_in.user_id, signed_in.session_id));
        (*claims).clone()
    }

    pub(crate) fn input(&self) -> PasswordSignUp {
        PasswordSignUp {
            email: EMAIL.to_owned(),
            password: secret(PASSWORD),
            verification: None,
            invite_code: None,
            challenge: BotChallenge::default(),
        }
    }

    pub(crate) async fn sign_up(&self, actor: &Actor, input: PasswordSignUp) -> Result<SignedIn> {
        sign_up_with_password(self.deps(), actor, input, &ClientInfo::default()).await
    }

    pub(crate) async fn signed_up(&self) -> SignedIn {
        self.sign_up(&self.stranger(), self.input()).await.unwrap()
    }

    pub(crate) async fn anonymous(&self) -> SignedIn {
        sign_up_anonymously(self.deps(), &self.stranger(), &ClientInfo::default()).await.unwrap()
    }

    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Result<SignedIn> {
        sign_in_with_password(self.deps(), &self.stranger(), email, &secret(password), &ClientInfo::default()).await
    }

    pub(crate) async fn user(&self, id: UserId) -> user::Model {
        user::Entity::find_by_id(id).one(self.deps().db.read()).await.unwrap().unwrap()
    }

    pub(crate) async fn counts(&self) -> (u64, u64, usize) {
        let read = self.deps().db.read();
        let users = user::Entity::find().count(read).await.unwrap();
        (users, session::Entity::find().count(read).await.unwrap(), self.links().await.len())
    }

    pub(crate) async fn sessions_of(&self, id: UserId) -> u64 {
        let sessions = session::Entity::find().filter(session::Column::UserId.eq(id));
        sessions.count(self.deps().db.read()).await.unwrap()
    }

    /// The types of all events so far.
    pub(crate) async fn events(&self) -> Vec<String> {
        let rows = event::Entity::find().order_by_asc(event::Column::Seq).all(self.deps().db.read());
        rows.await.unwrap().into_iter().map(|row| row.kind).collect()
    }

    /// Address and link of all mails so far, oldest first.
    pub(crate) async fn links(&self) -> Vec<(String, Url)> {
        let rows = email::Entity::find().order_by_asc(email::Column::CreatedAt).all(self.deps().db.read());
        let opened = rows.await.unwrap().into_iter().map(|row| {
            let (project, id) = (row.project_id.to_string(), row.id.to_string());
            let place = Place { project: &project, table: "email", row: &id, column: "sealed_variables" };
            let sealed = row.sealed_variables.unwrap();
            let variables: Value = serde_json::from_slice(&self.deps().keyring.open(&place, &sealed).unwrap()).unwrap();
            let link = variables.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
            assert!(!row.variables.to_string().contains(&code_in(&link.parse().unwrap())), "the code can be read");
            (row.recipient_emails[0].as_str().unwrap().to_owned(), link.parse().unwrap())
        });
        opened.collect()
    }

    /// The code in the last mail.
    pub(crate) async fn last_code(&self) -> OneTimeCode {
        let (_, link) = self.links().await.pop().unwrap();
        OneTimeCode::parse(&code_in(&link)).unwrap()
    }
}

fn code_in(link: &Url) -> String {
    link.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
}

pub(crate) fn secret(text: &str) -> SecretString {
    text.to_owned().into()
}

/// The code of the refusal.
pub(crate) fn refusal(outcome: Result<impl Sized>) -> Code {
    match outcome {
        Err(error) => error.failure().unwrap_or_else(|| panic!("{error}")).code,
        Ok(_) => panic!("not refused"),
    }
}

/// The details of the refusal.
pub(crate) fn details(outcome: Result<impl Sized>) -> Value {
    outcome.err().unwrap().failure().unwrap().details.clone().unwrap()
}
