//! The one integration-test binary: behaviour through the real doors. `POSTERN_TEST_SHAPE` says in which shape:
//! `sqlite` is one process on SQLite, `postgres` gateways and workers on PostgreSQL and Redis. `scripts/test` runs both.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that finds something else than it expects has failed"
)]

mod clients;
mod cluster;
mod emails;
mod graphql;
mod migrations;
mod oauth;
mod openapi;
mod operations;
mod payments;
mod queue;
mod rest;
mod serve;
mod support;
mod telemetry;
mod webhooks;
