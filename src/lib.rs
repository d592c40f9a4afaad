//! The root: settings and wiring. It hands the real parts (database, clock, clients) to the libraries and meets both
//! gateway and worker, which meet nowhere else. The binary is a thin shell over this, so that tests start the same thing.

pub mod admin;
pub mod cli;
pub mod commands;
pub mod config_file;
pub mod settings;
pub mod telemetry;
pub mod wiring;
