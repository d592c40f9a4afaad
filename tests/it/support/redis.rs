//! A Redis of a test's own, to be taken away from under Postern.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{net::TcpStream, time::sleep};

/// A running `redis-server`; ends with the test.
pub(crate) struct PrivateRedis {
    port: u16,
    password: &'static str,
    child: Child,
}

impl PrivateRedis {
    /// Starts one that asks for this password.
    pub(crate) async fn start(password: &'static str) -> Self {
        let port = super::free_address().port();
        let mut redis = Self { port, password, child: spawn(port, password) };
        redis.wait().await;
        redis
    }

    /// Where it is, for a setting.
    pub(crate) fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}", self.password, self.port)
    }

    /// Kills it, and whatever it held is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again at the same place, empty.
    pub(crate) async fn start_again(&mut self) {
        self.start_again_with(self.password).await;
    }

    /// The same, and it asks for this password, which nobody has told those who use it.
    pub(crate) async fn start_again_with(&mut self, password: &str) {
        self.child = spawn(self.port, password);
        self.wait().await;
    }

    /// Has it carry out a command that is answered with `OK`.
    pub(crate) fn command(&self, words: &[&str]) {
        let mut cli = Command::new("redis-cli");
        cli.args(["-p", &self.port.to_string(), "-a", self.password, "--no-auth-warning"]).args(words);
        let output = cli.output().expect("redis-cli is there; `scripts/test` installs it");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "OK\n", "{output:?}");
    }

    /// Keeps it from doing anything while its connections stay open (SIGSTOP), or lets it go on (SIGCONT).
    pub(crate) fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    async fn wait(&mut self) {
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            assert!(self.child.try_wait().unwrap().is_none(), "redis-server ended");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        // A stopped process can be killed too; it may be dead already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(port: u16, password: &str) -> Child {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--requirepass", password])
        .args(["--save", "", "--appendonly", "no", "--dir", "/"])
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is there; `scripts/test` installs it")
}
