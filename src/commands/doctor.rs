//! `postern doctor`: says what is wrong, one line a part, and fails if anything is.

use postern_domain::{emails, queue::Stats};

use super::{CommandError, say};
use crate::{
    settings::Settings,
    wiring::{self, Shape},
};

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
            report(
                "migrations",
                match Shape::of(&deps.db).await {
                    Ok(Shape::Current) => Ok("all applied".to_owned()),
                    Ok(Shape::Older(count)) => {
                        Err(format!("{count} to apply; run `postern migrate` or `postern serve`"))
                    }
                    Ok(Shape::Newer(change)) => Err(format!("a newer version has applied {change}; use that version")),
                    Err(error) => Err(error.to_string()),
                },
            )?;
            let clock = deps.clock_difference().await.map_err(|error| error.to_string());
            report("clock", clock.and_then(judge_clock))?;
            let stats = postern_domain::queue::stats(&deps).await.map_err(|error| error.to_string());
            report("queue", stats.and_then(|stats| judge_queue(&stats)))?;
            Some(deps)
        }
    };
    match wiring::redis(&settings) {
        Ok(None) => {}
        Ok(Some(redis)) => {
            report("redis", redis.check().await.map(|()| "answers".to_owned()).map_err(|fault| fault.to_string()))?;
        }
        Err(error) => report("redis", Err(error.to_string()))?,
    }
    if let Some(deps) = &deps {
        let rendered = emails::check_sandbox(deps).await.map_err(|error| error.to_string());
        report("templates", rendered.map(|()| "a process of their own renders them".to_owned()))?;
    }
    if let Some(stripe) = &settings.stripe {
        let checked = match deps.as_ref().and_then(|deps| deps.stripe.as_ref()) {
            Some(api) => api.check().await.map_err(|error| error.to_string()),
            None => Err("not checked, because the database has to be reached first".to_owned()),
        };
        report("stripe", checked.map(|()| format!("{} answers and takes the key", stripe.api_base)))?;
        if settings.domain.stripe_webhook_secrets.is_empty() {
            report("stripe", Err("POSTERN_STRIPE_WEBHOOK_SECRET is missing: no event of Stripe is taken".to_owned()))?;
        }
    }
    if let Some(svix) = &settings.svix {
        let checked = match deps.as_ref().and_then(|deps| deps.svix.as_ref()) {
            Some(server) => server.check().await.map_err(|error| error.to_string()),
            None => Err("not checked, because the database has to be reached first".to_owned()),
        };
        report("svix", checked.map(|()| format!("{} answers and takes the token", svix.url)))?;
    }
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

/// How far the clocks may be apart before somebody should look, in milliseconds.
const MAX_CLOCK_DIFFERENCE_MILLIS: i64 = 2_000;

fn judge_clock(difference: Option<i64>) -> Result<String, String> {
    match difference {
        None => Ok("one with the database's".to_owned()),
        Some(millis) if millis.abs() > MAX_CLOCK_DIFFERENCE_MILLIS => {
            Err(format!("{millis} ms ahead of the database's; set both by the same time server"))
        }
        Some(millis) => Ok(format!("{millis} ms ahead of the database's")),
    }
}

/// How long a due job may wait before somebody should look, in milliseconds.
const MAX_LAG_MILLIS: u64 = 60_000;

fn judge_queue(stats: &Stats) -> Result<String, String> {
    let text = format!("{} jobs open, {} dead, the oldest due for {} ms", stats.open, stats.dead, stats.lag_millis);
    if stats.dead > 0 || stats.lag_millis > MAX_LAG_MILLIS { Err(text) } else { Ok(text) }
}
