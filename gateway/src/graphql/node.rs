//! Things with an id of their own, whatever they are.

use async_graphql::{ID, Interface};

use super::{contact_channels::types::ContactChannelObject, teams::types::TeamObject, users::types::UserObject};

/// Something with an id of its own within the project.
#[derive(Interface)]
#[expect(clippy::large_enum_variant, reason = "lives only while one answer is written")]
#[graphql(field(name = "id", ty = "ID", desc = "The id, the same as over REST."))]
pub(crate) enum Node {
    /// A user.
    User(UserObject),
    /// A contact channel.
    ContactChannel(ContactChannelObject),
    /// A team.
    Team(TeamObject),
}
