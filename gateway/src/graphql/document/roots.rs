//! The root fields of one operation, as the specification collects them (section "CollectFields"): fragments flattened,
//! skipped fields gone, fields of one response key merged. async-graphql 8.0.0-rc.5 does neither for mutations (a mutation
//! that two fragments select would run twice) nor for subscriptions (a fragment there selects nothing).

use std::collections::HashSet;

use async_graphql::parser::types::Directive;
use async_graphql::{
    Name, Positioned, Value as ConstValue, Variables,
    parser::types::{ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet},
};

/// Whether the root of `operation` needs [`flatten`].
pub(super) fn needs_flattening(operation: &OperationDefinition) -> bool {
    let mut keys = HashSet::new();
    operation.selection_set.node.items.iter().any(|selection| match &selection.node {
        Selection::Field(field) => {
            !field.node.directives.is_empty() || !keys.insert(field.node.response_key().node.as_str())
        }
        _ => true,
    })
}

/// The root fields of `operation`, merged, and the names of the fragments they came from. Fragments on a type other than
/// `root_type` stay as they are: validation refuses them.
pub(super) fn flatten(
    operation: &OperationDefinition,
    document: &ExecutableDocument,
    root_type: &str,
    variables: &Variables,
) -> SelectionSet {
    let mut flat = Flat { document, root_type, variables, items: Vec::new(), visited: HashSet::new() };
    flat.add(&operation.selection_set.node);
    SelectionSet { items: flat.items }
}

struct Flat<'a> {
    document: &'a ExecutableDocument,
    root_type: &'a str,
    variables: &'a Variables,
    items: Vec<Positioned<Selection>>,
    visited: HashSet<&'a str>,
}

impl<'a> Flat<'a> {
    fn add(&mut self, set: &'a SelectionSet) {
        for selection in &set.items {
            if is_skipped(selection.node.directives(), self.variables) {
                continue;
            }
            match &selection.node {
                Selection::Field(field) => self.add_field(field),
                Selection::InlineFragment(fragment) => {
                    let on = fragment.node.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
                    if on.is_none_or(|on| on == self.root_type) {
                        self.add(&fragment.node.selection_set.node);
                    } else {
                        self.items.push(selection.clone());
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    match self.document.fragments.get(name) {
                        Some(fragment) if fragment.node.type_condition.node.on.node == self.root_type => {
                            if self.visited.insert(name) {
                                self.add(&fragment.node.selection_set.node);
                            }
                        }
                        _ => self.items.push(selection.clone()),
                    }
                }
            }
        }
    }

    fn add_field(&mut self, field: &Positioned<Field>) {
        let mut field = field.clone();
        field.node.directives.retain(|directive| !is_conditional(directive));
        let same = self.items.iter_mut().find_map(|item| match &mut item.node {
            Selection::Field(known) if is_same(&known.node, &field.node) => Some(known),
            _ => None,
        });
        match same {
            Some(known) => known.node.selection_set.node.items.append(&mut field.node.selection_set.node.items),
            None => self.items.push(Positioned::new(Selection::Field(field.clone()), field.pos)),
        }
    }
}

/// Whether two fields of one response key are the same call. If the key is shared but the call differs, both stay and
/// validation says that they conflict.
fn is_same(a: &Field, b: &Field) -> bool {
    a.response_key().node == b.response_key().node
        && a.name.node == b.name.node
        && a.arguments.len() == b.arguments.len()
        && a.arguments
            .iter()
            .all(|(name, value)| b.get_argument(&name.node).is_some_and(|other| other.node == value.node))
        && a.directives.is_empty()
        && b.directives.is_empty()
}

fn is_conditional(directive: &Positioned<Directive>) -> bool {
    matches!(directive.node.name.node.as_str(), "skip" | "include") && directive.node.get_argument("if").is_some()
}

fn is_skipped(directives: &[Positioned<Directive>], variables: &Variables) -> bool {
    directives.iter().any(|directive| {
        let wanted = match directive.node.name.node.as_str() {
            "skip" => false,
            "include" => true,
            _ => return false,
        };
        let Some(condition) = directive.node.get_argument("if") else { return false };
        let value = condition.node.clone().into_const_with(|name: Name| variables.get(&name).cloned().ok_or(()));
        matches!(value, Ok(ConstValue::Boolean(value)) if value != wanted)
    })
}

/// The names of the fragments that the operations of `document` reach.
pub(super) fn used_fragments(document: &ExecutableDocument) -> HashSet<Name> {
    let mut used = HashSet::new();
    let mut waiting: Vec<&SelectionSet> =
        document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node).collect();
    while let Some(set) = waiting.pop() {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => waiting.push(&field.node.selection_set.node),
                Selection::InlineFragment(fragment) => waiting.push(&fragment.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    if let Some(fragment) = document.fragments.get(name)
                        && used.insert(name.clone())
                    {
                        waiting.push(&fragment.node.selection_set.node);
                    }
                }
            }
        }
    }
    used
}
