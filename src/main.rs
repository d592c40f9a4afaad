//! The `postern` command.

use std::process::ExitCode;

use clap::Parser;
use postern::{cli::Cli, commands};

/// A request makes many small allocations, in several threads: the system's allocator took a fifth of its time. Beside it, not
/// in its place: a library that is preloaded and allocates before `main`, as libfaketime does, finds the system's.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    commands::run(Cli::parse())
}
