//! `scripts/bench`.

use anyhow::Result;
use clap::{Parser, Subcommand};
use postern_stress::bench;
use tokio::runtime::Builder;

/// Measures Postern.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts everything, measures, and prints.
    Run(bench::Settings),
    /// Serves as the floor; started by `run`.
    #[command(hide = true)]
    Floor(bench::floor::FloorSettings),
    /// Posts bodies; started by `run`.
    #[command(hide = true)]
    Bare(bench::bare::BareSettings),
    /// Hands over mails; started by `run`.
    #[command(hide = true)]
    BareMail(bench::bare_mail::BareMailSettings),
}

/// The same as Postern's, so that floors differ from it in what they do only.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Result<()> {
    // The HTTP client wants one provider of TLS, chosen; a second call changes nothing.
    drop(rustls::crypto::ring::default_provider().install_default());
    match Cli::parse().command {
        // One thread: the loads leave the rest of the machine to what is measured.
        Command::Run(settings) => Builder::new_current_thread().enable_all().build()?.block_on(bench::run(&settings)),
        Command::Floor(settings) => {
            Builder::new_multi_thread().enable_all().build()?.block_on(bench::floor::serve(&settings))
        }
        Command::Bare(settings) => {
            Builder::new_multi_thread().enable_all().build()?.block_on(bench::bare::post(&settings))
        }
        Command::BareMail(settings) => {
            Builder::new_multi_thread().enable_all().build()?.block_on(bench::bare_mail::send(&settings))
        }
    }
}
