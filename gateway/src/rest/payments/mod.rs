//! `/payments` without the items, and what belongs to it below `/internal`: products of customers, purchases, invoices and
//! cards, the project's account at Stripe, transactions, and what Stripe posts.

mod account;
mod billing;
pub(super) mod customer;
mod fields;
mod inline;
mod products;
mod purchases;
mod stripe;
mod transactions;

use super::routes::Routes;

pub(super) fn routes() -> Routes {
    [
        account::routes(),
        billing::routes(),
        products::routes(),
        purchases::routes(),
        stripe::routes(),
        transactions::routes(),
    ]
    .into_iter()
    .fold(Routes::new(), Routes::merge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_with_what_it_answers() {
        let document = routes().into_openapi("").unwrap();
        let described = |path: &str, method: &str| {
            let answer = &document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"];
            assert!(answer.is_object(), "{method} {path} is not described");
        };
        let customer = "{customer_type}/{customer_id}";
        for (method, path) in [
            ("get", format!("/payments/products/{customer}")),
            ("post", format!("/payments/products/{customer}")),
            ("delete", format!("/payments/products/{customer}/{{product_id}}")),
            ("post", format!("/payments/products/{customer}/switch")),
            ("post", "/payments/purchases/create-purchase-url".to_owned()),
            ("post", "/payments/purchases/validate-code".to_owned()),
            ("get", "/payments/purchases/validate-code".to_owned()),
            ("post", "/payments/purchases/purchase-session".to_owned()),
            ("post", "/internal/payments/test-mode-purchase-session".to_owned()),
            ("get", format!("/payments/invoices/{customer}")),
            ("get", format!("/payments/billing/{customer}")),
            ("post", format!("/payments/payment-method/{customer}/setup-intent")),
            ("post", format!("/payments/payment-method/{customer}/set-default")),
            ("post", "/internal/payments/setup".to_owned()),
            ("get", "/internal/payments/stripe/account-info".to_owned()),
            ("post", "/internal/payments/stripe-widgets/account-session".to_owned()),
            ("get", "/internal/payments/method-configs".to_owned()),
            ("patch", "/internal/payments/method-configs".to_owned()),
            ("get", "/internal/payments/transactions".to_owned()),
            ("post", "/internal/payments/transactions/refund".to_owned()),
            ("post", "/integrations/stripe/webhooks".to_owned()),
        ] {
            described(&path, method);
        }
    }
}
