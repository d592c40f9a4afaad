//! Fields that only mails have.

use postern_domain::{
    EmailDraftId, Timestamp, UserId,
    emails::{Recipient, Theme},
    patch::Patch,
};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::openapi::{
    RefOr, Schema,
    schema::{ObjectBuilder, OneOfBuilder, Type},
};
use uuid::Uuid;

use crate::rest::input::{Field, LooseEmail, Violations, input};

/// A theme: its id, or `false` for none.
#[derive(Clone, Debug)]
pub(super) struct ThemeInput(pub(super) Theme);

impl Field for ThemeInput {
    fn schema() -> RefOr<Schema> {
        let none = ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([false]));
        OneOfBuilder::new().item(Uuid::schema()).item(none).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        if value == Value::Bool(false) {
            return Some(Self(Theme::None));
        }
        Uuid::read(value, at, violations).map(|id| Self(Theme::Id(id.to_string())))
    }
}

/// What a field that may be absent, null, an id or `false` asks for.
pub(super) fn theme(field: Patch<ThemeInput>) -> Patch<Theme> {
    field.map(|ThemeInput(theme)| theme)
}

/// A theme on its way out: as [`ThemeInput`]; left out for the selected one.
#[derive(Debug)]
pub(super) struct ThemeOut(Theme);

impl ThemeOut {
    pub(super) fn of(theme: Theme) -> Option<Self> {
        (theme != Theme::Selected).then_some(Self(theme))
    }
}

impl Serialize for ThemeOut {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Theme::Id(id) => serializer.serialize_str(id),
            Theme::None | Theme::Selected => serializer.serialize_bool(false),
        }
    }
}

impl schemars::JsonSchema for ThemeOut {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EmailThemeId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "oneOf": [{ "type": "string", "format": "uuid" }, { "const": false }] })
    }
}

/// `true` and nothing else.
#[derive(Clone, Copy, Debug)]
pub(super) struct True;

impl Field for True {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true])).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        match bool::read(value, at, violations)? {
            true => Some(Self),
            false => {
                violations.note(at, "must be true");
                None
            }
        }
    }
}

/// A JSON object of any keys.
#[derive(Clone, Debug)]
pub(super) struct AnyObject(pub(super) Map<String, Value>);

impl Field for AnyObject {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Object).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        match Value::read(value, at, violations)? {
            Value::Object(object) => Some(Self(object)),
            _ => {
                violations.note(at, "must be an object");
                None
            }
        }
    }
}

/// Milliseconds since the epoch, up to the year 9999. What is over means now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Millis(pub(super) Timestamp);

/// The end of the year 9999: what lies behind has no date.
const LAST_MILLIS: i64 = 253_402_300_799_999;

impl Field for Millis {
    fn schema() -> RefOr<Schema> {
        i64::schema()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let millis = i64::read(value, at, violations)?;
        if !(0..=LAST_MILLIS).contains(&millis) {
            violations.note(at, format!("must be 0 to {LAST_MILLIS}"));
            return None;
        }
        Some(Self(Timestamp(millis)))
    }
}

/// To whom a mail goes.
#[derive(Clone, Debug)]
pub(super) struct ToInput(pub(super) Recipient);

input! {
    struct PrimaryEmail { user_id: UserId }
}

input! {
    struct UserEmails { user_id: UserId, emails: Vec<LooseEmail> }
}

input! {
    struct Emails { emails: Vec<LooseEmail> }
}

impl Field for ToInput {
    fn schema() -> RefOr<Schema> {
        let kinds = ["user-primary-email", "user-custom-emails", "custom-emails"];
        let kind = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(kinds));
        let emails = <Vec<LooseEmail> as Field>::schema();
        let to = ObjectBuilder::new().property("type", kind).required("type");
        to.property("user_id", UserId::schema()).property("emails", emails).into()
    }

    fn read(mut value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let kind = value.as_object_mut().and_then(|object| object.remove("type"));
        let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
        let texts = |emails: Vec<LooseEmail>| emails.into_iter().map(|email| email.0).collect();
        Some(Self(match kind {
            "user-primary-email" => {
                let PrimaryEmail { user_id } = Field::read(value, at, violations)?;
                Recipient::UserPrimaryEmail { user_id }
            }
            "user-custom-emails" => {
                let UserEmails { user_id, emails } = Field::read(value, at, violations)?;
                Recipient::UserCustomEmails { user_id, emails: texts(emails) }
            }
            "custom-emails" => {
                let Emails { emails } = Field::read(value, at, violations)?;
                Recipient::CustomEmails { emails: texts(emails) }
            }
            _ => {
                let kinds = "user-primary-email, user-custom-emails or custom-emails";
                violations.note(&format!("{at}.type"), format!("must be {kinds}"));
                return None;
            }
        }))
    }
}

/// A draft by its id; any other text is no draft.
pub(super) fn draft_id(text: &str) -> EmailDraftId {
    text.parse().unwrap_or(EmailDraftId(Uuid::nil()))
}
