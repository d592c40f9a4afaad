//! Mutations that may be repeated: the caller's key, from the header `Idempotency-Key` or from `input.idempotencyKey`, with
//! a hash of what is asked, goes to the domain with the actor.

use async_graphql::{Context, Name, Value};
use postern_domain::{Actor, Code, Failure, actor::IdempotencyKey};
use sha2::{Digest, Sha256};

use super::{
    caller::Caller,
    error::{Error, Result},
};

/// The actor of a mutation, with the key that makes it repeatable if the caller sent one. `input_key` is that of the
/// mutation's own input; it wins over the header, which is one for all mutations of the operation.
///
/// # Errors
/// `ACCESS_TYPE_REQUIRED` without a project; internal ones.
pub(crate) fn actor(ctx: &Context<'_>, input_key: Option<&str>) -> Result<Actor> {
    let caller = ctx.data_opt::<Caller>();
    let actor = ctx.data_opt::<Actor>().cloned();
    let mut actor = actor.ok_or_else(|| Failure::new(Code::AccessTypeRequired, "Say for which project you ask."))?;
    let key = match (input_key, caller.and_then(|caller| caller.idempotency_key())) {
        (Some(key), _) => key.to_owned(),
        (None, Some(key)) => key_of_field(ctx, key),
        (None, None) => return Ok(actor),
    };
    let arguments = ctx.field().arguments().map_err(|error| Error::bad_input(error.message))?;
    let mut hash = Sha256::new();
    for (name, value) in &arguments {
        add_text(&mut hash, name);
        add(&mut hash, value);
    }
    actor.idempotency = Some(IdempotencyKey { key, request_hash: hash.finalize().to_vec() });
    Ok(actor)
}

/// The header's key where the operation is one mutation; else one for each, told apart by its place in the answer.
fn key_of_field(ctx: &Context<'_>, key: &str) -> String {
    if ctx.query_env.operation.node.selection_set.node.items.len() == 1 {
        return key.to_owned();
    }
    format!("{key}/{}", ctx.item.node.response_key().node)
}

/// Adds a value so that equal ones, and only those, hash alike, whatever the order of their members.
fn add(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update(b"n"),
        Value::Boolean(value) => hash.update(if *value { b"t" } else { b"f" }),
        Value::Number(number) => {
            hash.update(b"#");
            add_text(hash, &number.to_string());
        }
        Value::String(text) => {
            hash.update(b"s");
            add_text(hash, text);
        }
        // A literal and a variable spell an enum value differently.
        Value::Enum(name) => {
            hash.update(b"s");
            add_text(hash, name);
        }
        Value::Binary(bytes) => {
            hash.update(b"b");
            hash.update(bytes.len().to_be_bytes());
            hash.update(bytes);
        }
        Value::List(items) => {
            hash.update(b"[");
            hash.update(items.len().to_be_bytes());
            items.iter().for_each(|item| add(hash, item));
        }
        Value::Object(members) => {
            hash.update(b"{");
            hash.update(members.len().to_be_bytes());
            let mut members: Vec<(&Name, &Value)> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| name.as_str());
            for (name, value) in members {
                add_text(hash, name);
                add(hash, value);
            }
        }
    }
}

fn add_text(hash: &mut Sha256, text: &str) {
    hash.update(text.len().to_be_bytes());
    hash.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use async_graphql::value;

    use super::*;

    fn hash(value: Value) -> Vec<u8> {
        let mut hash = Sha256::new();
        add(&mut hash, &value);
        hash.finalize().to_vec()
    }

    #[test]
    fn the_order_of_members_does_not_matter_and_all_else_does() {
        assert_eq!(hash(value!({"a": 1, "b": [1, 2]})), hash(value!({"b": [1, 2], "a": 1})));
        for (one, other) in [
            (value!({"a": 1}), value!({"a": 2})),
            (value!([1, 2]), value!([2, 1])),
            (value!(["ab", "c"]), value!(["a", "bc"])),
            (value!({"a": null}), value!({})),
            (value!("1"), value!(1)),
        ] {
            assert_ne!(hash(one), hash(other));
        }
    }
}
