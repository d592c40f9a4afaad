//! Every root field against every sort of caller, as the rules in the schema's text say: whom a rule leaves out is refused
//! at the field's path, and nothing has changed. The table is made from `schema.graphql`, so a new field is in it at once.

use sea_orm::{ConnectionTrait, Statement};
use serde_json::Value;

use super::{
    api_keys::keys,
    codes, data,
    sdl::{Rule, Types, rule},
    signed_up,
};
use crate::support::{App, client::Client};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Caller {
    Nobody,
    Client,
    User,
    UserKey,
    TeamKey,
    Server,
    Admin,
}

fn expected_refusal(caller: Caller, rule: &Rule) -> Option<&'static str> {
    use Caller::{Admin, Client, Nobody, Server, TeamKey, User, UserKey};
    match (rule.level.as_str(), caller, rule.keys.as_deref()) {
        (_, Nobody, _) => Some("ACCESS_TYPE_REQUIRED"),
        (_, Admin, _) | ("CLIENT" | "SERVER", Server, _) | ("CLIENT", User, _) => None,
        ("CLIENT", Client, _) => rule.own.then_some("CANNOT_GET_OWN_USER_WITHOUT_USER"),
        ("CLIENT", UserKey, Some("USER" | "ANY")) | ("CLIENT", TeamKey, Some("ANY")) => None,
        // A key of a team where one of a user would do: there is no user.
        ("CLIENT", TeamKey, Some("USER")) if rule.own => Some("CANNOT_GET_OWN_USER_WITHOUT_USER"),
        _ => Some("FORBIDDEN"),
    }
}

/// The mutations that an API key may do for its user. A key of a team may do none. What is added to this list was thought
/// about: it touches no session, key, password, second factor or contact channel, deletes nothing, and administers nothing.
const OF_USER_KEYS: [&str; 6] =
    ["createTeam", "leaveTeam", "removeTeamMember", "updateMe", "updateTeam", "updateTeamMemberProfile"];

#[test]
fn mutations_are_closed_to_api_keys_but_for_those_that_are_listed() {
    let mut open = Vec::new();
    for field in Types::read().fields("Mutation") {
        match rule(&field).keys.as_deref() {
            None => {}
            Some("USER") => open.push(field.name.node.to_string()),
            Some(other) => panic!("{} is open to {other}", field.name.node),
        }
    }
    open.sort();
    assert_eq!(open, OF_USER_KEYS);
}

/// How many events and mails have been written, both in the transaction of the change that they tell of, and how many keys,
/// of which nothing else tells.
async fn written(app: &App) -> i64 {
    let reader = app.deps().db.read();
    let sql = "SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM email) + (SELECT count(*) FROM api_key) AS written";
    let statement = Statement::from_string(reader.get_database_backend(), sql);
    reader.query_one_raw(statement).await.unwrap().unwrap().try_get("", "written").unwrap()
}

#[tokio::test]
async fn whom_a_rule_leaves_out_is_refused_and_changes_nothing() {
    let app = App::start().await;
    let (user, _) = signed_up(&app, "table@example.com").await;
    let rest = app.rest();
    let (user_key, team_key) = keys(&app).await;
    let callers: [(Caller, Client); 7] = [
        (Caller::UserKey, user_key),
        (Caller::TeamKey, team_key),
        (Caller::Nobody, rest.clone()),
        (Caller::Client, rest.client()),
        (Caller::User, user),
        (Caller::Server, rest.server()),
        (Caller::Admin, rest.admin()),
    ];
    // The first use of a key within an hour is told to the audit.
    for (_, client) in &callers[..2] {
        data(client.graphql("{ project { id } }", Value::Null).await.json(200));
    }
    let types = Types::read();
    let mut refusals = 0;
    for (root, operation) in [("Query", "query"), ("Mutation", "mutation")] {
        for field in types.fields(root) {
            let rule = rule(&field);
            let name = field.name.node.as_str();
            for (caller, client) in &callers {
                let Some(code) = expected_refusal(*caller, &rule) else { continue };
                let before = written(&app).await;
                let answer =
                    client.graphql(&format!("{operation} {{ {} }}", types.call(&field)), Value::Null).await.json(200);
                assert_eq!(codes(&answer), [(name.to_owned(), code.to_owned())], "{caller:?} {name}: {answer}");
                assert_eq!(answer["data"][name], Value::Null);
                assert_eq!(written(&app).await, before, "{caller:?} {name} changed something");
                refusals += 1;
            }
        }
    }
    assert!(refusals > 60, "the table has become suspiciously small: {refusals}");
    app.stop().await;
}

/// What the rules open to keys is open in the domain's own list too, which is asked by every mutation.
#[tokio::test]
async fn keys_pass_wherever_the_rules_name_them() {
    let app = App::start().await;
    let types = Types::read();
    let (user_key, team_key) = keys(&app).await;
    let mut passed = 0;
    for (caller, client) in [(Caller::UserKey, user_key), (Caller::TeamKey, team_key)] {
        for (root, operation) in [("Query", "query"), ("Mutation", "mutation")] {
            for field in types.fields(root) {
                if expected_refusal(caller, &rule(&field)).is_some() {
                    continue;
                }
                let call = format!("{operation} {{ {} }}", types.call(&field));
                let answer = client.graphql(&call, Value::Null).await.json(200);
                assert!(codes(&answer).iter().all(|(_, code)| code != "FORBIDDEN"), "{caller:?} {call}: {answer}");
                passed += 1;
            }
        }
    }
    assert_eq!(passed, 21, "whoever opens one more field to keys has thought about it");
    app.stop().await;
}

#[tokio::test]
async fn servers_and_admins_pass_the_guard_of_every_field_of_their_level() {
    let app = App::start().await;
    let types = Types::read();
    for (caller, client) in [(Caller::Server, app.rest().server()), (Caller::Admin, app.rest().admin())] {
        for field in types.fields("Query") {
            if expected_refusal(caller, &rule(&field)).is_some() {
                continue;
            }
            let answer = client.graphql(&format!("{{ {} }}", types.call(&field)), Value::Null).await.json(200);
            assert!(
                codes(&answer).iter().all(|(_, code)| code != "FORBIDDEN"),
                "{caller:?} {}: {answer}",
                field.name.node
            );
        }
    }
    app.stop().await;
}
