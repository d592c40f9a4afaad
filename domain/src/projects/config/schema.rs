//! The shape of a config, built once from the table: finding a setting by its path, checking a key and a value against it,
//! and its defaults. Nothing here knows of levels stored in the database.

use std::sync::LazyLock;

use serde_json::{Map, Value};
use url::Url;
use uuid::{Uuid, fmt::Hyphenated};

use super::table::{APPS, ROWS, Row};

/// What a value may be. Checked strictly, without coercion.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A boolean.
    Bool,
    /// The literal `true`.
    True,
    /// The literal `false`.
    False,
    /// Any number; its range is a matter of whoever reads it.
    Num,
    /// Text.
    Str,
    /// Text that is sealed in the database.
    Secret,
    /// A UUID in text form.
    Uuid,
    /// The URL of an issuer (OpenID Connect Discovery 1.0 §3).
    Issuer,
    /// One of these texts.
    Enum(&'static [&'static str]),
    /// `[n, "day" | "week" | "month" | "year"]`.
    Interval,
    /// Any object, whole: nothing looks into it, and no path leads there.
    Object,
}

/// What a setting is when nobody set it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Default {
    /// The key is left out; a container is there without entries.
    Unset,
    /// A boolean.
    Flag(bool),
    /// A number.
    Number(i64),
    /// A text.
    Text(&'static str),
    /// The key of the record entry that the setting is in.
    Key,
    /// The entries that a record always has.
    Made(fn() -> Value),
}

/// The lowest level that may set something; the levels below may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lowest {
    /// The project level only.
    Project,
    /// Branch and environment.
    Branch,
    /// The environment only.
    Environment,
}

/// The three levels; later ones win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConfigLevel {
    /// What belongs to the project as such.
    Project,
    /// What is the same wherever the application runs; may be pushed from a repository.
    Branch,
    /// Secrets, hosts, and whatever differs from the branch.
    Environment,
}

impl ConfigLevel {
    /// All, in the order they are combined.
    pub const ALL: [Self; 3] = [Self::Project, Self::Branch, Self::Environment];

    /// As paths and rows spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Branch => "branch",
            Self::Environment => "environment",
        }
    }

    fn may_set(self, lowest: Lowest) -> bool {
        match self {
            Self::Project => lowest == Lowest::Project,
            Self::Branch => lowest == Lowest::Branch,
            Self::Environment => lowest != Lowest::Project,
        }
    }
}

/// The grammar of a record's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    /// Anything that may stand in a path at all.
    Any,
    /// 1–63 letters, digits, `_`, `-`, not beginning with `-`.
    Id,
    /// An optional `$`, then a–z, 0–9, `_`, `:`.
    Dollar,
    /// a–z, 0–9, `_`, `:`.
    Permission,
    /// A UUID.
    Uuid,
    /// One of the known apps.
    App,
}

impl KeyKind {
    fn parse(segment: &str) -> Option<Self> {
        Some(match segment {
            "<any>" => Self::Any,
            "<id>" => Self::Id,
            "<provider>" | "<granted>" => Self::Dollar,
            "<permission>" => Self::Permission,
            "<uuid>" => Self::Uuid,
            "<app>" => Self::App,
            _ => return None,
        })
    }

    /// Whether `key` fits. Only the closed kinds are checked for keys inside a value.
    pub(super) fn fits(self, key: &str, in_path: bool) -> bool {
        let named = |key: &str| {
            !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_:".contains(&b))
        };
        match self {
            Self::Uuid => is_uuid(key),
            Self::App => APPS.contains(&key),
            Self::Any => true,
            _ if !in_path => true,
            Self::Id => {
                (1..=63).contains(&key.len())
                    && !key.starts_with('-')
                    && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
            }
            Self::Dollar => named(key.strip_prefix('$').unwrap_or(key)),
            Self::Permission => named(key),
        }
    }
}

/// A place in the schema: what may stand there.
#[derive(Debug)]
pub(super) struct Node {
    /// What may stand here as it is.
    pub(super) kinds: &'static [Kind],
    default: Default,
    lowest: Option<Lowest>,
    /// What an object here is made of.
    pub(super) inside: Inside,
}

/// What an object is made of.
#[derive(Debug)]
pub(super) enum Inside {
    /// Nothing that is opened: values only.
    Nothing,
    /// Fixed keys.
    Fields(Vec<(&'static str, Node)>),
    /// Any number of entries of one shape.
    Record(KeyKind, Box<Node>),
}

/// Rows below one place, each with the rest of its path.
type Rows<'a> = Vec<(&'a [&'static str], &'static Row)>;

static ROOT: LazyLock<Node> = LazyLock::new(|| {
    let paths: Vec<(Vec<&'static str>, &'static Row)> =
        ROWS.iter().map(|row| (row.path.split('.').collect(), row)).collect();
    Node::build(&paths.iter().map(|(path, row)| (path.as_slice(), *row)).collect())
});

/// The whole schema.
pub(super) fn root() -> &'static Node {
    &ROOT
}

impl Node {
    fn build(rows: &Rows<'_>) -> Self {
        let mut node = Self { kinds: &[], default: Default::Unset, lowest: None, inside: Inside::Nothing };
        let mut groups: Vec<(&'static str, Rows<'_>)> = Vec::new();
        for (path, row) in rows {
            let Some((first, rest)) = path.split_first() else {
                (node.kinds, node.default) = (row.kinds, row.default);
                node.lowest = (!row.kinds.is_empty()).then_some(row.lowest);
                continue;
            };
            match groups.iter_mut().find(|(name, _)| name == first) {
                Some((_, group)) => group.push((rest, row)),
                None => groups.push((first, vec![(rest, row)])),
            }
        }
        let record = groups.first().and_then(|(name, group)| Some((KeyKind::parse(name)?, group)));
        node.inside = match record {
            Some((keys, group)) => Inside::Record(keys, Box::new(Self::build(group))),
            None if groups.is_empty() => Inside::Nothing,
            None => Inside::Fields(groups.iter().map(|(name, group)| (*name, Self::build(group))).collect()),
        };
        node
    }

    /// What stands under `key`, when the schema knows such a key here. `in_path`: the key is a segment of a dotted path.
    pub(super) fn child(&self, key: &str, in_path: bool) -> Option<&Self> {
        match &self.inside {
            Inside::Nothing => None,
            Inside::Fields(fields) => fields.iter().find(|(name, _)| *name == key).map(|(_, child)| child),
            Inside::Record(keys, entry) => keys.fits(key, in_path).then_some(entry),
        }
    }

    /// Whether `level` may set this or anything in it.
    pub(super) fn settable(&self, level: ConfigLevel) -> bool {
        self.lowest.is_some_and(|lowest| level.may_set(lowest))
            || match &self.inside {
                Inside::Nothing => false,
                Inside::Fields(fields) => fields.iter().any(|(_, child)| child.settable(level)),
                Inside::Record(_, entry) => entry.settable(level),
            }
    }

    /// Whether this holds text that must be sealed in the database.
    pub(super) fn is_secret(&self) -> bool {
        self.kinds.iter().any(|kind| matches!(kind, Kind::Secret))
    }

    /// What stands under `key` of the object `owner` when nobody set anything. `None` means the key is left out.
    pub(super) fn default_value(&self, key: &str, owner: &str) -> Option<Value> {
        match (self.default, &self.inside) {
            (Default::Flag(flag), _) => Some(flag.into()),
            (Default::Number(number), _) => Some(number.into()),
            (Default::Text(text), _) => Some(text.into()),
            (Default::Key, _) => Some(owner.into()),
            (Default::Unset | Default::Made(_), Inside::Fields(_) | Inside::Record(..)) => {
                Some(self.complete(key, Map::new()))
            }
            (Default::Unset | Default::Made(_), Inside::Nothing) => None,
        }
    }

    /// The object under `key` with every default filled in. `null` in a record means that the entry is absent, elsewhere
    /// the default.
    fn complete(&self, key: &str, mut given: Map<String, Value>) -> Value {
        let mut complete = Map::new();
        match &self.inside {
            Inside::Nothing => {}
            Inside::Fields(fields) => {
                for (name, child) in fields {
                    let value = given.remove(*name).and_then(|value| child.completed(name, key, value));
                    if let Some(value) = value.or_else(|| child.default_value(name, key)) {
                        complete.insert((*name).to_owned(), value);
                    }
                }
            }
            Inside::Record(_, entry) => {
                if let Value::Object(built_in) = self.built_in() {
                    given = built_in.into_iter().chain(given.into_iter().filter(|(_, v)| !v.is_null())).collect();
                }
                for (name, value) in given {
                    if let Some(value) = entry.completed(&name, key, value) {
                        complete.insert(name, value);
                    }
                }
            }
        }
        Value::Object(complete)
    }

    /// `value` as it stands under `key` of the object `owner`, with its defaults; `None` for null.
    pub(super) fn completed(&self, key: &str, owner: &str, value: Value) -> Option<Value> {
        match value {
            Value::Null => None,
            Value::Object(given) if !matches!(self.inside, Inside::Nothing) => Some(self.complete(key, given)),
            // A value that no longer fits the schema (an older release took it) counts as not set.
            other if self.takes(&other) => Some(other),
            _ => self.default_value(key, owner),
        }
    }

    /// The entries that a record always has.
    pub(super) fn built_in(&self) -> Value {
        if let Default::Made(make) = self.default { make() } else { Value::Object(Map::new()) }
    }

    /// Whether `value` may stand here as it is.
    pub(super) fn takes(&self, value: &Value) -> bool {
        self.kinds.iter().any(|kind| kind.takes(value))
    }
}

/// Whether `text` is a UUID written with its dashes.
fn is_uuid(text: &str) -> bool {
    text.len() == Hyphenated::LENGTH && Uuid::try_parse(text).is_ok()
}

/// Whether `text` may name an issuer. Whether it may be an `http` one is asked when it is used.
fn is_issuer(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none() && url.fragment().is_none()
    })
}

impl Kind {
    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Bool => value.is_boolean(),
            Self::True => value == &Value::Bool(true),
            Self::False => value == &Value::Bool(false),
            Self::Num => value.is_number(),
            Self::Str | Self::Secret => value.is_string(),
            Self::Uuid => value.as_str().is_some_and(is_uuid),
            Self::Issuer => value.as_str().is_some_and(is_issuer),
            Self::Object => value.is_object(),
            Self::Enum(texts) => value.as_str().is_some_and(|text| texts.contains(&text)),
            Self::Interval => matches!(
                value.as_array().map(Vec::as_slice),
                Some([count, unit]) if count.as_f64().is_some_and(|count| count >= 0.0 && count.fract() == 0.0)
                    && unit.as_str().is_some_and(|unit| ["day", "week", "month", "year"].contains(&unit))
            ),
        }
    }

    /// What fits, for people.
    pub(super) fn describe(self) -> String {
        match self {
            Self::Bool => "true or false".to_owned(),
            Self::True => "true".to_owned(),
            Self::False => "false".to_owned(),
            Self::Num => "a number".to_owned(),
            Self::Str | Self::Secret => "a text".to_owned(),
            Self::Uuid => "a UUID".to_owned(),
            Self::Issuer => "an https URL without query and fragment (in local mode http too)".to_owned(),
            Self::Enum(texts) => format!("one of {}", texts.join(", ")),
            Self::Interval => "[a whole number, day, week, month or year]".to_owned(),
            Self::Object => "an object".to_owned(),
        }
    }
}
