//! What tests of the domain, and of the crates above it, stand on: a throw-away database of each kind, [`Deps`] with a
//! clock that stands still and an outer world that only takes notes.
//!
//! ```ignore
//! #[tokio::test]
//! async fn something_holds() {
//!     testing::on_each_database(|bench| async move {
//!         let project_id = bench.insert_project().await;
//!         // … operations with `bench.deps`; move `bench.clock`; look into `bench.mailer` and `bench.http`
//!     })
//!     .await;
//! }
//! ```
//!
//! Compiled for tests and with the feature `testing` only. Everything here panics instead of answering errors.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot be set up has failed")]

use std::{
    collections::BTreeMap,
    future::Future,
    panic::{AssertUnwindSafe, resume_unwind},
    sync::{Arc, LazyLock},
};

use futures::FutureExt;
use postern_entity::{JobId, ProjectId, SessionId, Timestamp, UserId, config_override, event, job};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    sea_query::OnConflict,
};

use crate::{
    actor::{ActingUser, Actor, Level},
    db::{Address, Db},
    deps::Deps,
    items::ItemChanges,
    passwords::Passwords,
    projects::{self, Projects},
    secrets::{Keyring, MIN_SERVER_SECRET_BYTES},
    sessions::Sessions,
    settings::{
        DEFAULT_CODE_SECONDS, DEFAULT_MAILS_PER_HOUR, DEFAULT_WEBHOOK_RETENTION_DAYS, InternalSignUp, Settings,
    },
    signal::{Signal, Signals},
    time::FixedClock,
    users::Users,
};

mod database;
mod fakes;

pub use database::TestDatabase;
pub use fakes::{FakeHttp, FakeMailer, FakeProviders, FakeRates, FakeSvix, SameProcess};

/// Where the clock of a fresh bench stands: 2026-01-02T03:04:05.678Z.
pub const START: Timestamp = Timestamp(1_767_323_045_678);

const CONNECTIONS: u32 = 10;

/// Hashing a dummy takes a while; one for all tests is enough.
static PASSWORDS: LazyLock<Passwords> = LazyLock::new(|| Passwords::new(4).expect("the system has randomness"));

/// One test's surroundings.
#[derive(Debug)]
pub struct TestBench {
    /// What operations are handed.
    pub deps: Deps,
    /// The clock within them, standing at [`START`] until moved.
    pub clock: Arc<FixedClock>,
    /// The mail servers within them.
    pub mailer: Arc<FakeMailer>,
    /// The hosts of tenants within them.
    pub http: Arc<FakeHttp>,
    /// The counters within them.
    pub rates: Arc<FakeRates>,
    /// The sites within them that people sign in with.
    pub providers: Arc<FakeProviders>,
}

impl TestBench {
    /// A bench on a migrated database. The caller drops the database.
    pub async fn on(database: &TestDatabase) -> Self {
        Self::with_settings(database, settings()).await
    }

    /// The same with other settings.
    pub async fn with_settings(database: &TestDatabase, settings: Settings) -> Self {
        Self::at(database.url(), settings).await
    }

    /// A bench on the migrated database at `url`: for a second process, or for a way to the database that can be cut.
    pub async fn at(url: &str, settings: Settings) -> Self {
        let clock = Arc::new(FixedClock::at(START));
        let (mailer, http) = (Arc::new(FakeMailer::default()), Arc::new(FakeHttp::default()));
        let rates = Arc::new(FakeRates::default());
        let providers = Arc::new(FakeProviders::default());
        let signals = Signals::default();
        let deps = Deps {
            db: Db::connect(Address::direct(url, CONNECTIONS), signals.clone()).await.expect("the database is there"),
            clock: clock.clone(),
            projects: Projects::new(&signals),
            sessions: Sessions::new(&signals),
            users: Users::default(),
            item_changes: ItemChanges::default(),
            keyring: Keyring::new(vec!["k".repeat(MIN_SERVER_SECRET_BYTES).into()]).expect("the secret is long enough"),
            passwords: PASSWORDS.clone(),
            mailer: mailer.clone(),
            http: http.clone(),
            rates: rates.clone(),
            providers: providers.clone(),
            sandbox: Arc::new(SameProcess),
            stripe: None,
            svix: None,
            settings: Arc::new(settings),
        };
        Self { deps, clock, mailer, http, rates, providers }
    }

    /// A project that is nothing but its row, with a random id.
    pub async fn insert_project(&self) -> ProjectId {
        self.insert_project_with_id(ProjectId::random()).await
    }

    /// The same with a chosen id.
    pub async fn insert_project_with_id(&self, id: ProjectId) -> ProjectId {
        let row = projects::bare_row(id.clone(), "Test".to_owned(), START);
        self.deps
            .db
            .write(|tx| {
                let row = row.clone().into_active_model();
                async move { Ok(row.insert(&*tx).await?) }
            })
            .await
            .expect("a project can be inserted");
        id
    }

    /// Replaces the environment level of the project's config by `settings`, an object whose keys may be dotted paths.
    pub async fn set_config(&self, project_id: &ProjectId, settings: serde_json::Value) {
        let row = config_override::ActiveModel {
            project_id: Set(project_id.clone()),
            level: Set("environment".to_owned()),
            value: Set(settings),
            source: Set(None),
            updated_at: Set(START),
        };
        let key = [config_override::Column::ProjectId, config_override::Column::Level];
        let replace = OnConflict::columns(key).update_column(config_override::Column::Value).to_owned();
        self.deps
            .db
            .write(|tx| {
                let insert = config_override::Entity::insert(row.clone()).on_conflict(replace.clone());
                async move {
                    insert.exec_without_returning(&*tx).await?;
                    tx.raise(Signal::ProjectChanged { project_id: project_id.clone() });
                    Ok(())
                }
            })
            .await
            .expect("config can be stored");
    }

    /// Type and payload of every event of the project, in the order they were written.
    pub async fn events(&self, project_id: &ProjectId) -> Vec<(String, serde_json::Value)> {
        event::Entity::find()
            .filter(event::Column::ProjectId.eq(project_id.clone()))
            .order_by_asc(event::Column::Seq)
            .all(self.deps.db.read())
            .await
            .expect("events can be read")
            .into_iter()
            .map(|event| (event.kind, event.payload.unwrap_or_default()))
            .collect()
    }
}

/// A caller with the secret server key of the project.
#[must_use]
pub fn server(project_id: &ProjectId) -> Actor {
    Actor::new(project_id.clone(), Level::Server, None)
}

/// A caller with the super secret admin key of the project.
#[must_use]
pub fn admin(project_id: &ProjectId) -> Actor {
    Actor::new(project_id.clone(), Level::Admin, None)
}

/// A caller at client level for whom nobody has signed in.
#[must_use]
pub fn stranger(project_id: &ProjectId) -> Actor {
    Actor::new(project_id.clone(), Level::Client, None)
}

/// A caller at client level with an access token of the user.
#[must_use]
pub fn client(project_id: &ProjectId, user_id: UserId) -> Actor {
    let user = ActingUser { id: user_id, session_id: SessionId::random(), is_anonymous: false, is_restricted: false };
    Actor::new(project_id.clone(), Level::Client, Some(user))
}

/// Settings of local mode, without a mail server.
#[must_use]
pub fn settings() -> Settings {
    Settings {
        public_url: "http://localhost:8102".parse().expect("a URL"),
        local_mode: true,
        access_token_seconds: 600,
        code_seconds: DEFAULT_CODE_SECONDS,
        internal_sign_up: InternalSignUp::Open,
        allowed_subnets: Vec::new(),
        webhooks_https_only: false,
        webhook_retention_days: DEFAULT_WEBHOOK_RETENTION_DAYS,
        shared_mail_server: None,
        mail_from: ("Postern".to_owned(), "noreply@example.com".to_owned()),
        mails_per_hour: DEFAULT_MAILS_PER_HOUR,
        mail_report_secrets: Vec::new(),
        stripe_webhook_secrets: Vec::new(),
        turnstile: None,
        shared_oauth: BTreeMap::new(),
        shared_oauth_gives_tokens: false,
        rate_limits: true,
    }
}

/// Makes it look as if the workers that ran the job so many times in a row had been killed in the middle.
pub async fn let_down(deps: &Deps, id: JobId, times: i32) {
    let change = job::ActiveModel {
        id: Set(id),
        state: Set(job::JobState::Running),
        attempts: Set(times),
        takeovers: Set(times - 1),
        due_at: Set(Timestamp(0)),
        ..Default::default()
    };
    let change = &change;
    deps.db
        .write(|tx| async move { Ok(job::Entity::update(change.clone()).exec(&*tx).await.map(drop)?) })
        .await
        .expect("the job is there");
}

/// Runs `test` on a fresh SQLite database and, when `POSTERN_TEST_POSTGRES_URL` is set, on a fresh PostgreSQL database.
/// `POSTERN_TEST_SHAPE` (`sqlite` or `postgres`) narrows it to one. The databases are gone afterwards, also when the test
/// panics.
pub async fn on_each_database<F, Fut>(test: F)
where
    F: Fn(TestBench) -> Fut,
    Fut: Future<Output = ()>,
{
    for database in TestDatabase::each().await {
        on(database, &test).await;
    }
}

#[expect(clippy::print_stderr, reason = "the reader of a failed test must know on which database it failed")]
async fn on<F, Fut>(database: TestDatabase, test: &F)
where
    F: Fn(TestBench) -> Fut,
    Fut: Future<Output = ()>,
{
    let bench = TestBench::on(&database).await;
    let backend = bench.deps.db.backend();
    let outcome = AssertUnwindSafe(test(bench)).catch_unwind().await;
    if let Err(panic) = outcome {
        eprintln!("the test failed on {backend:?}");
        resume_unwind(panic);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use postern_entity::project;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn every_run_has_a_database_of_its_own_with_all_tables() {
        for _ in 0..2 {
            on_each_database(|bench| async move {
                assert_eq!(project::Entity::find().all(bench.deps.db.read()).await.unwrap(), []);
                bench.insert_project_with_id(ProjectId::internal()).await;
            })
            .await;
        }
    }

    #[tokio::test]
    async fn config_is_seen_as_soon_as_it_is_set() {
        on_each_database(|bench| async move {
            let project_id = bench.insert_project().await;
            for allowed in [true, false] {
                bench.set_config(&project_id, json!({ "users.allowClientUserDeletion": allowed })).await;
                let config = crate::projects::config(&bench.deps, &project_id).await.unwrap();
                assert_eq!(config.users.allow_client_user_deletion, allowed);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_failed_test_leaves_no_database() {
        for database in TestDatabase::each().await {
            let url = database.url().to_owned();
            let failed = AssertUnwindSafe(on(database, &async |_| panic!("as it should"))).catch_unwind().await;
            assert!(failed.is_err());
            let gone = url.replace("?mode=rwc", "?mode=rw");
            // One on a server goes behind the test's back.
            let gone = async { while sea_orm::Database::connect(&gone).await.is_ok() {} };
            tokio::time::timeout(Duration::from_secs(60), gone)
                .await
                .unwrap_or_else(|_| panic!("{url} is still there"));
        }
    }
}
