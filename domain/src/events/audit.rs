//! Entries for audit: who changed something about the administration of a project. They stay in the log: no endpoint gets
//! them, and no client sees them. They name what was changed and never tell a value, which may be a secret.

use serde_json::{Map, Value, json};

use super::{EventKind, NewEvent};
use crate::{Actor, ProjectId, UserId, sessions::ClientInfo};

/// How many names of changed things one entry tells.
const MAX_NAMES: usize = 100;
/// The longest name, in characters; longer ones are cut.
const MAX_NAME_CHARS: usize = 200;

/// An entry about a project itself, made by `actor`; by nobody where the installation did it by its settings, or where
/// nobody is known. `payload` is an object.
pub(crate) fn audit(project_id: &ProjectId, kind: EventKind, actor: Option<&Actor>, payload: Value) -> NewEvent {
    let event = NewEvent { project_id: project_id.clone(), kind, user_id: None, team_id: None, payload };
    by(actor, event)
}

/// The same for an entry that is also about a user or a team.
pub(crate) fn by(actor: Option<&Actor>, mut event: NewEvent) -> NewEvent {
    if let Value::Object(payload) = &mut event.payload {
        payload.insert("actor".to_owned(), actor.map_or(Value::Null, described));
    }
    event
}

/// The same with from where it was done.
pub(crate) fn from(client: &ClientInfo, mut event: NewEvent) -> NewEvent {
    if let Value::Object(payload) = &mut event.payload {
        payload.insert("address".to_owned(), json!(client.ip));
        payload.insert("user_agent".to_owned(), json!(client.shown_user_agent()));
        payload.insert("country".to_owned(), json!(client.country));
    }
    event
}

/// What became of something by which a user proves who it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FactorChange {
    /// `password`, `totp`, `recovery_codes` or `passkey`.
    pub(crate) factor: &'static str,
    /// `set`, `used` or `removed`.
    pub(crate) change: &'static str,
}

impl FactorChange {
    /// An entry that `actor` did it for a user, from where if that is known.
    pub(crate) fn event(self, actor: &Actor, user_id: UserId, client: Option<&ClientInfo>) -> NewEvent {
        let Self { factor, change } = self;
        let event = by(
            Some(actor),
            NewEvent {
                project_id: actor.project_id.clone(),
                kind: EventKind::FactorChanged,
                user_id: Some(user_id),
                team_id: None,
                payload: json!({ "user_id": user_id, "factor": factor, "change": change }),
            },
        );
        match client {
            Some(client) => from(client, event),
            None => event,
        }
    }
}

/// Names of things that were changed, as an entry tells them.
pub(crate) fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> Value {
    names.into_iter().take(MAX_NAMES).map(|name| name.chars().take(MAX_NAME_CHARS).collect::<String>()).collect()
}

fn described(actor: &Actor) -> Value {
    let mut told = Map::new();
    told.insert("project_id".to_owned(), json!(actor.project_id));
    told.insert("level".to_owned(), json!(actor.level.as_str()));
    let mut tell = |name: &str, id: Option<String>| told.extend(id.map(|id| (name.to_owned(), Value::String(id))));
    tell("user_id", actor.user_id().map(|id| id.to_string()));
    tell("api_key_id", actor.key.map(|key| key.id.to_string()));
    // A user of project `internal`.
    tell("owner_id", actor.owner.map(|id| id.to_string()));
    Value::Object(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded() {
        let long = "ä".repeat(MAX_NAME_CHARS + 1);
        let Value::Array(told) = names((0..MAX_NAMES + 1).map(|_| long.as_str())) else { panic!("a list") };
        assert_eq!(told.len(), MAX_NAMES);
        assert!(told.iter().all(|name| name.as_str().unwrap().chars().count() == MAX_NAME_CHARS));
    }
}
