//! What a process needs: memory, the time it takes to start, its file, and the time it takes to build.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use super::{
    compare::Spread,
    load::Load,
    paths,
    report::{Budget, Row},
    scene::{Scene, until_answers},
};
use crate::stand::{Shape, binary};

const MEGABYTE: f64 = 1e6;
/// How long a process is left alone before its idle memory is read.
const SETTLE: Duration = Duration::from_secs(5);
const LOADED: usize = 64;
const LOAD_SECONDS: u64 = 10;

/// From the start of a process to the first good answer of `/readyz`, on a database that needs no change.
pub(crate) async fn start_time(scene: &mut Scene, rounds: usize) -> Result<Row> {
    let mut seconds = Vec::new();
    let gateway = scene.stand.gateways.first_mut().context("no gateway")?;
    for _ in 0..rounds {
        gateway.stop().await?;
        let began = Instant::now();
        gateway.spawn()?;
        until_answers(&format!("{}/readyz", gateway.admin_url())).await?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    let row = Row::plain(
        "start with a migrated database",
        spread(seconds)?,
        "s",
        "from the start of the process to the first ready `/readyz`",
    );
    Ok(row.budget(Budget::AtMost(0.5)))
}

/// Memory of each process after a start, left alone.
pub(crate) async fn idle(scene: &mut Scene) -> Result<Vec<Row>> {
    let embedded = scene.stand.shape == Shape::Embedded;
    let mut rows = Vec::new();
    for process in scene.stand.processes() {
        process.stop().await?;
        process.start().await?;
        sleep(SETTLE).await;
        let row = Row::plain(
            &format!("memory of {}, idle", process.name),
            one(process.rss_bytes()? as f64 / MEGABYTE),
            "MB",
            format!("{} s after its start, resident", SETTLE.as_secs()),
        );
        rows.push(if embedded { row.budget(Budget::AtMost(40.0)) } else { row });
    }
    Ok(rows)
}

/// The most memory of the gateway under a mixed load.
pub(crate) async fn loaded(scene: &Scene) -> Result<Row> {
    let loads = [
        paths::users_me_load(scene)?,
        paths::graphql_me_load(scene)?,
        paths::refresh_load(scene)?,
        paths::create_user_load(scene)?,
    ];
    let of_each = LOADED / loads.len();
    let working = futures::future::try_join_all(
        loads.iter().map(|load: &Load| load.run(of_each, Duration::from_secs(LOAD_SECONDS))),
    );
    tokio::pin!(working);
    let mut most = 0;
    loop {
        tokio::select! {
            done = &mut working => {
                done?;
                break;
            }
            () = sleep(Duration::from_millis(50)) => most = most.max(scene.gateway()?.rss_bytes()?),
        }
    }
    let notes = format!(
        "{LOAD_SECONDS} s, {of_each} connections each of GET /users/me, GraphQL me, refresh and POST /users; the most that was seen resident"
    );
    let name = format!("memory of {}, {LOADED} connections under load", scene.gateway()?.name);
    Ok(Row::plain(&name, one(most as f64 / MEGABYTE), "MB", notes).budget(Budget::AtMost(150.0)))
}

/// The size of the program.
pub(crate) fn binary_size() -> Result<Row> {
    let bytes = std::fs::metadata(binary()?)?.len();
    Ok(Row::plain("the program, stripped", one(bytes as f64 / MEGABYTE), "MB", "").budget(Budget::AtMost(40.0)))
}

/// The time of a clean release build, in a directory of its own that is removed afterwards.
pub(crate) async fn build_time() -> Result<Row> {
    let target = tempfile::tempdir()?;
    let began = Instant::now();
    let status = Command::new("cargo")
        .args(["build", "--release", "--locked", "--quiet", "--target-dir"])
        .arg(target.path())
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .stdin(Stdio::null())
        .status()
        .await?;
    ensure!(status.success(), "cargo build ended with {status}");
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    let row = Row::plain("clean cargo build --release", one(minutes), "min", "everything but the sources' download");
    Ok(row.budget(Budget::AtMost(10.0)))
}

fn one(value: f64) -> Spread {
    Spread { median: value, low: value, high: value }
}

fn spread(figures: Vec<f64>) -> Result<Spread> {
    Spread::of(figures).context("no round")
}
