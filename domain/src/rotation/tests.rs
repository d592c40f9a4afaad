//! A rotation with one of everything that is sealed, and with more rows than fit a transaction.

use std::collections::BTreeSet;

use postern_entity::{
    AuthorizationCodeId, CliLoginId, EmailId, LinkedAccountId, LinkedAccountTokenId, OAuthVisitId, ProjectId,
    SessionId, UserId, authorization_code, cli_login, email, idempotency, linked_account, linked_account_token,
    oauth_visit, user, webhook_endpoint,
};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, Database, IntoActiveModel};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::*;
use crate::{
    actor::{Actor, IdempotencyKey, Level},
    emails::{NewEmail, Recipient, Template},
    projects::{ConfigLevel, Seed},
    secrets::{MIN_SERVER_SECRET_BYTES, Place},
    testing::{self, TestBench, TestDatabase},
    users::CreateUser,
    webhooks::NewEndpoint,
};

const LINK: &str = "https://app.example/verify?code=k3ys3cr3tc0de";
const TOTP: [u8; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

fn keyring(letters: &[&str]) -> Keyring {
    let secret = |letter: &&str| SecretString::from(letter.repeat(MIN_SERVER_SECRET_BYTES));
    Keyring::new(letters.iter().map(secret).collect()).unwrap()
}

fn done(done: Vec<Resealed>) -> Vec<(&'static str, u64, u64)> {
    done.into_iter().map(|Resealed { what, count, left }| (what, count, left)).collect()
}

/// One of everything that is sealed.
struct Scene {
    admin: Actor,
    user: UserId,
    token: LinkedAccountTokenId,
    hand_overs: (CliLoginId, AuthorizationCodeId, OAuthVisitId),
    email: EmailId,
    endpoint: webhook_endpoint::Model,
    endpoint_secret: String,
}

impl Scene {
    async fn on(bench: &TestBench) -> Self {
        projects::seed(&bench.deps, &Seed::default()).await.unwrap();
        Self::beside(bench).await
    }

    /// In a project more, beside an installation that is there.
    async fn beside(bench: &TestBench) -> Self {
        let deps = &bench.deps;
        let project_id = bench.insert_project().await;
        let admin = Actor::new(project_id.clone(), Level::Admin, None);
        let config = json!({ "emails.server": {
            "isShared": false, "host": "mail.example", "port": 25, "username": "u", "password": "hunter2",
            "senderName": "n", "senderEmail": "a@example.com",
        } });
        let config = config.to_string();
        projects::merge_override(deps, &admin, ConfigLevel::Environment, &config).await.unwrap();
        let user = CreateUser { totp_secret_base64: Some("AAECAwQFBgcICQ==".into()), ..CreateUser::default() };
        let user = users::create(deps, &admin, user).await.unwrap().id;
        let endpoint = NewEndpoint {
            url: "https://one.example/hook".to_owned(),
            headers: [("x-team".to_owned(), "red".into())].into(),
            ..NewEndpoint::default()
        };
        let endpoint = webhooks::create(deps, &admin, endpoint).await.unwrap();
        let endpoint_secret = webhooks::secret(deps, &admin, endpoint.id).await.unwrap().expose_secret().to_owned();
        let endpoint = webhook_endpoint::Entity::find_by_id(endpoint.id).one(deps.db.read()).await.unwrap().unwrap();
        let recipient = Recipient::CustomEmails { emails: vec!["ada@example.com".to_owned()] };
        let mail = NewEmail::new(project_id.clone(), recipient, Template::EmailVerification { link: LINK.into() });
        let email = deps.db.write(async |tx| emails::enqueue(&tx, deps, mail.clone()).await).await.unwrap();
        let content = deps.keyring.seal(&mail_place(&project_id, &email.to_string(), "sealed_content"), b"{}").unwrap();
        let rendered = email::ActiveModel {
            rendering_worker_id: Set(Some(uuid::Uuid::new_v4())),
            started_rendering_at: Set(Some(deps.now())),
            rendered_at: Set(Some(deps.now())),
            rendered_subject: Set(Some("Verify".to_owned())),
            rendered_is_transactional: Set(Some(true)),
            sealed_content: Set(Some(content)),
            ..Default::default()
        };
        let update = email::Entity::update_many().set(rendered).filter(email::Column::Id.eq(email));
        deps.db.write(async |tx| Ok(update.clone().exec(&*tx).await?)).await.unwrap();
        let token = consent(bench, &project_id, user).await;
        let hand_overs = hand_overs(bench, &project_id, user).await;
        let scene = Self { admin, user, token, hand_overs, email, endpoint, endpoint_secret };
        assert_eq!(scene.repeatable(bench, 1).await, 1);
        scene
    }

    /// A mutation that takes effect once; answers what it answered first.
    async fn repeatable(&self, bench: &TestBench, answer: u32) -> u32 {
        let mut admin = self.admin.clone();
        admin.idempotency = Some(IdempotencyKey::new("key", &[b"body"]));
        bench.deps.mutate(&admin, "tests.answer", |_| async move { Ok(answer) }).await.unwrap()
    }

    /// Reads everything back.
    async fn check(&self, bench: &TestBench) {
        let (deps, project_id) = (&bench.deps, &self.admin.project_id);
        assert!(projects::demo_project(deps).await.unwrap().unwrap().keys.secret_server_key.is_some());
        let config = projects::override_text(deps, &self.admin, ConfigLevel::Environment).await.unwrap();
        assert!(config.contains("hunter2"), "{config}");
        let secret = webhooks::secret(deps, &self.admin, self.endpoint.id).await.unwrap();
        assert_eq!(secret.expose_secret(), self.endpoint_secret);
        let endpoint = webhooks::endpoint(deps, &self.admin, self.endpoint.id).await.unwrap();
        assert_eq!(endpoint.headers["x-team"], "red");
        assert_eq!(self.repeatable(bench, 2).await, 1);
        let row = user::Entity::find_by_id(self.user).one(deps.db.read()).await.unwrap().unwrap();
        let id = self.user.to_string();
        let place = Place { project: project_id.as_str(), table: "user", row: &id, column: "totp_secret" };
        assert_eq!(deps.keyring.open(&place, &row.totp_secret.unwrap()).unwrap(), TOTP);
        let row = linked_account_token::Entity::find_by_id(self.token).one(deps.db.read()).await.unwrap().unwrap();
        let id = self.token.to_string();
        for (column, sealed) in [("access_token", row.access_token), ("refresh_token", row.refresh_token)] {
            let place = token_place(project_id, &id, column);
            assert_eq!(deps.keyring.open(&place, &sealed.unwrap()).unwrap(), column.as_bytes());
        }
        let (login, code, visit) = self.hand_overs;
        let id = login.to_string();
        let row = cli_login::Entity::find_by_id(login).one(deps.db.read()).await.unwrap().unwrap();
        for (column, sealed) in [("anonymous_token", row.anonymous_token), ("refresh_token", row.refresh_token)] {
            let place = hand_over_place("cli_login", project_id, &id, column);
            assert_eq!(deps.keyring.open(&place, &sealed.unwrap()).unwrap(), column.as_bytes());
        }
        let row = authorization_code::Entity::find_by_id(code).one(deps.db.read()).await.unwrap().unwrap();
        let id = code.to_string();
        let place = hand_over_place("authorization_code", project_id, &id, "refresh_token");
        assert_eq!(deps.keyring.open(&place, &row.refresh_token.unwrap()).unwrap(), b"refresh_token");
        let row = oauth_visit::Entity::find_by_id(visit).one(deps.db.read()).await.unwrap().unwrap();
        let id = visit.to_string();
        let place = hand_over_place("oauth_visit", project_id, &id, "memory");
        assert_eq!(deps.keyring.open(&place, &row.memory.unwrap()).unwrap(), b"memory");
        let row = email::Entity::find_by_id(self.email).one(deps.db.read()).await.unwrap().unwrap();
        let id = self.email.to_string();
        let place = mail_place(project_id, &id, "sealed_variables");
        let variables = deps.keyring.open(&place, &row.sealed_variables.unwrap()).unwrap();
        assert!(String::from_utf8(variables).unwrap().contains(LINK));
        let place = mail_place(project_id, &id, "sealed_content");
        assert_eq!(deps.keyring.open(&place, &row.sealed_content.unwrap()).unwrap(), b"{}");
    }
}

/// A linked account of the user, and what the other site gave.
async fn consent(bench: &TestBench, project_id: &ProjectId, user_id: UserId) -> LinkedAccountTokenId {
    let deps = &bench.deps;
    let account = linked_account::Model {
        id: LinkedAccountId::random(),
        project_id: project_id.clone(),
        user_id,
        provider_config_id: "github".to_owned(),
        kind: "github".to_owned(),
        account_id: "1".to_owned(),
        email: None,
        allow_sign_in: true,
        allow_connected_accounts: true,
        created_at: deps.now(),
    };
    let id = LinkedAccountTokenId::random();
    let sealed =
        |column: &str| deps.keyring.seal(&token_place(project_id, &id.to_string(), column), column.as_bytes()).unwrap();
    let token = linked_account_token::Model {
        id,
        project_id: project_id.clone(),
        linked_account_id: account.id,
        scopes: String::new(),
        access_token: Some(sealed("access_token")),
        access_expires_at: None,
        refresh_token: Some(sealed("refresh_token")),
        created_at: deps.now(),
        client: None,
        renewing_until: None,
    };
    let write = async |tx: Tx| {
        linked_account::Entity::insert(account.clone().into_active_model()).exec_without_returning(&*tx).await?;
        Ok(linked_account_token::Entity::insert(token.clone().into_active_model()).exec_without_returning(&*tx).await?)
    };
    deps.db.write(write).await.unwrap();
    id
}

/// Sessions on their way to a program and to another origin, and somebody on the way to another site.
async fn hand_overs(
    bench: &TestBench,
    project_id: &ProjectId,
    user_id: UserId,
) -> (CliLoginId, AuthorizationCodeId, OAuthVisitId) {
    let (deps, login, code, visit) =
        (&bench.deps, CliLoginId::random(), AuthorizationCodeId::random(), OAuthVisitId::random());
    let sealed = |table: &str, id: String, column: &str| {
        Some(deps.keyring.seal(&hand_over_place(table, project_id, &id, column), column.as_bytes()).unwrap())
    };
    let login_row = cli_login::Model {
        id: login,
        project_id: project_id.clone(),
        polling_hash: vec![1],
        login_hash: vec![2],
        anonymous_token: sealed("cli_login", login.to_string(), "anonymous_token"),
        refresh_token: sealed("cli_login", login.to_string(), "refresh_token"),
        created_at: deps.now(),
        expires_at: deps.now(),
        claimed_at: None,
        completed_at: None,
        used_at: None,
    };
    let code_row = authorization_code::Model {
        id: code,
        project_id: project_id.clone(),
        code_hash: vec![3],
        user_id,
        session_id: SessionId::random(),
        refresh_token: sealed("authorization_code", code.to_string(), "refresh_token"),
        redirect_uri: String::new(),
        code_challenge: String::new(),
        code_challenge_method: String::new(),
        after_callback_redirect_url: None,
        created_at: deps.now(),
        expires_at: deps.now(),
        used_at: None,
    };
    let visit_row = oauth_visit::Model {
        id: visit,
        project_id: project_id.clone(),
        // Of this visit alone, whatever the project.
        state_hash: visit.0.as_bytes().to_vec(),
        code_hash: None,
        memory: sealed("oauth_visit", visit.to_string(), "memory"),
        created_at: deps.now(),
        returned_at: None,
        used_at: None,
        kept_until: deps.now(),
    };
    let write = async |tx: Tx| {
        oauth_visit::Entity::insert(visit_row.clone().into_active_model()).exec_without_returning(&*tx).await?;
        cli_login::Entity::insert(login_row.clone().into_active_model()).exec_without_returning(&*tx).await?;
        authorization_code::Entity::insert(code_row.clone().into_active_model()).exec_without_returning(&*tx).await?;
        Ok(())
    };
    deps.db.write(write).await.unwrap();
    (login, code, visit)
}

fn hand_over_place<'a>(table: &'a str, project_id: &'a ProjectId, row: &'a str, column: &'a str) -> Place<'a> {
    Place { project: project_id.as_str(), table, row, column }
}

fn token_place<'a>(project_id: &'a ProjectId, row: &'a str, column: &'a str) -> Place<'a> {
    Place { project: project_id.as_str(), table: "linked_account_token", row, column }
}

fn mail_place<'a>(project_id: &'a ProjectId, row: &'a str, column: &'a str) -> Place<'a> {
    Place { project: project_id.as_str(), table: "email", row, column }
}

#[tokio::test]
async fn after_a_rotation_the_new_secret_alone_opens_everything() {
    testing::on_each_database(|mut bench| async move {
        bench.deps.keyring = keyring(&["a"]);
        let scene = Scene::on(&bench).await;
        bench.deps.keyring = keyring(&["b", "a"]);
        scene.check(&bench).await;
        let first = done(rotate(&bench.deps).await.unwrap());
        assert!(first.iter().all(|(_, count, left)| *count > 0 && *left == 0), "{first:?}");
        let second = done(rotate(&bench.deps).await.unwrap());
        assert!(second.iter().all(|(_, count, left)| *count == 0 && *left == 0), "{second:?}");
        bench.deps.keyring = keyring(&["b"]);
        scene.check(&bench).await;
        let alone = done(rotate(&bench.deps).await.unwrap());
        assert!(alone.iter().all(|(_, count, left)| *count == 0 && *left == 0), "{alone:?}");
    })
    .await;
}

#[tokio::test]
async fn what_does_not_open_is_told_and_keeps_nothing_else_back() {
    testing::on_each_database(|mut bench| async move {
        bench.deps.keyring = keyring(&["lost"]);
        Scene::on(&bench).await;
        bench.deps.keyring = keyring(&["a"]);
        let scene = Scene::beside(&bench).await;
        bench.deps.keyring = keyring(&["b", "a"]);
        let told = done(rotate(&bench.deps).await.unwrap());
        let (seeded, others): (Vec<_>, Vec<_>) =
            told.into_iter().partition(|(what, ..)| *what == "secrets of the installation");
        assert!(seeded.iter().all(|(_, count, left)| *count == 0 && *left > 0), "{seeded:?}");
        assert!(others.iter().all(|(_, count, left)| *count == 1 && *left == 1), "{others:?}");
        bench.deps.keyring = keyring(&["b"]);
        let secret = webhooks::secret(&bench.deps, &scene.admin, scene.endpoint.id).await.unwrap();
        assert_eq!(secret.expose_secret(), scene.endpoint_secret);
    })
    .await;
}

#[tokio::test]
async fn a_transaction_takes_a_hundred_rows_and_one_that_was_cut_off_is_begun_again() {
    const ROWS: usize = 230;
    testing::on_each_database(|mut bench| async move {
        bench.deps.keyring = keyring(&["a"]);
        let project_id = bench.insert_project().await;
        for number in 0..ROWS {
            let mut actor = Actor::new(project_id.clone(), Level::Server, None);
            actor.idempotency = Some(IdempotencyKey::new(&format!("key {number}"), &[b"body"]));
            bench.deps.mutate(&actor, "tests.answer", |_| async move { Ok(number) }).await.unwrap();
        }
        bench.deps.keyring = keyring(&["b", "a"]);
        // The first transaction of a rotation that got no further.
        let deps = bench.deps.clone();
        let begin = page::<idempotency::Entity>;
        let new_value = |row: &idempotency::Model| {
            let place =
                Place { project: row.project_id.as_str(), table: "idempotency", row: &row.key, column: &row.operation };
            let sealed = deps.keyring.reseal(&place, &row.outcome).unwrap();
            NewValue { value: sealed.map(Value::from), unreadable: 0 }
        };
        let page = deps.db.write(|tx| begin(tx, idempotency::Column::Outcome, None, None, new_value)).await.unwrap();
        assert_eq!(page.changed, BATCH);
        let watch = bench.deps.db.watch();
        let told = done(rotate(&bench.deps).await.unwrap());
        assert!(told.contains(&("kept answers of repeatable mutations", ROWS as u64 - BATCH, 0)), "{told:?}");
        let updates = watch.take_statements().into_iter().filter(|sql| sql.starts_with("UPDATE")).count();
        assert_eq!(updates, ROWS - BATCH as usize);
        // Two for these, and one for each of the others.
        assert_eq!(watch.commits(), 2 + told.len() - 1);
    })
    .await;
}

#[tokio::test]
async fn every_binary_column_is_sealed_and_rotated_or_neither() {
    const SEALED: [&str; 13] = [
        "authorization_code.refresh_token",
        "cli_login.anonymous_token",
        "cli_login.refresh_token",
        "email.sealed_content",
        "email.sealed_variables",
        "idempotency.outcome",
        "installation_secret.value",
        "linked_account_token.access_token",
        "linked_account_token.refresh_token",
        "oauth_visit.memory",
        "user.totp_secret",
        "webhook_endpoint.headers",
        "webhook_secret.sealed",
    ];
    const HASHES_AND_BODIES: [&str; 19] = [
        "api_key.key_hash",
        "authorization_code.code_hash",
        "cli_login.login_hash",
        "cli_login.polling_hash",
        "idempotency.request_hash",
        "image.content",
        "key_set.publishable_client_key_hash",
        "key_set.secret_server_key_hash",
        "key_set.super_secret_admin_key_hash",
        "oauth_visit.code_hash",
        "oauth_visit.state_hash",
        "passkey.credential_id",
        "recovery_code.code_hash",
        "session.token_hash",
        "verification_code.code_hash",
        "verification_code.tail_hash",
        "webhook_attempt.response_body",
        "webhook_delivery.payload",
        "webhook_message.payload",
    ];
    let database = TestDatabase::sqlite().await;
    let connection = Database::connect(database.url()).await.unwrap();
    let sql = "SELECT t.name || '.' || c.name AS name FROM sqlite_master t JOIN pragma_table_info(t.name) c
               WHERE t.type = 'table' AND t.name NOT LIKE 'user_search_text%' AND lower(c.type) LIKE '%blob%' AND lower(c.type) NOT LIKE '%uuid%'";
    let rows = connection.query_all_raw(crate::db::statement(&connection, sql, [])).await.unwrap();
    let found: BTreeSet<String> = rows.iter().map(|row| row.try_get("", "name").unwrap()).collect();
    let known: BTreeSet<String> = SEALED.iter().chain(&HASHES_AND_BODIES).map(ToString::to_string).collect();
    assert_eq!(found, known, "add a new column to the list it belongs to, and a sealed one to its feature's `reseal`");
}
