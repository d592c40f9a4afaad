//! How ids look to receivers and on the Svix-compatible wire: a prefix and the UUID's 32 hexadecimal digits.

use postern_entity::{WebhookAttemptId, WebhookEndpointId, WebhookMessageId};
use uuid::Uuid;

const MESSAGE: &str = "msg_";
const ENDPOINT: &str = "ep_";
const ATTEMPT: &str = "atmpt_";

/// `msg_…`; the header `svix-id`.
#[must_use]
pub fn wire_message_id(id: WebhookMessageId) -> String {
    wire(MESSAGE, id.0)
}

/// `ep_…`.
#[must_use]
pub fn wire_endpoint_id(id: WebhookEndpointId) -> String {
    wire(ENDPOINT, id.0)
}

/// `atmpt_…`.
#[must_use]
pub fn wire_attempt_id(id: WebhookAttemptId) -> String {
    wire(ATTEMPT, id.0)
}

/// The id that [`wire_message_id`] wrote.
#[must_use]
pub fn message_id_of(text: &str) -> Option<WebhookMessageId> {
    read(MESSAGE, text).map(WebhookMessageId)
}

/// The id that [`wire_endpoint_id`] wrote.
#[must_use]
pub fn endpoint_id_of(text: &str) -> Option<WebhookEndpointId> {
    read(ENDPOINT, text).map(WebhookEndpointId)
}

/// The id that [`wire_attempt_id`] wrote.
#[must_use]
pub fn attempt_id_of(text: &str) -> Option<WebhookAttemptId> {
    read(ATTEMPT, text).map(WebhookAttemptId)
}

fn wire(prefix: &str, id: Uuid) -> String {
    format!("{prefix}{}", id.simple())
}

/// Only as we write it: an id has one spelling.
fn read(prefix: &str, text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text.strip_prefix(prefix)?).ok()?;
    (wire(prefix, id) == text).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling() {
        let id = WebhookEndpointId(Uuid::from_u128(0xabcd));
        let text = wire_endpoint_id(id);
        assert_eq!(text, "ep_0000000000000000000000000000abcd");
        assert_eq!(endpoint_id_of(&text), Some(id));
        for other in [
            "",
            "ep_",
            "ep_abcd",
            "msg_0000000000000000000000000000abcd",
            "ep_0000000000000000000000000000ABCD",
            "ep_00000000-0000-0000-0000-00000000abcd",
            "0000000000000000000000000000abcd",
        ] {
            assert_eq!(endpoint_id_of(other), None, "{other}");
        }
    }
}
