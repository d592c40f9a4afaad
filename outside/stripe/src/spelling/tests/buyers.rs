//! Customers, their cards, and what they pay once.

use stripe_core::{
    SetupIntentAllowedPaymentMethodTypes,
    customer::{
        CreateCustomer, ListCustomer, ListPaymentMethodsCustomer, ListPaymentMethodsCustomerType, RetrieveCustomer,
        SearchCustomer, UpdateCustomer, UpdateCustomerInvoiceSettings,
    },
    payment_intent::{CreatePaymentIntent, CreatePaymentIntentAutomaticPaymentMethods, RetrievePaymentIntent},
    refund::CreateRefund,
    setup_intent::{CreateSetupIntent, CreateSetupIntentUsage, RetrieveSetupIntent},
};

use super::*;

#[test]
fn customers() {
    alike(retrieve_customer("cus_1").unwrap(), &RetrieveCustomer::new("cus_1"));
    for query in ["metadata['customerId']:'u1' AND metadata['customerType']:'USER'", TEXT] {
        alike(search_customer(query), &SearchCustomer::new(query));
    }
    alike(list_customer(None), &ListCustomer::new().limit(100));
    alike(list_customer(Some("cus_1")), &ListCustomer::new().limit(100).starting_after("cus_1"));
    for metadata in metadatas() {
        alike(create_customer(&metadata), &CreateCustomer::new().metadata(map(&metadata)));

        let settings = UpdateCustomerInvoiceSettings {
            default_payment_method: Some(TEXT.to_owned()),
            ..UpdateCustomerInvoiceSettings::new()
        };
        let theirs = UpdateCustomer::new("cus_1").invoice_settings(settings).metadata(map(&metadata));
        alike(update_customer("cus_1", TEXT, &metadata).unwrap(), &theirs);
    }
}

#[test]
fn cards() {
    let theirs = ListPaymentMethodsCustomer::new("cus_1").type_(ListPaymentMethodsCustomerType::Card).limit(100);
    alike(list_payment_methods_customer("cus_1").unwrap(), &theirs);

    let theirs = CreateSetupIntent::new()
        .customer("cus_1")
        .allowed_payment_method_types([SetupIntentAllowedPaymentMethodTypes::Card])
        .usage(CreateSetupIntentUsage::OffSession);
    alike(create_setup_intent("cus_1"), &theirs);
    alike(retrieve_setup_intent("seti_1").unwrap(), &RetrieveSetupIntent::new("seti_1"));
}

#[test]
fn payments() {
    for (metadata, code) in metadatas().into_iter().zip(["usd", "a currency & of next year"]) {
        let theirs = CreatePaymentIntent::new(2500, currency(code))
            .customer("cus_1")
            .automatic_payment_methods(CreatePaymentIntentAutomaticPaymentMethods::new(true))
            .metadata(map(&metadata));
        let new = NewPaymentIntent {
            amount: 2500,
            currency: code.to_owned(),
            customer_id: "cus_1".to_owned(),
            metadata: metadata.clone(),
        };
        alike(create_payment_intent(&new), &theirs);

        let theirs = CreateRefund::new().payment_intent("pi_1").amount(i64::MAX).metadata(map(&metadata));
        alike(create_refund("pi_1", i64::MAX, &metadata), &theirs);
    }
    let theirs = RetrievePaymentIntent::new("pi_1").expand(["latest_charge".to_owned()]);
    alike(retrieve_payment_intent("pi_1").unwrap(), &theirs);
}
