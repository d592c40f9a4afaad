//! The fake is as good as its shapes: async-stripe's own types, made from Stripe's description of its API, read every object
//! that the fake answers and refuse one that lacks what Stripe promises.

use postern_domain::ports::stripe::Stripe;
use stripe::Client;
use stripe_billing::{
    invoice::{ListInvoice, RetrieveInvoice},
    subscription::{ListSubscription, RetrieveSubscription},
};
use stripe_client_core::StripeRequest;
use stripe_connect::account::{ListAccount, RetrieveAccount};
use stripe_core::{
    customer::{ListCustomer, ListPaymentMethodsCustomer, RetrieveCustomer, SearchCustomer},
    event::ListEvent,
    payment_intent::RetrievePaymentIntent,
    refund::ListRefund,
    setup_intent::RetrieveSetupIntent,
};
use stripe_payment::payment_method_configuration::ListPaymentMethodConfiguration;

use crate::Shop;

async fn reads<R: StripeRequest<Output: miniserde::Deserialize>>(shop: &Shop, request: R) -> R::Output {
    let client =
        stripe::ClientBuilder::new(shop.fake.secret_key()).url(format!("{}/", shop.fake.url())).build().unwrap();
    let sent = request.customize().account_id(shop.account.as_str().into()).send::<Client>(&client).await;
    sent.unwrap_or_else(|error| panic!("{}: {error}", std::any::type_name::<R>()))
}

#[tokio::test]
async fn async_stripes_own_types_read_what_the_fake_answers() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    let paid = shop.paid().await;
    let metadata = crate::metadata(&[("a", "b")]);
    shop.stripe.refund(&shop.account, &paid, 100, &metadata, "r1").await.unwrap();
    shop.stripe.create_setup_intent(&shop.account, &customer).await.unwrap();
    shop.fake.fail_renewal(&shop.account, &subscription).unwrap();
    let setup = shop.fake.objects(&shop.account, "setup_intent")[0]["id"].as_str().unwrap().to_owned();
    let whole = |path: &str| vec![path.to_owned()];

    reads(&shop, RetrieveAccount::new(shop.account.as_str())).await;
    assert_eq!(reads(&shop, ListAccount::new()).await.data.len(), 1);
    reads(&shop, RetrieveCustomer::new(customer.as_str())).await;
    assert_eq!(reads(&shop, ListCustomer::new()).await.data.len(), 1);
    reads(&shop, SearchCustomer::new("metadata['customerId']:'u1'")).await;
    assert_eq!(reads(&shop, ListPaymentMethodsCustomer::new(customer.as_str())).await.data.len(), 1);
    let intent = reads(&shop, RetrievePaymentIntent::new(paid.as_str()).expand(whole("latest_charge"))).await;
    assert!(intent.latest_charge.unwrap().as_object().is_some());
    assert_eq!(reads(&shop, ListRefund::new()).await.data.len(), 1);
    reads(&shop, RetrieveSetupIntent::new(setup)).await;
    let paths =
        ["latest_invoice.confirmation_secret", "latest_invoice.payments", "customer", "items.data.price.product"];
    let expanded = RetrieveSubscription::new(subscription.as_str()).expand(paths.map(str::to_owned));
    let read = reads(&shop, expanded).await;
    let invoice = read.latest_invoice.unwrap().into_object().unwrap();
    assert!(invoice.confirmation_secret.is_some() && invoice.payments.unwrap().data.len() == 1);
    assert_eq!(reads(&shop, ListSubscription::new()).await.data.len(), 1);
    let invoice = reads(&shop, RetrieveInvoice::new(invoice.id.unwrap().as_str())).await;
    assert!(invoice.payments.is_none() && invoice.confirmation_secret.is_none());
    assert_eq!(reads(&shop, ListInvoice::new().expand(whole("data.payments"))).await.data.len(), 2);
    assert_eq!(reads(&shop, ListPaymentMethodConfiguration::new()).await.data.len(), 1);
    assert!(reads(&shop, ListEvent::new().limit(100)).await.data.len() > 20);
}
