//! Teams and their members: types, queries and mutations.

pub(crate) mod invitations;
pub(crate) mod members;
pub(crate) mod mutation;
pub(crate) mod query;
pub(crate) mod types;
