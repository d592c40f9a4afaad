//! `/payments/invoices`, `/payments/billing` and `/payments/payment-method`: how users and teams pay (wire: payments §7).

use postern_domain::{
    Timestamp,
    payments::stripe::billing,
    ports::stripe::{StripeCard, StripeInvoice},
    projects::wire::ShownSecret,
};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::customer::AccountPath;
use crate::rest::{
    call::{Call, OPEN},
    input::{Empty, Ignored, Positive, input},
    reply::{Answer, List, Reply},
    routes::{About, Routes},
};

/// The page of invoices when its size is not told.
const DEFAULT_LIMIT: u8 = 10;

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Payments", summary, OPEN).path::<AccountPath>();
    let of_customer = |noun: &str| format!("/payments/{noun}/{{customer_type}}/{{customer_id}}");
    let method = of_customer("payment-method");
    Routes::new()
        .get(
            &of_customer("invoices"),
            invoices,
            about("Lists the invoices of a customer, newest first").query::<InvoicesQuery>(),
        )
        .get(&of_customer("billing"), get, about("Says by which card a customer pays"))
        .post(&format!("{method}/setup-intent"), set_up, about("Begins the set-up of a card").body::<Empty>())
        .post(
            &format!("{method}/set-default"),
            set_default,
            about("Makes a card that was set up the one that pays").body::<DefaultBody>(),
        )
}

input! {
    /// `cursor`: id of the last invoice of the page before.
    struct InvoicesQuery { cursor: Option<String>, limit: Option<Positive<100>> }
}

input! {
    struct DefaultBody { setup_intent_id: String }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Invoice")]
struct InvoiceView {
    created_at_millis: Timestamp,
    /// `draft`, `open`, `paid`, `uncollectible`, `void` or null.
    status: Option<String>,
    /// In the smallest unit of its currency.
    amount_total: i64,
    hosted_invoice_url: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Billing")]
struct BillingView {
    has_customer: bool,
    default_payment_method: Option<CardView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PaymentCard")]
struct CardView {
    id: String,
    brand: Option<String>,
    last4: Option<String>,
    exp_month: Option<i64>,
    exp_year: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PaymentCardSetup")]
struct SetupView {
    client_secret: ShownSecret,
    stripe_account_id: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DefaultPaymentCard")]
struct DefaultView {
    success: bool,
    default_payment_method: Option<CardView>,
}

impl From<StripeInvoice> for InvoiceView {
    fn from(invoice: StripeInvoice) -> Self {
        Self {
            created_at_millis: invoice.created,
            status: invoice.status,
            amount_total: invoice.total,
            hosted_invoice_url: invoice.hosted_url,
        }
    }
}

impl From<StripeCard> for CardView {
    fn from(card: StripeCard) -> Self {
        Self { id: card.id, brand: card.brand, last4: card.last4, exp_month: card.exp_month, exp_year: card.exp_year }
    }
}

async fn invoices(mut call: Call) -> Answer<List<InvoiceView>> {
    let actor = call.actor(OPEN)?;
    let (path, query, _) = call.read::<AccountPath, InvoicesQuery, Ignored>()?;
    let limit = query.limit.and_then(|limit| u8::try_from(limit.0).ok()).unwrap_or(DEFAULT_LIMIT);
    let page = billing::invoices(&call.deps, &actor, &path.customer(), query.cursor.as_deref(), limit).await?;
    // The contract names a next page whenever this one is full. Items carry no id, so this is the only place it is told.
    let is_full = page.items.len() >= usize::from(limit);
    let next = page.items.last().filter(|_| is_full).map(|invoice| invoice.id.clone());
    Ok(Reply::ok(List::page(page.items.into_iter().map(InvoiceView::from).collect(), next)))
}

async fn get(mut call: Call) -> Answer<BillingView> {
    let actor = call.actor(OPEN)?;
    let (path, _, _) = call.read::<AccountPath, Ignored, Ignored>()?;
    let billing = billing::billing(&call.deps, &actor, &path.customer()).await?;
    Ok(Reply::ok(BillingView {
        has_customer: billing.has_customer,
        default_payment_method: billing.default_card.map(CardView::from),
    }))
}

async fn set_up(mut call: Call) -> Answer<SetupView> {
    let actor = call.actor(OPEN)?;
    let (path, _, _) = call.read::<AccountPath, Ignored, Empty>()?;
    let setup = billing::set_up_card(&call.deps, &actor, &path.customer()).await?;
    Ok(Reply::ok(SetupView {
        client_secret: ShownSecret(setup.client_secret.expose_secret().to_owned()),
        stripe_account_id: setup.account_id,
    }))
}

async fn set_default(mut call: Call) -> Answer<DefaultView> {
    let actor = call.actor(OPEN)?;
    let (path, _, body) = call.read::<AccountPath, Ignored, DefaultBody>()?;
    let card = billing::use_card(&call.deps, &actor, &path.customer(), &body.setup_intent_id).await?;
    Ok(Reply::ok(DefaultView { success: true, default_payment_method: card.map(CardView::from) }))
}
