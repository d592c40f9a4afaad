//! Links that a user has from the start: what a server may give along, and what an import brings.

use std::collections::HashSet;

use postern_entity::linked_account;

use super::{
    MAX_OF_USER, MAX_PROVIDER_CHARS, already_linked, check_account_id, one_of_a_type, too_many, used_for_sign_in,
};
use crate::{
    Code, Failure, LinkedAccountId, ProjectId, Timestamp, UserId,
    db::violates_unique,
    email_address::EmailAddress,
    error::{Error, Result, refuse},
    projects::ProjectConfig,
    users::OAuthLink,
    validation::Violations,
};

/// The project has the providers, and the user signs in with one account of a type.
///
/// # Errors
/// `BAD_REQUEST`.
pub(crate) fn check_providers(config: &ProjectConfig, links: &[OAuthLink]) -> Result<()> {
    let mut kinds = HashSet::new();
    for link in links {
        let kind = kind_of(config, &link.provider_config_id)?;
        if link.allow_sign_in && !kinds.insert(kind) {
            return refuse(one_of_a_type(kind));
        }
    }
    Ok(())
}

fn kind_of<'a>(config: &'a ProjectConfig, provider_config_id: &str) -> Result<&'a str> {
    match config.auth.oauth.providers.get(provider_config_id) {
        Some(provider) => Ok(&provider.kind),
        // The key is not repeated: nobody has looked yet how long it is.
        None => refuse(Failure::bad_request("oauth_providers: a provider is not set up in this project.")),
    }
}

/// Everything that can be said of the links alone; normalises their addresses.
///
/// # Errors
/// `SCHEMA_ERROR`; `BAD_REQUEST` for too many, and for an account that occurs twice.
pub(crate) fn check_new(links: &[OAuthLink]) -> Result<Vec<OAuthLink>> {
    if links.len() > MAX_OF_USER {
        return refuse(too_many());
    }
    let (mut violations, mut checked, mut seen) = (Violations::default(), Vec::new(), HashSet::new());
    for (number, link) in links.iter().enumerate() {
        let field = |name: &str| format!("oauth_providers[{number}].{name}");
        violations.text(&field("id"), &link.provider_config_id, MAX_PROVIDER_CHARS);
        check_account_id(&mut violations, &field("account_id"), &link.account_id);
        let email =
            link.email.as_deref().and_then(|email| violations.take(&field("email"), EmailAddress::loose(email)));
        checked.push(OAuthLink { email: email.map(|email| email.as_str().to_owned()), ..link.clone() });
    }
    violations.finish()?;
    if links.iter().all(|link| seen.insert((&link.provider_config_id, &link.account_id))) {
        return Ok(checked);
    }
    refuse(already_linked())
}

/// The rows of checked links of a new user, in their order.
///
/// # Errors
/// `BAD_REQUEST` for a provider that is not of the config.
pub(crate) fn new_rows(
    config: &ProjectConfig,
    project_id: &ProjectId,
    user_id: UserId,
    links: &[OAuthLink],
    created_at: Timestamp,
) -> Result<Vec<linked_account::Model>> {
    // Links of one instant are read in the order of their ids.
    let mut ids: Vec<_> = links.iter().map(|_| LinkedAccountId::random()).collect();
    ids.sort_unstable();
    let row = |(link, id): (&OAuthLink, LinkedAccountId)| {
        Ok(linked_account::Model {
            id: link.id.unwrap_or(id),
            project_id: project_id.clone(),
            user_id,
            provider_config_id: link.provider_config_id.clone(),
            kind: kind_of(config, &link.provider_config_id)?.to_owned(),
            account_id: link.account_id.clone(),
            email: link.email.clone(),
            allow_sign_in: link.allow_sign_in,
            allow_connected_accounts: link.allow_connected_accounts,
            created_at: link.created_at.unwrap_or(created_at),
        })
    };
    links.iter().zip(ids).map(row).collect()
}

/// Turns the refusal of the database into a failure when it is about a link that there is already.
pub(crate) fn or_taken<T>(written: Result<T>) -> Result<T> {
    let Err(Error::Database(error)) = &written else { return written };
    let (user, project) = ("linked_account.user_id", "linked_account.project_id");
    let account = "linked_account.provider_config_id, linked_account.account_id";
    let is_double = |constraint: &str, columns: &[&str]| violates_unique(error, constraint, &columns.join(", "));
    if is_double("linked_account_sign_in", &[project, account]) {
        return refuse(used_for_sign_in());
    }
    if is_double("linked_account_of_user", &[user, account]) {
        return refuse(already_linked());
    }
    if is_double("linked_account_one_of_a_type", &[user, "linked_account.kind"]) {
        return refuse(Failure::bad_request("This user signs in with another account of this type already."));
    }
    if is_double("linked_account_pkey", &["linked_account.id"]) {
        return refuse(Failure::new(
            Code::Conflict,
            "oauth_providers: another linked account has the id of one of them.",
        ));
    }
    written
}
