//! The bench: starts everything itself, measures what the design budgets (design §6), and prints it as a table and as JSON.
//! Every speed is a ratio to a floor that is measured in turns with it, on the same database.
//!
//! To add a figure: a function that answers a `report::Row`, its name in `Section`, and its line in `measure`.

pub mod bare;
pub mod bare_mail;
mod compare;
mod filler;
pub mod floor;
mod footprint;
mod jobs;
mod live;
mod load;
mod logins;
mod mails;
mod pages;
mod paths;
mod payments;
mod process;
mod report;
mod scene;
mod webhooks;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::ValueEnum;

use self::{
    compare::Plan,
    report::{Report, Row},
    scene::Scene,
};
use crate::stand::{Shape, binary};

/// Connections that are kept busy (design §6).
const CONNECTIONS: usize = 32;

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// How Postern is run: one process on SQLite, or a gateway and a worker on PostgreSQL and Redis; these through a pooler, which
    /// the floors go past.
    #[arg(long, value_enum, default_value_t = Shape::Embedded)]
    shape: Shape,
    /// Only these; everything but `build` when none is named.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// How long each slice of a comparison lasts, in milliseconds.
    #[arg(long, default_value_t = 2000)]
    slice_ms: u64,
    /// How often each side is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Users of the large project in `pages`.
    #[arg(long, default_value_t = 1_000_000)]
    users: u64,
    /// Deliveries that wait for an endpoint that is away in `webhooks`.
    #[arg(long, default_value_t = 1_000_000)]
    waiting: u64,
    /// Writes the report into this directory as well, as `bench-<date>-<shape>.md` and `.json`.
    #[arg(long)]
    report: Option<PathBuf>,
}

/// A figure or a few that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// The size of the program.
    Size,
    /// The time to start.
    Start,
    /// Memory, idle and under load.
    Memory,
    /// `GET /users/me`.
    UsersMe,
    /// `me` over GraphQL.
    GraphqlMe,
    /// Refreshing an access token.
    Refresh,
    /// `POST /users`.
    CreateUser,
    /// Logins, a storm of them, and what the time of a refusal tells.
    Logins,
    /// Changes of items, and events of Stripe.
    Payments,
    /// Jobs per second.
    Jobs,
    /// Deliveries of webhooks.
    Webhooks,
    /// Mails.
    Mails,
    /// Memory and speed of subscriptions.
    Subscriptions,
    /// Pages, searches and permissions with few and with many users.
    Pages,
    /// The time of a clean release build; only when named.
    Build,
}

/// Measures and prints.
///
/// # Errors
/// Whatever keeps it from measuring.
#[expect(clippy::print_stdout, reason = "the report is what the command is for")]
pub async fn run(settings: &Settings) -> Result<()> {
    let began_at = chrono::Utc::now();
    let load_before = process::load_average()?;
    let mut scene = Scene::start(settings.shape).await?;
    let mut rows = Vec::new();
    for section in Section::value_variants() {
        let wanted =
            if settings.only.is_empty() { *section != Section::Build } else { settings.only.contains(section) };
        if wanted {
            let made = measure(*section, &mut scene, settings).await;
            rows.extend(made.with_context(|| format!("{section:?}"))?);
        }
    }
    let setting = format!(
        "{CONNECTIONS} connections, {} rounds of {} ms for each side after a warm-up of the same length, in turns; median with the \
         smallest and the largest. `{}` on {} cores, load average {load_before} before and {} after the run; PostgreSQL and SQLite \
         with durable commits, default settings. The load comes from the same machine, by one thread. Server time is processor \
         time of the answering process per request, and steadier than the rest when others use the machine.",
        settings.rounds,
        settings.slice_ms,
        binary()?.display(),
        std::thread::available_parallelism()?,
        process::load_average()?,
    );
    let report = Report { began_at, shape: settings.shape.as_str().to_owned(), setting, rows };
    println!("{}", report.markdown());
    let json = serde_json::to_string_pretty(&report)?;
    match &settings.report {
        None => println!("{json}"),
        Some(directory) => {
            std::fs::create_dir_all(directory)?;
            let name = format!("bench-{}-{}", began_at.format("%Y-%m-%d"), report.shape);
            std::fs::write(directory.join(format!("{name}.md")), report.markdown())?;
            std::fs::write(directory.join(format!("{name}.json")), json + "\n")?;
        }
    }
    scene.stand.stop().await
}

async fn measure(section: Section, scene: &mut Scene, settings: &Settings) -> Result<Vec<Row>> {
    let slice = Duration::from_millis(settings.slice_ms);
    let plan = Plan { connections: CONNECTIONS, rounds: settings.rounds, slice, warm_up: slice };
    Ok(match section {
        Section::Size => vec![footprint::binary_size()?],
        Section::Start => vec![footprint::start_time(scene, plan.rounds).await?],
        Section::Memory => {
            let mut rows = footprint::idle(scene).await?;
            rows.push(footprint::loaded(scene).await?);
            rows
        }
        Section::UsersMe => vec![paths::users_me(scene, &plan).await?],
        Section::GraphqlMe => vec![paths::graphql_me(scene, &plan).await?],
        Section::Refresh => vec![paths::refresh(scene, &plan).await?],
        Section::CreateUser => vec![paths::create_user(scene, &plan).await?],
        Section::Logins => logins::measure(scene, &plan).await?,
        Section::Payments => payments::measure(scene, &plan).await?,
        Section::Jobs => vec![jobs::measure(scene, plan.rounds).await?],
        Section::Webhooks => webhooks::measure(scene, plan.rounds, settings.waiting).await?,
        Section::Mails => mails::measure(scene, plan.rounds).await?,
        Section::Subscriptions => live::measure(scene, plan.rounds).await?,
        Section::Pages => pages::measure(scene, &plan, settings.users).await?,
        Section::Build => vec![footprint::build_time().await?],
    })
}
