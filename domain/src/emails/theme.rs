//! The built-in themes: ids are facts of the REST contract, sources are ours and compiled in.
//!
//! Each says how `mj-text`, `mj-table` and `mj-button` look, and defines the classes that the built-in templates use, so that
//! every template looks right in every theme:
//!
//! | `mj-class` | of | for |
//! |---|---|---|
//! | `title` | `mj-text` | the heading |
//! | `small` | `mj-text` | what is said by the way |
//! | `panel` | `mj-column` | a tinted box, in a section of its own |
//! | `code` | `mj-text` in a panel | a code to be typed |
//! | `details` | `mj-table` in a panel | names and values, one a row |

/// A theme that every project can select.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltInTheme {
    /// Its id on the wire.
    pub id: &'static str,
    /// Its name, for people.
    pub display_name: &'static str,
    /// Its source; see `render` for what a source may say.
    pub source: &'static str,
}

/// The selection of a new project, and what stands in for an unknown selection.
pub const DEFAULT_THEME: BuiltInTheme = BuiltInTheme {
    id: "1df07ae6-abf3-4a40-83a5-a1a2cbe336ac",
    display_name: "Default Light",
    source: include_str!("themes/light.mjml"),
};

const DARK: BuiltInTheme = BuiltInTheme {
    id: "a0172b5d-cff0-463b-83bb-85124697373a",
    display_name: "Default Dark",
    source: include_str!("themes/dark.mjml"),
};

const COLORFUL: BuiltInTheme = BuiltInTheme {
    id: "c7e2d94f-8a1b-4e6d-b3f5-9d0a2e7c1b8f",
    display_name: "Default Colorful",
    source: include_str!("themes/colorful.mjml"),
};

/// All of them, in the order in which they are listed.
pub const BUILT_IN_THEMES: &[BuiltInTheme] = &[DEFAULT_THEME, DARK, COLORFUL];

/// Whether a source is one of ours, unchanged.
pub(super) fn is_built_in(source: &str) -> bool {
    BUILT_IN_THEMES.iter().any(|theme| theme.source == source)
}
