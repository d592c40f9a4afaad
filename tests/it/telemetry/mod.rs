//! What operators see of a running process, each test with processes of its own.

mod exposition;
mod installation;
mod loads;
mod logs;
mod metrics;
mod traces;
