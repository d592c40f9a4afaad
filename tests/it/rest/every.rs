//! Every endpoint of the OpenAPI document, called with inputs made from the document itself: at each access type, and with
//! the ids of another project. An endpoint that is added is walked without anybody adding it here.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::teams::{team, user};
use crate::support::{
    App,
    client::{Answer, Client},
};

const LEVELS: [&str; 3] = ["client", "server", "admin"];

/// One endpoint of the document.
struct Endpoint {
    method: Method,
    /// Below `/api/v1`, with its parameters in braces.
    path: String,
    /// None: it asks for no access type.
    levels: Vec<String>,
    parameters: Vec<Value>,
    body: Option<Value>,
}

fn endpoints() -> Vec<Endpoint> {
    let document: Value = serde_json::from_str(&postern_gateway::openapi().unwrap()).unwrap();
    let mut endpoints = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let said = operation["description"].as_str().unwrap_or_default();
            endpoints.push(Endpoint {
                method: method.to_uppercase().parse().unwrap(),
                path: path.strip_prefix("/api/v1").unwrap().to_owned(),
                levels: LEVELS.iter().filter(|level| said.contains(**level)).map(ToString::to_string).collect(),
                parameters: operation["parameters"].as_array().cloned().unwrap_or_default(),
                body: operation["requestBody"]["content"]
                    .as_object()
                    .and_then(|contents| contents.values().next())
                    .map(|content| content["schema"].clone()),
            });
        }
    }
    assert!(endpoints.len() > 60);
    endpoints
}

/// Values by the name of a parameter or field, perhaps with the beginning of the path in front: `/emails id`.
type Known = BTreeMap<String, String>;

/// What was made of an endpoint.
struct Call {
    path: String,
    body: Option<Value>,
    /// Whether an id of `known` stands in it.
    names_somebody: bool,
}

impl Endpoint {
    fn known<'a>(&self, known: &'a Known, name: &str) -> Option<&'a String> {
        let first = self.path.split('/').nth(1).unwrap_or_default();
        known.get(&format!("/{first} {name}")).or_else(|| known.get(name))
    }

    fn call(&self, known: &Known) -> Call {
        let (mut path, mut query, mut names_somebody) = (self.path.clone(), Vec::new(), false);
        for parameter in &self.parameters {
            let name = parameter["name"].as_str().unwrap();
            let found = self.known(known, name);
            names_somebody |= found.is_some();
            let value = found.cloned().unwrap_or_else(|| text_of(&parameter["schema"], name));
            if parameter["in"] == "path" {
                path = path.replace(&format!("{{{name}}}"), &value);
            } else if parameter["required"] == true || found.is_some() {
                query.push(format!("{name}={value}"));
            }
        }
        let body = self.body.as_ref().map(|schema| {
            let mut body = Map::new();
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(id) = self.known(known, name) {
                    names_somebody = true;
                    body.insert(name.clone(), json!(id));
                } else if required.iter().any(|required| required == name) {
                    body.insert(name.clone(), value_of(field, name));
                }
            }
            Value::Object(body)
        });
        // One of the two, as the contract wants it of this one.
        if self.path == "/team-invitations" {
            query.truncate(1);
        }
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        Call { path, body, names_somebody }
    }

    async fn run(&self, client: &Client, call: &Call) -> Answer {
        client.send(self.method.clone(), &call.path, call.body.clone()).await
    }
}

/// Some text that fits where a parameter of this name stands.
fn text_of(schema: &Value, name: &str) -> String {
    match value_of(schema, name) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// Some value that fits the schema, by its name where the schema does not say enough.
fn value_of(schema: &Value, name: &str) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    match (name, schema["format"].as_str(), schema["type"].as_str()) {
        ("provider_config_id", ..) => json!("github"),
        ("code", ..) => json!("0".repeat(45)),
        ("api_key", ..) => json!("sk_nothing"),
        ("level", ..) => json!("branch"),
        ("permission_id", ..) => json!("team_member"),
        ("config_string" | "config_override_string", ..) => json!("{}"),
        ("type", ..) => json!("email"),
        ("clientVersion", ..) => json!("js @stackframe/js@2.8.77"),
        (name, ..) if name.ends_with("_millis") => json!(4_102_444_800_000_i64),
        (_, Some("email"), _) | ("email", ..) => json!("somebody@example.com"),
        (_, Some("uri"), _) => json!("http://localhost:3000/"),
        (_, Some("uuid"), _) | ("user_id" | "creator_user_id", ..) => json!("11111111-1111-4111-8111-111111111111"),
        (.., Some("boolean")) => json!(false),
        (.., Some("integer" | "number")) => json!(4_102_444_800_000_i64),
        (.., Some("array")) => json!([]),
        (.., Some("object")) => json!({}),
        _ => json!("something"),
    }
}

/// Somebody with everything that has an id: what each is called in parameters and bodies.
async fn everything(app: &App) -> Known {
    let rest = app.rest();
    let (server, admin) = (rest.server(), rest.admin());
    let (ada, own) = user(&rest, "ada@example.com").await;
    let team = team(&rest, &[&ada]).await;
    let first = async |client: &Client, path: String| {
        client.get(&path).await.json(200)["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{path}")).to_owned()
    };
    let channel = first(&server, format!("/contact-channels?user_id={ada}")).await;
    let session = first(&own, "/auth/sessions?user_id=me".to_owned()).await;
    let key_set = first(&admin, "/internal/api-keys".to_owned()).await;
    super::linked_accounts::providers(&rest).await;
    super::linked_accounts::providers(&app.internal_rest()).await;
    let link = super::linked_accounts::of(&ada, "github", "1");
    let link = server.post("/oauth-providers", link).await.json(201)["id"].as_str().unwrap().to_owned();
    let invite = json!({"team_id": team, "email": "b@example.com", "callback_url": "http://localhost:3000/"});
    let invitation = server.post("/team-invitations/send-code", invite).await.json(200)["id"].clone();
    let config = json!({"config": {"allow_user_api_keys": true, "allow_team_api_keys": true}});
    admin.patch("/internal/projects/current", config.clone()).await.json(200);
    // In the project that asks, too: else it would be told that it has no such keys at all.
    app.internal_rest().admin().patch("/internal/projects/current", config).await.json(200);
    let key = json!({"description": "k", "expires_at_millis": null, "user_id": ada});
    let user_key = server.post("/user-api-keys", key).await.json(200)["id"].clone();
    let key = json!({"description": "k", "expires_at_millis": null, "team_id": team});
    let team_key = server.post("/team-api-keys", key).await.json(200)["id"].clone();
    let mail = first(&server, "/emails/outbox".to_owned()).await;
    let log = server.get("/events?limit=1").await.json(200)["pagination"]["next_cursor"].clone();
    let mut known = Known::new();
    let mut know = |name: &str, id: &str| known.insert(name.to_owned(), id.to_owned());
    know("user_id", &ada);
    know("creator_user_id", &ada);
    know("cursor", &ada);
    know("/emails cursor", &mail);
    know("/audit-events cursor", log.as_str().unwrap());
    know("team_id", &team);
    know("selected_team_id", &team);
    know("owner_team_id", &team);
    know("new_team_id", &team);
    know("contact_channel_id", &channel);
    know("session_id", &session);
    know("api_key_id", &key_set);
    know("provider_id", &link);
    know("/team-invitations id", invitation.as_str().unwrap());
    know("/emails id", &mail);
    know("app_id", &app.demo.project_id);
    know("/user-api-keys api_key_id", user_key.as_str().unwrap());
    know("/team-api-keys api_key_id", team_key.as_str().unwrap());
    // An item of both projects, of which the user has something in its own.
    super::items::configure(&rest).await;
    super::items::configure(&app.internal_rest()).await;
    let change = format!("/payments/items/user/{ada}/credits/update-quantity?allow_negative=false");
    server.post(&change, json!({"delta": 5})).await.json(200);
    know("customer_id", &ada);
    know("item_id", "credits");
    known
}

#[tokio::test]
async fn every_endpoint_asks_for_its_access_type_before_anything_else() {
    let app = App::start().await;
    let rest = app.rest();
    let mut refused = 0;
    for endpoint in endpoints() {
        let call = endpoint.call(&Known::new());
        let what = format!("{} {}", endpoint.method, call.path);
        for (level, client) in LEVELS.iter().zip([rest.client(), rest.server(), rest.admin()]) {
            let is_allowed = endpoint.levels.is_empty() || endpoint.levels.iter().any(|allowed| allowed == level);
            // Whoever may delete the project does so; the others must live on.
            if is_allowed && (endpoint.path == "/internal/projects/current" && endpoint.method == Method::DELETE) {
                continue;
            }
            let answer = endpoint.run(&client, &call).await;
            assert!(answer.status.as_u16() < 500, "{what} as {level}: {} {}", answer.status, answer.text);
            let is_refused = answer.text.contains("INSUFFICIENT_ACCESS_TYPE");
            assert_eq!(is_refused, !is_allowed, "{what} as {level}: {} {}", answer.status, answer.text);
            refused += usize::from(is_refused);
        }
        if !endpoint.levels.is_empty() {
            let nobody = endpoint.run(&rest, &call).await;
            nobody.refused(400, "ACCESS_TYPE_REQUIRED");
        }
    }
    assert!(refused > 50, "{refused}");
    app.stop().await;
}

#[tokio::test]
async fn ids_of_another_project_are_found_through_no_endpoint() {
    let app = App::start().await;
    let known = everything(&app).await;
    let (own, foreign) = (app.rest(), app.internal_rest());
    let seen = async || {
        let mut seen = Vec::new();
        for path in [
            "/users",
            "/teams",
            "/contact-channels",
            "/oauth-providers",
            "/emails/outbox",
            "/internal/api-keys",
            "/team-permissions",
        ] {
            seen.push(own.admin().get(path).await.json(200));
        }
        for (path, name) in [("/user-api-keys", "user_id"), ("/team-api-keys", "team_id")] {
            seen.push(own.admin().get(&format!("{path}?{name}={}", known[name])).await.json(200));
        }
        let invitations = format!("/team-invitations?team_id={}", known["team_id"]);
        seen.push(own.admin().get(&invitations).await.json(200));
        seen.push(own.admin().get(&format!("/team-member-profiles?team_id={}", known["team_id"])).await.json(200));
        let item = format!("/payments/items/user/{}/{}", known["customer_id"], known["item_id"]);
        seen.push(own.admin().get(&item).await.json(200));
        seen
    };
    let before = seen().await;
    let mut walked = 0;
    for endpoint in endpoints() {
        let call = endpoint.call(&known);
        if !call.names_somebody {
            continue;
        }
        walked += 1;
        let client =
            if endpoint.levels.iter().any(|level| level == "server") { foreign.server() } else { foreign.admin() };
        let answer = endpoint.run(&client, &call).await;
        let (what, status) = (format!("{} {} {:?}", endpoint.method, call.path, call.body), answer.status.as_u16());
        if status == 200 {
            let body = answer.json(200);
            assert_eq!(body["items"], json!([]), "{what}: {body}");
        } else {
            assert!(matches!(status, 400 | 401 | 403 | 404), "{what}: {status} {}", answer.text);
            // Some calls count the user who makes them to their input; nobody is signed in here.
            let wants_user = answer.text.contains("must carry the access token of a user");
            assert!(wants_user || !answer.text.contains("SCHEMA_ERROR"), "{what}: {}", answer.text);
            assert!(!answer.text.contains("INSUFFICIENT_ACCESS_TYPE"), "{what}: {}", answer.text);
        }
    }
    assert!(walked > 30, "{walked}");
    assert_eq!(seen().await, before, "something of the other project has changed");
    app.stop().await;
}
