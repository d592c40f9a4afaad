//! Variables before execution (specification, section "CoerceVariableValues"): defaults filled in, missing ones refused.
//! async-graphql 8.0.0-rc.5 fills in defaults only where arguments are read (not in `@skip(if: $x)`), and lets a missing
//! variable run into the field. Whether a given value fits its type is checked by its validation.

use std::collections::HashSet;

use async_graphql::{
    Name, Positioned, ServerError, Value, Variables,
    parser::types::{Directive, ExecutableDocument, OperationDefinition, Selection, SelectionSet},
};
// The value of an argument as it is written, in which variables stand; `Value` has none.
use async_graphql_value::Value as Written;

use super::{DoorCode, refuse};

/// The argument that the cost of a page depends on.
const PAGE_SIZE: &str = "first";

/// The variables of a document that only tell the sizes of pages.
///
/// async-graphql computes what an operation costs from arguments, and fails where one is a variable that was left out, which
/// is as good as null there. Null it must not be made anywhere else: in an input object the two differ.
pub(super) fn page_sizes(document: &ExecutableDocument) -> HashSet<Name> {
    let mut uses = Uses::default();
    for (_, operation) in document.operations.iter() {
        uses.directives(&operation.node.directives);
        uses.selection_set(&operation.node.selection_set.node);
    }
    for fragment in document.fragments.values() {
        uses.directives(&fragment.node.directives);
        uses.selection_set(&fragment.node.selection_set.node);
    }
    uses.as_page_size.retain(|name| !uses.otherwise.contains(name));
    uses.as_page_size
}

#[derive(Default)]
struct Uses {
    as_page_size: HashSet<Name>,
    otherwise: HashSet<Name>,
}

impl Uses {
    fn selection_set(&mut self, set: &SelectionSet) {
        for selection in &set.items {
            self.directives(selection.node.directives());
            match &selection.node {
                Selection::Field(field) => {
                    for (name, value) in &field.node.arguments {
                        match &value.node {
                            Written::Variable(variable) if name.node == PAGE_SIZE => {
                                self.as_page_size.insert(variable.clone());
                            }
                            value => self.value(value),
                        }
                    }
                    self.selection_set(&field.node.selection_set.node);
                }
                Selection::InlineFragment(fragment) => self.selection_set(&fragment.node.selection_set.node),
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    fn directives(&mut self, directives: &[Positioned<Directive>]) {
        for (_, value) in directives.iter().flat_map(|directive| &directive.node.arguments) {
            self.value(&value.node);
        }
    }

    fn value(&mut self, value: &Written) {
        match value {
            Written::Variable(name) => {
                self.otherwise.insert(name.clone());
            }
            Written::List(items) => items.iter().for_each(|item| self.value(item)),
            Written::Object(fields) => fields.values().for_each(|field| self.value(field)),
            _ => {}
        }
    }
}

/// Fills in defaults, and null for those of `page_sizes` that were left out.
///
/// # Errors
/// When a variable that must have a value has none.
pub(super) fn complete(
    operation: &OperationDefinition,
    page_sizes: &HashSet<Name>,
    variables: &mut Variables,
) -> Result<(), ServerError> {
    for Positioned { node: definition, pos } in &operation.variable_definitions {
        let name = &definition.name.node;
        if let (None, Some(default)) = (variables.get(name), &definition.default_value) {
            variables.insert(name.clone(), default.node.clone());
        }
        if !definition.var_type.node.nullable && matches!(variables.get(name), None | Some(Value::Null)) {
            let text = format!("The variable ${name} of type {} needs a value.", definition.var_type.node);
            let mut refused = refuse(DoorCode::BadUserInput, text);
            refused.locations.push(*pos);
            return Err(refused);
        }
        if variables.get(name).is_none() && page_sizes.contains(name) {
            variables.insert(name.clone(), Value::Null);
        }
    }
    Ok(())
}
