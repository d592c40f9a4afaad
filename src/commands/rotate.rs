//! `postern rotate`: the second of the three steps that replace the server secret (docs/settings.md).

use postern_domain::rotation::{self, Resealed};

use super::{CommandError, say};
use crate::{settings::Settings, wiring};

pub(super) async fn run(settings: Settings) -> Result<(), CommandError> {
    let deps = wiring::connect(&settings, None).await.map_err(|error| CommandError::Refused(error.to_string()))?;
    let rotated = rotation::rotate(&deps).await?;
    let lines = |rows: &mut dyn Iterator<Item = (u64, &str)>| {
        rows.filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count:>8}  {what}\n")).collect::<String>()
    };
    let done = lines(&mut rotated.iter().map(|Resealed { what, count, .. }| (*count, *what)));
    let left = lines(&mut rotated.iter().map(|Resealed { what, left, .. }| (*left, *what)));
    if done.is_empty() {
        say("There was nothing to seal again.")?;
    } else {
        say(format!("Sealed again under the first server secret:\n\n{done}"))?;
    }
    if !left.is_empty() {
        return Err(CommandError::Failed(format!(
            "some values are still under another secret:\n\n{left}\nEither a process is running whose POSTERN_SERVER_SECRET \
             does not begin with this one: restart it, then run this again. Or their secret is not among those of \
             POSTERN_SERVER_SECRET; the log names them. Keep the older secrets until this command finds nothing."
        )));
    }
    say(advice(deps.keyring.generations(), settings.domain.access_token_seconds))
}

fn advice(secrets: usize, access_token_seconds: i64) -> String {
    if secrets == 1 {
        return "Everything is under the one server secret. To replace it, put a new one before it \
                (POSTERN_SERVER_SECRET=new,old), restart every process, and run this again."
            .to_owned();
    }
    format!(
        "Nothing is left under an older secret. The older ones may be taken out of POSTERN_SERVER_SECRET as soon as every \
         process has run with the new one first for {access_token_seconds} seconds: access tokens signed before have expired \
         then."
    )
}
