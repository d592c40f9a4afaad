//! The TOTP secret of a user (RFC 6238): kept sealed, and which of its codes are spent.

use postern_entity::user;
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::{Deps, ProjectId, UserId, db::Tx, error::Result, rotation::Rotation, secrets};

/// RFC 6238 §4: the default of authenticators.
const STEP_SECONDS: i64 = 30;

/// Takes a code, if it is the one of the present time step and none of that step was taken before. Only the present step
/// counts (wire/auth §8). The caller holds the user.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn spend_totp_in(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    id: UserId,
    code: &SecretString,
) -> Result<bool> {
    let sealed = user::Entity::find_by_id(id)
        .select_only()
        .column(user::Column::TotpSecret)
        .filter(user::Column::ProjectId.eq(project_id.clone()))
        .into_tuple::<Option<Vec<u8>>>()
        .one(&**tx)
        .await?;
    let Some(sealed) = sealed.flatten() else { return Ok(false) };
    let secret = open(deps, project_id, id, &sealed)?;
    let seconds = deps.now().millis().div_euclid(1000);
    // Apps write the digits in groups.
    let code: String = code.expose_secret().chars().filter(|character| !character.is_whitespace()).take(10).collect();
    // Imported secrets may be shorter than the RFC asks for.
    let totp = totp_rs::Builder::new().with_skew(0).with_secret(secret.expose_secret().to_vec()).build_noncompliant();
    if totp.check(&code, u64::try_from(seconds).unwrap_or_default()).is_none() {
        return Ok(false);
    }
    let step = seconds.div_euclid(STEP_SECONDS);
    let last = user::Column::TotpLastStep;
    let spent = user::Entity::update_many()
        .col_expr(last, Expr::value(step))
        .filter(user::Column::Id.eq(id))
        .filter(user::Column::ProjectId.eq(project_id.clone()))
        .filter(last.is_null().or(last.lt(step)))
        .exec(&**tx)
        .await?;
    Ok(spent.rows_affected > 0)
}

/// The stored form of a TOTP secret: readable again, but only in its place.
pub(super) fn seal(deps: &Deps, project_id: &ProjectId, user_id: UserId, secret: &SecretSlice<u8>) -> Result<Vec<u8>> {
    deps.keyring.seal(&place(project_id, &user_id.to_string()), secret.expose_secret())
}

/// A TOTP secret from its stored form.
pub(super) fn open(deps: &Deps, project_id: &ProjectId, user_id: UserId, sealed: &[u8]) -> Result<SecretSlice<u8>> {
    Ok(deps.keyring.open(&place(project_id, &user_id.to_string()), sealed)?.into())
}

fn place<'a>(project_id: &'a ProjectId, row: &'a str) -> secrets::Place<'a> {
    secrets::Place { project: project_id.as_str(), table: "user", row, column: "totp_secret" }
}

/// Seals the TOTP secrets of all users again under the newest server secret.
pub(crate) async fn reseal(rotation: &mut Rotation<'_>) -> Result<()> {
    rotation
        .column::<user::Entity>("TOTP secrets of users", user::Column::TotpSecret, |keyring, row, sealed| {
            keyring.reseal(&place(&row.project_id, &row.id.to_string()), sealed)
        })
        .await
}
