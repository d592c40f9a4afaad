//! An outer world that takes notes and answers what it was told to.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use postern_entity::ProjectId;
use secrecy::{ExposeSecret, SecretString};

use crate::ports::{
    http::{HttpClient, HttpError, OutgoingRequest, OutgoingResponse},
    mail::{Accepted, MailError, MailServer, Mailer, OutgoingMail},
    oauth::{Account, Departure, ProviderClient, ProviderError, Providers, Return, Tokens, Visit},
    rates::{Quota, Rates},
    sandbox::{Sandbox, SandboxError},
    svix::{SvixError, SvixMessage, SvixPortal, SvixServer},
};

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Mail servers that accept every mail unless told otherwise.
#[derive(Debug, Default)]
pub struct FakeMailer {
    sent: Mutex<Vec<(MailServer, OutgoingMail)>>,
    failures: Mutex<VecDeque<MailError>>,
    accepts: Mutex<VecDeque<Accepted>>,
}

impl FakeMailer {
    /// What was accepted so far, oldest first.
    #[must_use]
    pub fn sent(&self) -> Vec<OutgoingMail> {
        held(&self.sent).iter().map(|(_, mail)| mail.clone()).collect()
    }

    /// The servers they were handed to.
    #[must_use]
    pub fn servers(&self) -> Vec<MailServer> {
        held(&self.sent).iter().map(|(server, _)| server.clone()).collect()
    }

    /// Says this of one more of the coming mails that it takes.
    pub fn accept_next(&self, accepted: Accepted) {
        held(&self.accepts).push_back(accepted);
    }

    /// Refuses one more of the coming mails.
    pub fn fail_next(&self, error: MailError) {
        held(&self.failures).push_back(error);
    }
}

#[async_trait]
impl Mailer for FakeMailer {
    async fn send(&self, server: &MailServer, mail: &OutgoingMail) -> Result<Accepted, MailError> {
        if let Some(error) = held(&self.failures).pop_front() {
            return Err(error);
        }
        held(&self.sent).push((server.clone(), mail.clone()));
        Ok(held(&self.accepts).pop_front().unwrap_or_default())
    }

    async fn check(&self, _server: &MailServer) -> Result<(), MailError> {
        held(&self.failures).pop_front().map_or(Ok(()), Err)
    }
}

/// Hosts that answer every request with 200 and nothing, unless told otherwise.
#[derive(Debug, Default)]
pub struct FakeHttp {
    requests: Mutex<Vec<OutgoingRequest>>,
    answers: Mutex<VecDeque<Result<OutgoingResponse, HttpError>>>,
}

impl FakeHttp {
    /// What was sent so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<OutgoingRequest> {
        held(&self.requests).clone()
    }

    /// Answers one more of the coming requests with this.
    pub fn answer_next(&self, answer: Result<OutgoingResponse, HttpError>) {
        held(&self.answers).push_back(answer);
    }

    /// Answers one more of the coming requests with a bare status.
    pub fn answer_next_with_status(&self, status: u16) {
        self.answer_next(Ok(bare(status)));
    }
}

fn bare(status: u16) -> OutgoingResponse {
    OutgoingResponse { status, headers: Vec::new(), body: Bytes::new() }
}

#[async_trait]
impl HttpClient for FakeHttp {
    async fn send(&self, request: OutgoingRequest) -> Result<OutgoingResponse, HttpError> {
        held(&self.requests).push(request);
        held(&self.answers).pop_front().unwrap_or_else(|| Ok(bare(200)))
    }
}

/// Counters that let everything pass until they are told to refuse what is counted under a name.
#[derive(Debug, Default)]
pub struct FakeRates {
    counted: Mutex<Vec<String>>,
    refused: Mutex<Vec<(String, Duration)>>,
}

impl FakeRates {
    /// The names that something was counted under, oldest first.
    #[must_use]
    pub fn counted(&self) -> Vec<String> {
        held(&self.counted).clone()
    }

    /// Refuses what is counted under names that begin with `prefix` from now on, for `wait`.
    pub fn refuse(&self, prefix: &str, wait: Duration) {
        held(&self.refused).push((prefix.to_owned(), wait));
    }
}

#[async_trait]
impl Rates for FakeRates {
    async fn take(&self, name: &str, _quota: Quota) -> Result<(), Duration> {
        let refused = held(&self.refused).iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, wait)| *wait);
        match refused {
            Some(wait) => Err(wait),
            None => {
                held(&self.counted).push(name.to_owned());
                Ok(())
            }
        }
    }
}

/// No sandbox at all: the work is done here.
#[derive(Debug)]
pub struct SameProcess;

#[async_trait]
impl Sandbox for SameProcess {
    async fn run(&self, _tenant: &str, request: Vec<u8>, _timeout: Duration) -> Result<Vec<u8>, SandboxError> {
        crate::emails::run_sandboxed(&request).map_err(|error| SandboxError::Unavailable(error.to_string()))
    }
}

/// A Svix server that takes every message once, by its id, unless told otherwise.
#[derive(Debug, Default)]
pub struct FakeSvix {
    calls: Mutex<Vec<SvixMessage>>,
    taken: Mutex<Vec<SvixMessage>>,
    failures: Mutex<VecDeque<SvixError>>,
}

impl FakeSvix {
    /// What was asked of it so far, repetitions and failures included, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<SvixMessage> {
        held(&self.calls).clone()
    }

    /// The messages it has, oldest first.
    #[must_use]
    pub fn taken(&self) -> Vec<SvixMessage> {
        held(&self.taken).clone()
    }

    /// Fails one more of the coming calls, which then changes nothing.
    pub fn fail_next(&self, error: SvixError) {
        held(&self.failures).push_back(error);
    }

    fn scripted(&self) -> Result<(), SvixError> {
        held(&self.failures).pop_front().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl SvixServer for FakeSvix {
    async fn send(&self, message: &SvixMessage) -> Result<(), SvixError> {
        held(&self.calls).push(message.clone());
        self.scripted()?;
        let mut taken = held(&self.taken);
        let is_same =
            |known: &SvixMessage| (&known.project_id, &known.event_id) == (&message.project_id, &message.event_id);
        if !taken.iter().any(is_same) {
            taken.push(message.clone());
        }
        Ok(())
    }

    async fn portal(&self, project_id: &ProjectId) -> Result<SvixPortal, SvixError> {
        self.scripted()?;
        Ok(SvixPortal { token: format!("portal of {project_id}").into(), url: None })
    }

    async fn check(&self) -> Result<(), SvixError> {
        self.scripted()
    }
}

/// Sites where everybody comes back as they were told to, oldest first, and whose access tokens are good unless told otherwise.
#[derive(Debug, Default)]
pub struct FakeProviders {
    visits: Mutex<VecDeque<Result<Visit, ProviderError>>>,
    renewals: Mutex<VecDeque<Result<Tokens, ProviderError>>>,
    revoked: Mutex<Vec<String>>,
    departures: Mutex<Vec<(ProviderClient, Departure)>>,
}

impl FakeProviders {
    /// Has one more come back with an account, and these tokens.
    pub fn send_back(&self, account: Account, tokens: Tokens) {
        held(&self.visits).push_back(Ok(Visit { account, tokens }));
    }

    /// Fails one more of those who come back.
    pub fn fail_next(&self, error: ProviderError) {
        held(&self.visits).push_back(Err(error));
    }

    /// What comes of renewing tokens, once more.
    pub fn renew_next(&self, renewal: Result<Tokens, ProviderError>) {
        held(&self.renewals).push_back(renewal);
    }

    /// Takes an access token no more.
    pub fn revoke(&self, access_token: &str) {
        held(&self.revoked).push(access_token.to_owned());
    }

    /// Who left, oldest first.
    #[must_use]
    pub fn departures(&self) -> Vec<(ProviderClient, Departure)> {
        held(&self.departures).clone()
    }

    fn next(&self) -> Result<Visit, ProviderError> {
        let nobody = || Err(ProviderError::Unavailable("nobody is to come back".to_owned()));
        held(&self.visits).pop_front().unwrap_or_else(nobody)
    }
}

#[async_trait]
impl Providers for FakeProviders {
    async fn departure(&self, client: &ProviderClient, departure: &Departure) -> Result<url::Url, ProviderError> {
        held(&self.departures).push((client.clone(), departure.clone()));
        let state = departure.state.expose_secret();
        url::Url::parse_with_params("https://provider.test/authorize", [("state", state)])
            .map_err(|error| ProviderError::Unavailable(error.to_string()))
    }

    async fn arrival(&self, _client: &ProviderClient, _returned: &Return) -> Result<Visit, ProviderError> {
        self.next()
    }

    async fn refresh(&self, _client: &ProviderClient, _refresh_token: &SecretString) -> Result<Tokens, ProviderError> {
        let revoked = || Err(ProviderError::Ended("The provider says that what was granted is over.".to_owned()));
        held(&self.renewals).pop_front().unwrap_or_else(revoked)
    }

    async fn accepts(&self, _client: &ProviderClient, access_token: &SecretString) -> Result<bool, ProviderError> {
        Ok(!held(&self.revoked).iter().any(|revoked| revoked == access_token.expose_secret()))
    }

    async fn apple_native(&self, _bundle_ids: &[String], _id_token: &SecretString) -> Result<Account, ProviderError> {
        self.next().map(|visit| visit.account)
    }
}
