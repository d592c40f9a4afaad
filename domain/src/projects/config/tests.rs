//! Worked examples of the rules of wire/projects-config-webhooks §3 and §4, without a database.

use serde_json::{Map, Value, json};

use super::{ConfigLevel, ProjectConfig, overrides, render, schema, table::ROWS, view};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Combines levels, earlier first.
fn combined(levels: &[Value]) -> Value {
    let mut all = Map::new();
    for level in levels {
        overrides::combine(&mut all, object(level.clone()));
    }
    Value::Object(all)
}

fn rendered(levels: &[Value]) -> Value {
    render::render(object(combined(levels)))
}

fn viewed(levels: &[Value]) -> ProjectConfig {
    view(rendered(levels)).unwrap()
}

fn at<'a>(config: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(config, |value, key| value.get(key))
}

fn refused(level: ConfigLevel, text: &str) -> String {
    let error = overrides::parse(level, text).expect_err(text);
    let failure = error.failure().expect("told to the caller");
    assert_eq!(failure.code.status(), 400);
    failure.message.to_string()
}

#[test]
fn every_row_is_found_under_its_own_path() {
    for row in ROWS {
        let mut node = schema::root();
        for segment in row.path.split('.') {
            node = match &node.inside {
                schema::Inside::Record(_, entry) if segment.starts_with('<') => entry,
                schema::Inside::Fields(fields) => &fields.iter().find(|(name, _)| *name == segment).expect(row.path).1,
                _ => panic!("{}: {segment} mixes fields and entries", row.path),
            };
        }
        assert_eq!(node.kinds.len(), row.kinds.len(), "{}", row.path);
        // The default must itself be a value that may be set.
        if let Some(value) = node.default_value("key", "owner").filter(|value| !value.is_object()) {
            assert!(node.takes(&value), "{}", row.path);
        }
    }
}

#[test]
fn an_empty_config_has_the_defaults() {
    let config = rendered(&[]);
    assert_eq!(at(&config, "auth.allowSignUp"), Some(&json!(true)));
    assert_eq!(at(&config, "auth.password"), Some(&json!({ "allowSignIn": false })));
    assert_eq!(at(&config, "auth.oauth"), Some(&json!({ "accountMergeStrategy": "link_method", "providers": {} })));
    assert_eq!(at(&config, "sourceOfTruth"), Some(&json!({ "type": "hosted" })));
    assert_eq!(at(&config, "apps.installed.tv-mode"), Some(&json!({ "enabled": false })));
    assert_eq!(at(&config, "emails.server"), Some(&json!({ "isShared": true, "provider": "smtp" })));
    assert_eq!(
        at(&config, "payments"),
        Some(&json!({
            "blockNewPurchases": false, "testMode": true, "autoPay": {}, "productLines": {}, "products": {}, "items": {},
        }))
    );
    assert_eq!(at(&config, "customDashboards"), Some(&json!({})));
}

#[test]
fn a_later_key_drops_itself_and_everything_below_it() {
    assert_eq!(
        combined(&[json!({ "a": 1, "a.b": 2, "a.b.c": 3, "ab": 4, "c": 5 }), json!({ "a": 6 })]),
        json!({ "a": 6, "ab": 4, "c": 5 })
    );
    assert_eq!(
        combined(&[json!({ "a": 1, "a.b": 2, "a.b.c": 3, "a.bc": 4 }), json!({ "a.b": 7 })]),
        json!({ "a": 1, "a.b": 7, "a.bc": 4 })
    );
}

#[test]
fn an_earlier_object_is_not_opened() {
    assert_eq!(combined(&[json!({ "a": { "b": 1 } }), json!({ "a.b": 2 })]), json!({ "a": { "b": 1 }, "a.b": 2 }));
    let config = rendered(&[
        json!({ "auth": { "allowSignUp": false, "otp": { "allowSignIn": true } } }),
        json!({ "auth.otp.allowSignIn": false }),
    ]);
    assert_eq!(at(&config, "auth.allowSignUp"), Some(&json!(false)));
    assert_eq!(at(&config, "auth.otp.allowSignIn"), Some(&json!(false)));
}

#[test]
fn a_later_object_replaces_the_whole_earlier_one() {
    let config = rendered(&[
        json!({ "auth.otp.allowSignIn": true, "auth.allowSignUp": false }),
        json!({ "auth": { "passkey": { "allowSignIn": true } } }),
    ]);
    assert_eq!(at(&config, "auth.otp.allowSignIn"), Some(&json!(false)));
    assert_eq!(at(&config, "auth.allowSignUp"), Some(&json!(true)));
    assert_eq!(at(&config, "auth.passkey.allowSignIn"), Some(&json!(true)));
}

#[test]
fn later_levels_win() {
    let config = rendered(&[
        json!({ "auth.allowSignUp": true, "users.allowClientUserDeletion": true }),
        json!({ "auth.allowSignUp": false }),
    ]);
    assert_eq!(at(&config, "auth.allowSignUp"), Some(&json!(false)));
    assert_eq!(at(&config, "users.allowClientUserDeletion"), Some(&json!(true)));
}

#[test]
fn null_is_the_default_and_an_absent_entry() {
    let config = rendered(&[
        json!({ "auth.allowSignUp": false, "auth.signUpRules": { "one": {}, "two": {}, "three": null } }),
        json!({ "auth.allowSignUp": null, "auth.signUpRules.two": null, "emails.server.host": null }),
    ]);
    assert_eq!(at(&config, "auth.allowSignUp"), Some(&json!(true)));
    assert_eq!(
        at(&config, "auth.signUpRules"),
        Some(&json!({ "one": { "enabled": false, "priority": 0, "action": { "type": "allow" } } }))
    );
    assert_eq!(at(&config, "emails.server.host"), None);
}

#[test]
fn null_for_a_container_keeps_what_is_set_below_it() {
    let config = rendered(&[json!({ "auth": null, "auth.otp.allowSignIn": true })]);
    assert_eq!(at(&config, "auth.otp.allowSignIn"), Some(&json!(true)));
    assert_eq!(at(&config, "auth.allowSignUp"), Some(&json!(true)));
}

#[test]
fn a_field_of_an_entry_that_nobody_made_is_dropped() {
    let config = rendered(&[
        json!({ "auth.oauth.providers.google.type": "google" }),
        json!({ "auth.oauth.providers.github": { "type": "github" }, "auth.oauth.providers.github.allowSignIn": true }),
    ]);
    assert_eq!(
        at(&config, "auth.oauth.providers"),
        Some(&json!({ "github": {
            "type": "github", "allowSignIn": true, "allowConnectedAccounts": false, "isShared": true, "appleBundles": {},
        } }))
    );
}

#[test]
fn entries_that_are_always_there_can_be_set_by_field_and_not_removed() {
    let light = crate::emails::DEFAULT_THEME.id;
    let renamed = format!("emails.themes.{light}.displayName");
    let config = rendered(&[json!({ "apps.installed.emails.enabled": true, renamed: "Mine" })]);
    assert_eq!(at(&config, "apps.installed.emails.enabled"), Some(&json!(true)));
    assert_eq!(at(&config, &format!("emails.themes.{light}.displayName")), Some(&json!("Mine")));

    let config =
        rendered(&[json!({ "apps.installed": { "emails": null } }), json!({ format!("emails.themes.{light}"): null })]);
    assert_eq!(at(&config, "apps.installed.emails"), Some(&json!({ "enabled": false })));
    assert!(at(&config, &format!("emails.themes.{light}.tsxSource")).is_some());
}

#[test]
fn what_makes_no_sense_is_cleaned_up() {
    let theme = "11111111-1111-4111-8111-111111111111";
    let template = format!("emails.templates.{theme}");
    let config = rendered(&[json!({
        "auth.oauth.providers": { "typeless": { "allowSignIn": true } },
        "emails.selectedThemeId": theme,
        "sourceOfTruth": { "type": "postgres" },
        template: { "displayName": "Own" },
    })]);
    assert_eq!(at(&config, "auth.oauth.providers"), Some(&json!({})));
    assert_eq!(at(&config, "emails.selectedThemeId"), Some(&json!(crate::emails::DEFAULT_THEME.id)));
    assert_eq!(at(&config, "sourceOfTruth"), Some(&json!({ "type": "hosted" })));
    assert_eq!(
        at(&config, &format!("emails.templates.{theme}")),
        None,
        "a shared server has the built-in templates only"
    );

    let config = rendered(&[json!({
        "emails.server.isShared": false,
        "emails.selectedThemeId": theme,
        "emails.themes": { theme: { "displayName": "Own" } },
        "emails.templates": { theme: { "displayName": "Own", "themeId": false } },
        "sourceOfTruth": { "type": "postgres", "connectionString": "postgres://x" },
    })]);
    assert_eq!(at(&config, "emails.selectedThemeId"), Some(&json!(theme)));
    assert_eq!(at(&config, "emails.templates").unwrap()[theme]["themeId"], json!(false));
    assert!(at(&config, "emails.templates").unwrap().as_object().unwrap().len() > 1, "the built-in ones stay");
    assert_eq!(at(&config, "sourceOfTruth"), Some(&json!({ "type": "postgres", "connectionString": "postgres://x" })));
}

#[test]
fn defaults_reach_into_entries() {
    let config = rendered(&[
        json!({ "payments.products": { "pro": { "includedItems": { "seats": {} }, "prices": { "m": { "USD": "5" } } } } }),
    ]);
    assert_eq!(
        at(&config, "payments.products.pro"),
        Some(&json!({
            "displayName": "pro", "customerType": "user", "serverOnly": false, "isAddOnTo": false,
            "prices": { "m": { "USD": "5", "serverOnly": false } },
            "includedItems": { "seats": { "quantity": 0, "repeat": "never", "expires": "when-repeated" } },
        }))
    );
}

#[test]
fn the_text_keeps_the_orders_of_the_contract() {
    let text = render::to_text(&rendered(&[json!({ "auth.signUpRules": {
        "b": { "priority": 1 }, "a": { "priority": 1 }, "z": { "priority": 10 }, "c": { "enabled": false },
    } })]))
    .unwrap();
    let positions =
        |keys: &[&str]| keys.iter().map(|key| text.find(&format!("\"{key}\":{{")).unwrap()).collect::<Vec<_>>();
    assert!(positions(&["z", "a", "b", "c"]).is_sorted());
    assert!(positions(&["authentication", "fraud-protection", "tv-mode", "catalyst", "vercel"]).is_sorted());
    let parsed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(parsed["auth"]["signUpRules"]["z"]["priority"], json!(10));
}

#[test]
fn each_level_takes_its_own_keys_only() {
    let takes = |level, text| overrides::parse(level, text).is_ok();
    use ConfigLevel::{Branch, Environment, Project};
    let cases = [
        (r#"{"project.requirePublishableClientKey":true}"#, [true, false, false]),
        (r#"{"sourceOfTruth":{"type":"hosted"}}"#, [true, false, false]),
        (r#"{"auth.allowSignUp":true}"#, [false, true, true]),
        (r#"{"auth":{"oauth":{"providers":{"x":{"type":"x"}}}}}"#, [false, true, true]),
        (r#"{"auth":{"oauth":{"providers":{"x":{"clientId":"a"}}}}}"#, [false, false, true]),
        (r#"{"domains":{}}"#, [false, false, true]),
        (r#"{"domains":null}"#, [false, false, true]),
        (r#"{"domains.allowLocalhost":true}"#, [false, false, true]),
        ("{}", [true, true, true]),
    ];
    for (text, [project, branch, environment]) in cases {
        assert_eq!(
            [takes(Project, text), takes(Branch, text), takes(Environment, text)],
            [project, branch, environment],
            "{text}"
        );
    }
}

#[test]
fn what_does_not_fit_is_refused_by_its_key() {
    for (text, key) in [
        (r#"{"auth.allowSignUp":"true"}"#, "auth.allowSignUp"),
        (r#"{"auth.allowSignUp":1}"#, "auth.allowSignUp"),
        (r#"{"auth":{"allowSignUp":[]}}"#, "auth.allowSignUp"),
        (r#"{"auth":true}"#, "auth"),
        (r#"{"auth.allowSignUp":{"deeper":true}}"#, "auth.allowSignUp"),
        (r#"{"auth":{"otp.allowSignIn":true}}"#, "auth.otp.allowSignIn"),
        (r#"{"auth.nothing":true}"#, "auth.nothing"),
        (r#"{"nothing":true}"#, "nothing"),
        (r#"{"auth..otp":{}}"#, "auth..otp"),
        (r#"{"":{}}"#, ""),
        (r#"{"auth.signUpRules.-x":{}}"#, "auth.signUpRules.-x"),
        (r#"{"auth.signUpRules.a b":{}}"#, "auth.signUpRules.a b"),
        (r#"{"rbac.permissions.Upper":{}}"#, "rbac.permissions.Upper"),
        (r#"{"rbac.permissions.$system":{}}"#, "rbac.permissions.$system"),
        (r#"{"rbac.defaultPermissions.signUp.x":false}"#, "rbac.defaultPermissions.signUp.x"),
        (r#"{"apps":{"installed":{"games":{"enabled":true}}}}"#, "apps.installed.games"),
        (r#"{"emails":{"themes":{"not-a-uuid":{}}}}"#, "emails.themes.not-a-uuid"),
        (r#"{"emails.server.provider":"pigeon"}"#, "emails.server.provider"),
        (r#"{"auth.oauth.providers.a.issuerUrl":"no url"}"#, "auth.oauth.providers.a.issuerUrl"),
        (r#"{"auth.oauth.providers.a.issuerUrl":"ftp://a.test"}"#, "auth.oauth.providers.a.issuerUrl"),
        (r#"{"auth.oauth.providers.a.issuerUrl":"https://a.test/?b=c"}"#, "auth.oauth.providers.a.issuerUrl"),
        (r#"{"emails.server.host":"a\u0000b"}"#, "emails.server.host"),
        (r#"{"payments.autoPay.interval":[1]}"#, "payments.autoPay.interval"),
        (r#"{"payments.autoPay.interval":[1,"hour"]}"#, "payments.autoPay.interval"),
        (r#"{"emails.server.password":{"$sealed":"AAAA"}}"#, "emails.server.password"),
    ] {
        let message = refused(ConfigLevel::Environment, text);
        assert!(message.contains(&format!("{key:?}")), "{text}: {message}");
    }
    for text in ["", "nonsense", "{", "[]", "null", "1"] {
        refused(ConfigLevel::Environment, text);
    }
}

#[test]
fn ranges_lengths_and_loose_keys_are_no_errors_on_write() {
    for text in [
        r#"{"emails.server.port":-1.5}"#,
        r#"{"emails.server.password":"longer than seventy characters, which the SDK would refuse, but the server takes"}"#,
        r#"{"auth.signUpRules":{"any:key$":{}}}"#,
        r#"{"rbac.permissions":{"Upper":{}}}"#,
        r#"{"rbac.permissions.a:b":{"containedPermissionIds":{"$read_members":true}}}"#,
        r#"{"domains.trustedDomains.a.baseUrl":"no URL"}"#,
        r#"{"payments.autoPay.interval":[1,"day"]}"#,
        r#"{"payments.products.a":{"prices":"include-by-default","isAddOnTo":{"b":true}}}"#,
        r#"{"auth.allowSignUp":null,"payments":null}"#,
    ] {
        overrides::parse(ConfigLevel::Environment, text).expect(text);
    }
    assert!(
        viewed(&[json!({ "emails.server.isShared": false, "emails.server.port": -1.5 })])
            .emails
            .server
            .connection()
            .is_none()
    );
}

#[test]
fn reset_takes_keys_out_wherever_they_are_stored() {
    let mut stored = object(json!({
        "auth": { "password": { "allowSignIn": true }, "otp": { "allowSignIn": true } },
        "auth.password.allowSignIn": false,
        "auth.passwordless": 1,
        "apps.installed": { "emails": { "enabled": true } },
        "users": { "allowClientUserDeletion": true },
        "empty": {},
    }));
    let keys =
        ["auth.password", "apps.installed.emails.enabled", "users.allowClientUserDeletion", "unknown", "auth.otp.x"];
    overrides::reset(&mut stored, &keys.map(str::to_owned));
    assert_eq!(
        Value::Object(stored),
        json!({ "auth": { "otp": { "allowSignIn": true } }, "auth.passwordless": 1, "empty": {} })
    );
}

#[test]
fn the_view_reads_every_field_of_a_full_config() {
    let config = viewed(&[json!({
        "project.requirePublishableClientKey": true,
        "auth.password.allowSignIn": true,
        "auth.oauth.providers.apple": { "type": "apple", "clientSecret": "s", "appleBundles": { "a": { "bundleId": "b" } } },
        "rbac.permissions.editor": { "scope": "team", "containedPermissionIds": { "$read_members": true, "gone": null } },
        "rbac.defaultPermissions.teamMember": { "editor": true },
        "domains.trustedDomains.one": { "baseUrl": "https://a.example" },
        "emails.server": { "isShared": false, "host": "h", "port": 25, "username": "u", "password": "p", "senderEmail": "a@b" },
    })]);
    assert!(config.project.require_publishable_client_key && config.auth.password.allow_sign_in);
    assert_eq!(config.auth.oauth.providers["apple"].apple_bundles["a"].bundle_id.as_deref(), Some("b"));
    let editor = &config.rbac.permissions["editor"];
    assert_eq!(editor.scope.map(super::PermissionScope::as_str), Some("team"));
    assert_eq!(editor.contained_permission_ids.iter().collect::<Vec<_>>(), ["$read_members"]);
    assert!(config.rbac.default_permissions.team_member.contains("editor"));
    assert_eq!(config.domains.trusted_domains["one"].handler_path, "/handler");
    assert_eq!(config.emails.server.connection().unwrap().port, 25);
    assert!(!format!("{config:?}").contains("\"p\""), "secrets do not show");
}
