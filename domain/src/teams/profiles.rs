//! What members are called and look like within a team. What a member has not set there is as its user has it, at any time.

use std::collections::HashMap;

use postern_entity::team_membership;
use schemars::JsonSchema;
use sea_orm::ActiveValue::{Set, Unchanged};
use serde::{Deserialize, Serialize};

use super::{
    read::{MAX_IDS, Position, cut, membership_not_found, not_found},
    store::{self, ProfileRow},
};
use crate::{
    Actor, Code, Deps, Failure, ProjectId, TeamId, UserId,
    error::{Result, refuse},
    images::{self, Folder, ImageSource, Picture, Place},
    patch::Patch,
    permissions, users,
    validation::Violations,
};

/// A member of a team, as the team sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberProfile {
    /// The team.
    pub team_id: TeamId,
    /// The member.
    pub user_id: UserId,
    /// The name in the team, or that of the user.
    pub display_name: Option<String>,
    /// The picture in the team, or that of the user.
    pub profile_image_url: Option<String>,
}

impl From<ProfileRow> for MemberProfile {
    fn from(row: ProfileRow) -> Self {
        let ProfileRow { member, display_name, profile_image_url } = row;
        Self {
            team_id: member.team_id,
            user_id: member.user_id,
            display_name: member.display_name.or(display_name),
            profile_image_url: member.profile_image_url.or(profile_image_url),
        }
    }
}

/// What to change of one's profile in a team.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateMemberProfile {
    /// The name in the team; an empty one is one, too.
    pub display_name: Option<String>,
    /// The picture in the team; cleared, the user's counts again.
    pub profile_image_url: Patch<String>,
}

/// The members of a team, the teams of a user, or both; by the time of joining.
///
/// # Errors
/// Clients: `CANNOT_GET_OWN_USER_WITHOUT_USER`; `BAD_REQUEST` without a team; `TEAM_MEMBERSHIP_NOT_FOUND`;
/// `TEAM_PERMISSION_REQUIRED` for others than themselves without `$read_members`. Servers: `TEAM_NOT_FOUND`;
/// `USER_NOT_FOUND`.
#[crate::boxed]
pub async fn profiles(
    deps: &Deps,
    actor: &Actor,
    team_id: Option<TeamId>,
    user_id: Option<UserId>,
) -> Result<Vec<MemberProfile>> {
    require_list(deps, actor, team_id, user_id).await?;
    let rows = store::profiles(deps.db.read(), &actor.project_id, team_id, user_id).await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Whether the caller may list these members, and there is what it names.
async fn require_list(deps: &Deps, actor: &Actor, team_id: Option<TeamId>, user_id: Option<UserId>) -> Result<()> {
    let (connection, project_id) = (deps.db.read(), &actor.project_id);
    if actor.is_server() {
        if let Some(team_id) = team_id
            && store::find(connection, project_id, &[team_id]).await?.is_empty()
        {
            return refuse(not_found(team_id));
        }
        if let Some(user_id) = user_id
            && users::find(deps, project_id, user_id).await?.is_none()
        {
            return refuse(users::not_found());
        }
    } else {
        let Some(own) = actor.user_id() else {
            return refuse(Failure::new(Code::CannotGetOwnUserWithoutUser, "Sign in to list members of a team."));
        };
        let Some(team_id) = team_id else {
            return refuse(Failure::bad_request("team_id: a user names the team whose members it lists."));
        };
        require_sight(deps, actor, team_id, own, user_id).await?;
    }
    Ok(())
}

/// Lets servers see the members of a team, and clients who are members and hold `$read_members`.
///
/// # Errors
/// Those of [`profiles`] with a team.
#[crate::boxed]
pub async fn require_members_seen(deps: &Deps, actor: &Actor, team_id: TeamId) -> Result<()> {
    require_list(deps, actor, Some(team_id), None).await
}

/// A page of the members of a team, by the time of joining: at most `limit` after a position, each with its own, and whether
/// more follow.
///
/// # Errors
/// Those of [`profiles`] with a team.
#[crate::boxed]
pub async fn member_page(
    deps: &Deps,
    actor: &Actor,
    team_id: TeamId,
    after: Option<Position>,
    limit: u64,
) -> Result<MemberPage> {
    require_list(deps, actor, Some(team_id), None).await?;
    let rows = store::member_page(deps.db.read(), &actor.project_id, team_id, after, limit.saturating_add(1)).await?;
    Ok(page_of(rows, limit))
}

/// Members, each with its position in the list, and whether more follow.
pub type MemberPage = (Vec<(Position, MemberProfile)>, bool);

fn page_of(rows: Vec<ProfileRow>, limit: u64) -> MemberPage {
    let (rows, has_more) = cut(rows, limit);
    let place = |row: &ProfileRow| Position { at: row.member.created_at, id: row.member.user_id.0 };
    (rows.into_iter().map(|row| (place(&row), row.into())).collect(), has_more)
}

/// The same page of the members of each team, for loaders; teams without any there are left out. Checks no access. One
/// statement for up to a thousand teams, which passes over the members of each from the position on.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn member_pages(
    deps: &Deps,
    project_id: &ProjectId,
    team_ids: &[TeamId],
    after: Option<Position>,
    limit: u64,
) -> Result<HashMap<TeamId, MemberPage>> {
    let mut found: HashMap<TeamId, Vec<ProfileRow>> = HashMap::with_capacity(team_ids.len());
    for team_ids in team_ids.chunks(MAX_IDS) {
        let reader = deps.db.read();
        for row in store::member_pages(reader, project_id, team_ids, after, limit.saturating_add(1)).await? {
            found.entry(row.member.team_id).or_default().push(row);
        }
    }
    Ok(found.into_iter().map(|(team_id, rows)| (team_id, page_of(rows, limit))).collect())
}

/// One member of a team.
///
/// # Errors
/// Clients: `CANNOT_GET_OWN_USER_WITHOUT_USER`; `TEAM_PERMISSION_REQUIRED` for others without `$read_members`. Both:
/// `TEAM_MEMBERSHIP_NOT_FOUND`.
#[crate::boxed]
pub async fn profile(deps: &Deps, actor: &Actor, team_id: TeamId, user_id: UserId) -> Result<MemberProfile> {
    if !actor.is_server() {
        let Some(own) = actor.user_id() else {
            return refuse(Failure::new(Code::CannotGetOwnUserWithoutUser, "Sign in to see a member of a team."));
        };
        require_sight(deps, actor, team_id, own, Some(user_id)).await?;
    }
    let found = store::profiles(deps.db.read(), &actor.project_id, Some(team_id), Some(user_id)).await?.pop();
    found.map_or_else(|| refuse(membership_not_found(team_id, user_id)), |row| Ok(row.into()))
}

/// A member sees itself, and others by permission.
async fn require_sight(
    deps: &Deps,
    actor: &Actor,
    team_id: TeamId,
    own: UserId,
    user_id: Option<UserId>,
) -> Result<()> {
    if user_id != Some(own) {
        return permissions::require_in_team(deps, deps.db.read(), actor, team_id, "$read_members").await;
    }
    if store::is_member(deps.db.read(), &actor.project_id, team_id, own).await? {
        return Ok(());
    }
    refuse(membership_not_found(team_id, own))
}

/// Changes the profile of a member. No event is written (wire: users-teams-permissions §3.2).
///
/// # Errors
/// Clients: `CANNOT_GET_OWN_USER_WITHOUT_USER`; `FORBIDDEN` for others than themselves. Both: `SCHEMA_ERROR`;
/// `BAD_REQUEST` for the picture; `TEAM_MEMBERSHIP_NOT_FOUND`.
#[crate::boxed]
pub async fn update_profile(
    deps: &Deps,
    actor: &Actor,
    team_id: TeamId,
    user_id: UserId,
    input: UpdateMemberProfile,
) -> Result<MemberProfile> {
    if !actor.is_server() {
        let Some(own) = actor.user_id() else {
            return refuse(Failure::new(Code::CannotGetOwnUserWithoutUser, "Sign in to change your profile."));
        };
        if own != user_id {
            return refuse(Failure::forbidden("A user can change its own profile only."));
        }
    }
    let mut violations = Violations::default();
    violations.storable("display_name", input.display_name.as_deref().unwrap_or_default());
    violations.finish()?;
    let project_id = &actor.project_id;
    let picture = input.profile_image_url.as_ref().try_map(|value| {
        // Of a member anybody may name a URL, unlike of a user.
        let source = ImageSource::Server;
        Picture::read(deps, project_id, Folder::Members, "profile_image_url", value, source)
    })?;
    let (input, picture) = (&input, &picture);
    deps.mutate(actor, "teams.update_profile", |tx| async move {
        let Some(mut row) = store::lock_profile(&tx, project_id, team_id, user_id).await? else {
            return refuse(membership_not_found(team_id, user_id));
        };
        let display_name = input.display_name.clone().or(row.member.display_name);
        let profile_image_url = picture.as_ref().map(|picture| picture.url.clone()).over(row.member.profile_image_url);
        let changed = team_membership::ActiveModel {
            team_id: Unchanged(team_id),
            user_id: Unchanged(user_id),
            display_name: Set(display_name.clone()),
            profile_image_url: Set(profile_image_url.clone()),
            ..Default::default()
        };
        store::update_member(&tx, changed).await?;
        images::replace_in(deps, &tx, project_id, Place::Member(team_id, user_id), picture).await?;
        (row.member.display_name, row.member.profile_image_url) = (display_name, profile_image_url);
        Ok(row.into())
    })
    .await
}
