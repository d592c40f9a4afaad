//! What is counted of GraphQL operations, whatever they came by. An operation is named by its type and its root field,
//! which is one of the schema's: names and aliases that callers choose are never looked at.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Instant,
};

use async_graphql::{
    Response,
    parser::{
        parse_schema,
        types::{
            ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet, TypeKind,
            TypeSystemDefinition,
        },
    },
};
use metrics::{Counter, Histogram, SharedString, counter, gauge, histogram};
use tracing::Span;

use super::{
    document::{MUTATION, QUERY, SUBSCRIPTION},
    error,
};
use crate::telemetry::Alive;

/// Root fields that every schema has.
const INTROSPECTION: [&str; 3] = ["__schema", "__type", TYPENAME];
const TYPENAME: &str = "__typename";
/// Stands for more than one root field. No field of ours has this name.
const SEVERAL: &str = "several";

/// The operations that the schema knows, by type and root field.
#[derive(Debug)]
pub(crate) struct Operations {
    queries: HashMap<String, Operation>,
    mutations: HashMap<String, Operation>,
    subscriptions: HashMap<String, Operation>,
    /// No operation of the schema: no GraphQL, over a limit, or an unknown root field.
    invalid: Operation,
}

/// One of them. Its series begin with its first use.
#[derive(Clone, Debug)]
pub(crate) struct Operation(Arc<Named>);

#[derive(Debug)]
struct Named {
    /// `query users`.
    name: String,
    series: OnceLock<Series>,
}

#[derive(Debug)]
struct Series {
    duration: Histogram,
    ok: Counter,
    partial: Counter,
    refused: Counter,
}

impl Operations {
    /// Those of the schema with this text.
    pub(crate) fn new(sdl: &str) -> Self {
        let named = |kind: &str, field: &str| (field.to_owned(), Operation::new(format!("{kind} {field}")));
        let mut operations = Self {
            queries: INTROSPECTION.iter().chain([&SEVERAL]).map(|field| named("query", field)).collect(),
            mutations: HashMap::from([named("mutation", SEVERAL)]),
            subscriptions: HashMap::new(),
            invalid: Operation::new("invalid".to_owned()),
        };
        // The text is the library's own; what could not be read would be counted as invalid.
        let definitions = parse_schema(sdl).map(|document| document.definitions).unwrap_or_default();
        for definition in definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let TypeKind::Object(object) = definition.node.kind else { continue };
            let (kind, known) = match definition.node.name.node.as_str() {
                QUERY => ("query", &mut operations.queries),
                MUTATION => ("mutation", &mut operations.mutations),
                SUBSCRIPTION => ("subscription", &mut operations.subscriptions),
                _ => continue,
            };
            known.extend(object.fields.iter().map(|field| named(kind, field.node.name.node.as_str())));
        }
        operations
    }

    /// What the chosen operation of a measured document (fragments end) is counted as.
    pub(crate) fn of(&self, document: &ExecutableDocument, chosen: &OperationDefinition) -> Operation {
        let known = match chosen.ty {
            OperationType::Query => &self.queries,
            OperationType::Mutation => &self.mutations,
            OperationType::Subscription => &self.subscriptions,
        };
        let name = match root_field(document, &chosen.selection_set.node, Root::None) {
            Root::None => return self.invalid.clone(),
            Root::One(field) => field,
            Root::Several => SEVERAL,
        };
        known.get(name).unwrap_or(&self.invalid).clone()
    }

    /// What is counted for a request that chose no operation.
    pub(crate) fn invalid(&self) -> Operation {
        self.invalid.clone()
    }
}

/// The root fields that were found so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Root<'a> {
    None,
    One(&'a str),
    Several,
}

fn root_field<'a>(document: &'a ExecutableDocument, set: &'a SelectionSet, found: Root<'a>) -> Root<'a> {
    set.items.iter().fold(found, |found, selection| match &selection.node {
        Selection::Field(field) => match (found, field.node.name.node.as_str()) {
            (Root::None | Root::One(TYPENAME), name) => Root::One(name),
            // Clients add it everywhere.
            (_, TYPENAME) => found,
            (Root::One(known), name) if known == name => found,
            _ => Root::Several,
        },
        Selection::InlineFragment(fragment) => root_field(document, &fragment.node.selection_set.node, found),
        Selection::FragmentSpread(spread) => document
            .fragments
            .get(&spread.node.fragment_name.node)
            .map_or(found, |fragment| root_field(document, &fragment.node.selection_set.node, found)),
    })
}

impl Operation {
    fn new(name: String) -> Self {
        Self(Arc::new(Named { name, series: OnceLock::new() }))
    }

    /// Notes on the span of the work under way what it is.
    pub(crate) fn note(&self) {
        Span::current().record("graphql.operation", self.0.name.as_str());
    }

    fn series(&self) -> &Series {
        self.0.series.get_or_init(|| {
            let name = SharedString::from(self.0.name.clone());
            let counter = |outcome: &'static str| {
                counter!("postern_graphql_operations_total", "operation" => name.clone(), "outcome" => outcome)
            };
            Series {
                ok: counter("ok"),
                partial: counter("partial"),
                refused: counter("refused"),
                duration: histogram!("postern_graphql_operation_duration_seconds", "operation" => name.clone()),
            }
        })
    }

    /// Counts an operation that answered once.
    pub(crate) fn answered(&self, started: Instant, response: &Response) {
        let series = self.series();
        series.duration.record(started.elapsed());
        let outcome = if response.errors.is_empty() {
            &series.ok
        } else if error::is_request_error(response) {
            &series.refused
        } else {
            &series.partial
        };
        outcome.increment(1);
    }

    /// Counts a subscription, and that it lives.
    pub(crate) fn followed(&self) -> Following {
        let operation = SharedString::from(self.0.name.clone());
        let alive = Alive::new(gauge!("postern_graphql_subscriptions", "operation" => operation));
        Following { operation: self.clone(), refused: false, _alive: alive }
    }
}

/// A subscription that lives; counted when dropped.
#[derive(Debug)]
pub(crate) struct Following {
    operation: Operation,
    refused: bool,
    _alive: Alive,
}

impl Following {
    /// Notes an answer: one that is a refusal is the last.
    pub(crate) fn told(&mut self, response: &Response) {
        self.refused = error::is_request_error(response);
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let series = self.operation.series();
        if self.refused { &series.refused } else { &series.ok }.increment(1);
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;
    use crate::graphql::{document::choose, sdl};

    #[test]
    fn operations_are_named_by_root_fields_of_the_schema_alone() {
        let operations = Operations::new(&sdl());
        for (source, name) in [
            ("query Mine { mine: users(first: 1) { totalCount } }", "query users"),
            ("{ __typename users(first: 1) { totalCount } }", "query users"),
            ("{ ...A } fragment A on Query { me { id } ... { me { id } } }", "query me"),
            ("{ me { id } users(first: 1) { totalCount } }", "query several"),
            ("{ __schema { types { name } } }", "query __schema"),
            ("{ __typename }", "query __typename"),
            ("mutation { a: deleteMe(input: {}) { id } b: deleteMe(input: {}) { id } }", "mutation deleteMe"),
            ("subscription { events { type } }", "subscription events"),
            ("{ secret }", "invalid"),
            ("mutation { users { id } }", "invalid"),
        ] {
            let document = parse_query(source).unwrap();
            let chosen = choose(&document, None).unwrap();
            assert_eq!(operations.of(&document, chosen).0.name, name, "{source}");
        }
    }
}
