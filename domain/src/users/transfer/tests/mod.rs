//! Moving users, on both databases and between them.

mod lines;

use serde_json::{Value, json};

use super::*;
use crate::{
    Actor, Code, ContactChannelId, Failure, LinkedAccountId, ProjectId, UserId,
    testing::{TestBench, TestDatabase, admin, on_each_database, server, stranger},
};

const ADA: &str = "11111111-1111-4111-8111-111111111111";
const GRACE: &str = "22222222-2222-1222-9222-222222222222";

fn everything_on() -> Value {
    json!({
        "auth.password.allowSignIn": true, "auth.otp.allowSignIn": true,
        "auth.oauth.providers": { "github": { "type": "github" }, "google": { "type": "google" } },
    })
}

async fn project(bench: &TestBench) -> ProjectId {
    let project_id = bench.insert_project().await;
    bench.set_config(&project_id, everything_on()).await;
    project_id
}

fn numbered(lines: &[Value]) -> Vec<ImportLine> {
    (1..).zip(lines).map(|(number, line)| ImportLine { number, text: line.to_string() }).collect()
}

async fn import_with(
    bench: &TestBench,
    project_id: &ProjectId,
    options: ImportOptions,
    lines: &[Value],
) -> Vec<Result<Imported, Failure>> {
    let actor = admin(project_id);
    Import::begin(&bench.deps, &actor, options).unwrap().run(&numbered(lines)).await.unwrap()
}

async fn import(bench: &TestBench, project_id: &ProjectId, lines: &[Value]) -> Vec<Result<Imported, Failure>> {
    import_with(bench, project_id, ImportOptions::default(), lines).await
}

fn new(id: &str) -> Result<Imported, Failure> {
    Ok(Imported::New(id.parse().unwrap()))
}

fn present(id: &str) -> Result<Imported, Failure> {
    Ok(Imported::Present(id.parse().unwrap()))
}

fn codes(outcomes: Vec<Result<Imported, Failure>>) -> Vec<Option<Code>> {
    outcomes.into_iter().map(|outcome| outcome.err().map(|failure| failure.code)).collect()
}

/// All users, as an export writes them.
async fn export(bench: &TestBench, project_id: &ProjectId, with_secrets: bool) -> Vec<Value> {
    let (mut lines, mut after) = (Vec::new(), None);
    loop {
        let page = export_page(&bench.deps, &admin(project_id), after, with_secrets).await.unwrap();
        lines.extend(page.users.iter().map(|line| serde_json::to_value(line).unwrap()));
        match page.next {
            Some(next) => after = Some(next),
            None => return lines,
        }
    }
}

/// A user of whom everything is known.
fn full(id: &str) -> Value {
    json!({
        "id": id, "display_name": "Ada", "profile_image_url": "https://example.com/ada.png",
        "contact_channels": [
            {"id": ContactChannelId::random(), "value": format!("{id}@example.com"), "is_primary": true,
             "is_verified": true, "used_for_auth": true, "created_at_millis": 5},
            {"id": ContactChannelId::random(), "value": "shared@example.com", "is_primary": false,
             "is_verified": false, "used_for_auth": false, "created_at_millis": 7},
        ],
        "oauth_providers": [
            {"id": "google", "account_id": id, "email": "a@gmail.com", "link_id": LinkedAccountId::random(),
             "allow_sign_in": true, "allow_connected_accounts": false, "created_at_millis": 6},
            {"id": "github", "account_id": "shared", "email": null, "link_id": LinkedAccountId::random(),
             "allow_sign_in": false, "allow_connected_accounts": true, "created_at_millis": 8},
        ],
        "client_metadata": {"a": [1, null, 0.1, 1e300, 123456789.12345679, 0.30000000000000004]},
        "client_read_only_metadata": "text", "server_metadata": {"ünï": "cödé 🎈 \" \\ \u{1}"},
        "otp_auth_enabled": true, "is_anonymous": false, "restricted_by_admin": true,
        "restricted_by_admin_reason": "reason", "restricted_by_admin_private_details": "details",
        "country_code": "DE", "risk_scores": {"sign_up": {"bot": 1, "free_trial_abuse": 100}},
        "password_hash": {"algorithm": "bcrypt", "hash": bcrypt::hash("correct horse", 4).unwrap()},
        "totp_secret_base64": "AAECAwQFBgcICQ==", "signed_up_at_millis": 10, "last_active_at_millis": 20,
    })
}

#[tokio::test]
async fn what_is_imported_is_exported_as_it_was() {
    on_each_database(|bench| async move {
        let project_id = project(&bench).await;
        let line = full(ADA);
        assert_eq!(import(&bench, &project_id, std::slice::from_ref(&line)).await, [new(ADA)]);
        assert_eq!(export(&bench, &project_id, true).await, std::slice::from_ref(&line));
        let mut without = line;
        for secret in ["password_hash", "totp_secret_base64"] {
            without.as_object_mut().unwrap().remove(secret);
        }
        assert_eq!(export(&bench, &project_id, false).await, [without]);
    })
    .await;
}

#[tokio::test]
async fn users_move_between_databases_unchanged() {
    for database in TestDatabase::each().await {
        let source = TestBench::on(&database).await;
        let project_id = project(&source).await;
        // More than a page, many at the same instant.
        let lines: Vec<Value> = (0..230_u32)
            .map(|number| match number % 3 {
                0 => full(&UserId::random().to_string()),
                1 => json!({"display_name": format!("{number}"), "signed_up_at_millis": number}),
                _ => json!({"is_anonymous": true, "password": if number < 6 { json!("secret") } else { Value::Null }}),
            })
            .collect();
        for lines in lines.chunks(LINES_AT_A_TIME) {
            assert!(import(&source, &project_id, lines).await.iter().all(Result::is_ok));
        }
        let exported = export(&source, &project_id, true).await;
        assert_eq!(exported.len(), lines.len());
        for target_database in TestDatabase::each().await {
            let target = TestBench::on(&target_database).await;
            let moved_to = project(&target).await;
            for lines in exported.chunks(LINES_AT_A_TIME) {
                assert!(import(&target, &moved_to, lines).await.iter().all(Result::is_ok));
            }
            assert_eq!(export(&target, &moved_to, true).await, exported);
        }
    }
}

#[tokio::test]
async fn the_same_lines_again_change_nothing() {
    on_each_database(|bench| async move {
        let project_id = project(&bench).await;
        let lines = [
            json!({"id": ADA, "display_name": "Ada"}),
            json!({"primary_email": "grace@example.com", "primary_email_auth_enabled": true, "password": "secret"}),
            json!({}),
            json!({}),
            json!({"id": ADA, "display_name": "Somebody else"}),
        ];
        let first = import(&bench, &project_id, &lines).await;
        let ids: Vec<UserId> = first
            .iter()
            .map(|outcome| match outcome.as_ref().unwrap() {
                Imported::New(id) | Imported::Present(id) => *id,
            })
            .collect();
        assert_eq!(first[4], present(ADA));
        assert!(first[..4].iter().all(|outcome| matches!(outcome, Ok(Imported::New(_)))));
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 4, "each line is a user of its own");
        assert!(ids[1..4].iter().all(|id| id.0.get_version_num() == 4), "ids are as all ids");
        let exported = export(&bench, &project_id, true).await;
        let again = import(&bench, &project_id, &lines).await;
        assert_eq!(again, ids.into_iter().map(|id| Ok(Imported::Present(id))).collect::<Vec<_>>());
        assert_eq!(export(&bench, &project_id, true).await, exported);
        let ada = exported.iter().find(|line| line["id"] == ADA).unwrap();
        assert_eq!(ada["display_name"], "Ada");
        // The same file for another project is about other users.
        let other = project(&bench).await;
        assert!(matches!(import(&bench, &other, &lines[1..3]).await[..], [Ok(Imported::New(_)), Ok(Imported::New(_))]));
    })
    .await;
}

#[tokio::test]
async fn a_transaction_has_at_most_a_hundred_rows() {
    for database in TestDatabase::each().await {
        let mut bench = TestBench::on(&database).await;
        let project_id = project(&bench).await;
        let lines: Vec<Value> =
            (0..100).map(|number| json!({"primary_email": format!("{number}@example.com")})).collect();
        let watch = bench.deps.db.watch();
        assert!(import(&bench, &project_id, &lines).await.iter().all(Result::is_ok));
        // A user and its address are two rows; slow ones get fewer.
        assert!(watch.commits() >= 2, "{}", watch.commits());
    }
}

#[tokio::test]
async fn only_administrators_move_users() {
    on_each_database(|bench| async move {
        let project_id = project(&bench).await;
        for actor in [server(&project_id), stranger(&project_id)] {
            let refused = |error: crate::Error| error.is(Code::Forbidden);
            assert!(Import::begin(&bench.deps, &actor, ImportOptions::default()).is_err_and(refused));
            assert!(export_page(&bench.deps, &actor, None, false).await.is_err_and(refused));
        }
        let nowhere: Actor = admin(&ProjectId::random());
        let mut import = Import::begin(&bench.deps, &nowhere, ImportOptions::default()).unwrap();
        assert!(import.run(&numbered(&[json!({})])).await.unwrap_err().is(Code::CurrentProjectNotFound));
    })
    .await;
}
