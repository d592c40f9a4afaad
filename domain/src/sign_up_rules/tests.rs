use serde_json::{Value, json};

use super::{condition::Condition, decision::Decision, *};
use crate::{
    Code,
    projects::{self, ProjectConfig},
    sessions::{
        PasswordSignUp, SignedIn,
        test_scene::{EMAIL, Scene, refusal},
    },
    testing::{admin, on_each_database},
    users::RestrictedReason,
};

fn ada() -> Applicant<'static> {
    Applicant {
        email: Some("ada@Mail.Example.com"),
        country: Some("SE"),
        method: "password",
        oauth_provider: None,
        risk_scores: RiskScores { bot: 40, free_trial_abuse: 0 },
    }
}

fn holds(condition: &str) -> Result<bool, String> {
    Condition::parse(condition).and_then(|condition| condition.holds(&ada()))
}

#[test]
fn conditions_of_the_contract_are_evaluated() {
    for (condition, expected) in [
        (r#"email == "ada@Mail.Example.com""#, true),
        (r#"emailDomain == "mail.example.com""#, true),
        (r#"email.contains("ada") && !email.startsWith("bob")"#, true),
        (r#"email.endsWith(".org") || countryCode in ["SE", "NO"]"#, true),
        (r#"email.matches("^[a-d]+@")"#, true),
        (r#"email.matches("d.@Mail")"#, true),
        (r#"email.matches("^Mail")"#, false),
        (r#"(authMethod == "otp") != true"#, true),
        (r#"oauthProvider == """#, true),
        ("riskScores.bot > 39 && riskScores.bot <= 40 && riskScores.free_trial_abuse < 1", true),
        ("riskScores.bot >= 41", false),
        ("true", true),
    ] {
        assert_eq!(holds(condition), Ok(expected), "{condition}");
    }
}

#[test]
fn what_is_outside_of_the_contract_or_never_ends_is_an_error() {
    let deep = format!("{}true{}", "(".repeat(300), ")".repeat(300));
    let long = format!("email == \"{}\"", "a".repeat(5_000));
    let many = vec!["true"; 600].join(" && ");
    let raw = format!("email == r\"\\\"{}", "$".repeat(3_900));
    let strange = ["$", "# ", "&", "| ", "=", "\u{e9}", "!", "! ", "<", "(", "a ", "\"\" ", "\\"]
        .map(|text| text.repeat(3_999 / text.len()));
    for condition in [
        "",
        "email ==",
        "email",
        "email == 1 + 1",
        "nobody == \"x\"",
        "riskScores.other > 1",
        "riskScores",
        "email.size() > 3",
        "email.matches(email)",
        r#"email.matches("(")"#,
        r#"email.matches("(((a{100}){100}){100}){100}")"#,
        "[1, 2, 3].all(x, x > 0)",
        "[[1,2,3,4],[1,2,3,4]].exists(x, x.exists(y, y == 5))",
        "{\"a\": 1}.a == 1",
        "has(riskScores.bot)",
        "true ? true : false",
        deep.as_str(),
        long.as_str(),
        many.as_str(),
        raw.as_str(),
        "email == \"open",
    ] {
        assert!(holds(condition).is_err(), "{condition}");
    }
    for condition in &strange {
        assert!(holds(condition).is_err(), "{condition}");
    }
}

fn config(rules: Value, default: &str) -> ProjectConfig {
    let mut all = serde_json::Map::new();
    for (id, rule) in rules.as_object().unwrap() {
        let mut rule = rule.clone();
        for (key, value) in [("enabled", json!(true)), ("priority", json!(0)), ("displayName", Value::Null)] {
            if rule.get(key).is_none() {
                rule[key] = value;
            }
        }
        rule["action"] = json!({ "type": rule["action"] });
        all.insert(id.clone(), rule);
    }
    projects::config_from(json!({ "auth": { "signUpRules": all, "signUpRulesDefaultAction": default } }))
}

fn decided(rules: Value, default: &str) -> (Verdict, Option<String>, Option<String>) {
    let Decision { outcome, .. } = Decision::of(&config(rules, default), &ada());
    (outcome.verdict, outcome.decision_rule_id, outcome.restricted_because_of)
}

#[test]
fn the_highest_rule_that_says_allow_or_reject_decides() {
    let id = |id: &str| Some(id.to_owned());
    let rule = |action: &str, priority: i64| json!({ "condition": "true", "action": action, "priority": priority });
    assert_eq!(decided(json!({}), "allow"), (Verdict::DefaultAllow, None, None));
    assert_eq!(decided(json!({}), "reject"), (Verdict::DefaultReject, None, None));
    let both = json!({ "a": rule("reject", 1), "b": rule("allow", 2) });
    assert_eq!(decided(both, "allow"), (Verdict::Allow, id("b"), None));
    // Equal priorities: by id.
    let equal = json!({ "z": rule("allow", 1), "a": rule("reject", 1) });
    assert_eq!(decided(equal, "allow"), (Verdict::Reject, id("a"), None));
    let restricted =
        json!({ "r2": rule("restrict", 2), "r3": rule("restrict", 3), "l": rule("log", 9), "x": rule("allow", 1) });
    assert_eq!(decided(restricted, "reject"), (Verdict::Allow, id("x"), id("r3")));
    // A restriction behind the decision says nothing any more.
    let late = json!({ "a": rule("allow", 5), "r": rule("restrict", 1) });
    assert_eq!(decided(late, "allow"), (Verdict::Allow, id("a"), None));
    let skipped = json!({
        "off": { "enabled": false, "condition": "true", "action": "reject" },
        "empty": { "condition": " ", "action": "reject" },
        "broken": { "condition": "email ==", "action": "reject" },
        "other": { "condition": "email == \"x\"", "action": "reject" },
    });
    assert_eq!(decided(skipped.clone(), "allow"), (Verdict::DefaultAllow, None, None));
    let statuses: Vec<_> = Decision::of_all(&config(skipped, "allow"), &ada())
        .evaluations
        .into_iter()
        .map(|evaluation| (evaluation.rule_id, evaluation.status, evaluation.error.is_some()))
        .collect();
    let expected = [
        ("broken", Status::Error, true),
        ("empty", Status::MissingCondition, false),
        ("off", Status::Disabled, false),
        ("other", Status::NotMatched, false),
    ];
    assert_eq!(statuses, expected.map(|(id, status, error)| (id.to_owned(), status, error)));
}

async fn sign_up(scene: &Scene, email: &str) -> crate::Result<SignedIn> {
    let input = PasswordSignUp { email: email.to_owned(), ..scene.input() };
    scene.sign_up(&scene.stranger(), input).await
}

#[tokio::test]
async fn rules_keep_out_restrict_and_count() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let rule = |condition: &str, action: &str, priority: i64| {
            json!({ "enabled": true, "condition": condition, "priority": priority, "action": { "type": action } })
        };
        scene
            .configure(json!({
                "auth.signUpRules.log": rule("true", "log", 9),
                "auth.signUpRules.out": rule("emailDomain == \"evil.example\"", "reject", 5),
                "auth.signUpRules.watch": rule("email.startsWith(\"w\")", "restrict", 1),
            }))
            .await;
        sign_up(&scene, EMAIL).await.unwrap();
        let watched = sign_up(&scene, "walt@example.com").await.unwrap();
        let user = scene.user(watched.user_id).await;
        assert!(user.restricted_by_admin);
        assert!(user.restricted_by_admin_private_details.unwrap().contains("watch"));
        assert_eq!(user.restricted_by_admin_reason, None);
        let claims = scene.claims(&watched).await;
        assert_eq!(claims.restricted_reason, Some(RestrictedReason::RestrictedByAdministrator));
        // Rules come before what is known of the address, so a stranger learns nothing of it.
        for _ in 0..2 {
            assert_eq!(refusal(sign_up(&scene, "m@evil.example").await), Code::SignUpRejected);
        }
        // A sign-up that fails otherwise counts nothing.
        assert_eq!(refusal(sign_up(&scene, EMAIL).await), Code::UserEmailAlreadyExists);
        assert_eq!(scene.counts().await.0, 2);
        let (deps, admin) = (scene.deps(), admin(&scene.project));
        let check = |statistics: RuleStatistics, within: [i64; 3], ever: [i64; 3]| {
            let counts: Vec<_> = statistics.rules.iter().map(|rule| (rule.total, rule.all_time)).collect();
            let expected: Vec<_> = within.into_iter().zip(ever).collect();
            assert_eq!(counts, expected, "log, out, watch");
            assert!(statistics.rules.iter().all(|rule| rule.hourly.len() == 48));
            statistics
        };
        let now = check(statistics(deps, &admin).await.unwrap(), [4, 2, 1], [4, 2, 1]);
        assert_eq!((now.total, now.by_action["log"], now.by_action["reject"], now.by_action["allow"]), (7, 4, 2, 0));
        assert_eq!(now.rules[0].hourly.last().unwrap().1, 4);
        // Days later they are counted, and no longer one by one.
        scene.bench.clock.advance_seconds(49 * 60 * 60);
        check(statistics(deps, &admin).await.unwrap(), [0, 0, 0], [4, 2, 1]);
        while prune_step(deps).await.unwrap() {}
        check(statistics(deps, &admin).await.unwrap(), [0, 0, 0], [4, 2, 1]);
        sign_up(&scene, "carl@example.com").await.unwrap();
        check(statistics(deps, &admin).await.unwrap(), [1, 0, 0], [5, 2, 1]);
        assert_eq!(refusal(statistics(deps, &scene.server()).await), Code::Forbidden);
    })
    .await;
}

#[tokio::test]
async fn an_anonymous_user_who_signs_up_is_looked_at_and_servers_are_not() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        scene.configure(json!({ "auth.signUpRulesDefaultAction": "reject" })).await;
        let anonymous = scene.anonymous().await;
        let refused = scene.sign_up(&scene.client(&anonymous).await, scene.input()).await;
        assert_eq!(refusal(refused), Code::SignUpRejected);
        assert!(scene.user(anonymous.user_id).await.is_anonymous);
        let created =
            crate::users::CreateUser { primary_email: Some(EMAIL.to_owned()), ..crate::users::CreateUser::default() };
        crate::users::create(scene.deps(), &scene.server(), created).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn rules_are_tried_out_without_being_counted() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let rule = json!({ "enabled": true, "condition": "countryCode == \"SE\"", "action": { "type": "restrict" } });
        scene.configure(json!({ "auth.signUpRules.nordic": rule })).await;
        let (deps, admin) = (scene.deps(), admin(&scene.project));
        let input = Hypothetical {
            email: Some("Ada@Example.com".to_owned()),
            auth_method: "otp".to_owned(),
            country_code: Some("se".to_owned()),
            risk_scores: Some((1, 2)),
            ..Hypothetical::default()
        };
        let tried = try_out(deps, &admin, input.clone()).await.unwrap();
        assert_eq!((tried.email.as_str(), tried.email_domain.as_str()), (EMAIL, "example.com"));
        assert!(tried.outcome.should_allow());
        assert_eq!(tried.outcome.restricted_because_of.as_deref(), Some("nordic"));
        assert_eq!(statistics(deps, &admin).await.unwrap().total, 0);
        let wrong = Hypothetical {
            auth_method: "magic".to_owned(),
            country_code: Some("Sweden".to_owned()),
            risk_scores: Some((101, -1)),
            ..input.clone()
        };
        assert_eq!(refusal(try_out(deps, &admin, wrong).await), Code::SchemaError);
        assert_eq!(refusal(try_out(deps, &scene.server(), input).await), Code::Forbidden);
    })
    .await;
}
