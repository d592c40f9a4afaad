//! The one integration-test binary: behaviour through the real doors.

mod emails;
mod support;
