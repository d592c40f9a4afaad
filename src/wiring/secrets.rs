//! Secrets that local mode makes up, and the file that keeps others off its data.

use std::{
    fs::{File, TryLockError},
    io::Write,
    path::Path,
};

use postern_domain::{
    Error, Result,
    random::{base32, random_bytes},
};
use secrecy::{ExposeSecret, SecretString};

use crate::settings::Settings;

/// Keeps a second process off an SQLite database for as long as the answer lives.
///
/// # Errors
/// When another process holds it, or the directory cannot be written.
pub fn lock_data(settings: &Settings) -> Result<Option<File>> {
    if !settings.database_url.expose_secret().starts_with("sqlite:") {
        return Ok(None);
    }
    std::fs::create_dir_all(&settings.data_dir).map_err(Error::internal)?;
    let path = settings.data_dir.join("postern.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(Error::internal)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Error::internal(format!(
            "another postern runs on this SQLite database ({} is locked); stop it, or use PostgreSQL for several processes",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(Error::internal(error)),
    }
}

/// The server secrets of the settings; in local mode one is made at the first start and kept beside the data.
pub(super) fn server_secrets(settings: &Settings) -> Result<Vec<SecretString>> {
    if !settings.server_secrets.is_empty() {
        return Ok(settings.server_secrets.clone());
    }
    let path = settings.data_dir.join("server-secret");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(vec![text.trim().to_owned().into()]),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let secret = base32(&random_bytes::<40>()?);
            write_private(&path, &secret).map_err(Error::internal)?;
            Ok(vec![secret.into()])
        }
        Err(error) => Err(Error::internal(format!("{}: {error}", path.display()))),
    }
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let draft = path.with_extension("new");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}
