//! The job queue against what can happen to processes: killed, stopped, told to end, cut off from the database.
//!
//! A worker that is to be killed runs in a child process: this test binary, started again for the one test
//! `queue::child::worker`, which does nothing unless the environment names a database.

mod child;
mod database_loss;
mod killed;
mod stopped;
mod support;
