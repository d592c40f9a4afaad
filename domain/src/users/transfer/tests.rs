//! Moving users, on both databases and between them.

use postern_entity::user;
use sea_orm::EntityTrait;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::{
    Actor, Code, ContactChannelId, Failure, LinkedAccountId, ProjectId, UserId,
    email_address::EmailAddress,
    sessions,
    testing::{START, TestBench, TestDatabase, admin, on_each_database, server, stranger},
    users,
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
            target_database.discard().await;
        }
        database.discard().await;
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
async fn a_line_that_does_not_fit_keeps_no_other_back() {
    on_each_database(|bench| async move {
        let (project_id, other) = (project(&bench).await, project(&bench).await);
        import(&bench, &other, &[json!({"id": ADA})]).await;
        users::create(&bench.deps, &server(&project_id), users::tests::with_email("taken@example.com")).await.unwrap();
        let channel = ContactChannelId::random();
        let link = LinkedAccountId::random();
        let linked = |more: Value| {
            let mut account = json!({"id": "github", "account_id": "1"});
            account.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"oauth_providers": [account]})
        };
        let auth = |address: &str| json!({"primary_email": address, "primary_email_auth_enabled": true});
        let mut second = auth("g@example.com");
        second["contact_channels"] = json!([{"value": "TAKEN@example.com", "used_for_auth": true}]);
        let outcomes = import(
            &bench,
            &project_id,
            &[
                json!({"id": GRACE}),
                json!({"id": ADA}),
                auth("a@example.com"),
                auth("A@example.com"),
                second,
                json!({"contact_channels": [{"id": channel, "value": "b@example.com"}]}),
                json!({"contact_channels": [{"id": channel, "value": "c@example.com"}]}),
                json!({"country_code": "?"}),
                json!("text"),
                auth("d@example.com"),
                linked(json!({})),
                linked(json!({})),
                linked(json!({"account_id": "2", "link_id": link})),
                linked(json!({"account_id": "3", "link_id": link})),
            ],
        )
        .await;
        assert_eq!(outcomes[0], new(GRACE));
        let details = outcomes[4].as_ref().unwrap_err().details.clone().unwrap();
        assert_eq!(details["email"], "taken@example.com");
        let taken = Some(Code::UserEmailAlreadyExists);
        let (conflict, schema) = (Some(Code::Conflict), Some(Code::SchemaError));
        let linked = Some(Code::OauthProviderAccountIdAlreadyUsedForSignIn);
        let expected =
            [None, conflict, None, taken, taken, None, conflict, schema, schema, None, None, linked, None, conflict];
        assert_eq!(codes(outcomes), expected);
        assert_eq!(export(&bench, &project_id, false).await.len(), 7);
        assert_eq!(export(&bench, &other, false).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn lines_follow_the_rules_of_making_a_user_and_those_of_what_they_bring() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let channel = |more: Value| {
            let mut channel = json!({"value": "a@example.com"});
            channel.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"contact_channels": [{"value": "A@example.com"}, channel]})
        };
        let bcrypt = bcrypt::hash("imported", 4).unwrap();
        let (schema, bad) = (Code::SchemaError, Code::BadRequest);
        let cases = [
            (json!({"id": "018f4e9e-7b1a-7cc0-8000-000000000000"}), schema, "id must be a UUID"),
            (json!({"id": "00000000-0000-0000-0000-000000000000"}), schema, "id must be a UUID"),
            (json!({"signed_up_at_millis": -1}), schema, "signed_up_at_millis"),
            (json!({"last_active_at_millis": 253_402_300_800_000_i64}), schema, "last_active_at_millis"),
            (json!({"server_metadata": ["a\0"]}), schema, "server_metadata"),
            (json!({"display_name": "x".repeat(257), "id": ADA, "signed_up_at_millis": -1}), schema, "display_name"),
            (channel(json!({})), schema, "contact_channels[1].value occurs twice"),
            (channel(json!({"value": "?"})), schema, "contact_channels[1].value must be"),
            (channel(json!({"created_at_millis": -1})), schema, "contact_channels[1].created_at_millis"),
            (
                json!({"contact_channels": [{"value": "a@b", "is_primary": true}, {"value": "c@d", "is_primary": true}]}),
                schema,
                "one primary channel",
            ),
            (
                json!({"primary_email": "a@b", "contact_channels": [{"value": "c@d", "is_primary": true}]}),
                schema,
                "primary_email cannot",
            ),
            (json!({"contact_channels": vec![json!({"value": "a@b"}); MAX_CHANNELS + 1]}), schema, "at most"),
            (json!({"primary_email_verified": true}), bad, "primary_email_verified"),
            (json!({"profile_image_url": "data:image/png;base64,AA=="}), bad, "profile_image_url"),
            // Switched off by default.
            (json!({"password_hash": bcrypt}), bad, "password"),
            (json!({"otp_auth_enabled": true}), bad, "otp_auth_enabled"),
            (json!({"oauth_providers": [{"id": "github", "account_id": "1"}]}), bad, "oauth_providers"),
        ];
        let lines: Vec<Value> = cases.iter().map(|(line, ..)| line.clone()).collect();
        for (outcome, (line, code, part)) in import(&bench, &project_id, &lines).await.into_iter().zip(&cases) {
            let failure = outcome.expect_err(&line.to_string());
            assert!(failure.code == *code && failure.message.contains(part), "{failure}");
        }
        bench.set_config(&project_id, everything_on()).await;
        let linked = |more: Value| {
            let mut account = json!({"id": "github", "account_id": "1"});
            account.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"oauth_providers": [{"id": "google", "account_id": "1"}, account]})
        };
        for (more, code, part) in [
            (json!({"link_id": Uuid::nil()}), schema, "oauth_providers[1].link_id must be"),
            (json!({"created_at_millis": -1}), schema, "oauth_providers[1].created_at_millis must be"),
            (json!({"account_id": ""}), schema, "oauth_providers[1].account_id must"),
            (json!({"email": "?"}), schema, "oauth_providers[1].email must"),
            (json!({"id": "google"}), bad, "signs in with another google account"),
            (json!({"id": "google", "allow_sign_in": false}), bad, "linked this account already"),
        ] {
            let outcome = import(&bench, &project_id, &[linked(more)]).await.remove(0);
            let failure = outcome.expect_err(part);
            assert!(failure.code == code && failure.message.contains(part), "{failure}");
        }
        let hash = |algorithm: &str| json!({"password_hash": {"algorithm": algorithm, "hash": bcrypt}});
        let firebase = json!({"algorithm": "firebase-scrypt", "hash": "AAAA", "salt": "AAAA"});
        let hashes = [
            json!({"password": "x", "password_hash": bcrypt}),
            json!({"password_hash": "plain"}),
            hash("argon2id"),
            hash("firebase-scrypt"),
            json!({"password_hash": firebase}),
            json!({"password_hash": {"algorithm": "firebase-scrypt", "hash": "?"}}),
        ];
        assert_eq!(codes(import(&bench, &project_id, &hashes).await), [Some(bad); 6]);
        assert_eq!(codes(import(&bench, &project_id, &[hash("bcrypt")]).await), [None]);
        assert_eq!(export(&bench, &project_id, true).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn users_of_firebase_sign_in_once_and_are_ours() {
    on_each_database(|bench| async move {
        let project_id = project(&bench).await;
        // The example that Firebase publishes; the second user has the parameters in the line, in the other alphabet.
        let key = "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==";
        let hash = "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";
        let user = |address: &str, hash: Value| {
            json!({"primary_email": address, "primary_email_auth_enabled": true, "password_hash": hash})
        };
        let lines = [
            user("a@example.com", json!({"algorithm": "firebase-scrypt", "hash": hash, "salt": "42xEC+ixf3L2lw=="})),
            user(
                "b@example.com",
                json!({"algorithm": "firebase-scrypt", "hash": hash.replace('/', "_").replace('+', "-"),
                       "salt": "42xEC-ixf3L2lw", "signer_key": key, "salt_separator": "Bw==", "rounds": 8, "mem_cost": 14}),
            ),
        ];
        let firebase = Some(FirebaseParameters::decode(&key.into(), "Bw==", 8, 14).unwrap());
        let options = ImportOptions { firebase, ..ImportOptions::default() };
        assert_eq!(codes(import_with(&bench, &project_id, options, &lines).await), [None, None]);
        let exported = export(&bench, &project_id, true).await;
        assert!(exported.iter().all(|line| line["password_hash"]["algorithm"] == "firebase-scrypt"));
        let stored = async |address: &str| {
            let address = EmailAddress::loose(address).unwrap();
            let found = users::credentials_by_email(&bench.deps, &project_id, &address).await.unwrap().unwrap();
            found.password_hash.unwrap().expose_secret().to_owned()
        };
        let sign_in = async |address: &str, password: &str| {
            let (stranger, client) = (stranger(&project_id), sessions::ClientInfo::default());
            sessions::sign_in_with_password(&bench.deps, &stranger, address, &password.into(), &client).await
        };
        for address in ["a@example.com", "b@example.com"] {
            assert!(!stored(address).await.contains(&key[..20]));
            assert!(sign_in(address, "user2password").await.unwrap_err().is(Code::EmailPasswordMismatch));
            assert!(stored(address).await.starts_with("$firebase-scrypt$"));
            sign_in(address, "user1password").await.unwrap();
            assert!(stored(address).await.starts_with("$argon2id$v=19$m=19456"), "hashed anew");
            sign_in(address, "user1password").await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_is_told_unless_it_is_wanted() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let defaults = json!({
            "teams.createPersonalTeamOnSignUp": true, "rbac.permissions.guest": {"scope": "project"},
            "rbac.defaultPermissions.signUp": {"guest": true},
        });
        bench.set_config(&project_id, defaults).await;
        import(&bench, &project_id, &[json!({"id": ADA, "display_name": "Ada"})]).await;
        assert_eq!(bench.events(&project_id).await, []);
        let ada = users::find(&bench.deps, &project_id, ADA.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(ada.selected_team.unwrap().display_name, "Ada's Team");
        let filter = crate::permissions::TeamFilter::default();
        let granted = crate::permissions::in_project(&bench.deps, &server(&project_id), &filter).await.unwrap();
        assert_eq!(granted.len(), 1);

        let options = ImportOptions { is_told: true, ..ImportOptions::default() };
        import_with(&bench, &project_id, options, &[json!({"id": GRACE, "signed_up_at_millis": 7})]).await;
        let events = bench.events(&project_id).await;
        let kinds: Vec<&str> = events.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["team.created", "user.created"]);
        assert_eq!((&events[1].1["id"], &events[1].1["signed_up_at_millis"]), (&json!(GRACE), &json!(7)));
    })
    .await;
}

#[tokio::test]
async fn times_default_to_now() {
    on_each_database(|bench| async move {
        let project_id = project(&bench).await;
        let channels = json!([{"value": "a@example.com"}]);
        let lines = [json!({"id": ADA, "contact_channels": channels}), json!({"id": GRACE, "signed_up_at_millis": 7})];
        import(&bench, &project_id, &lines).await;
        let row = async |id: &str| {
            let id: UserId = id.parse().unwrap();
            user::Entity::find_by_id(id).one(bench.deps.db.read()).await.unwrap().unwrap()
        };
        let (ada, grace) = (row(ADA).await, row(GRACE).await);
        assert_eq!((ada.signed_up_at, ada.last_active_at, ada.created_at), (START, START, START));
        assert_eq!((grace.signed_up_at.0, grace.last_active_at.0, grace.created_at), (7, 7, START));
        let exported = export(&bench, &project_id, false).await;
        assert_eq!(exported[1]["contact_channels"][0]["created_at_millis"], json!(START));
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
        database.discard().await;
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
