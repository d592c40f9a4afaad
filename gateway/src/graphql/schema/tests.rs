//! What holds for the whole schema, read from its text.

use std::collections::{BTreeSet, HashMap};

use async_graphql::{
    Positioned, Request,
    parser::{
        parse_schema,
        types::{BaseType, ConstDirective, FieldDefinition, ServiceDocument, Type, TypeKind, TypeSystemDefinition},
    },
};

use postern_domain::{
    Actor, ApiKeyId, Level, ProjectId, SessionId, TeamId, UserId,
    actor::{ActingKey, ActingUser, KeyOwner},
};
use serde_json::Value;

use super::{build, sdl};
use crate::graphql::document::Documents;

/// A rule as `@access` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    level: String,
    own: bool,
    permission: Option<String>,
}

impl Rule {
    fn of(directives: &[Positioned<ConstDirective>]) -> Option<Self> {
        let access = &directives.iter().find(|directive| directive.node.name.node == "access")?.node;
        let text = |name| access.get_argument(name).map(|value| value.node.to_string());
        Some(Self {
            level: text("level").unwrap(),
            own: text("self").as_deref() == Some("true"),
            permission: text("permission"),
        })
    }

    fn rank(&self) -> usize {
        ["CLIENT", "SERVER", "ADMIN"].iter().position(|level| *level == self.level).unwrap()
    }

    fn is_narrower_than(&self, other: &Self) -> bool {
        self.rank() > other.rank()
            || self.rank() == other.rank()
                && (self.own && !other.own || self.permission.is_some() && self.permission != other.permission)
    }
}

/// The object types with their rules (roots have none) and fields.
fn objects(document: &ServiceDocument) -> HashMap<&str, (Option<Rule>, &[Positioned<FieldDefinition>])> {
    let mut objects = HashMap::new();
    for definition in &document.definitions {
        if let TypeSystemDefinition::Type(definition) = definition
            && let TypeKind::Object(object) = &definition.node.kind
        {
            let rule = Rule::of(&definition.node.directives);
            objects.insert(definition.node.name.node.as_str(), (rule, object.fields.as_slice()));
        }
    }
    objects
}

const ROOTS: [&str; 3] = ["Query", "Mutation", "Subscription"];

#[test]
fn every_field_and_every_object_has_a_rule_and_a_description() {
    let document = parse_schema(sdl()).unwrap();
    for (name, (rule, fields)) in objects(&document) {
        assert!(rule.is_some() || ROOTS.contains(&name), "{name} has no rule");
        for field in fields {
            let field_name = &field.node.name.node;
            assert!(Rule::of(&field.node.directives).is_some(), "{name}.{field_name} has no rule");
            assert!(field.node.description.is_some(), "{name}.{field_name} has no description");
        }
    }
}

#[test]
fn a_field_narrower_than_its_type_is_nullable() {
    let document = parse_schema(sdl()).unwrap();
    for (name, (of_type, fields)) in objects(&document) {
        for field in fields {
            let rule = Rule::of(&field.node.directives).unwrap();
            let is_narrower = of_type.as_ref().is_none_or(|of_type| rule.is_narrower_than(of_type));
            assert!(!is_narrower || field.node.ty.node.nullable, "{name}.{} must be nullable", field.node.name.node);
        }
    }
}

#[test]
fn lists_of_the_database_are_connections() {
    fn is_object_list(ty: &Type, objects: &HashMap<&str, (Option<Rule>, &[Positioned<FieldDefinition>])>) -> bool {
        match &ty.base {
            BaseType::List(item) => {
                matches!(&item.base, BaseType::Named(name) if objects.contains_key(name.as_str()) && has_id(name, objects))
            }
            BaseType::Named(_) => false,
        }
    }
    fn has_id(name: &str, objects: &HashMap<&str, (Option<Rule>, &[Positioned<FieldDefinition>])>) -> bool {
        objects[name].1.iter().any(|field| field.node.name.node == "id")
    }
    let document = parse_schema(sdl()).unwrap();
    let objects = objects(&document);
    for (name, (_, fields)) in &objects {
        for field in fields.iter().filter(|_| !name.ends_with("Connection")) {
            assert!(!is_object_list(&field.node.ty.node, &objects), "{name}.{}", field.node.name.node);
        }
    }
}

#[test]
fn mutations_take_one_input_and_answer_a_payload() {
    let document = parse_schema(sdl()).unwrap();
    let (_, mutations) = &objects(&document)["Mutation"];
    for mutation in *mutations {
        let name = &mutation.node.name.node;
        let arguments: Vec<_> =
            mutation.node.arguments.iter().map(|argument| argument.node.name.node.as_str()).collect();
        assert_eq!(arguments, ["input"], "{name}");
        assert!(mutation.node.ty.node.to_string().ends_with("Payload"), "{name}");
    }
}

/// What GraphiQL and code generators ask; text by graphql-js' `getIntrospectionQuery` with all its options.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { description queryType { name kind } mutationType { name kind }
    subscriptionType { name kind } types { ...FullType } directives { name description isRepeatable locations
    args(includeDeprecated: true) { ...InputValue } } } }
    fragment FullType on __Type { kind name description specifiedByURL isOneOf
    fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef }
    isDeprecated deprecationReason } inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef }
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } }
    fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
    fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
    ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }";

/// The names of all types that the JSON of an introspected type refers to.
fn referred(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let (Some(Value::String(name)), Some(Value::String(_))) = (members.get("name"), members.get("kind")) {
                names.insert(name.clone());
            }
            members.values().for_each(|value| referred(value, names));
        }
        Value::Array(items) => items.iter().for_each(|value| referred(value, names)),
        _ => {}
    }
}

#[tokio::test]
async fn introspection_fits_together_for_every_caller() {
    let acting =
        ActingUser { id: UserId::random(), session_id: SessionId::random(), is_anonymous: false, is_restricted: false };
    let key = |owner| Actor::of_key(ProjectId::internal(), ActingKey { id: ApiKeyId::random(), owner });
    let callers = [
        ("key of a user", key(KeyOwner::User(UserId::random()))),
        ("key of a team", key(KeyOwner::Team(TeamId::random()))),
        ("client", Actor::new(ProjectId::internal(), Level::Client, None)),
        ("user", Actor::new(ProjectId::internal(), Level::Client, Some(acting))),
        ("server", Actor::new(ProjectId::internal(), Level::Server, None)),
        ("admin", Actor::new(ProjectId::internal(), Level::Admin, None)),
    ];
    let schema = build(false).finish();
    for (name, actor) in callers {
        let mut request = Request::new(INTROSPECTION).data(actor);
        Documents::default().prepare(&mut request).await.unwrap();
        let answer = serde_json::to_value(schema.execute(request).await).unwrap();
        assert!(answer.get("errors").is_none(), "{name}: {}", answer["errors"]);
        let types = answer["data"]["__schema"]["types"].as_array().unwrap();
        let known: BTreeSet<_> = types.iter().map(|ty| ty["name"].as_str().unwrap().to_owned()).collect();
        let mut names = BTreeSet::new();
        referred(&answer, &mut names);
        let missing: Vec<_> = names.difference(&known).collect();
        assert!(missing.is_empty(), "{name} is shown fields of types it is not shown: {missing:?}");
        for ty in types.iter().filter(|ty| ty["kind"] == "OBJECT" || ty["kind"] == "INPUT_OBJECT") {
            let fields = if ty["kind"] == "OBJECT" { &ty["fields"] } else { &ty["inputFields"] };
            assert_ne!(fields.as_array().unwrap().len(), 0, "{name} is shown {} without fields", ty["name"]);
        }
    }
}

#[test]
fn the_file_is_the_schema() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema.graphql");
    let file = std::fs::read_to_string(path).unwrap_or_default();
    assert!(file == format!("{}\n", sdl()), "schema.graphql is out of date: `cargo run -- schema > schema.graphql`");
}
