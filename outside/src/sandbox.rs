//! Work on what tenants wrote, in a process of its own: this program again, under limits of the operating system, without
//! environment, files or sockets of ours. One process serves many requests, one after the other; it goes when it has had
//! nothing to do for a while, when it takes too long, and when it dies of its limits. Then the next request gets a new one.

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use postern_domain::{
    ports::sandbox::{Sandbox, SandboxError},
    running_time::within,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{Mutex, Semaphore},
    time::timeout,
};

/// Memory that the other process may write to.
pub const MAX_MEMORY_BYTES: u64 = 256 * 1024 * 1024;
/// Bytes of a request or an answer.
pub const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;
/// How many work at once; of one tenant one.
const PROCESSES: usize = 4;
/// How long one waits for work.
const IDLE: Duration = Duration::from_secs(10);
/// How long a process may take to be gone.
const GOING: Duration = Duration::from_secs(2);
/// How long a request waits for others of its tenant, and for a process.
const QUEUE: Duration = Duration::from_millis(250);

/// Processes that run one command of this program.
#[derive(Clone, Debug)]
pub struct ProcessSandbox {
    program: PathBuf,
    arguments: Vec<String>,
    idle: Arc<Mutex<Vec<Process>>>,
    slots: Arc<Semaphore>,
    /// Those whose request is worked on or waits.
    tenants: Arc<Mutex<HashMap<String, Weak<Mutex<()>>>>>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    /// Distinguishes it among those that were put back.
    uses: u64,
}

impl ProcessSandbox {
    /// Runs `program` with `arguments`: something that serves requests by [`serve`].
    #[must_use]
    pub fn new(program: PathBuf, arguments: &[&str]) -> Self {
        Self {
            program,
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            idle: Arc::default(),
            slots: Arc::new(Semaphore::new(PROCESSES)),
            tenants: Arc::default(),
        }
    }

    fn start(&self) -> io::Result<Process> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Process { child, input, output, uses: 0 }),
            _ => Err(io::Error::other("a child without pipes")),
        }
    }

    /// Keeps a process for the next request, and ends it when none comes.
    async fn put_back(&self, mut process: Process) {
        process.uses += 1;
        let (id, uses, idle) = (process.child.id(), process.uses, Arc::clone(&self.idle));
        self.idle.lock().await.push(process);
        tokio::spawn(async move {
            tokio::time::sleep(IDLE).await;
            // Dropped, and so killed, unless it was used meanwhile.
            idle.lock().await.retain(|process| process.child.id() != id || process.uses != uses);
        });
    }
}

impl Process {
    async fn ask(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        let length = u32::try_from(request.len()).map_err(io::Error::other)?;
        self.input.write_all(&length.to_be_bytes()).await?;
        self.input.write_all(request).await?;
        self.input.flush().await?;
        let mut length = [0; 4];
        self.output.read_exact(&mut length).await?;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
        if length > MAX_FRAME_BYTES {
            return Err(io::Error::other("too long an answer"));
        }
        let mut answer = vec![0; length];
        self.output.read_exact(&mut answer).await?;
        Ok(answer)
    }
}

#[async_trait]
impl Sandbox for ProcessSandbox {
    async fn run(&self, tenant: &str, request: Vec<u8>, limit: Duration) -> Result<Vec<u8>, SandboxError> {
        if request.len() > MAX_FRAME_BYTES {
            return Err(SandboxError::Exceeded(format!("it is longer than {MAX_FRAME_BYTES} bytes")));
        }
        let turn = self.turn_of(tenant).await;
        let _turn = timeout(QUEUE, turn.lock()).await.map_err(|_| SandboxError::Busy)?;
        let Ok(Ok(_slot)) = timeout(QUEUE, self.slots.acquire()).await else { return Err(SandboxError::Busy) };
        let mut process = match self.kept().await {
            Some(process) => process,
            None => {
                self.start().map_err(|error| SandboxError::Unavailable(format!("no process to render in: {error}")))?
            }
        };
        match within(limit, process.ask(&request)).await {
            Some(Ok(answer)) => {
                self.put_back(process).await;
                Ok(answer)
            }
            Some(Err(error)) => Err(self.why_it_ended(process, error).await),
            None => Err(SandboxError::Exceeded(format!("it did not finish within {} s", limit.as_secs()))),
        }
    }
}

impl ProcessSandbox {
    /// What the requests of a tenant take turns by.
    async fn turn_of(&self, tenant: &str) -> Arc<Mutex<()>> {
        let mut tenants = self.tenants.lock().await;
        if let Some(turn) = tenants.get(tenant).and_then(Weak::upgrade) {
            return turn;
        }
        tenants.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Mutex::new(()));
        tenants.insert(tenant.to_owned(), Arc::downgrade(&turn));
        turn
    }

    /// A process that waits for work and lives.
    async fn kept(&self) -> Option<Process> {
        let mut idle = self.idle.lock().await;
        while let Some(mut process) = idle.pop() {
            if matches!(process.child.try_wait(), Ok(None)) {
                return Some(process);
            }
        }
        None
    }

    /// A process that a signal ended has hit its limits; one that ended by itself could not begin.
    async fn why_it_ended(&self, mut process: Process, error: io::Error) -> SandboxError {
        use std::os::unix::process::ExitStatusExt;
        let status = timeout(GOING, process.child.wait()).await;
        match status {
            Ok(Ok(status)) if status.signal().is_some() => {
                SandboxError::Exceeded(format!("it took more memory than {} MB", MAX_MEMORY_BYTES / 1024 / 1024))
            }
            _ => SandboxError::Unavailable(format!("the process to render in ended: {error}")),
        }
    }
}

/// Serves requests from standard input to standard output until the input ends, under limits. What `work` answers is sent
/// back. For a process that does nothing else.
///
/// # Errors
/// Those of the pipes and of the limits.
pub fn serve(work: impl Fn(&[u8]) -> Result<Vec<u8>, String>) -> io::Result<()> {
    use io::{Read, Write};
    confine()?;
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut length = [0; 4];
    while input.read_exact(&mut length).is_ok() {
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
        if length > MAX_FRAME_BYTES {
            return Err(io::Error::other("too long a request"));
        }
        let mut request = vec![0; length];
        input.read_exact(&mut request)?;
        let answer = work(&request).map_err(io::Error::other)?;
        output.write_all(&u32::try_from(answer.len()).map_err(io::Error::other)?.to_be_bytes())?;
        output.write_all(&answer)?;
        output.flush()?;
    }
    Ok(())
}

/// No more memory, no new files, no core dumps.
fn confine() -> io::Result<()> {
    use rlimit::Resource;
    for resource in [Resource::DATA, Resource::AS] {
        // Address space is cheap and taken in advance by the allocator; what is written to counts.
        let bytes = if resource == Resource::AS { MAX_MEMORY_BYTES * 8 } else { MAX_MEMORY_BYTES };
        resource.set(bytes, bytes)?;
    }
    Resource::CORE.set(0, 0)?;
    Resource::FSIZE.set(0, 0)?;
    Resource::NOFILE.set(3, 3)
}
