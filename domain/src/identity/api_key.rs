//! An API key in the place of an access token: who it speaks for (design §3, "Who asks").

use super::{Credentials, given, require_expected};
use crate::{
    Deps, Level, ProjectId,
    actor::{ActingKey, KeyOwner},
    api_keys,
    error::{Failure, Result, refuse},
    users,
};

/// The API key of the request. Beside it there is no access token, and no other access type than `client`.
///
/// # Errors
/// `BAD_REQUEST`.
pub(super) fn alone(credentials: &Credentials, level: Level) -> Result<Option<&str>> {
    let Some(key) = given(&credentials.api_key) else { return Ok(None) };
    let tokens = [&credentials.access_token, &credentials.bearer_token, &credentials.admin_access_token];
    if tokens.into_iter().any(|token| given(token).is_some()) {
        return refuse(Failure::bad_request("The request carries an API key and an access token: send one of them."));
    }
    if level != Level::Client {
        return refuse(Failure::bad_request(
            "An API key speaks at access type client; leave out the other access type.",
        ));
    }
    Ok(Some(key))
}

/// For whom the key speaks. Its user is held to the same as one with an access token.
///
/// # Errors
/// Those of keys ([`api_keys::authenticate`]); steps 5d and 5e of wire/requests-and-errors §3.
pub(super) async fn acting_key(
    deps: &Deps,
    credentials: &Credentials,
    project_id: &ProjectId,
    text: &str,
) -> Result<ActingKey> {
    let key = api_keys::authenticate(deps, project_id, text).await?;
    // Of a user who was deleted in between nothing can be read: its key has gone with it.
    if let KeyOwner::User(user_id) = key.owner
        && let Some(user) = users::find(deps, project_id, user_id).await?
    {
        require_expected(credentials, user.is_anonymous, user.is_restricted(), user.restricted_reason)?;
    }
    Ok(key)
}
