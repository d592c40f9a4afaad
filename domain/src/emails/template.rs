//! The built-in templates: ids are facts of the REST contract, sources are ours (MiniJinja over MJML) and compiled in.

/// A template that every project has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltInTemplate {
    /// Its id on the wire.
    pub id: &'static str,
    /// Its name, for people.
    pub display_name: &'static str,
    /// Its source; see `render.rs` for what a source may say.
    pub source: &'static str,
}

pub(super) const EMAIL_VERIFICATION: BuiltInTemplate = BuiltInTemplate {
    id: "e7d009ce-8d47-4528-b245-5bf119f2ffa3",
    display_name: "Email Verification",
    source: include_str!("templates/email_verification.mjml"),
};

pub(super) const PASSWORD_RESET: BuiltInTemplate = BuiltInTemplate {
    id: "a70fb3a4-56c1-4e42-af25-49d25603abd0",
    display_name: "Password Reset",
    source: include_str!("templates/password_reset.mjml"),
};

pub(super) const TEAM_INVITATION: BuiltInTemplate = BuiltInTemplate {
    id: "e84de395-2076-4831-9c19-8e9a96a868e4",
    display_name: "Team Invitation",
    source: include_str!("templates/team_invitation.mjml"),
};

/// What the owner of a leaked API key is told. Not one of those that a project can change (wire: emails §11).
pub(super) const API_KEY_REVOKED: &str = include_str!("templates/api_key_revoked.mjml");

/// All of them.
pub const BUILT_IN_TEMPLATES: &[BuiltInTemplate] = &[EMAIL_VERIFICATION, PASSWORD_RESET, TEAM_INVITATION];
