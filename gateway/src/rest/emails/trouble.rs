//! Finding out what is wrong: a mail to try a server, the newest mails at a glance, and the digest of those that failed.

use postern_domain::{
    ProjectId,
    emails::{self, FailedEmail, FailedEmails, outbox},
    projects::EmailConnection,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::rest::{
    call::{ADMIN, Call},
    input::{Empty, Ignored, LooseEmail, Positive, input},
    reply::{Answer, List, Reply},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Emails", summary, ADMIN);
    Routes::new()
        .get("/internal/emails", recent, about("The newest mails at a glance"))
        .post("/internal/send-test-email", send_test, about("Tries a mail server out").body::<TestBody>())
        .post(
            "/internal/failed-emails-digest",
            digest,
            about("Tells owners of mails that failed; for project internal").query::<DigestQuery>(),
        )
}

input! {
    struct TestBody { recipient_email: LooseEmail, email_config: Server }
}

input! {
    struct Server {
        host: String,
        port: Positive<65_535>,
        username: String,
        password: String,
        sender_name: String,
        sender_email: LooseEmail,
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TestEmailOutcome")]
struct Tried {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
}

async fn send_test(mut call: Call) -> Answer<Tried> {
    let actor = call.actor(ADMIN)?;
    let TestBody { recipient_email, email_config } = call.body()?;
    let connection = EmailConnection {
        host: email_config.host,
        port: u16::try_from(email_config.port.0).unwrap_or(u16::MAX),
        username: email_config.username,
        password: email_config.password.into(),
        sender_name: email_config.sender_name,
        sender_email: email_config.sender_email.0,
    };
    let error_message = emails::send_test(&call.deps, &actor, &recipient_email.0, connection).await?;
    Ok(Reply::ok(Tried { success: error_message.is_none(), error_message }))
}

async fn recent(mut call: Call) -> Answer<List<outbox::RecentEmail>> {
    let actor = call.actor(ADMIN)?;
    call.read::<Empty, Ignored, Ignored>()?;
    Ok(Reply::ok(List::whole(outbox::recent(&call.deps, &actor).await?)))
}

input! {
    struct DigestQuery { dry_run: Option<bool> }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FailedEmailsDigest")]
struct Digest {
    success: bool,
    failed_emails_by_tenancy: Vec<OfProject>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FailedEmailsOfProject")]
struct OfProject {
    emails: Vec<Failed>,
    tenant_owner_emails: Vec<String>,
    project_id: ProjectId,
    tenancy_id: ProjectId,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FailedEmail")]
struct Failed {
    subject: String,
    to: Vec<String>,
}

impl From<FailedEmails> for OfProject {
    fn from(failed: FailedEmails) -> Self {
        let email = |FailedEmail { subject, to, .. }| Failed { subject, to };
        Self {
            emails: failed.emails.into_iter().map(email).collect(),
            tenant_owner_emails: failed.owner_emails,
            project_id: failed.project_id.clone(),
            tenancy_id: failed.project_id,
        }
    }
}

async fn digest(mut call: Call) -> Answer<Digest> {
    let actor = call.actor(ADMIN)?;
    let (_, query, _) = call.read::<Empty, DigestQuery, Ignored>()?;
    let failed = if query.dry_run.unwrap_or_default() {
        emails::failed_emails(&call.deps, &actor).await?
    } else {
        emails::send_digest(&call.deps, &actor).await?
    };
    Ok(Reply::ok(Digest { success: true, failed_emails_by_tenancy: failed.into_iter().map(Into::into).collect() }))
}
