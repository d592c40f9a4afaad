//! The whole schema: its roots, put together of the nouns' parts, and its text.
//!
//! To add a noun: a folder with `types.rs`, `query.rs`, `mutation.rs`, and its parts in the roots below.

use std::sync::Arc;

use async_graphql::{Context, MergedObject, MergedSubscription, SDLExportOptions, SchemaBuilder};
use postern_domain::{Actor, Code, Deps, Failure, sessions::ClientInfo};

use super::{
    api_keys::{mutation::ApiKeyMutation, query::ApiKeyQuery},
    caller::Caller,
    contact_channels::mutation::ContactChannelMutation,
    document::MAX_COST,
    emails::{library::EmailLibraryMutation, mutation::EmailMutation, query::EmailQuery},
    error::Result,
    events::{query::EventQuery, subscription::EventSubscription},
    federation::FederationQuery,
    guard::{visible_to_clients_and_user_keys, visible_to_users},
    items::{mutation::ItemMutation, query::ItemQuery, subscription::ItemSubscription},
    linked_accounts::{mutation::LinkedAccountMutation, query::LinkedAccountQuery},
    node::NodeQuery,
    notifications::{NotificationMutation, NotificationQuery},
    payments::{mutation::PaymentMutation, query::PaymentQuery},
    permissions::{mutation::PermissionMutation, query::PermissionQuery},
    projects::query::ProjectQuery,
    sessions::{
        audit::AuditQuery, hand_over::HandOverMutation, magic_link::MagicLinkMutation, mutation::SessionMutation,
        oauth::OAuthMutation, password::PasswordMutation, query::SessionQuery, second_factor::FactorMutation,
        sign_in::SignInMutation, sign_up_rules::SignUpRuleQuery, verification::VerificationMutation,
    },
    teams::{
        invitations::{TeamInvitationMutation, TeamInvitationQuery},
        members::TeamMemberMutation,
        mutation::TeamMutation,
        query::TeamQuery,
    },
    users::{mutation::UserMutation, query::UserQuery},
    webhooks::{mutation::WebhookMutation, query::WebhookQuery},
};

/// What can be read. Roots are merged in groups: each merged root is one more frame on the stack of every field behind it.
#[derive(Default, MergedObject)]
pub(crate) struct Query(PeopleQuery, TogetherQuery, WorkQuery);

#[derive(Default, MergedObject)]
pub(crate) struct PeopleQuery(UserQuery, LinkedAccountQuery, SessionQuery, NotificationQuery, NodeQuery);

#[derive(Default, MergedObject)]
pub(crate) struct TogetherQuery(TeamQuery, TeamInvitationQuery, PermissionQuery, ApiKeyQuery, ItemQuery);

#[derive(Default, MergedObject)]
pub(crate) struct WorkQuery(
    ProjectQuery,
    EventQuery,
    AuditQuery,
    SignUpRuleQuery,
    WebhookQuery,
    EmailQuery,
    FederationQuery,
    PaymentQuery,
);

/// What can be changed. The mutations of one operation run one after another.
#[derive(Default, MergedObject)]
#[graphql(visible = "visible_to_clients_and_user_keys")]
pub(crate) struct Mutation(SignInMutations, PeopleMutation, TogetherMutation, WorkMutation);

#[derive(Default, MergedObject)]
pub(crate) struct WorkMutation(WebhookMutation, EmailMutation, EmailLibraryMutation, PaymentMutation);

#[derive(Default, MergedObject)]
pub(crate) struct SignInMutations(
    SignInMutation,
    MagicLinkMutation,
    FactorMutation,
    HandOverMutation,
    OAuthMutation,
    SessionMutation,
    PasswordMutation,
    VerificationMutation,
);

#[derive(Default, MergedObject)]
pub(crate) struct PeopleMutation(UserMutation, ContactChannelMutation, LinkedAccountMutation, NotificationMutation);

#[derive(Default, MergedObject)]
pub(crate) struct TogetherMutation(
    TeamMutation,
    TeamMemberMutation,
    TeamInvitationMutation,
    PermissionMutation,
    ApiKeyMutation,
    ItemMutation,
);

/// What can be followed. An operation selects exactly one.
#[derive(Default, MergedSubscription)]
#[graphql(visible = "visible_to_users")]
pub(crate) struct Subscription(EventSubscription, ItemSubscription);

/// The schema, ready to execute.
pub(crate) type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// The schema without what its operations need. `suggests`: whether errors name fields with a similar name, whoever asks.
pub(crate) fn build(suggests: bool) -> SchemaBuilder<Query, Mutation, Subscription> {
    let builder =
        Schema::build(Query::default(), Mutation::default(), Subscription::default()).limit_complexity(MAX_COST);
    if suggests { builder } else { builder.disable_suggestions() }
}

/// The schema in the Schema Definition Language, as `schema.graphql` has it, without a line end behind it.
#[must_use]
pub fn sdl() -> String {
    let options = SDLExportOptions::new().prefer_single_line_descriptions().include_specified_by().use_space_ident();
    build(false).finish().sdl_with_options(options).trim_end().to_owned()
}

/// What operations are handed.
///
/// # Errors
/// Internal only.
pub(crate) fn deps<'a>(ctx: &Context<'a>) -> Result<&'a Arc<Deps>> {
    ctx.data_opt::<Arc<Deps>>().ok_or_else(|| postern_domain::Error::internal("a schema without its deps").into())
}

/// From where the caller asks.
pub(crate) fn client_info(ctx: &Context<'_>) -> ClientInfo {
    ctx.data_opt::<Caller>().map(|caller| caller.client().clone()).unwrap_or_default()
}

/// Who asks.
///
/// # Errors
/// `ACCESS_TYPE_REQUIRED` when the request named no project; guards refuse before.
pub(crate) fn actor<'a>(ctx: &Context<'a>) -> Result<&'a Actor> {
    ctx.data_opt::<Actor>()
        .ok_or_else(|| Failure::new(Code::AccessTypeRequired, "Say for which project you ask.").into())
}

#[cfg(test)]
mod tests;
