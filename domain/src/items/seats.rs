//! How many people a team of project `internal`, which owns projects, may be: its seats (wire: projects-config-webhooks §1,
//! users-teams-permissions §4.2). They are an item like any other, so whoever runs the installation gives a team more by
//! changing its quantity, or all teams as many as they like by taking the item out of the config of `internal`.
//!
//! A team whose seats nobody has ever counted, because it was made before there were any, is not limited.

use serde_json::{Value, json};

use super::{Customer, CustomerType, Expires, NewSource, change::insufficient, read::quantity_in, sources::add_first};
use crate::{
    Deps, ProjectId, TeamId,
    db::{NewRows, Tx},
    error::{Result, refuse},
    projects::ProjectConfig,
};

/// The item, by its key in the config of `internal`.
pub const ITEM_ID: &str = "dashboard_admins";
/// How many seats a new team has.
pub const FREE_SEATS: i64 = 1;
/// Under which key they are granted.
const FREE_PLAN: &str = "free-plan";

/// The setting of `internal` that makes seats an item.
pub(crate) fn setting() -> (String, Value) {
    let item = json!({ "displayName": "Dashboard seats", "customerType": CustomerType::Team });
    (format!("payments.items.{ITEM_ID}"), item)
}

/// Adds the seats of a team that is being made by `rows`; teams of other projects have none.
pub(crate) fn add_free(deps: &Deps, rows: &mut NewRows, project_id: &ProjectId, team_id: TeamId) -> Result<()> {
    if !project_id.is_internal() {
        return Ok(());
    }
    let seats = NewSource {
        item_id: ITEM_ID.to_owned(),
        quantity: FREE_SEATS,
        starts_at: deps.now(),
        repeats: None,
        expires: Expires::Never,
        ends_at: None,
    };
    add_first(deps, rows, project_id, &Customer::team(team_id), FREE_PLAN, &seats)
}

/// Lets one more join a team that has `members`, unless the project counts seats and none is free. The caller holds the
/// team.
///
/// # Errors
/// `ITEM_QUANTITY_INSUFFICIENT_AMOUNT`.
pub(crate) async fn require_free(
    deps: &Deps,
    tx: &Tx,
    config: &ProjectConfig,
    project_id: &ProjectId,
    team_id: TeamId,
    members: u64,
) -> Result<()> {
    let counts_seats = config.payments.items.get(ITEM_ID).is_some_and(|item| item.customer_type == CustomerType::Team);
    if !project_id.is_internal() || !counts_seats {
        return Ok(());
    }
    let customer = Customer::team(team_id);
    let Some(seats) = quantity_in(deps, &**tx, project_id, &customer, ITEM_ID).await? else { return Ok(()) };
    if i128::from(members) < i128::from(seats) {
        return Ok(());
    }
    refuse(insufficient(ITEM_ID, &customer, -1))
}
