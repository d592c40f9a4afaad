//! The config of a project: what may be set is one table (`table.rs`), what each level stores is an override, and the
//! rendered result is what counts. Rules read it typed, as [`ProjectConfig`].
//!
//! `overrides.rs` checks and merges, `render.rs` applies defaults, `seal.rs` hides secrets at rest, `edit.rs` holds the
//! operations, `file.rs` sets a project up from a file. Reading it cached is [`super::config`].

mod defaults;
mod edit;
mod file;
mod overrides;
mod render;
mod schema;
mod seal;
mod table;
#[cfg(test)]
mod tests;
mod view;

use sea_orm::ConnectionTrait;
use serde_json::{Map, Value};

pub(crate) use self::edit::{change_environment_in, config_in};
pub use self::{
    edit::{
        ConfigSource, config_source, config_text, merge_override, override_text, replace_override, reset_config_keys,
        unlink_config_source,
    },
    file::{Applied, ConfigFile, WrongConfigFile, apply_config_file},
    overrides::MAX_OVERRIDE_CHARS,
    schema::ConfigLevel,
    table::{APPS, MERGE_STRATEGIES, OAUTH_PROVIDERS},
    view::*,
};
pub(super) use self::{
    edit::{record, write_settings},
    file::apply_in,
    seal::reseal,
};
use super::store;
use crate::{
    ProjectId,
    error::{Error, Result},
    secrets::Keyring,
};

/// The rendered config as JSON, secrets open, straight from the database.
pub(super) async fn rendered(
    connection: &impl ConnectionTrait,
    keyring: &Keyring,
    project_id: &ProjectId,
) -> Result<Value> {
    let stored = store::overrides(connection, project_id).await?;
    let mut combined = Map::new();
    for level in ConfigLevel::ALL {
        if let Some(row) = stored.iter().find(|row| row.level == level.as_str())
            && let Value::Object(mut settings) = row.value.clone()
        {
            seal::open_what_opens(seal::At { keyring, project_id, level }, &mut settings);
            overrides::combine(&mut combined, settings);
        }
    }
    Ok(render::render(combined))
}

/// The typed view of a rendered config.
pub(super) fn view(rendered: Value) -> Result<ProjectConfig> {
    serde_json::from_value(rendered).map_err(Error::internal)
}

/// The view of a config of which nothing but `settings` was set.
#[cfg(test)]
pub(crate) fn config_from(settings: Value) -> ProjectConfig {
    let Value::Object(settings) = settings else { panic!("settings are an object") };
    view(render::render(settings)).expect("the settings fit")
}
