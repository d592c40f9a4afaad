//! Record entries that every project has without setting them: apps, e-mail themes and templates.

use serde_json::{Map, Value, json};

use super::table::APPS;
use crate::emails::{BUILT_IN_TEMPLATES, BUILT_IN_THEMES};

/// Every app, not enabled.
pub(super) fn apps() -> Value {
    APPS.iter().map(|app| ((*app).to_owned(), json!({}))).collect::<Map<_, _>>().into()
}

/// The built-in themes.
pub(super) fn email_themes() -> Value {
    let entry = |name: &str, source: &str| json!({ "displayName": name, "tsxSource": source });
    let themes = BUILT_IN_THEMES.iter().map(|theme| (theme.id.to_owned(), entry(theme.display_name, theme.source)));
    themes.collect::<Map<_, _>>().into()
}

/// The built-in templates.
pub(super) fn email_templates() -> Value {
    let entry = |name: &str, source: &str| json!({ "displayName": name, "tsxSource": source });
    let templates = BUILT_IN_TEMPLATES.iter().map(|one| (one.id.to_owned(), entry(one.display_name, one.source)));
    templates.collect::<Map<_, _>>().into()
}
