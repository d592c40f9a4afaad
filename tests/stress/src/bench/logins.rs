//! Logins: how many a second, what memory a storm of them takes, and whether the time of an answer tells a stranger who has an
//! account (design §4.9).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    compare::{Plan, Side, Spread, compare},
    load::Load,
    report::Row,
    scene::{Scene, in_turn, request},
};

/// Who signs in by password.
const ACCOUNTS: usize = 32;
const PASSWORD: &str = "correct horse";
/// Logins under way at once in a storm: far more than are hashed at once.
const STORM: usize = 256;
const MEGABYTE: f64 = 1e6;

/// Logins, a storm of them, and the time of refusals.
pub(crate) async fn measure(scene: &Scene, plan: &Plan) -> Result<Vec<Row>> {
    let config = json!({ "auth.otp.allowSignIn": true, "domains.allowLocalhost": true });
    let body = json!({ "config_override_string": config.to_string() });
    scene.stand.client().admin().patch("/internal/config/override/environment", &body).await?.json()?;
    for number in 0..ACCOUNTS {
        let new = json!({ "primary_email": email(number), "primary_email_auth_enabled": true,
            "primary_email_verified": true, "password": PASSWORD });
        let answer = scene.stand.client().server().post("/users", &new).await?;
        ensure!(answer.status.is_success(), "no account: {}", answer.text);
    }
    Ok(vec![
        rate(scene, plan).await?,
        storm(scene).await?,
        sign_in(scene, plan).await?,
        reset(scene, plan).await?,
        code(scene, plan).await?,
    ])
}

fn email(number: usize) -> String {
    format!("login-{number}@bench.example")
}

/// Requests to `path` with these bodies in turn.
fn load(scene: &Scene, path: &str, status: StatusCode, proof: &'static str, bodies: &[Value]) -> Result<Load> {
    let headers = scene.client_headers()?;
    let requests = bodies.iter().map(|body| request(Method::POST, path, &headers, body.to_string()));
    Ok(Load::new(scene.address()?, status, proof, in_turn(requests.collect::<Result<_>>()?)))
}

fn logins(scene: &Scene) -> Result<Load> {
    let bodies: Vec<_> = (0..ACCOUNTS).map(|number| json!({ "email": email(number), "password": PASSWORD })).collect();
    load(scene, "/api/v1/auth/password/sign-in", StatusCode::OK, "refresh_token", &bodies)
}

async fn rate(scene: &Scene, plan: &Plan) -> Result<Row> {
    let load = logins(scene)?;
    let mut rates = Vec::new();
    for _ in 0..plan.rounds {
        rates.push(load.run(plan.connections, plan.slice).await?.per_second());
    }
    let notes = format!("argon2id (19 MiB, t=2, p=1) of {ACCOUNTS} accounts in turn, {} connections", plan.connections);
    Ok(Row::plain("sign-ins by password", Spread::of(rates).context("no round")?, "/s", notes))
}

/// The most memory of the gateway while many more sign in than can be hashed at once.
async fn storm(scene: &Scene) -> Result<Row> {
    let load = logins(scene)?;
    let working = load.run(STORM, Duration::from_secs(5));
    tokio::pin!(working);
    let mut most = 0;
    let slice = loop {
        tokio::select! {
            done = &mut working => break done?,
            () = sleep(Duration::from_millis(20)) => most = most.max(scene.gateway()?.rss_bytes()?),
        }
    };
    let notes = format!(
        "{STORM} connections for 5 s, {:.0}/s, slowest {:.1} s; the most that was seen resident: hashing is bounded, whoever waits \
         for it holds no memory for it",
        slice.per_second(),
        slice.latency.max() as f64 / 1e6,
    );
    let value = most as f64 / MEGABYTE;
    Ok(Row::plain("memory under a storm of logins", Spread { median: value, low: value, high: value }, "MB", notes))
}

/// Refusals of strangers beside those of people who have an account, one at a time.
async fn beside(scene: &Scene, plan: &Plan, name: &str, known: Load, unknown: Load, mix: &str) -> Result<Row> {
    let pid = scene.pid()?;
    let plan = Plan { connections: 1, ..*plan };
    let compared = compare(&plan, &Side { load: known, pid }, &Side { load: unknown, pid }).await?;
    Ok(Row::ratio(name, compared, mix))
}

async fn sign_in(scene: &Scene, plan: &Plan) -> Result<Row> {
    let path = "/api/v1/auth/password/sign-in";
    let side = |emails: Vec<String>| {
        let bodies: Vec<_> = emails.iter().map(|email| json!({ "email": email, "password": "wrong" })).collect();
        load(scene, path, StatusCode::BAD_REQUEST, "EMAIL_PASSWORD_MISMATCH", &bodies)
    };
    let known = side((0..ACCOUNTS).map(email).collect())?;
    let unknown = side((0..ACCOUNTS).map(|number| format!("nobody-{number}@bench.example")).collect())?;
    let mix = "a wrong password for addresses without an account beside those with one; 1.00 tells nothing";
    beside(scene, plan, "oracle: sign-in of strangers", known, unknown, mix).await
}

async fn reset(scene: &Scene, plan: &Plan) -> Result<Row> {
    let side = |emails: Vec<String>| {
        let bodies: Vec<_> = emails
            .iter()
            .map(|email| json!({ "email": email, "callback_url": "http://localhost:3000/reset" }))
            .collect();
        load(scene, "/api/v1/auth/password/send-reset-code", StatusCode::OK, "success", &bodies)
    };
    let known = side((0..ACCOUNTS).map(email).collect())?;
    let unknown = side((0..ACCOUNTS).map(|number| format!("nobody-{number}@bench.example")).collect())?;
    let mix = "asking for a reset, likewise; every answer waits 300 to 500 ms by design";
    beside(scene, plan, "oracle: reset for strangers", known, unknown, mix).await
}

async fn code(scene: &Scene, plan: &Plan) -> Result<Row> {
    let side = |emails: Vec<String>| {
        let bodies: Vec<_> = emails
            .iter()
            .map(|email| json!({ "email": email, "callback_url": "http://localhost:3000/sign-in" }))
            .collect();
        load(scene, "/api/v1/auth/otp/send-sign-in-code", StatusCode::OK, "nonce", &bodies)
    };
    let known = side((0..ACCOUNTS).map(email).collect())?;
    let unknown = side((0..ACCOUNTS).map(|number| format!("nobody-{number}@bench.example")).collect())?;
    let mix = "asking for a code to sign in with, likewise; both get a mail";
    beside(scene, plan, "oracle: magic link for strangers", known, unknown, mix).await
}
