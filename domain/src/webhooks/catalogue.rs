//! The types of events that endpoints can ask for.

use serde_json::{Value, json};

use super::{examples::example, matching};
use crate::events::EventKind;

/// A type of event, as owners of endpoints see it.
#[derive(Clone, Debug, PartialEq)]
pub struct EventType {
    /// Its name, such as `user.created`.
    pub name: &'static str,
    /// When it happens and what is sent.
    pub description: &'static str,
    /// What a delivery of it looks like.
    pub example: Value,
}

/// All types that can be delivered, in the order of their table.
#[must_use]
pub fn event_types() -> Vec<EventType> {
    EventKind::ALL.iter().filter_map(|kind| event_type(kind.as_str())).collect()
}

/// The type of this name, if it can be delivered.
#[must_use]
pub fn event_type(name: &str) -> Option<EventType> {
    let kind: EventKind = name.parse().ok().filter(|kind: &EventKind| matching::is_sent(kind.as_str()))?;
    let name = kind.as_str();
    let example = json!({ "type": name, "data": example(kind) });
    Some(EventType { name, description: kind.description(), example })
}
