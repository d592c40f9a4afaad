//! What operators see of a running process, each test with processes of its own but one, which hands in a clock.

mod exposition;
mod installation;
mod loads;
mod logs;
mod metrics;
mod traces;
