//! Documents that are named instead of sent. Automatic persisted queries: a client sends the SHA-256 of its document instead
//! of the text; when the hash is unknown it is asked to send both once. Kept in this process only: another process asks
//! again, which costs one more request. And the documents of the installation's own list (see `allowed`).

use std::sync::Arc;

use async_graphql::{Request, ServerError, Value};
use sha2::{Digest, Sha256};

use super::{
    allowed::AllowedDocuments,
    error::{DoorCode, Error},
};

/// How much text is kept.
const KEPT_BYTES: u64 = 1024 * 1024;
/// The extension of a request that carries a hash, as Apollo's clients send it.
pub(crate) const PERSISTED_QUERY: &str = "persistedQuery";
/// The member of a request that names a document ("GraphQL over HTTP", appendix "Persisted Documents"); kept among its extensions.
pub(crate) const DOCUMENT_ID: &str = "documentId";

/// The documents that need not be sent in full.
#[derive(Clone)]
pub(crate) struct PersistedQueries {
    /// Those that were sent with their hash.
    sent: moka::future::Cache<[u8; 32], Arc<str>>,
    /// Those of the installation; when there are any, clients are bound to them.
    allowed: Option<Arc<AllowedDocuments>>,
}

impl PersistedQueries {
    /// Those of an installation with this list.
    pub(crate) fn new(allowed: Option<Arc<AllowedDocuments>>) -> Self {
        let weigh = |_: &[u8; 32], text: &Arc<str>| u32::try_from(text.len()).unwrap_or(u32::MAX).max(1);
        Self { sent: moka::future::Cache::builder().max_capacity(KEPT_BYTES).weigher(weigh).build(), allowed }
    }

    /// Puts the text into a request that names it only; remembers the text of one that carries text and hash.
    /// `is_trusted`: whether the caller may send documents that are not on the list.
    ///
    /// # Errors
    /// `PERSISTED_QUERY_NOT_FOUND` when the name is unknown, `PERSISTED_QUERY_MISMATCH` when a hash is not that of the text,
    /// `DOCUMENT_NOT_ALLOWED` when the caller is bound to the list and the document is not on it.
    pub(crate) async fn resolve(&self, request: &mut Request, is_trusted: bool) -> Result<(), ServerError> {
        match request.extensions.get(DOCUMENT_ID) {
            Some(Value::String(id)) if request.query.is_empty() => {
                let known = self.allowed.as_ref().and_then(|allowed| allowed.named(id));
                let Some(text) = known else { return Err(not_found("No document of this installation has this id.")) };
                request.query = text.to_string();
                return Ok(());
            }
            Some(Value::String(_)) | None => {}
            Some(_) => return Err(refuse(DoorCode::BadUserInput, "`documentId` is a string.")),
        }
        match &self.allowed {
            Some(allowed) if !is_trusted => listed(allowed, request),
            _ => self.automatic(request).await,
        }
    }

    async fn automatic(&self, request: &mut Request) -> Result<(), ServerError> {
        let Some(hash) = hash_of(request)? else { return Ok(()) };
        if request.query.is_empty() {
            // The message, too, is what clients look for.
            let text = self.sent.get(&hash).await.ok_or_else(|| not_found("PersistedQueryNotFound"))?;
            request.query = text.to_string();
            return Ok(());
        }
        if <[u8; 32]>::from(Sha256::digest(request.query.as_bytes())) != hash {
            return Err(refuse(DoorCode::PersistedQueryMismatch, "`sha256Hash` is not the hash of `query`."));
        }
        self.sent.insert(hash, Arc::from(request.query.as_str())).await;
        Ok(())
    }
}

/// The request of a caller that is bound to the list: by the text itself or by its hash.
fn listed(allowed: &AllowedDocuments, request: &mut Request) -> Result<(), ServerError> {
    let hash = match hash_of(request)? {
        Some(hash) if request.query.is_empty() => hash,
        _ => Sha256::digest(request.query.as_bytes()).into(),
    };
    let text = allowed.hashed(&hash).ok_or_else(|| {
        let text = "This installation runs only documents of its list for clients, and this is none of them.";
        refuse(DoorCode::DocumentNotAllowed, text)
    })?;
    request.query = text.to_string();
    Ok(())
}

/// The hash that comes with a request.
fn hash_of(request: &Request) -> Result<Option<[u8; 32]>, ServerError> {
    let Some(extension) = request.extensions.get(PERSISTED_QUERY) else { return Ok(None) };
    read(extension).map(Some).ok_or_else(|| {
        refuse(DoorCode::PersistedQueryMismatch, "`persistedQuery` needs `version` 1 and `sha256Hash` in hexadecimal.")
    })
}

fn not_found(message: &str) -> ServerError {
    refuse(DoorCode::PersistedQueryNotFound, message)
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
        let kept = PersistedQueries::new(None);
        let mut first = request("", hashed("{a}"));
        assert!(code(kept.resolve(&mut first, false).await).contains("PERSISTED_QUERY_NOT_FOUND"));
        kept.resolve(&mut request("{a}", hashed("{a}")), false).await.unwrap();
        kept.resolve(&mut first, false).await.unwrap();
        assert_eq!(first.query, "{a}");
    }

    #[tokio::test]
    async fn a_wrong_hash_is_refused_and_not_kept() {
        let kept = PersistedQueries::new(None);
        assert!(code(kept.resolve(&mut request("{a}", hashed("{b}")), false).await).contains("MISMATCH"));
        for extension in [json!(1), json!({"version": 2, "sha256Hash": ""}), json!({"version": 1, "sha256Hash": "xx"})]
        {
            assert!(code(kept.resolve(&mut request("{a}", extension), false).await).contains("MISMATCH"));
        }
        assert!(code(kept.resolve(&mut request("", hashed("{b}")), false).await).contains("NOT_FOUND"));
    }
}
