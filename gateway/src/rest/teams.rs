//! `/teams`: making, reading and changing teams.

use postern_domain::{
    Failure, Level, TeamId,
    identity::UserRef,
    patch::Patch,
    teams::{
        self, CreateTeam, ListTeams, Team, TeamStart, UpdateTeam,
        wire::{ClientTeam, ServerTeam},
    },
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{
    call::{Call, OPEN},
    input::{Empty, Ignored, OneOf, Positive, UrlText, Words, input},
    reply::{Answer, List, Reply, Success, success},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Teams", summary, OPEN);
    Routes::new()
        .get("/teams", list, about("Lists teams").query::<TeamQuery>())
        .post("/teams", create, about("Makes a team").body::<ServerCreate>().makes())
        .get("/teams/{team_id}", get, about("Reads a team").path::<TeamPath>())
        .patch("/teams/{team_id}", update, about("Changes a team").path::<TeamPath>().body::<ServerPatch>())
        .delete("/teams/{team_id}", delete, about("Deletes a team").path::<TeamPath>())
}

input! {
    struct TeamPath { team_id: TeamId }
}

input! {
    struct TeamQuery {
        user_id: Option<UserRef>,
        add_current_user: Option<bool>,
        limit: Option<Positive<200>>,
        cursor: Option<TeamId>,
        #[expect(dead_code, reason = "there is one order so far")]
        order_by: Option<OneOf<Order>>,
        desc: Option<bool>,
        query: Option<String>,
    }
}

/// What lists are ordered by.
#[derive(Debug)]
struct Order;

impl Words for Order {
    const WORDS: &'static [&'static str] = &["created_at"];
}

input! {
    struct ClientCreate {
        display_name: String,
        profile_image_url: Option<UrlText>,
        client_metadata: Option<Value>,
        creator_user_id: Option<UserRef>,
    }
}

input! {
    struct ServerCreate {
        display_name: String,
        profile_image_url: Option<UrlText>,
        client_metadata: Option<Value>,
        client_read_only_metadata: Option<Value>,
        server_metadata: Option<Value>,
        creator_user_id: Option<UserRef>,
    }
}

input! {
    struct ClientPatch {
        display_name: Option<String>,
        profile_image_url: Patch<UrlText>,
        client_metadata: Option<Value>,
    }
}

input! {
    struct ServerPatch {
        display_name: Option<String>,
        profile_image_url: Patch<UrlText>,
        client_metadata: Option<Value>,
        client_read_only_metadata: Option<Value>,
        server_metadata: Option<Value>,
    }
}

/// A team as the caller may see it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Team")]
enum TeamView {
    Client(ClientTeam),
    Server(ServerTeam),
}

impl TeamView {
    fn of(team: Team, level: Level) -> Self {
        if level >= Level::Server { Self::Server(team.into()) } else { Self::Client(team.into()) }
    }
}

async fn list(mut call: Call) -> Answer<List<TeamView>> {
    let actor = call.actor(OPEN)?;
    let (_, query, _) = call.read::<Empty, TeamQuery, Ignored>()?;
    let is_paged = query.limit.is_some();
    let input = ListTeams {
        user_id: query.user_id.map(|user| user.resolve(&actor)).transpose()?,
        query: query.query,
        descending: query.desc.unwrap_or_default(),
        start: query.cursor.map_or(TeamStart::Beginning, TeamStart::At),
        limit: query.limit.map(|limit| limit.0),
    };
    let page = teams::list(&call.deps, &actor, &input).await?;
    let items = page.teams.into_iter().map(|team| TeamView::of(team, actor.level)).collect();
    // Without a limit as it always was.
    Ok(Reply::ok(if is_paged { List::page(items, page.next.map(|id| id.to_string())) } else { List::whole(items) }))
}

async fn create(mut call: Call) -> Answer<TeamView> {
    let actor = call.actor(OPEN)?;
    let (query, body) = if actor.is_server() {
        let (_, query, body) = call.read::<Empty, TeamQuery, ServerCreate>()?;
        (query, body)
    } else {
        let (_, query, body) = call.read::<Empty, TeamQuery, ClientCreate>()?;
        let ClientCreate { display_name, profile_image_url, client_metadata, creator_user_id } = body;
        let (client_read_only_metadata, server_metadata) = (None, None);
        let body = ServerCreate {
            display_name,
            profile_image_url,
            client_metadata,
            client_read_only_metadata,
            server_metadata,
            creator_user_id,
        };
        (query, body)
    };
    let creator = match (body.creator_user_id, query.add_current_user.unwrap_or_default()) {
        (Some(_), true) => {
            return Err(Failure::bad_request("Send either creator_user_id or add_current_user, not both.").into());
        }
        (creator, false) => creator,
        (None, true) => Some(UserRef::Me),
    };
    let input = CreateTeam {
        display_name: body.display_name,
        profile_image_url: body.profile_image_url.map(|url| url.0),
        client_metadata: body.client_metadata,
        client_read_only_metadata: body.client_read_only_metadata,
        server_metadata: body.server_metadata,
        creator_user_id: creator.map(|user| user.resolve(&actor)).transpose()?,
    };
    let team = teams::create(&call.deps, &actor, input).await?;
    Ok(Reply::created(TeamView::of(team, actor.level)))
}

async fn get(mut call: Call) -> Answer<TeamView> {
    let actor = call.actor(OPEN)?;
    let (path, _, _) = call.read::<TeamPath, TeamQuery, Ignored>()?;
    Ok(Reply::ok(TeamView::of(teams::get(&call.deps, &actor, path.team_id).await?, actor.level)))
}

async fn update(mut call: Call) -> Answer<TeamView> {
    let actor = call.actor(OPEN)?;
    let (path, patch) = if actor.is_server() {
        let (path, _, patch) = call.read::<TeamPath, TeamQuery, ServerPatch>()?;
        (path, patch)
    } else {
        let (path, _, patch) = call.read::<TeamPath, TeamQuery, ClientPatch>()?;
        let ClientPatch { display_name, profile_image_url, client_metadata } = patch;
        let (client_read_only_metadata, server_metadata) = (None, None);
        let patch = ServerPatch {
            display_name,
            profile_image_url,
            client_metadata,
            client_read_only_metadata,
            server_metadata,
        };
        (path, patch)
    };
    let input = UpdateTeam {
        display_name: patch.display_name,
        profile_image_url: patch.profile_image_url.map(|url| url.0),
        client_metadata: patch.client_metadata,
        client_read_only_metadata: patch.client_read_only_metadata,
        server_metadata: patch.server_metadata,
    };
    let team = teams::update(&call.deps, &actor, path.team_id, input).await?;
    Ok(Reply::ok(TeamView::of(team, actor.level)))
}

async fn delete(mut call: Call) -> Answer<Success> {
    let actor = call.actor(OPEN)?;
    let (path, _, _) = call.read::<TeamPath, TeamQuery, Ignored>()?;
    teams::delete(&call.deps, &actor, path.team_id).await?;
    Ok(success())
}
