//! The fake over HTTP, as any client of Stripe's would call it.

// Helpers outside test functions unwrap as tests do; clippy knows by this that they are tests.
#![cfg(test)]

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use postern_fake_stripe::{FakeStripe, Fault};
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// What was answered.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    is_replayed: bool,
    body: Value,
}

/// Headers besides the key of the installation.
type Headers<'a> = &'a [(&'a str, &'a str)];

async fn call(fake: &FakeStripe, target: &str, headers: Headers<'_>, body: &str) -> Result<Answer, hyper::Error> {
    let address = fake.url().strip_prefix("http://").unwrap().to_owned();
    let stream = TcpStream::connect(&address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (method, path) = target.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path).header("host", address);
    if !headers.iter().any(|(name, _)| *name == "authorization") {
        request = request.header("authorization", format!("Bearer {}", fake.secret_key()));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = sender.send_request(request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()).await?;
    let status = response.status().as_u16();
    let is_replayed = response.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
    let body = response.into_body().collect().await?.to_bytes();
    Ok(Answer { status, is_replayed, body: serde_json::from_slice(&body).unwrap() })
}

async fn good(fake: &FakeStripe, target: &str, headers: Headers<'_>, body: &str) -> Value {
    let answer = call(fake, target, headers, body).await.unwrap();
    assert_eq!(answer.status, 200, "{target}: {}", answer.body);
    answer.body
}

#[tokio::test]
async fn only_the_key_opens_it_and_accounts_are_apart() {
    let fake = FakeStripe::start().await.unwrap();
    for authorization in ["Bearer sk_test_other", "Basic abc", ""] {
        let answer = call(&fake, "GET /v1/customers", &[("authorization", authorization)], "").await.unwrap();
        assert_eq!((answer.status, &answer.body["error"]["type"]), (401, &json!("invalid_request_error")));
    }
    let (one, other) = (fake.account(&[("tenancyId", "t1")]), fake.account(&[]));
    assert_eq!(
        good(&fake, &format!("GET /v1/accounts/{one}"), &[], "").await["metadata"],
        json!({ "tenancyId": "t1" })
    );
    let made = good(&fake, "POST /v1/customers", &[("stripe-account", &one)], "metadata[a]=b").await;
    let path = format!("GET /v1/customers/{}", made["id"].as_str().unwrap());
    assert_eq!(good(&fake, &path, &[("stripe-account", &one)], "").await, made);
    for (account, status, code) in [
        (other.as_str(), 404, "resource_missing"),
        ("acct_platform", 404, "resource_missing"),
        ("acct_x", 403, "account_invalid"),
    ] {
        let answer = call(&fake, &path, &[("stripe-account", account)], "").await.unwrap();
        assert_eq!((answer.status, &answer.body["error"]["code"]), (status, &json!(code)), "{account}");
    }
    assert_eq!(fake.requests().last().unwrap().status, Some(403));
}

#[tokio::test]
async fn a_key_replays_its_first_answer_for_a_day() {
    let fake = FakeStripe::start().await.unwrap();
    fake.set_now(1_800_000_000);
    let account = fake.account(&[]);
    let headers = [("stripe-account", account.as_str()), ("idempotency-key", "k1")];
    let first = call(&fake, "POST /v1/customers", &headers, "metadata[a]=1&metadata[b]=2").await.unwrap();
    assert!(!first.is_replayed);
    let again = call(&fake, "POST /v1/customers", &headers, "metadata[b]=2&metadata[a]=1").await.unwrap();
    assert_eq!(again, Answer { is_replayed: true, ..first });
    for (target, body) in
        [("POST /v1/customers", "metadata[a]=2"), ("POST /v1/products", "metadata[a]=1&metadata[b]=2")]
    {
        let other = call(&fake, target, &headers, body).await.unwrap();
        assert_eq!((other.status, &other.body["error"]["type"]), (400, &json!("idempotency_error")));
    }
    // Another account's keys are its own.
    let elsewhere = fake.account(&[]);
    let theirs = [("stripe-account", elsewhere.as_str()), ("idempotency-key", "k1")];
    assert!(!call(&fake, "POST /v1/customers", &theirs, "").await.unwrap().is_replayed);
    fake.advance(86_400);
    assert!(!call(&fake, "POST /v1/customers", &headers, "").await.unwrap().is_replayed);
    assert_eq!(fake.objects(&account, "customer").len(), 2);
}

#[tokio::test]
async fn refusals_replay_too_but_what_never_began_does_not() {
    let fake = FakeStripe::start().await.unwrap();
    let headers = [("idempotency-key", "k1")];
    let body = "amount=10&currency=usd";
    let small = call(&fake, "POST /v1/payment_intents", &headers, body).await.unwrap();
    assert_eq!((small.status, &small.body["error"]["code"]), (400, &json!("amount_too_small")));
    assert!(call(&fake, "POST /v1/payment_intents", &headers, body).await.unwrap().is_replayed);
    let headers = [("idempotency-key", "k2")];
    fake.fail_next("POST", "/v1/payment_intents", Fault::Status(429));
    let body = "amount=100&currency=usd";
    let limited = call(&fake, "POST /v1/payment_intents", &headers, body).await.unwrap();
    assert_eq!((limited.status, &limited.body["error"]["code"]), (429, &json!("rate_limit")));
    assert!(!call(&fake, "POST /v1/payment_intents", &headers, body).await.unwrap().is_replayed);
}

#[tokio::test]
async fn faults_meet_one_call_each_and_may_come_after_the_deed() {
    let fake = FakeStripe::start().await.unwrap();
    fake.fail_next("POST", "/v1/customers", Fault::DropAfterDoing);
    fake.fail_next("POST", "/v1/customers", Fault::Drop);
    fake.fail_next("POST", "/v1/customers", Fault::StatusAfterDoing(500));
    good(&fake, "GET /v1/customers", &[], "").await;
    let make = async |key: &str| call(&fake, "POST /v1/customers", &[("idempotency-key", key)], "").await;
    assert!(make("k1").await.is_err());
    assert!(make("k2").await.is_err());
    assert_eq!(make("k3").await.unwrap().status, 500);
    for (key, is_replayed) in [("k1", true), ("k2", false), ("k3", true)] {
        assert_eq!(make(key).await.unwrap().is_replayed, is_replayed, "{key}");
    }
    let statuses: Vec<_> = fake.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [Some(200), None, None, Some(500), Some(200), Some(200), Some(200)]);
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_done_and_its_key_is_in_use_until_then() {
    let fake = FakeStripe::start().await.unwrap();
    fake.set_latency(Duration::from_millis(400));
    let headers = [("idempotency-key", "k1")];
    let waited =
        tokio::time::timeout(Duration::from_millis(100), call(&fake, "POST /v1/customers", &headers, "")).await;
    assert!(waited.is_err());
    let meanwhile = call(&fake, "POST /v1/customers", &headers, "").await.unwrap();
    assert_eq!((meanwhile.status, &meanwhile.body["error"]["code"]), (409, &json!("idempotency_key_in_use")));
    while fake.take_events().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(call(&fake, "POST /v1/customers", &headers, "").await.unwrap().is_replayed);
}

#[tokio::test]
async fn nested_forms_make_subscriptions_and_expand_shows_more() {
    let fake = FakeStripe::start().await.unwrap();
    let customer = good(&fake, "POST /v1/customers", &[], "").await["id"].as_str().unwrap().to_owned();
    let product = good(&fake, "POST /v1/products", &[], "name=Pro").await["id"].as_str().unwrap().to_owned();
    let body = format!(
        "customer={customer}&items[0][price_data][currency]=usd&items[0][price_data][product]={product}\
         &items[0][price_data][unit_amount]=500&items[0][price_data][recurring][interval]=month&items[0][quantity]=2\
         &payment_behavior=default_incomplete&expand[]=latest_invoice.payments&expand[]=items.data.price.product"
    );
    let made = good(&fake, "POST /v1/subscriptions", &[], &body).await;
    assert_eq!(
        (&made["status"], &made["items"]["data"][0]["price"]["product"]["name"]),
        (&json!("incomplete"), &json!("Pro"))
    );
    let invoice = &made["latest_invoice"];
    assert_eq!((&invoice["amount_due"], &invoice["payments"]["data"][0]["status"]), (&json!(1000), &json!("open")));
    assert!(invoice.get("confirmation_secret").is_none() && made["customer"] == json!(customer));
    let query = format!("GET /v1/invoices?customer={customer}&expand[]=data.confirmation_secret&limit=1");
    let listed = good(&fake, &query, &[], "").await;
    assert_eq!(listed["data"][0]["confirmation_secret"]["type"], "payment_intent");

    let wrong = call(&fake, &format!("GET /v1/customers/{customer}?expand[]=pets"), &[], "").await.unwrap();
    assert_eq!((wrong.status, &wrong.body["error"]["type"]), (400, &json!("invalid_request_error")));
    let wrong = call(&fake, "POST /v1/customers", &[], "nmae=x").await.unwrap();
    assert_eq!((wrong.status, &wrong.body["error"]["code"]), (400, &json!("parameter_unknown")));
    assert_eq!(call(&fake, "GET /v1/pets", &[], "").await.unwrap().status, 404);
    assert_eq!(call(&fake, "POST /v1/customers", &[], "a[b=1").await.unwrap().status, 400);
}

#[tokio::test]
async fn changes_tell_what_was_before() {
    let fake = FakeStripe::start().await.unwrap();
    let account = fake.account(&[]);
    fake.enable_charges(&account).unwrap();
    let headers = [("stripe-account", account.as_str()), ("idempotency-key", "k1")];
    let id = good(&fake, "POST /v1/customers", &headers, "metadata[a]=1&metadata[b]=2").await["id"].clone();
    let path = format!("POST /v1/customers/{}", id.as_str().unwrap());
    good(&fake, &path, &headers[..1], "metadata[a]=&metadata[c]=3").await;
    let events = fake.take_events();
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["account.updated", "customer.created", "customer.updated"]);
    assert_eq!(events[1]["request"]["idempotency_key"], "k1");
    let updated = &events[2]["data"];
    assert_eq!(updated["object"]["metadata"], json!({ "b": "2", "c": "3" }));
    assert_eq!(updated["previous_attributes"], json!({ "metadata": { "a": "1", "b": "2" } }));
    assert!(events.iter().all(|event| event["account"] == json!(account) && event["livemode"] == false));
    assert_eq!((fake.take_events(), fake.events(&account)), (vec![], events));
    let listed = good(&fake, "GET /v1/events?type=customer.created", &headers[..1], "").await;
    assert_eq!((listed["data"].as_array().unwrap().len(), listed["data"][0].get("account")), (1, None));
}

#[tokio::test]
async fn scripts_do_by_http_what_tests_do_by_methods() {
    let fake = FakeStripe::start().await.unwrap();
    let control = async |name: &str, arguments: Value| {
        call(&fake, &format!("POST /_control/{name}"), &[("authorization", "none")], &arguments.to_string())
            .await
            .unwrap()
    };
    let account = control("account", json!({ "metadata": { "tenancyId": "t1" } })).await.body["id"].clone();
    control("enable_charges", json!({ "account": account })).await;
    control("set_now", json!({ "at": 1_800_000_000 })).await;
    control("advance", json!({ "seconds": 5 })).await;
    let headers = [("stripe-account", account.as_str().unwrap())];
    let intent = good(&fake, "POST /v1/payment_intents", &headers, "amount=100&currency=usd").await;
    assert_eq!(intent["created"], 1_800_000_005);
    let paid = control("pay_intent", json!({ "account": account, "id": intent["id"] })).await;
    assert_eq!((paid.status, &paid.body["status"]), (200, &json!("succeeded")));
    let again = control("pay_intent", json!({ "account": account, "id": intent["id"] })).await;
    assert_eq!((again.status, &again.body["error"]["code"]), (400, &json!("payment_intent_unexpected_state")));
    assert_eq!(control("take_events", json!({})).await.body.as_array().unwrap().len(), 4);
    control("fail_next", json!({ "method": "GET", "path": "/v1/charges", "fault": "status", "status": 503 })).await;
    let charge = format!("GET /v1/charges/{}", paid.body["latest_charge"].as_str().unwrap());
    assert_eq!(call(&fake, &charge, &headers, "").await.unwrap().status, 503);
    assert_eq!(control("requests", json!({})).await.body[1]["status"], 503);
    assert_eq!(control("no_such_thing", json!({})).await.status, 404);
}
