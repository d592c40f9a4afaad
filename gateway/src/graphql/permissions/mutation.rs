//! Defining, granting and revoking permissions.

use async_graphql::{Context, ID, InputObject, MaybeUndefined};
use postern_domain::permissions::{self, NewDefinition, ProjectGrant, TeamGrant, UpdateDefinition};
use postern_gateway_macros::guarded;

use super::types::{PermissionDefinitionObject, PermissionScope, ProjectPermissionObject, TeamPermissionObject};
use crate::graphql::{
    error::Result,
    repeat,
    scalars::{parse_id, patch},
    schema::deps,
};

/// Mutations of permissions.
#[derive(Default)]
pub(crate) struct PermissionMutation;

#[guarded(root)]
impl PermissionMutation {
    /// Defines a permission.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn create_permission_definition(
        &self,
        ctx: &Context<'_>,
        input: CreatePermissionDefinitionInput,
    ) -> Result<Option<PermissionDefinitionPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let new = NewDefinition {
            id: input.key,
            description: input.description,
            contained_permission_ids: input.contained_permission_keys,
        };
        let definition = permissions::create(deps(ctx)?, &actor, input.scope.into(), new).await?;
        Ok(Some(PermissionDefinitionPayload { definition: PermissionDefinitionObject(definition) }))
    }

    /// Changes a permission. Grants, other definitions and defaults follow a new key.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn update_permission_definition(
        &self,
        ctx: &Context<'_>,
        input: UpdatePermissionDefinitionInput,
    ) -> Result<Option<PermissionDefinitionPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let change = UpdateDefinition {
            id: input.new_key,
            description: patch(input.description),
            contained_permission_ids: input.contained_permission_keys,
        };
        let definition = permissions::update(deps(ctx)?, &actor, input.scope.into(), &input.key, change).await?;
        Ok(Some(PermissionDefinitionPayload { definition: PermissionDefinitionObject(definition) }))
    }

    /// Takes a permission out of the project: out of other definitions and the defaults, and from whoever holds it.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn delete_permission_definition(
        &self,
        ctx: &Context<'_>,
        input: DeletePermissionDefinitionInput,
    ) -> Result<Option<DeletePermissionDefinitionPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        permissions::delete(deps(ctx)?, &actor, input.scope.into(), &input.key).await?;
        Ok(Some(DeletePermissionDefinitionPayload { key: input.key }))
    }

    /// Grants a permission to a member of a team.
    #[access(SERVER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn grant_team_permission(
        &self,
        ctx: &Context<'_>,
        input: TeamPermissionInput,
    ) -> Result<Option<TeamPermissionPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let (team_id, user_id) = (parse_id(&input.team_id, "teamId")?, parse_id(&input.user_id, "userId")?);
        let grant = permissions::grant_in_team(deps(ctx)?, &actor, team_id, user_id, &input.key).await?;
        Ok(Some(TeamPermissionPayload { permission: TeamPermissionObject(grant) }))
    }

    /// Takes a permission from a member of a team that was granted to it directly.
    #[access(SERVER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn revoke_team_permission(
        &self,
        ctx: &Context<'_>,
        input: TeamPermissionInput,
    ) -> Result<Option<TeamPermissionPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let (team_id, user_id) = (parse_id(&input.team_id, "teamId")?, parse_id(&input.user_id, "userId")?);
        permissions::revoke_in_team(deps(ctx)?, &actor, team_id, user_id, &input.key).await?;
        let gone = TeamGrant { team_id, user_id, id: input.key };
        Ok(Some(TeamPermissionPayload { permission: TeamPermissionObject(gone) }))
    }

    /// Grants a permission to a user in the whole project.
    #[access(SERVER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn grant_project_permission(
        &self,
        ctx: &Context<'_>,
        input: ProjectPermissionInput,
    ) -> Result<Option<ProjectPermissionPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let user_id = parse_id(&input.user_id, "userId")?;
        let grant = permissions::grant_in_project(deps(ctx)?, &actor, user_id, &input.key).await?;
        Ok(Some(ProjectPermissionPayload { permission: ProjectPermissionObject(grant) }))
    }

    /// Takes a permission from a user that was granted to it directly in the project.
    #[access(SERVER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn revoke_project_permission(
        &self,
        ctx: &Context<'_>,
        input: ProjectPermissionInput,
    ) -> Result<Option<ProjectPermissionPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let user_id = parse_id(&input.user_id, "userId")?;
        permissions::revoke_in_project(deps(ctx)?, &actor, user_id, &input.key).await?;
        let gone = ProjectGrant { user_id, id: input.key };
        Ok(Some(ProjectPermissionPayload { permission: ProjectPermissionObject(gone) }))
    }
}

/// A permission to define.
#[derive(InputObject)]
pub(crate) struct CreatePermissionDefinitionInput {
    /// Where it is held.
    scope: PermissionScope,
    /// The name by which it is granted: a-z, 0-9, `_` and `:`, unique in the project.
    key: String,
    /// What it is for.
    description: Option<String>,
    /// The keys of the permissions of the same scope that holding it includes.
    #[graphql(default)]
    contained_permission_keys: Vec<String>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// What to change of a permission; what is not given stays.
#[derive(InputObject)]
pub(crate) struct UpdatePermissionDefinitionInput {
    /// Where it is held.
    scope: PermissionScope,
    /// The permission.
    key: String,
    /// Its new name.
    new_key: Option<String>,
    /// What it is for.
    description: MaybeUndefined<String>,
    /// The keys of the permissions of the same scope that holding it includes.
    contained_permission_keys: Option<Vec<String>>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A permission to take out of the project.
#[derive(InputObject)]
pub(crate) struct DeletePermissionDefinitionInput {
    /// Where it is held.
    scope: PermissionScope,
    /// The permission.
    key: String,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A permission of a member of a team.
#[derive(InputObject)]
pub(crate) struct TeamPermissionInput {
    /// The team.
    team_id: ID,
    /// Its member.
    user_id: ID,
    /// The permission.
    key: String,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A permission of a user in the whole project.
#[derive(InputObject)]
pub(crate) struct ProjectPermissionInput {
    /// The user.
    user_id: ID,
    /// The permission.
    key: String,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A permission that was defined or changed.
#[guarded(ADMIN)]
pub(crate) struct PermissionDefinitionPayload {
    /// The definition as it is now.
    #[access(ADMIN)]
    definition: PermissionDefinitionObject,
}

/// A permission that is no longer defined.
#[guarded(ADMIN)]
pub(crate) struct DeletePermissionDefinitionPayload {
    /// The name that it had.
    #[access(ADMIN)]
    key: String,
}

/// A permission that was granted to a member of a team, or taken from it.
#[guarded(SERVER)]
pub(crate) struct TeamPermissionPayload {
    /// The permission.
    #[access(SERVER)]
    permission: TeamPermissionObject,
}

/// A permission that was granted to a user, or taken from it.
#[guarded(SERVER)]
pub(crate) struct ProjectPermissionPayload {
    /// The permission.
    #[access(SERVER)]
    permission: ProjectPermissionObject,
}
