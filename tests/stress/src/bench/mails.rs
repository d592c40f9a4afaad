//! Mails: how fast those that are due drain, of one project and of several, beside a bare loop that hands over the same bytes;
//! what memory that takes; and how long it is from a sign-up to the arrival of its mail.

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::{
    process::Command,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{
    compare::Spread,
    load::histogram,
    report::Row,
    scene::{Scene, text},
};
use crate::stand::{Client, MailListener};

const PROJECTS: usize = 10;
const MAILS: usize = 500;
/// Of each project.
const USERS: usize = MAILS / PROJECTS;
/// What is sent at once: of one project, and by a worker.
const AT_ONCE_OF_PROJECT: usize = 8;
const AT_ONCE: usize = 32;
/// Until then all mails must be written and rendered.
const LEAD: Duration = Duration::from_secs(12);
/// How long the last mail may take.
const PATIENCE: Duration = Duration::from_secs(120);

const SIGN_UPS_PER_SECOND: u32 = 5;
const WARM_UP_SECONDS: u32 = 2;
const WINDOW_SECONDS: u32 = 5;
const MEGABYTE: f64 = 1e6;

/// All figures about mails.
pub(crate) async fn measure(scene: &Scene, rounds: usize) -> Result<Vec<Row>> {
    let server = MailListener::start().await?;
    let mut projects = Vec::new();
    for _ in 0..PROJECTS {
        projects.push(Project::make(scene, &server).await?);
    }
    let bench = Bench { scene, server, projects };
    let mut rows = vec![];
    let mut most = 0;
    for (projects, at_once) in [(1, AT_ONCE_OF_PROJECT), (PROJECTS, AT_ONCE)] {
        rows.push(bench.drain(projects, at_once, rounds, &mut most).await?);
    }
    let value = most as f64 / MEGABYTE;
    let process = scene.worker()?.name.clone();
    rows.push(Row::plain(
        &format!("memory of {process}, draining mails"),
        Spread { median: value, low: value, high: value },
        "MB",
        "the most that was seen resident meanwhile",
    ));
    rows.extend(bench.light(rounds).await?);
    Ok(rows)
}

/// One with a mail server and users.
struct Project {
    client: Client,
    users: Vec<String>,
}

impl Project {
    async fn make(scene: &Scene, mails: &MailListener) -> Result<Self> {
        let keys = scene.stand.make_project().await?;
        scene.stand.use_mail_server(&keys, mails).await?;
        let client = scene.stand.client_of(&keys);
        let mut users = Vec::new();
        for number in 0..USERS {
            let body =
                json!({ "primary_email": format!("person-{number}@example.com"), "primary_email_verified": true });
            users.push(text(&client.server().post("/users", &body).await?.json()?, "id")?);
        }
        Ok(Self { client, users })
    }

    /// A mail to each user, not before then.
    async fn mail_all(&self, due_millis: i64) -> Result<()> {
        let body = json!({ "user_ids": self.users, "subject": "News", "html": "<p>Something has happened.</p>",
            "scheduled_at_millis": due_millis });
        self.client.server().post("/emails/send-email", &body).await?.json().map(drop)
    }
}

struct Bench<'a> {
    scene: &'a Scene,
    server: MailListener,
    projects: Vec<Project>,
}

impl Bench<'_> {
    /// Mails that become due at the same moment. Answers the ratio to the bare loop; raises `most` to the memory it took.
    async fn drain(&self, projects: usize, at_once: usize, rounds: usize, most: &mut u64) -> Result<Row> {
        let (mut ratios, mut drained, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let due = self.queue(projects).await?;
            sleep_until(due).await;
            while self.server.count() < MAILS {
                ensure!(due.elapsed() < PATIENCE, "{} of {MAILS} mails arrived", self.server.count());
                *most = (*most).max(self.scene.worker()?.rss_bytes()?);
                sleep(Duration::from_millis(20)).await;
            }
            let arrived = self.server.take();
            let last = arrived.iter().map(|mail| mail.at).max().context("nothing arrived")?;
            let of_postern = MAILS as f64 / last.saturating_duration_since(due).as_secs_f64();
            let of_bare = self.bare_loop(at_once).await?;
            ratios.push(of_postern / of_bare);
            drained.push(of_postern);
            bare.push(of_bare);
        }
        let spread = |figures| Spread::of(figures).context("no round");
        let drained = spread(drained)?;
        let notes = format!(
            "{MAILS} rendered mails that become due at one moment; {:.0}/s ({:.0}–{:.0}) from then to the last arrival, beside {:.0}/s \
             of a loop that hands the same {} bytes to the same server, {at_once} at once; a connection for each mail",
            drained.median,
            drained.low,
            drained.high,
            spread(bare)?.median,
            self.server.last_content().len(),
        );
        let name = format!("mails, draining those of {projects} project{}", if projects == 1 { "" } else { "s" });
        Ok(Row::plain(&name, spread(ratios)?, "x bare loop", notes))
    }

    /// Writes the mails, and waits until they are rendered. Answers when they are due.
    async fn queue(&self, projects: usize) -> Result<Instant> {
        let (now, due) = (chrono::Utc::now().timestamp_millis(), Instant::now() + LEAD);
        let due_millis = now + i64::try_from(LEAD.as_millis())?;
        for turn in 0..PROJECTS {
            let project = self.projects.get(turn % projects).context("no project")?;
            project.mail_all(due_millis).await?;
        }
        let database = self.scene.database().await?;
        let unrendered = "SELECT count(*) FROM email WHERE rendered_at IS NULL";
        while database.number(unrendered).await? > 0 {
            ensure!(Instant::now() < due, "the mails were not rendered within {LEAD:?}");
            sleep(Duration::from_millis(50)).await;
        }
        ensure!(self.server.take().is_empty(), "mails arrived before they were due");
        Ok(due)
    }

    /// Hands over what the server got last, from a process of its own; answers mails per second.
    async fn bare_loop(&self, slots: usize) -> Result<f64> {
        let mail = tempfile::NamedTempFile::new()?;
        std::fs::write(mail.path(), self.server.last_content())?;
        let output = Command::new(std::env::current_exe()?)
            .args(["bare-mail", "--server", &self.server.address().to_string(), "--count", &MAILS.to_string()])
            .args(["--slots", &slots.to_string(), "--mail"])
            .arg(mail.path())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .await?;
        ensure!(output.status.success(), "the bare loop ended with {}", output.status);
        let taken = self.server.take().len();
        ensure!(taken == MAILS, "the bare loop handed over {taken} mails");
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    }

    /// A few sign-ups a second.
    async fn light(&self, rounds: usize) -> Result<Vec<Row>> {
        let windows = u32::try_from(rounds)?;
        let count = SIGN_UPS_PER_SECOND * (WARM_UP_SECONDS + windows * WINDOW_SECONDS);
        let client = self.projects.first().context("no project")?.client.client();
        let begun = Instant::now();
        let due = |number: u32| begun + Duration::from_secs(1) * number / SIGN_UPS_PER_SECOND;
        let mut answers = JoinSet::new();
        for number in 0..count {
            sleep_until(due(number)).await;
            let client = client.clone();
            answers.spawn(async move {
                let body = json!({ "email": address(number), "password": "correct horse",
                    "verification_callback_url": "http://localhost:9/verified" });
                client.post("/auth/password/sign-up", &body).await?.json().map(drop)
            });
        }
        while let Some(answer) = answers.join_next().await {
            answer??;
        }
        let last = Instant::now();
        while self.server.count() < usize::try_from(count)? {
            ensure!(last.elapsed() < PATIENCE, "{} of {count} mails arrived", self.server.count());
            sleep(Duration::from_millis(20)).await;
        }
        let arrived = self.server.take();
        let arrived: BTreeMap<_, _> =
            arrived.iter().filter_map(|mail| Some((mail.to.first()?.as_str(), mail.at))).collect();
        let (mut halves, mut tails) = (Vec::new(), Vec::new());
        for window in 0..windows {
            let first = SIGN_UPS_PER_SECOND * (WARM_UP_SECONDS + window * WINDOW_SECONDS);
            let mut latency = histogram()?;
            for number in first..first + SIGN_UPS_PER_SECOND * WINDOW_SECONDS {
                let at = arrived.get(address(number).as_str()).context("a mail to somebody else arrived")?;
                latency.record(u64::try_from((*at - due(number)).as_micros())?.max(1))?;
            }
            halves.push(latency.value_at_quantile(0.5) as f64 / 1000.0);
            tails.push(latency.value_at_quantile(0.99) as f64 / 1000.0);
        }
        let spread = |figures| Spread::of(figures).context("no window");
        let notes = format!(
            "{SIGN_UPS_PER_SECOND} sign-ups with a password per second, from the moment each was due to be sent until its mail was \
             taken; {WINDOW_SECONDS} s windows"
        );
        Ok(vec![
            Row::plain("mails, sign-up to arrival, p50", spread(halves)?, "ms", notes),
            Row::plain("mails, sign-up to arrival, p99", spread(tails)?, "ms", "likewise"),
        ])
    }
}

fn address(number: u32) -> String {
    format!("new-{number}@example.com")
}
