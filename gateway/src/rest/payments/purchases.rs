//! `/payments/purchases`: purchase URLs, what they sell, and what begins a payment (wire: payments §6). Whoever has the URL
//! may use it: all but its making need no key.

use postern_domain::{
    ProjectId,
    payments::{
        ProductChoice,
        checkout::{self, FullCode, Offer},
        product::Product,
    },
    projects::wire::ShownSecret,
};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::{
    customer::{CustomerTypes, named},
    inline::InlineProduct,
    products::shown,
};
use crate::rest::{
    call::{Call, OPEN},
    input::{Ignored, OneOf, UrlText, input},
    reply::{Answer, Reply, Success, success},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary, allowed| About::new("Payments", summary, allowed);
    let validate = "/payments/purchases/validate-code";
    Routes::new()
        .post(
            "/payments/purchases/create-purchase-url",
            create_url,
            about("Makes a URL at which a customer can buy a product", OPEN).body::<UrlBody>(),
        )
        .post(validate, offer, about("Says what a purchase URL sells", &[]).body::<CodeInput>())
        .get(
            validate,
            check,
            about("Checks the project of a purchase URL and where it returns to", &[]).query::<CodeInput>(),
        )
        .post(
            "/payments/purchases/purchase-session",
            begin,
            about("Begins a payment by Stripe's own scripts", &[]).body::<SessionBody>(),
        )
        .post(
            "/internal/payments/test-mode-purchase-session",
            try_out,
            about("Buys without paying, where the project is in test mode", &[]).body::<SessionBody>(),
        )
}

input! {
    /// `offer_id` and `offer_inline` are the old names of the product.
    struct UrlBody {
        customer_type: OneOf<CustomerTypes>,
        customer_id: String,
        product_id: Option<String>,
        product_inline: Option<InlineProduct>,
        offer_id: Option<String>,
        offer_inline: Option<InlineProduct>,
        return_url: Option<UrlText>,
    }
}

input! {
    struct CodeInput { full_code: String, return_url: Option<UrlText> }
}

input! {
    struct SessionBody { full_code: String, price_id: String, quantity: i64 }
}

#[derive(Debug, Serialize, JsonSchema)]
struct PurchaseUrl {
    url: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PurchaseOffer {
    product: Product,
    stripe_account_id: String,
    project_id: ProjectId,
    project_logo_url: Option<String>,
    already_bought_non_stackable: bool,
    conflicting_products: Vec<Conflict>,
    test_mode: bool,
    charges_enabled: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConflictingProduct")]
struct Conflict {
    product_id: String,
    display_name: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PurchaseCodeValidity")]
struct Valid {
    valid: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PurchaseSession {
    client_secret: ShownSecret,
}

impl From<Offer> for PurchaseOffer {
    fn from(offer: Offer) -> Self {
        let conflict = |(product_id, display_name)| Conflict { product_id, display_name };
        Self {
            // Anybody who has the URL reads this.
            product: shown(offer.product, false),
            stripe_account_id: offer.account_id,
            project_id: offer.project_id,
            project_logo_url: offer.logo_url,
            already_bought_non_stackable: offer.is_owned,
            conflicting_products: offer.conflicts.into_iter().map(conflict).collect(),
            test_mode: offer.test_mode,
            charges_enabled: offer.charges_enabled,
        }
    }
}

async fn create_url(mut call: Call) -> Answer<PurchaseUrl> {
    let actor = call.actor(OPEN)?;
    let body = call.body::<UrlBody>()?;
    let inline = body.product_inline.or(body.offer_inline).map(Product::from);
    let choice = ProductChoice::of(body.product_id.or(body.offer_id), inline)?;
    let customer = named(&body.customer_type, &body.customer_id);
    let return_url = body.return_url.as_ref().map(|url| url.0.as_str());
    let url = checkout::create_url(&call.deps, &actor, &customer, &choice, return_url).await?;
    Ok(Reply::ok(PurchaseUrl { url }))
}

async fn offer(mut call: Call) -> Answer<PurchaseOffer> {
    let body = call.body::<CodeInput>()?;
    let code = FullCode::parse(&body.full_code)?;
    let return_url = body.return_url.as_ref().map(|url| url.0.as_str());
    Ok(Reply::ok(checkout::offer(&call.deps, &code, return_url).await?.into()))
}

async fn check(mut call: Call) -> Answer<Valid> {
    let (Ignored, query, Ignored) = call.read::<_, CodeInput, _>()?;
    let code = FullCode::parse(&query.full_code)?;
    checkout::check_return(&call.deps, &code, query.return_url.as_ref().map(|url| url.0.as_str())).await?;
    Ok(Reply::ok(Valid { valid: true }))
}

async fn begin(mut call: Call) -> Answer<PurchaseSession> {
    let body = call.body::<SessionBody>()?;
    let code = FullCode::parse(&body.full_code)?;
    let secret = checkout::begin_session(&call.deps, &code, &body.price_id, body.quantity).await?;
    Ok(Reply::ok(PurchaseSession { client_secret: ShownSecret(secret.expose_secret().to_owned()) }))
}

async fn try_out(mut call: Call) -> Answer<Success> {
    let body = call.body::<SessionBody>()?;
    let code = FullCode::parse(&body.full_code)?;
    checkout::try_out(&call.deps, &code, &body.price_id, body.quantity).await?;
    Ok(success())
}
