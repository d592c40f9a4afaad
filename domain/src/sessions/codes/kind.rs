//! What codes are good for.

/// What a code is good for. A code of another kind is not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodeKind {
    /// Proves that a user holds an address.
    EmailVerification,
    /// Sets a new password.
    PasswordReset,
    /// Signs in whoever holds an address.
    SignIn,
    /// Stands for a sign-in that waits for its second factor.
    SecondFactor,
    /// Stands for a challenge to be answered by a new passkey.
    PasskeyRegistration,
    /// Stands for a challenge to be answered by a passkey that is known.
    PasskeySignIn,
    /// Lets somebody sign up on project `internal` where that needs an invitation.
    InternalInvite,
    /// Makes whoever brings it a member of a team.
    TeamInvitation,
    /// Stops mails of one category to a user.
    Unsubscribe,
    /// Lets a customer buy a product.
    Purchase,
}

impl CodeKind {
    /// As stored.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::EmailVerification => "email_verification",
            Self::PasswordReset => "password_reset",
            Self::SignIn => "sign_in",
            Self::SecondFactor => "second_factor",
            Self::PasskeyRegistration => "passkey_registration",
            Self::PasskeySignIn => "passkey_sign_in",
            Self::InternalInvite => "internal_invite",
            Self::TeamInvitation => "team_invitation",
            Self::Unsubscribe => "unsubscribe",
            Self::Purchase => "purchase",
        }
    }
}
