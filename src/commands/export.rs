//! `postern export users`: the users of a project as lines of JSON.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use postern_domain::{
    Actor, Deps,
    users::transfer::{ExportPage, export_page},
};

use super::{CommandError, operator::administer, say};
use crate::{cli::ExportUsers, settings::Settings};

pub(super) async fn users(settings: Settings, options: &ExportUsers) -> Result<(), CommandError> {
    let (deps, actor) = administer(&settings, &options.project).await?;
    let secrets = options.with_password_hashes;
    let Some(path) = &options.output else {
        let mut out = BufWriter::new(io::stdout());
        return match write(&deps, &actor, secrets, &mut out).await {
            // A reader that has seen enough is no failure.
            Err(Stopped::Writing(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map(drop).map_err(CommandError::from),
        };
    };
    let draft = draft_of(path);
    let mut file = BufWriter::new(private(&draft).map_err(|error| at(&draft, &error))?);
    let written = write(&deps, &actor, secrets, &mut file).await?;
    let file = file.into_inner().map_err(|error| at(&draft, error.error()))?;
    file.sync_all().and_then(|()| std::fs::rename(&draft, path)).map_err(|error| at(path, &error))?;
    say(format!("Wrote {written} users of project {} to {}.", actor.project_id, path.display()))
}

/// Why an export ended early.
#[derive(Debug)]
enum Stopped {
    Reading(postern_domain::Error),
    Writing(io::Error),
}

impl From<Stopped> for CommandError {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Reading(error) => error.into(),
            Stopped::Writing(error) => error.into(),
        }
    }
}

async fn write(deps: &Deps, actor: &Actor, secrets: bool, out: &mut impl Write) -> Result<u64, Stopped> {
    let (mut written, mut after) = (0_u64, None);
    loop {
        let ExportPage { users, next } = export_page(deps, actor, after, secrets).await.map_err(Stopped::Reading)?;
        for user in &users {
            serde_json::to_writer(&mut *out, user).map_err(|error| Stopped::Writing(error.into()))?;
            out.write_all(b"\n").map_err(Stopped::Writing)?;
            written += 1;
        }
        if next.is_none() {
            out.flush().map_err(Stopped::Writing)?;
            return Ok(written);
        }
        after = next;
    }
}

/// A file that is cut off must not look whole, so it gets its name at the end.
fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

/// A new file that only its owner may read: it is about people.
pub(super) fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

pub(super) fn at(path: &Path, error: &io::Error) -> CommandError {
    CommandError::Failed(format!("{}: {error}", path.display()))
}
