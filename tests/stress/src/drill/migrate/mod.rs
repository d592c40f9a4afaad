//! kill -9 of `postern migrate` on an empty database, again and again: when it begins a change, and in the seed that follows the
//! last one; and of one of two at once, the one that is at work. One that is cut off leaves the database as it was or with all
//! changes, never between. Once one has passed, the database is like one that nobody disturbed, and an installation starts on it
//! and serves.

mod contents;

use std::{os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use anyhow::{Result, ensure};
use tokio::time::{Instant, sleep};

use self::contents::Contents;
use super::{
    Scale,
    check::{Findings, Permitted},
    scene::{Report, Scene, conclude},
};
use crate::stand::{Plan, Postern, Shape, Stand};

/// What the log says when a change is begun, and when there is none left.
const BEGUN: &str = "Applying migration '";
const NONE_LEFT: &str = "No pending migrations";
/// SIGKILL.
const KILLED: i32 = 9;
/// The exit code of a start that is refused.
const REFUSED: i32 = 2;
/// How long a migration may take to come to a place, beside a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How long the installation serves in the end.
const SERVED: Duration = Duration::from_secs(3);

pub(super) async fn run(scale: Scale, shape: Shape) -> Result<Report> {
    let mut stand = Stand::prepare(&Plan::new(shape)).await?;
    let ended = drill(scale, &stand).await;
    let found = match ended {
        Ok(found) if found.wrong.is_empty() => found,
        broken => return conclude(stand, broken.map(Found::report)).await,
    };
    if let Err(error) = stand.bring_up().await {
        return conclude(stand, Err(error)).await;
    }
    let mut scene = Scene::around(stand).await?;
    scene.start_traffic(scale.load()).await?;
    sleep(SERVED).await;
    let mut report = scene.end(Permitted::default()).await?;
    report.notes.extend(found.notes);
    Ok(report)
}

/// What was found before anybody was served.
#[derive(Debug, Default)]
struct Found {
    wrong: Vec<String>,
    notes: Vec<String>,
}

impl Found {
    fn report(self) -> Report {
        let findings = Findings { wrong: self.wrong, ..Findings::default() };
        Report { findings, answers_again: None, done_again: [Duration::ZERO; 2], notes: self.notes }
    }

    /// Holds a database against one that nobody disturbed.
    fn compare(&mut self, what: &str, contents: &Contents, whole: &Contents) {
        let differences = contents.differences(whole).into_iter();
        self.wrong.extend(differences.map(|difference| format!("{what}: {difference}")));
    }
}

async fn drill(scale: Scale, stand: &Stand) -> Result<Found> {
    let undisturbed = Undisturbed::watch(stand).await?;
    let mut found = Found::default();
    kill_one_by_one(scale, stand, &undisturbed, &mut found).await?;
    kill_one_of_two(stand, &undisturbed, &mut found).await?;
    Ok(found)
}

/// A migration that nobody disturbs.
struct Undisturbed {
    /// How many changes it makes.
    changes: usize,
    /// From the beginning of the last change to its end: mostly the seed.
    seed: Duration,
    empty: Contents,
    whole: Contents,
}

impl Undisturbed {
    async fn watch(stand: &Stand) -> Result<Self> {
        let database = stand.make_database("alone").await?;
        let empty = Contents::read(&database).await?;
        let mut process = stand.migration("migrate-alone", &database)?;
        process.spawn()?;
        let (begun, mut changes, mut last) = (Instant::now(), 0, Instant::now());
        while process.ended()?.is_none() {
            let now = changes_begun(&process);
            if now > changes {
                (changes, last) = (now, Instant::now());
            }
            ensure!(begun.elapsed() < PATIENCE, "{} does not end", process.name);
            sleep(LOOK_EVERY).await;
        }
        let seed = last.elapsed();
        let status = process.wait_end().await?;
        let changes = changes_begun(&process);
        ensure!(status.success() && changes > 0, "{} ended with {status} after {changes} changes", process.name);
        Ok(Self { changes, seed, empty, whole: Contents::read(&database).await? })
    }
}

/// Where a migration is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// When it begins this change, counted from 1,
    change: usize,
    /// and so long after that.
    later: Duration,
}

/// So many places in the changes, spread evenly, and then so many in the seed.
fn places(changes: usize, in_changes: usize, seed: Duration, in_seed: u32) -> Vec<Place> {
    let in_changes = in_changes.min(changes);
    let while_changed =
        (0..in_changes).map(|number| Place { change: 1 + number * changes / in_changes, later: Duration::ZERO });
    let while_seeded = (1..=in_seed).map(|number| Place { change: changes, later: seed * number / (in_seed + 1) });
    while_changed.chain(while_seeded).collect()
}

/// Kills one migration after the other, each later in its work than the one before, until one is faster; and lets one pass then.
async fn kill_one_by_one(scale: Scale, stand: &Stand, undisturbed: &Undisturbed, found: &mut Found) -> Result<()> {
    let Undisturbed { changes, seed, empty, whole } = undisturbed;
    let (mut killed_at, mut seeds_killed) = (Vec::new(), 0);
    for (number, place) in places(*changes, scale.pick(4, 40), *seed, scale.pick(2, 8)).into_iter().enumerate() {
        let mut process = stand.migration(&format!("migrate-{}", number + 1), &stand.database_url)?;
        let status = cut_off(&mut process, place).await?;
        if status.success() {
            break;
        }
        ensure!(status.signal() == Some(KILLED), "{} ended by itself with {status}", process.name);
        if place.later.is_zero() {
            killed_at.push(changes_begun(&process).to_string());
        } else {
            seeds_killed += 1;
        }
        let left = Contents::read(&stand.database_url).await?;
        if left.schema != empty.schema && left.schema != whole.schema {
            found.wrong.push(format!("{} was killed and left half of the changes", process.name));
        }
    }
    if killed_at.is_empty() {
        found.wrong.push("no migration was killed while it changed anything".to_owned());
    }
    if seeds_killed < scale.pick(0, 1) {
        found.wrong.push("no migration was killed after its changes".to_owned());
    }
    stand.migration("migrate-last", &stand.database_url)?.run_to_end().await?;
    found.compare("after kills", &Contents::read(&stand.database_url).await?, whole);
    found.notes.push(format!(
        "{} migrations were killed when they had begun {} of {changes} changes, and {seeds_killed} after the last",
        killed_at.len(),
        killed_at.join(", ")
    ));
    Ok(())
}

/// Starts a migration and kills it at this place. Answers how it ended: it may have been faster.
async fn cut_off(process: &mut Postern, place: Place) -> Result<ExitStatus> {
    process.spawn()?;
    let deadline = Instant::now() + PATIENCE;
    while !comes_to(process, place.change) && process.ended()?.is_none() {
        ensure!(Instant::now() < deadline, "{} does not come to change {}", process.name, place.change);
        sleep(LOOK_EVERY).await;
    }
    sleep(place.later).await;
    match process.ended()? {
        Some(_) => process.wait_end().await,
        None => process.kill().await,
    }
}

/// Two migrations at once, of which the one at work is killed in the middle. On PostgreSQL the other one waits for it, and does
/// all of it then; the file of SQLite has one user, and whoever comes second is refused.
async fn kill_one_of_two(stand: &Stand, undisturbed: &Undisturbed, found: &mut Found) -> Result<()> {
    let database = stand.make_database("two").await?;
    let change = undisturbed.changes.div_ceil(2);
    let mut one = stand.migration("migrate-one", &database)?;
    let mut other = stand.migration("migrate-other", &database)?;
    one.spawn()?;
    other.spawn()?;
    let deadline = Instant::now() + PATIENCE;
    while changes_begun(&one).max(changes_begun(&other)) < change {
        ensure!(Instant::now() < deadline, "neither of two migrations comes to change {change}");
        sleep(LOOK_EVERY).await;
    }
    let (at_work, waiting) =
        if changes_begun(&one) >= change { (&mut one, &mut other) } else { (&mut other, &mut one) };
    let killed = at_work.kill().await?;
    let inherited = waiting.wait_end().await?;
    let is_refused = stand.shape == Shape::Embedded && inherited.code() == Some(REFUSED);
    if !inherited.success() && !is_refused {
        found.wrong.push(format!("{}, beside which another one was killed, ended with {inherited}", waiting.name));
    }
    stand.migration("migrate-after-two", &database)?.run_to_end().await?;
    found.compare("after two at once", &Contents::read(&database).await?, &undisturbed.whole);
    let killed = if killed.signal() == Some(KILLED) { "was killed" } else { "was faster than its kill" };
    found
        .notes
        .push(format!("of two at once the one at work {killed} at change {change}; the other ended with {inherited}"));
    Ok(())
}

/// Whether a migration has begun so many changes, or has none left to make.
fn comes_to(process: &Postern, change: usize) -> bool {
    let log = log(process);
    log.matches(BEGUN).count() >= change || log.contains(NONE_LEFT)
}

fn changes_begun(process: &Postern) -> usize {
    log(process).matches(BEGUN).count()
}

/// What it has said so far.
fn log(process: &Postern) -> String {
    std::fs::read_to_string(process.log_file()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_spread_over_the_changes_and_then_over_the_seed() {
        let at = |change, millis| Place { change, later: Duration::from_millis(millis) };
        let found = places(26, 4, Duration::from_millis(90), 2);
        assert_eq!(found, [at(1, 0), at(7, 0), at(14, 0), at(20, 0), at(26, 30), at(26, 60)]);
        assert_eq!(places(3, 40, Duration::ZERO, 0), [at(1, 0), at(2, 0), at(3, 0)]);
    }
}
