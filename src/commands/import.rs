//! `postern import users`: users from lines of JSON.

mod lines;
mod results;

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use postern_domain::users::transfer::{FirebaseParameters, Import, ImportLine, ImportOptions};

use super::{CommandError, export::at, operator::administer, say};
use crate::{cli::ImportUsers, settings::Settings};

use self::{
    lines::{Line, Lines},
    results::{Outcome, Results},
};

/// How often the progress bar is drawn, per second.
const DRAWN_PER_SECOND: u8 = 5;

pub(super) async fn users(settings: Settings, options: ImportUsers) -> Result<(), CommandError> {
    let firebase = firebase(&options)?;
    let file = File::open(&options.file);
    let file = file.map_err(|error| CommandError::Refused(format!("{}: {error}", options.file.display())))?;
    let bytes = file.metadata()?.len();
    let (deps, actor) = administer(&settings, &options.project).await?;
    let path = options.results.unwrap_or_else(|| results_of(&options.file));
    let mut results = Results::create(&path).map_err(|error| at(&path, &error))?;
    let mut import = Import::begin(&deps, &actor, ImportOptions { is_told: options.events, firebase })?;
    let mut lines = Lines::new(BufReader::new(file));
    let bar = progress(bytes);
    loop {
        let batch = lines.next_batch().map_err(|error| at(&options.file, &error))?;
        let Some(last) = batch.last().map(|line| line.number) else { break };
        let outcomes = run(&mut import, batch).await.map_err(|error| {
            CommandError::Failed(format!(
                "stopped before line {last}: {error}\nRun it again to go on: users that are there already are left alone."
            ))
        })?;
        results.write(outcomes).map_err(|error| at(&path, &error))?;
        bar.set_position(lines.bytes());
    }
    bar.finish_and_clear();
    let summary = format!(
        "{} users were imported into project {}, {} were there already, {} lines failed. What became of each line is in {}.",
        results.imported,
        actor.project_id,
        results.present,
        results.failed,
        path.display()
    );
    if results.failed > 0 { Err(CommandError::Failed(summary)) } else { say(summary) }
}

/// What became of each line, in their order.
async fn run(import: &mut Import<'_>, batch: Vec<Line>) -> postern_domain::Result<Vec<(u64, Outcome)>> {
    let (mut outcomes, mut good) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
    for Line { number, text } in batch {
        match text {
            Ok(text) => good.push(ImportLine { number, text }),
            Err(failure) => outcomes.push((number, Err(failure))),
        }
    }
    let imported = import.run(&good).await?;
    outcomes.extend(good.into_iter().map(|line| line.number).zip(imported));
    outcomes.sort_by_key(|(number, _)| *number);
    Ok(outcomes)
}

fn firebase(options: &ImportUsers) -> Result<Option<FirebaseParameters>, CommandError> {
    let Some(key) = &options.firebase_signer_key else { return Ok(None) };
    let (separator, rounds, cost) =
        (&options.firebase_salt_separator, options.firebase_rounds, options.firebase_mem_cost);
    FirebaseParameters::decode(&key.clone().into(), separator, rounds, cost)
        .map(Some)
        .map_err(|error| CommandError::Refused(error.to_string()))
}

fn results_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".results.jsonl");
    file.with_file_name(name)
}

/// Drawn on a terminal only.
fn progress(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr_with_hz(DRAWN_PER_SECOND));
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {bytes}/{total_bytes}  {eta} left");
    // The template above is one.
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
