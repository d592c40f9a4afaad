//! How often what may be done: one table, asked by the operations themselves, so that both doors and every alias within a
//! GraphQL request count alike.
//!
//! Whoever holds a server or admin key acts for many people and is not counted by address. Counts for one account are
//! kept per address too, so that a stranger who guesses does not lock its owner out; only far above what anybody types is
//! the account itself slowed down.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use sha2::{Digest, Sha256};

use crate::{
    Actor, Code, Deps, Level,
    error::{Failure, Result, refuse},
    ports::rates::Quota,
    sessions::ClientInfo,
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
            // A scanner that goes through many repositories reports from few addresses.
            Self::LeakReportsByAddress => ("leak_reports/address", 300, 10),
            Self::TestMailsByProject => ("test_mails/project", 30, 10),
        };
        (name, Quota { burst, per: Duration::from_secs(MINUTE.as_secs() * minutes) })
    }
}

/// Counts a password that somebody tries for the account `account` (an address, or a user's id).
///
/// # Errors
/// `RATE_LIMITED`, with the seconds to wait.
#[crate::boxed]
pub async fn password_tried(deps: &Deps, actor: &Actor, client: &ClientInfo, account: &str) -> Result<()> {
    if let Some(address) = address_of(actor, client) {
        take(deps, actor, Limit::PasswordsByAddress, &[&address]).await?;
        take(deps, actor, Limit::PasswordsByAddressAndAccount, &[&address, account]).await?;
    }
    take(deps, actor, Limit::PasswordsByAccount, &[account]).await
}

/// Counts an account that somebody makes.
///
/// # Errors
/// `RATE_LIMITED`, with the seconds to wait.
#[crate::boxed]
pub async fn signed_up(deps: &Deps, actor: &Actor, client: &ClientInfo) -> Result<()> {
    match address_of(actor, client) {
        Some(address) => take(deps, actor, Limit::SignUpsByAddress, &[&address]).await,
        None => Ok(()),
    }
}

/// Counts a mail with a code that somebody has sent to `recipient`, whether or not there is such an account.
///
/// # Errors
/// `RATE_LIMITED`, with the seconds to wait.
#[crate::boxed]
pub async fn code_mailed(deps: &Deps, actor: &Actor, client: &ClientInfo, recipient: &str) -> Result<()> {
    if let Some(address) = address_of(actor, client) {
        take(deps, actor, Limit::CodeMailsByAddress, &[&address]).await?;
    }
    take(deps, actor, Limit::CodeMailsByRecipient, &[recipient]).await
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
    match network_of(client) {
        Some(address) => take_in(deps, WHOLE_INSTALLATION, Limit::LeakReportsByAddress, &[&address]).await,
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

/// Where the caller is, for counting. A customer is given a whole /64 of IPv6 (RFC 6177), so that counts as one.
fn address_of(actor: &Actor, client: &ClientInfo) -> Option<String> {
    if actor.level == Level::Client { network_of(client) } else { None }
}

fn network_of(client: &ClientInfo) -> Option<String> {
    Some(match client.ip?.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProjectId;

    fn seen(level: Level, ip: &str) -> Option<String> {
        let client = ClientInfo { ip: Some(ip.parse().unwrap()), user_agent: None };
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
