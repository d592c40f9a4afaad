use postern_domain::{identity::UserRef, patch::Patch};
use serde_json::json;

use super::*;

input! {
    /// Everything at once.
    #[derive(Debug)]
    struct Sample {
        name: Text<3>,
        flag: Option<bool>,
        count: Option<i64>,
        note: Patch<String>,
        id: Option<UserRef>,
        r#type: Option<String>,
        inner: Option<Inner>,
        list: Option<Vec<i64>>,
    }
}
input! {
    #[derive(Debug)]
    #[expect(dead_code, reason = "only the violations are looked at")]
    struct Inner { mail: LooseEmail }
}

fn read(value: Value) -> Result<Sample, String> {
    let mut violations = Violations::default();
    let sample = read_nested::<Sample>(value, "body", &mut violations);
    match violations.into_failure("POST /sample") {
        Some(failure) => Err(failure.message.into_owned()),
        None => Ok(sample.unwrap()),
    }
}

#[test]
fn scalars_are_coerced() {
    let sample = read(json!({"name": 12, "flag": "1", "count": "7", "type": true, "list": [1.0, "2"]})).unwrap();
    assert_eq!(sample.name.0, "12");
    assert_eq!((sample.flag, sample.count), (Some(true), Some(7)));
    assert_eq!(sample.r#type.as_deref(), Some("true"));
    assert_eq!(sample.list, Some(vec![1, 2]));
    assert!(matches!(sample.note, Patch::Keep));
    assert!(sample.id.is_none() && sample.inner.is_none());
}

#[test]
fn missing_null_and_set_are_three_things() {
    assert!(matches!(read(json!({"name": "a", "note": null})).unwrap().note, Patch::Clear));
    assert!(matches!(read(json!({"name": "a", "note": ""})).unwrap().note, Patch::Set(text) if text.is_empty()));
    assert!(read(json!({"name": "a", "flag": null})).unwrap_err().contains("body.flag must not be null"));
}

#[test]
fn all_violations_are_named() {
    let message = read(json!({
        "name": "long", "flag": "yes", "count": 1.5, "id": "123", "inner": {"mail": "x", "other": 1},
        "list": [1, "x", null], "extra": {}, "note": "a\u{0}b",
    }))
    .unwrap_err();
    for part in [
        "POST /sample",
        "body.name must have at most 3",
        "body.flag must be a boolean",
        "body.count must be a whole",
        "body.id must be a UUID",
        "body.inner.mail must be an e-mail",
        "body.inner has the unknown key \"other\"",
        "body.list[1] must be",
        "body.list[2] must not be null",
        "body has the unknown key \"extra\"",
        "U+0000",
    ] {
        assert!(message.contains(part), "{part} is not named in {message}");
    }
}

#[test]
fn only_rfc_uuids_are_ids() {
    let read = |text: &str| UserRef::read(json!(text), "id", &mut Violations::default());
    assert_eq!(read("me"), Some(UserRef::Me));
    assert!(read("00000000-0000-0000-0000-000000000000").is_some());
    assert!(read("6C7D9F2E-8C11-4D0D-9A55-0B3B0C6F6C55").is_some());
    assert!(read("6c7d9f2e-8c11-7d0d-9a55-0b3b0c6f6c55").is_none());
    assert!(read("6c7d9f2e8c114d0d9a550b3b0c6f6c55").is_none());
}
