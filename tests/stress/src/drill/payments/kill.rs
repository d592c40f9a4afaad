//! kill -9 of the gateways and of the workers in turn, or of the one process, every few seconds, while customers buy and
//! subscribe, and the events of that are posted shuffled, each several times, until each was answered. Stripe fails now and
//! then. In the end everybody must have exactly what was paid for, and one receipt for each payment.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, stream};
use postern_fake_stripe::{FakeStripe, Fault, sign};
use rand::{SeedableRng, rngs::SmallRng, seq::SliceRandom};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    drill::{
        Scale,
        check::Findings,
        readback::{patiently, text},
        scene::{Report, conclude},
    },
    stand::{Client, Plan, Shape, Stand},
};

const SECRET: &str = "whsec_of-the-drill-alone";
/// Packs that each customer buys, and coins in each.
const PACKS: i64 = 3;
const COINS: i64 = 10;
const CREDITS: i64 = 100;
/// How often each event is posted.
const TIMES: usize = 3;
/// How many posts are under way.
const AT_ONCE: usize = 8;
/// How long what was told may take after the last kill, and some more for the retries that Stripe's faults cost.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(300);
const BEFORE_REPEAT: Duration = Duration::from_millis(100);

pub(in crate::drill) async fn run(scale: Scale, shape: Shape) -> Result<Report> {
    let stripe = FakeStripe::start().await?;
    let plan = Plan::new(shape)
        .set("POSTERN_STRIPE_SECRET_KEY", stripe.secret_key())
        .set("POSTERN_STRIPE_API_BASE", stripe.url())
        .set("POSTERN_STRIPE_WEBHOOK_SECRET", SECRET);
    let mut stand = Stand::start(&plan).await?;
    let ended = drill(scale, &mut stand, &stripe).await;
    conclude(stand, ended).await
}

/// Somebody who pays.
struct Customer {
    id: String,
    subscribes: bool,
}

async fn drill(scale: Scale, stand: &mut Stand, stripe: &FakeStripe) -> Result<Report> {
    let client = stand.client();
    let account = open_shop(&client, stripe).await?;
    let customers = pay(&client, stripe, &account, scale.pick(12, 150)).await?;
    let mut events: Vec<_> = std::iter::repeat_n(stripe.take_events(), TIMES).flatten().collect();
    events.shuffle(&mut SmallRng::seed_from_u64(7));
    for fault in [Fault::Status(500), Fault::Status(429), Fault::Drop].into_iter().cycle().take(scale.pick(9, 60)) {
        stripe.fail_next("GET", "/v1/", fault);
    }

    let (is_over, repeated) = (AtomicBool::new(false), AtomicUsize::new(0));
    // So many that the kills meet some of them.
    let pause = Duration::from_millis(scale.pick(60, 25));
    let posts = async {
        let posted = stream::iter(&events)
            .map(|event| post(&client, event, &repeated))
            .buffer_unordered(AT_ONCE)
            .then(async |posted| {
                sleep(pause).await;
                posted
            })
            .collect::<Vec<Result<()>>>()
            .await;
        is_over.store(true, Ordering::SeqCst);
        posted.into_iter().collect::<Result<Vec<()>>>()
    };
    let (posted, kills) = tokio::join!(posts, kill_until(stand, &is_over, scale));
    posted?;
    let (kills, since) = (kills?, Instant::now());
    let mut findings = Findings { tried: events.len(), acknowledged: events.len(), ..Findings::default() };
    let wrong = settle(&client, &customers).await?;
    let took = since.elapsed();
    findings.wrong.extend(wrong);
    let (receipts, wanted) = (receipts(&client).await?, paid(&customers));
    if receipts != wanted {
        findings.wrong.push(format!("{receipts} receipts for {wanted} payments"));
    }
    let notes = vec![format!(
        "{kills} kills; {} customers, {wanted} payments; {} events posted {TIMES} times each, shuffled, {} posts had to be \
         repeated; Stripe was asked {} times; all as paid {:.1} s after the last kill; {receipts} receipts",
        customers.len(),
        events.len() / TIMES,
        repeated.load(Ordering::SeqCst),
        stripe.requests().len(),
        took.as_secs_f64(),
    )];
    Ok(Report { findings, answers_again: None, done_again: [took, Duration::ZERO], notes })
}

async fn open_shop(client: &Client, stripe: &FakeStripe) -> Result<String> {
    let config = json!({
        "payments.testMode": false,
        "payments.items": { "coins": { "customerType": "user" }, "credits": { "customerType": "user" } },
        "payments.products": {
            "pack": {
                "customerType": "user", "stackable": true, "prices": { "once": { "USD": "4.99" } },
                "includedItems": { "coins": { "quantity": COINS, "expires": "never" } },
            },
            "plan": {
                "customerType": "user", "prices": { "monthly": { "USD": "9", "interval": [1, "month"] } },
                "includedItems": { "credits": { "quantity": CREDITS, "repeat": [1, "month"], "expires": "when-repeated" } },
            },
        },
    });
    let body = json!({ "config_override_string": config.to_string() });
    let admin = client.admin();
    admin.patch("/internal/config/override/environment", &body).await?.json()?;
    admin.post("/internal/payments/setup", &json!({})).await?.json()?;
    let account = text(&admin.get("/internal/payments/stripe/account-info").await?.json()?, "account_id")?;
    stripe.enable_charges(&account).map_err(|problem| anyhow::anyhow!("{problem:?}"))?;
    Ok(account)
}

/// Everybody buys; every third subscribes too, and is billed twice more.
async fn pay(client: &Client, stripe: &FakeStripe, account: &str, count: usize) -> Result<Vec<Customer>> {
    drop(stripe.take_events());
    let mut customers = Vec::new();
    for number in 0..count {
        let new = json!({ "primary_email": format!("payer-{number}@drill.example"), "primary_email_verified": true });
        let id = text(&client.server().post("/users", &new).await?.json()?, "id")?;
        let intent = begin(client, &id, "pack", "once", PACKS).await?;
        let failed = |problem| anyhow::anyhow!("{problem:?}");
        stripe.pay_intent(account, &intent).map_err(failed)?;
        let subscribes = number % 3 == 0;
        if subscribes {
            begin(client, &id, "plan", "monthly", 1).await?;
            let newest = stripe.subscriptions(account);
            let subscription = text(newest.last().context("no subscription was made")?, "id")?;
            stripe.pay_subscription(account, &subscription).map_err(failed)?;
            for _ in 0..2 {
                stripe.renew(account, &subscription).map_err(failed)?;
            }
        }
        customers.push(Customer { id, subscribes });
    }
    Ok(customers)
}

async fn begin(client: &Client, customer: &str, product: &str, price: &str, quantity: i64) -> Result<String> {
    let body = json!({ "customer_type": "user", "customer_id": customer, "product_id": product });
    let made = client.server().post("/payments/purchases/create-purchase-url", &body).await?.json()?;
    let url = text(&made, "url")?;
    let code = url.rsplit_once("/purchase/").context("no purchase URL")?.1;
    let body = json!({ "full_code": code, "price_id": price, "quantity": quantity });
    let begun = client.post("/payments/purchases/purchase-session", &body).await?.json()?;
    Ok(text(&begun, "client_secret")?.split_once("_secret").context("no client secret")?.0.to_owned())
}

/// As Stripe does: until it is answered well.
async fn post(client: &Client, event: &Value, repeated: &AtomicUsize) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let body = event.to_string();
        let signature = sign(body.as_bytes(), SECRET, chrono::Utc::now().timestamp());
        let client = client.with("stripe-signature", &signature);
        match client.post("/integrations/stripe/webhooks", event).await {
            Ok(answer) if answer.status.is_success() => return Ok(()),
            Ok(answer) if answer.status.is_client_error() => anyhow::bail!("refused: {}", answer.text),
            _ => {}
        }
        ensure!(Instant::now() < deadline, "an event was never taken");
        repeated.fetch_add(1, Ordering::SeqCst);
        sleep(BEFORE_REPEAT).await;
    }
}

/// Kills a process every few seconds until all is posted, and once more; the gateways, too. Answers how often.
async fn kill_until(stand: &mut Stand, is_over: &AtomicBool, scale: Scale) -> Result<usize> {
    let mut kills = 0;
    loop {
        sleep(Duration::from_millis(scale.pick(1500, 4000))).await;
        let is_last = is_over.load(Ordering::SeqCst);
        let mut processes: Vec<_> = stand.processes().collect();
        let turn = kills % processes.len().max(1);
        let process = processes.get_mut(turn).context("nobody to kill")?;
        process.kill().await?;
        process.start().await?;
        kills += 1;
        if is_last {
            return Ok(kills);
        }
    }
}

/// Waits until everybody has what was paid for; answers who has not.
async fn settle(client: &Client, customers: &[Customer]) -> Result<Vec<String>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut wrong = Vec::new();
        for customer in customers {
            let has = async |item: &str| -> Result<i64> {
                let path = format!("/payments/items/user/{}/{item}", customer.id);
                let item = patiently(async || client.server().get(&path).await?.json()).await?;
                item.get("quantity").and_then(Value::as_i64).context("no quantity")
            };
            let wanted = (PACKS * COINS, if customer.subscribes { CREDITS } else { 0 });
            let found = (has("coins").await?, has("credits").await?);
            if found != wanted {
                wrong.push(format!("customer {} has {found:?} coins and credits instead of {wanted:?}", customer.id));
            }
        }
        if wrong.is_empty() || Instant::now() > deadline {
            return Ok(wrong);
        }
        sleep(LOOK_EVERY).await;
    }
}

fn paid(customers: &[Customer]) -> usize {
    customers.iter().map(|customer| if customer.subscribes { 4 } else { 1 }).sum()
}

/// Mails that the outbox has, once there are as many as the last look found: each is a receipt.
async fn receipts(client: &Client) -> Result<usize> {
    let mut last = None;
    loop {
        let count = crate::drill::readback::outbox(client, "").await?.len();
        if last == Some(count) {
            return Ok(count);
        }
        last = Some(count);
        sleep(Duration::from_secs(2)).await;
    }
}
