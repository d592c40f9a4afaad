//! What each command does. Exit codes: 0 done, 1 failed, 2 refused to start (settings, database of another version).

mod config;
mod doctor;
mod export;
mod import;
mod keys;
mod operator;
mod rotate;
mod serve;
mod stripe;

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

use clap::CommandFactory;
use postern_domain::{Error, emails};
use postern_outside::sandbox;

use crate::{
    cli::{Cli, Command, ConfigAction, ExportWhat, ImportWhat},
    settings::{Role, Settings, WrongSettings},
    telemetry, wiring,
};

/// Why a command ended without success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// Settings or surroundings do not allow it.
    #[error("{0}")]
    Refused(String),
    /// It was begun and failed.
    #[error("{0}")]
    Failed(String),
}

impl From<WrongSettings> for CommandError {
    fn from(error: WrongSettings) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Runs what the command line asks for.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    match run_command(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(CommandError::Refused(why)) => fail(2, why),
        Err(CommandError::Failed(why)) => fail(1, why),
    }
}

fn run_command(cli: Cli) -> Result<(), CommandError> {
    match cli.command.unwrap_or(Command::Serve) {
        Command::Sandbox => {
            let render = |request: &[u8]| emails::run_sandboxed(request).map_err(|error| error.to_string());
            Ok(sandbox::serve(render)?)
        }
        Command::Schema => say(postern_gateway::graphql::sdl()),
        Command::Openapi => say(postern_gateway::openapi()?),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "postern", &mut io::stdout());
            Ok(())
        }
        command => {
            let role = match command {
                Command::Serve => Role::All,
                Command::Gateway => Role::Gateway,
                Command::Worker => Role::Worker,
                _ => Role::Operator,
            };
            let settings = Settings::read(cli.config.as_deref(), role)?;
            wiring::install_crypto_provider();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let telemetry = telemetry::start(&settings.log, settings.log_format, runtime.handle());
            let telemetry = telemetry.map_err(CommandError::Refused)?;
            for name in Settings::misspelt() {
                tracing::warn!(name, "this environment variable looks like a setting but is none");
            }
            let done = runtime.block_on(async {
                match command {
                    Command::Serve | Command::Gateway | Command::Worker => serve::run(settings, role).await,
                    Command::Migrate => serve::migrate(settings).await,
                    Command::Doctor => doctor::run(settings).await,
                    Command::Keys { target } => keys::run(settings, &target).await,
                    Command::Config { action: ConfigAction::Apply { file, project } } => {
                        config::apply(settings, &file, project).await
                    }
                    Command::Import { what: ImportWhat::Users(options) } => import::users(settings, options).await,
                    Command::Export { what: ExportWhat::Users(options) } => export::users(settings, &options).await,
                    Command::Stripe { action } => stripe::run(settings, &action).await,
                    Command::Rotate => rotate::run(settings).await,
                    Command::Schema | Command::Openapi | Command::Sandbox | Command::Completions { .. } => Ok(()),
                }
            });
            telemetry.finish();
            done
        }
    }
}

/// Writes to standard output; a reader that has gone away (`postern schema | head`) is no failure.
pub(crate) fn say(text: impl Display) -> Result<(), CommandError> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

fn fail(code: u8, why: impl Display) -> ExitCode {
    // Standard error may be closed; the exit code says it all the same.
    drop(writeln!(io::stderr(), "postern: {why}"));
    ExitCode::from(code)
}
