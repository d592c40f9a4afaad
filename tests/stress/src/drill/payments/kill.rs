//! kill -9 of the gateways and of the workers in turn, or of the one process, every few seconds, while everything happens that
//! customers do: the events of that are posted shuffled, each several times, until each was answered, and changes, ends and
//! refunds are asked for meanwhile. Stripe fails now and then. In the end everybody must have exactly what its story says,
//! with one mail for each payment.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use futures::{StreamExt, stream};
use postern_fake_stripe::{
    FakeStripe, Fault,
    stories::{Call, Outcome, Scene, Seller, Story},
};
use rand::{SeedableRng, rngs::SmallRng, seq::SliceRandom};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    check::{Customer, look, settle},
    shop::{SECRET, Shop},
};
use crate::{
    drill::{
        Scale,
        check::Findings,
        readback::text,
        scene::{DONE_WITHIN, Report, conclude},
    },
    stand::{Plan, Shape, Stand},
};

/// How often each event is posted.
const TIMES: usize = 3;
/// How many posts are under way.
const AT_ONCE: usize = 8;
/// What would be there twice after all is there by then.
const AFTERWARDS: Duration = Duration::from_secs(3);

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

async fn drill(scale: Scale, stand: &mut Stand, stripe: &FakeStripe) -> Result<Report> {
    let admin_url = stand.processes().next().context("no process")?.admin_url();
    let shop = &Shop::new(stand.client(), stripe, &admin_url);
    let account = shop.open().await?;
    let scene = &Scene { seller: shop, stripe, account: &account };
    let (customers, acts) = tell(scene, scale.pick(1, 12)).await?;
    for fault in [Fault::Status(500), Fault::Status(429), Fault::Drop].into_iter().cycle().take(scale.pick(9, 60)) {
        stripe.fail_next("GET", "/v1/", fault);
    }
    // What Stripe did, and did not say.
    for path in ["/v1/refunds", "/v1/subscriptions"] {
        stripe.fail_next("POST", path, Fault::DropAfterDoing);
    }

    let is_over = AtomicBool::new(false);
    let pause = Duration::from_millis(scale.pick(30, 25));
    let work = async {
        let happened = async {
            tokio::try_join!(post_all(shop, shop.all_events(), pause), act_all(shop, &acts, pause))?;
            // Of what was asked for, Stripe has told since.
            post_all(shop, shop.take_events(), pause).await
        };
        let happened = happened.await;
        is_over.store(true, Ordering::SeqCst);
        happened
    };
    let (happened, kills) = tokio::join!(work, kill_until(stand, &is_over, scale));
    happened?;
    let (kills, last_kill) = kills?;
    // What was told after the last posts: ends of what was replaced, refunds of what was paid twice.
    post_all(shop, shop.take_events(), pause).await?;
    let left = shop.work_off().await?;
    let mut wrong = settle(shop, &account, &customers).await?;
    let took = last_kill.elapsed();
    if wrong.is_empty() {
        sleep(AFTERWARDS).await;
        wrong = look(shop, &account, &customers).await?;
    }
    if left > 0 {
        wrong.push(format!("{left} events are not worked off"));
    }
    let done = shop.all_events().len() + acts.len();
    let ends = if wrong.is_empty() { "all as the stories say" } else { "not as the stories say" };
    let notes = vec![format!(
        "{kills} kills; {}; {ends} {:.1} s after the last kill: {}",
        asked(shop, &customers, &acts),
        took.as_secs_f64(),
        outcomes(&customers)
    )];
    // What is still missing is named already.
    if wrong.is_empty() && took > DONE_WITHIN {
        wrong.push(format!("all was as the stories say {took:.1?} after the last kill, not within {DONE_WITHIN:?}"));
    }
    let findings = Findings { tried: done, acknowledged: done, wrong, ..Findings::default() };
    Ok(Report { findings, answers_again: None, done_again: [took, Duration::ZERO], notes })
}

/// What was done, for people.
fn asked(shop: &Shop, customers: &[Customer], acts: &[Call]) -> String {
    format!(
        "{} stories, {} customers; {} events posted {TIMES} times each, shuffled, and {} calls meanwhile, of which {} posts and \
         calls had to be repeated; Stripe was asked {} times",
        Story::ALL.len(),
        customers.len(),
        shop.all_events().len(),
        acts.len(),
        shop.repeated.load(Ordering::SeqCst),
        shop.stripe.requests().len(),
    )
}

/// What all stories together call for, for people.
fn outcomes(customers: &[Customer]) -> String {
    let sum =
        |count: fn(Outcome) -> usize| customers.iter().map(|customer| count(customer.story.outcome())).sum::<usize>();
    format!(
        "{} transactions, {} of them paid back, {} receipts, {} other mails",
        sum(|outcome| outcome.transactions),
        sum(|outcome| outcome.refunded),
        sum(|outcome| outcome.receipts),
        sum(|outcome| outcome.failures),
    )
}

/// Lets each story happen so many times, up to what the server is asked then. Of those that ask nothing, the server knows
/// nothing yet.
async fn tell(scene: &Scene<'_, Shop>, times: usize) -> Result<(Vec<Customer>, Vec<Call>)> {
    let (mut customers, mut acts) = (Vec::new(), Vec::new());
    let (asking, silent): (Vec<_>, Vec<_>) = Story::ALL.into_iter().partition(|story| story.acts());
    let failed = |error| anyhow!("{error}");
    for stories in [asking, silent] {
        for story in stories {
            for number in 0..times {
                let address = format!("{}-{number}@drill.example", story.name());
                let new = json!({ "primary_email": address, "primary_email_verified": true });
                let id = text(&scene.seller.client.server().post("/users", &new).await?.json()?, "id")?;
                story.prepare(scene, &id).await.map_err(failed)?;
                customers.push(Customer { id, story });
            }
        }
        if acts.is_empty() {
            scene.seller.catch_up().await.map_err(failed)?;
            for customer in &customers {
                acts.extend(customer.story.act(scene, &customer.id).await.map_err(failed)?);
            }
        }
    }
    Ok((customers, acts))
}

/// Posts each event several times, in no order.
async fn post_all(shop: &Shop, events: Vec<Value>, pause: Duration) -> Result<()> {
    let mut events: Vec<_> = std::iter::repeat_n(events, TIMES).flatten().collect();
    events.shuffle(&mut SmallRng::seed_from_u64(7));
    let posted = stream::iter(&events).map(|event| shop.post(event)).buffer_unordered(AT_ONCE);
    let posted = posted.then(async |posted| {
        sleep(pause).await;
        posted
    });
    posted.collect::<Vec<Result<()>>>().await.into_iter().collect()
}

/// Asks for everything, each once as its key says, so that kills meet some of it.
async fn act_all(shop: &Shop, acts: &[Call], pause: Duration) -> Result<()> {
    for (number, act) in acts.iter().enumerate() {
        sleep(pause * 20).await;
        shop.insist(act, &format!("act-{number}")).await?;
    }
    Ok(())
}

/// Kills a process every few seconds until all is posted, and once more; the gateways, too. Answers how often, and when last.
async fn kill_until(stand: &mut Stand, is_over: &AtomicBool, scale: Scale) -> Result<(usize, Instant)> {
    let mut kills = 0;
    loop {
        sleep(Duration::from_millis(scale.pick(1500, 4000))).await;
        let is_last = is_over.load(Ordering::SeqCst);
        let mut processes: Vec<_> = stand.processes().collect();
        let turn = kills % processes.len().max(1);
        let process = processes.get_mut(turn).context("nobody to kill")?;
        process.kill().await?;
        let killed = Instant::now();
        process.start().await?;
        kills += 1;
        if is_last {
            return Ok((kills, killed));
        }
    }
}
