//! `/team-memberships` and `/team-member-profiles`: who belongs to teams, and as what they show themselves there.

use std::collections::HashMap;

use postern_domain::{
    Actor, Deps, TeamId,
    identity::UserRef,
    patch::Patch,
    teams::{self, MemberProfile, Membership, UpdateMemberProfile},
    users::{self, wire::ServerUser},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    call::{Call, OPEN, SERVER},
    input::{Empty, Ignored, UrlText, input},
    reply::{Answer, List, Refusal, Reply, Success, success},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary, allowed| About::new("Team members", summary, allowed);
    let (member, profile) = ("/team-memberships/{team_id}/{user_id}", "/team-member-profiles/{team_id}/{user_id}");
    Routes::new()
        .post(member, add, about("Adds a member to a team", SERVER).path::<MemberPath>().body::<Empty>().makes())
        .delete(member, remove, about("Removes a member from a team", OPEN).path::<MemberPath>())
        .get("/team-member-profiles", list, about("Lists profiles of members", OPEN).query::<MemberQuery>())
        .get(profile, get, about("Reads the profile of a member", OPEN).path::<MemberPath>())
        .patch(
            profile,
            update,
            about("Changes the profile of a member", OPEN).path::<MemberPath>().body::<ProfilePatch>(),
        )
}

input! {
    struct MemberPath { team_id: TeamId, user_id: UserRef }
}

input! {
    struct MemberQuery { team_id: Option<TeamId>, user_id: Option<UserRef> }
}

input! {
    struct ProfilePatch { display_name: Option<String>, profile_image_url: Patch<UrlText> }
}

/// A profile; servers see the user with it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MemberProfile")]
struct ProfileView {
    #[serde(flatten)]
    profile: MemberProfile,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Box<ServerUser>>,
}

impl ProfileView {
    async fn all(deps: &Deps, actor: &Actor, profiles: Vec<MemberProfile>) -> Result<Vec<Self>, Refusal> {
        let users = if actor.is_server() {
            let ids: Vec<_> = profiles.iter().map(|profile| profile.user_id).collect();
            users::by_ids(deps, &actor.project_id, &ids).await?
        } else {
            HashMap::new()
        };
        let view = |profile: MemberProfile| {
            let user = users.get(&profile.user_id).cloned().map(|user| Box::new(user.into()));
            // Whoever was deleted between the two reads is no member any more.
            (user.is_some() || !actor.is_server()).then_some(Self { profile, user })
        };
        Ok(profiles.into_iter().filter_map(view).collect())
    }

    async fn one(deps: &Deps, actor: &Actor, profile: MemberProfile) -> Result<Self, Refusal> {
        let (team_id, user_id) = (profile.team_id, profile.user_id);
        let found = Self::all(deps, actor, vec![profile]).await?.pop();
        found.ok_or_else(|| teams::membership_not_found(team_id, user_id).into())
    }
}

async fn add(mut call: Call) -> Answer<Membership> {
    let actor = call.actor(SERVER)?;
    let (path, _, _) = call.read::<MemberPath, Empty, Empty>()?;
    let user_id = path.user_id.resolve(&actor)?;
    Ok(Reply::created(teams::add_member(&call.deps, &actor, path.team_id, user_id).await?))
}

async fn remove(mut call: Call) -> Answer<Success> {
    let actor = call.actor(OPEN)?;
    let (path, _, _) = call.read::<MemberPath, Empty, Ignored>()?;
    teams::remove_member(&call.deps, &actor, path.team_id, path.user_id.resolve(&actor)?).await?;
    Ok(success())
}

async fn list(mut call: Call) -> Answer<List<ProfileView>> {
    let actor = call.actor(OPEN)?;
    let (_, query, _) = call.read::<Empty, MemberQuery, Ignored>()?;
    let user_id = query.user_id.map(|user| user.resolve(&actor)).transpose()?;
    let profiles = teams::profiles(&call.deps, &actor, query.team_id, user_id).await?;
    Ok(Reply::ok(List::whole(ProfileView::all(&call.deps, &actor, profiles).await?)))
}

async fn get(mut call: Call) -> Answer<ProfileView> {
    let actor = call.actor(OPEN)?;
    let (path, _, _) = call.read::<MemberPath, MemberQuery, Ignored>()?;
    let profile = teams::profile(&call.deps, &actor, path.team_id, path.user_id.resolve(&actor)?).await?;
    Ok(Reply::ok(ProfileView::one(&call.deps, &actor, profile).await?))
}

async fn update(mut call: Call) -> Answer<ProfileView> {
    let actor = call.actor(OPEN)?;
    let (path, _, patch) = call.read::<MemberPath, MemberQuery, ProfilePatch>()?;
    let input = UpdateMemberProfile {
        display_name: patch.display_name,
        profile_image_url: patch.profile_image_url.map(|url| url.0),
    };
    let user_id = path.user_id.resolve(&actor)?;
    let profile = teams::update_profile(&call.deps, &actor, path.team_id, user_id, input).await?;
    Ok(Reply::ok(ProfileView::one(&call.deps, &actor, profile).await?))
}
