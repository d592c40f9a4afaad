//! Following the log live.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use async_graphql::{Context, ID};
use futures::{
    FutureExt, Stream, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use postern_domain::{
    Deps, ProjectId, TeamId,
    db::may_come_back,
    events::{self, EventFilter, LoggedEvent, MAX_PAGE},
    identity, teams,
};
use postern_gateway_macros::guarded;
use tokio::time::{sleep, timeout};

use super::{
    tail::{Tail, Tails},
    types::{EventObject, TeamEventObject, kinds, position},
};
use crate::graphql::{
    error::{Error, Result},
    in_force::InForce,
    scalars::parse_id,
    schema::{actor, deps},
};

/// How often a right that can end without an event is looked at when nothing happens: definitions of permissions can change
/// too. A right that ended must be noticed within 10 s.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The pause before the database is asked again that was away.
const AGAIN: Duration = Duration::from_secs(1);

/// Subscriptions to the event log.
#[derive(Default)]
pub(crate) struct EventSubscription;

#[guarded(subscription)]
impl EventSubscription {
    /// Everything that changes in the project, in order. With `after` from there on, without it from now on.
    #[access(SERVER)]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only events of these types.")] types: Option<Vec<String>>,
        #[graphql(desc = "The cursor of the last event that was seen.")] after: Option<String>,
    ) -> Result<impl Stream<Item = async_graphql::Result<Option<EventObject>>> + use<>> {
        let filter = EventFilter { kinds: kinds(types.as_deref())?, ..EventFilter::default() };
        Ok(shown(follow(ctx, filter, after.as_deref()).await?, EventObject))
    }

    /// What changes about the signed-in user. With `after` from there on, without it from now on.
    #[access(CLIENT, self, keys = USER)]
    async fn my_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The cursor of the last event that was seen.")] after: Option<String>,
    ) -> Result<impl Stream<Item = async_graphql::Result<Option<EventObject>>> + use<>> {
        let user_id = identity::own_user_id(actor(ctx)?)?;
        Ok(shown(follow(ctx, EventFilter::of_user(user_id), after.as_deref()).await?, EventObject))
    }

    /// What changes about a team and its members. With `after` from there on, without it from now on. A client needs
    /// `$read_members` there; when it no longer holds it, the subscription ends with an error.
    #[access(CLIENT, self, keys = USER)]
    async fn team_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The team.")] team_id: ID,
        #[graphql(desc = "The cursor of the last event that was seen.")] after: Option<String>,
    ) -> Result<impl Stream<Item = async_graphql::Result<Option<TeamEventObject>>> + use<>> {
        let team_id = TeamId(parse_id(&team_id, "teamId")?);
        let (deps, actor) = (deps(ctx)?.clone(), actor(ctx)?.clone());
        // Whoever may not look is told at once.
        teams::require_members_seen(&deps, &actor, team_id).await?;
        let events = follow(ctx, EventFilter::of_team(team_id), after.as_deref()).await?;
        // A server's right ends with its key alone, so it hears of the end of the team too.
        let events = if actor.is_server() {
            events
        } else {
            let may = move || {
                let (deps, actor) = (Arc::clone(&deps), actor.clone());
                async move { teams::require_members_seen(&deps, &actor, team_id).await }.boxed()
            };
            while_allowed(events, Some(LOOK_EVERY), may)
        };
        Ok(shown(events, move |event| TeamEventObject { event, team_id }))
    }
}

/// Events of the log as they are read.
pub(crate) type Events = BoxStream<'static, postern_domain::Result<Arc<LoggedEvent>>>;

/// Events as the schema shows them.
fn shown<T>(
    events: Events,
    show: impl Fn(Arc<LoggedEvent>) -> T,
) -> impl Stream<Item = async_graphql::Result<Option<T>>> {
    events.map(move |event| match event {
        Ok(event) => Ok(Some(show(event))),
        Err(error) => Err(Error::from(error).into()),
    })
}

/// The same events for as long as somebody may hear of them: asked after each event and before it is told, and every so
/// often when none comes. Ends with the error.
pub(crate) fn while_allowed(
    events: Events,
    every: Option<Duration>,
    may: impl Fn() -> BoxFuture<'static, postern_domain::Result<()>> + Send + Sync + 'static,
) -> Events {
    stream::unfold(Some((events, may)), move |state| async move {
        let (mut events, may) = state?;
        match next_allowed(&mut events, every, &may).await {
            Ok(event) => Some((Ok(event), Some((events, may)))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

async fn next_allowed(
    events: &mut Events,
    every: Option<Duration>,
    may: &(impl Fn() -> BoxFuture<'static, postern_domain::Result<()>> + Sync),
) -> postern_domain::Result<Arc<LoggedEvent>> {
    loop {
        let heard = match every {
            Some(every) => timeout(every, events.next()).await.ok(),
            None => Some(events.next().await),
        };
        match heard {
            Some(Some(event)) => {
                let event = event?;
                when_there(may).await?;
                return Ok(event);
            }
            Some(None) => return Err(postern_domain::Error::internal("the event log ended")),
            None => when_there(may).await?,
        }
    }
}

/// Asks again as long as the database is away: whoever listens goes on when it is back, and has missed nothing.
///
/// # Errors
/// Those of the question, but that.
pub(crate) async fn when_there<T, F: Future<Output = postern_domain::Result<T>>>(
    ask: impl Fn() -> F,
) -> postern_domain::Result<T> {
    loop {
        match ask().await {
            Err(error) if may_come_back(&error) => sleep(AGAIN).await,
            outcome => return outcome,
        }
    }
}

/// The events of the caller's project that fit the filter, from the cursor or from now on; ends after an error. Checks no
/// access.
///
/// # Errors
/// `BAD_USER_INPUT` and `CURSOR_EXPIRED` for the cursor; internal ones.
pub(crate) async fn follow(ctx: &Context<'_>, filter: EventFilter, after: Option<&str>) -> Result<Events> {
    let (deps, project_id) = (deps(ctx)?.clone(), actor(ctx)?.project_id.clone());
    let after = position(after)?;
    let tails = ctx.data_opt::<Tails>().ok_or_else(|| postern_domain::Error::internal("a schema without its tails"))?;
    let tail = tails.of(&project_id).await?;
    let position = match after {
        Some(after) => {
            // A cursor that leads nowhere is told at once, not with the first event.
            events::read(&deps, &project_id, Some(after), &filter, 1).await?;
            after
        }
        None => events::newest(&deps).await?,
    };
    if let Some(in_force) = ctx.data_opt::<InForce>() {
        in_force.tell();
    }
    let follower = Follower { deps, project_id, filter, tail, position, waiting: VecDeque::new() };
    Ok(stream::unfold(Some(follower), |follower| async move {
        let mut follower = follower?;
        match follower.next().await {
            Ok(event) => Some((Ok(event), Some(follower))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed())
}

/// One who reads the log to its end, and on.
struct Follower {
    deps: Arc<Deps>,
    project_id: ProjectId,
    filter: EventFilter,
    tail: Arc<Tail>,
    /// Everything up to here was looked at.
    position: i64,
    /// Of what was looked at, what was not handed out yet.
    waiting: VecDeque<Arc<LoggedEvent>>,
}

impl Follower {
    async fn next(&mut self) -> postern_domain::Result<Arc<LoggedEvent>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(event);
            }
            match self.tail.after(self.position) {
                Some((_, end)) if end == self.position => self.tail.grown_beyond(self.position).await,
                Some((events, end)) => {
                    self.waiting.extend(events.into_iter().filter(|event| fits(&self.filter, event)));
                    self.position = end;
                }
                None => {
                    let after = Some(self.position);
                    let read = || events::read(&self.deps, &self.project_id, after, &self.filter, MAX_PAGE);
                    let page = when_there(read).await?;
                    self.waiting.extend(page.events.into_iter().map(Arc::new));
                    self.position = page.position;
                }
            }
        }
    }
}

/// Whether the filter lets an event through that the tail read for everybody.
fn fits(filter: &EventFilter, event: &LoggedEvent) -> bool {
    (filter.kinds.is_empty() || filter.kinds.contains(&event.kind))
        && filter.user_id.is_none_or(|user_id| event.user_id == Some(user_id))
        && filter.team_id.is_none_or(|team_id| event.team_id == Some(team_id))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use postern_domain::{
        Failure,
        db::{Address, Db},
        error::refuse,
        signal::Signals,
    };

    use super::when_there;

    #[tokio::test]
    async fn a_database_that_is_away_is_waited_for_and_nothing_else() {
        let file = std::env::temp_dir().join(format!("postern-away-{}.db", std::process::id()));
        let url = format!("sqlite://{}", file.display());
        let away = Db::connect(Address::direct(&url, 1), Signals::default()).await.unwrap();
        away.close().await.unwrap();
        std::fs::remove_file(file).unwrap();
        let asked = Cell::new(0);
        let ask = async || {
            asked.set(asked.get() + 1);
            match asked.get() {
                1 => away.ping().await.map(|()| "at once"),
                2 => Ok("there"),
                _ => refuse(Failure::forbidden("no more")),
            }
        };
        assert_eq!(when_there(ask).await.unwrap(), "there");
        assert!(when_there(ask).await.is_err());
        assert_eq!(asked.get(), 3);
    }
}
