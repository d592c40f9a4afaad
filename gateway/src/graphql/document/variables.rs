//! Variables before execution (specification, section "CoerceVariableValues"): defaults filled in, missing ones refused.
//! async-graphql 8.0.0-rc.5 fills in defaults only where arguments are read (not in `@skip(if: $x)`), and lets a missing
//! variable run into the field. Whether a given value fits its type is checked by its validation.

use async_graphql::{Positioned, ServerError, Value, Variables, parser::types::OperationDefinition};

use super::{DoorCode, refuse};

/// Fills in defaults.
///
/// # Errors
/// When a variable that must have a value has none.
pub(super) fn complete(operation: &OperationDefinition, variables: &mut Variables) -> Result<(), ServerError> {
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
    }
    Ok(())
}
