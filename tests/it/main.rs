//! The one integration-test binary: behaviour through the real doors. `POSTERN_TEST_SHAPE` (`sqlite` or `postgres`) says on
//! which database; `scripts/test` runs both.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that finds something else than it expects has failed"
)]

mod clients;
mod emails;
mod graphql;
mod migrations;
mod queue;
mod rest;
mod serve;
mod support;
mod webhooks;
