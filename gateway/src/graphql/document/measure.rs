//! How large a document is once its fragments are expanded, without expanding them: each fragment is measured once, so that
//! a short document of fragments that spread each other twice cannot keep the server busy (nor the library's own visitors,
//! which do expand; they run only on documents that passed here).

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Positioned,
    parser::types::{ExecutableDocument, Selection, SelectionSet},
};

/// The extent of a selection set, everything below it included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Fields and fragments, counted each time a fragment brings them in.
    pub(super) selections: u64,
    /// Aliases, counted likewise.
    pub(super) aliases: u64,
    /// How deep fields nest; `{ me { id } }` has 2.
    pub(super) depth: u64,
    /// How deep lists of introspection nest (`fields { type { fields … } }`), each of which multiplies the answer.
    pub(super) introspection_lists: u64,
    /// Whether anything is asked about the schema, beyond `__typename`.
    pub(super) introspects: bool,
}

impl Extent {
    fn beside(self, other: Self) -> Self {
        Self {
            selections: self.selections.saturating_add(other.selections),
            aliases: self.aliases.saturating_add(other.aliases),
            depth: self.depth.max(other.depth),
            introspection_lists: self.introspection_lists.max(other.introspection_lists),
            introspects: self.introspects || other.introspects,
        }
    }
}

const ONE: Extent = Extent { selections: 1, aliases: 0, depth: 0, introspection_lists: 0, introspects: false };

/// Why a document cannot be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unmeasurable {
    /// This fragment contains itself.
    Cycle(String),
}

/// The largest extent among the operations and fragments of `document`, taken per number.
pub(super) fn measure(document: &ExecutableDocument) -> Result<Extent, Unmeasurable> {
    let mut measure = Measure { document, known: HashMap::new(), open: HashSet::new() };
    let mut largest = Extent::default();
    for name in document.fragments.keys() {
        largest = max(largest, measure.fragment(name)?);
    }
    let mut operations = Extent::default();
    for (_, operation) in document.operations.iter() {
        operations = operations.beside(measure.selection_set(&operation.node.selection_set)?);
    }
    Ok(max(largest, operations))
}

fn max(a: Extent, b: Extent) -> Extent {
    Extent { selections: a.selections.max(b.selections), aliases: a.aliases.max(b.aliases), ..a.beside(b) }
}

struct Measure<'a> {
    document: &'a ExecutableDocument,
    known: HashMap<&'a str, Extent>,
    /// The fragments being measured right now: meeting one of them again is a cycle.
    open: HashSet<&'a str>,
}

impl<'a> Measure<'a> {
    fn selection_set(&mut self, set: &'a Positioned<SelectionSet>) -> Result<Extent, Unmeasurable> {
        let mut extent = Extent::default();
        for selection in &set.node.items {
            let part = match &selection.node {
                Selection::Field(field) => {
                    let below = self.selection_set(&field.node.selection_set)?;
                    Extent {
                        selections: below.selections.saturating_add(1),
                        aliases: below.aliases.saturating_add(field.node.alias.is_some().into()),
                        depth: below.depth.saturating_add(1),
                        introspection_lists: below
                            .introspection_lists
                            .saturating_add(is_introspection_list(&field.node.name.node).into()),
                        introspects: below.introspects || is_introspection(&field.node.name.node),
                    }
                }
                Selection::InlineFragment(fragment) => ONE.beside(self.selection_set(&fragment.node.selection_set)?),
                // Counted even if the fragment is unknown: doubling empty fragments would else cost nothing.
                Selection::FragmentSpread(spread) => ONE.beside(self.fragment(&spread.node.fragment_name.node)?),
            };
            extent = extent.beside(part);
        }
        Ok(extent)
    }

    /// An unknown fragment has no extent; validation names it.
    fn fragment(&mut self, name: &'a str) -> Result<Extent, Unmeasurable> {
        if let Some(extent) = self.known.get(name) {
            return Ok(*extent);
        }
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(Extent::default()) };
        if !self.open.insert(name) {
            return Err(Unmeasurable::Cycle(name.to_owned()));
        }
        let extent = self.selection_set(&fragment.node.selection_set)?;
        self.open.remove(name);
        self.known.insert(name, extent);
        Ok(extent)
    }
}

/// The lists below `__Type` that lead to further types.
fn is_introspection(name: &str) -> bool {
    matches!(name, "__schema" | "__type")
}

fn is_introspection_list(name: &str) -> bool {
    matches!(name, "fields" | "inputFields" | "interfaces" | "possibleTypes")
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn measured(source: &str) -> Result<Extent, Unmeasurable> {
        measure(&parse_query(source).unwrap())
    }

    #[test]
    fn fragments_count_each_time_they_are_spread() {
        let extent = measured("{ a { ...F } b: a { ...F } } fragment F on A { x y: z { w } }").unwrap();
        assert_eq!(extent, Extent { selections: 10, aliases: 3, depth: 3, introspection_lists: 0, introspects: false });
    }

    #[test]
    fn doubling_fragments_are_measured_without_expanding_them() {
        let mut source = "{ ...F0 }".to_owned();
        for i in 0..99 {
            source += &format!(" fragment F{i} on Q {{ ...F{0} ...F{0} }}", i + 1);
        }
        source += " fragment F99 on Q { a }";
        assert_eq!(measured(&source).unwrap().selections, u64::MAX);
    }

    #[test]
    fn cycles_are_found_in_used_and_unused_fragments() {
        for source in
            ["{ ...A } fragment A on Q { a { ...B } } fragment B on Q { ...A }", "{ a } fragment A on Q { ...A }"]
        {
            assert!(matches!(measured(source), Err(Unmeasurable::Cycle(_))), "{source}");
        }
    }

    #[test]
    fn lists_of_introspection_are_counted_along_each_path() {
        let extent =
            measured("{ __schema { types { fields { type { fields { name } } } inputFields { name } } } }").unwrap();
        assert_eq!(extent.introspection_lists, 2);
    }

    #[test]
    fn unknown_fragments_are_left_to_validation_but_count() {
        assert_eq!(measured("{ a ...Nope }").unwrap().selections, 2);
    }
}
