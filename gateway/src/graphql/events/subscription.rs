//! Following the log live.

use std::{collections::VecDeque, sync::Arc};

use async_graphql::Context;
use futures::{Stream, StreamExt, stream};
use postern_domain::{
    Deps, ProjectId,
    events::{self, EventFilter, LoggedEvent, MAX_PAGE},
    identity,
};
use postern_gateway_macros::guarded;

use super::{
    tail::{Tail, Tails},
    types::{EventObject, kinds, position},
};
use crate::graphql::{
    error::Result,
    schema::{actor, deps},
    stream::InForce,
};

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
        Ok(shown(follow(ctx, filter, after.as_deref()).await?))
    }

    /// What changes about the signed-in user. With `after` from there on, without it from now on.
    #[access(CLIENT, self, keys = USER)]
    async fn my_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The cursor of the last event that was seen.")] after: Option<String>,
    ) -> Result<impl Stream<Item = async_graphql::Result<Option<EventObject>>> + use<>> {
        let user_id = identity::own_user_id(actor(ctx)?)?;
        Ok(shown(follow(ctx, EventFilter::of_user(user_id), after.as_deref()).await?))
    }
}

/// Events as the schema shows them.
fn shown<S>(events: S) -> impl Stream<Item = async_graphql::Result<Option<EventObject>>> + use<S>
where
    S: Stream<Item = postern_domain::Result<Arc<LoggedEvent>>>,
{
    events.map(|event| match event {
        Ok(event) => Ok(Some(EventObject(event))),
        Err(error) => Err(crate::graphql::error::Error::from(error).into()),
    })
}

/// The events of the caller's project that fit the filter, from the cursor or from now on; ends after an error. Checks no
/// access.
///
/// # Errors
/// `BAD_USER_INPUT` and `CURSOR_EXPIRED` for the cursor; internal ones.
pub(crate) async fn follow(
    ctx: &Context<'_>,
    filter: EventFilter,
    after: Option<&str>,
) -> Result<impl Stream<Item = postern_domain::Result<Arc<LoggedEvent>>> + use<>> {
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
    }))
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
                    let page = events::read(&self.deps, &self.project_id, after, &self.filter, MAX_PAGE).await?;
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
