//! The `postern` command.

use std::process::ExitCode;

use clap::Parser;
use postern::{cli::Cli, commands};

/// A request makes many small allocations, in several threads: the system's allocator took a fifth of its time.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    commands::run(Cli::parse())
}
