//! Codes for the day when the second factor is lost: ten at a time, each good once, kept as hashes. Our addition to the
//! contract, which knows none.

use postern_entity::recovery_code;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};
use secrecy::{ExposeSecret, SecretString};

use super::{activity::ClientInfo, live, way::Way};
use crate::{
    Actor, Deps, Failure, ProjectId, UserId,
    db::Tx,
    error::{Result, refuse},
    events::{self, FactorChange},
    identity::require_user,
    projects,
    random::{base32, hash_token, random_bytes},
    users,
};

/// How many are made at a time.
pub const RECOVERY_CODES: usize = 10;
/// Random bytes of one: 80 bits, so a fast hash does.
const CODE_BYTES: usize = 10;
/// Characters in front of each hyphen.
const GROUP_CHARS: usize = 4;

/// Makes ten recovery codes for the user the caller speaks for; earlier ones are good no more. They are told this once.
///
/// # Errors
/// `USER_AUTHENTICATION_REQUIRED`; `ACCESS_TOKEN_EXPIRED` when the session has ended; `BAD_REQUEST` when the user has no second factor to recover.
#[crate::boxed]
pub async fn create_recovery_codes(deps: &Deps, actor: &Actor, client: &ClientInfo) -> Result<Vec<String>> {
    let user_id = require_user(actor)?.id;
    live::require_live(deps, actor).await?;
    let (project_id, config) = (&actor.project_id, &*projects::config(deps, &actor.project_id).await?);
    deps.mutate(actor, "sessions.create_recovery_codes", |tx| async move {
        users::lock_in(&tx, project_id, user_id).await?;
        match users::find_in(&tx, config, project_id, user_id).await? {
            Some(user) if user.requires_totp_mfa => {}
            Some(_) => return refuse(Failure::bad_request("Switch the second factor on first.")),
            None => return refuse(users::not_found()),
        }
        forget_in(&tx, project_id, user_id).await?;
        let codes = (0..RECOVERY_CODES).map(|_| fresh()).collect::<Result<Vec<_>>>()?;
        let rows = codes.iter().map(|code| recovery_code::ActiveModel {
            user_id: Set(user_id),
            code_hash: Set(hash_token(&bare(code))),
            project_id: Set(project_id.clone()),
            created_at: Set(deps.now()),
            used_at: Set(None),
        });
        recovery_code::Entity::insert_many(rows).exec_without_returning(&*tx).await?;
        let change = FactorChange { factor: "recovery_codes", change: "set" };
        events::record(deps, &tx, change.event(actor, user_id, Some(client))).await?;
        Ok(codes)
    })
    .await
}

/// Uses one up, if it is the user's and unused.
pub(super) async fn spend_in(
    deps: &Deps,
    tx: &Tx,
    way: &Way<'_>,
    user_id: UserId,
    code: &SecretString,
) -> Result<bool> {
    let spent = recovery_code::Entity::update_many()
        .col_expr(recovery_code::Column::UsedAt, Expr::value(deps.now()))
        .filter(recovery_code::Column::UserId.eq(user_id))
        .filter(recovery_code::Column::ProjectId.eq(way.actor.project_id.clone()))
        .filter(recovery_code::Column::CodeHash.into_expr().eq(hash_token(&bare(code.expose_secret()))))
        .filter(recovery_code::Column::UsedAt.is_null())
        .exec(&**tx)
        .await?;
    if spent.rows_affected == 0 {
        return Ok(false);
    }
    let change = FactorChange { factor: "recovery_codes", change: "used" };
    events::record(deps, tx, change.event(way.actor, user_id, Some(way.client))).await?;
    Ok(true)
}

/// Removes all of a user's.
pub(crate) async fn forget_in(tx: &Tx, project_id: &ProjectId, user_id: UserId) -> Result<()> {
    recovery_code::Entity::delete_many()
        .filter(recovery_code::Column::UserId.eq(user_id))
        .filter(recovery_code::Column::ProjectId.eq(project_id.clone()))
        .exec(&**tx)
        .await?;
    Ok(())
}

/// `xxxx-xxxx-xxxx-xxxx`
fn fresh() -> Result<String> {
    let text = base32(&random_bytes::<CODE_BYTES>()?);
    let mut written = String::with_capacity(text.len() * 2);
    for (at, character) in text.chars().enumerate() {
        if at > 0 && at % GROUP_CHARS == 0 {
            written.push('-');
        }
        written.push(character);
    }
    Ok(written)
}

/// As hashed: people type capitals, spaces and no hyphens, and read o for 0 and l or i for 1 (Crockford's base 32).
fn bare(code: &str) -> String {
    let letters = code.chars().filter(|character| character.is_alphanumeric()).take(64).flat_map(char::to_lowercase);
    letters
        .map(|letter| match letter {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = fresh().unwrap();
        assert_eq!(code.split('-').map(str::len).collect::<Vec<_>>(), [4, 4, 4, 4]);
        assert_eq!(bare(&code), bare(&format!(" {} ", code.to_uppercase().replace('-', " "))));
        assert_eq!(bare("O1L-i"), "0111");
        assert_ne!(fresh().unwrap(), code);
    }
}
