//! Reading the caller's project.

use async_graphql::Context;
use postern_domain::projects;
use postern_gateway_macros::guarded;

use super::types::ProjectObject;
use crate::graphql::{
    error::Result,
    schema::{actor, deps},
};

/// Queries of the project.
#[derive(Default)]
pub(crate) struct ProjectQuery;

#[guarded(root)]
impl ProjectQuery {
    /// The project that the caller asks for.
    #[access(CLIENT, keys = ANY)]
    async fn project(&self, ctx: &Context<'_>) -> Result<Option<ProjectObject>> {
        let (deps, id) = (deps(ctx)?, &actor(ctx)?.project_id);
        let Some(project) = projects::lookup(deps, id).await? else { return Ok(None) };
        Ok(Some(ProjectObject { project, config: projects::config(deps, id).await? }))
    }
}
