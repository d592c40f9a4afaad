//! Guessing by brute force: passwords, second factors and mailed codes of one account from many addresses at once, through all
//! gateways. What is let through is counted against what the limits say; meanwhile the owner, who is signed in at home, signs
//! in by password and by a mailed code as if nothing were.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    Scale,
    check::Findings,
    readback::text,
    scene::{Report, conclude},
};
use crate::stand::{Client, MailListener, Plan, Shape, Stand};

const OWNER: &str = "owner@drill.example";
const PASSWORD: &str = "correct horse";
const HOME: &str = "203.0.113.7";
/// What one address may try on one account at once, and all addresses together (docs/sign-in.md).
const BY_ADDRESS: usize = 20;
const BY_ACCOUNT: usize = 500;
/// Guesses at one code: five times what it bears.
const CODES: usize = 100;
/// What the limits give back while the drill runs: a burst is whole again after ten minutes or an hour.
const GIVEN_BACK: usize = 20;
const AT_ONCE: usize = 16;
/// How long a mail may take.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn run(scale: Scale, shape: Shape) -> Result<Report> {
    let plan = Plan::new(shape).set("POSTERN_RATE_LIMITS", "on").set("POSTERN_TRUSTED_PROXIES", "127.0.0.0/8");
    let mut stand = Stand::start(&plan).await?;
    let ended = drill(scale, &mut stand).await;
    conclude(stand, ended).await
}

/// How often which answer came.
type Counts = BTreeMap<String, usize>;

async fn drill(scale: Scale, stand: &mut Stand) -> Result<Report> {
    let (keys, mails) = (stand.make_project().await?, MailListener::start().await?);
    stand.use_mail_server(&keys, &mails).await?;
    let (client, attackers) = (stand.client_of(&keys), scale.pick(40, 200));
    let config = json!({ "auth.otp.allowSignIn": true, "domains.allowLocalhost": true });
    let body = json!({ "config_override_string": config.to_string() });
    client.admin().patch("/internal/config/override/environment", &body).await?.json()?;
    let new = json!({ "primary_email": OWNER, "primary_email_auth_enabled": true, "primary_email_verified": true,
        "password": PASSWORD });
    client.server().post("/users", &new).await?.json()?;
    let home = client.client().with("x-forwarded-for", HOME);
    sign_in(&home).await?;
    let mut findings = Findings::default();

    let is_over = AtomicBool::new(false);
    let attack = async {
        let counts = guess_passwords(&client, attackers).await;
        let codes = guess_codes(&client, &mails).await;
        is_over.store(true, Ordering::SeqCst);
        Ok::<_, anyhow::Error>((counts?, codes?))
    };
    let started = Instant::now();
    let (attacked, lived) = tokio::join!(attack, live(&home, &is_over));
    let ((passwords, (codes, right)), (logins, slowest)) = (attacked?, lived?);
    let tried: usize = passwords.values().sum::<usize>() + codes.values().sum::<usize>();
    findings.tried = tried + logins;
    findings.acknowledged = findings.tried;

    let let_through = count(&passwords, "EMAIL_PASSWORD_MISMATCH");
    let most = (attackers * (BY_ADDRESS + 1)).min(BY_ACCOUNT) + GIVEN_BACK;
    if let_through > most {
        findings.wrong.push(format!("{let_through} guesses of a password were let through, {most} at most should be"));
    }
    if passwords.keys().any(|code| code == "OK") {
        findings.wrong.push("a guess was right".to_owned());
    }
    if codes.contains_key("OK") {
        findings.wrong.push("a guessed code was right".to_owned());
    }
    if right != "VERIFICATION_CODE_MAX_ATTEMPTS_REACHED" {
        findings.wrong.push(format!("the code itself, after {CODES} guesses at it, was answered: {right}"));
    }
    if logins == 0 {
        findings.wrong.push("the owner never signed in meanwhile".to_owned());
    }
    // A stranger's tries neither spoil the code nor the account for good: the owner's next mail works.
    let fresh = mailed(&home).await?;
    if fresh != "OK" {
        findings.wrong.push(format!("the owner's own code was refused afterwards: {fresh}"));
    }
    let notes = vec![format!(
        "{attackers} addresses guessed {} passwords in {:.1} s: {let_through} were looked at, {} refused for being too many; {} \
         codes guessed, none right, after which the mailed one is good no more; the owner signed in {logins} times meanwhile, slowest {:.1} s",
        passwords.values().sum::<usize>(),
        started.elapsed().as_secs_f64(),
        count(&passwords, "429"),
        codes.values().sum::<usize>(),
        slowest.as_secs_f64(),
    )];
    Ok(Report { findings, answers_again: None, done_again: [Duration::ZERO, Duration::ZERO], notes })
}

fn count(counts: &Counts, code: &str) -> usize {
    counts.get(code).copied().unwrap_or_default()
}

/// The code of an answer, `OK`, or its status where it has none.
fn outcome(answer: &crate::stand::Answer) -> String {
    if answer.status.is_success() {
        return "OK".to_owned();
    }
    let code =
        serde_json::from_str::<Value>(&answer.text).ok().and_then(|body| Some(body.get("code")?.as_str()?.to_owned()));
    code.unwrap_or_else(|| answer.status.as_u16().to_string())
}

/// Each address tries three times what it may.
async fn guess_passwords(client: &Client, attackers: usize) -> Result<Counts> {
    let guesses = (0..attackers * BY_ADDRESS * 3).map(|number| {
        let attacker = number % attackers;
        let client =
            client.client().with("x-forwarded-for", &format!("198.51.{}.{}", attacker / 250, attacker % 250 + 1));
        async move {
            let body = json!({ "email": OWNER, "password": format!("guess {number}") });
            Ok(outcome(&client.post("/auth/password/sign-in", &body).await?))
        }
    });
    tally(guesses).await
}

/// Somebody has seen the nonce of a code and guesses the six characters that the mail shows. Answers also what became of the
/// code that was mailed.
async fn guess_codes(client: &Client, mails: &MailListener) -> Result<(Counts, String)> {
    let stranger = client.client().with("x-forwarded-for", "198.51.100.250");
    let body = json!({ "email": "target@drill.example", "callback_url": "http://localhost:3000/x" });
    let nonce = text(&stranger.post("/auth/otp/send-sign-in-code", &body).await?.json()?, "nonce")?;
    let guesses = (0..CODES).map(|number| {
        let (stranger, nonce) = (stranger.clone(), nonce.clone());
        async move {
            let body = json!({ "code": format!("{number:06}{nonce}") });
            Ok(outcome(&stranger.post("/auth/otp/sign-in", &body).await?))
        }
    });
    let counts = tally(guesses).await?;
    let code = mailed_code(mails, &nonce).await?;
    Ok((counts, outcome(&stranger.post("/auth/otp/sign-in", &json!({ "code": code })).await?)))
}

/// The whole code of the mail that carries this nonce, the only one that was sent so far.
async fn mailed_code(mails: &MailListener, nonce: &str) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    while mails.count() == 0 {
        ensure!(Instant::now() < deadline, "no mail with a code came");
        sleep(LOOK_EVERY).await;
    }
    // Quoted-printable breaks long lines.
    let mail = String::from_utf8_lossy(&mails.last_content()).replace("=\r\n", "");
    let before = mail.split_once(nonce).context("the mail does not carry the code")?.0;
    let head: String = before.chars().rev().take(6).collect();
    Ok(head.chars().rev().chain(nonce.chars()).collect())
}

async fn tally(guesses: impl Iterator<Item = impl Future<Output = Result<String>>>) -> Result<Counts> {
    let outcomes: Vec<_> = stream::iter(guesses).buffer_unordered(AT_ONCE).collect().await;
    let mut counts = Counts::new();
    for outcome in outcomes {
        *counts.entry(outcome?).or_default() += 1;
    }
    Ok(counts)
}

async fn sign_in(home: &Client) -> Result<()> {
    let answer = home.post("/auth/password/sign-in", &json!({ "email": OWNER, "password": PASSWORD })).await?;
    ensure!(answer.status.is_success(), "the owner was kept out: {} {}", answer.status, answer.text);
    Ok(())
}

/// Whether the owner may ask for a code.
async fn mailed(home: &Client) -> Result<String> {
    let body = json!({ "email": OWNER, "callback_url": "http://localhost:3000/x" });
    Ok(outcome(&home.post("/auth/otp/send-sign-in-code", &body).await?))
}

/// The owner signs in now and then until the attack is over. Answers how often, and how long the slowest took.
async fn live(home: &Client, is_over: &AtomicBool) -> Result<(usize, Duration)> {
    let (mut logins, mut slowest) = (0, Duration::ZERO);
    loop {
        let began = Instant::now();
        sign_in(home).await.context("while others guess")?;
        slowest = slowest.max(began.elapsed());
        logins += 1;
        // Below what one address may try.
        if is_over.load(Ordering::SeqCst) || logins + 4 >= BY_ADDRESS {
            return Ok((logins, slowest));
        }
        sleep(Duration::from_millis(500)).await;
    }
}
