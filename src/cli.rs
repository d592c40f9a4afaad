//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
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

/// The command that the program gives itself.
pub const SANDBOX: &str = "sandbox";

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
    /// Says what is wrong with settings, database, Redis, queue, mail and Stripe.
    Doctor,
    /// Makes a new set of keys for a project, or a one-time invitation.
    Keys {
        /// `invite` for a link by which one person may become an owner of projects, else the id of a project.
        #[arg(default_value = "internal", value_name = "PROJECT|invite")]
        target: String,
    },
    /// Sets projects up from files.
    Config {
        /// What to do with the file.
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Brings users of another installation or system into a project.
    Import {
        /// What the file holds.
        #[command(subcommand)]
        what: ImportWhat,
    },
    /// Writes out what a project holds.
    Export {
        /// What to write out.
        #[command(subcommand)]
        what: ExportWhat,
    },
    /// Looks after what Stripe tells: lists, replays and fetches its events.
    Stripe {
        /// What to do.
        #[command(subcommand)]
        action: StripeAction,
    },
    /// Seals again under the first server secret what was sealed under an older one.
    Rotate,
    /// Works on what tenants wrote, apart from everything else: started by the other commands, not by people.
    #[command(name = SANDBOX, hide = true)]
    Sandbox,
    /// Prints a completion script.
    Completions {
        /// For which shell.
        shell: Shell,
    },
}

/// What can be done with the events of Stripe.
#[derive(Debug, Subcommand)]
pub enum StripeAction {
    /// Lists the events that wait or failed, oldest first, one a line.
    Events,
    /// Lets an event be worked off again, whatever came of it before.
    Replay {
        /// As Stripe calls it: `evt_…`.
        id: String,
    },
    /// Asks Stripe for events that were not posted here, of all accounts. A worker does so every ten minutes.
    Sync {
        /// For how many days back, at most the 30 that Stripe keeps them; default: since they were last asked for.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=30))]
        days: Option<u8>,
    },
}

/// What can be done with a config file.
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Makes a project what the file says; changes nothing if it is so already.
    Apply {
        /// TOML, or JSON if its name ends in .json.
        file: PathBuf,
        /// The project; default: the one that the file names, else `internal`.
        #[arg(long, value_name = "ID")]
        project: Option<String>,
    },
}

/// What can be imported.
#[derive(Debug, Subcommand)]
pub enum ImportWhat {
    /// Users, one JSON object a line. Run again, it goes on where it stopped.
    Users(ImportUsers),
}

/// How users are imported.
#[derive(Debug, Args)]
pub struct ImportUsers {
    /// The file.
    pub file: PathBuf,
    /// The project.
    #[arg(long, value_name = "ID", default_value = "internal")]
    pub project: String,
    /// Where to write what became of each line; default: FILE.results.jsonl.
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// Also write `user.created` for each new user: webhooks are sent and subscribers told.
    #[arg(long)]
    pub events: bool,
    /// Signer key (base64) of the Firebase project that hashes of firebase-scrypt come from. Other users of this machine see
    /// arguments, but not the environment.
    #[arg(long, value_name = "BASE64", env = "FIREBASE_SIGNER_KEY", hide_env_values = true)]
    pub firebase_signer_key: Option<String>,
    /// Its salt separator (base64).
    #[arg(long, value_name = "BASE64", default_value = "Bw==")]
    pub firebase_salt_separator: String,
    /// Its rounds.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub firebase_rounds: u32,
    /// Its memory cost.
    #[arg(long, value_name = "N", default_value_t = 14)]
    pub firebase_mem_cost: u32,
}

/// What can be exported.
#[derive(Debug, Subcommand)]
pub enum ExportWhat {
    /// Users, one JSON object a line, as `import users` takes them.
    Users(ExportUsers),
}

/// How users are exported.
#[derive(Debug, Args)]
pub struct ExportUsers {
    /// The project.
    #[arg(long, value_name = "ID", default_value = "internal")]
    pub project: String,
    /// Where to write; default: standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Also write what users sign in with: password hashes, and the secrets of second factors.
    #[arg(long)]
    pub with_password_hashes: bool,
}
