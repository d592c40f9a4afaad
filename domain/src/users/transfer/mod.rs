//! Moving users between installations: as lines of JSON, one a user, out of this one ([`export_page`]) and into it
//! ([`Import`]), for operators. What is exported can be imported, here or elsewhere, and is the same again then.
//!
//! `line.rs` is the form of a line, `check.rs` what makes a line fit. Who a user is (ids, addresses, metadata, times, hashes)
//! moves; sessions, teams and permissions do not.

mod check;
mod export;
mod import;
mod line;

pub use self::{
    check::FirebaseParameters,
    export::{ExportPage, export_page},
    import::{Import, ImportLine, ImportOptions, Imported, LINES_AT_A_TIME},
    line::{ChannelLine, HashLine, MAX_CHANNELS, MAX_LINE_BYTES, NamedHash, OAuthLine, UserLine},
};

#[cfg(test)]
mod tests;
