//! Every field of every object on every short path to it, against every sort of caller, as the rules in the schema's text
//! say. The table is made from `schema.graphql`; what a world full of one user's things shows to whom is checked in three
//! ways: by the rule beside each field, by what the owner, servers and administrators must be able to read, and by marks in
//! the owner's data that nobody else may ever be shown.

use std::collections::{BTreeMap, BTreeSet};

use async_graphql::parser::types::FieldDefinition;
use serde_json::{Map, Value};

use super::{
    codes,
    sdl::{Rule, Types, base, rule},
    world::{Caller, World},
};
use crate::support::App;

/// How many fields lead to an object, its own not counted.
const MAX_PATH: usize = 5;
/// How many paths to one field of a type are walked: the shortest.
const MAX_PATHS: usize = 4;

/// A way from the root to an object of a type.
#[derive(Clone)]
struct Path {
    fields: Vec<FieldDefinition>,
    /// The object type that each of them leads to.
    types: Vec<String>,
}

impl Path {
    fn end(&self) -> &str {
        self.types.last().map_or("Query", String::as_str)
    }

    fn then(&self, field: &FieldDefinition, to: &str) -> Self {
        let mut path = self.clone();
        path.fields.push(field.clone());
        path.types.push(to.to_owned());
        path
    }

    /// A query for everything at its end: values as they are, of objects the type.
    fn query(&self, types: &Types) -> String {
        let mut selection: String =
            types.fields(self.end()).iter().map(|field| format!("{} ", types.call(field))).collect();
        for (depth, (field, to)) in self.fields.iter().zip(&self.types).enumerate().rev() {
            let head = if depth == 0 { types.root_to(field, to) } else { types.head(field) };
            selection = format!("{head} {{ __typename ... on {to} {{ {selection} }} }}");
        }
        format!("{{ {selection} }}")
    }
}

/// The shortest paths to every field that answers objects, and so to every type.
fn paths(types: &Types) -> Vec<Path> {
    let mut walked: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    let mut found = Vec::new();
    let mut ends = vec![Path { fields: Vec::new(), types: Vec::new() }];
    for _ in 0..MAX_PATH {
        let mut next = Vec::new();
        for path in &ends {
            for field in types.fields(path.end()) {
                for to in types.objects(base(&field.ty.node)) {
                    let times =
                        walked.entry((path.end().to_owned(), field.name.node.to_string(), to.clone())).or_default();
                    if *times < MAX_PATHS && !path.types.contains(&to) {
                        *times += 1;
                        next.push(path.then(&field, &to));
                    }
                }
            }
        }
        found.extend(next.iter().cloned());
        ends = next;
    }
    found
}

/// What one answer is held to.
struct Check<'a> {
    types: &'a Types,
    caller: Caller,
    path: &'a Path,
    refused: BTreeMap<String, String>,
    /// The objects that were there: their types.
    seen: BTreeSet<String>,
}

impl Check<'_> {
    /// Goes down an answer to the end of the path.
    fn walk(&mut self, value: &Value, depth: usize, place: &str) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.walk(item, depth, &format!("{place}.{index}"));
                }
            }
            Value::Object(object) if depth == self.path.fields.len() => self.object(object, place),
            Value::Object(object) => {
                let name = self.path.fields[depth].name.node.as_str();
                // Another type of the interface than this path is about.
                let Some(below) = object.get(name) else { return };
                let place = if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
                self.walk(below, depth + 1, &place);
            }
            _ => {}
        }
    }

    /// The object at the end of the path: each of its fields by its rule.
    fn object(&mut self, object: &Map<String, Value>, place: &str) {
        let of_type = self.path.end();
        if object.get("__typename").is_some_and(|name| name != of_type) {
            return;
        }
        self.seen.insert(of_type.to_owned());
        let mut own = BTreeSet::new();
        for field in self.types.fields(of_type) {
            let (rule, name) = (rule(&field), field.name.node.as_str());
            let at = format!("{place}.{name}");
            let code = self.refused.get(&at).map(String::as_str);
            let told = format!("{:?} {at} of {of_type}: {code:?} {:?}", self.caller, object.get(name));
            assert!(code.is_none() || object.get(name) == Some(&Value::Null), "an error beside a value: {told}");
            match self.expected(&rule) {
                Expected::Refused => assert_eq!(code, Some("FORBIDDEN"), "{told}"),
                Expected::Allowed => assert_ne!(code, Some("FORBIDDEN"), "{told}"),
                Expected::IfOwn => drop(own.insert(code)),
            }
        }
        // Whose it is decides for all fields that ask for it.
        assert!(own.len() <= 1, "{:?} {place}: {own:?}", self.caller);
        // Whatever the owner comes upon here is its own.
        if let (Caller::Owner | Caller::UserKey, Some(code)) = (self.caller, own.first()) {
            assert_ne!(*code, Some("FORBIDDEN"), "{place}");
        }
    }

    fn expected(&self, rule: &Rule) -> Expected {
        match (rule.level.as_str(), self.caller.level()) {
            (_, "ADMIN") | ("CLIENT" | "SERVER", "SERVER") => Expected::Allowed,
            ("CLIENT", _) => match &rule.permission {
                Some(permission) if World::holds(self.caller, permission) => Expected::Allowed,
                Some(_) => Expected::Refused,
                None if rule.own => Expected::IfOwn,
                None => Expected::Allowed,
            },
            _ => Expected::Refused,
        }
    }
}

enum Expected {
    Allowed,
    Refused,
    /// Allowed if the object is the caller's.
    IfOwn,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_on_every_path_is_shown_to_whom_its_rule_names() {
    let app = App::start().await;
    let world = World::make(&app).await;
    let types = Types::with(world.values());
    let paths = paths(&types);
    let mut seen: BTreeMap<Caller, BTreeSet<String>> = BTreeMap::new();
    for path in &paths {
        let query = path.query(&types);
        for (caller, client) in world.callers() {
            let answer = client.graphql(&query, Value::Null).await.json(200);
            let refused: BTreeMap<_, _> = codes(&answer).into_iter().collect();
            assert!(!refused.values().any(|code| code == "INTERNAL_SERVER_ERROR"), "{query}: {answer}");
            assert!(answer.get("data").is_some(), "{caller:?} {query}: {answer}");
            for mark in World::marks_hidden_from(caller) {
                assert!(!answer.to_string().contains(mark), "{caller:?} is shown {mark} by {query}: {answer}");
            }
            if caller == Caller::Nobody {
                let root = (path.fields[0].name.node.to_string(), "ACCESS_TYPE_REQUIRED".to_owned());
                assert_eq!(refused, [root].into(), "{query}");
            }
            let mut check = Check { types: &types, caller, path, refused, seen: BTreeSet::new() };
            check.walk(&answer["data"], 0, "");
            seen.entry(caller).or_default().append(&mut check.seen);
        }
    }
    // The table says nothing about a type of which there was no object.
    let all: BTreeSet<String> = paths.iter().map(|path| path.end().to_owned()).collect();
    assert_eq!(seen[&Caller::Admin], all);
    // Nothing but what mutations and subscriptions answer lies off the paths; those have tests of their own.
    let off: Vec<_> =
        types.all_objects().into_iter().filter(|name| !all.contains(name) && !name.ends_with("Payload")).collect();
    assert_eq!(off, ["Mutation", "Query", "Subscription", "TeamEvent"]);
    for (caller, least) in [
        (Caller::Owner, &["User", "Team", "TeamMember", "Session", "ApiKey", "Item", "LinkedAccount"][..]),
        (Caller::Member, &["Team", "TeamMember"]),
        (Caller::MemberWithout, &["Team"]),
        (Caller::UserKey, &["User", "Team"]),
        (Caller::TeamKey, &["Team"]),
        (Caller::Client, &["Project"]),
    ] {
        for of_type in least {
            assert!(seen[&caller].contains(*of_type), "{caller:?} saw no {of_type}: {:?}", seen[&caller]);
        }
    }
    assert!(!seen.contains_key(&Caller::Nobody) || seen[&Caller::Nobody].is_empty());
    app.stop().await;
}
