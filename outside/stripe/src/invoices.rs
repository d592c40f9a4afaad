//! Invoices.

use postern_domain::ports::stripe::{StripeError, StripeInvoice, StripePage};
use serde::Deserialize;

use crate::{
    StripeClient,
    read::{Link, List, time},
    spelling,
};

#[derive(Deserialize)]
struct Invoice {
    id: String,
    customer: Option<Link>,
    parent: Option<Parent>,
    status: Option<String>,
    billing_reason: Option<String>,
    total: i64,
    amount_due: i64,
    amount_paid: i64,
    currency: String,
    lines: List<Line>,
    hosted_invoice_url: Option<String>,
    invoice_pdf: Option<String>,
    payments: Option<List<Payment>>,
    created: i64,
}

#[derive(Deserialize)]
struct Parent {
    subscription_details: Option<SubscriptionDetails>,
}

#[derive(Deserialize)]
struct SubscriptionDetails {
    subscription: Option<Link>,
}

#[derive(Deserialize)]
struct Line {
    description: Option<String>,
    quantity: Option<i64>,
}

#[derive(Deserialize)]
struct Payment {
    status: String,
    payment: PaidBy,
}

#[derive(Deserialize)]
struct PaidBy {
    payment_intent: Option<Link>,
}

impl From<Invoice> for StripeInvoice {
    fn from(invoice: Invoice) -> Self {
        let subscription = invoice.parent.and_then(|parent| parent.subscription_details);
        let mut payments = invoice.payments.map(|payments| payments.data).unwrap_or_default().into_iter();
        let paid = payments.find(|payment| payment.status == "paid");
        let line = invoice.lines.data.into_iter().next();
        let (description, quantity) = line.map(|line| (line.description, line.quantity)).unwrap_or_default();
        Self {
            id: invoice.id,
            customer_id: invoice.customer.map(Link::into_id),
            subscription_id: subscription.and_then(|details| details.subscription).map(Link::into_id),
            status: invoice.status,
            billing_reason: invoice.billing_reason,
            total: invoice.total,
            amount_due: invoice.amount_due,
            amount_paid: invoice.amount_paid,
            currency: invoice.currency,
            description,
            quantity: quantity.unwrap_or(1),
            hosted_url: invoice.hosted_invoice_url,
            pdf_url: invoice.invoice_pdf,
            payment_intent_id: paid.and_then(|paid| paid.payment.payment_intent).map(Link::into_id),
            created: time(invoice.created),
        }
    }
}

pub(crate) async fn retrieve(stripe: &StripeClient, account_id: &str, id: &str) -> Result<StripeInvoice, StripeError> {
    let found: Invoice = stripe.ask(Some(account_id), spelling::retrieve_invoice(id)?).await?;
    Ok(found.into())
}

pub(crate) async fn of_customer(
    stripe: &StripeClient,
    account_id: &str,
    customer_id: &str,
    after: Option<&str>,
    limit: u8,
) -> Result<StripePage<StripeInvoice>, StripeError> {
    let request = spelling::list_invoice(customer_id, after, limit);
    let page: List<Invoice> = stripe.ask(Some(account_id), request).await?;
    Ok(StripePage { items: page.data.into_iter().map(StripeInvoice::from).collect(), has_more: page.has_more })
}
