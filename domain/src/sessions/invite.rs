//! Invitations to project `internal`, made by the operator on the command line where signing up there is not open.

use secrecy::SecretString;
use serde_json::Value;

use super::codes::{self, CodeKind, NewCode};
use crate::{Deps, ProjectId, Timestamp, error::Result};

/// An invitation at the only moment its code is known.
#[derive(Debug)]
pub struct Invite {
    /// Lets one person sign up: `PasswordSignUp::invite_code`.
    pub code: SecretString,
    /// From then on it is refused.
    pub expires_at: Timestamp,
}

/// Makes an invitation for one person, good for seven days. Project `internal` must exist.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn create_invite(deps: &Deps) -> Result<Invite> {
    let issued = deps
        .db
        .write(|tx| async move {
            let new = NewCode {
                project_id: ProjectId::internal(),
                kind: CodeKind::InternalInvite,
                user_id: None,
                data: Value::Null,
                ttl_seconds: deps.settings.code_seconds,
            };
            codes::issue(deps, &tx, new).await
        })
        .await?;
    Ok(Invite { code: issued.code, expires_at: issued.expires_at })
}
