//! Payloads shaped by a GraphQL selection: which parts of an event an endpoint wants, and under which names. A selection
//! picks from the snapshot that the event holds and asks nothing else, so it means the same whenever it is evaluated:
//!
//! ```graphql
//! { type at: createdAt ... on UserCreated { data { id mail: primaryEmail } } ... on UserDeleted { data { id } } }
//! ```
//!
//! Names are those of the data, in snake case or in camel case; a part without a selection of its own is taken whole. What
//! an event does not have is null. Pure.

use std::collections::BTreeSet;

use apollo_parser::{
    Parser,
    cst::{Definition, Document, OperationDefinition, Selection as Node, SelectionSet},
};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{examples::example, matching};
use crate::{Error, Timestamp, events::EventKind};

/// The longest selection, in characters.
pub(super) const MAX_CHARS: usize = 4000;
/// The most tokens of one.
const MAX_TOKENS: usize = 1000;
/// How deep one may go.
const MAX_DEPTH: usize = 12;
/// What every event has, besides its name.
const TYPE: &str = "type";
const CREATED_AT: &str = "createdAt";
const DATA: &str = "data";
const TYPENAME: &str = "__typename";

/// What is wanted of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape(Vec<Pick>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pick {
    /// A part under the name `key`, whole or in parts.
    Part { key: String, name: String, within: Option<Vec<Pick>> },
    /// What is wanted of events of one type only.
    On { event: Option<String>, picks: Vec<Pick> },
}

impl Shape {
    /// Reads a selection and compares it with what events of these types have; `None` means those of the webhook contract.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn checked(text: &str, types: Option<&[String]>) -> Result<Self, String> {
        let shape = Self::parse(text)?;
        let wanted = |kind: &&EventKind| matching::wants_type(types, kind.as_str());
        let events: Vec<_> =
            EventKind::ALL.iter().filter(wanted).map(|kind| (name_of(kind.as_str()), example_event(*kind))).collect();
        let at: Vec<_> = events.iter().map(|(name, event)| (name.as_str(), event)).collect();
        check(&shape.0, &at, "", &mut BTreeSet::new())?;
        Ok(shape)
    }

    /// Reads a selection that was checked when it was stored.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > MAX_CHARS {
            return Err(format!("must have at most {MAX_CHARS} characters"));
        }
        let tree = Parser::new(text).recursion_limit(MAX_DEPTH).token_limit(MAX_TOKENS).parse();
        if let Some(error) = tree.errors().next() {
            return Err(format!("is no GraphQL selection: {} at character {}", error.message(), error.index()));
        }
        picks(operation(&tree.document())?.selection_set().as_ref()).map(Self)
    }

    /// The payload for an event: the bytes that are signed and sent.
    ///
    /// # Errors
    /// Internal only: JSON can always be written.
    pub(super) fn apply(&self, event_type: &str, data: &Value, created_at: Timestamp) -> crate::Result<Vec<u8>> {
        let event = event(event_type, data, created_at);
        let picked = picked(&self.0, &event, &name_of(event_type));
        serde_json::to_vec(&picked).map_err(Error::internal)
    }
}

/// The one operation of a selection: a query without a name for its parts from outside.
fn operation(document: &Document) -> Result<OperationDefinition, String> {
    let mut definitions = document.definitions();
    let (Some(Definition::OperationDefinition(operation)), None) = (definitions.next(), definitions.next()) else {
        return Err("must be one selection, such as { type data }".to_owned());
    };
    let is_query = operation.operation_type().is_none_or(|kind| kind.query_token().is_some());
    if !is_query || operation.variable_definitions().is_some() || operation.directives().is_some() {
        return Err("must be a query without variables and directives".to_owned());
    }
    Ok(operation)
}

fn picks(set: Option<&SelectionSet>) -> Result<Vec<Pick>, String> {
    let picks = set.into_iter().flat_map(SelectionSet::selections).map(|node| match node {
        Node::Field(field) => {
            let name = field.name().map(|name| name.text().to_string()).unwrap_or_default();
            if field.arguments().is_some() || field.directives().is_some() {
                return Err(format!("gives {name:?} arguments or directives, which a selection does not have"));
            }
            let key = field.alias().and_then(|alias| alias.name()).map(|alias| alias.text().to_string());
            let within = field.selection_set().map(|set| picks(Some(&set))).transpose()?;
            Ok(Pick::Part { key: key.unwrap_or_else(|| name.clone()), name, within })
        }
        Node::InlineFragment(fragment) => {
            if fragment.directives().is_some() {
                return Err("has directives, which a selection does not have".to_owned());
            }
            let named = fragment.type_condition().and_then(|condition| condition.named_type()?.name());
            let event = named.map(|name| name.text().to_string());
            if let Some(event) = &event
                && !EventKind::ALL.iter().any(|kind| name_of(kind.as_str()) == *event)
            {
                return Err(format!("names {event:?}, which is no type of event; an example is UserCreated"));
            }
            Ok(Pick::On { event, picks: self::picks(fragment.selection_set().as_ref())? })
        }
        Node::FragmentSpread(_) => Err("must spell its fragments out: ... on UserCreated { … }".to_owned()),
    });
    picks.collect()
}

/// Whether every part is there in some event of those that come so far, and is taken whole once only: a payload must not
/// become many times as long as its event.
fn check(
    picks: &[Pick],
    at: &[(&str, &Value)],
    path: &str,
    whole: &mut BTreeSet<(String, String)>,
) -> Result<(), String> {
    for pick in picks {
        match pick {
            Pick::On { event, picks } => {
                let of_type = |(name, _): &&(&str, &Value)| event.as_deref().is_none_or(|event| event == *name);
                let at: Vec<_> = at.iter().filter(of_type).copied().collect();
                if at.is_empty() {
                    let event = event.as_deref().unwrap_or_default();
                    return Err(format!("asks for {event}, which the endpoint does not get"));
                }
                check(picks, &at, path, whole)?;
            }
            Pick::Part { name, within, .. } => {
                let path = format!("{path}{name}");
                let parts: Vec<_> = at.iter().filter_map(|(event, value)| Some((*event, part(value, name)?))).collect();
                if parts.is_empty() {
                    return Err(format!("asks for {path}, which no event that the endpoint gets has"));
                }
                let Some(within) = within else {
                    // In the spelling of the data.
                    let part = snake_case(&path);
                    for (event, _) in &parts {
                        if !whole.insert(((*event).to_owned(), part.clone())) {
                            return Err(format!("asks for {path} more than once"));
                        }
                    }
                    continue;
                };
                let inner: Vec<_> =
                    parts.iter().flat_map(|(event, value)| objects(value).map(move |value| (*event, value))).collect();
                if inner.is_empty() {
                    return Err(format!("selects within {path}, which has no parts"));
                }
                check(within, &inner, &format!("{path}."), whole)?;
            }
        }
    }
    Ok(())
}

/// The objects that a selection applies to: the value, or what a list holds.
fn objects(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Object(_) => Box::new(std::iter::once(value)),
        Value::Array(values) => Box::new(values.iter().flat_map(objects)),
        _ => Box::new(std::iter::empty()),
    }
}

/// An answer whose keys stand in the order of the selection (GraphQL §6.3.2).
enum Answer {
    Parts(Vec<(String, Answer)>),
    List(Vec<Answer>),
    Whole(Value),
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Parts(parts) => serializer.collect_map(parts.iter().map(|(key, part)| (key, part))),
            Self::List(list) => serializer.collect_seq(list),
            Self::Whole(value) => value.serialize(serializer),
        }
    }
}

fn picked(picks: &[Pick], value: &Value, event: &str) -> Answer {
    match value {
        Value::Object(_) => {
            let mut parts = Vec::new();
            pick_into(&mut parts, picks, value, event);
            Answer::Parts(parts)
        }
        Value::Array(values) => Answer::List(values.iter().map(|value| picked(picks, value, event)).collect()),
        _ => Answer::Whole(Value::Null),
    }
}

fn pick_into(parts: &mut Vec<(String, Answer)>, picks: &[Pick], value: &Value, event: &str) {
    for pick in picks {
        match pick {
            Pick::On { event: only, picks } => {
                if only.as_deref().is_none_or(|only| only == event) {
                    pick_into(parts, picks, value, event);
                }
            }
            Pick::Part { key, name, within } => {
                let answer = match (part(value, name), within) {
                    (Some(part), Some(within)) => picked(within, part, event),
                    (Some(part), None) => Answer::Whole(part.clone()),
                    (None, _) => Answer::Whole(Value::Null),
                };
                put(parts, key, answer);
            }
        }
    }
}

fn put(parts: &mut Vec<(String, Answer)>, key: &str, answer: Answer) {
    match parts.iter_mut().find(|(there, _)| there == key) {
        Some((_, there)) => merge(there, answer),
        None => parts.push((key.to_owned(), answer)),
    }
}

/// A part that is asked for twice has the parts of both (GraphQL §5.3.2).
fn merge(there: &mut Answer, answer: Answer) {
    match (there, answer) {
        (Answer::Parts(there), Answer::Parts(parts)) => {
            parts.into_iter().for_each(|(key, part)| put(there, &key, part));
        }
        (Answer::List(there), Answer::List(list)) if there.len() == list.len() => {
            there.iter_mut().zip(list).for_each(|(there, answer)| merge(there, answer));
        }
        (there, answer) => *there = answer,
    }
}

/// A part by its name as the data spells it, or by the same in camel case.
fn part<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).or_else(|| value.get(snake_case(name)))
}

fn snake_case(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}

/// The name of a type of event in selections: `UserCreated` for `user.created`.
fn name_of(event_type: &str) -> String {
    let capital = |word: &str| {
        let mut characters = word.chars();
        let first = characters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(characters).collect::<String>()
    };
    event_type.split(['.', '_']).map(capital).collect()
}

fn event(event_type: &str, data: &Value, created_at: Timestamp) -> Value {
    json!({ TYPENAME: name_of(event_type), TYPE: event_type, CREATED_AT: rfc3339(created_at), DATA: data })
}

fn rfc3339(at: Timestamp) -> Option<String> {
    let at = chrono::DateTime::from_timestamp_millis(at.millis())?;
    Some(at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}

fn example_event(kind: EventKind) -> Value {
    event(kind.as_str(), &example(kind), Timestamp(0))
}

#[cfg(test)]
mod tests;
