//! The one integration-test binary: behaviour through the real doors.
