//! `postern stripe`: what an operator does with the events of Stripe.

use postern_domain::payments::stripe::events;

use super::{CommandError, say};
use crate::{cli::StripeAction, settings::Settings, wiring};

const DAY_SECONDS: i64 = 24 * 60 * 60;

pub(super) async fn run(settings: Settings, action: &StripeAction) -> Result<(), CommandError> {
    let deps = wiring::connect(&settings, None).await.map_err(|error| CommandError::Refused(error.to_string()))?;
    match action {
        StripeAction::Events => {
            let mut after = None;
            loop {
                let page = events::open(&deps, after).await?;
                let Some(last) = page.last() else { return Ok(()) };
                after = Some((last.received_at, last.id.clone()));
                for event in page {
                    let at = event.received_at.to_utc().map(|time| time.to_rfc3339()).unwrap_or_default();
                    let account = event.account_id.as_deref().unwrap_or("-");
                    let error = event.error.as_deref().unwrap_or("waits");
                    say(format!("{} {at} {} {account} {error}", event.id, event.kind))?;
                }
            }
        }
        StripeAction::Replay { id } => {
            if !events::replay(&deps, id).await? {
                return Err(CommandError::Refused(format!("there is no event {id}; `postern stripe sync` fetches it")));
            }
            say(format!("{id} will be worked off again by the next worker"))
        }
        StripeAction::Sync { days } => {
            let since = days.map(|days| deps.now().plus_seconds(-i64::from(days) * DAY_SECONDS));
            let fetched = events::fetch_all(&deps, since, None).await?;
            say(format!(
                "{} accounts asked, {} events listed, {} of them new",
                fetched.accounts, fetched.listed, fetched.new
            ))?;
            match fetched.failed {
                0 => Ok(()),
                failed => Err(CommandError::Failed(format!("{failed} accounts could not be asked"))),
            }
        }
    }
}
