//! Whether the first page of users costs the same however many there are.

use anyhow::{Context, Result};
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;

use super::{
    compare::{Plan, Side, Spread, compare},
    load::Load,
    report::{Budget, Row},
    scene::{Scene, Sql, in_turn, request},
};
use crate::stand::Keys;

/// How many users the smaller project gets.
const FEW: u64 = 10_000;
/// Rows of one transaction: Postern's own writes come in between.
const BATCH: u64 = 20_000;
const QUERY: &str =
    "{ users(first: 50) { edges { node { id displayName primaryEmail signedUpAt } } pageInfo { hasNextPage } } }";

/// Page 1 of a project with few users beside one with `many`, in the same database.
pub(crate) async fn measure(scene: &Scene, plan: &Plan, many: u64) -> Result<Vec<Row>> {
    let database = scene.database().await?;
    let (small, large) = (&scene.stand.internal, &scene.stand.project);
    fill(&database, &small.project_id, FEW).await?;
    fill(&database, &large.project_id, many).await?;
    // SQLite is run without statistics, PostgreSQL gathers its own sooner or later.
    if !database.is_sqlite() {
        database.run("ANALYZE").await?;
    }
    let rest = |headers: &HeaderMap| request(Method::GET, "/api/v1/users?limit=50", headers, "");
    let graphql =
        |headers: &HeaderMap| request(Method::POST, "/graphql", headers, json!({ "query": QUERY }).to_string());
    Ok(vec![
        page(scene, plan, "REST: page 1 of 50 users", many, "primary_email", rest).await?,
        page(scene, plan, "GraphQL: page 1 of 50 users", many, "primaryEmail", graphql).await?,
    ])
}

async fn page(
    scene: &Scene,
    plan: &Plan,
    name: &str,
    many: u64,
    proof: &'static str,
    make: impl Fn(&HeaderMap) -> Result<http::Request<bytes::Bytes>>,
) -> Result<Row> {
    let side = |keys: &Keys| -> Result<Side> {
        let requests = vec![make(&scene.server_headers(keys)?)?];
        Ok(Side { load: Load::new(scene.address()?, StatusCode::OK, proof, in_turn(requests)), pid: scene.pid()? })
    };
    let compared = compare(plan, &side(&scene.stand.internal)?, &side(&scene.stand.project)?).await?;
    let Spread { median, low, high } = compared.ratio;
    // Here more is worse: the cost of the large project for each one of the small.
    let cost = Spread { median: 1.0 / median, low: 1.0 / high, high: 1.0 / low };
    let notes = format!(
        "{FEW} beside {many} users in two projects of one database, oldest first; {:.0}/s beside {:.0}/s",
        compared.floor.per_second.median, compared.subject.per_second.median
    );
    let row = Row { compared: Some(compared), ..Row::plain(name, cost, "x its cost with few", notes) };
    Ok(row.budget(Budget::AtMost(1.2)))
}

/// Users with a primary address, as sign-ups leave them, but past the doors: through them it would take an hour.
async fn fill(database: &Sql, project_id: &str, count: u64) -> Result<()> {
    let mut first = 1;
    while first <= count {
        let last = count.min(first + BATCH - 1);
        let statements =
            if database.is_sqlite() { sqlite(project_id, first, last) } else { postgres(project_id, first, last) };
        database.run(&statements).await.with_context(|| format!("users {first} to {last}"))?;
        first = last + 1;
    }
    Ok(())
}

const USER: &str = r#""user" (id, project_id, display_name, display_name_folded, signed_up_at, last_active_at, otp_auth_enabled,
    requires_totp_mfa, is_anonymous, restricted_by_admin, risk_bot, risk_free_trial_abuse, created_at, updated_at)"#;
const CHANNEL: &str =
    "contact_channel (id, project_id, user_id, kind, value, is_primary, is_verified, used_for_auth, created_at)";
/// Beside the ids of user and channel; `n` numbers the users.
const FILLER: &str = "'Filler ' || n AS name, 'filler-' || n || '@example.org' AS address, 1700000000000 + n AS at";

fn sqlite(project_id: &str, first: u64, last: u64) -> String {
    format!(
        "BEGIN IMMEDIATE;
        CREATE TEMP TABLE filler AS WITH RECURSIVE numbers(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})
            SELECT randomblob(16) AS id, randomblob(16) AS channel_id, {FILLER} FROM numbers;
        INSERT INTO {USER} SELECT id, '{project_id}', name, lower(name), at, at, 0, 0, 0, 0, 0, 0, at, at FROM filler;
        INSERT INTO {CHANNEL} SELECT channel_id, '{project_id}', id, 'email', address, 1, 1, 1, at FROM filler;
        DROP TABLE filler;
        COMMIT;"
    )
}

fn postgres(project_id: &str, first: u64, last: u64) -> String {
    format!(
        "WITH filler AS MATERIALIZED (
            SELECT gen_random_uuid() AS id, gen_random_uuid() AS channel_id, {FILLER} FROM generate_series({first}, {last}) AS n),
        made AS (INSERT INTO {USER}
            SELECT id, '{project_id}', name, lower(name), at, at, false, false, false, false, 0, 0, at, at FROM filler RETURNING id)
        INSERT INTO {CHANNEL}
            SELECT channel_id, '{project_id}', filler.id, 'email', address, true, true, true, at FROM filler JOIN made USING (id)"
    )
}
