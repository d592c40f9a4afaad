//! Invoices of subscriptions: kept as Stripe last told them, with the mails that follow.

use postern_entity::{ProjectId, purchase, purchase_invoice};

use super::{
    Connected,
    sync::{self, Synced},
};
use crate::{
    Deps,
    emails::Template,
    error::Result,
    payments::{mails, money::told, purchases::customer_of, store},
    ports::stripe::{StripeError, StripeInvoice},
};

/// What came of an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// It is written down.
    Done,
    /// It is not of a subscription that was sold here.
    Foreign,
}

/// Reads an invoice and the subscriptions of its customer, and writes both down.
pub(super) async fn note(
    deps: &Deps,
    connected: &Connected,
    project_id: &ProjectId,
    invoice_id: &str,
) -> Result<Result<Noted, StripeError>> {
    let invoice = match connected.api.invoice(&connected.account_id, invoice_id).await {
        Ok(invoice) => invoice,
        Err(StripeError::NotFound(_)) => return Ok(Ok(Noted::Foreign)),
        Err(error) => return Ok(Err(error)),
    };
    let Some(customer_id) = &invoice.customer_id else { return Ok(Ok(Noted::Foreign)) };
    match sync::customer(deps, connected, project_id, customer_id).await? {
        Ok(Synced::Done) => {}
        Ok(Synced::Unknown) => return Ok(Ok(Noted::Foreign)),
        Err(error) => return Ok(Err(error)),
    }
    let Some(subscription_id) = &invoice.subscription_id else { return Ok(Ok(Noted::Foreign)) };
    let known = store::by_stripe_id(deps.db.read(), project_id, subscription_id).await?;
    let Some(row) = known else { return Ok(Ok(Noted::Foreign)) };
    let owner = &customer_of(&row);
    let to = &mails::recipients(deps, project_id, owner).await?;
    let (invoice, id) = (&invoice, row.id);
    let is_ours = connected.sold_at(invoice.created);
    deps.db
        .write(|tx| async move {
            store::lock_customer(&tx, project_id, owner).await?;
            let Some(row) = store::hold(&tx, project_id, id).await? else { return Ok(()) };
            let kept = kept(project_id, &row, invoice);
            let begins = kept.is_creation && kept.status.as_deref() == Some("paid");
            store::put_invoice(&tx, kept).await?;
            if begins {
                sync::begin_paid(deps, &tx, row).await?;
            }
            if let Some((template, key)) = mail(invoice).filter(|_| is_ours) {
                mails::tell(deps, &tx, project_id, to, &template, &key).await?;
            }
            Ok(())
        })
        .await?;
    Ok(Ok(Noted::Done))
}

fn kept(project_id: &ProjectId, row: &purchase::Model, invoice: &StripeInvoice) -> purchase_invoice::Model {
    purchase_invoice::Model {
        project_id: project_id.clone(),
        id: invoice.id.clone(),
        purchase_id: row.id,
        is_creation: invoice.billing_reason.as_deref() == Some("subscription_create"),
        status: invoice.status.clone(),
        total: invoice.total,
        amount_paid: invoice.amount_paid,
        currency: invoice.currency.clone(),
        hosted_url: invoice.hosted_url.clone(),
        payment_intent_id: invoice.payment_intent_id.clone(),
        created_at: invoice.created,
    }
}

/// By how it stands, not by which event tells of it: a receipt for one that is paid, a word for one that was given up.
fn mail(invoice: &StripeInvoice) -> Option<(Template, String)> {
    let product_name = invoice.description.clone().unwrap_or_else(|| "Subscription".to_owned());
    match invoice.status.as_deref() {
        Some("paid") if invoice.amount_paid > 0 => {
            let receipt = Template::PaymentReceipt {
                product_name,
                quantity: invoice.quantity,
                amount: told(&invoice.currency, invoice.amount_paid),
                receipt_link: invoice.hosted_url.clone().or_else(|| invoice.pdf_url.clone()),
            };
            Some((receipt, format!("receipt/{}", invoice.id)))
        }
        Some("uncollectible") => {
            let failed = Template::PaymentFailed {
                product_name,
                amount: told(&invoice.currency, invoice.amount_due),
                invoice_url: invoice.hosted_url.clone(),
                failure_reason: None,
            };
            Some((failed, format!("payment_failed/{}", invoice.id)))
        }
        _ => None,
    }
}
