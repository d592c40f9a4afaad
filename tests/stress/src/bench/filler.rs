//! Many users past the doors: through them it would take an hour.

use anyhow::{Context, Result};
use serde_json::json;

use super::scene::{Scene, Sql, text};
use crate::stand::Keys;

/// Rows of one transaction: Postern's own writes come in between.
const BATCH: u64 = 20_000;

/// A project that was filled.
pub(crate) struct Filled<'a> {
    /// Its keys.
    pub(crate) keys: &'a Keys,
    /// The team that every user belongs to.
    pub(crate) team_id: String,
    /// A member who holds permissions there.
    pub(crate) member_id: String,
}

/// So many users of the project, and a team of them all.
pub(crate) async fn fill<'a>(scene: &Scene, database: &Sql, keys: &'a Keys, count: u64) -> Result<Filled<'a>> {
    let project_id = &keys.project_id;
    let server = scene.stand.client_of(keys).server();
    let member_id = text(&server.post("/users", &json!({ "display_name": "Member" })).await?.json()?, "id")?;
    let team = json!({ "display_name": "Everybody", "creator_user_id": member_id });
    let team_id = text(&server.post("/teams", &team).await?.json()?, "id")?;
    users(database, project_id, count).await?;
    let is_sqlite = database.is_sqlite();
    let team = if is_sqlite { format!("x'{}'", team_id.replace('-', "")) } else { format!("'{team_id}'::uuid") };
    let no = if is_sqlite { "0" } else { "false" };
    // Numbers of the time of signing up tell the fillers apart.
    let mut first = 1;
    while first <= count {
        let last = count.min(first + BATCH - 1);
        let statement = format!(
            "INSERT INTO team_membership (team_id, user_id, project_id, is_selected, created_at)
            SELECT {team}, id, project_id, {no}, signed_up_at FROM \"user\"
            WHERE project_id = '{project_id}' AND signed_up_at BETWEEN {FIRST_SIGN_UP} + {first} AND {FIRST_SIGN_UP} + {last}"
        );
        database.run(&statement).await.with_context(|| format!("members {first} to {last}"))?;
        first = last + 1;
    }
    Ok(Filled { keys, team_id, member_id })
}

/// When the filler numbered 0 would have signed up, in milliseconds.
const FIRST_SIGN_UP: u64 = 1_700_000_000_000;

/// Users with a primary address, as sign-ups leave them, numbered from 1.
async fn users(database: &Sql, project_id: &str, count: u64) -> Result<()> {
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
