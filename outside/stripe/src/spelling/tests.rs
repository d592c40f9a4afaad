//! Ours beside async-stripe's: its requests are made from Stripe's description of the API, so a name of ours that Stripe does not
//! have, or a value it does not take, is found here.

mod billing;
mod buyers;
mod sellers;

use stripe_client_core::StripeRequest;
use stripe_types::Currency;

use super::*;

/// Text that needs escaping, in forms and in addresses.
const TEXT: &str = "Ä & b=c+d/%20? [e]'\"\\\n€ 100%";

/// Metadata with nothing in it, and with text that needs escaping.
fn metadatas() -> [Metadata; 2] {
    let pairs = [("customerId", "u1"), ("empty", ""), ("text", TEXT), ("a[b] & ü", "name"), ("7", "number")];
    [Metadata::new(), pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()]
}

/// Metadata as async-stripe takes it.
fn map(metadata: &Metadata) -> std::collections::HashMap<String, String> {
    metadata.clone().into_iter().collect()
}

/// As async-stripe takes it: of those that it does not know, the text itself.
fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

/// Method and path; then what is in the address and what is in the body, each in any order, none where there is not even an
/// empty one.
fn parts(request: RequestBuilder) -> (String, Option<Vec<String>>, Option<Vec<String>>) {
    let pairs = |text: String| {
        let mut pairs: Vec<_> = text.split('&').map(str::to_owned).collect();
        pairs.sort_unstable();
        pairs
    };
    let called = format!("{:?} {}", request.method, request.path);
    (called, request.query.map(pairs), request.body.map(pairs))
}

#[track_caller]
fn alike(ours: RequestBuilder, theirs: &impl StripeRequest) {
    assert_eq!(parts(ours), parts(theirs.build()));
}

#[test]
fn what_is_null_is_not_spelled_at_any_depth() {
    let spelled = create("/a", json!({ "b": null, "c": [{ "d": null, "e": { "f": null, "g": 1 } }], "h": "" }));
    assert_eq!(spelled.body.unwrap(), "c[0][e][g]=1&h=");
}

#[test]
fn what_is_no_id_is_in_no_path() {
    let text = "pm_1/../../accounts";
    let change = SubscriptionChange {
        item_id: text.into(),
        price: RecurringPrice::default(),
        quantity: 1,
        metadata: Metadata::new(),
    };
    let spelled = [
        retrieve_account(text),
        retrieve_customer(text),
        update_customer(text, "pm_1", &Metadata::new()),
        list_payment_methods_customer(text),
        retrieve_setup_intent(text),
        retrieve_payment_intent(text),
        update_subscription(text, &change, "prod_1"),
        reduce_subscription(text, "si_1", 1),
        end_subscription(text),
        cancel_subscription(text),
        retrieve_subscription(text),
        retrieve_invoice(text),
        expire_checkout_session(text),
        update_payment_method_configuration(text, &BTreeMap::new()),
        update_payment_method_configuration("pmc_1", &BTreeMap::from([(text.to_owned(), true)])),
    ];
    for (n, spelled) in spelled.into_iter().enumerate() {
        assert!(matches!(spelled, Err(StripeError::NotFound(_))), "{n}");
    }
}
