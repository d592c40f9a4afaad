//! Contact channels of users: types and mutations. They are read through their users.

pub(crate) mod mutation;
pub(crate) mod types;
