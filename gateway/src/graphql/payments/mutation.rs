//! Granting, buying, changing, cancelling and paying back.

use async_graphql::{Context, Enum, ID, InputObject};
use postern_domain::payments::{self, Cancelled, PurchaseKind, RefundEntry, RefundPurchase, SwitchProduct, checkout};
use postern_gateway_macros::guarded;

use super::{
    input::{ProductInput, chosen},
    types::key,
};
use crate::graphql::{
    error::{Error, Result},
    items::types::CustomerInput,
    repeat,
    scalars::{SafeInt, parse_id},
    schema::deps,
};

/// Mutations of payments.
#[derive(Default)]
pub(crate) struct PaymentMutation;

#[guarded(root)]
impl PaymentMutation {
    /// Grants a product without payment: by its first price, a subscription of one period at a time or a one-time purchase.
    #[access(SERVER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn grant_product(&self, ctx: &Context<'_>, input: GrantProductInput) -> Result<Option<GrantProductPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let product = chosen(input.product_id.as_ref(), input.product)?;
        let granted = payments::grant(deps(ctx)?, &actor, &input.customer.into(), &product, input.quantity.0).await?;
        let id = |kind| (granted.kind == kind).then(|| ID(granted.id.to_string()));
        Ok(Some(GrantProductPayload {
            subscription_id: id(PurchaseKind::Subscription),
            one_time_purchase_id: id(PurchaseKind::OneTime),
        }))
    }

    /// Cancels subscriptions of a customer: all of a product, or one. What was paid for is owned until its period ends.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn cancel_product(
        &self,
        ctx: &Context<'_>,
        input: CancelProductInput,
    ) -> Result<Option<CancelProductPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let which = match (&input.product_id, &input.subscription_id) {
            (Some(id), None) if key(id) == payments::cancel::INLINE => Cancelled::Product(None),
            (Some(id), None) => Cancelled::Product(Some(key(id).to_owned())),
            (None, Some(id)) => Cancelled::Subscription(parse_id(id, "subscriptionId")?),
            _ => return Err(Error::bad_input("Name the product or the subscription, not both.")),
        };
        payments::cancel(deps(ctx)?, &actor, &input.customer.into(), &which).await?;
        Ok(Some(CancelProductPayload { success: true }))
    }

    /// Changes from one product of a line to another, paid by the same subscription and card.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn switch_product(
        &self,
        ctx: &Context<'_>,
        input: SwitchProductInput,
    ) -> Result<Option<SwitchProductPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let wanted = SwitchProduct {
            from_product_id: key(&input.from_product_id).to_owned(),
            to_product_id: key(&input.to_product_id).to_owned(),
            price_id: input.price_key,
            quantity: input.quantity.map(|quantity| quantity.0),
        };
        payments::switch(deps(ctx)?, &actor, &input.customer.into(), &wanted).await?;
        Ok(Some(SwitchProductPayload { success: true }))
    }

    /// Makes a URL at which a customer can buy a product, for a day.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn create_checkout_url(
        &self,
        ctx: &Context<'_>,
        input: CreateCheckoutUrlInput,
    ) -> Result<Option<CreateCheckoutUrlPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let product = chosen(input.product_id.as_ref(), input.product)?;
        let (customer, return_url) = (input.customer.into(), input.return_url.as_deref());
        let url = checkout::create_url(deps(ctx)?, &actor, &customer, &product, return_url).await?;
        Ok(Some(CreateCheckoutUrlPayload { url }))
    }

    /// Pays a purchase back, wholly or in part, and takes pieces of it back; once per purchase.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn refund_transaction(
        &self,
        ctx: &Context<'_>,
        input: RefundTransactionInput,
    ) -> Result<Option<RefundTransactionPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let entry = RefundEntry { entry_index: 0, quantity: input.quantity.0, amount_usd: input.amount_usd };
        let id = parse_id(&input.id, "id")?;
        let wanted = RefundPurchase { kind: input.kind.into(), id, entries: vec![entry], invoice_id: None, end: None };
        payments::refund(deps(ctx)?, &actor, &wanted).await?;
        Ok(Some(RefundTransactionPayload { success: true }))
    }
}

/// What to grant.
#[derive(InputObject)]
pub(crate) struct GrantProductInput {
    /// To whom.
    customer: CustomerInput,
    /// The key of a configured product, or its id.
    product_id: Option<ID>,
    /// A product that is not configured.
    product: Option<ProductInput>,
    /// How many pieces.
    #[graphql(default_with = "SafeInt(1)")]
    quantity: SafeInt,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// What was granted.
#[guarded(SERVER)]
pub(crate) struct GrantProductPayload {
    /// The subscription, if the price is paid again and again.
    #[access(SERVER)]
    subscription_id: Option<ID>,
    /// The one-time purchase, if it is not.
    #[access(SERVER)]
    one_time_purchase_id: Option<ID>,
}

/// What to cancel.
#[derive(InputObject)]
pub(crate) struct CancelProductInput {
    /// Whose.
    customer: CustomerInput,
    /// All subscriptions of this product, by its key or id; `_inline` stands for products that came with requests.
    product_id: Option<ID>,
    /// This subscription.
    subscription_id: Option<ID>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// It is cancelled.
#[guarded(CLIENT)]
pub(crate) struct CancelProductPayload {
    /// Always true.
    #[access(CLIENT)]
    success: bool,
}

/// What to change.
#[derive(InputObject)]
pub(crate) struct SwitchProductInput {
    /// Whose.
    customer: CustomerInput,
    /// The product that the customer has, by its key or id.
    from_product_id: ID,
    /// The one that it wants.
    to_product_id: ID,
    /// A price of it; the first that is paid again and again when not given.
    price_key: Option<String>,
    /// How many pieces; as many as before when not given.
    quantity: Option<SafeInt>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// It is changed.
#[guarded(CLIENT)]
pub(crate) struct SwitchProductPayload {
    /// Always true.
    #[access(CLIENT)]
    success: bool,
}

/// What is to be bought.
#[derive(InputObject)]
pub(crate) struct CreateCheckoutUrlInput {
    /// By whom.
    customer: CustomerInput,
    /// The key of a configured product, or its id.
    product_id: Option<ID>,
    /// A product that is not configured; for servers.
    product: Option<ProductInput>,
    /// Where the browser goes afterwards: a URL that the project trusts.
    return_url: Option<String>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// Where to buy.
#[guarded(CLIENT)]
pub(crate) struct CreateCheckoutUrlPayload {
    /// The page.
    #[access(CLIENT)]
    url: String,
}

/// What sort of purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "PurchaseKind")]
pub(crate) enum PurchaseType {
    /// Paid again and again.
    Subscription,
    /// Paid once.
    OneTime,
}

/// What is paid back.
#[derive(InputObject)]
pub(crate) struct RefundTransactionInput {
    /// What sort of purchase.
    #[graphql(name = "type")]
    kind: PurchaseType,
    /// The subscription or one-time purchase.
    id: ID,
    /// How many pieces are taken back; 0 when only money is paid back.
    quantity: SafeInt,
    /// How much is paid back, in dollars, such as `19.99`.
    amount_usd: String,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// It is paid back.
#[guarded(ADMIN)]
pub(crate) struct RefundTransactionPayload {
    /// Always true.
    #[access(ADMIN)]
    success: bool,
}
