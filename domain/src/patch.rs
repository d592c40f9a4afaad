//! What a change says about one nullable field: nothing, empty it, or this value.

use serde::{Deserialize, Deserializer};

/// A field of a change. In JSON: absent, `null`, or a value (with `#[serde(default)]` on the field).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Not mentioned: stays as it is.
    #[default]
    Keep,
    /// Mentioned as null: becomes empty.
    Clear,
    /// Becomes this.
    Set(T),
}

impl<T> Patch<T> {
    /// Whether the field is not mentioned.
    #[must_use]
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// The new value, if there is one.
    #[must_use]
    pub fn set(self) -> Option<T> {
        if let Self::Set(value) = self { Some(value) } else { None }
    }

    /// The same, looked at.
    #[must_use]
    pub fn as_ref(&self) -> Patch<&T> {
        match self {
            Self::Keep => Patch::Keep,
            Self::Clear => Patch::Clear,
            Self::Set(value) => Patch::Set(value),
        }
    }

    /// The same with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Self::Keep => Patch::Keep,
            Self::Clear => Patch::Clear,
            Self::Set(value) => Patch::Set(change(value)),
        }
    }

    /// The same with another value, if there can be one.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn try_map<U, E>(self, change: impl FnOnce(T) -> Result<U, E>) -> Result<Patch<U>, E> {
        Ok(match self {
            Self::Keep => Patch::Keep,
            Self::Clear => Patch::Clear,
            Self::Set(value) => Patch::Set(change(value)?),
        })
    }

    /// The same with another value, which may turn out to be none; that clears.
    pub fn and_then<U>(self, change: impl FnOnce(T) -> Option<U>) -> Patch<U> {
        match self {
            Self::Keep => Patch::Keep,
            Self::Clear => Patch::Clear,
            Self::Set(value) => change(value).map_or(Patch::Clear, Patch::Set),
        }
    }

    /// What the field is afterwards; `None` when it is not mentioned.
    #[must_use]
    pub fn mentioned(self) -> Option<Option<T>> {
        match self {
            Self::Keep => None,
            Self::Clear => Some(None),
            Self::Set(value) => Some(Some(value)),
        }
    }

    /// What the field is afterwards, having been `current`.
    #[must_use]
    pub fn over(self, current: Option<T>) -> Option<T> {
        self.mentioned().unwrap_or(current)
    }
}

impl<T> From<Option<Option<T>>> for Patch<T> {
    fn from(mentioned: Option<Option<T>>) -> Self {
        match mentioned {
            None => Self::Keep,
            Some(None) => Self::Clear,
            Some(Some(value)) => Self::Set(value),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Some(Option::deserialize(deserializer)?).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Change {
        #[serde(default)]
        name: Patch<String>,
    }

    #[test]
    fn missing_null_and_a_value_are_told_apart() {
        let parse = |json| serde_json::from_str::<Change>(json).unwrap().name;
        assert_eq!(parse("{}"), Patch::Keep);
        assert_eq!(parse(r#"{"name":null}"#), Patch::Clear);
        assert_eq!(parse(r#"{"name":"a"}"#), Patch::Set("a".to_owned()));
    }

    #[test]
    fn only_what_is_mentioned_changes() {
        assert_eq!(Patch::Keep.over(Some(1)), Some(1));
        assert_eq!(Patch::Clear.over(Some(1)), None);
        assert_eq!(Patch::Set(2).over(Some(1)), Some(2));
    }
}
