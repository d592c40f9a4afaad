use postern_domain::ports::stripe::{
    BillingUnit, NewSubscription, RecurringPrice, Stripe, StripeError, StripeSubscription, SubscriptionChange,
};
use postern_fake_stripe::Fault;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{Shop, metadata, monthly};

/// 2027-01-31T12:00:00Z
const END_OF_JANUARY: i64 = 1_801_396_800;
const DAY: i64 = 86_400;

impl Shop {
    /// The only subscription of a customer.
    async fn only(&self, customer: &str) -> StripeSubscription {
        let found = self.stripe.subscriptions(&self.account, customer).await.unwrap();
        let [only] = &found[..] else { panic!("{found:?}") };
        only.clone()
    }

    fn change(subscription: &StripeSubscription, price: RecurringPrice) -> SubscriptionChange {
        SubscriptionChange {
            item_id: subscription.item_id.clone(),
            price,
            quantity: 1,
            metadata: metadata(&[("productId", "team")]),
        }
    }

    async fn new_subscription(&self, trial_days: u32) -> NewSubscription {
        NewSubscription {
            customer_id: self.customer("u1").await.id,
            price: monthly(1000),
            quantity: 2,
            trial_days,
            metadata: metadata(&[("productId", "pro"), ("priceId", "monthly")]),
        }
    }
}

#[tokio::test]
async fn a_subscription_waits_for_its_first_payment_and_renews_by_the_calendar() {
    let shop = Shop::open().await;
    shop.fake.set_now(END_OF_JANUARY);
    let new = shop.new_subscription(0).await;
    let made = shop.stripe.create_subscription(&shop.account, &new, "key").await.unwrap();
    assert!(made.client_secret.unwrap().expose_secret().starts_with("pi_"));
    let asked = shop.fake.requests();
    let keys: Vec<_> = asked.iter().map(|request| request.idempotency_key.as_deref().unwrap()).collect();
    assert_eq!(keys, ["customer-u1", "key-product", "key"]);
    assert_eq!(asked[2].params["payment_settings"], json!({ "save_default_payment_method": "on_subscription" }));

    let waiting = shop.only(&new.customer_id).await;
    assert_eq!((&waiting.id, &*waiting.status, waiting.quantity), (&made.id, "incomplete", 2));
    assert_eq!((waiting.unit_amount, &*waiting.currency), (Some(1000), "usd"));
    assert_eq!(
        (waiting.period_start.seconds(), waiting.period_end.seconds()),
        (END_OF_JANUARY, END_OF_JANUARY + 28 * DAY)
    );
    assert_eq!((&waiting.metadata, waiting.created), (&new.metadata, waiting.period_start));
    assert_eq!((waiting.cancel_at_period_end, waiting.canceled_at, waiting.ended_at), (false, None, None));

    shop.fake.pay_subscription(&shop.account, &made.id).unwrap();
    assert_eq!(shop.only(&new.customer_id).await.status, "active");
    shop.fake.renew(&shop.account, &made.id).unwrap();
    let renewed = shop.only(&new.customer_id).await;
    assert_eq!((renewed.period_start, renewed.period_end.seconds()), (waiting.period_end, END_OF_JANUARY + 59 * DAY));
    let invoices = shop.stripe.invoices(&shop.account, &new.customer_id, None, 10).await.unwrap().items;
    let reasons: Vec<_> = invoices.iter().map(|invoice| invoice.billing_reason.as_deref().unwrap()).collect();
    assert_eq!(reasons, ["subscription_cycle", "subscription_create"]);
}

#[tokio::test]
async fn a_subscription_whose_answer_was_lost_is_made_once() {
    let shop = Shop::open().await;
    let new = shop.new_subscription(0).await;
    for path in ["/v1/subscriptions", "/v1/products"] {
        shop.fake.fail_next("POST", path, Fault::DropAfterDoing);
        let error = shop.stripe.create_subscription(&shop.account, &new, "key").await.unwrap_err();
        assert!(matches!(error, StripeError::Unavailable(_)), "{error}");
    }
    let made = shop.stripe.create_subscription(&shop.account, &new, "key").await.unwrap();
    assert_eq!(shop.only(&new.customer_id).await.id, made.id);
    assert_eq!(shop.fake.objects(&shop.account, "product").len(), 1);
    assert!(made.client_secret.is_some());
}

#[tokio::test]
async fn a_trial_waits_for_a_card_instead() {
    let shop = Shop::open().await;
    let new = shop.new_subscription(7).await;
    let made = shop.stripe.create_subscription(&shop.account, &new, "key").await.unwrap();
    assert!(made.client_secret.unwrap().expose_secret().starts_with("seti_"));
    let trial = shop.only(&new.customer_id).await;
    assert_eq!((&*trial.status, trial.period_end), ("trialing", trial.period_start.plus_seconds(7 * DAY)));
    shop.fake.pay_subscription(&shop.account, &made.id).unwrap();
    assert_eq!(shop.stripe.cards(&shop.account, &new.customer_id).await.unwrap().len(), 1);
    shop.fake.renew(&shop.account, &made.id).unwrap();
    assert_eq!(shop.only(&new.customer_id).await.status, "active");
    let invoices = shop.stripe.invoices(&shop.account, &new.customer_id, None, 10).await.unwrap().items;
    assert_eq!(invoices.iter().map(|invoice| invoice.amount_paid).collect::<Vec<_>>(), [2000, 0]);
}

#[tokio::test]
async fn all_pages_of_subscriptions_in_all_states_are_read() {
    let shop = Shop::open().await;
    let new = shop.new_subscription(0).await;
    for at in 0..120 {
        let made = shop.stripe.create_subscription(&shop.account, &new, &format!("key{at}")).await.unwrap();
        if at % 2 == 0 {
            shop.stripe.cancel_subscription(&shop.account, &made.id, &format!("cancel{at}")).await.unwrap();
        }
    }
    let found = shop.stripe.subscriptions(&shop.account, &new.customer_id).await.unwrap();
    assert_eq!(found.len(), 120);
    assert_eq!(found.iter().filter(|subscription| subscription.status == "canceled").count(), 60);
    let mut ids: Vec<_> = found.iter().map(|subscription| &subscription.id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 120);
    let other = shop.customer("u2").await.id;
    assert_eq!(shop.stripe.subscriptions(&shop.account, &other).await.unwrap(), []);
}

#[tokio::test]
async fn a_subscription_is_changed_by_the_card_that_is_there_or_not_at_all() {
    let shop = Shop::open().await;
    let (customer, id) = shop.subscriber().await;
    let before = shop.only(&customer).await;
    let yearly = RecurringPrice { interval: BillingUnit::Year, ..monthly(9000) };
    let change = Shop::change(&before, yearly);

    shop.fake.set_declining(&shop.account, true).unwrap();
    let error = shop.stripe.change_subscription(&shop.account, &id, &change, "c1").await.unwrap_err();
    let declined =
        StripeError::Refused { code: "card_declined".to_owned(), message: "Your card was declined.".to_owned() };
    assert_eq!(error, declined);
    assert_eq!(shop.only(&customer).await, before);

    shop.fake.set_declining(&shop.account, false).unwrap();
    shop.stripe.change_subscription(&shop.account, &id, &change, "c2").await.unwrap();
    let after = shop.only(&customer).await;
    assert_eq!((&*after.status, after.quantity, after.unit_amount), ("active", 1, Some(9000)));
    assert_eq!((&after.item_id, &*after.metadata["productId"]), (&before.item_id, "team"));
    let invoices = shop.stripe.invoices(&shop.account, &customer, None, 1).await.unwrap();
    assert_eq!((invoices.items[0].amount_paid, invoices.has_more), (9000, true));
}

#[tokio::test]
async fn fewer_pieces_are_paid_for_and_none_ends_it_with_its_period() {
    let shop = Shop::open().await;
    let (customer, id) = shop.subscriber().await;
    let before = shop.only(&customer).await;
    shop.stripe.reduce_subscription(&shop.account, &before.id, 1, "r1").await.unwrap();
    let fewer = shop.only(&customer).await;
    assert_eq!((fewer.quantity, fewer.unit_amount, fewer.cancel_at_period_end), (1, Some(1000), false));
    assert_eq!(fewer.metadata, before.metadata);
    assert_eq!(
        shop.fake.requests().iter().rfind(|asked| asked.method == "POST").unwrap().params["proration_behavior"],
        "none"
    );

    shop.stripe.reduce_subscription(&shop.account, &before.id, 0, "r2").await.unwrap();
    let ending = shop.only(&customer).await;
    assert_eq!((&*ending.status, ending.quantity, ending.cancel_at_period_end), ("active", 1, true));
    assert!(ending.canceled_at.is_some() && ending.ended_at.is_none());
    assert!(shop.fake.renew(&shop.account, &id).is_err());
    shop.fake.reach_period_end(&shop.account, &id).unwrap();
    let ended = shop.only(&customer).await;
    assert_eq!((&*ended.status, ended.ended_at), ("canceled", Some(ending.period_end)));
    assert_eq!(shop.told().last().unwrap(), "customer.subscription.deleted");
}

#[tokio::test]
async fn ending_what_has_ended_is_well() {
    let shop = Shop::open().await;
    let (customer, id) = shop.subscriber().await;
    shop.told();
    for key in ["e1", "e1", "e2"] {
        shop.stripe.cancel_subscription(&shop.account, &id, key).await.unwrap();
    }
    assert_eq!(shop.told(), ["customer.subscription.deleted"]);
    let ended = shop.only(&customer).await;
    assert!(ended.status == "canceled" && ended.canceled_at.is_some() && ended.ended_at == ended.canceled_at);
    for id in ["sub_unknown", "sub/x"] {
        let error = shop.stripe.cancel_subscription(&shop.account, id, "e3").await.unwrap_err();
        assert!(matches!(error, StripeError::NotFound(_)), "{error}");
    }
    let change = Shop::change(&ended, monthly(1));
    let error = shop.stripe.change_subscription(&shop.account, &id, &change, "c1").await.unwrap_err();
    assert!(matches!(error, StripeError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn invoices_tell_what_was_paid_and_by_what() {
    let shop = Shop::open().await;
    let (customer, id) = shop.subscriber().await;
    let first = shop.stripe.invoices(&shop.account, &customer, None, 100).await.unwrap().items.remove(0);
    assert_eq!(shop.stripe.invoice(&shop.account, &first.id).await.unwrap(), first);
    assert_eq!((first.customer_id.as_ref(), first.subscription_id.as_ref()), (Some(&customer), Some(&id)));
    assert_eq!((first.status.as_deref(), first.billing_reason.as_deref()), (Some("paid"), Some("subscription_create")));
    assert_eq!((first.total, first.amount_due, first.amount_paid, &*first.currency), (2000, 2000, 2000, "usd"));
    assert_eq!((first.description.as_deref(), first.quantity), (Some("2 × Pro (at 1000 / month)"), 2));
    assert!(first.hosted_url.is_some() && first.pdf_url.is_some());
    let paid = shop.stripe.payment_intent(&shop.account, first.payment_intent_id.as_ref().unwrap()).await.unwrap();
    assert_eq!((&*paid.status, paid.amount_received), ("succeeded", 2000));
    shop.stripe.refund(&shop.account, &paid.id, 500, &metadata(&[]), "r1").await.unwrap();

    for _ in 0..3 {
        shop.fake.renew(&shop.account, &id).unwrap();
    }
    let newest = shop.stripe.invoices(&shop.account, &customer, None, 3).await.unwrap();
    assert_eq!((newest.items.len(), newest.has_more), (3, true));
    let rest = shop.stripe.invoices(&shop.account, &customer, Some(&newest.items[2].id), 3).await.unwrap();
    assert_eq!((rest.items, rest.has_more), (vec![first], false));
    assert!(matches!(shop.stripe.invoice(&shop.account, "in_unknown").await, Err(StripeError::NotFound(_))));
    let unknown = shop.stripe.invoices(&shop.account, &customer, Some("in_unknown"), 3).await;
    assert!(matches!(unknown, Err(StripeError::NotFound(_))));
}

#[tokio::test]
async fn a_renewal_that_fails_is_tried_and_given_up() {
    let shop = Shop::open().await;
    let (customer, id) = shop.subscriber().await;
    shop.told();
    shop.fake.fail_renewal(&shop.account, &id).unwrap();
    let expected = [
        "customer.subscription.updated",
        "invoice.created",
        "payment_intent.created",
        "invoice.finalized",
        "charge.failed",
        "payment_intent.payment_failed",
        "invoice.updated",
        "invoice.payment_failed",
        "customer.subscription.updated",
    ];
    let told = shop.told();
    let told: Vec<_> = told.iter().filter(|told| *told != "payment_method.attached").collect();
    assert_eq!(told, expected);
    assert_eq!(shop.only(&customer).await.status, "past_due");
    shop.fake.fail_renewal(&shop.account, &id).unwrap();
    let open = shop.stripe.invoices(&shop.account, &customer, None, 10).await.unwrap().items;
    assert_eq!((open.len(), open[0].status.as_deref(), open[0].payment_intent_id.as_ref()), (2, Some("open"), None));

    shop.told();
    shop.fake.give_up(&shop.account, &id).unwrap();
    let expected =
        ["invoice.updated", "invoice.marked_uncollectible", "invoice.payment_failed", "customer.subscription.updated"];
    assert_eq!(shop.told(), expected);
    assert_eq!(shop.only(&customer).await.status, "unpaid");
    let given_up = shop.stripe.invoice(&shop.account, &open[0].id).await.unwrap();
    assert_eq!((given_up.status.as_deref(), given_up.amount_due), (Some("uncollectible"), 2000));
    shop.fake.end_subscription(&shop.account, &id).unwrap();
    assert_eq!(shop.only(&customer).await.status, "canceled");
}
