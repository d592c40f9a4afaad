//! `postern config apply` and `POSTERN_CONFIG_FILE`.

use tempfile::TempDir;

use super::Place;
use crate::support::{database_url, process::run};

const FILE: &str = r#"
[branch.auth.otp]
allowSignIn = true

[environment.emails.server]
isShared = false
password = "hidden"
"#;

const WRONG: &str =
    "[branch.auth]\nallowSignUp = \"no\"\nsignInAllowed = true\n[environment.emails]\nserver.password = 5\n";

async fn place() -> Place {
    let data = TempDir::new().unwrap();
    let database = database_url(data.path()).await;
    Place { data, database }
}

#[tokio::test]
async fn a_file_is_applied_once() {
    let place = place().await;
    let file = place.write("project.toml", FILE);
    let apply = ["config", "apply", file.to_str().unwrap()];
    let early = place.run(&apply).await;
    assert!(early.code == Some(2) && early.errors.contains("run `postern migrate` first"), "{early:?}");
    let place = Place::migrated(place.data, place.database).await;
    let first = place.run(&apply).await;
    let changed = "Project internal. The config file: the branch and the environment level were changed.\n";
    assert_eq!((first.code, first.out.as_str()), (Some(0), changed), "{first:?}");
    let second = place.run(&apply).await;
    let same = "Project internal. The config file: nothing to change.\n";
    assert_eq!((second.code, second.out.as_str()), (Some(0), same), "{second:?}");
    let json = place
        .write("project.json", r#"{"branch": {"auth.otp.allowSignIn": true, "auth.password.allowSignIn": false}}"#);
    let third = place.run(&["config", "apply", json.to_str().unwrap(), "--project", "internal"]).await;
    assert_eq!(third.code, Some(0), "{third:?}");
    for part in ["the branch level was changed", "in place of these of the branch level: auth.password.allowSignIn."] {
        assert!(third.out.contains(part), "{third:?}");
    }
    let unknown = place.run(&["config", "apply", json.to_str().unwrap(), "--project", "nowhere"]).await;
    assert!(unknown.code == Some(2) && unknown.errors.contains("there is no project nowhere"), "{unknown:?}");
    for ended in [first, second, third, unknown] {
        assert!(!format!("{ended:?}").contains("hidden"), "{ended:?}");
    }
}

#[tokio::test]
async fn a_wrong_file_changes_nothing_and_says_all_that_is_wrong() {
    let place = place().await;
    let place = Place::migrated(place.data, place.database).await;
    let right = place.write("right.toml", FILE);
    assert_eq!(place.run(&["config", "apply", right.to_str().unwrap()]).await.code, Some(0));
    let wrong = place.write("wrong.toml", WRONG);
    let refused = place.run(&["config", "apply", wrong.to_str().unwrap()]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    for part in [
        "branch.auth.allowSignUp: must be true or false",
        "branch.auth.signInAllowed: there is no such setting at level branch",
        "environment.emails.server.password: must be a text",
    ] {
        assert!(refused.errors.contains(part), "{part} is not in {refused:?}");
    }
    let same = place.run(&["config", "apply", right.to_str().unwrap()]).await;
    assert!(same.out.ends_with("nothing to change.\n"), "{same:?}");
}

#[tokio::test]
async fn a_start_applies_the_file_of_the_settings_or_is_refused() {
    let place = place().await;
    let (right, wrong) = (place.write("right.toml", FILE), place.write("wrong.toml", WRONG));
    let other = place.write("other.toml", "project = \"nowhere\"\n[branch]\n");
    for (command, file, part) in [
        ("serve", &wrong, "branch.auth.allowSignUp: must be true or false"),
        ("migrate", &wrong, "branch.auth.allowSignUp: must be true or false"),
        ("migrate", &other, "There is no such project."),
        ("serve", &place.path("missing.toml"), "missing.toml: "),
    ] {
        let mut start = place.command(&[command]);
        start.env("POSTERN_CONFIG_FILE", file);
        let refused = run(start).await;
        assert!(refused.code == Some(2) && refused.errors.contains(part), "{command}: {refused:?}");
        assert!(refused.errors.contains(file.file_name().unwrap().to_str().unwrap()), "{refused:?}");
    }
    for _ in 0..2 {
        let mut migrate = place.command(&["migrate"]);
        migrate.env("POSTERN_CONFIG_FILE", &right);
        let done = run(migrate).await;
        assert_eq!(done.code, Some(0), "{done:?}");
    }
    let same = place.run(&["config", "apply", right.to_str().unwrap()]).await;
    assert_eq!(same.out, "Project internal. The config file: nothing to change.\n", "{same:?}");
}
