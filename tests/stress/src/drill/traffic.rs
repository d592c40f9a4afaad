//! Writers: each asks for one thing after the other through the doors, and notes what was answered. Some make their
//! requests repeatable by a key and repeat them until they are answered; what they asked for must be there exactly once.

use std::{future::Future, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::history::{Deed, History, Outcome, Record, judge};
use crate::stand::{Answer, Client, Lost};

const PASSWORD: &str = "correct horse";
/// How long a repeatable request is repeated without success.
const REPEAT_WITHIN: Duration = Duration::from_secs(180);
/// The pause before a request is repeated, or another one made after a failure.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

const SIGN_UP: &str = "mutation($input: SignUpWithPasswordInput!) { signUpWithPassword(input: $input) {
    userId user { id contactChannels(first: 1) { nodes { id } } } } }";
const CREATE_USER: &str = "mutation($input: CreateUserInput!) { createUser(input: $input) { user { id } } }";
const UPDATE_USER: &str = "mutation($input: UpdateUserInput!) { updateUser(input: $input) { user { id } } }";
const SEND_MAIL: &str = "mutation($input: SendVerificationEmailInput!) { sendVerificationEmail(input: $input) {
    contactChannelId } }";

/// How much is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Writers of each sort; there are six sorts.
    pub(super) writers: usize,
    /// The pause of a writer between two requests.
    pub(super) pause: Duration,
}

/// Running writers.
#[derive(Debug)]
pub(super) struct Traffic {
    stop: watch::Sender<bool>,
    writers: JoinSet<Result<()>>,
}

/// What every writer is handed.
#[derive(Clone)]
struct Writer {
    client: Client,
    history: Arc<History>,
    pause: Duration,
    stop: watch::Receiver<bool>,
}

impl Traffic {
    /// Starts the writers. The users and addresses that some of them need are made before.
    pub(super) async fn start(client: &Client, history: &Arc<History>, load: Load) -> Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let writer = Writer { client: client.clone(), history: Arc::clone(history), pause: load.pause, stop: stopped };
        let mut writers = JoinSet::new();
        for _ in 0..load.writers {
            writers.spawn(writer.clone().sign_up_over_graphql());
            writers.spawn(writer.clone().sign_up_over_rest());
            writers.spawn(writer.clone().create_over_graphql());
            writers.spawn(writer.clone().create_over_rest());
            let user_id = writer.make_user().await?;
            writers.spawn(writer.clone().update_over_graphql(user_id));
            let user_id = writer.make_user().await?;
            writers.spawn(writer.clone().update_over_rest(user_id.clone()));
            let (address, channel_id) = writer.make_address().await?;
            writers.spawn(writer.clone().send_mails(address, channel_id));
        }
        Ok(Self { stop, writers })
    }

    /// Lets requests under way end.
    ///
    /// # Errors
    /// Those of a writer: a repeatable request that nobody answered.
    pub(super) async fn stop(mut self) -> Result<()> {
        self.stop.send_replace(true);
        while let Some(ended) = self.writers.join_next().await {
            ended.context("a writer")??;
        }
        Ok(())
    }
}

/// How one request of a writer ended.
struct Done {
    outcome: Outcome,
    body: Value,
    sent: Instant,
}

impl Writer {
    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    async fn pause(&mut self) {
        // Ends early when the writers are stopped.
        drop(timeout(self.pause, self.stop.wait_for(|stopped| *stopped)).await);
    }

    /// Asks once.
    async fn once(&self, reply: impl Future<Output = Result<Answer, Lost>>) -> Done {
        let sent = Instant::now();
        let reply = reply.await;
        self.history.note_fault(&reply);
        let (outcome, body) = judge(reply);
        if !matches!(outcome, Outcome::Acknowledged) {
            sleep(AFTER_FAILURE).await;
        }
        Done { outcome, body, sent }
    }

    /// Asks again and again, with the same idempotency key, until it is answered for good.
    async fn until_answered<F: Future<Output = Result<Answer, Lost>>>(&self, ask: impl Fn() -> F) -> Result<Done> {
        let sent = Instant::now();
        loop {
            let mut done = self.once(ask()).await;
            // The first request is still running, or its answer could not be told.
            let still_running = matches!(&done.outcome, Outcome::Refused(why) if why.starts_with("409"));
            if !matches!(done.outcome, Outcome::Unknown | Outcome::NotSent) && !still_running {
                done.sent = sent;
                return Ok(done);
            }
            anyhow::ensure!(
                sent.elapsed() < REPEAT_WITHIN,
                "a repeatable request was not answered: {:?}",
                done.outcome
            );
        }
    }

    fn note(&self, deed: Deed, marker: String, user_id: Option<String>, done: &Done) {
        let (outcome, sent) = (done.outcome.clone(), done.sent);
        self.history.add(Record { deed, marker, user_id, outcome, sent, ended: Instant::now() });
    }

    async fn sign_up_over_graphql(mut self) -> Result<()> {
        while !self.is_stopped() {
            let email = format!("{}@drill.example", self.history.marker("sign-up"));
            let input = json!({"input": {"email": email, "password": PASSWORD, "idempotencyKey": email}});
            let client = self.client.client();
            let done = self.until_answered(|| client.graphql(SIGN_UP, input.clone())).await?;
            self.note(Deed::SignUp, email, None, &done);
            self.pause().await;
        }
        Ok(())
    }

    async fn sign_up_over_rest(mut self) -> Result<()> {
        while !self.is_stopped() {
            let email = format!("{}@drill.example", self.history.marker("sign-up"));
            let callback = "http://localhost:9/verified";
            let body = json!({"email": email, "password": PASSWORD, "verification_callback_url": callback});
            let done = self.once(self.client.client().post("/auth/password/sign-up", &body)).await;
            self.note(Deed::SignUp, email, None, &done);
            self.pause().await;
        }
        Ok(())
    }

    async fn create_over_graphql(mut self) -> Result<()> {
        while !self.is_stopped() {
            let name = self.history.marker("created");
            let input = json!({"input": {"displayName": name, "idempotencyKey": name}});
            let client = self.client.server();
            let done = self.until_answered(|| client.graphql(CREATE_USER, input.clone())).await?;
            self.note(Deed::CreateUser, name, None, &done);
            self.pause().await;
        }
        Ok(())
    }

    async fn create_over_rest(mut self) -> Result<()> {
        while !self.is_stopped() {
            let name = self.history.marker("created");
            let done = self.once(self.client.server().post("/users", &json!({"display_name": name}))).await;
            self.note(Deed::CreateUser, name, None, &done);
            self.pause().await;
        }
        Ok(())
    }

    async fn update_over_graphql(mut self, user_id: String) -> Result<()> {
        let client = self.client.server();
        while !self.is_stopped() {
            let name = self.history.marker("renamed");
            let input = json!({"input": {"id": user_id, "displayName": name, "idempotencyKey": name}});
            let done = self.until_answered(|| client.graphql(UPDATE_USER, input.clone())).await?;
            self.note(Deed::UpdateUser, name, Some(user_id.clone()), &done);
            self.pause().await;
        }
        Ok(())
    }

    /// Every other request is repeatable.
    async fn update_over_rest(mut self, user_id: String) -> Result<()> {
        let path = format!("/users/{user_id}");
        while !self.is_stopped() {
            let name = self.history.marker("renamed");
            let body = json!({"display_name": name});
            let done = self.once(self.client.server().patch(&path, &body)).await;
            self.note(Deed::UpdateUser, name, Some(user_id.clone()), &done);
            self.pause().await;

            let name = self.history.marker("renamed");
            let body = json!({"display_name": name});
            let client = self.client.server().with("idempotency-key", &name);
            let done = self.until_answered(|| client.patch(&path, &body)).await?;
            self.note(Deed::UpdateUser, name, Some(user_id.clone()), &done);
            self.pause().await;
        }
        Ok(())
    }

    async fn send_mails(mut self, address: String, channel_id: String) -> Result<()> {
        let client = self.client.server();
        while !self.is_stopped() {
            let key = self.history.marker("mail");
            let input = json!({"input": {"contactChannelId": channel_id, "idempotencyKey": key}});
            let done = self.until_answered(|| client.graphql(SEND_MAIL, input.clone())).await?;
            self.note(Deed::SendMail, address.clone(), None, &done);
            self.pause().await;
        }
        Ok(())
    }

    /// A user to be renamed.
    async fn make_user(&self) -> Result<String> {
        let name = self.history.marker("created");
        let client = self.client.server().with("idempotency-key", &name);
        let body = json!({"display_name": name});
        let done = self.until_answered(|| client.post("/users", &body)).await?;
        self.note(Deed::CreateUser, name, None, &done);
        Ok(done.body.get("id").and_then(Value::as_str).with_context(|| format!("{:?}", done.outcome))?.to_owned())
    }

    /// An address to send mails to, and the channel that it is.
    async fn make_address(&self) -> Result<(String, String)> {
        let email = format!("{}@drill.example", self.history.marker("sign-up"));
        let input = json!({"input": {"email": email, "password": PASSWORD, "idempotencyKey": email}});
        let client = self.client.client();
        let done = self.until_answered(|| client.graphql(SIGN_UP, input.clone())).await?;
        self.note(Deed::SignUp, email.clone(), None, &done);
        let channel = done.body.pointer("/signUpWithPassword/user/contactChannels/nodes/0/id").and_then(Value::as_str);
        Ok((email, channel.with_context(|| format!("{:?} {}", done.outcome, done.body))?.to_owned()))
    }
}
