//! One process of Postern: started, watched, signalled, killed, started again.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use super::ports::free_port;

/// How long a process may take until it is ready. Beside a busy machine, a build for debugging takes its time.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long it may take to drain.
const STOP_WITHIN: Duration = Duration::from_secs(45);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How much of a log an error shows.
const SHOWN_LINES: usize = 15;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Gateway and worker in one.
    Serve,
    /// The doors.
    Gateway,
    /// The jobs.
    Worker,
    /// Brings the database to this version, and ends.
    Migrate,
}

impl Role {
    fn command(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Gateway => "gateway",
            Self::Worker => "worker",
            Self::Migrate => "migrate",
        }
    }
}

/// The `postern` command: `POSTERN_BIN`, else the one that was built beside this program.
///
/// # Errors
/// When there is none.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("POSTERN_BIN") {
        return Ok(path.into());
    }
    let this = std::env::current_exe().context("where this program is")?;
    // Test programs lie one directory below.
    let beside = this.ancestors().skip(1).take(2).map(|dir| dir.join("postern"));
    beside.into_iter().find(|path| path.is_file()).with_context(|| {
        format!("no postern beside {}: build it (scripts/drill does), or name one by POSTERN_BIN", this.display())
    })
}

/// A process of Postern. Killed when dropped.
#[derive(Debug)]
pub struct Postern {
    /// What it is called in this run; also the name of its log.
    pub name: String,
    role: Role,
    dir: PathBuf,
    settings: Vec<(String, String)>,
    port: Option<u16>,
    admin_port: Option<u16>,
    child: Option<Child>,
    http: reqwest::Client,
}

impl Postern {
    /// Not started yet.
    pub(super) fn new(role: Role, name: String, dir: &Path, settings: Vec<(String, String)>) -> Self {
        Self {
            name,
            role,
            dir: dir.to_owned(),
            settings,
            port: None,
            admin_port: None,
            child: None,
            http: reqwest::Client::new(),
        }
    }

    pub(super) fn listening_on(mut self, port: u16) -> Result<Self> {
        self.port = Some(port);
        self.set("POSTERN_LISTEN", format!("127.0.0.1:{port}"));
        self.administered()
    }

    pub(super) fn administered(mut self) -> Result<Self> {
        let port = free_port()?;
        self.admin_port = Some(port);
        self.set("POSTERN_ADMIN_LISTEN", format!("127.0.0.1:{port}"));
        Ok(self)
    }

    /// One more of the same sort, not started yet.
    pub(super) fn another(&self, name: String) -> Result<Self> {
        Self::new(self.role, name, &self.dir, self.settings.clone()).administered()
    }

    /// Changes a setting, or any other environment variable, from the next start on.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.into()));
    }

    /// Where its doors are.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.unwrap_or_default())
    }

    /// Where health and metrics are.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.admin_port.unwrap_or_default())
    }

    /// What it has said so far, over all its starts.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.dir.join(format!("{}.log", self.name))
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When it runs already, ends, or is not ready in time.
    pub async fn start(&mut self) -> Result<()> {
        self.spawn()?;
        self.wait_ready().await
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it runs already or cannot be started.
    pub fn spawn(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "{} runs already", self.name);
        let log = self.open_log()?;
        let mut command = Command::new(binary()?);
        command
            .arg(self.role.command())
            .current_dir(&self.dir)
            .env_clear()
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        self.child = Some(command.spawn().with_context(|| format!("{} cannot be started", self.name))?);
        Ok(())
    }

    fn open_log(&self) -> Result<File> {
        let path = self.log_file();
        OpenOptions::new().create(true).append(true).open(&path).with_context(|| path.display().to_string())
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Errors
    /// When the process ends, or a minute has passed.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while !self.is_ready().await {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().transpose()).transpose()? {
                bail!("{} ended with {status}:\n{}", self.name, self.last_words());
            }
            ensure!(Instant::now() < deadline, "{} is not ready:\n{}", self.name, self.last_words());
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Whether `/readyz` says yes at this moment.
    pub async fn is_ready(&self) -> bool {
        let asked = self.http.get(format!("{}/readyz", self.admin_url())).timeout(Duration::from_secs(5)).send().await;
        asked.is_ok_and(|answer| answer.status().is_success())
    }

    /// Runs it until it ends by itself.
    ///
    /// # Errors
    /// When it fails, or has not ended within a minute.
    pub async fn run_to_end(mut self) -> Result<()> {
        self.spawn()?;
        let status = self.wait_end().await?;
        ensure!(status.success(), "{} ended with {status}:\n{}", self.name, self.last_words());
        Ok(())
    }

    /// Waits until it has ended by itself. Answers how.
    ///
    /// # Errors
    /// When it was not started, or has not ended within a minute.
    pub async fn wait_end(&mut self) -> Result<ExitStatus> {
        self.wait_within(READY_WITHIN).await
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.pid().with_context(|| format!("{} does not run", self.name))?;
        kill_process(pid, signal).with_context(|| format!("{signal:?} to {}", self.name))
    }

    /// kill -9, and waiting until it is gone. Answers how it ended: it may have been faster.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::KILL)?;
        self.wait_within(STOP_WITHIN).await
    }

    /// SIGTERM, and waiting until it has drained.
    ///
    /// # Errors
    /// When it does not run, does not end within 45 s, or ends badly.
    pub async fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let status = self.wait_within(STOP_WITHIN).await?;
        ensure!(status.success(), "{} ended with {status}:\n{}", self.name, self.last_words());
        Ok(())
    }

    async fn wait_within(&mut self, limit: Duration) -> Result<ExitStatus> {
        let child = self.child.as_mut().with_context(|| format!("{} does not run", self.name))?;
        let status = timeout(limit, child.wait()).await;
        let status = status.with_context(|| format!("{} does not end:\n{}", self.name, self.last_words()))??;
        self.child = None;
        Ok(status)
    }

    /// Whether it has ended by itself, and how.
    ///
    /// # Errors
    /// Those of the system.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.as_mut().map(Child::try_wait).transpose()?.flatten())
    }

    /// How much memory it holds, in bytes.
    ///
    /// # Errors
    /// When it does not run.
    pub fn rss_bytes(&self) -> Result<u64> {
        let pid = self.pid().with_context(|| format!("{} does not run", self.name))?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()))?;
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        Ok(kilobytes.context("the kernel does not tell VmRSS")?.trim().parse::<u64>()? * 1024)
    }

    /// The number of the process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.as_ref()?.id()?).ok()?)
    }

    /// The end of its log.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let shown = lines.len().saturating_sub(SHOWN_LINES);
        lines.get(shown..).unwrap_or_default().join("\n")
    }
}
