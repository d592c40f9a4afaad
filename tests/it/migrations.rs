//! Every change of the tables can be done, undone and done again on both databases.

use postern_migration::{Migrator, MigratorTrait};
use sea_orm::Database;

use crate::support::{database_url, past_pooler};

#[tokio::test]
async fn up_down_up() {
    let data = tempfile::TempDir::new().unwrap();
    let mut url = past_pooler(&database_url(data.path()).await);
    if url.starts_with("sqlite:") {
        url.push_str("?mode=rwc");
    }
    let database = Database::connect(url).await.unwrap();
    Migrator::up(&database, None).await.unwrap();
    Migrator::down(&database, None).await.unwrap();
    assert_eq!(Migrator::get_pending_migrations(&database).await.unwrap().len(), Migrator::migrations().len());
    Migrator::up(&database, None).await.unwrap();
    assert!(Migrator::get_pending_migrations(&database).await.unwrap().is_empty());
}
