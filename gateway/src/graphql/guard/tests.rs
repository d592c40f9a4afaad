//! What the attribute `guarded` does to a schema, on a small one.

use async_graphql::{EmptySubscription, Request, Schema, SchemaBuilder};
use postern_domain::{ProjectId, SessionId, actor::ActingUser};
use postern_gateway_macros::guarded;
use serde_json::{Value, json};

use super::*;
use crate::graphql::error::Result;

struct Thing {
    owner: UserId,
}

/// Something of a user's.
#[guarded(CLIENT, self, owner = self.owner)]
impl Thing {
    /// Its name.
    #[access(CLIENT, self)]
    fn name(&self) -> &str {
        "thing"
    }

    /// Known to anybody.
    #[access(CLIENT)]
    async fn slow(&self) -> &str {
        tokio::task::yield_now().await;
        "slow"
    }

    /// For servers.
    #[access(SERVER)]
    async fn note(&self, ctx: &Context<'_>, #[graphql(default = 1)] times: usize) -> Option<String> {
        assert!(ctx.data_opt::<Actor>().is_some_and(Actor::is_server), "the resolver ran for somebody else");
        Some("note".repeat(times))
    }

    /// For admins.
    #[access(ADMIN)]
    fn price(&self) -> Option<Money> {
        Some(Money { cents: 5 })
    }

    /// Fails.
    #[access(CLIENT, self)]
    async fn broken(&self) -> Result<Option<i32>> {
        Err(Failure::not_found("gone").into())
    }

    /// Fails, and has no null to answer.
    #[access(CLIENT, self)]
    async fn broken_whole(&self) -> Result<i32> {
        Err(Failure::not_found("gone").into())
    }
}

/// An amount.
#[guarded(ADMIN)]
struct Money {
    /// In cents.
    #[access(ADMIN)]
    cents: i32,
}

struct Query {
    owner: UserId,
}

#[guarded(root)]
impl Query {
    /// The one thing.
    #[access(CLIENT)]
    async fn thing(&self) -> Option<Thing> {
        Some(Thing { owner: self.owner })
    }

    /// The caller's thing.
    #[access(CLIENT, self)]
    async fn mine(&self) -> Result<Option<Thing>> {
        Ok(Some(Thing { owner: self.owner }))
    }

    /// All things.
    #[access(SERVER)]
    async fn things(&self) -> Option<Vec<Thing>> {
        Some(vec![Thing { owner: self.owner }, Thing { owner: self.owner }])
    }
}

struct Mutation;

#[guarded(root)]
impl Mutation {
    /// Does something.
    #[access(SERVER)]
    async fn act(&self, #[graphql(default)] fail: bool) -> Result<Option<i32>> {
        if fail { Err(Failure::forbidden("no").into()) } else { Ok(Some(1)) }
    }
}

fn schema(owner: UserId) -> SchemaBuilder<Query, Mutation, EmptySubscription> {
    Schema::build(Query { owner }, Mutation, EmptySubscription)
}

fn user(id: UserId) -> Actor {
    let acting = ActingUser { id, session_id: SessionId::random(), is_anonymous: false, is_restricted: false };
    Actor::new(ProjectId::internal(), Level::Client, Some(acting))
}

fn of_level(level: Level) -> Actor {
    Actor::new(ProjectId::internal(), level, None)
}

async fn ask(owner: UserId, actor: Actor, query: &str) -> Value {
    let response = schema(owner).finish().execute(Request::new(query).data(actor)).await;
    serde_json::to_value(response).unwrap()
}

#[tokio::test]
async fn a_refused_field_is_null_with_an_error_at_its_path_and_the_rest_stands() {
    let me = UserId::random();
    let answer = ask(me, user(me), "{ thing { name note slow price { cents } } things { name } }").await;
    assert_eq!(
        answer["data"],
        json!({"thing": {"name": "thing", "note": null, "slow": "slow", "price": null}, "things": null})
    );
    let told: Vec<_> =
        answer["errors"].as_array().unwrap().iter().map(|e| (&e["path"], &e["extensions"]["code"])).collect();
    let code = json!("FORBIDDEN");
    for path in [json!(["thing", "note"]), json!(["thing", "price"]), json!(["things"])] {
        assert!(told.contains(&(&path, &code)), "{path} {told:?}");
    }
}

#[tokio::test]
async fn a_failed_resolver_of_a_nullable_field_leaves_its_siblings_alone() {
    let me = UserId::random();
    let answer = ask(me, user(me), "{ thing { broken name } }").await;
    assert_eq!(answer["data"], json!({"thing": {"broken": null, "name": "thing"}}));
    assert_eq!(answer["errors"][0]["path"], json!(["thing", "broken"]));
    let answer = ask(me, user(me), "{ thing { brokenWhole name } mine { name } }").await;
    assert_eq!(answer["data"], json!({"thing": null, "mine": {"name": "thing"}}));
}

#[tokio::test]
async fn fields_stand_in_the_order_of_the_query_also_when_the_first_is_slow() {
    let me = UserId::random();
    let response = schema(me)
        .finish()
        .execute(
            Request::new("{ thing { slow ...F name } mine { name } } fragment F on Thing { other: name }")
                .data(user(me)),
        )
        .await;
    assert_eq!(
        serde_json::to_string(&response.data).unwrap(),
        r#"{"thing":{"slow":"slow","other":"thing","name":"thing"},"mine":{"name":"thing"}}"#
    );
}

#[tokio::test]
async fn another_users_object_shows_only_what_any_client_may_see() {
    let (me, other) = (UserId::random(), UserId::random());
    let answer = ask(other, user(me), "{ thing { name } }").await;
    assert_eq!(answer["data"], json!({"thing": null}), "a field as wide as its type is not nullable");
    assert_eq!(ask(other, user(me), "{ thing { slow } }").await["data"], json!({"thing": {"slow": "slow"}}));
}

#[tokio::test]
async fn who_signs_in_by_the_request_sees_its_own_user_in_the_answer_and_no_other() {
    let (me, other) = (UserId::random(), UserId::random());
    for (owner, expected) in [(me, json!({"name": "thing", "note": null})), (other, Value::Null)] {
        let signed_in = SignedIn::default();
        signed_in.0.lock().unwrap().push(me);
        let request = Request::new("{ thing { name note } }").data(of_level(Level::Client)).data(signed_in);
        let response = schema(owner).finish().execute(request).await;
        assert_eq!(serde_json::to_value(response).unwrap()["data"]["thing"], expected);
    }
}

#[tokio::test]
async fn refused_mutations_do_not_spoil_what_ran() {
    let me = UserId::random();
    let query = "mutation { a: act b: act(fail: true) }";
    assert_eq!(ask(me, of_level(Level::Server), query).await["data"], json!({"a": 1, "b": null}));
    assert_eq!(ask(me, user(me), query).await["data"], json!({"a": null, "b": null}));
}

#[tokio::test]
async fn without_a_project_everything_is_refused_by_the_code_that_says_why() {
    let me = UserId::random();
    let response = schema(me).finish().execute("{ thing { slow } __typename }").await;
    let answer = serde_json::to_value(response).unwrap();
    assert_eq!(answer["data"], json!({"thing": null, "__typename": "Query"}));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "ACCESS_TYPE_REQUIRED");
}

#[tokio::test]
async fn introspection_shows_each_caller_what_it_can_use() {
    async fn names(actor: Actor, ty: &str) -> Vec<String> {
        let query = format!("{{ __type(name: \"{ty}\") {{ fields {{ name }} }} }}");
        let answer = ask(UserId::random(), actor, &query).await;
        let fields = answer["data"]["__type"]["fields"].as_array().cloned().unwrap_or_default();
        fields.iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
    }
    let (client, user) = (of_level(Level::Client), user(UserId::random()));
    assert_eq!(names(client.clone(), "Query").await, ["thing"]);
    assert_eq!(names(user.clone(), "Query").await, ["thing", "mine"]);
    assert_eq!(names(user.clone(), "Thing").await, ["name", "slow", "broken", "brokenWhole"]);
    assert_eq!(names(of_level(Level::Server), "Thing").await.len(), 5);
    assert_eq!(names(of_level(Level::Server), "Money").await, [""; 0]);
    assert_eq!(names(of_level(Level::Admin), "Money").await, ["cents"]);
    let answer = ask(UserId::random(), user, "{ __schema { mutationType { fields { name } } } }").await;
    assert_eq!(answer["data"]["__schema"]["mutationType"]["fields"], json!([]));
}

#[test]
fn the_sdl_shows_every_rule() {
    let sdl = schema(UserId::random()).finish().sdl();
    for line in [
        "type Thing @access(level: CLIENT, self: true) {",
        "name: String! @access(level: CLIENT, self: true)",
        "note(times: Int! = 1): String @access(level: SERVER)",
        "cents: Int! @access(level: ADMIN)",
        "mine: Thing @access(level: CLIENT, self: true)",
        "directive @access(level: AccessLevel!, self: Boolean, permission: String, keys: KeyOwners) on FIELD_DEFINITION | OBJECT",
    ] {
        assert!(sdl.contains(line), "{line}\n{sdl}");
    }
}
