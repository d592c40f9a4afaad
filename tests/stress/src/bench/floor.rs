//! The floor that speeds are measured against, a process of its own: bare axum handlers that verify the same token as Postern
//! does, cached by its hash, and do one prepared SELECT by primary key (reads), or one INSERT with its commit (writes), on the
//! database of Postern, by the same driver, with as many connections and the same durability.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use moka::future::Cache;
use sea_orm::sqlx::{
    self, PgPool, Row, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

const MAX_CACHED_TOKENS: u64 = 100_000;
const TOKEN_CACHE_LIFETIME: Duration = Duration::from_secs(600);
/// About as much as a row of a user.
const WRITTEN: &str = r#"{"display_name": "Ada Lovelace", "primary_email": "ada@example.com", "is_anonymous": false, "restricted_by_admin": false, "country_code": null, "client_metadata": null}"#;

/// How the process is started.
#[derive(Clone, Debug, clap::Args)]
pub struct FloorSettings {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// The database of Postern.
    #[arg(long)]
    database_url: String,
    /// Most connections to it.
    #[arg(long)]
    connections: u32,
    /// The key set that the tokens are signed with.
    #[arg(long)]
    jwks_url: String,
}

#[derive(Clone)]
struct Floor {
    database: Database,
    keys: Arc<HashMap<String, DecodingKey>>,
    verified: Cache<[u8; 32], Arc<Claims>>,
}

#[derive(Clone)]
enum Database {
    Sqlite { reader: SqlitePool, writer: SqlitePool },
    Postgres(PgPool),
}

#[derive(Deserialize)]
struct Claims {
    sub: Uuid,
}

#[derive(Serialize)]
struct Found {
    id: Uuid,
    display_name: Option<String>,
}

/// Serves until the process is ended.
///
/// # Errors
/// When the database, the key set or the address is not to be had.
pub async fn serve(settings: &FloorSettings) -> Result<()> {
    let set: JwkSet = reqwest::get(&settings.jwks_url).await?.error_for_status()?.json().await?;
    let mut keys = HashMap::new();
    for key in &set.keys {
        keys.insert(key.common.key_id.clone().context("a key without an id")?, DecodingKey::from_jwk(key)?);
    }
    let floor = Floor {
        database: Database::connect(&settings.database_url, settings.connections).await?,
        keys: Arc::new(keys),
        verified: Cache::builder().max_capacity(MAX_CACHED_TOKENS).time_to_live(TOKEN_CACHE_LIFETIME).build(),
    };
    let router = Router::new()
        .route("/ready", get(|| async { "ok" }))
        .route("/read", get(read))
        .route("/write", post(write))
        .with_state(floor);
    let listener = tokio::net::TcpListener::bind(settings.listen).await?;
    Ok(axum::serve(listener, router).await?)
}

async fn read(State(floor): State<Floor>, headers: HeaderMap) -> Result<Json<Found>, Refused> {
    let claims = floor.verify(&headers).await?;
    Ok(Json(floor.database.find(claims.sub).await?.context("no such user")?))
}

async fn write(State(floor): State<Floor>, headers: HeaderMap) -> Result<(StatusCode, Json<Value>), Refused> {
    floor.verify(&headers).await?;
    let id = Uuid::now_v7();
    floor.database.insert(id).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

impl Floor {
    async fn verify(&self, headers: &HeaderMap) -> Result<Arc<Claims>> {
        let token = headers.get("x-stack-access-token").context("no token")?.to_str()?;
        let fingerprint: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(claims) = self.verified.get(&fingerprint).await {
            return Ok(claims);
        }
        let key_id = decode_header(token)?.kid.context("no key id")?;
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_aud = false;
        let claims = decode::<Claims>(token, self.keys.get(&key_id).context("an unknown key")?, &validation)?.claims;
        let claims = Arc::new(claims);
        self.verified.insert(fingerprint, Arc::clone(&claims)).await;
        Ok(claims)
    }
}

impl Database {
    async fn connect(url: &str, connections: u32) -> Result<Self> {
        let table = "CREATE TABLE IF NOT EXISTS bench_floor (id {uuid} PRIMARY KEY, written TEXT NOT NULL)";
        if url.starts_with("postgres") {
            let pool =
                PgPoolOptions::new().max_connections(connections).test_before_acquire(false).connect(url).await?;
            sqlx::raw_sql(sqlx::AssertSqlSafe(table.replace("{uuid}", "uuid"))).execute(&pool).await?;
            return Ok(Self::Postgres(pool));
        }
        let options = url
            .parse::<SqliteConnectOptions>()?
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .test_before_acquire(false)
            .connect_with(options.clone())
            .await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(table.replace("{uuid}", "blob"))).execute(&writer).await?;
        let reader = options.pragma("query_only", "on");
        let reader = SqlitePoolOptions::new()
            .max_connections(connections)
            .test_before_acquire(false)
            .connect_with(reader)
            .await?;
        Ok(Self::Sqlite { reader, writer })
    }

    async fn find(&self, id: Uuid) -> Result<Option<Found>> {
        const SELECT: &str = r#"SELECT id, display_name FROM "user" WHERE id = $1"#;
        Ok(match self {
            Self::Sqlite { reader, .. } => match sqlx::query(SELECT).bind(id).fetch_optional(reader).await? {
                Some(row) => Some(Found { id: row.try_get(0)?, display_name: row.try_get(1)? }),
                None => None,
            },
            Self::Postgres(pool) => match sqlx::query(SELECT).bind(id).fetch_optional(pool).await? {
                Some(row) => Some(Found { id: row.try_get(0)?, display_name: row.try_get(1)? }),
                None => None,
            },
        })
    }

    async fn insert(&self, id: Uuid) -> Result<()> {
        const INSERT: &str = "INSERT INTO bench_floor (id, written) VALUES ($1, $2)";
        let written = match self {
            Self::Sqlite { writer, .. } => {
                sqlx::query(INSERT).bind(id).bind(WRITTEN).execute(writer).await?.rows_affected()
            }
            Self::Postgres(pool) => sqlx::query(INSERT).bind(id).bind(WRITTEN).execute(pool).await?.rows_affected(),
        };
        ensure!(written == 1, "{written} rows were written");
        Ok(())
    }
}

/// Anything that went wrong; the bench stops at it.
struct Refused(String);

impl<E: std::fmt::Display> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl axum::response::IntoResponse for Refused {
    fn into_response(self) -> axum::response::Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0).into_response()
    }
}
