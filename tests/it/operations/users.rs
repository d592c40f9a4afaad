//! `postern import users` and `postern export users`.

use std::collections::{BTreeSet, HashMap};

use postern::settings::Role;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{process::Command, task::yield_now, time::timeout};

use super::{Place, sqlite_in};
use crate::support::{
    App, database_url,
    process::{PATIENCE, postern, run},
};

fn lines(users: &[Value]) -> String {
    users.iter().map(|user| format!("{user}\n")).collect()
}

fn parsed(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A command that works on the database of a running installation.
fn beside(app: &App, data: &TempDir, arguments: &[&str]) -> Command {
    let settings = app.settings(Role::Operator);
    let mut command = postern(data.path(), settings.database_url.expose_secret(), arguments);
    command.env("POSTERN_SERVER_SECRET", settings.server_secrets[0].expose_secret());
    command
}

#[tokio::test]
async fn users_are_imported_beside_a_running_server_and_sign_in() {
    let app = App::start().await;
    let (rest, data) = (app.rest(), TempDir::new().unwrap());
    let bcrypt = "$2b$04$abcdefghijklmnopqrstuuIGAOtlWk2sJc3Vc3Ukd0AVl0BrwK0hW";
    let signer_key = "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==";
    let hash = "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";
    let id = "11111111-1111-4111-8111-111111111111";
    let ada = json!({
        "id": id, "primary_email": "ada@example.com", "primary_email_auth_enabled": true, "signed_up_at_millis": 7,
        "password_hash": {"algorithm": "firebase-scrypt", "hash": hash, "salt": "42xEC+ixf3L2lw=="},
        "server_metadata": {"firebase_uid": "x"},
    });
    let text = format!(
        "{ada}\n\n{}\n{{\"country_code\": \"?\"}}\nnot json\n{{\"name\": 5}}\n{}\n{}",
        json!({"primary_email": "grace@example.com", "primary_email_auth_enabled": true, "password": "secret"}),
        json!({"primary_email": "ADA@example.com", "primary_email_auth_enabled": true}),
        json!({"password_hash": bcrypt}),
    );
    let file = data.path().join("users.jsonl");
    std::fs::write(&file, text).unwrap();
    let import = || {
        let arguments = ["import", "users", file.to_str().unwrap(), "--project", &app.demo.project_id];
        let mut command = beside(&app, &data, &arguments);
        command.env("FIREBASE_SIGNER_KEY", signer_key);
        run(command)
    };
    let first = import().await;
    assert_eq!((first.code, first.out.as_str()), (Some(1), ""), "{first:?}");
    let summary =
        format!("3 users were imported into project {}, 0 were there already, 4 lines failed.", app.demo.project_id);
    assert!(first.errors.contains(&summary) && !first.errors.contains(signer_key), "{first:?}");
    let read = || parsed(&std::fs::read_to_string(data.path().join("users.jsonl.results.jsonl")).unwrap());
    let results = read();
    let of = |name: &str| results.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("line"), [1, 3, 4, 5, 6, 7, 8].map(Value::from));
    let (done, failed) = ("imported", "failed");
    assert_eq!(of("status"), [done, done, failed, failed, failed, failed, done].map(Value::from));
    let codes = of("code")[2..6].to_vec();
    let schema = "SCHEMA_ERROR";
    assert_eq!(codes, [schema, schema, schema, "USER_EMAIL_ALREADY_EXISTS"].map(Value::from));
    assert_eq!((&results[0]["id"], &results[5]["details"]["email"]), (&json!(id), &json!("ada@example.com")));

    for (email, password) in [("ada@example.com", "user1password"), ("grace@example.com", "secret")] {
        let body = json!({"email": email, "password": password});
        rest.client().post("/auth/password/sign-in", body).await.json(200);
    }
    let user = rest.server().get(&format!("/users/{id}")).await.json(200);
    assert_eq!((&user["signed_up_at_millis"], &user["server_metadata"]["firebase_uid"]), (&json!(7), &json!("x")));

    let second = import().await;
    assert!(second.errors.contains("0 users were imported") && second.errors.contains("3 were there"), "{second:?}");
    let again = read();
    assert_eq!(again.iter().filter(|row| row["status"] == "present").count(), 3);
    assert_eq!(
        again.iter().map(|row| &row["id"]).collect::<Vec<_>>(),
        results.iter().map(|row| &row["id"]).collect::<Vec<_>>()
    );
    app.stop().await;
}

#[tokio::test]
async fn an_export_is_imported_elsewhere_and_exported_the_same() {
    let (source, target) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    // From SQLite in any case; to PostgreSQL in the clustered shape.
    let from = sqlite_in(source.path());
    let to = database_url(target.path()).await;
    let (source, target) = (Place::migrated(source, from).await, Place::migrated(target, to).await);
    let users: Vec<Value> = (0..250)
        .map(|number| {
            json!({
                "display_name": format!("User {number}"), "signed_up_at_millis": 1_000 + number / 7,
                "contact_channels": [
                    {"value": format!("{number}@example.com"), "is_primary": true, "used_for_auth": true},
                    {"value": format!("{number}@example.org"), "is_verified": true},
                ],
                "client_metadata": {"n": number, "x": 0.1 * f64::from(number)}, "client_read_only_metadata": [number],
                "server_metadata": {"ü": "\u{1f388}"}, "totp_secret_base64": "AAECAwQFBgcICQ==",
                "password_hash": "$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHQ$Z2g4Ht0fHWgaOJtPzZCoUGQ7RhT0uKc0bYbHuLZQOoU",
            })
        })
        .collect();
    let file = source.write("users.jsonl", &lines(&users));
    let imported = source.run(&["import", "users", file.to_str().unwrap()]).await;
    let summary = format!(
        "250 users were imported into project internal, 0 were there already, 0 lines failed. What became of each line is in \
         {}.results.jsonl.\n",
        file.display()
    );
    assert_eq!((imported.code, imported.out), (Some(0), summary));

    let export = ["export", "users", "--with-password-hashes", "--output", "export.jsonl"];
    let exported = source.run(&export).await;
    assert_eq!(
        (exported.code, exported.out.as_str()),
        (Some(0), "Wrote 250 users of project internal to export.jsonl.\n")
    );
    assert!(!source.path("export.jsonl.part").exists());
    let text = source.read("export.jsonl");
    assert_eq!(text.lines().count(), 250);
    assert!(text.contains(r#""password_hash":{"algorithm":"argon2id","hash":"$argon2id$"#), "{text}");
    let plain = source.run(&["export", "users", "--project", "internal"]).await;
    assert!(plain.code == Some(0) && plain.out.lines().count() == 250, "{}", plain.errors);
    for secret in ["password_hash", "argon2", "totp"] {
        assert!(!plain.out.contains(secret));
    }

    let moved = target.write("moved.jsonl", &text);
    let results = target.path("results");
    let arguments = ["import", "users", moved.to_str().unwrap(), "--results", results.to_str().unwrap()];
    let imported = target.run(&arguments).await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
    assert_eq!(target.run(&export).await.code, Some(0));
    assert_eq!(target.read("export.jsonl"), text);
    assert_eq!(parsed(&target.read("results")).len(), 250);
    let again = target.run(&arguments).await;
    assert!(again.code == Some(0) && again.out.contains(" 250 were there already, 0 lines failed"), "{again:?}");
}

#[tokio::test]
async fn an_import_that_was_killed_goes_on_where_it_stopped() {
    let data = TempDir::new().unwrap();
    let database = database_url(data.path()).await;
    let place = Place::migrated(data, database).await;
    let count = 2_000;
    let users: Vec<Value> = (0..count)
        .map(|number| {
            if number % 2 == 0 {
                json!({"display_name": "Same"})
            } else {
                json!({"primary_email": format!("{number}@b.c")})
            }
        })
        .collect();
    let file = place.write("users.jsonl", &lines(&users));
    let arguments = ["import", "users", file.to_str().unwrap()];
    let mut child = place.command(&arguments).spawn().unwrap();
    let results = place.path("users.jsonl.results.jsonl");
    let begun = async {
        while std::fs::metadata(&results).map_or(0, |file| file.len()) == 0 {
            assert!(child.try_wait().unwrap().is_none(), "it ended early");
            yield_now().await;
        }
    };
    timeout(PATIENCE, begun).await.unwrap();
    child.kill().await.unwrap();
    let done = place.run(&arguments).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let mut statuses: HashMap<String, usize> = HashMap::new();
    let mut ids = BTreeSet::new();
    for row in parsed(&place.read("users.jsonl.results.jsonl")) {
        *statuses.entry(row["status"].as_str().unwrap().to_owned()).or_default() += 1;
        ids.insert(row["id"].as_str().unwrap().to_owned());
    }
    let present = statuses["present"];
    assert!(present >= 100, "what was told as imported is there: {present}");
    assert_eq!(present + statuses.get("imported").copied().unwrap_or_default(), count);
    let exported = place.run(&["export", "users"]).await;
    let there: BTreeSet<String> =
        parsed(&exported.out).iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((there.len(), exported.out.lines().count()), (count, count), "nobody is there twice");
    assert_eq!(there, ids);
}

#[tokio::test]
async fn what_cannot_be_begun_is_refused() {
    let data = TempDir::new().unwrap();
    let database = database_url(data.path()).await;
    let place = Place::migrated(data, database).await;
    let file = place.write("users.jsonl", "{}\n");
    let file = file.to_str().unwrap();
    for (arguments, part) in [
        (vec!["import", "users", "missing.jsonl"], "missing.jsonl: "),
        (vec!["import", "users", file, "--project", "nowhere"], "there is no project nowhere"),
        (vec!["import", "users", file, "--firebase-signer-key", "secret?"], "signer_key must be base64"),
        (vec!["export", "users", "--project", "nowhere"], "there is no project nowhere"),
    ] {
        let refused = place.run(&arguments).await;
        assert!(refused.code == Some(2) && refused.errors.contains(part), "{refused:?}");
        assert!(!refused.errors.contains("secret?"), "{refused:?}");
    }
    assert!(!place.path("users.jsonl.results.jsonl").exists());
}
