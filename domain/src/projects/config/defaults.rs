//! Record entries that every project has without setting them: apps, e-mail themes and templates.

use serde_json::{Map, Value};

use super::table::APPS;

/// Every app, not enabled.
pub(super) fn apps() -> Value {
    APPS.iter().map(|app| ((*app).to_owned(), Value::Object(Map::new()))).collect::<Map<_, _>>().into()
}

/// The built-in themes.
pub(super) fn email_themes() -> Value {
    Value::Object(Map::new())
}

/// The built-in templates.
pub(super) fn email_templates() -> Value {
    Value::Object(Map::new())
}
