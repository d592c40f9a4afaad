//! The list of documents that an installation runs for clients, when it keeps one: read from the files that build tools
//! write, so that the documents of an application are found without being written down twice.

use std::{collections::HashMap, fmt, sync::Arc};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::document;

/// The documents to which clients are bound.
#[derive(Clone, Default)]
pub struct AllowedDocuments {
    by_hash: HashMap<[u8; 32], Arc<str>>,
    /// By the names that the file gives them.
    by_name: HashMap<String, [u8; 32]>,
}

/// All that is wrong with a list, each as one sentence that names the document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct WrongDocuments(pub Vec<String>);

/// The shapes of lists that tools write.
#[derive(Deserialize)]
#[serde(untagged)]
enum List {
    /// Apollo's: `generate-persisted-query-manifest`.
    Manifest { format: String, version: u64, operations: Vec<Operation> },
    /// Id to text: GraphQL Code Generator's `persisted-documents.json`, Relay's `persisted_queries.json`.
    Map(HashMap<String, String>),
}

#[derive(Deserialize)]
struct Operation {
    id: String,
    body: String,
}

impl AllowedDocuments {
    /// Reads a list: a JSON object from id to text, or a manifest of Apollo's tools.
    ///
    /// # Errors
    /// [`WrongDocuments`] when it is neither, is empty, or a document is not GraphQL or exceeds the limits of documents.
    pub fn read(list: &str) -> Result<Self, WrongDocuments> {
        let list: List = serde_json::from_str(list).map_err(|error| {
            let what = "a JSON object from ids to documents, or a persisted query manifest of Apollo";
            WrongDocuments(vec![format!("is not {what} ({error})")])
        })?;
        let named = match list {
            List::Map(documents) => documents,
            List::Manifest { format, version: 1, operations } if format == "apollo-persisted-query-manifest" => {
                operations.into_iter().map(|operation| (operation.id, operation.body)).collect()
            }
            List::Manifest { format, version, .. } => {
                return Err(WrongDocuments(vec![format!("has the unknown format {format}, version {version}")]));
            }
        };
        let mut wrong: Vec<_> = named
            .iter()
            .filter_map(|(name, text)| {
                document::check(text).err().map(|error| format!("the document {name}: {}", error.message))
            })
            .collect();
        if named.is_empty() {
            wrong.push("has no document".to_owned());
        }
        if !wrong.is_empty() {
            wrong.sort();
            return Err(WrongDocuments(wrong));
        }
        let mut documents = Self::default();
        for (name, text) in named {
            let hash = Sha256::digest(text.as_bytes()).into();
            documents.by_hash.insert(hash, text.into());
            documents.by_name.insert(name, hash);
        }
        Ok(documents)
    }

    /// The document with this id: the one the file gives it, or `sha256:` and the hash of its text in hexadecimal.
    pub(super) fn named(&self, id: &str) -> Option<&Arc<str>> {
        let by_hash = || hex::decode(id.strip_prefix("sha256:")?).ok()?.try_into().ok();
        let hash = self.by_name.get(id).copied().or_else(by_hash)?;
        self.hashed(&hash)
    }

    /// The document whose text has this SHA-256.
    pub(super) fn hashed(&self, hash: &[u8; 32]) -> Option<&Arc<str>> {
        self.by_hash.get(hash)
    }
}

impl fmt::Debug for AllowedDocuments {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} documents", self.by_hash.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_the_usual_tools_are_read() {
        let map = r#"{"a1": "query Me { me { id } }", "b2": "{ me { displayName } }"}"#;
        let manifest = r#"{"format": "apollo-persisted-query-manifest", "version": 1,
            "operations": [{"id": "a1", "name": "Me", "type": "query", "body": "query Me { me { id } }"}]}"#;
        for list in [map, manifest] {
            let documents = AllowedDocuments::read(list).unwrap();
            assert_eq!(documents.named("a1").map(|text| &**text), Some("query Me { me { id } }"));
            let hash = hex::encode(Sha256::digest("query Me { me { id } }"));
            assert!(documents.named(&format!("sha256:{hash}")).is_some());
            for other in [&hash, "sha256:00", "c3", ""] {
                assert!(documents.named(other).is_none(), "{other}");
            }
        }
    }

    #[test]
    fn everything_that_is_wrong_is_named() {
        let wrong = |list: &str| AllowedDocuments::read(list).unwrap_err().0.join("\n");
        assert!(wrong("[]").contains("a JSON object from ids to documents"));
        assert!(wrong("{}").contains("has no document"));
        let other = r#"{"format": "theirs", "version": 2, "operations": []}"#;
        assert!(wrong(other).contains("theirs, version 2"), "{}", wrong(other));
        let two = wrong(
            r#"{"one": "{ me {", "two": "{ me { id } }", "three": "fragment F on User { ...F } { me { ...F } }"}"#,
        );
        assert!(
            two.contains("the document one:") && two.contains("the document three: The fragment F contains itself.")
        );
        assert!(!two.contains("two"));
        let deep = format!("{{ a {} {} }}", "{ a ".repeat(20), "}".repeat(20));
        assert!(wrong(&serde_json::json!({ "deep": deep }).to_string()).contains("deep"));
    }
}
