use super::*;

fn shaped(selection: &str, event_type: &str, data: &Value) -> Value {
    let shape = Shape::parse(selection).unwrap();
    serde_json::from_slice(&shape.apply(event_type, data, Timestamp(1_700_000_000_000)).unwrap()).unwrap()
}

#[test]
fn a_selection_picks_and_renames_parts() {
    let user = example(EventKind::UserCreated);
    let selection = "query Hook { type at: createdAt __typename data { id mail: primaryEmail display_name \
                     selectedTeam { displayName } oauthProviders { id } client_metadata } }";
    assert_eq!(
        shaped(selection, "user.created", &user),
        json!({
            "type": "user.created",
            "at": "2023-11-14T22:13:20.000Z",
            "__typename": "UserCreated",
            "data": {
                "id": user["id"],
                "mail": "ada@example.com",
                "display_name": "Ada",
                "selectedTeam": { "displayName": "Analysts" },
                "oauthProviders": [{ "id": "github" }],
                "client_metadata": { "theme": "dark" },
            },
        })
    );
}

#[test]
fn what_is_not_there_is_null_and_fragments_are_of_one_type() {
    let selection = "{ ... on UserCreated { data { id } } ... on TeamDeleted { gone: type } ... { type } }";
    assert_eq!(
        shaped(selection, "user.created", &json!({ "id": "u" })),
        json!({ "data": { "id": "u" }, "type": "user.created" })
    );
    assert_eq!(
        shaped(selection, "team.deleted", &json!({ "id": "t" })),
        json!({ "gone": "team.deleted", "type": "team.deleted" })
    );
    assert_eq!(
        shaped("{ data { id name { x } } }", "team.deleted", &json!({ "id": "t" })),
        json!({ "data": { "id": "t", "name": null } })
    );
}

#[test]
fn the_order_is_that_of_the_selection() {
    let shape = Shape::parse("{ z: type data { b a } a: type data { c } }").unwrap();
    let bytes = shape.apply("user.created", &json!({ "a": 1, "b": 2, "c": 3 }), Timestamp(0)).unwrap();
    let expected = r#"{"z":"user.created","data":{"b":2,"a":1,"c":3},"a":"user.created"}"#;
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn parts_asked_for_twice_are_merged() {
    let data = json!({ "a": { "b": 1, "c": 2 }, "list": [{ "x": 1, "y": 2 }] });
    assert_eq!(
        shaped("{ data { a { b } } data { a { c } list { x } } data { list { y } } }", "user.created", &data),
        json!({ "data": data })
    );
}

#[test]
fn selections_are_compared_with_what_the_endpoint_gets() {
    let types = |types: &[&str]| types.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    for (selection, wanted, problem) in [
        ("{ type data }", None, None),
        ("{ data { id teamId } }", None, None),
        ("{ data { id nickname } }", None, Some("asks for data.nickname, which no event that the endpoint gets has")),
        ("{ data { teamId } }", Some(types(&["user.created"])), Some("asks for data.teamId, which no event")),
        (
            "{ ... on TeamCreated { type } }",
            Some(types(&["user.created"])),
            Some("asks for TeamCreated, which the endpoint does not get"),
        ),
        ("{ ... on TeamCreated { data { primaryEmail } } }", None, Some("asks for data.primaryEmail")),
        ("{ ... on UserExploded { type } }", None, Some("names \"UserExploded\", which is no type of event")),
        ("{ a: data b: data }", None, Some("asks for data more than once")),
        ("{ data { a: primaryEmail b: primary_email } }", None, Some("asks for data.primary_email more than once")),
        ("{ ... on UserCreated { data } ... on TeamCreated { data } }", None, None),
        ("{ type { x } }", None, Some("selects within type, which has no parts")),
        ("{ data { restrictedReason { type } } }", None, None),
    ] {
        let checked = Shape::checked(selection, wanted.as_deref());
        match problem {
            None => assert!(checked.is_ok(), "{selection}: {checked:?}"),
            Some(problem) => {
                assert!(checked.clone().is_err_and(|error| error.contains(problem)), "{selection}: {checked:?}")
            }
        }
    }
}

#[test]
fn what_is_no_selection_is_refused() {
    let deep = format!("{}type{}", "{ a ".repeat(3000), "}".repeat(3000));
    let wide = format!("{{ {} }}", "type ".repeat(MAX_TOKENS));
    let long = format!("{{ {} }}", "t".repeat(MAX_CHARS));
    for text in [
        "",
        "{ }",
        "type",
        "{ type",
        "mutation { type }",
        "subscription { type }",
        "query ($a: Int) { type }",
        "query @live { type }",
        "{ type(a: 1) }",
        "{ type @skip(if: true) }",
        "{ ... on UserCreated @x { type } }",
        "{ ...F } fragment F on UserCreated { type }",
        "{ type } { data }",
        "type Query { a: Int }",
        "{ type }\u{0}",
        &deep,
        &wide,
        &long,
    ] {
        assert!(Shape::checked(text, None).is_err(), "{}", text.chars().take(60).collect::<String>());
    }
}
