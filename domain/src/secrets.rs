//! Keys derived from the server secret, and sealing of what must be readable again.
//!
//! Every key is HKDF-SHA256 (RFC 5869) of the server secret under a label, so nothing is stored. Sealing is AES-256-GCM
//! (NIST SP 800-38D) with a random 96-bit nonce, bound to the place where the value is kept: a sealed value copied into
//! another row, column or project does not open.

use std::fmt;

use aes_gcm::{
    Aes256Gcm,
    aead::{Aead, KeyInit, Payload},
};
use hkdf::Hkdf;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::{
    error::{Error, Result},
    random::random_bytes,
};

/// Least length of a server secret, in bytes.
pub const MIN_SERVER_SECRET_BYTES: usize = 32;
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 12;

/// The server secrets: the first signs and seals, all of them verify and open.
#[derive(Clone)]
pub struct Keyring(Vec<SecretString>);

impl Keyring {
    /// From the secrets of the settings, newest first.
    ///
    /// # Errors
    /// Internal, when there is none or one is shorter than [`MIN_SERVER_SECRET_BYTES`].
    pub fn new(secrets: Vec<SecretString>) -> Result<Self> {
        if secrets.is_empty() || secrets.iter().any(|secret| secret.expose_secret().len() < MIN_SERVER_SECRET_BYTES) {
            return Err(Error::internal(format!("a server secret needs at least {MIN_SERVER_SECRET_BYTES} bytes")));
        }
        Ok(Self(secrets))
    }

    /// How many secrets there are.
    #[must_use]
    pub fn generations(&self) -> usize {
        self.0.len()
    }

    /// The 32-byte key for `label` under the secret of `generation` (0 is the newest).
    ///
    /// # Errors
    /// Internal, when there is no such generation.
    pub fn derive(&self, generation: usize, label: &str) -> Result<[u8; 32]> {
        let secret =
            self.0.get(generation).ok_or_else(|| Error::internal("no such generation of the server secret"))?;
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, secret.expose_secret().as_bytes())
            .expand(label.as_bytes(), &mut key)
            .map_err(|error| Error::internal(error.to_string()))?;
        Ok(key)
    }

    /// Seals `plain` for `place`: key id, nonce, ciphertext with tag.
    ///
    /// # Errors
    /// Internal, when the system has no randomness to give.
    pub fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Result<Vec<u8>> {
        let (id, cipher) = self.sealing_key(0)?;
        let nonce = random_bytes::<NONCE_BYTES>()?;
        let payload = Payload { msg: plain, aad: &place.to_bytes() };
        let sealed = cipher.encrypt(&nonce.into(), payload).map_err(|_| Error::internal("sealing failed"))?;
        Ok([id.as_slice(), &nonce, &sealed].concat())
    }

    /// Opens what [`Keyring::seal`] made for the same place.
    ///
    /// # Errors
    /// Internal, when it was sealed elsewhere, under a secret that is no longer listed, or was changed.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Vec<u8>> {
        let (id, rest) =
            sealed.split_at_checked(KEY_ID_BYTES).ok_or_else(|| Error::internal("a sealed value is cut short"))?;
        let (nonce, text) =
            rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(|| Error::internal("a sealed value is cut short"))?;
        for generation in 0..self.generations() {
            let (key_id, cipher) = self.sealing_key(generation)?;
            if key_id == id {
                let payload = Payload { msg: text, aad: &place.to_bytes() };
                return cipher
                    .decrypt(&(*nonce).into(), payload)
                    .map_err(|_| Error::internal("a sealed value does not open: changed, or moved from its place"));
            }
        }
        Err(Error::internal("a sealed value was made under a server secret that is no longer listed"))
    }

    /// `sealed`, sealed again under the newest secret; nothing when it is already.
    ///
    /// # Errors
    /// As [`Keyring::open`] and [`Keyring::seal`].
    pub fn reseal(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Option<Vec<u8>>> {
        if sealed.starts_with(&self.current_key_id()?) {
            return Ok(None);
        }
        self.seal(place, &self.open(place, sealed)?).map(Some)
    }

    /// How everything begins that is sealed under the newest secret.
    pub(crate) fn current_key_id(&self) -> Result<Vec<u8>> {
        Ok(self.sealing_key(0)?.0.to_vec())
    }

    fn sealing_key(&self, generation: usize) -> Result<([u8; KEY_ID_BYTES], Aes256Gcm)> {
        let key = self.derive(generation, "postern/seal")?;
        let id = self.derive(generation, "postern/seal/id")?;
        let id = *id.first_chunk().ok_or_else(|| Error::internal("a key is shorter than its id"))?;
        Ok((id, Aes256Gcm::new(&key.into())))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} secrets)", self.0.len())
    }
}

/// Where a sealed value is kept.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The project that owns the row.
    pub project: &'a str,
    /// The table.
    pub table: &'a str,
    /// The primary key of the row, as text.
    pub row: &'a str,
    /// The column.
    pub column: &'a str,
}

impl Place<'_> {
    /// Length-prefixed, so that no two places read alike.
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in [self.project, self.table, self.row, self.column] {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { project: "p", table: "t", row: "1", column: "c" };

    fn secret(letter: &str) -> SecretString {
        letter.repeat(MIN_SERVER_SECRET_BYTES).into()
    }

    #[test]
    fn opens_only_in_its_place() {
        let keys = Keyring::new(vec![secret("a")]).unwrap();
        let sealed = keys.seal(&PLACE, b"hidden").unwrap();
        assert_eq!(keys.open(&PLACE, &sealed).unwrap(), b"hidden");
        assert!(keys.open(&Place { row: "2", ..PLACE }, &sealed).is_err());
        assert!(keys.open(&Place { project: "pt", table: "", ..PLACE }, &sealed).is_err());
    }

    #[test]
    fn a_changed_byte_does_not_open() {
        let keys = Keyring::new(vec![secret("a")]).unwrap();
        let mut sealed = keys.seal(&PLACE, b"hidden").unwrap();
        *sealed.last_mut().unwrap() ^= 1;
        assert!(keys.open(&PLACE, &sealed).is_err());
        assert!(keys.open(&PLACE, b"short").is_err());
    }

    #[test]
    fn an_old_secret_still_opens_until_it_is_no_longer_listed() {
        let sealed = Keyring::new(vec![secret("a")]).unwrap().seal(&PLACE, b"hidden").unwrap();
        let rotated = Keyring::new(vec![secret("b"), secret("a")]).unwrap();
        assert_eq!(rotated.open(&PLACE, &sealed).unwrap(), b"hidden");
        assert!(Keyring::new(vec![secret("b")]).unwrap().open(&PLACE, &sealed).is_err());
    }

    #[test]
    fn sealing_again_moves_a_value_to_the_newest_secret_once() {
        let sealed = Keyring::new(vec![secret("a")]).unwrap().seal(&PLACE, b"hidden").unwrap();
        let rotated = Keyring::new(vec![secret("b"), secret("a")]).unwrap();
        let again = rotated.reseal(&PLACE, &sealed).unwrap().unwrap();
        assert_eq!(Keyring::new(vec![secret("b")]).unwrap().open(&PLACE, &again).unwrap(), b"hidden");
        assert_eq!(rotated.reseal(&PLACE, &again).unwrap(), None);
        assert!(rotated.reseal(&Place { row: "2", ..PLACE }, &sealed).is_err());
    }

    #[test]
    fn short_secrets_are_refused_and_never_shown() {
        assert!(Keyring::new(vec!["too short".into()]).is_err());
        assert!(Keyring::new(vec![]).is_err());
        assert_eq!(format!("{:?}", Keyring::new(vec![secret("a")]).unwrap()), "Keyring(1 secrets)");
    }
}
