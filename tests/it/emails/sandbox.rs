//! Sources of projects run in a process of their own, which has limits.

use std::time::Duration;

use postern::cli::SANDBOX;
use postern_domain::ports::sandbox::{Sandbox, SandboxError};
use postern_outside::sandbox::ProcessSandbox;
use serde_json::{Value, json};

use crate::support::{App, client::Client, eventually};

const SECOND: Duration = Duration::from_secs(1);

fn sandbox() -> ProcessSandbox {
    ProcessSandbox::new(env!("CARGO_BIN_EXE_postern").into(), &[SANDBOX])
}

fn with_content(content: &str) -> String {
    format!("{{% block subject %}}s{{% endblock %}}{{% block content %}}{content}{{% endblock %}}")
}

/// What a worker hands over.
fn request(source: &str) -> Vec<u8> {
    let view = json!({ "project_display_name": "", "logos": {}, "user_display_name": "", "variables": {},
        "is_preview": false, "unsubscribe_link": null });
    let request = json!({ "source": { "template": source, "theme": null }, "views": [view] });
    serde_json::to_vec(&request).unwrap()
}

/// Takes many seconds.
fn slow() -> String {
    with_content("{% for a in range(9999) %}{% set x = ('x' ~ a) * 10000000 %}{% endfor %}")
}

/// Doubles a value thirty times: a gigabyte and more, with few instructions and nothing written.
fn bomb() -> String {
    let doublings = "{% set x = x ~ x %}".repeat(30);
    with_content(&format!("{{% set x = 'xxxxxxxxxxxxxxxx' %}}{doublings}{{{{ x | length }}}}"))
}

async fn preview(admin: &Client, source: &str) -> Result<Value, String> {
    let answer = admin.post("/emails/render-email", json!({ "template_tsx_source": source })).await;
    if answer.status == 200 {
        return Ok(answer.json(200));
    }
    Err(answer.refused(400, "EMAIL_RENDERING_ERROR")["error"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_eats_memory_is_ended_and_the_next_one_renders() {
    let app = App::start().await;
    let admin = app.rest().admin();
    let good = with_content("<mj-section><mj-column><mj-text>{{ 6 * 7 }}</mj-text></mj-column></mj-section>");
    for _ in 0..2 {
        let error = preview(&admin, &bomb()).await.unwrap_err();
        assert!(error.contains("memory"), "{error}");
        let seen = preview(&admin, &good).await.unwrap();
        assert!(seen["html"].as_str().unwrap().contains("42"));
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_never_end_swell_or_nest_are_ended_too() {
    let app = App::start().await;
    let admin = app.rest().admin();
    let deep = format!("{}1{}", "(".repeat(50_000), ")".repeat(50_000));
    for (source, why) in [
        (with_content("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"), "fuel"),
        (with_content("{% for a in range(9000) %}{{ 'x' * 1000 }}{% endfor %}"), ""),
        (with_content(&format!("{{{{ {deep} }}}}")), ""),
        (with_content(&"<mj-section>".repeat(10_000)), ""),
        (with_content("{{ 'x' * 1000000000000 }}"), "too large"),
        (with_content("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), ""),
    ] {
        let error = preview(&admin, &source).await.unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    app.stop().await;
}

#[tokio::test]
async fn what_takes_too_long_is_ended_and_what_comes_next_is_served() {
    let sandbox = sandbox();
    let nothing = sandbox.run("a", b"{\"source\": 5}".to_vec(), SECOND).await.unwrap_err();
    assert!(matches!(nothing, SandboxError::Unavailable(_)), "{nothing}");
    let ended = sandbox.run("a", request(&slow()), Duration::from_millis(1)).await.unwrap_err();
    assert!(matches!(ended, SandboxError::Exceeded(_)), "{ended}");
    let answer = sandbox.run("a", request(&with_content("<mj-section />")), 20 * SECOND).await.unwrap();
    assert!(String::from_utf8(answer).unwrap().contains("<html"));
}

#[tokio::test]
async fn a_program_that_is_no_sandbox_is_not_blamed_on_the_source() {
    for (program, arguments) in [("/nowhere/postern", &[][..]), ("/bin/false", &[]), ("/bin/echo", &["hello"])] {
        let error = ProcessSandbox::new(program.into(), arguments).run("a", Vec::new(), SECOND).await.unwrap_err();
        assert!(matches!(error, SandboxError::Unavailable(_)), "{program}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_source_holds_up_its_own_tenant_alone() {
    let sandbox = sandbox();
    let of_slow = tokio::spawn({
        let sandbox = sandbox.clone();
        async move { sandbox.run("slow", request(&slow()), 5 * SECOND).await }
    });
    let other = request(&with_content("<mj-section />"));
    // Once the slow one is at work, its tenant's next one is told to come back, and others are served all the while.
    eventually("the slow one is at work", async || {
        let outcome = sandbox.run("slow", other.clone(), 20 * SECOND).await;
        matches!(outcome, Err(SandboxError::Busy)).then_some(())
    })
    .await;
    for _ in 0..5 {
        sandbox.run("other", other.clone(), 20 * SECOND).await.unwrap();
    }
    assert!(!of_slow.is_finished());
    assert!(matches!(of_slow.await.unwrap(), Err(SandboxError::Exceeded(_))));
    sandbox.run("slow", other, 20 * SECOND).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_whose_source_eats_memory_ends_in_an_error_and_no_other_does() {
    let app = App::start().await;
    let sign_up = async |name: &str| {
        let body = json!({ "email": format!("{name}@example.com"), "password": "correct horse",
            "verification_callback_url": "http://localhost:8000/verify" });
        app.rest().client().post("/auth/password/sign-up", body).await.json(200);
    };
    let server = app.rest().server();
    let own = json!({ "emails.server": { "isShared": false, "host": "127.0.0.1", "port": 9, "username": "", "password": "",
        "senderName": "Shop", "senderEmail": "shop@example.com" } });
    let admin = app.rest().admin();
    let body = json!({ "config_override_string": own.to_string() });
    admin.patch("/internal/config/override/environment", body).await.json(200);
    let user = server.post("/users", json!({})).await.json(201)["id"].clone();
    let later = json!({ "user_ids": [user], "html": "x", "scheduled_at_millis": 4_102_444_800_000_i64 });
    server.post("/emails/send-email", later).await.json(200);
    let outbox = server.get("/emails/outbox").await.json(200);
    let path = format!("/emails/outbox/{}", outbox["items"][0]["id"].as_str().unwrap());
    server.patch(&path, json!({ "tsx_source": bomb() })).await.json(200);
    let failed = eventually("the mail ended", async || {
        let mail = server.get(&path).await.json(200);
        (mail["status"] == "render-error").then_some(mail)
    })
    .await;
    assert!(failed["render_error"].as_str().unwrap().contains("memory"), "{failed}");
    let body = json!({ "keys": ["emails.server"] });
    admin.post("/internal/config/override/environment/reset-keys", body).await.json(200);
    sign_up("bob").await;
    app.mail_to("bob@example.com").await;
    app.stop().await;
}
