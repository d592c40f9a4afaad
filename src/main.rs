//! The `postern` command.

use std::process::ExitCode;

use clap::Parser;
use postern::{cli::Cli, commands};

fn main() -> ExitCode {
    commands::run(Cli::parse())
}
