//! What operators see of a running process, each test with a process of its own.

mod exposition;
mod logs;
mod metrics;
mod traces;
