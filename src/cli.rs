//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

/// A self-hosted backend for the users of an application: GraphQL gateway and webhook worker.
#[derive(Debug, Parser)]
#[command(name = "postern", version, about, max_term_width = 100)]
pub struct Cli {
    /// A TOML file with settings; environment variables win over it.
    #[arg(long, global = true, value_name = "FILE", env = "POSTERN_CONFIG")]
    pub config: Option<PathBuf>,
    /// What to do; `serve` when left out.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What Postern can be told to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs gateway and worker in one process, and migrates first (the default).
    Serve,
    /// Runs the doors only; needs PostgreSQL and Redis, and `postern migrate` first.
    Gateway,
    /// Runs the jobs only; needs PostgreSQL and Redis, and `postern migrate` first.
    Worker,
    /// Brings the database to the shape of this version and seeds it.
    Migrate,
    /// Prints the GraphQL schema.
    Schema,
    /// Prints the OpenAPI document of the REST API.
    Openapi,
    /// Says what is wrong with settings, database, Redis, queue and mail.
    Doctor,
    /// Makes a new set of keys for a project, or a one-time invitation.
    Keys {
        /// `invite` for a link by which one person may become an owner of projects, else the id of a project.
        #[arg(default_value = "internal", value_name = "PROJECT|invite")]
        target: String,
    },
    /// Seals again under the first server secret what was sealed under an older one.
    Rotate,
    /// Prints a completion script.
    Completions {
        /// For which shell.
        shell: Shell,
    },
}
