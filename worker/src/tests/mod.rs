//! The worker's promises within one process, on each database. What it takes to kill or stop a process is tested by the
//! root package.

mod draining;
mod failures;
mod support;
mod waking;
