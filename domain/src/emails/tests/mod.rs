//! Tests of the feature against both databases. What they stand on comes first.

mod broadcast;
mod capacity;
mod clocks;
mod editing;
mod library;
mod mailbox;
mod outbox;
mod reports;
mod retrying;
mod sending;
mod turns;

use std::time::Duration;

use postern_entity::{ContactChannelId, EmailId, ProjectId, UserId, contact_channel, email, job, user};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;

use super::{NewEmail, Recipient, SendEmail, Template, enqueue, send};
use crate::{
    actor::{Actor, Level},
    ports::mail::{Encryption, MailServer},
    queue::{self, JobState, Lane},
    settings::Settings,
    testing::{START, TestBench, TestDatabase, settings},
};

pub(super) const CODE: &str = "k3ys3cr3tc0de000000000000000000000000000000000";
const LEASE: Duration = Duration::from_secs(60);

/// The shared server of [`outside_local_mode`].
pub(super) fn shared_server() -> MailServer {
    MailServer {
        host: "smtp.example".to_owned(),
        port: 587,
        encryption: Encryption::StartTls,
        credentials: None,
        chosen_by_tenant: false,
    }
}

/// Settings of an installation with a mail server.
pub(super) fn with_shared_server() -> Settings {
    Settings { local_mode: false, shared_mail_server: Some(shared_server()), ..settings() }
}

/// Runs `test` on each database, with these settings.
pub(super) async fn on_each_database<F, Fut>(settings: Settings, test: F)
where
    F: Fn(TestBench) -> Fut,
    Fut: Future<Output = ()>,
{
    for database in TestDatabase::each().await {
        test(TestBench::with_settings(&database, settings.clone()).await).await;
    }
}

pub(super) fn verification(project_id: &ProjectId, recipient: Recipient) -> NewEmail {
    let link = format!("https://app.example/verify?code={CODE}").into();
    NewEmail::new(project_id.clone(), recipient, Template::EmailVerification { link })
}

pub(super) fn to(address: &str) -> Recipient {
    Recipient::CustomEmails { emails: vec![address.to_owned()] }
}

pub(super) async fn put(bench: &TestBench, new: NewEmail) -> EmailId {
    let deps = &bench.deps;
    deps.db.write(async |tx| enqueue(&tx, deps, new.clone()).await).await.unwrap()
}

/// Runs every due job of this feature until none is due.
pub(super) async fn run(bench: &TestBench) {
    loop {
        let claimed = queue::claim(&bench.deps, Lane::Mail, "test", 100, LEASE, queue::Suspects::Any).await.unwrap();
        if claimed.is_empty() {
            return;
        }
        for job in claimed {
            let payload: SendEmail = serde_json::from_value(job.payload).unwrap();
            let ending = send(&bench.deps, &job.lease, &payload).await.unwrap();
            queue::end_all(&bench.deps, &[(job.lease, ending)]).await.unwrap();
        }
    }
}

/// The row as it stands.
pub(super) async fn row(bench: &TestBench, id: EmailId) -> email::Model {
    email::Entity::find_by_id(id).one(bench.deps.db.read()).await.unwrap().unwrap()
}

/// Changes the row behind the feature's back.
pub(super) async fn change(bench: &TestBench, id: EmailId, changes: email::ActiveModel) {
    let update = || email::Entity::update_many().set(changes.clone()).filter(email::Column::Id.eq(id));
    bench.deps.db.write(async |tx| Ok(update().exec(&*tx).await?)).await.unwrap();
}

/// In how many milliseconds the job of a mail is due; `None` when it is not waiting.
pub(super) async fn due_in(bench: &TestBench) -> Option<i64> {
    let waiting =
        job::Entity::find().filter(job::Column::State.eq(JobState::Pending)).one(bench.deps.db.read()).await.unwrap();
    waiting.map(|job| job.due_at.millis() - bench.deps.now().millis())
}

pub(super) fn server_actor(project_id: &ProjectId) -> Actor {
    Actor::new(project_id.clone(), Level::Server, None)
}

/// A user with a name and, perhaps, a primary address.
pub(super) async fn insert_user(bench: &TestBench, project_id: &ProjectId, address: Option<&str>) -> UserId {
    let id = UserId::random();
    let row = user::ActiveModel {
        id: Set(id),
        project_id: Set(project_id.clone()),
        display_name: Set(Some("Ada <b>".to_owned())),
        signed_up_at: Set(START),
        last_active_at: Set(START),
        created_at: Set(START),
        updated_at: Set(START),
        ..Default::default()
    };
    let channel = address.map(|address| contact_channel::ActiveModel {
        id: Set(ContactChannelId::random()),
        project_id: Set(project_id.clone()),
        user_id: Set(id),
        kind: Set("email".to_owned()),
        value: Set(address.to_owned()),
        is_primary: Set(true),
        is_verified: Set(false),
        used_for_auth: Set(false),
        created_at: Set(START),
    });
    bench
        .deps
        .db
        .write(async |tx| {
            user::Entity::insert(row.clone()).exec_without_returning(&*tx).await?;
            if let Some(channel) = channel.clone() {
                contact_channel::Entity::insert(channel).exec_without_returning(&*tx).await?;
            }
            Ok(())
        })
        .await
        .unwrap();
    id
}

/// Gives the project a mail server of its own.
pub(super) async fn set_own_server(bench: &TestBench, project_id: &ProjectId, port: u16) {
    let settings = json!({
        "emails.server": {
            "isShared": false, "host": "mail.tenant.example", "port": port, "username": "shop", "password": "hunter2",
            "senderName": "The Shop", "senderEmail": "shop@tenant.example",
        },
    });
    bench.set_config(project_id, settings).await;
}
