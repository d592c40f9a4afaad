//! The schema as a part of a supergraph (Apollo Federation 2, "Subgraph specification"): other graphs refer to users and
//! teams by their ids, and a router asks for them here. Routers pass the caller's headers on, so what they get is guarded
//! as on every other path.

use std::sync::OnceLock;

use async_graphql::{Any, Context, SDLExportOptions, TypeDirective, Union, Value};
use futures::future::try_join_all;
use postern_domain::{TeamId, UserId};
use postern_gateway_macros::guarded;

use super::{
    error::{Error, Result},
    loaders::Loaders,
    scalars::parse_id,
    schema,
    teams::types::TeamObject,
    users::types::UserObject,
};

/// How many things a router may ask for at once: as many as a page has.
const MAX_REPRESENTATIONS: usize = 200;

/// What other graphs refer to an object of this type by.
#[expect(unused_variables, reason = "the directive only describes")]
#[TypeDirective(location = "Object")]
pub(crate) fn key(fields: String) {}

/// Something that other graphs refer to.
#[derive(Union)]
#[graphql(name = "_Entity")]
#[expect(clippy::large_enum_variant, reason = "lives only while one answer is written")]
pub(crate) enum Entity {
    /// A user.
    User(UserObject),
    /// A team.
    Team(TeamObject),
}

/// This part of the supergraph.
#[guarded(ADMIN, graphql(name = "_Service"))]
pub(crate) struct Service {
    /// Its schema, for the tool that composes the supergraph.
    #[access(ADMIN)]
    sdl: &'static str,
}

/// What routers ask.
#[derive(Default)]
pub(crate) struct FederationQuery;

#[guarded(root)]
impl FederationQuery {
    /// This part of the supergraph.
    #[access(ADMIN)]
    #[graphql(name = "_service")]
    async fn service(&self) -> Option<Service> {
        Some(Service { sdl: sdl() })
    }

    /// What the representations name, in their order, at most 200; null for what is not there or not for the caller to see.
    #[access(CLIENT, keys = ANY)]
    #[graphql(name = "_entities", complexity = "1 + representations.len() * child_complexity")]
    async fn entities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Objects with a `__typename` and the `id`.")] representations: Vec<Any>,
    ) -> Result<Option<Vec<Option<Entity>>>> {
        if representations.len() > MAX_REPRESENTATIONS {
            return Err(Error::bad_input(format!("`representations` names at most {MAX_REPRESENTATIONS} things.")));
        }
        let named = representations.iter().map(|Any(representation)| Reference::read(representation));
        let named: Vec<_> = named.collect::<Result<_>>()?;
        Ok(Some(try_join_all(named.into_iter().map(|reference| see(ctx, reference))).await?))
    }
}

/// What a representation names.
#[derive(Clone, Copy)]
enum Reference {
    User(UserId),
    Team(TeamId),
}

impl Reference {
    fn read(representation: &Value) -> Result<Self> {
        let member = |name| match representation {
            Value::Object(members) => match members.get(name) {
                Some(Value::String(text)) => Ok(text.as_str()),
                _ => Err(Error::bad_input(format!("Each of `representations` needs `{name}`, a string."))),
            },
            _ => Err(Error::bad_input("Each of `representations` is an object.")),
        };
        let id = || parse_id(&member("id")?.into(), "id");
        match member("__typename")? {
            "User" => Ok(Self::User(UserId(id()?))),
            "Team" => Ok(Self::Team(TeamId(id()?))),
            other => Err(Error::bad_input(format!("No entity has the type {other:?}: there are User and Team."))),
        }
    }
}

/// What is referred to, as far as the caller may see it.
async fn see(ctx: &Context<'_>, reference: Reference) -> Result<Option<Entity>> {
    let loaders = Loaders::of(ctx)?;
    Ok(match reference {
        Reference::User(id) => loaders.seen_user(id).await?.map(UserObject).map(Entity::User),
        Reference::Team(id) => loaders.seen_team(id).await?.map(TeamObject).map(Entity::Team),
    })
}

/// The schema as tools that compose supergraphs read it: without what the specification adds to every part.
fn sdl() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let options = SDLExportOptions::new().federation().prefer_single_line_descriptions().use_space_ident();
        schema::build(false).finish().sdl_with_options(options)
    })
}
