//! `postern doctor`: says what is wrong, one line a part, and fails if anything is.

use postern_domain::queue::Stats;
use postern_migration::{Migrator, MigratorTrait};

use super::{CommandError, say};
use crate::{settings::Settings, wiring};

pub(super) async fn run(settings: Settings) -> Result<(), CommandError> {
    let mut wrong = 0_u32;
    let mut report = |part: &str, found: Result<String, String>| {
        let (mark, text) = match found {
            Ok(text) => ("ok   ", text),
            Err(text) => {
                wrong += 1;
                ("WRONG", text)
            }
        };
        say(format!("{mark} {part}: {text}"))
    };
    let mode = if settings.domain.local_mode { "local mode" } else { "not local mode" };
    report("settings", Ok(format!("{mode}, public URL {}", settings.domain.public_url)))?;
    let deps = match wiring::connect(&settings, None).await {
        Err(error) => {
            report("database", Err(error.to_string()))?;
            None
        }
        Ok(deps) => {
            report("database", deps.db.ping().await.map(|()| "answers".to_owned()).map_err(|error| error.to_string()))?;
            let pending = Migrator::get_pending_migrations(deps.db.migration_connection()).await;
            report(
                "migrations",
                match pending {
                    Ok(pending) if pending.is_empty() => Ok("all applied".to_owned()),
                    Ok(pending) => Err(format!("{} to apply; run `postern migrate` or `postern serve`", pending.len())),
                    Err(error) => Err(error.to_string()),
                },
            )?;
            let stats = postern_domain::queue::stats(&deps).await.map_err(|error| error.to_string());
            report("queue", stats.and_then(|stats| judge_queue(&stats)))?;
            Some(deps)
        }
    };
    match &settings.domain.shared_mail_server {
        None => report("mail", Ok("caught in the local mailbox".to_owned()))?,
        Some(server) => {
            let place = format!("{}:{}", server.host, server.port);
            let checked = match deps {
                Some(deps) => deps.mailer.check(server).await.map_err(|error| error.to_string()),
                None => Err("not checked, because the database has to be reached first".to_owned()),
            };
            report("mail", checked.map(|()| format!("{place} answers and takes the credentials")))?;
        }
    }
    if wrong > 0 { Err(CommandError::Failed(format!("{wrong} parts are wrong"))) } else { Ok(()) }
}

/// How long a due job may wait before somebody should look, in milliseconds.
const MAX_LAG_MILLIS: u64 = 60_000;

fn judge_queue(stats: &Stats) -> Result<String, String> {
    let text = format!("{} jobs open, {} dead, the oldest due for {} ms", stats.open, stats.dead, stats.lag_millis);
    if stats.dead > 0 || stats.lag_millis > MAX_LAG_MILLIS { Err(text) } else { Ok(text) }
}
