//! Forms as Stripe reads them: `a[b][0][c]=d` nests, `a[]=x` appends. Leaves stay text; whoever reads them knows what they are.

use serde_json::{Map, Value};
use url::form_urlencoded;

/// What a query or a body says, as an object; lists where all keys of a level are numbers.
///
/// # Errors
/// What is wrong with a key.
pub(crate) fn parse(encoded: &[u8]) -> Result<Value, String> {
    let mut root = Map::new();
    for (key, value) in form_urlencoded::parse(encoded) {
        put(&mut root, &path(&key)?, value.into_owned()).map_err(|()| format!("Invalid parameter: {key}"))?;
    }
    Ok(Value::Object(root.into_iter().map(|(key, value)| (key.clone(), lists(&key, value))).collect()))
}

/// `a[b][]` is `a`, `b` and nothing.
fn path(key: &str) -> Result<Vec<&str>, String> {
    let wrong = || format!("Invalid parameter name: {key}");
    let Some((first, mut rest)) = key.split_once('[') else { return Ok(vec![key]) };
    let mut found = vec![first];
    loop {
        let (part, after) = rest.split_once(']').ok_or_else(wrong)?;
        found.push(part);
        if after.is_empty() {
            return Ok(found);
        }
        rest = after.strip_prefix('[').ok_or_else(wrong)?;
    }
}

fn put(level: &mut Map<String, Value>, path: &[&str], value: String) -> Result<(), ()> {
    let (first, rest) = path.split_first().ok_or(())?;
    let key = if first.is_empty() { level.len().to_string() } else { (*first).to_owned() };
    if rest.is_empty() {
        level.insert(key, Value::String(value));
        return Ok(());
    }
    match level.entry(key).or_insert_with(|| Value::Object(Map::new())) {
        Value::Object(below) => put(below, rest, value),
        _ => Err(()),
    }
}

/// Metadata may have numbers for names, so it never becomes a list.
fn lists(name: &str, value: Value) -> Value {
    let Value::Object(level) = value else { return value };
    let mut level: Vec<_> = level.into_iter().map(|(key, value)| (key.clone(), lists(&key, value))).collect();
    let numbered = level.iter().all(|(key, _)| key.parse::<u32>().is_ok());
    if name == "metadata" || !numbered || level.is_empty() {
        return Value::Object(level.into_iter().collect());
    }
    level.sort_by_key(|(key, _)| key.parse::<u32>().unwrap_or_default());
    Value::Array(level.into_iter().map(|(_, value)| value).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn brackets_nest_and_numbers_make_lists() {
        let form = "customer=cus_1&items[0][price_data][recurring][interval]=month&items%5B0%5D%5Bquantity%5D=2\
                    &items[1][id]=si_1&expand[]=a.b&expand[]=c&metadata[1]=x&metadata[a%20b]=y%26z&empty=";
        assert_eq!(
            parse(form.as_bytes()),
            Ok(json!({
                "customer": "cus_1",
                "items": [{ "price_data": { "recurring": { "interval": "month" } }, "quantity": "2" }, { "id": "si_1" }],
                "expand": ["a.b", "c"],
                "metadata": { "1": "x", "a b": "y&z" },
                "empty": "",
            }))
        );
        let twelve: String = (0..12).map(|at| format!("a[{at}]={at}&")).collect();
        assert_eq!(parse(twelve.as_bytes()).unwrap()["a"][11], "11");
    }

    #[test]
    fn what_cannot_be_nested_is_refused() {
        for form in ["a[b=1", "a[b]c=1", "a=1&a[b]=2"] {
            assert!(parse(form.as_bytes()).is_err(), "{form}");
        }
    }
}
