//! How often what may be done: one table, asked by the operations themselves, so that both doors and every alias within a
//! GraphQL request count alike.
//!
//! Whoever holds a server or admin key acts for many people and is not counted by address. Counts for one account are
//! kept per address too, so that a stranger who guesses does not lock its owner out; only far above what anybody types is
//! the account itself slowed down, and then not for networks from where somebody is signed in to it.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::{
    Actor, Code, Deps, Level, UserId,
    email_address::EmailAddress,
    error::{Error, Failure, Result, refuse},
    ports::rates::Quota,
    sessions::{self, ClientInfo},
    users::channels,
};

const MINUTE: Duration = Duration::from_secs(60);
/// Stands for a project where what is counted belongs to none. No project has this id.
const WHOLE_INSTALLATION: &str = "";

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Passwords tried from one address, whoever's.
    PasswordsByAddress,
    /// Passwords tried for one account from one address.
    PasswordsByAddressAndAccount,
    /// Passwords tried for one account from anywhere.
    PasswordsByAccount,
    /// Accounts made from one address.
    SignUpsByAddress,
    /// Mails with codes asked for from one address.
    CodeMailsByAddress,
    /// Mails with codes sent to one recipient.
    CodeMailsByRecipient,
    /// The same asked for from one network from where the recipient is signed in, when others have used that up.
    CodeMailsByKnownNetwork,
    /// The same from another network.
    CodeMailsByNetwork,
    /// All that others have used up, and more.
    CodeMailsByRecipientAtMost,
    /// Second factors tried for one account from one address.
    SecondFactorsByAddressAndAccount,
    /// Second factors tried for one account from anywhere.
    SecondFactorsByAccount,
    /// Challenges for passkeys asked for from one address.
    ChallengesByAddress,
    /// Visits to other sites begun from one address.
    VisitsByAddress,
    /// Tokens of other sites that a user asks for, each of which may call the site.
    ProviderTokensByAccount,
    /// Logins of programs begun or looked at from one address.
    CliLoginsByAddress,
    /// Leaked API keys reported from one address.
    LeakReportsByAddress,
    /// Mail servers tried out for one project.
    TestMailsByProject,
}

impl Limit {
    /// The name in counters and what is allowed.
    const fn row(self) -> (&'static str, Quota) {
        let (name, burst, minutes) = match self {
            Self::PasswordsByAddress => ("passwords/address", 100, 10),
            Self::PasswordsByAddressAndAccount => ("passwords/address+account", 20, 10),
            Self::PasswordsByAccount => ("passwords/account", 500, 60),
            Self::SignUpsByAddress => ("sign_ups/address", 100, 60),
            Self::CodeMailsByAddress => ("code_mails/address", 60, 60),
            Self::CodeMailsByRecipient => ("code_mails/recipient", 10, 60),
            Self::CodeMailsByKnownNetwork => ("code_mails/known_network", 10, 60),
            Self::CodeMailsByNetwork => ("code_mails/network", 3, 60),
            Self::CodeMailsByRecipientAtMost => ("code_mails/at_most", 50, 60),
            Self::SecondFactorsByAddressAndAccount => ("second_factors/address+account", 20, 10),
            Self::SecondFactorsByAccount => ("second_factors/account", 100, 60),
            Self::ChallengesByAddress => ("challenges/address", 300, 10),
            Self::VisitsByAddress => ("visits/address", 300, 10),
            Self::ProviderTokensByAccount => ("provider_tokens/account", 300, 10),
            // A program asks every two seconds for up to a day; offices share an address.
            Self::CliLoginsByAddress => ("cli_logins/address", 3_000, 10),
            // A scanner that goes through many repositories reports from few addresses.
            Self::LeakReportsByAddress => ("leak_reports/address", 300, 10),
            Self::TestMailsByProject => ("test_mails/project", 30, 10),
        };
        (name, Quota { burst, per: Duration::from_secs(MINUTE.as_secs() * minutes) })
    }
}

/// Whose password somebody tries.
#[derive(Clone, Copy, Debug)]
pub enum Account<'a> {
    /// Of whoever signs in with the address, if anybody does.
    Address(&'a EmailAddress),
    /// A user's.
    User(UserId),
}

/// Counts a password that somebody tries for an account.
///
/// # Errors
/// `RATE_LIMITED`, with the seconds to wait.
#[crate::boxed]
pub async fn password_tried<'a>(
    deps: &'a Deps,
    actor: &'a Actor,
    client: &'a ClientInfo,
    account: Account<'a>,
) -> Result<()> {
    let name = match account {
        Account::Address(address) => address.as_str().to_owned(),
        Account::User(id) => id.to_string(),
    };
    if let Some(address) = address_of(actor, client) {
        take(deps, actor, Limit::PasswordsByAddress, &[&address]).await?;
        take(deps, actor, Limit::PasswordsByAddressAndAccount, &[&address, &name]).await?;
    }
    match take(deps, actor, Limit::PasswordsByAccount, &[&name]).await {
        Err(error) if is_limited(&error) && is_known(deps, actor, client, account).await? => Ok(()),
        taken => taken,
    }
}

/// Counts a second factor that somebody tries who knew the first one of the user.
///
/// # Errors
/// `RATE_LIMITED`, with the seconds to wait.
#[crate::boxed]
pub async fn second_factor_tried(deps: &Deps, actor: &Actor, client: &ClientInfo, user_id: UserId) -> Result<()> {
    let account = user_id.to_string();
    if let Some(address) = address_of(actor, client) {
        take(deps, actor, Limit::SecondFactorsByAddressAndAccount, &[&address, &account]).await?;
    }
    match take(deps, actor, Limit::SecondFactorsByAccount, &[&account]).await {
        Err(error) if is_limited(&error) && is_known(deps, actor, client, Account::User(user_id)).await? => Ok(()),
        taken => taken,
    }
}

/// Counts a challenge that a passkey is to answer.
///
/// # Errors
/// `RATE_LIMITED`, with the seconds to wait.
#[crate::boxed]
pub async fn challenged(deps: &Deps, actor: &Actor, client: &ClientInfo) -> Result<()> {
    by_address(deps, actor, client, Limit::ChallengesByAddress).await
}

/// Counts a visit to another site that somebody begins.
///
/// # Errors
/// `RATE_LIMITED`, with the seconds to wait.
#[crate::boxed]
pub async fn visited(deps: &Deps, actor: &Actor, client: &ClientInfo) -> Result<()> {
    by_address(deps, actor, client, Limit::VisitsByAddress).await
}

/// Counts a token of another site that a user asks for.
///
/// # Errors
/// `RATE_LIMITED`, with the seconds to wait.
#[crate::boxed]
pub async fn provider_token_wanted(deps: &Deps, actor: &Actor, user_id: UserId) -> Result<()> {
    match actor.level {
        Level::Client => take(deps, actor, Limit::ProviderTokensByAccount, &[&user_id.to_string()]).await,
        Level::Server | Level::Admin => Ok(()),
    }
}

/// Counts a program that begins to log in, or asks how far it is.
///
/// # Errors
/// `RATE_LIMITED`, with the seconds to wait.
#[crate::boxed]
pub async fn cli_login_touched(deps: &Deps, actor: &Actor, client: &ClientInfo) -> Result<()> {
    by_address(deps, actor, client, Limit::CliLoginsByAddress).await
}

/// Counts an account that somebody makes.
///
/// # Errors
/// `RATE_LIMITED`, with the seconds to wait.
#[crate::boxed]
pub async fn signed_up(deps: &Deps, actor: &Actor, client: &ClientInfo) -> Result<()> {
    by_address(deps, actor, client, Limit::SignUpsByAddress).await
}

/// Counts a mail with a code that somebody has sent to `recipient`, whether or not there is such an account. Whoever floods
/// an address from a few networks keeps nobody out who asks from another one.
///
/// # Errors
/// `RATE_LIMITED`, with the seconds to wait.
#[crate::boxed]
pub async fn code_mailed(deps: &Deps, actor: &Actor, client: &ClientInfo, recipient: &EmailAddress) -> Result<()> {
    by_address(deps, actor, client, Limit::CodeMailsByAddress).await?;
    let limited = match take(deps, actor, Limit::CodeMailsByRecipient, &[recipient.as_str()]).await {
        Err(error) if is_limited(&error) => error,
        taken => return taken,
    };
    let Some(network) = address_of(actor, client) else { return Err(limited) };
    let parts: &[&str] = &[recipient.as_str(), &network];
    if is_known(deps, actor, client, Account::Address(recipient)).await? {
        return take(deps, actor, Limit::CodeMailsByKnownNetwork, parts).await;
    }
    // A few for each network, so that it takes many of them to keep everybody out, and not without end for the recipient.
    take(deps, actor, Limit::CodeMailsByNetwork, parts).await?;
    take(deps, actor, Limit::CodeMailsByRecipientAtMost, &[recipient.as_str()]).await
}

/// Counts a mail server that an administrator tries out: whoever holds an admin key could knock at doors by it.
///
/// # Errors
/// `RATE_LIMITED`, with the seconds to wait.
#[crate::boxed]
pub async fn test_mail_sent(deps: &Deps, actor: &Actor) -> Result<()> {
    take(deps, actor, Limit::TestMailsByProject, &[]).await
}

/// Counts a report of a leaked API key, which names no project.
///
/// # Errors
/// `RATE_LIMITED`, with the seconds to wait.
#[crate::boxed]
pub async fn leak_reported(deps: &Deps, client: &ClientInfo) -> Result<()> {
    match client.network() {
        Some(address) => take_in(deps, WHOLE_INSTALLATION, Limit::LeakReportsByAddress, &[&address]).await,
        None => Ok(()),
    }
}

/// Whether somebody is signed in to the account from the client's network.
async fn is_known(deps: &Deps, actor: &Actor, client: &ClientInfo, account: Account<'_>) -> Result<bool> {
    let Some(network) = address_of(actor, client) else { return Ok(false) };
    let user_id = match account {
        Account::User(id) => id,
        Account::Address(address) => match channels::find_for_auth(deps, &actor.project_id, address).await? {
            Some(channel) => channel.user_id,
            None => return Ok(false),
        },
    };
    sessions::is_signed_in_from(deps, &actor.project_id, user_id, &network).await
}

fn is_limited(error: &Error) -> bool {
    error.is(Code::RateLimited)
}

async fn by_address(deps: &Deps, actor: &Actor, client: &ClientInfo, limit: Limit) -> Result<()> {
    match address_of(actor, client) {
        Some(address) => take(deps, actor, limit, &[&address]).await,
        None => Ok(()),
    }
}

async fn take(deps: &Deps, actor: &Actor, limit: Limit, parts: &[&str]) -> Result<()> {
    take_in(deps, actor.project_id.as_str(), limit, parts).await
}

async fn take_in(deps: &Deps, project_id: &str, limit: Limit, parts: &[&str]) -> Result<()> {
    if !deps.settings.rate_limits {
        return Ok(());
    }
    let (name, quota) = limit.row();
    match deps.rates.take(&counter(name, project_id, parts), quota).await {
        Ok(()) => Ok(()),
        Err(wait) => {
            tracing::info!(limit = name, "a limit was reached");
            let seconds = wait.as_secs().saturating_add(1);
            let text = format!("Too often in a short time. Try again in {seconds} s.");
            refuse(Failure::new(Code::RateLimited, text).retry_after(seconds))
        }
    }
}

/// The name of a counter: of bounded length, and without anybody's address in it.
fn counter(limit: &str, project_id: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in std::iter::once(&project_id).chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    format!("{limit}/{}", hex::encode(hash.finalize().get(..16).unwrap_or_default()))
}

/// Where the caller is, for counting.
fn address_of(actor: &Actor, client: &ClientInfo) -> Option<String> {
    if actor.level == Level::Client { client.network() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProjectId;

    fn seen(level: Level, ip: &str) -> Option<String> {
        let client = ClientInfo { ip: Some(ip.parse().unwrap()), ..ClientInfo::default() };
        address_of(&Actor::new(ProjectId::internal(), level, None), &client)
    }

    #[test]
    fn addresses_of_one_customer_count_as_one() {
        assert_eq!(seen(Level::Client, "2001:db8:1:2:3::4"), seen(Level::Client, "2001:db8:1:2:ffff::"));
        assert_ne!(seen(Level::Client, "2001:db8:1:2::"), seen(Level::Client, "2001:db8:1:3::"));
        assert_eq!(seen(Level::Client, "::ffff:192.0.2.1"), seen(Level::Client, "192.0.2.1"));
        assert_ne!(seen(Level::Client, "192.0.2.1"), seen(Level::Client, "192.0.2.2"));
        assert_eq!(seen(Level::Server, "192.0.2.1"), None);
    }

    #[test]
    fn counters_of_different_things_have_different_names() {
        let names = [
            counter("a", "p", &["x", "y"]),
            counter("a", "p", &["xy"]),
            counter("a", "q", &["x", "y"]),
            counter("b", "p", &["x", "y"]),
        ];
        assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), names.len());
        assert!(!counter("a", "p", &["ada@example.com"]).contains("ada"));
    }
}
