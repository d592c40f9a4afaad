//! Every change of the tables can be done, undone and done again on both databases.

use postern_migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

use crate::support::{database_url, past_pooler};

async fn empty(data: &tempfile::TempDir) -> DatabaseConnection {
    let mut url = past_pooler(&database_url(data.path()).await);
    if url.starts_with("sqlite:") {
        url.push_str("?mode=rwc");
    }
    Database::connect(url).await.unwrap()
}

async fn number(database: &DatabaseConnection, sql: &str) -> i64 {
    let row = database.query_one_raw(Statement::from_string(database.get_database_backend(), sql)).await.unwrap();
    row.unwrap().try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn up_down_up() {
    let data = tempfile::TempDir::new().unwrap();
    let database = empty(&data).await;
    Migrator::up(&database, None).await.unwrap();
    Migrator::down(&database, None).await.unwrap();
    assert_eq!(Migrator::get_pending_migrations(&database).await.unwrap().len(), Migrator::migrations().len());
    Migrator::up(&database, None).await.unwrap();
    assert!(Migrator::get_pending_migrations(&database).await.unwrap().is_empty());
}

/// Those of before are found like those of after: more teams than one statement of the change reads, and a user.
#[tokio::test]
async fn what_was_there_before_the_search_is_searched() {
    const TEAMS: i64 = 1_203;
    let data = tempfile::TempDir::new().unwrap();
    let database = empty(&data).await;
    let known = Migrator::migrations();
    let before = known.iter().position(|change| change.name().starts_with("m0019_")).unwrap();
    Migrator::up(&database, Some(u32::try_from(before).unwrap())).await.unwrap();
    let is_sqlite = database.get_database_backend() == DbBackend::Sqlite;
    let (no, id) = if is_sqlite { ("0", "randomblob(16)") } else { ("false", "gen_random_uuid()") };
    let numbers = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1203)";
    for sql in [
        format!(
            "INSERT INTO project (id, display_name, description, is_production_mode, is_development_environment,
                onboarding_status, created_at, updated_at) VALUES ('internal', 'P', '', {no}, {no}, 'completed', 1, 1)"
        ),
        format!(
            "{numbers} INSERT INTO team (id, project_id, display_name, created_at, updated_at)
                SELECT {id}, 'internal', 'ÄRZTE ΣΟΦΟΣ ' || n, n, n FROM numbers"
        ),
        format!(
            r#"INSERT INTO "user" (id, project_id, display_name, display_name_folded, signed_up_at, last_active_at,
                otp_auth_enabled, requires_totp_mfa, is_anonymous, restricted_by_admin, risk_bot, risk_free_trial_abuse,
                created_at, updated_at) SELECT {id}, 'internal', 'Ada', 'ada', 1, 1, {no}, {no}, {no}, {no}, 0, 0, 1, 1"#
        ),
    ] {
        database.execute_unprepared(&sql).await.unwrap();
    }
    Migrator::up(&database, None).await.unwrap();
    let folded = "SELECT COUNT(*) FROM team WHERE display_name_folded LIKE 'ärzte σοφοσ %'";
    assert_eq!(number(&database, folded).await, TEAMS);
    if is_sqlite {
        let found =
            r#"SELECT COUNT(*) FROM user_search_text WHERE user_search_text MATCH 'scope : "int" AND text : "ada"'"#;
        assert_eq!(number(&database, found).await, 1);
    }
}
