//! The REST door: what holds for every request, then one file per noun.

mod authentication;
mod manners;
mod projects;
mod sessions;
mod teams;
mod users;
