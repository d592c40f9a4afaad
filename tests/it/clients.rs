//! The official npm clients and the libraries people verify tokens with, unmodified, and a browser, against a running server:
//! the suites of `tests/npm`, which say what they need in their README. `scripts/test` installs Node, the packages and Chromium.

use std::path::Path;

use postern_fake_stripe::FakeStripe;
use tokio::process::Command;

use crate::support::{App, Builder};

/// By which the suites sign what Stripe posts.
const STRIPE_WEBHOOK_SECRET: &str = "whsec_of-the-client-suites";

async fn run(suite: &str) {
    run_against(App::builder(), suite, &[]).await;
}

/// For suites that sell: with a Stripe of their own, which they tell what customers do.
async fn run_with_stripe(suite: &str) {
    let stripe = FakeStripe::start().await.unwrap();
    let url = stripe.url();
    let app = App::builder()
        .set("POSTERN_STRIPE_SECRET_KEY", stripe.secret_key())
        .set("POSTERN_STRIPE_API_BASE", &url)
        .set("POSTERN_STRIPE_WEBHOOK_SECRET", STRIPE_WEBHOOK_SECRET);
    let variables =
        [("POSTERN_STRIPE_CONTROL_URL", url.as_str()), ("POSTERN_STRIPE_WEBHOOK_SECRET", STRIPE_WEBHOOK_SECRET)];
    run_against(app, suite, &variables).await;
}

/// Runs a suite against this server, with these variables besides those that every suite needs.
async fn run_against(app: Builder, suite: &str, variables: &[(&str, &str)]) {
    let app = app.set("POSTERN_RATE_LIMITS", "off").start().await;
    let npm = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/npm");
    let (demo, internal) = (&app.demo, &app.internal);
    let output = Command::new("node")
        .arg("run.mjs")
        .arg(suite)
        .current_dir(&npm)
        .env("POSTERN_URL", &app.url)
        .env("POSTERN_MAILBOX_URL", format!("{}/mailbox", app.url))
        .env("POSTERN_INTERNAL_PUBLISHABLE_CLIENT_KEY", &internal.client)
        .env("POSTERN_INTERNAL_SECRET_SERVER_KEY", &internal.server)
        .env("POSTERN_INTERNAL_SUPER_SECRET_ADMIN_KEY", &internal.admin)
        .env("POSTERN_DEMO_PROJECT_ID", &demo.project_id)
        .env("POSTERN_DEMO_PUBLISHABLE_CLIENT_KEY", &demo.client)
        .env("POSTERN_DEMO_SECRET_SERVER_KEY", &demo.server)
        .env("POSTERN_DEMO_SUPER_SECRET_ADMIN_KEY", &demo.admin)
        .envs(variables.iter().copied())
        .output()
        .await
        .expect("node is on the PATH; `scripts/test` puts it there");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "suite {suite} failed:\n{out}\n{err}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_app_signs_up_and_in() {
    run("client").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_app_manages_users() {
    run("server").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_app_makes_projects_and_keys() {
    run("admin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn teams_and_permissions_work_in_every_app() {
    run("teams").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_with_other_sites_in_a_browser() {
    run("oauth").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_with_other_sites_by_the_pages_of_the_react_client() {
    run("oauth_react").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_invite_each_other_into_teams() {
    run("invitations").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn api_keys_are_made_and_checked_in_every_app() {
    run("api_keys").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_read_and_changed_in_every_app() {
    run("items").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn products_are_sold_and_granted_in_every_app() {
    run_with_stripe("payments").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_are_administered_and_told_of_by_stripe() {
    run_with_stripe("payments_admin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_purchase_page_works_in_a_browser() {
    run_with_stripe("purchase").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_other_sites_are_linked_in_every_app() {
    run("linked_accounts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_by_mail_and_stay_who_they_were() {
    run("sign_in").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_factor_is_asked_for_in_every_app() {
    run("second_factor").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passkeys_work_in_a_browser() {
    run("passkeys").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_without_a_browser_log_in() {
    run("cli_logins").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_seen_and_ended_in_every_app() {
    run("sessions").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_gets_to_another_origin() {
    run("cross_domain").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_up_rules_hold_in_every_app() {
    run("sign_up_rules").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_behind_mailed_links_work_in_a_browser() {
    run("pages").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_verify_with_jose_and_pyjwt() {
    run("tokens").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_graphql_over_http_audit_passes() {
    run("graphql-http").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_reaches_users_and_teams_in_a_supergraph() {
    run("federation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn graphql_ws_and_graphql_sse_subscribe() {
    run("live").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn svix_and_standardwebhooks_verify_deliveries() {
    run("webhooks").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_svix_client_manages_endpoints() {
    run("webhooks_svix").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_of_the_readme_works_in_a_browser() {
    run("browser").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mailbox_page_works_in_a_browser() {
    run("mailbox").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_to_users_leave_through_a_project_s_own_server() {
    run("emails").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_is_read_and_changed_in_the_admin_app() {
    run("email_outbox").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_a_provider_show_in_the_outbox() {
    run("email_reports").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_themes_and_drafts_are_edited_in_the_admin_app() {
    run("email_library").await;
}

#[test]
fn every_suite_is_run() {
    let npm = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/npm");
    let mut suites: Vec<_> = std::fs::read_dir(npm)
        .unwrap()
        .filter_map(|entry| {
            entry.unwrap().file_name().into_string().unwrap().strip_suffix(".test.mjs").map(str::to_owned)
        })
        .collect();
    suites.sort();
    assert_eq!(
        suites,
        [
            "admin",
            "api_keys",
            "browser",
            "cli_logins",
            "client",
            "cross_domain",
            "email_library",
            "email_outbox",
            "email_reports",
            "emails",
            "federation",
            "graphql-http",
            "invitations",
            "items",
            "linked_accounts",
            "live",
            "mailbox",
            "oauth",
            "oauth_react",
            "pages",
            "passkeys",
            "payments",
            "payments_admin",
            "purchase",
            "second_factor",
            "server",
            "sessions",
            "sign_in",
            "sign_up_rules",
            "teams",
            "tokens",
            "webhooks",
            "webhooks_svix"
        ]
    );
}
