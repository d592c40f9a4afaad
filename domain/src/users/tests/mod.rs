//! Users on both databases.

mod channels;
mod create;
mod delete;
mod list;
mod plans;
mod primary_email;
mod races;
mod update;

use serde_json::Value;

use super::{CreateUser, User};
use crate::{
    Code, Error, ProjectId,
    testing::{TestBench, server},
};

/// A user with an address to sign in with.
pub(super) fn with_email(address: &str) -> CreateUser {
    CreateUser {
        primary_email: Some(address.to_owned()),
        primary_email_auth_enabled: Some(true),
        ..CreateUser::default()
    }
}

pub(super) fn named(name: &str) -> CreateUser {
    CreateUser { display_name: Some(name.to_owned()), ..CreateUser::default() }
}

pub(super) async fn make(bench: &TestBench, project_id: &ProjectId, input: CreateUser) -> User {
    super::create(&bench.deps, &server(project_id), input).await.unwrap()
}

pub(super) fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Code {
    outcome.unwrap_err().failure().unwrap().code
}

/// The types of the events, in order.
pub(super) async fn kinds(bench: &TestBench, project_id: &ProjectId) -> Vec<String> {
    bench.events(project_id).await.into_iter().map(|(kind, _)| kind).collect()
}

pub(super) async fn last_event(bench: &TestBench, project_id: &ProjectId) -> (String, Value) {
    bench.events(project_id).await.pop().unwrap()
}
