//! What operators see of a running process: its metrics. What is counted where is the business of the crates that do the
//! work; here it is collected and handed out.

pub mod metrics;
