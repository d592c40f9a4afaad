//! Reading what customers have bought.

use async_graphql::{Context, ID};
use postern_domain::payments::{
    self,
    transactions::{TransactionFilter, TransactionPlace, transactions},
};
use postern_gateway_macros::guarded;

use super::{
    transaction::{TransactionObject, TransactionType},
    types::ProductObject,
};
use crate::graphql::{
    connection::{Connection, connection_of, decode_cursor, encode_cursor, page_cost, page_size},
    error::Result,
    items::types::{CustomerInput, CustomerType},
    schema::{actor, deps},
};

/// Queries of payments.
#[derive(Default)]
pub(crate) struct PaymentQuery;

#[guarded(root)]
impl PaymentQuery {
    /// What a customer has bought or was granted, by key of the product. A client asks for its own user, or for a team in
    /// which it holds `team_admin`.
    #[access(CLIENT)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn products(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who has them.")] customer: CustomerInput,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last product of the page before.")] after: Option<String>,
    ) -> Result<Option<Connection<ProductObject>>> {
        let found = payments::products(deps(ctx)?, actor(ctx)?, &customer.into()).await?;
        connection_of(found, first, after.as_deref(), |owned| owned.id.clone(), ProductObject).map(Some)
    }

    /// Purchases, renewals and changes of items by servers, newest first.
    #[access(ADMIN)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn transactions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last transaction of the page before.")] after: Option<String>,
        #[graphql(desc = "Only of this sort.")] r#type: Option<TransactionType>,
        #[graphql(desc = "Only of customers of this sort.")] customer_type: Option<CustomerType>,
        #[graphql(desc = "Only of the customer that is called so.")] customer_id: Option<ID>,
    ) -> Result<Option<Connection<TransactionObject>>> {
        let size = page_size(first)?;
        let place = after.as_deref().map(decode_cursor::<TransactionPlace>).transpose()?;
        let filter = TransactionFilter {
            kind: r#type.map(Into::into),
            customer_type: customer_type.map(Into::into),
            customer_id: customer_id.map(|id| id.0),
        };
        let page = transactions(deps(ctx)?, actor(ctx)?, &filter, place.as_ref(), size.max(1)).await?;
        let shown = usize::try_from(size).unwrap_or(usize::MAX);
        let has_next_page = page.has_more || page.transactions.len() > shown;
        let edges: Result<Vec<_>> = page
            .transactions
            .into_iter()
            .take(shown)
            .map(|found| Ok((encode_cursor(&found.place())?, TransactionObject(found))))
            .collect();
        Ok(Some(Connection::new(edges?, has_next_page, place.is_some())))
    }
}
