//! What the Svix routes show: endpoints, messages, attempts (wire/webhooks §5.2, §7.3). Ours has three fields more on
//! endpoints.

use base64::{Engine, prelude::BASE64_STANDARD};
use postern_domain::webhooks::{
    Attempt, AttemptOutcome, AttemptTrigger, Delivery, DeliveryState, Endpoint, Message, Sent, wire_attempt_id,
    wire_endpoint_id, wire_message_id,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::rest::reply::iso;

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SvixEndpoint")]
pub(super) struct EndpointView {
    id: String,
    /// Endpoints have no id but their own.
    uid: Option<String>,
    url: String,
    version: u32,
    description: String,
    filter_types: Option<Vec<String>>,
    channels: Option<Vec<String>>,
    disabled: bool,
    rate_limit: Option<i32>,
    throttle_rate: Option<i32>,
    /// Always empty.
    metadata: Map<String, Value>,
    created_at: String,
    updated_at: String,
    /// Ours: gets one message after the other.
    in_order: bool,
    /// Ours: the GraphQL selection that shapes its payloads.
    selection: Option<String>,
}

impl From<Endpoint> for EndpointView {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            id: wire_endpoint_id(endpoint.id),
            uid: None,
            url: endpoint.url,
            version: 1,
            description: endpoint.description,
            filter_types: endpoint.filter_types,
            channels: endpoint.channels,
            disabled: endpoint.disabled,
            rate_limit: endpoint.rate_limit,
            throttle_rate: endpoint.rate_limit,
            metadata: Map::new(),
            created_at: iso(endpoint.created_at),
            updated_at: iso(endpoint.updated_at),
            in_order: endpoint.in_order,
            selection: endpoint.selection,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SvixMessage")]
pub(super) struct MessageView {
    id: String,
    event_id: Option<String>,
    event_type: String,
    /// `{"expired": true}` once it is no longer kept; empty when it was not asked for.
    payload: Value,
    channels: Option<Vec<String>>,
    timestamp: String,
    /// Messages have none.
    tags: Option<Vec<String>>,
}

impl MessageView {
    pub(super) fn new(message: Message, with_content: bool) -> Self {
        let payload = payload(message.payload.as_deref(), with_content);
        Self {
            id: wire_message_id(message.id),
            event_id: message.event_position.map(|position| format!("evt_{position}")),
            event_type: message.event_type,
            payload,
            channels: Some(message.channels).filter(|channels| !channels.is_empty()),
            timestamp: iso(message.created_at),
            tags: None,
        }
    }
}

fn payload(text: Option<&str>, with_content: bool) -> Value {
    match text.map(serde_json::from_str) {
        _ if !with_content => json!({}),
        Some(Ok(payload)) => payload,
        _ => json!({ "expired": true }),
    }
}

/// How far a message has come at an endpoint, or an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Success,
    Fail,
    Sending,
}

impl Status {
    fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Fail => 2,
            Self::Sending => 3,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Fail => "fail",
            Self::Sending => "sending",
        }
    }
}

impl From<DeliveryState> for Status {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Sending => Self::Sending,
            DeliveryState::Succeeded => Self::Success,
            DeliveryState::Failed | DeliveryState::Dropped => Self::Fail,
        }
    }
}

impl From<AttemptOutcome> for Status {
    fn from(outcome: AttemptOutcome) -> Self {
        match outcome {
            AttemptOutcome::Succeeded => Self::Success,
            AttemptOutcome::Retried => Self::Sending,
            AttemptOutcome::Failed => Self::Fail,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Progress {
    status: u8,
    status_text: &'static str,
    next_attempt: Option<String>,
}

impl Progress {
    fn of(delivery: &Delivery) -> Self {
        let status = Status::from(delivery.state);
        Self { status: status.number(), status_text: status.text(), next_attempt: delivery.next_attempt_at.map(iso) }
    }
}

/// A message as one endpoint gets it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SvixEndpointMessage")]
pub(super) struct EndpointMessageView {
    #[serde(flatten)]
    message: MessageView,
    #[serde(flatten)]
    progress: Progress,
}

impl EndpointMessageView {
    pub(super) fn new(Sent { message, delivery }: Sent, with_content: bool) -> Self {
        let progress = Progress::of(&delivery);
        let message = Message { payload: delivery.payload.or(message.payload), ..message };
        Self { message: MessageView::new(message, with_content), progress }
    }
}

/// An endpoint that gets a message.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SvixMessageEndpoint")]
pub(super) struct MessageEndpointView {
    #[serde(flatten)]
    endpoint: EndpointView,
    #[serde(flatten)]
    progress: Progress,
}

impl MessageEndpointView {
    pub(super) fn new(endpoint: Endpoint, delivery: &Delivery) -> Self {
        Self { endpoint: endpoint.into(), progress: Progress::of(delivery) }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SvixAttempt")]
pub(super) struct AttemptView {
    id: String,
    msg_id: String,
    endpoint_id: String,
    url: String,
    /// The answer's body, in base64 where it is no text; why there is none; nothing when it was not asked for or expunged.
    response: String,
    response_status_code: i32,
    response_duration_ms: i32,
    status: u8,
    status_text: &'static str,
    trigger_type: u8,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    msg: Option<MessageView>,
}

impl AttemptView {
    pub(super) fn new(attempt: Attempt, with_content: bool, msg: Option<MessageView>) -> Self {
        let status = Status::from(attempt.outcome());
        let response = match attempt.response_body {
            _ if !with_content => String::new(),
            Some(body) => String::from_utf8(body).unwrap_or_else(|bytes| BASE64_STANDARD.encode(bytes.into_bytes())),
            None => attempt.error.unwrap_or_default(),
        };
        Self {
            id: wire_attempt_id(attempt.id),
            msg_id: wire_message_id(attempt.message_id),
            endpoint_id: wire_endpoint_id(attempt.endpoint_id),
            url: attempt.url,
            response,
            response_status_code: attempt.response_status,
            response_duration_ms: attempt.duration_ms,
            status: status.number(),
            status_text: status.text(),
            trigger_type: match attempt.trigger {
                AttemptTrigger::Scheduled => 0,
                AttemptTrigger::Manual => 1,
            },
            timestamp: iso(attempt.attempted_at),
            msg,
        }
    }
}
