//! What a search text finds, the same on both databases: parts of folded texts, and ids.

use sea_orm::sea_query::LikeExpr;
use uuid::Uuid;

/// Shorter texts match the beginning only: they would match nearly everything, and have no trigram.
const MIN_SUBSTRING_CHARS: usize = 3;

/// Text as it is searched: lower case by Unicode's rules, which neither database applies by itself. Both lower-case sigmas
/// count as one, because which one is written depends on where it stands.
pub(crate) fn fold(text: &str) -> String {
    text.to_lowercase().replace('ς', "σ")
}

/// A search text.
pub(crate) struct TextSearch {
    query: String,
    /// The text as what is searched was folded.
    pub(crate) folded: String,
}

impl TextSearch {
    pub(crate) fn new(query: &str) -> Self {
        Self { query: query.to_owned(), folded: fold(query) }
    }

    /// Whether only beginnings match.
    pub(crate) fn is_prefix(&self) -> bool {
        self.folded.chars().count() < MIN_SUBSTRING_CHARS
    }

    /// For folded columns.
    pub(crate) fn pattern(&self) -> LikeExpr {
        let mut escaped = String::with_capacity(self.folded.len() + 2);
        for c in self.folded.chars() {
            if matches!(c, '%' | '_' | '\\') {
                escaped.push('\\');
            }
            escaped.push(c);
        }
        let anywhere = if self.is_prefix() { "" } else { "%" };
        LikeExpr::new(format!("{anywhere}{escaped}%")).escape('\\')
    }

    /// The id that the text is: a lower-case UUID of version 4 once everything that ids are not made of is dropped.
    pub(crate) fn as_id(&self) -> Option<Uuid> {
        let is_of_id = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let kept: String = self.query.chars().filter(is_of_id).collect();
        let id: Uuid = kept.parse().ok()?;
        (id.get_version_num() == 4 && id.to_string() == kept).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_v4_ids_are_found_by_id() {
        let id = Uuid::new_v4();
        let as_id = |text: &str| TextSearch::new(text).as_id();
        assert_eq!(as_id(&id.to_string()), Some(id));
        assert_eq!(as_id(&format!(" '{id}' ")), Some(id));
        assert_eq!(as_id(&id.to_string().to_uppercase()), None);
        assert_eq!(as_id(&id.simple().to_string()), None);
        assert_eq!(as_id("018f4e9e-7b1a-7cc0-8000-000000000000"), None);
        assert_eq!(as_id(""), None);
    }
}
