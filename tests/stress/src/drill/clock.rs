//! A process whose clock jumps an hour forwards, back, an hour backwards, and back, while the others' clocks are right.
//! libfaketime tells it the time; monotonic time goes on as it is.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep};

use super::{
    Scale,
    check::Permitted,
    scene::{Report, Scene},
};
use crate::stand::{Plan, Postern, Shape};

/// Where Debian's package `faketime` puts the library for programs with threads.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

pub(super) async fn run(scale: Scale, shape: Shape) -> Result<Report> {
    let mut scene = Scene::start(Plan::new(shape)).await?;
    let file = scene.stand.dir().join("clock");
    set(&file, "+0")?;
    for process in victims(&mut scene) {
        process.stop().await?;
        fake_clock(process, &file)?;
        process.start().await?;
    }
    scene.start_traffic(scale.load()).await?;
    for _ in 0..scale.pick(1, 2) {
        for offset in ["+3600s", "+0", "-3600s", "+0"] {
            sleep(Duration::from_secs(scale.pick(4, 8))).await;
            let begun = Instant::now();
            set(&file, offset)?;
            scene.history.disturbed_since(begun);
        }
    }
    sleep(Duration::from_secs(2)).await;
    // A lease that runs out too soon lets a job run twice; so does a try to send that looks older than it is.
    scene.end(Permitted { repeats: true, wrong_clocks: true, ..Permitted::default() }).await
}

/// One gateway and one worker; the one process in the embedded shape.
fn victims(scene: &mut Scene) -> impl Iterator<Item = &mut Postern> {
    scene.stand.gateways.iter_mut().take(1).chain(scene.stand.workers.iter_mut().take(1))
}

/// From its next start on the process goes by the clock of `file`.
pub(super) fn fake_clock(process: &mut Postern, file: &Path) -> Result<()> {
    process.set("LD_PRELOAD", library()?.display().to_string());
    process.set("FAKETIME_TIMESTAMP_FILE", file.display().to_string());
    process.set("FAKETIME_NO_CACHE", "1");
    process.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Ok(())
}

/// How far the clock of `file` is off. Whole or not at all: a reader sees the old offset or the new one.
pub(super) fn set(file: &Path, offset: &str) -> Result<()> {
    let draft = file.with_extension("new");
    std::fs::write(&draft, offset)?;
    std::fs::rename(&draft, file)?;
    Ok(())
}

fn library() -> Result<PathBuf> {
    let architecture = format!("{}-linux-gnu", std::env::consts::ARCH);
    let places = [format!("/usr/lib/{architecture}"), "/usr/lib".to_owned(), "/usr/local/lib".to_owned()];
    let found = places.iter().map(|place| Path::new(place).join(LIBRARY)).find(|path| path.exists());
    found.context("libfaketime is not installed: scripts/drill installs it (Debian's package faketime)")
}
