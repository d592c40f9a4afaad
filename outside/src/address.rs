//! Resolving hosts that tenants chose: once, with every forbidden address left out. Whoever connects does so to the
//! answered addresses and never asks for the name again, so that a name cannot change its meaning in between.
//!
//! Which addresses are forbidden is the domain's rule (`network`).

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use postern_domain::network;
use tokio::sync::Semaphore;

/// Look-ups that may run at a time. Each holds a thread of the blocking pool for as long as the name server keeps it
/// waiting; without a bound, dead names would take the threads that hash passwords.
const MAX_LOOKUPS: usize = 64;

/// Why a host may not or cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It has no address that outgoing calls may reach. Does not name the address: a name that only our own name server
    /// knows would tell a tenant about our network.
    #[error("the host has {0} address, which outgoing calls may not reach")]
    Forbidden(&'static str),
    /// The name does not resolve.
    #[error("the host name does not resolve: {0}")]
    Unknown(String),
}

/// Asks for the addresses of a name.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// All addresses of `host`, in the order of preference.
    ///
    /// # Errors
    /// When the name does not resolve.
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The operating system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Resolves hosts and leaves forbidden addresses out. Cheap to clone.
#[derive(Clone)]
pub struct Addresses {
    allowed: Arc<[IpNet]>,
    lookup: Arc<dyn Lookup>,
    slots: Arc<Semaphore>,
}

impl Addresses {
    /// With the system's resolver; `allowed` are the private networks that the operator opened.
    #[must_use]
    pub fn new(allowed: &[IpNet]) -> Self {
        Self::with_lookup(allowed, Arc::new(SystemLookup))
    }

    /// For a host that the operator chose: wherever that is.
    #[must_use]
    pub fn anywhere() -> Self {
        Self::new(&[IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())])
    }

    /// With another resolver.
    #[must_use]
    pub fn with_lookup(allowed: &[IpNet], lookup: Arc<dyn Lookup>) -> Self {
        Self { allowed: allowed.into(), lookup, slots: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }

    /// Whether `address` may be reached.
    ///
    /// # Errors
    /// [`AddressError::Forbidden`] when it may not.
    pub fn check(&self, address: IpAddr) -> Result<(), AddressError> {
        network::refusal(address, &self.allowed).map_or(Ok(()), |class| Err(AddressError::Forbidden(class)))
    }

    /// The addresses of `host` (a name, or an address with or without the brackets of a URL) that may be reached, each
    /// with `port`; at least one. Not bounded in time: the caller has a limit for the whole call.
    ///
    /// # Errors
    /// [`AddressError`] when there is none.
    #[postern_domain::boxed]
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, AddressError> {
        let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let found = match literal.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => self.look_up(host).await.map_err(|error| AddressError::Unknown(error.to_string()))?,
        };
        let mut refused = AddressError::Unknown("it has no addresses".to_owned());
        let mut reachable = Vec::with_capacity(found.len());
        for address in found {
            match self.check(address) {
                Ok(()) => reachable.push(SocketAddr::new(address, port)),
                Err(error) => refused = error,
            }
        }
        if reachable.is_empty() { Err(refused) } else { Ok(reachable) }
    }

    async fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let _slot = self.slots.acquire().await.map_err(io::Error::other)?;
        self.lookup.lookup(host).await
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Addresses").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Answers each question with the next of its answers, then with the last one for ever.
    pub(crate) struct Scripted {
        answers: Mutex<Vec<Vec<IpAddr>>>,
        pub(crate) asked: Mutex<u32>,
    }

    impl Scripted {
        pub(crate) fn new(answers: &[&[&str]]) -> Arc<Self> {
            let parse = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
            Arc::new(Self { answers: Mutex::new(answers.iter().map(parse).collect()), asked: Mutex::new(0) })
        }
    }

    #[async_trait]
    impl Lookup for Scripted {
        async fn lookup(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
            *self.asked.lock().unwrap() += 1;
            let mut answers = self.answers.lock().unwrap();
            if answers.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "no such name"));
            }
            Ok(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
        }
    }

    #[tokio::test]
    async fn only_the_addresses_that_may_be_reached_are_answered() {
        let addresses = Addresses::with_lookup(&[], Scripted::new(&[&["10.0.0.1", "93.184.216.34", "::1"]]));
        assert_eq!(addresses.resolve("mixed.test", 443).await.unwrap(), ["93.184.216.34:443".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_host_with_forbidden_addresses_only_is_refused_without_naming_them() {
        let addresses = Addresses::with_lookup(&[], Scripted::new(&[&["10.0.0.1"]]));
        let error = addresses.resolve("inside.test", 80).await.unwrap_err();
        assert_eq!(error, AddressError::Forbidden("a private"));
        assert!(!error.to_string().contains("10.0.0.1"));
    }

    #[tokio::test]
    async fn literals_are_checked_without_asking_and_with_their_brackets() {
        let lookup = Scripted::new(&[]);
        let addresses = Addresses::with_lookup(&["127.0.0.0/8".parse().unwrap()], lookup.clone());
        assert!(addresses.resolve("127.0.0.1", 25).await.is_ok());
        assert_eq!(addresses.resolve("[::1]", 25).await, Err(AddressError::Forbidden("a loopback")));
        assert_eq!(addresses.resolve("::ffff:127.0.0.1", 25).await, Err(AddressError::Forbidden("an IPv4-mapped")));
        assert_eq!(*lookup.asked.lock().unwrap(), 0);
    }

    #[tokio::test]
    async fn an_unknown_name_and_a_name_without_addresses_are_unknown() {
        let unknown = Addresses::with_lookup(&[], Scripted::new(&[]));
        assert!(matches!(unknown.resolve("nowhere.test", 80).await, Err(AddressError::Unknown(_))));
        let empty = Addresses::with_lookup(&[], Scripted::new(&[&[]]));
        assert!(matches!(empty.resolve("empty.test", 80).await, Err(AddressError::Unknown(_))));
    }

    #[tokio::test]
    async fn the_system_knows_localhost_and_it_is_refused() {
        let addresses = Addresses::new(&[]);
        assert_eq!(addresses.resolve("localhost", 80).await, Err(AddressError::Forbidden("a loopback")));
    }
}
