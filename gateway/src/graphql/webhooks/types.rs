//! Webhook endpoints, as the schema shows them.

use async_graphql::{Context, ID};
use postern_domain::{
    Timestamp,
    webhooks::{Endpoint, Statistics},
};
use postern_gateway_macros::guarded;

use crate::graphql::{
    error::Result,
    loaders::Loaders,
    scalars::{DateTime, IntoId},
    schema::deps,
};

/// How far statistics look back unless told otherwise.
const STATISTICS_SECONDS: i64 = 7 * 24 * 60 * 60;

/// A webhook endpoint.
pub(crate) struct WebhookEndpointObject(pub(crate) Endpoint);

/// A URL that events are delivered to.
#[guarded(ADMIN, graphql(name = "WebhookEndpoint"))]
impl WebhookEndpointObject {
    /// The id of the endpoint.
    #[access(ADMIN)]
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into_id()
    }

    /// Where deliveries go.
    #[access(ADMIN)]
    fn url(&self) -> &str {
        &self.0.url
    }

    /// What it is, for people.
    #[access(ADMIN)]
    fn description(&self) -> &str {
        &self.0.description
    }

    /// The types of events it wants; null: those of the webhook contract.
    #[access(ADMIN)]
    fn filter_types(&self) -> Option<&[String]> {
        self.0.filter_types.as_deref()
    }

    /// The channels it listens to; null: all.
    #[access(ADMIN)]
    fn channels(&self) -> Option<&[String]> {
        self.0.channels.as_deref()
    }

    /// The owner's own headers, without the sensitive ones.
    #[access(ADMIN)]
    fn headers(&self) -> Vec<WebhookHeader> {
        let pairs = self.0.headers.iter();
        pairs.map(|(name, value)| WebhookHeader { name: name.clone(), value: value.clone() }).collect()
    }

    /// Names of headers whose values are never shown.
    #[access(ADMIN)]
    fn sensitive_headers(&self) -> &[String] {
        &self.0.sensitive_headers
    }

    /// The most deliveries a second; null: no limit.
    #[access(ADMIN)]
    fn rate_limit(&self) -> Option<i32> {
        self.0.rate_limit
    }

    /// Whether it gets one message after the other, in the order in which things happened.
    #[access(ADMIN)]
    fn in_order(&self) -> bool {
        self.0.in_order
    }

    /// The GraphQL selection that shapes its payloads; null: the whole.
    #[access(ADMIN)]
    fn selection(&self) -> Option<&str> {
        self.0.selection.as_deref()
    }

    /// Its name in the config file, where alone it can be changed; null for one that was made otherwise.
    #[access(ADMIN)]
    fn config_key(&self) -> Option<&str> {
        self.0.config_key.as_deref()
    }

    /// Until when nothing is tried, because no receiver answers.
    #[access(ADMIN)]
    fn paused_until(&self) -> Option<DateTime> {
        self.0.paused_until.map(Into::into)
    }

    /// How it has done since then, at most 28 days back; the last seven days when not given.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn statistics(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Since when.")] since: Option<DateTime>,
    ) -> Result<Option<WebhookStatistics>> {
        // By the minute, so that the endpoints of a list share their queries.
        let minute = |seconds: i64| Timestamp(seconds.div_euclid(60) * 60_000);
        let since = match since {
            Some(since) => since.0,
            None => minute(deps(ctx)?.now().seconds() - STATISTICS_SECONDS),
        };
        Ok(Loaders::of(ctx)?.webhook_statistics(self.0.id, since).await?.map(Into::into))
    }

    /// Whether it gets nothing.
    #[access(ADMIN)]
    fn disabled(&self) -> bool {
        self.0.disabled
    }

    /// Since when messages have been given up without any success in between.
    #[access(ADMIN)]
    fn failing_since(&self) -> Option<DateTime> {
        self.0.failing_since.map(Into::into)
    }

    /// When it was made.
    #[access(ADMIN)]
    fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it was last changed.
    #[access(ADMIN)]
    fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

/// A header that is sent with every delivery.
#[guarded(ADMIN)]
pub(crate) struct WebhookHeader {
    /// Its name, in lower case.
    #[access(ADMIN)]
    pub(super) name: String,
    /// Its value.
    #[access(ADMIN)]
    pub(super) value: String,
}

/// How a webhook endpoint has done.
#[guarded(ADMIN)]
pub(crate) struct WebhookStatistics {
    /// How many messages wait for an attempt, however old.
    #[access(ADMIN)]
    sending: i32,
    /// How many messages of the time it took.
    #[access(ADMIN)]
    succeeded: i32,
    /// How many messages of the time were given up.
    #[access(ADMIN)]
    failed: i32,
    /// How many messages of the time were not tried to the end.
    #[access(ADMIN)]
    dropped: i32,
    /// How many attempts in the time it answered with 2xx.
    #[access(ADMIN)]
    attempts_succeeded: i32,
    /// How many other attempts there were in the time.
    #[access(ADMIN)]
    attempts_failed: i32,
    /// How long its answers took on average, in milliseconds; null without attempts.
    #[access(ADMIN)]
    mean_duration_ms: Option<i32>,
}

impl From<Statistics> for WebhookStatistics {
    fn from(statistics: Statistics) -> Self {
        let number = |count: u64| i32::try_from(count).unwrap_or(i32::MAX);
        Self {
            sending: number(statistics.sending),
            succeeded: number(statistics.succeeded),
            failed: number(statistics.failed),
            dropped: number(statistics.dropped),
            attempts_succeeded: number(statistics.attempts_succeeded),
            attempts_failed: number(statistics.attempts_failed),
            mean_duration_ms: statistics.mean_duration_ms.map(number),
        }
    }
}
