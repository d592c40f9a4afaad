//! Reading webhook endpoints and messages.

use async_graphql::{Context, ID, InputObject};
use postern_domain::webhooks::{self, MessageFilter, Page, PageRequest, Place};
use postern_gateway_macros::guarded;
use secrecy::ExposeSecret;

use super::{
    message::{WebhookDeliveryObject, WebhookMessageObject},
    types::WebhookEndpointObject,
};
use crate::graphql::{
    connection::{Connection, decode_cursor, encode_cursor, page_cost, page_size},
    error::Result,
    scalars::{DateTime, parse_id},
    schema::{actor, deps},
};

/// Queries of webhooks.
#[derive(Default)]
pub(crate) struct WebhookQuery;

#[guarded(root)]
impl WebhookQuery {
    /// The project's webhook endpoints, oldest first.
    #[access(ADMIN)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn webhook_endpoints(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Option<Connection<WebhookEndpointObject>>> {
        let request = request(first, after.as_deref())?;
        let page = webhooks::endpoints(deps(ctx)?, actor(ctx)?, request.asked).await?;
        request.connection(page, webhooks::Endpoint::place, WebhookEndpointObject).map(Some)
    }

    /// One webhook endpoint.
    #[access(ADMIN)]
    async fn webhook_endpoint(&self, ctx: &Context<'_>, id: ID) -> Result<Option<WebhookEndpointObject>> {
        let endpoint = webhooks::endpoint(deps(ctx)?, actor(ctx)?, parse_id(&id, "id")?).await?;
        Ok(Some(WebhookEndpointObject(endpoint)))
    }

    /// One webhook message.
    #[access(ADMIN)]
    async fn webhook_message(&self, ctx: &Context<'_>, id: ID) -> Result<Option<WebhookMessageObject>> {
        let message = webhooks::message(deps(ctx)?, actor(ctx)?, parse_id(&id, "id")?).await?;
        Ok(Some(WebhookMessageObject(message)))
    }

    /// Deliveries that were given up after their last attempt, newest first.
    #[access(ADMIN)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn webhook_dead_letters(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
        #[graphql(desc = "Only those to this endpoint.")] endpoint_id: Option<ID>,
    ) -> Result<Option<Connection<WebhookDeliveryObject>>> {
        let request = request(first, after.as_deref())?;
        let endpoint_id = endpoint_id.map(|id| parse_id(&id, "endpointId")).transpose()?;
        let page = webhooks::dead_letters(deps(ctx)?, actor(ctx)?, endpoint_id, request.asked).await?;
        request.connection(page, webhooks::Delivery::place, WebhookDeliveryObject).map(Some)
    }

    /// What a receiver verifies deliveries with: the secret, `whsec_…`, or the public key, `whpk_…`.
    #[access(ADMIN)]
    async fn webhook_secret(&self, ctx: &Context<'_>, endpoint_id: ID) -> Result<Option<String>> {
        let id = parse_id(&endpoint_id, "endpointId")?;
        let secret = webhooks::secret(deps(ctx)?, actor(ctx)?, id).await?;
        Ok(Some(secret.expose_secret().to_owned()))
    }

    /// The project's webhook messages, newest first.
    #[access(ADMIN)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn webhook_messages(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
        #[graphql(desc = "Which messages.")] filter: Option<WebhookMessageFilter>,
    ) -> Result<Option<Connection<WebhookMessageObject>>> {
        let request = request(first, after.as_deref())?;
        let filter = filter.unwrap_or_default();
        let filter = MessageFilter {
            event_types: filter.event_types.unwrap_or_default(),
            since: filter.since.map(|time| time.0),
            until: filter.until.map(|time| time.0),
            ..MessageFilter::default()
        };
        let page = webhooks::messages(deps(ctx)?, actor(ctx)?, &filter, request.asked).await?;
        request.connection(page, webhooks::Message::place, WebhookMessageObject).map(Some)
    }
}

/// Which messages to list.
#[derive(Default, InputObject)]
pub(crate) struct WebhookMessageFilter {
    /// Of these types.
    event_types: Option<Vec<String>>,
    /// Made at or after.
    since: Option<DateTime>,
    /// Made before.
    until: Option<DateTime>,
}

/// A page that is asked for, which may be empty: then only what follows is of interest.
struct Request {
    size: u64,
    asked: PageRequest,
}

fn request(first: Option<i32>, after: Option<&str>) -> Result<Request> {
    let size = page_size(first)?;
    let after = after.map(decode_cursor::<Place>).transpose()?;
    Ok(Request { size, asked: PageRequest { limit: size.max(1), after } })
}

impl Request {
    fn connection<T, N>(
        &self,
        page: Page<T>,
        place: impl Fn(&T) -> Place,
        node: impl Fn(T) -> N,
    ) -> Result<Connection<N>> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let has_next_page = page.has_more || page.items.len() > size;
        let edges: Result<Vec<_>> =
            page.items.into_iter().take(size).map(|item| Ok((encode_cursor(&place(&item))?, node(item)))).collect();
        Ok(Connection::new(edges?, has_next_page, self.asked.after.is_some()))
    }
}
