//! `scripts/drill`: see there.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Parser;
use postern_stress::{
    drill::{self, Order, Scale, Table},
    stand::Shape,
};
use tokio::signal::unix::{SignalKind, signal};

/// Kills, stops and cuts off servers under load, and checks what they promised. Exit code 1 when a promise was broken.
#[derive(Debug, Parser)]
#[command(name = "drill", version, max_term_width = 100)]
struct Arguments {
    /// Only this drill; all when left out.
    name: Option<String>,
    /// How long and how hard.
    #[arg(long, value_enum, default_value = "small")]
    scale: Scale,
    /// Only in this shape, and whatever can run there; when left out, in both shapes, and some through a pooler.
    #[arg(long, value_enum)]
    shape: Option<Shape>,
    /// How many drills run at once; the small scale runs several, because they spend most of their time waiting.
    #[arg(long)]
    at_once: Option<usize>,
    /// Writes the outcome as a Markdown document too.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The title of that document.
    #[arg(long, default_value = "Drills")]
    title: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Standard error may be closed; the exit code says it all the same.
            drop(writeln!(io::stderr(), "drill: {error:#}"));
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: Arguments) -> Result<bool> {
    let order = Order {
        name: arguments.name,
        scale: arguments.scale,
        shape: arguments.shape,
        at_once: arguments.at_once.unwrap_or(match arguments.scale {
            Scale::Small => 5,
            Scale::Full => 1,
        }),
    };
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let say = |text: String| drop(write!(io::stdout(), "{text}"));
    say(format!("{}\n", Table::head()));
    // Whatever ends it: what was started is stopped when it is dropped.
    let table = tokio::select! {
        table = drill::run(&order, |ended| say(ended.to_string())) => table?,
        _ = interrupted.recv() => anyhow::bail!("interrupted"),
        _ = terminated.recv() => anyhow::bail!("terminated"),
    };
    if let Some(path) = &arguments.report {
        let document = table.document(&arguments.title);
        std::fs::write(path, document).with_context(|| path.display().to_string())?;
    }
    Ok(table.is_good())
}
