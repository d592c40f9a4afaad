//! Runs what the domain has put into its queue and its log: jobs under leases, schedules, and the loops that follow the
//! event log. [`registry()`] is the one list of all of them; rules and payloads live in the domain.
//!
//! To add a job: its payload implements `postern_domain::queue::Job` in the feature's `jobs.rs`; a thin handler goes into
//! `jobs/`, and a line into [`registry()`].
//!
//! apalis runs the workers, one per lane, with its layers for concurrency, timeout, tracing and panics; the jobs reach it
//! through our own backend (`backend.rs`) over the domain's queue:
//!
//! - `pump.rs` claims as many jobs as there are free slots and hands them to apalis;
//! - `keeper.rs` writes down how they ended, in batches, and keeps their leases alive meanwhile.

mod ack;
mod backend;
mod dispatch;
mod follow;
mod held;
mod jobs;
mod keeper;
mod pause;
mod pump;
mod registry;
mod runner;
mod schedule;
mod settings;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use dispatch::Registry;
pub use follow::Follow;
pub use registry::registry;
pub use runner::Worker;
pub use settings::{LaneSettings, Settings};

#[cfg(test)]
mod tests;
