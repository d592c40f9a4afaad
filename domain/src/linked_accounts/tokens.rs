//! What other sites gave to act in a user's name: where it is sealed.

use postern_entity::linked_account_token::{Column, Entity};

use crate::{ProjectId, error::Result, rotation::Rotation, secrets::Place};

/// Where a token is kept. `row` is the id of the consent.
pub(super) fn place<'a>(project_id: &'a ProjectId, row: &'a str, column: &'a str) -> Place<'a> {
    Place { project: project_id.as_str(), table: "linked_account_token", row, column }
}

/// Seals all tokens of other sites again under the newest server secret.
pub(crate) async fn reseal(rotation: &mut Rotation<'_>) -> Result<()> {
    for (what, column, name) in [
        ("access tokens of linked accounts", Column::AccessToken, "access_token"),
        ("refresh tokens of linked accounts", Column::RefreshToken, "refresh_token"),
    ] {
        rotation
            .column::<Entity>(what, column, |keyring, row, sealed| {
                keyring.reseal(&place(&row.project_id, &row.id.to_string(), name), sealed)
            })
            .await?;
    }
    Ok(())
}
