//! Letting in whoever came back, by the code.

use std::sync::OnceLock;

use super::{case::Case, client::enabled, memory};
use crate::{
    Code, Deps, ProjectId,
    authorization_codes::{Exchange, Exchanged, invalid, misdirected},
    error::{Error, Result, refuse},
    projects,
    sessions::{self, ClientInfo, Method, Outcome, Way},
};

/// What the transaction that uses a code up has come to.
enum Used {
    Passed(Outcome),
    /// The code was sent elsewhere than the caller says.
    Misdirected,
}

/// Uses up a code of somebody who came back, and does what was decided there. A wrong verifier leaves it good.
///
/// # Errors
/// Those of [`crate::authorization_codes::exchange`]; `OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED` for a provider that was
/// switched off meanwhile.
pub(crate) async fn exchange(
    deps: &Deps,
    project_id: &ProjectId,
    input: &Exchange,
    client: &ClientInfo,
) -> Result<Exchanged> {
    let found = memory::back_with(deps, project_id, &input.code).await?;
    let Some((row, back)) = found.filter(|(_, back)| input.proves(&back.errand.code_challenge)) else {
        return refuse(invalid());
    };
    let (row, back) = (&row, &back);
    let config = &*projects::config(deps, project_id).await?;
    let purpose = back.errand.purpose;
    let (kind, _) = enabled(config, &back.errand.provider_config_id, |provider| purpose.is_offered_by(provider))?;
    if kind != back.kind {
        return refuse(invalid());
    }
    let actor = &back.errand.actor(project_id);
    // The application's own server may be who exchanges it; where somebody is, was seen when they came back.
    let origin = &ClientInfo { country: back.country.clone(), ..client.clone() };
    let way = &Way { provider: Some(kind.as_str()), ..Way::new(actor, Method::Oauth, origin) };
    let decision = &OnceLock::new();
    let use_code = async || {
        let used = deps.db.write(|tx| async move {
            if !memory::use_up(deps, &tx, row).await? {
                return refuse(invalid());
            }
            if input.redirect_uri.as_deref() != Some(back.errand.redirect_uri.as_str()) {
                return Ok(Used::Misdirected);
            }
            let case = Case::of(deps, &tx, config, way, back).await?;
            let (user, is_new) = case.carry_out(deps, &tx, config, way, back, decision).await?;
            sessions::pass_in(deps, &tx, &user, is_new, way).await.map(Used::Passed)
        });
        used.await
    };
    let mut used = use_code().await;
    if used.as_ref().is_err_and(is_overtaken) {
        used = use_code().await;
    }
    match used {
        Ok(Used::Passed(outcome)) => Ok(Exchanged {
            signed_in: outcome.finish(deps, actor, client).await?,
            after_callback_redirect_url: back.errand.after_callback_redirect_url.clone(),
        }),
        Ok(Used::Misdirected) => refuse(misdirected()),
        Err(error) => {
            if error.failure().is_some() {
                deps.db.write(|tx| async move { memory::use_up(deps, &tx, row).await }).await?;
            }
            // Rules that have changed since the return are counted as everywhere.
            if let Some(decision) = decision.get().filter(|_| error.is(Code::SignUpRejected)) {
                decision.record_rejection(deps, way).await?;
            }
            // Whoever left as a user is none any more (wire/auth §11: user gone).
            if error.is(Code::AccessTokenExpired) { refuse(invalid()) } else { Err(error) }
        }
    }
}

/// Whether somebody else came in with the same account or address at the same time: then there is a user now.
pub(super) fn is_overtaken(error: &Error) -> bool {
    error.is(Code::OauthProviderAccountIdAlreadyUsedForSignIn) || error.is(Code::UserEmailAlreadyExists)
}
