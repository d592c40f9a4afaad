//! Whether pages, searches and permissions cost the same however many users there are.

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::json;

use super::{
    compare::{Plan, Side, Spread, compare},
    filler::{Filled, fill},
    load::Load,
    report::{Budget, Row},
    scene::{Scene, in_turn, request},
};

/// How many users the smaller project gets.
const FEW: u64 = 10_000;
const USERS: &str =
    "{ users(first: 50) { edges { node { id displayName primaryEmail signedUpAt } } pageInfo { hasNextPage } } }";
const MEMBERS: &str = "query($team: ID!) { teamMembers(teamId: $team, first: 50) {
    nodes { userId displayName } pageInfo { hasNextPage } } }";

/// What is asked of both projects.
struct Question {
    name: &'static str,
    /// A text that every answer contains.
    proof: &'static str,
    ask: fn(&Filled<'_>, &HeaderMap) -> Result<Request<Bytes>>,
    budget: Option<Budget>,
}

/// The design has a budget for the first page of users; the others are held to it too, but searches, whose index has longer
/// lists where there is more to find.
const SAME: Option<Budget> = Some(Budget::AtMost(1.2));

const QUESTIONS: [Question; 8] = [
    Question {
        name: "REST: page 1 of 50 users",
        proof: "primary_email",
        ask: |_, headers| get("/users?limit=50", headers),
        budget: SAME,
    },
    Question {
        name: "GraphQL: page 1 of 50 users",
        proof: "primaryEmail",
        ask: |_, headers| graphql(&json!({ "query": USERS }), headers),
        budget: SAME,
    },
    Question {
        name: "REST: the 50 users who were last active",
        proof: "primary_email",
        ask: |_, headers| get("/users?limit=50&order_by=last_active_at&desc=true", headers),
        budget: SAME,
    },
    Question {
        name: "REST: search that finds one user",
        proof: "filler-4321@example.org",
        ask: |_, headers| get("/users?limit=50&query=filler-4321@", headers),
        budget: None,
    },
    Question {
        name: "REST: search that finds everybody",
        proof: "primary_email",
        ask: |_, headers| get("/users?limit=50&query=filler", headers),
        budget: None,
    },
    Question {
        name: "REST: page 1 of the users of a team of all",
        proof: "primary_email",
        ask: |filled, headers| get(&format!("/users?limit=50&team_id={}", filled.team_id), headers),
        budget: SAME,
    },
    Question {
        name: "GraphQL: page 1 of the members of a team of all",
        proof: "userId",
        ask: |filled, headers| graphql(&json!({ "query": MEMBERS, "variables": { "team": filled.team_id } }), headers),
        budget: SAME,
    },
    Question {
        name: "REST: permissions of a member of a team of all",
        proof: "$read_members",
        ask: |Filled { team_id, member_id, .. }, headers| {
            get(&format!("/team-permissions?team_id={team_id}&user_id={member_id}&recursive=true"), headers)
        },
        budget: SAME,
    },
];

/// A project with few users beside one with `many`, in the same database.
pub(crate) async fn measure(scene: &Scene, plan: &Plan, many: u64) -> Result<Vec<Row>> {
    let database = scene.database().await?;
    let small = fill(scene, &database, &scene.stand.internal, FEW).await?;
    let large = fill(scene, &database, &scene.stand.project, many).await?;
    // SQLite is run without statistics, PostgreSQL gathers its own sooner or later.
    if !database.is_sqlite() {
        database.run("VACUUM ANALYZE").await?;
    }
    let mut rows = Vec::with_capacity(QUESTIONS.len());
    for question in &QUESTIONS {
        rows.push(row(scene, plan, question, &small, &large, many).await?);
    }
    Ok(rows)
}

async fn row(
    scene: &Scene,
    plan: &Plan,
    question: &Question,
    small: &Filled<'_>,
    large: &Filled<'_>,
    many: u64,
) -> Result<Row> {
    let side = |filled: &Filled<'_>| -> Result<Side> {
        let requests = vec![(question.ask)(filled, &scene.server_headers(filled.keys)?)?];
        let load = Load::new(scene.address()?, StatusCode::OK, question.proof, in_turn(requests));
        Ok(Side { load, pid: scene.pid()? })
    };
    let compared = compare(plan, &side(small)?, &side(large)?).await?;
    let Spread { median, low, high } = compared.ratio;
    // Here more is worse: the cost of the large project for each one of the small.
    let cost = Spread { median: 1.0 / median, low: 1.0 / high, high: 1.0 / low };
    let notes = format!(
        "{FEW} beside {many} users in two projects of one database; {:.0}/s beside {:.0}/s",
        compared.floor.per_second.median, compared.subject.per_second.median
    );
    let row = Row { compared: Some(compared), ..Row::plain(question.name, cost, "x its cost with few", notes) };
    Ok(match question.budget {
        Some(budget) => row.budget(budget),
        None => row,
    })
}

fn get(path: &str, headers: &HeaderMap) -> Result<Request<Bytes>> {
    request(Method::GET, &format!("/api/v1{path}"), headers, "")
}

fn graphql(body: &serde_json::Value, headers: &HeaderMap) -> Result<Request<Bytes>> {
    request(Method::POST, "/graphql", headers, body.to_string())
}
