//! The built-in themes: ids are facts of the REST contract, sources are ours and compiled in.

/// A theme that every project can select.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltInTheme {
    /// Its id on the wire.
    pub id: &'static str,
    /// Its name, for people.
    pub display_name: &'static str,
    /// Its source; see `render.rs` for what a source may say.
    pub source: &'static str,
}

/// The selection of a new project, and what stands in for an unknown selection.
pub const DEFAULT_THEME: BuiltInTheme = BuiltInTheme {
    id: "1df07ae6-abf3-4a40-83a5-a1a2cbe336ac",
    display_name: "Default Light",
    source: include_str!("themes/light.mjml"),
};

/// All of them, in the order in which they are listed.
pub const BUILT_IN_THEMES: &[BuiltInTheme] = &[DEFAULT_THEME];

/// The source of the theme with this id, of the default one when there is no such theme; `None` when none is wanted.
pub(super) fn source(id: Option<&str>) -> Option<String> {
    let id = id?;
    let theme = BUILT_IN_THEMES.iter().find(|theme| theme.id == id).unwrap_or(&DEFAULT_THEME);
    Some(theme.source.to_owned())
}
