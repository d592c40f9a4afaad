//! Automatic persisted queries: a client sends the SHA-256 of its document instead of the text; when the hash is unknown it
//! is asked to send both once. Kept in this process only: another process asks again, which costs one more request.

use std::sync::Arc;

use async_graphql::{Request, ServerError, Value};
use sha2::{Digest, Sha256};

use super::error::{DoorCode, Error};

/// How much text is kept.
const KEPT_BYTES: u64 = 1024 * 1024;

/// The documents that were sent with their hash.
#[derive(Clone)]
pub(crate) struct PersistedQueries {
    texts: moka::future::Cache<[u8; 32], Arc<str>>,
}

impl Default for PersistedQueries {
    fn default() -> Self {
        let weigh = |_: &[u8; 32], text: &Arc<str>| u32::try_from(text.len()).unwrap_or(u32::MAX).max(1);
        Self { texts: moka::future::Cache::builder().max_capacity(KEPT_BYTES).weigher(weigh).build() }
    }
}

impl PersistedQueries {
    /// Puts the text into a request that carries a hash only; remembers the text of one that carries both.
    ///
    /// # Errors
    /// `PERSISTED_QUERY_NOT_FOUND` when the hash is unknown, `PERSISTED_QUERY_MISMATCH` when it is not that of the text.
    pub(crate) async fn resolve(&self, request: &mut Request) -> Result<(), ServerError> {
        let Some(extension) = request.extensions.get("persistedQuery") else { return Ok(()) };
        let hash = read(extension).ok_or_else(|| {
            refuse(
                DoorCode::PersistedQueryMismatch,
                "`persistedQuery` needs `version` 1 and `sha256Hash` in hexadecimal.",
            )
        })?;
        if request.query.is_empty() {
            let text = self.texts.get(&hash).await;
            // The message, too, is what clients look for.
            let text = text.ok_or_else(|| refuse(DoorCode::PersistedQueryNotFound, "PersistedQueryNotFound"))?;
            request.query = text.to_string();
            return Ok(());
        }
        if <[u8; 32]>::from(Sha256::digest(request.query.as_bytes())) != hash {
            return Err(refuse(DoorCode::PersistedQueryMismatch, "`sha256Hash` is not the hash of `query`."));
        }
        self.texts.insert(hash, Arc::from(request.query.as_str())).await;
        Ok(())
    }
}

fn read(extension: &Value) -> Option<[u8; 32]> {
    let Value::Object(members) = extension else { return None };
    let (Value::Number(version), Value::String(hash)) = (members.get("version")?, members.get("sha256Hash")?) else {
        return None;
    };
    if version.as_u64() != Some(1) {
        return None;
    }
    hex::decode(hash).ok()?.try_into().ok()
}

fn refuse(code: DoorCode, message: &str) -> ServerError {
    Error::door(code, message).into_server_error()
}

#[cfg(test)]
mod tests {
    use async_graphql::Extensions;
    use serde_json::json;

    use super::*;

    fn request(query: &str, extension: serde_json::Value) -> Request {
        let mut request = Request::new(query);
        request.extensions = serde_json::from_value::<Extensions>(json!({"persistedQuery": extension})).unwrap();
        request
    }

    fn hashed(query: &str) -> serde_json::Value {
        json!({"version": 1, "sha256Hash": hex::encode(Sha256::digest(query))})
    }

    fn code(result: Result<(), ServerError>) -> String {
        result.unwrap_err().extensions.unwrap().get("code").unwrap().to_string()
    }

    #[tokio::test]
    async fn a_hash_is_enough_once_its_text_was_sent() {
        let kept = PersistedQueries::default();
        let mut first = request("", hashed("{a}"));
        assert!(code(kept.resolve(&mut first).await).contains("PERSISTED_QUERY_NOT_FOUND"));
        kept.resolve(&mut request("{a}", hashed("{a}"))).await.unwrap();
        kept.resolve(&mut first).await.unwrap();
        assert_eq!(first.query, "{a}");
    }

    #[tokio::test]
    async fn a_wrong_hash_is_refused_and_not_kept() {
        let kept = PersistedQueries::default();
        assert!(code(kept.resolve(&mut request("{a}", hashed("{b}"))).await).contains("MISMATCH"));
        for extension in [json!(1), json!({"version": 2, "sha256Hash": ""}), json!({"version": 1, "sha256Hash": "xx"})]
        {
            assert!(code(kept.resolve(&mut request("{a}", extension)).await).contains("MISMATCH"));
        }
        assert!(code(kept.resolve(&mut request("", hashed("{b}"))).await).contains("NOT_FOUND"));
    }
}
