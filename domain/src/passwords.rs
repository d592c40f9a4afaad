//! Hashing of passwords: argon2id for our own; bcrypt, other argon2 and Firebase's scrypt read when imported
//! (`imported.rs`). All are slow on purpose, so they run off the async threads behind a semaphore, and a stranger costs as
//! much as a known user.

mod firebase_scrypt;
mod imported;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{
        PasswordHasher, PasswordVerifier,
        phc::{Ident, PasswordHash},
    },
};
use tokio::sync::Semaphore;

pub use self::imported::{FirebaseHash, MAX_ARGON2_MEMORY_KIB, MAX_ARGON2_WORK_KIB, algorithm, check_stored_form};
use crate::{
    error::{Error, Failure, Result, refuse},
    waiting::Waiting,
};

/// Memory (KiB), passes and lanes of argon2id: the OWASP minimum of 19 MiB, 2, 1.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// The highest bcrypt cost that is imported; each step doubles the time.
pub const MAX_BCRYPT_COST: u32 = 16;
/// The only length of a bcrypt string in modular-crypt form.
const BCRYPT_LENGTH: usize = 60;

/// Hashes and checks passwords, a bounded number at a time.
#[derive(Clone, Debug)]
pub struct Passwords {
    slots: Arc<Semaphore>,
    concurrent: usize,
    waiting: Arc<AtomicUsize>,
    dummy: Arc<str>,
}

/// How busy hashing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashingLoad {
    /// Hashes that wait for a slot.
    pub waiting: usize,
    /// Hashes under way.
    pub running: usize,
    /// How many may be under way at a time.
    pub slots: usize,
}

/// What checking a password found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// Wrong, or there was nothing to check against.
    Wrong,
    /// Right.
    Right,
    /// Right, but stored in an old form: hash it anew.
    RightButOutdated,
}

impl Passwords {
    /// With at most `concurrent` hashes at a time (at least one).
    ///
    /// # Errors
    /// Internal, when the system has no randomness to give.
    pub fn new(concurrent: usize) -> Result<Self> {
        let dummy = hash(b"nobody has this password")?;
        let concurrent = concurrent.max(1);
        let slots = Arc::new(Semaphore::new(concurrent));
        Ok(Self { slots, concurrent, waiting: Arc::default(), dummy: dummy.into() })
    }

    /// How busy it is at this moment.
    #[must_use]
    pub fn load(&self) -> HashingLoad {
        HashingLoad {
            waiting: self.waiting.load(Ordering::Relaxed),
            running: self.concurrent.saturating_sub(self.slots.available_permits()),
            slots: self.concurrent,
        }
    }

    /// The PHC string to store for `password`.
    ///
    /// # Errors
    /// Internal only.
    #[crate::boxed]
    pub async fn hash(&self, password: &str) -> Result<String> {
        let password = password.to_owned();
        self.run(move || hash(password.as_bytes())).await
    }

    /// Checks `password` against what is stored. With nothing stored it does the same work and answers
    /// [`Checked::Wrong`], so that the time taken tells nothing.
    ///
    /// # Errors
    /// Internal only: a stored string that is no hash.
    #[crate::boxed]
    pub async fn check(&self, password: &str, stored: Option<&str>) -> Result<Checked> {
        let known = stored.is_some();
        let stored = stored.map_or_else(|| self.dummy.to_string(), str::to_owned);
        let password = password.to_owned();
        let checked = self.run(move || check(password.as_bytes(), &stored)).await?;
        Ok(if known { checked } else { Checked::Wrong })
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let waiting = Waiting::new(&self.waiting);
        let permit = Arc::clone(&self.slots).acquire_owned().await.map_err(Error::internal)?;
        drop(waiting);
        tokio::task::spawn_blocking(move || {
            // The slot is held by the thread: a caller that goes away does not free it early.
            let _held = permit;
            work()
        })
        .await
        .map_err(Error::internal)?
    }
}

/// Whether `text` is a bcrypt string that may be imported: all that the doors take (wire: users-teams-permissions §1.1).
///
/// # Errors
/// `BAD_REQUEST` that says what is wrong with it.
pub fn check_importable(text: &str) -> Result<()> {
    let cost = ["$2a$", "$2b$", "$2y$"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .and_then(|rest| rest.get(..2))
        .and_then(|cost| cost.parse::<u32>().ok());
    match cost {
        Some(4..=MAX_BCRYPT_COST) if text.len() == BCRYPT_LENGTH && text.parse::<bcrypt::HashParts>().is_ok() => Ok(()),
        Some(cost) if cost > MAX_BCRYPT_COST => {
            refuse(Failure::bad_request(format!("password_hash: a bcrypt cost above {MAX_BCRYPT_COST} is not taken")))
        }
        _ => refuse(Failure::bad_request("password_hash: must be a bcrypt string ($2a$, $2b$ or $2y$)")),
    }
}

fn hasher() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &[u8]) -> Result<String> {
    let hash: PasswordHash = hasher()?.hash_password(password).map_err(|error| Error::internal(error.to_string()))?;
    Ok(hash.to_string())
}

fn check(password: &[u8], stored: &str) -> Result<Checked> {
    if stored.starts_with("$2") {
        let right = bcrypt::verify(password, stored).map_err(Error::internal)?;
        return Ok(if right { Checked::RightButOutdated } else { Checked::Wrong });
    }
    let parsed = PasswordHash::new(stored).map_err(|error| Error::internal(error.to_string()))?;
    if parsed.algorithm.as_str() == firebase_scrypt::NAME {
        let right = firebase_scrypt::verify(password, &parsed)?;
        return Ok(if right { Checked::RightButOutdated } else { Checked::Wrong });
    }
    if hasher()?.verify_password(password, &parsed).is_err() {
        return Ok(Checked::Wrong);
    }
    Ok(if is_current(&parsed) { Checked::Right } else { Checked::RightButOutdated })
}

fn is_current(hash: &PasswordHash) -> bool {
    let at_least = |name, least| hash.params.get_decimal(name).is_some_and(|value| value >= least);
    Ident::new("argon2id").is_ok_and(|argon2id| hash.algorithm == argon2id)
        && hash.version == Some(Version::V0x13.into())
        && at_least("m", MEMORY_KIB)
        && at_least("t", PASSES)
        && at_least("p", LANES)
}

#[cfg(test)]
mod tests;
