//! The log of a process.

use postern_domain::{
    ports::mail::Encryption,
    time::{Clock, SystemClock},
};
use serde_json::{Value, json};

use super::{
    exposition::Exposition,
    installation::{Installation, REFUSAL, roles, stop_all},
};
#[cfg(feature = "svix")]
use crate::support::svix::SvixServer;
use crate::support::{
    client::{Client, Keys},
    free_address, on_postgres,
    process::Process,
    receiver::{Answer, Receiver},
    redis::PrivateRedis,
    smtp::{Fault, SmtpServer, Step, Tls},
};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const EMAIL: &str = "ada.lovelace@example.com";
const PASSWORD: &str = "correct horse battery";
const JSON: (&str, &str) = ("POSTERN_LOG_FORMAT", "json");
/// What is logged names request, job and trace, however little that is.
const LITTLE: (&str, &str) = ("POSTERN_LOG", "warn");

/// The same client within a caller's trace.
fn traced(client: &Client) -> Client {
    client.with("traceparent", &format!("00-{TRACE_ID}-00f067aa0ba902b7-01"))
}

/// A request in a caller's trace that sends a mail. Answers its id.
async fn work(client: &Client, url: &str) -> String {
    let sign_up = json!({"email": EMAIL, "password": PASSWORD, "verification_callback_url": url});
    let answer = traced(&client.client()).post("/auth/password/sign-up", sign_up).await;
    let request_id = answer.headers["x-stack-request-id"].to_str().unwrap().to_owned();
    answer.json(200);
    request_id
}

/// Until the mail's job is over.
async fn mail_is_caught(process: &Process) {
    for _ in 0..600 {
        let metrics = reqwest::get(format!("{}/metrics", process.admin_url)).await.unwrap().text().await.unwrap();
        if metrics.contains("postern_jobs_total{kind=\"send_email\",outcome=\"done\"}") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no mail was caught");
}

fn tells_no_secrets(keys: &Keys, log: &str) {
    for secret in [EMAIL, PASSWORD, &keys.client, &keys.server, &keys.admin, "127.0.0.1", "eyJ"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} is in the log: {line:?}");
    }
}

fn parsed(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

/// The first line with this message.
fn line<'a>(lines: &'a [Value], message: &str) -> &'a Value {
    lines.iter().find(|line| line["message"] == message).unwrap_or_else(|| panic!("no {message} in {lines:#?}"))
}

/// The lines with this message about this endpoint.
fn lines_about<'a>(lines: &'a [Value], endpoint_id: &str, message: &str) -> Vec<&'a Value> {
    let is_such = |line: &&Value| line["endpoint.id"] == endpoint_id && line["message"] == message;
    let found: Vec<_> = lines.iter().filter(is_such).collect();
    assert!(!found.is_empty(), "no {message} in {lines:#?}");
    found
}

/// Registers an endpoint. Answers its id.
async fn endpoint(client: &Client, url: &str) -> String {
    let query = "mutation($url: String!) { createWebhookEndpoint(input: {url: $url}) { webhookEndpoint { id } } }";
    let made = client.admin().graphql(query, json!({ "url": url })).await.json(200);
    let id = &made["data"]["createWebhookEndpoint"]["webhookEndpoint"]["id"];
    id.as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

/// Checks that a line is a warning of a job, in the caller's trace.
fn is_warning_of(job_kind: &str, line: &Value) {
    assert_eq!((&line["level"], &line["trace_id"]), (&json!("WARN"), &json!(TRACE_ID)), "{line}");
    assert_eq!(line["job.kind"], job_kind, "{line}");
    assert!(line["job.id"].is_string(), "{line}");
}

/// The one line that says that something is wrong with the request.
fn complaint<'a>(lines: &'a [Value], request_id: &str) -> &'a Value {
    let is_complaint = |line: &&Value| line["level"] == "WARN" || line["level"] == "ERROR";
    let found: Vec<_> = lines.iter().filter(|line| line["request.id"] == request_id).filter(is_complaint).collect();
    assert_eq!(found.len(), 1, "{request_id}: {lines:#?}");
    found[0]
}

#[tokio::test]
async fn json_logs_name_request_job_and_trace_on_every_line() {
    let settings = [JSON, ("POSTERN_LOG", "info,postern_gateway=debug,postern_worker=debug")];
    let process = Process::start(&settings).await;
    let request_id = work(&process.rest(), &process.url).await;
    mail_is_caught(&process).await;
    let (keys, log) = (process.demo.clone(), process.stop().await);
    let lines = parsed(&log);
    for line in &lines {
        for member in ["timestamp", "level", "target", "message"] {
            assert!(line[member].is_string(), "{line}");
        }
        assert!(line.as_object().unwrap().keys().all(|name| !name.starts_with("otel.")), "{line}");
    }
    let answered = lines.iter().find(|line| line["request.id"] == request_id.as_str()).unwrap();
    assert_eq!(answered["message"], "answered");
    assert_eq!(answered["trace_id"], TRACE_ID);
    assert_eq!(answered["http.request.method"], "POST");
    assert_eq!(answered["http.route"], "/api/v1/auth/password/sign-up");
    let done = lines.iter().find(|line| line["job.kind"] == "send_email" && line["message"] == "a job ended").unwrap();
    assert!(done["job.id"].is_string(), "{done}");
    // The job runs in the trace of the request that caused it, though nobody records traces here.
    assert_eq!(done["trace_id"], TRACE_ID);
    tells_no_secrets(&keys, &log);
}

#[tokio::test]
async fn text_logs_are_for_people_and_the_default() {
    let process = Process::start(&[("POSTERN_LOG", "info,postern_gateway=debug,postern_worker=debug")]).await;
    let request_id = work(&process.rest(), &process.url).await;
    mail_is_caught(&process).await;
    let (keys, log) = (process.demo.clone(), process.stop().await);
    let answered = log.lines().find(|line| line.contains(&request_id)).unwrap();
    let place = "http.request.method=POST http.route=\"/api/v1/auth/password/sign-up\"";
    assert!(answered.contains(place) && answered.contains(&format!("trace_id={TRACE_ID}")), "{answered}");
    assert!(answered.contains(": answered"), "{answered}");
    assert!(!log.contains('\u{1b}') && !log.contains("otel."), "{log}");
    tells_no_secrets(&keys, &log);
}

#[tokio::test]
async fn a_job_that_fails_is_a_warning_with_its_id_and_the_trace_of_its_cause() {
    let installation = Installation::new(&[JSON]).await;
    // Putting a mail into the outbox adds a row; sending it changes that.
    installation.refuse("UPDATE", "email").await;
    let members = installation.start_all().await;
    work(&installation.rest(), &installation.url).await;
    let failed = [("kind", "send_email"), ("outcome", "retry")];
    let has_failed = |found: &Exposition| found.value("postern_jobs_total", &failed) >= Some(1.0);
    Exposition::until(&members.last().unwrap().admin_url, "a job that failed", has_failed).await;
    let log = stop_all(members).await;
    let lines = parsed(&log);
    let failed = line(&lines, "a job failed");
    assert_eq!((&failed["level"], &failed["trace_id"]), (&json!("WARN"), &json!(TRACE_ID)), "{failed}");
    assert_eq!((&failed["job.kind"], &failed["attempt"]), (&json!("send_email"), &json!(1)), "{failed}");
    assert!(failed["job.id"].is_string(), "{failed}");
    assert!(failed["reason"].as_str().unwrap().contains(REFUSAL), "{failed}");
    tells_no_secrets(&installation.demo, &log);
}

#[tokio::test]
async fn a_mail_that_its_server_refuses_is_a_warning_with_job_and_trace() {
    let server = SmtpServer::start(Tls::None).await;
    server.misbehave(Step::Rcpt, Fault::Reply("550 5.1.1 nobody of that name"));
    let smtp = format!("smtp://localhost:{}?tls=none", server.as_server(Encryption::Plain).port);
    let installation = Installation::new(&[JSON, ("POSTERN_SMTP_URL", smtp.as_str())]).await;
    let members = installation.start_all().await;
    work(&installation.rest(), &installation.url).await;
    let has_failed = |found: &Exposition| found.value("postern_mails_total", &[("outcome", "failed")]) == Some(1.0);
    Exposition::until(&members.last().unwrap().admin_url, "a mail that failed", has_failed).await;
    let log = stop_all(members).await;
    let lines = parsed(&log);
    let refused = line(&lines, "a mail server did not take a mail");
    assert_eq!((&refused["level"], &refused["trace_id"]), (&json!("WARN"), &json!(TRACE_ID)), "{refused}");
    assert_eq!(refused["job.kind"], "send_email");
    for id in ["job.id", "email.id"] {
        assert!(refused[id].is_string(), "{refused}");
    }
    tells_no_secrets(&installation.demo, &log);
}

#[tokio::test]
async fn a_request_that_fails_by_our_fault_is_one_error_with_its_id_and_trace() {
    let installation = Installation::new(&[JSON, LITTLE]).await;
    installation.refuse("INSERT", "user").await;
    let doors = installation.start(roles()[0]).await;
    let server = traced(&installation.rest().server());
    let answer = server.post("/users", json!({})).await;
    let by_rest = answer.header("x-stack-request-id");
    assert!(!answer.refused_with_text(500).contains(REFUSAL));
    let mutation = "mutation { createUser(input: {}) { user { id } } }";
    let answer = server.graphql(mutation, json!({})).await.json(200);
    let by_graphql = answer["errors"][0]["extensions"]["requestId"].as_str().unwrap();
    assert!(!answer.to_string().contains(REFUSAL), "{answer}");

    let log = doors.stop().await;
    let lines = parsed(&log);
    let rest = complaint(&lines, &by_rest);
    assert_eq!(
        (&rest["message"], &rest["http.route"]),
        (&json!("a request failed"), &json!("/api/v1/users")),
        "{rest}"
    );
    let graphql = complaint(&lines, by_graphql);
    assert_eq!(graphql["message"], "a GraphQL field failed", "{graphql}");
    assert_eq!(graphql["graphql.operation"], "mutation createUser", "{graphql}");
    for line in [rest, graphql] {
        assert_eq!((&line["level"], &line["trace_id"]), (&json!("ERROR"), &json!(TRACE_ID)), "{line}");
        assert!(line["error"].as_str().unwrap().contains(REFUSAL), "{line}");
    }
    tells_no_secrets(&installation.demo, &log);
}

#[tokio::test]
async fn a_request_without_a_database_is_one_warning_with_its_id_and_trace() {
    let installation = Installation::new(&[JSON]).await;
    let doors = installation.start(roles()[0]).await;
    let server = traced(&installation.rest().server());
    let answer = installation.without_database(server.post("/users", json!({}))).await;
    let request_id = answer.header("x-stack-request-id");
    assert!(answer.refused_with_text(503).contains("Try again"));
    let log = doors.stop().await;
    let lines = parsed(&log);
    let told = complaint(&lines, &request_id);
    assert_eq!(told["message"], "a request could not be served: the database is out of reach");
    assert_eq!((&told["level"], &told["trace_id"]), (&json!("WARN"), &json!(TRACE_ID)), "{told}");
    assert!(told["error"].is_string(), "{told}");
    tells_no_secrets(&installation.demo, &log);
}

/// Takes as long as a request may: its body never comes.
#[tokio::test]
async fn a_request_that_takes_too_long_is_one_warning_with_its_id_and_trace() {
    let installation = Installation::new(&[JSON]).await;
    let doors = installation.start(roles()[0]).await;
    let answer = traced(&installation.rest().server()).post_endlessly("/users").await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    let request_id = answer.header("x-stack-request-id");
    let log = doors.stop().await;
    let lines = parsed(&log);
    let told = complaint(&lines, &request_id);
    assert_eq!(told["message"], "a request took too long and was cut off");
    assert_eq!((&told["level"], &told["trace_id"]), (&json!("WARN"), &json!(TRACE_ID)), "{told}");
    assert_eq!(told["http.route"], "/api/v1/users", "{told}");
    tells_no_secrets(&installation.demo, &log);
}

/// Only where the database waits for longer than an operation may: SQLite gives up at the same time.
#[tokio::test]
async fn a_graphql_operation_that_takes_too_long_is_one_warning_with_its_id_and_trace() {
    if !on_postgres() {
        return;
    }
    let installation = Installation::new(&[JSON]).await;
    let doors = installation.start(roles()[0]).await;
    let held = installation.hold("user").await;
    let mutation = "mutation { createUser(input: {}) { user { id } } }";
    let answer = traced(&installation.rest().server()).graphql(mutation, json!({})).await;
    held.release().await;
    let request_id = answer.header("x-stack-request-id");
    assert_eq!(answer.json(504)["errors"][0]["extensions"]["code"], "TIMEOUT");
    let log = doors.stop().await;
    let lines = parsed(&log);
    let told = complaint(&lines, &request_id);
    assert_eq!(told["message"], "a GraphQL operation took too long and was cut off");
    assert_eq!((&told["level"], &told["trace_id"]), (&json!("WARN"), &json!(TRACE_ID)), "{told}");
    assert_eq!(told["graphql.operation"], "mutation createUser", "{told}");
    tells_no_secrets(&installation.demo, &log);
}

#[tokio::test]
async fn a_webhook_that_is_not_taken_is_one_warning_an_attempt_with_job_and_trace() {
    const MESSAGE: &str = "a webhook endpoint did not take a message";
    let installation = Installation::new(&[JSON, LITTLE]).await;
    let members = installation.start_all().await;
    let receiver = Receiver::always(Answer::Status(500)).await;
    let refusing = endpoint(&installation.rest(), &receiver.url()).await;
    let absent = endpoint(&installation.rest(), &format!("http://{}/hook", free_address())).await;
    traced(&installation.rest().server()).post("/users", json!({})).await.json(201);
    let is_told = |log: &str, id: &str| log.lines().any(|line| line.contains(MESSAGE) && line.contains(id));
    let wanted = |log: &String| is_told(log, &refusing) && is_told(log, &absent);
    members.last().unwrap().until_logged("attempts that failed", wanted).await;
    let log = stop_all(members).await;
    let lines = parsed(&log);
    for (id, outcome, status) in [(&refusing, "refused", json!(500)), (&absent, "unreachable", Value::Null)] {
        // By the time that all is stopped a second one may have been made.
        for (number, told) in lines_about(&lines, id, MESSAGE).into_iter().enumerate() {
            is_warning_of("deliver_webhook_line", told);
            assert_eq!((&told["outcome"], &told["http.response.status_code"]), (&json!(outcome), &status), "{told}");
            assert_eq!(told["delivery.attempt"], json!(number + 1), "{told}");
            assert!(told["message.id"].is_string(), "{told}");
        }
    }
    assert_eq!(lines_about(&lines, &refusing, MESSAGE).len(), receiver.received().len());
    tells_no_secrets(&installation.demo, &log);
}

#[tokio::test]
async fn an_endpoint_that_is_disabled_is_a_warning_with_the_job_and_the_trace_of_the_message() {
    const MESSAGE: &str = "a webhook endpoint was disabled";
    const DAY_SECONDS: i64 = 24 * 60 * 60;
    let installation = Installation::new(&[JSON]).await;
    let members = installation.start_all().await;
    let closing = Receiver::always(Answer::Close).await;
    let failing = endpoint(&installation.rest(), &closing.url()).await;
    // As if nobody had been found there for six days, and lately four times in a row: one more opens the breaker.
    let since = SystemClock.now().plus_seconds(-6 * DAY_SECONDS).millis();
    installation.execute(&format!("UPDATE webhook_endpoint SET failing_since = {since}, misses = 4")).await;
    let leaving = Receiver::always(Answer::Status(410)).await;
    let gone = endpoint(&installation.rest(), &leaving.url()).await;
    traced(&installation.rest().server()).post("/users", json!({})).await.json(201);
    let are_told = |log: &String| log.lines().filter(|line| line.contains(MESSAGE)).count() == 2;
    members.last().unwrap().until_logged("endpoints that were disabled", are_told).await;
    let log = stop_all(members).await;
    let lines = parsed(&log);
    for (id, reason) in [(&failing, "failing"), (&gone, "gone")] {
        let told = lines_about(&lines, id, MESSAGE);
        assert_eq!(told.len(), 1, "{told:#?}");
        is_warning_of("deliver_webhook_line", told[0]);
        assert_eq!(told[0]["reason"], reason);
    }
    tells_no_secrets(&installation.demo, &log);
}

#[cfg(feature = "svix")]
#[tokio::test]
async fn an_event_that_the_svix_server_does_not_take_is_a_warning_with_job_and_trace() {
    let server = SvixServer::start("the-token-it-takes").await;
    let url = server.url();
    let settings = [JSON, ("POSTERN_SVIX_URL", url.as_str()), ("POSTERN_SVIX_TOKEN", "the-token-we-have")];
    let installation = Installation::new(&settings).await;
    let members = installation.start_all().await;
    traced(&installation.rest().server()).post("/users", json!({})).await.json(201);
    // The project `internal` has events of its own, which nobody asked for.
    let is_ours = |line: &str| line.contains("a job failed") && line.contains(TRACE_ID);
    let is_told = |log: &String| log.lines().any(is_ours);
    members.last().unwrap().until_logged("event that was not taken", is_told).await;
    let log = stop_all(members).await;
    let lines = parsed(&log);
    let told = lines.iter().find(|line| line["message"] == "a job failed" && line["trace_id"] == TRACE_ID).unwrap();
    is_warning_of("send_to_svix", told);
    assert!(told["reason"].as_str().unwrap().contains("answered 401"), "{told}");
    assert!(!log.contains("the-token-we-have"), "{log}");
    tells_no_secrets(&installation.demo, &log);
}

#[tokio::test]
async fn a_redis_that_refuses_is_told_from_one_that_is_away() {
    if !on_postgres() {
        return;
    }
    let mut redis = PrivateRedis::start("the-password-we-know").await;
    let installation = Installation::new(&[JSON, ("POSTERN_REDIS_URL", redis.url().as_str())]).await;
    let members = installation.start_all().await;
    let until_told = async |up: f64, refuses: f64, remark: &str| {
        let is_told = |found: &Exposition| {
            let value = |name: &str| found.value(name, &[]);
            (value("postern_redis_up"), value("postern_redis_refuses")) == (Some(up), Some(refuses))
        };
        for member in &members {
            Exposition::until(&member.admin_url, &format!("Redis told as {up} and {refuses}"), is_told).await;
            let ready = reqwest::get(format!("{}/readyz", member.admin_url)).await.unwrap();
            assert_eq!(ready.status(), 200);
            let said = ready.text().await.unwrap();
            assert!(said.starts_with(remark), "{said}");
        }
    };
    until_told(1.0, 0.0, "ok\n").await;
    redis.kill();
    until_told(0.0, 0.0, "ok, but Redis is away").await;
    redis.start_again_with("another-password").await;
    until_told(0.0, 1.0, "ok, but Redis refuses us").await;
    redis.kill();
    redis.start_again().await;
    until_told(1.0, 0.0, "ok\n").await;
    // A right that is taken away: it ends the connection of whoever listens.
    redis.command(&["ACL", "SETUSER", "default", "resetchannels"]);
    until_told(0.0, 1.0, "ok, but Redis refuses us").await;
    redis.command(&["ACL", "SETUSER", "default", "allchannels"]);
    until_told(1.0, 0.0, "ok\n").await;

    let count = members.len();
    let log = stop_all(members).await;
    let lines = parsed(&log);
    let refused = "Redis refuses us: everything goes on, more slowly; trying again";
    let refused: Vec<_> = lines.iter().filter(|line| line["message"] == refused).collect();
    assert_eq!(refused.len(), 2 * count, "{lines:#?}");
    assert!(refused.iter().all(|line| line["level"] == "WARN" && line["why"].is_string()), "{refused:#?}");
    for password in ["the-password-we-know", "another-password"] {
        assert!(!log.contains(password), "{log}");
    }
}
