//! The built-in templates: ids are facts of the REST contract, sources are ours (MiniJinja over MJML) and compiled in.

/// A template that every project has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltInTemplate {
    /// Its id on the wire.
    pub id: &'static str,
    /// Its name, for people.
    pub display_name: &'static str,
    /// Its source; see `render` for what a source may say.
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

pub(super) const MAGIC_LINK: BuiltInTemplate = BuiltInTemplate {
    id: "822687fe-8d0a-4467-a0d1-416b6e639478",
    display_name: "Magic Link/OTP",
    source: include_str!("templates/magic_link.mjml"),
};

pub(super) const TEAM_INVITATION: BuiltInTemplate = BuiltInTemplate {
    id: "e84de395-2076-4831-9c19-8e9a96a868e4",
    display_name: "Team Invitation",
    source: include_str!("templates/team_invitation.mjml"),
};

pub(super) const SIGN_IN_INVITATION: BuiltInTemplate = BuiltInTemplate {
    id: "066dd73c-36da-4fd0-b6d6-ebf87683f8bc",
    display_name: "Sign In Invitation",
    source: include_str!("templates/sign_in_invitation.mjml"),
};

pub(super) const PAYMENT_RECEIPT: BuiltInTemplate = BuiltInTemplate {
    id: "70372aee-0441-4d80-974c-2e858e40123a",
    display_name: "Payment Receipt",
    source: include_str!("templates/payment_receipt.mjml"),
};

pub(super) const PAYMENT_FAILED: BuiltInTemplate = BuiltInTemplate {
    id: "f64b1afe-27ec-4a28-a277-7178f3261f9a",
    display_name: "Payment Failed",
    source: include_str!("templates/payment_failed.mjml"),
};

/// What the owner of a leaked API key is told. Not one of those that a project can change (wire: emails §11).
pub(super) const API_KEY_REVOKED: &str = include_str!("templates/api_key_revoked.mjml");

/// What the owner of a project is told whose mails failed.
pub(super) const FAILED_EMAILS: &str = include_str!("templates/failed_emails.mjml");

/// What the owner of a project is told of whose webhook endpoints one was disabled.
pub(super) const WEBHOOK_ENDPOINT_DISABLED: &str = include_str!("templates/webhook_endpoint_disabled.mjml");

/// All of them, in the order in which they are listed.
pub const BUILT_IN_TEMPLATES: &[BuiltInTemplate] = &[
    EMAIL_VERIFICATION,
    PASSWORD_RESET,
    MAGIC_LINK,
    TEAM_INVITATION,
    SIGN_IN_INVITATION,
    PAYMENT_RECEIPT,
    PAYMENT_FAILED,
];

/// Whether a source is one of ours, unchanged.
pub(super) fn is_built_in(source: &str) -> bool {
    let others = [API_KEY_REVOKED, FAILED_EMAILS, WEBHOOK_ENDPOINT_DISABLED];
    others.contains(&source) || BUILT_IN_TEMPLATES.iter().any(|template| template.source == source)
}
