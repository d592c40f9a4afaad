//! The variables that a template declares: examples for previews, and what a mail must bring.

use serde_json::{Map, Value};

use super::RenderError;

/// Variables that every mail has, declared or not (wire: emails §4).
const ALWAYS: [&str; 2] = ["projectDisplayName", "userDisplayName"];

/// What the block `variables` of a template says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Declared {
    variables: Vec<Variable>,
}

#[derive(Debug, PartialEq, Eq)]
struct Variable {
    name: String,
    is_optional: bool,
    example: Value,
}

impl Declared {
    /// Reads the declaration of `template`; `None` when it has none.
    pub(super) fn of(template: &str) -> Result<Option<Self>, RenderError> {
        let Some(text) = block(template) else { return Ok(None) };
        let declared: Map<String, Value> = serde_json::from_str(text)
            .map_err(|error| RenderError(format!("template: the block `variables` is no JSON object: {error}")))?;
        let variable = |(name, example): (String, Value)| {
            let required = name.strip_suffix('?');
            Variable { is_optional: required.is_some(), name: required.unwrap_or(&name).to_owned(), example }
        };
        Ok(Some(Self { variables: declared.into_iter().map(variable).collect() }))
    }

    /// What a preview shows.
    pub(super) fn examples(&self) -> Map<String, Value> {
        self.variables.iter().map(|variable| (variable.name.clone(), variable.example.clone())).collect()
    }

    /// Those of `given` that are declared; optional ones that are missing are null.
    pub(super) fn checked(&self, given: &Map<String, Value>) -> Result<Map<String, Value>, RenderError> {
        let always = ALWAYS.iter().filter_map(|name| Some(((*name).to_owned(), given.get(*name)?.clone())));
        let mut checked: Map<String, Value> = always.collect();
        for Variable { name, is_optional, example } in &self.variables {
            let value = match given.get(name) {
                None | Some(Value::Null) if *is_optional => Value::Null,
                None => return Err(RenderError(format!("variables.{name} is missing"))),
                Some(value) if example.is_null() || kind(value) == kind(example) => value.clone(),
                Some(value) => {
                    let (wanted, found) = (kind(example), kind(value));
                    return Err(RenderError(format!("variables.{name} must be {wanted}, not {found}")));
                }
            };
            checked.insert(name.clone(), value);
        }
        Ok(checked)
    }
}

/// What stands in the block `variables`.
fn block(template: &str) -> Option<&str> {
    let mut rest = template;
    loop {
        let (_, from) = rest.split_once("{%")?;
        let (tag, body) = from.split_once("%}")?;
        let words = tag.trim_matches(['-', '+']).split_whitespace();
        if words.eq(["block", "variables"]) {
            return body.split_once("{%").map(|(body, _)| body);
        }
        rest = body;
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEMPLATE: &str = r#"{% block subject %}s{% endblock %}
        {%- block variables -%}{"name": "Ada", "count": 2, "link?": "https://example.com", "any": null}{% endblock %}"#;

    fn checked(given: Value) -> Result<Value, String> {
        let declared = Declared::of(TEMPLATE).unwrap().unwrap();
        declared.checked(given.as_object().unwrap()).map(Value::Object).map_err(|RenderError(text)| text)
    }

    #[test]
    fn what_a_mail_brings_is_checked_against_the_examples() {
        let whole = json!({ "name": "Bob", "count": 1.5, "any": [1], "else": 1, "userDisplayName": "B" });
        let expected = json!({ "name": "Bob", "count": 1.5, "any": [1], "link": null, "userDisplayName": "B" });
        assert_eq!(checked(whole), Ok(expected));
        let missing = checked(json!({ "name": "Bob", "any": 1 })).unwrap_err();
        assert_eq!(missing, "variables.count is missing");
        let wrong = checked(json!({ "name": 5, "count": 1, "any": 1 })).unwrap_err();
        assert_eq!(wrong, "variables.name must be text, not a number");
        let null = checked(json!({ "name": null, "count": 1, "any": 1 })).unwrap_err();
        assert_eq!(null, "variables.name must be text, not null");
    }

    #[test]
    fn examples_are_what_previews_show() {
        let declared = Declared::of(TEMPLATE).unwrap().unwrap();
        let examples = json!({ "name": "Ada", "count": 2, "link": "https://example.com", "any": null });
        assert_eq!(Value::Object(declared.examples()), examples);
    }

    #[test]
    fn a_template_may_declare_nothing_but_not_nonsense() {
        assert_eq!(Declared::of("{% block subject %}{% endblock %}").unwrap(), None);
        for nonsense in ["", "[]", "{\"a\": }"] {
            let template = format!("{{% block variables %}}{nonsense}{{% endblock %}}");
            let RenderError(text) = Declared::of(&template).unwrap_err();
            assert!(text.contains("no JSON object"), "{text}");
        }
    }
}
