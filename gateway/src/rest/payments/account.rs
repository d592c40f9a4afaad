//! `/internal/payments`: the account at Stripe through which a project sells (wire: payments §8).

use postern_domain::{
    payments::stripe::account,
    ports::stripe::{StripeAccount, StripeMethod, StripeMethodConfig},
    projects::wire::ShownSecret,
};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::fields::{Entries, Switch};
use crate::rest::{
    call::{ADMIN, Call},
    input::{Ignored, input},
    reply::{Answer, Reply, Success, success},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Payments", summary, ADMIN);
    let methods = "/internal/payments/method-configs";
    Routes::new()
        .post(
            "/internal/payments/setup",
            set_up,
            about("Makes the project's account at Stripe and says where its owner sets it up"),
        )
        .get("/internal/payments/stripe/account-info", info, about("Says how the project's account at Stripe stands"))
        .post(
            "/internal/payments/stripe-widgets/account-session",
            session,
            about("Opens Stripe's components for the project's account"),
        )
        .get(methods, list_methods, about("Lists the ways to pay"))
        .patch(methods, set_methods, about("Switches ways to pay on or off").body::<MethodsPatch>())
}

input! {
    struct MethodsPatch { config_id: String, updates: Entries<Switch> }
}

#[derive(Debug, Serialize, JsonSchema)]
struct PaymentsSetup {
    url: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StripeAccountInfo")]
struct InfoView {
    account_id: String,
    charges_enabled: bool,
    details_submitted: bool,
    payouts_enabled: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct StripeAccountSession {
    client_secret: ShownSecret,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PaymentMethods")]
struct MethodsView {
    config_id: String,
    methods: Vec<MethodView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PaymentMethod")]
struct MethodView {
    id: String,
    /// For people.
    name: String,
    enabled: bool,
    available: bool,
    overridable: bool,
}

impl From<StripeAccount> for InfoView {
    fn from(account: StripeAccount) -> Self {
        Self {
            account_id: account.id,
            charges_enabled: account.charges_enabled,
            details_submitted: account.details_submitted,
            payouts_enabled: account.payouts_enabled,
        }
    }
}

impl From<StripeMethodConfig> for MethodsView {
    fn from(config: StripeMethodConfig) -> Self {
        Self { config_id: config.id, methods: config.methods.into_iter().map(MethodView::from).collect() }
    }
}

impl From<StripeMethod> for MethodView {
    fn from(method: StripeMethod) -> Self {
        Self {
            name: name(&method.id),
            id: method.id,
            enabled: method.enabled,
            available: method.available,
            overridable: method.overridable,
        }
    }
}

/// Stripe has no names for people: its id in words, such as `Us bank account` for `us_bank_account`.
fn name(id: &str) -> String {
    let words = id.replace('_', " ");
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

async fn set_up(mut call: Call) -> Answer<PaymentsSetup> {
    let actor = call.actor(ADMIN)?;
    Ok(Reply::ok(PaymentsSetup { url: account::set_up(&call.deps, &actor).await? }))
}

async fn info(mut call: Call) -> Answer<InfoView> {
    let actor = call.actor(ADMIN)?;
    Ok(Reply::ok(account::info(&call.deps, &actor).await?.into()))
}

async fn session(mut call: Call) -> Answer<StripeAccountSession> {
    let actor = call.actor(ADMIN)?;
    let secret = account::session(&call.deps, &actor).await?;
    Ok(Reply::ok(StripeAccountSession { client_secret: ShownSecret(secret.expose_secret().to_owned()) }))
}

async fn list_methods(mut call: Call) -> Answer<MethodsView> {
    let actor = call.actor(ADMIN)?;
    Ok(Reply::ok(account::methods(&call.deps, &actor).await?.into()))
}

async fn set_methods(mut call: Call) -> Answer<Success> {
    let actor = call.actor(ADMIN)?;
    let (Ignored, Ignored, patch) = call.read::<_, _, MethodsPatch>()?;
    let updates = patch.updates.0.into_iter().map(|(method, Switch(on))| (method, on)).collect();
    account::set_methods(&call.deps, &actor, &patch.config_id, &updates).await?;
    Ok(success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_called_by_their_id_in_words() {
        assert_eq!(
            (name("card"), name("us_bank_account"), name("")),
            ("Card".into(), "Us bank account".into(), "".into())
        );
    }
}
