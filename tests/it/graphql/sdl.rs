//! The schema as its text tells it: types, rules, and calls that fit. Tests that walk the whole schema are made of it, so
//! what is new in the schema is in them at once.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write,
};

use async_graphql::parser::{
    parse_schema,
    types::{BaseType, FieldDefinition, InputValueDefinition, Type, TypeKind, TypeSystemDefinition},
};
use uuid::Uuid;

/// What the text of the schema says about types, and what to put into arguments.
pub(super) struct Types {
    kinds: HashMap<String, TypeKind>,
    /// Literals by `argument`, or by `field.argument` and `InputType.field`, which win. Others are made up.
    values: HashMap<&'static str, String>,
}

impl Types {
    pub(super) fn read() -> Self {
        Self::with(HashMap::new())
    }

    pub(super) fn with(values: HashMap<&'static str, String>) -> Self {
        let document = parse_schema(postern_gateway::graphql::sdl()).unwrap();
        let kinds = document.definitions.into_iter().filter_map(|definition| match definition {
            TypeSystemDefinition::Type(ty) => Some((ty.node.name.node.to_string(), ty.node.kind)),
            _ => None,
        });
        Self { kinds: kinds.collect(), values }
    }

    /// The fields of an object type; none of any other.
    pub(super) fn fields(&self, name: &str) -> Vec<FieldDefinition> {
        match self.kinds.get(name) {
            Some(TypeKind::Object(object)) => object.fields.iter().map(|field| field.node.clone()).collect(),
            _ => Vec::new(),
        }
    }

    /// The names of all object types.
    pub(super) fn all_objects(&self) -> BTreeSet<String> {
        let is_object = |kind: &TypeKind| matches!(kind, TypeKind::Object(_));
        self.kinds.iter().filter(|(_, kind)| is_object(kind)).map(|(name, _)| name.clone()).collect()
    }

    /// The object types that a value of this type may have: itself, or those of the interface or union.
    pub(super) fn objects(&self, name: &str) -> Vec<String> {
        match self.kinds.get(name) {
            Some(TypeKind::Object(_)) => vec![name.to_owned()],
            Some(TypeKind::Union(union)) => union.members.iter().map(|member| member.node.to_string()).collect(),
            Some(TypeKind::Interface(_)) => {
                let implements = |kind: &TypeKind| match kind {
                    TypeKind::Object(object) => object.implements.iter().any(|interface| interface.node == name),
                    _ => false,
                };
                let mut names: Vec<_> =
                    self.kinds.iter().filter(|(_, kind)| implements(kind)).map(|(name, _)| name.clone()).collect();
                names.sort();
                names
            }
            _ => Vec::new(),
        }
    }

    /// A value that fits the type, as a literal.
    fn literal(&self, ty: &Type) -> String {
        match &ty.base {
            BaseType::List(item) => format!("[{}]", self.literal(item)),
            BaseType::Named(name) => match name.as_str() {
                "ID" => format!("\"{}\"", Uuid::new_v4()),
                "String" => "\"text\"".to_owned(),
                "Int" | "Float" | "SafeInt" => "1".to_owned(),
                "Boolean" => "true".to_owned(),
                "DateTime" => "\"2026-01-01T00:00:00Z\"".to_owned(),
                "JSON" => "{}".to_owned(),
                "_Any" => format!("{{__typename: \"User\", id: \"{}\"}}", Uuid::new_v4()),
                name => match &self.kinds[name] {
                    TypeKind::Enum(ty) => ty.values[0].node.value.node.to_string(),
                    TypeKind::InputObject(input) => {
                        let given = self.arguments(name, input.fields.iter().map(|field| &field.node));
                        let first = &input.fields[0].node;
                        // One that needs nothing of each may need one of them (`@oneOf`).
                        let of_first = || format!("{}: {}", first.name.node, self.literal(&first.ty.node));
                        format!("{{{}}}", if given.is_empty() { of_first() } else { given })
                    }
                    other => panic!("no literal for {name}: {other:?}"),
                },
            },
        }
    }

    /// What must be given to the field or the input type `of`, what there is a value for, and nothing else.
    fn arguments<'a>(&self, of: &str, arguments: impl Iterator<Item = &'a InputValueDefinition>) -> String {
        let mut text = String::new();
        for argument in arguments {
            let name = argument.name.node.as_str();
            let value = self.values.get(format!("{of}.{name}").as_str()).or_else(|| self.values.get(name));
            let is_needed = !argument.ty.node.nullable && argument.default_value.is_none();
            match value {
                Some(value) => write!(text, "{name}: {value} ").unwrap(),
                None if is_needed => write!(text, "{name}: {} ", self.literal(&argument.ty.node)).unwrap(),
                None => {}
            }
        }
        text
    }

    /// The field with its arguments.
    pub(super) fn head(&self, field: &FieldDefinition) -> String {
        let name = &field.name.node;
        let arguments = self.arguments(name, field.arguments.iter().map(|argument| &argument.node));
        if arguments.is_empty() { name.to_string() } else { format!("{name}({arguments})") }
    }

    /// The same of a root field that is to answer a `to`: `node` takes the id that goes with it, the value of `node.Type`.
    pub(super) fn root_to(&self, field: &FieldDefinition, to: &str) -> String {
        match self.values.get(format!("{}.{to}", field.name.node).as_str()) {
            Some(id) => format!("{}(id: {id})", field.name.node),
            None => self.head(field),
        }
    }

    /// The field with its arguments, and of an object its type.
    pub(super) fn call(&self, field: &FieldDefinition) -> String {
        let selection = if self.objects(base(&field.ty.node)).is_empty() { "" } else { " { __typename }" };
        format!("{}{selection}", self.head(field))
    }
}

pub(super) fn base(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name.as_str(),
        BaseType::List(item) => base(item),
    }
}

/// What the text says of who may use a field.
pub(super) struct Rule {
    pub(super) level: String,
    pub(super) own: bool,
    /// The permission that a client's user must hold.
    pub(super) permission: Option<String>,
    /// Whose API keys; `USER`, `ANY`, or none.
    pub(super) keys: Option<String>,
}

pub(super) fn rule(field: &FieldDefinition) -> Rule {
    let access = field.directives.iter().find(|directive| directive.node.name.node == "access").unwrap();
    let text = |name| access.node.get_argument(name).map(|value| value.node.to_string());
    Rule {
        level: text("level").unwrap(),
        own: text("self").is_some(),
        permission: text("permission"),
        keys: text("keys"),
    }
}
