//! The one integration-test binary: behaviour through the real doors. `POSTERN_TEST_SHAPE` (`sqlite` or `postgres`) says on
//! which database; `scripts/test` runs both.

mod emails;
mod migrations;
mod rest;
mod support;
mod webhooks;
