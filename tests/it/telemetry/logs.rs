//! The log of a process.

use serde_json::{Value, json};

use crate::support::{client::Keys, process::Process};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const EMAIL: &str = "ada.lovelace@example.com";
const PASSWORD: &str = "correct horse battery";

/// A request in a caller's trace that sends a mail. Answers its id.
async fn work(process: &Process) -> String {
    let client = process.rest().client().with("traceparent", &format!("00-{TRACE_ID}-00f067aa0ba902b7-01"));
    let sign_up = json!({"email": EMAIL, "password": PASSWORD, "verification_callback_url": process.url});
    let answer = client.post("/auth/password/sign-up", sign_up).await;
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

#[tokio::test]
async fn json_logs_name_request_job_and_trace_on_every_line() {
    let settings = [("POSTERN_LOG_FORMAT", "json"), ("POSTERN_LOG", "info,postern_gateway=debug,postern_worker=debug")];
    let process = Process::start(&settings).await;
    let request_id = work(&process).await;
    mail_is_caught(&process).await;
    let (keys, log) = (process.demo.clone(), process.stop().await);
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
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
    let request_id = work(&process).await;
    mail_is_caught(&process).await;
    let (keys, log) = (process.demo.clone(), process.stop().await);
    let answered = log.lines().find(|line| line.contains(&request_id)).unwrap();
    let place = "http.request.method=POST http.route=\"/api/v1/auth/password/sign-up\"";
    assert!(answered.contains(place) && answered.contains(&format!("trace_id={TRACE_ID}")), "{answered}");
    assert!(answered.contains(": answered"), "{answered}");
    assert!(!log.contains('\u{1b}') && !log.contains("otel."), "{log}");
    tells_no_secrets(&keys, &log);
}
