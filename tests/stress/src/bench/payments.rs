//! Items and events of Stripe: what is changed for one customer and for many, and what is taken in, each beside one INSERT with
//! its commit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::Full;
use postern_fake_stripe::sign;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    compare::{Plan, Side, Spread, compare},
    load::{Load, Make},
    report::{Budget, Row},
    scene::{Scene, in_turn, request},
};

/// What signs the events.
pub(crate) const SECRET: &str = "whsec_of-the-bench-alone";
const PATIENCE: Duration = Duration::from_secs(120);
/// Entries of a long ledger.
const ENTRIES: u32 = 1_000_000;
/// Customers who are changed in turn.
const MANY: usize = 5_000;

/// Changes of items, and events taken in.
pub(crate) async fn measure(scene: &Scene, plan: &Plan) -> Result<Vec<Row>> {
    let config = json!({ "payments.items": { "credits": { "customerType": "custom" } } });
    let body = json!({ "config_override_string": config.to_string() });
    scene.stand.client().admin().patch("/internal/config/override/environment", &body).await?.json()?;
    let many = "by +1, without expiry, of 5,000 customers in turn";
    let one = "by +1, without expiry, of one customer: each waits for the one before";
    Ok(vec![
        against_write(scene, plan, "item change, many customers", changes(scene, MANY)?, many)
            .await?
            .budget(Budget::AtLeast(0.4)),
        against_write(scene, plan, "item change, one customer", changes(scene, 1)?, one).await?,
        long_ledger(scene, plan).await?,
        intake(scene, plan).await?,
    ])
}

async fn against_write(scene: &Scene, plan: &Plan, name: &str, load: Load, mix: &str) -> Result<Row> {
    let make = in_turn(scene.by_each(|headers| request(Method::POST, "/write", headers, ""))?);
    let floor = Side { load: Load::new(scene.floor.address, StatusCode::CREATED, "id", make), pid: scene.floor.pid };
    let compared = compare(plan, &floor, &Side { load, pid: scene.pid()? }).await?;
    Ok(Row::ratio(name, compared, mix))
}

/// What a long past costs: changes of a customer with a million entries beside those of one with few.
async fn long_ledger(scene: &Scene, plan: &Plan) -> Result<Row> {
    let database = scene.database().await?;
    let (few, many) = ("short", "long");
    for customer in [few, many] {
        change(scene, customer).await?;
    }
    let id = if database.is_sqlite() { "randomblob(16)" } else { "gen_random_uuid()" };
    let fill = format!(
        "INSERT INTO item_change (id, balance_id, project_id, kind, delta, made_by, created_at) \
         WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {ENTRIES}) \
         SELECT {id}, b.id, b.project_id, 'manual', 1, 'server', n FROM item_balance b, numbers WHERE b.customer_id = '{many}'"
    );
    database.run(&fill).await?;
    let side = |customer: &str| -> Result<Side> {
        Ok(Side { load: changes_of(scene, &[customer.to_owned()])?, pid: scene.pid()? })
    };
    let compared = compare(plan, &side(few)?, &side(many)?).await?;
    let notes = "the ratio is to one with a few entries, by turns";
    Ok(Row::ratio("item change of a customer with 1,000,000 entries", compared, notes))
}

async fn change(scene: &Scene, customer: &str) -> Result<()> {
    let path = format!("/payments/items/custom/{customer}/credits/update-quantity?allow_negative=true");
    scene.stand.client().server().post(&path, &json!({ "delta": 1 })).await?.json().map(drop)
}

/// How many events are taken in. Not beside a floor, which would be measured while the events of the turn before are worked off.
async fn intake(scene: &Scene, plan: &Plan) -> Result<Row> {
    let (load, database) = (events(scene)?, scene.database().await?);
    let mut rates = Vec::new();
    for _ in 0..plan.rounds {
        rates.push(load.run(plan.connections, plan.slice).await?.per_second());
        let deadline = Instant::now() + PATIENCE;
        while database.number("SELECT count(*) FROM stripe_event WHERE state = 'waiting'").await? > 0 {
            ensure!(Instant::now() < deadline, "the events are not worked off");
            sleep(Duration::from_millis(100)).await;
        }
    }
    let notes = "verified, kept with its job, and worked off beside that: of no connected account, so nothing is asked of Stripe; \
        each round waits until all are worked off";
    Ok(Row::plain("events of Stripe taken in", Spread::of(rates).context("no round")?, "/s", notes))
}

fn changes(scene: &Scene, customers: usize) -> Result<Load> {
    changes_of(scene, &(0..customers).map(|number| format!("customer-{number}")).collect::<Vec<_>>())
}

fn changes_of(scene: &Scene, customers: &[String]) -> Result<Load> {
    let headers = scene.server_headers(&scene.stand.project)?;
    let body = json!({ "delta": 1 }).to_string();
    let requests = customers.iter().map(|customer| {
        let path = format!("/api/v1/payments/items/custom/{customer}/credits/update-quantity?allow_negative=true");
        request(Method::POST, &path, &headers, body.clone())
    });
    Ok(Load::new(scene.address()?, StatusCode::OK, "{}", in_turn(requests.collect::<Result<_>>()?)))
}

fn events(scene: &Scene) -> Result<Load> {
    let mut headers = HeaderMap::new();
    headers.insert("host", scene.address()?.to_string().parse()?);
    headers.insert("content-type", "application/json".parse()?);
    let (run, next) = (uuid::Uuid::new_v4().simple(), AtomicU64::new(0));
    let make: Make = Arc::new(move |_| {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let event = json!({
            "id": format!("evt_{run}{number}"), "object": "event", "type": "customer.subscription.updated",
            "data": { "object": { "id": "sub_1", "object": "subscription", "customer": "cus_1", "metadata": { "x": "y".repeat(500) } } },
        });
        let body = event.to_string();
        let mut headers = headers.clone();
        headers.insert("stripe-signature", sign(body.as_bytes(), SECRET, chrono::Utc::now().timestamp()).parse()?);
        Ok(request(Method::POST, "/api/v1/integrations/stripe/webhooks", &headers, body)?.map(Full::new))
    });
    Ok(Load::new(scene.address()?, StatusCode::OK, "received", make))
}
