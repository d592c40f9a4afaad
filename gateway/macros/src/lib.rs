//! The attribute [`macro@guarded`]: who may read a field of the GraphQL schema is said once, beside the field, and the
//! guard, the `@access` directive of the SDL and the visibility in introspection all follow from it. A field without a
//! rule or without a description does not compile.
//!
//! Serves `postern-gateway` alone: the code it writes names `crate::graphql::guard`, where decisions are made.
//! What lives here is syntax only.

mod expand;
mod method;
mod record;
mod rule;

use proc_macro::TokenStream;

/// Makes a GraphQL type whose every field is guarded.
///
/// On an `impl` block or a struct with named fields:
///
/// ```text
/// #[guarded(CLIENT, self, owner = self.user.id, graphql(name = "User"))]
/// impl UserObject {
///     /// The name to show.
///     #[access(CLIENT, self)]
///     fn display_name(&self) -> Option<&str> { … }
///
///     /// Data that only the application's backend reads.
///     #[access(SERVER)]
///     fn server_metadata(&self) -> Option<&Json> { … }
/// }
/// ```
///
/// Arguments of `guarded`:
/// - the rule of the type, that is who can get hold of such an object at all: a level (`CLIENT`, `SERVER`, `ADMIN`),
///   perhaps `self`, perhaps `permission = "…"`; or `root` for a part of the query or mutation type; or `subscription`;
/// - `owner = expression`: the user (`UserId` or `Option<UserId>`) the object belongs to, needed where a rule says `self`;
/// - `team = expression`: the team (`TeamId` or `Option<TeamId>`) on the path, for rules with a permission;
/// - `graphql(…)`: handed on to async-graphql's `Object`.
///
/// `#[access(…)]` takes a rule as above; `#[graphql(…)]` beside it is handed on to async-graphql. On a field of a root type the
/// rule may also say `keys = USER` or `keys = ANY`: then API keys of users, or of users and teams, may use it. Without that
/// they are refused, so a new field is closed to them until somebody decides otherwise.
///
/// A field that is narrower than its type, and each field of a root type, must be nullable: a refusal makes it null with an
/// error at its path, and the rest of the answer stands. So does a failure of its resolver (GraphQL specification,
/// section "Handling Execution Errors"), which async-graphql alone would let eat the parent.
#[proc_macro_attribute]
pub fn guarded(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::guarded(arguments.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
