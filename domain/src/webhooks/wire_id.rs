//! How ids look to receivers and on the Svix-compatible wire: a prefix and the UUID's 32 hexadecimal digits.

use postern_entity::{WebhookAttemptId, WebhookEndpointId, WebhookMessageId};

/// `msg_…`; the header `svix-id`.
#[must_use]
pub fn wire_message_id(id: WebhookMessageId) -> String {
    format!("msg_{}", id.0.simple())
}

/// `ep_…`.
#[must_use]
pub fn wire_endpoint_id(id: WebhookEndpointId) -> String {
    format!("ep_{}", id.0.simple())
}

/// `atmpt_…`.
#[must_use]
pub fn wire_attempt_id(id: WebhookAttemptId) -> String {
    format!("atmpt_{}", id.0.simple())
}
