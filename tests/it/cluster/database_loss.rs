//! The database goes away from under an installation and comes back: its processes say so, and go on.

use serde_json::json;
use tempfile::TempDir;

use crate::support::{App, database_url, eventually, on_postgres, wire::Wire};

/// Waits until `/readyz` of each process answers this status with this text in it.
async fn all_say(app: &App, status: u16, text: &str) {
    for process in app.processes() {
        let url = format!("http://{}/readyz", process.admin_address);
        eventually(text, async || {
            let answer = reqwest::get(&url).await.unwrap();
            (answer.status() == status && answer.text().await.unwrap().contains(text)).then_some(())
        })
        .await;
    }
}

/// Only where it can go away: SQLite's is a file.
#[tokio::test(flavor = "multi_thread")]
async fn every_process_says_that_it_lost_its_database_until_that_is_back() {
    if !on_postgres() {
        return;
    }
    let data = TempDir::new().unwrap();
    let (wire, url) = Wire::to(&database_url(data.path()).await).await;
    let app = App::builder().set("POSTERN_DATABASE_URL", &url).start().await;
    all_say(&app, 200, "ok").await;
    wire.cut();
    all_say(&app, 503, "the database does not answer").await;
    for process in app.processes() {
        // Starting it anew would not help.
        let alive = reqwest::get(format!("http://{}/healthz", process.admin_address)).await.unwrap();
        assert_eq!(alive.status(), 200);
    }
    wire.mend();
    all_say(&app, 200, "ok").await;
    eventually("a user", async || {
        let made = app.rest().server().post("/users", json!({})).await;
        (made.status == 201).then_some(())
    })
    .await;
    app.stop().await;
}
