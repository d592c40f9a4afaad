//! Files that set projects up: from TOML or JSON to what the domain knows. What may stand in one is said there
//! ([`postern_domain::projects::ConfigFile`]).

use std::{fs::File, io::Read, path::Path};

use postern_domain::projects::{Applied, ConfigFile, MAX_OVERRIDE_CHARS};
use serde_json::{Map, Number, Value};

/// The longest file, in bytes: two levels, each as long as it may be.
const MAX_BYTES: usize = 4 * MAX_OVERRIDE_CHARS;

/// Why a file cannot be used; names the file and everything that is wrong in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongFile(String);

/// Reads a file: JSON if its name ends in `.json`, else TOML.
///
/// # Errors
/// [`WrongFile`]. Nothing of a value shows in it.
pub fn read(path: &Path) -> Result<ConfigFile, WrongFile> {
    let wrong = |what: String| WrongFile(format!("{}: {what}", path.display()));
    let mut text = String::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    let read = File::open(path).and_then(|file| file.take(limit + 1).read_to_string(&mut text));
    read.map_err(|error| wrong(error.to_string()))?;
    if text.len() > MAX_BYTES {
        return Err(wrong(format!("longer than {MAX_BYTES} bytes")));
    }
    let content = if path.extension().is_some_and(|extension| extension == "json") {
        serde_json::from_str(&text).map_err(|error| wrong(format!("no valid JSON: {error}")))?
    } else {
        let table: toml::Table = text.parse().map_err(|error| wrong(toml_error(&text, &error)))?;
        let mut odd = Vec::new();
        let content = to_json("", toml::Value::Table(table), &mut odd);
        if !odd.is_empty() {
            return Err(all_wrong(path, &odd));
        }
        content
    };
    ConfigFile::read(content).map_err(|error| all_wrong(path, &error.0))
}

fn all_wrong(path: &Path, wrong: &[String]) -> WrongFile {
    let lines: String = wrong.iter().map(|line| format!("\n  - {line}")).collect();
    WrongFile(format!("{} is wrong:{lines}", path.display()))
}

/// Where and why, without the line itself, which may hold a secret.
fn toml_error(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("no valid TOML: line {}: {}", before.matches('\n').count() + 1, error.message())
}

/// TOML as JSON. Dates and numbers that are none have no place there.
fn to_json(path: &str, value: toml::Value, odd: &mut Vec<String>) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Float(number) => Number::from_f64(number).map_or_else(
            || {
                odd.push(format!("{path}: must be a finite number"));
                Value::Null
            },
            Value::Number,
        ),
        toml::Value::Datetime(_) => {
            odd.push(format!("{path}: no setting is a date; write a text in quotes"));
            Value::Null
        }
        toml::Value::Array(values) => {
            let values = values.into_iter().enumerate();
            values.map(|(index, value)| to_json(&format!("{path}[{index}]"), value, odd)).collect()
        }
        toml::Value::Table(table) => {
            let entries = table.into_iter().map(|(key, value)| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let value = to_json(&path, value, odd);
                (key, value)
            });
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}

/// What applying a file came to, in words.
#[must_use]
pub fn outcome(applied: &Applied) -> String {
    let mut text = match (applied.branch_changed, applied.environment_changed) {
        (false, false) => "The config file: nothing to change.".to_owned(),
        (true, false) => "The config file: the branch level was changed.".to_owned(),
        (false, true) => "The config file: the environment level was changed.".to_owned(),
        (true, true) => "The config file: the branch and the environment level were changed.".to_owned(),
    };
    if applied.webhooks_changed {
        text.push_str(" Its webhook endpoints were changed.");
    }
    if !applied.hidden.is_empty() {
        text.push_str(&format!(
            " The environment level has values of its own in place of these of the branch level: {}.",
            applied.hidden.join(", ")
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(name: &str, text: &str) -> Result<ConfigFile, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&path).map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
    }

    #[test]
    fn toml_and_json_say_the_same() {
        let toml = "project = \"p\"\n[branch]\nauth.otp.allowSignIn = true\npayments.items.seat.displayName = \"Seat\"\n\
                    payments.autoPay.interval = [1, \"month\"]\n[environment]\n\"emails.server.port\" = 25.0\n";
        let json = r#"{"project": "p", "environment": {"emails": {"server": {"port": 25.0}}}, "branch": {
            "auth.otp.allowSignIn": true, "payments.items.seat": {"displayName": "Seat"},
            "payments": {"autoPay": {"interval": [1, "month"]}}}}"#;
        assert_eq!(read_text("a.toml", toml).unwrap(), read_text("a.json", json).unwrap());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_without_its_value() {
        let text = "[environment.emails.server]\nport = inf\npassword = 1979-05-27\n";
        let expected = "FILE is wrong:\n  - environment.emails.server.password: no setting is a date; write a text in \
                        quotes\n  - environment.emails.server.port: must be a finite number";
        assert_eq!(read_text("a.toml", text).unwrap_err(), expected);
        let text = "[branch.auth]\nallowSignUp = \"no\"\n[environment.emails.server]\npassword = 5\n[enviroment]\n";
        let expected = "FILE is wrong:\n  - branch.auth.allowSignUp: must be true or false\n  - \"enviroment\": there is no \
                        such part; there are project, branch, environment and webhooks\n  - environment.emails.server.password: must be \
                        a text";
        assert_eq!(read_text("a.toml", text).unwrap_err(), expected);
        let error = read_text("a.toml", "[branch]\n[environment.emails.server]\npassword = \"secret\n").unwrap_err();
        assert!(error.starts_with("FILE: no valid TOML: line 3: ") && !error.contains("secret"), "{error}");
        let error = read_text("a.json", "{\"environment\": {\"x\": \"secret\"").unwrap_err();
        assert!(error.starts_with("FILE: no valid JSON: ") && !error.contains("secret"), "{error}");
        assert_eq!(
            read_text("a.json", "[]").unwrap_err(),
            "FILE is wrong:\n  - the file must be a table (in JSON: an object)"
        );
        let missing = read(Path::new("/nowhere/at/all.toml")).unwrap_err().to_string();
        assert!(missing.starts_with("/nowhere/at/all.toml: "), "{missing}");
    }
}
