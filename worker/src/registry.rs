//! Every job, schedule and loop of the worker: the one list.

use postern_domain::Result;

use crate::Registry;

/// What a worker runs.
///
/// # Errors
/// Internal, when the payload of a schedule cannot be written as JSON.
pub fn registry() -> Result<Registry> {
    Ok(Registry::new())
}
