//! What `prepare` lets pass and what it refuses, on documents alone.

use async_graphql::{Request, Variables, parser::types::OperationType};
use serde_json::json;

use super::*;

async fn prepare(request: Request) -> Result<(OperationType, Request), String> {
    let mut request = request;
    match Documents::default().prepare(&mut request).await {
        Ok(prepared) => Ok((prepared.kind, request)),
        Err(error) => {
            let extensions = error.extensions.unwrap();
            Err(extensions.get("code").unwrap().to_string().trim_matches('"').to_owned())
        }
    }
}

async fn refused(source: &str) -> String {
    prepare(Request::new(source)).await.map(|_| ()).expect_err(source)
}

/// The names of the root fields of the prepared document.
async fn roots(request: Request) -> Vec<String> {
    let (_, mut request) = prepare(request).await.unwrap();
    let document = request.parsed_query().unwrap();
    let mut names = Vec::new();
    for (_, operation) in document.operations.iter() {
        for selection in &operation.node.selection_set.node.items {
            if let Selection::Field(field) = &selection.node {
                names.push(format!("{}/{}", field.node.name.node, field.node.selection_set.node.items.len()));
            }
        }
    }
    names
}

#[tokio::test]
async fn what_exceeds_a_limit_is_refused_with_its_code() {
    assert_eq!(refused("{").await, "GRAPHQL_PARSE_FAILED");
    assert_eq!(refused(&format!("{{ {} }}", "a ".repeat(MAX_TOKENS))).await, "QUERY_TOO_LARGE");
    assert_eq!(refused(&format!("{}{}", "{a".repeat(13), "}".repeat(13))).await, "QUERY_TOO_DEEP");
    let aliases: String = (0..31).map(|i| format!("a{i}: a ")).collect();
    assert_eq!(refused(&format!("{{ {aliases} }}")).await, "TOO_MANY_ALIASES");
    let mutations: String = (0..11).map(|i| format!("a{i}: a ")).collect();
    assert_eq!(refused(&format!("mutation {{ {mutations} }}")).await, "TOO_MANY_ROOT_FIELDS");
    assert_eq!(refused("{ ...F } fragment F on Q { a ...F }").await, "GRAPHQL_VALIDATION_FAILED");
    let doubling: String = (0..40).map(|i| format!("fragment F{i} on Q {{ ...F{0} ...F{0} }} ", i + 1)).collect();
    assert_eq!(refused(&format!("{{ ...F0 }} {doubling} fragment F40 on Q {{ a }}")).await, "QUERY_TOO_LARGE");
}

#[tokio::test]
async fn the_limits_themselves_pass() {
    assert!(prepare(Request::new(format!("{}{}", "{a".repeat(12), "}".repeat(12)))).await.is_ok());
    let aliases: String = (0..30).map(|i| format!("a{i}: a ")).collect();
    assert!(prepare(Request::new(format!("{{ {aliases} }}"))).await.is_ok());
    let mutations: String = (0..10).map(|i| format!("a{i}: a ")).collect();
    assert!(prepare(Request::new(format!("mutation {{ {mutations} }}"))).await.is_ok());
}

#[tokio::test]
async fn nesting_brackets_cannot_overflow_the_stack() {
    let source = format!("{{ a(b: {}{}) }}", "[".repeat(490), "]".repeat(490));
    assert!(prepare(Request::new(source)).await.is_ok());
    assert_eq!(refused(&"{a".repeat(499)).await, "GRAPHQL_PARSE_FAILED");
}

#[tokio::test]
async fn the_operation_is_chosen_by_name() {
    let two = "query A { a } mutation B { b }";
    assert_eq!(refused(two).await, "OPERATION_RESOLUTION_FAILURE");
    let named = |name: &str| prepare(Request::new(two).operation_name(name));
    assert_eq!(named("B").await.unwrap().0, OperationType::Mutation);
    assert_eq!(named("C").await.err().unwrap(), "OPERATION_RESOLUTION_FAILURE");
    assert_eq!(prepare(Request::new("query A { a }")).await.unwrap().0, OperationType::Query);
}

#[tokio::test]
async fn a_mutation_selected_twice_runs_once_with_both_selections() {
    let source = "mutation { ...F go(x: 1) { a } ... on Mutation { go(x: 1) { b } } other: go(x: 2) { a } }
        fragment F on Mutation { go(x: 1) { c } }";
    assert_eq!(roots(Request::new(source)).await, ["go/3", "go/1"]);
}

#[tokio::test]
async fn fragments_put_in_place_are_gone_and_unused_ones_stay_to_be_refused() {
    let source = "mutation { ...F } fragment F on Mutation { go { ...G } } fragment G on P { a } fragment H on P { a }";
    let (_, mut request) = prepare(Request::new(source)).await.unwrap();
    let mut names: Vec<_> = request.parsed_query().unwrap().fragments.keys().map(ToString::to_string).collect();
    names.sort();
    assert_eq!(names, ["G", "H"]);
}

#[tokio::test]
async fn skipped_mutations_do_not_run_also_when_the_variable_has_a_default() {
    let source =
        "mutation M($x: Boolean = true, $y: Boolean!) { a @skip(if: $x) { i } b @include(if: $y) { i } c { i } }";
    let request = Request::new(source).variables(Variables::from_json(json!({"y": false})));
    assert_eq!(roots(request).await, ["c/1"]);
}

#[tokio::test]
async fn a_missing_variable_is_refused() {
    let source = "query Q($x: Int!) { a(x: $x) }";
    assert_eq!(refused(source).await, "BAD_USER_INPUT");
    let null = Request::new(source).variables(Variables::from_json(json!({"x": null})));
    assert_eq!(prepare(null).await.err().unwrap(), "BAD_USER_INPUT");
}

#[tokio::test]
async fn a_size_of_a_page_that_was_left_out_is_null_and_nothing_else_is() {
    let source = "query Q($a: Int, $b: Int, $c: Int, $d: Int = 3) { x(first: $a) { ...F } y(first: $b, last: $b) }
        fragment F on X { z(first: $d, input: {first: [$c]}) @include(if: $a) w(first: $c) }";
    let (_, request) = prepare(Request::new(source)).await.unwrap();
    assert_eq!(
        request.variables.into_value().into_json().unwrap(),
        json!({"d": 3}),
        "all others are used otherwise, too"
    );
    let (_, request) = prepare(Request::new("query Q($a: Int) { x(first: $a) { y(first: $a) } }")).await.unwrap();
    assert_eq!(request.variables.into_value().into_json().unwrap(), json!({"a": null}));
}

#[tokio::test]
async fn a_subscription_has_one_root_field_also_through_a_fragment() {
    assert_eq!(refused("subscription { a b }").await, "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(roots(Request::new("subscription { ...F } fragment F on Subscription { a { i } }")).await, ["a/1"]);
}

#[tokio::test]
async fn pure_introspection_has_a_cap_of_its_own() {
    let deep = format!("{{ __type(name: \"A\") {}{{ name }}{} }}", "{ ofType ".repeat(13), "}".repeat(13));
    assert!(prepare(Request::new(deep)).await.is_ok());
    let nested = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }";
    assert_eq!(refused(nested).await, "QUERY_TOO_DEEP");
    let mixed = format!("{{ a __type(name: \"A\") {}{{ name }}{} }}", "{ ofType ".repeat(13), "}".repeat(13));
    assert_eq!(refused(&mixed).await, "QUERY_TOO_DEEP");
}

#[tokio::test]
async fn a_document_that_fitted_is_known_unless_something_is_sent_with_it() {
    let documents = Documents::default();
    let fits = async |source: &str| documents.prepare(&mut Request::new(source)).await.unwrap().fits();
    for (source, is_remembered) in [
        ("{ me { id } }", true),
        ("query Named { me { id } }", true),
        ("query ($id: ID) { user(id: $id) { id } }", false),
        ("mutation { signOut }", false),
        ("subscription { events { id } }", false),
    ] {
        assert!(!fits(source).await, "{source}");
        documents.prepare(&mut Request::new(source)).await.unwrap().found_to_fit();
        assert_eq!(fits(source).await, is_remembered, "{source}");
    }
}
