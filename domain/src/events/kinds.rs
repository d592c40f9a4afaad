//! Every type of event, in one table.

use std::{fmt, str::FromStr};

/// Who hears of a type of event without asking for more than webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Part of the webhook contract: every endpoint without a filter gets it.
    Wire,
    /// Sent to endpoints that name it in their filter.
    OptIn,
    /// In the log only: subscriptions, queries and audit.
    None,
}

macro_rules! event_kinds {
    ($($(#[doc = $doc:literal])* $name:ident $text:literal $audience:ident)*) => {
        /// A type of event. Its text is API; a type is never renamed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventKind { $($(#[doc = $doc])* $name,)* }

        impl EventKind {
            /// All types.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The type as receivers and the log see it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// When it happens, and what its payload is.
            #[must_use]
            pub fn description(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_start(),)* }
            }

            /// Whether it is there for administrators to look back at.
            #[must_use]
            pub fn is_audit(self) -> bool {
                let besides = matches!(self, Self::SessionRevoked | Self::UserPasswordChanged | Self::UserDeleted);
                besides || (self.audience() == Audience::None && self != Self::StackTest)
            }

            /// Who hears of it.
            #[must_use]
            pub fn audience(self) -> Audience {
                match self { $(Self::$name => Audience::$audience,)* }
            }
        }

        impl FromStr for EventKind {
            type Err = UnknownEventKind;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$name),)*
                    _ => Err(UnknownEventKind(text.to_owned())),
                }
            }
        }
    };
}

event_kinds! {
    // The webhook contract. Payloads: the server's view as REST answers it.
    /// A user was made, by whatever route. Payload: the user.
    UserCreated "user.created" Wire
    /// A user was changed, or patched without a change. Payload: the user.
    UserUpdated "user.updated" Wire
    /// A user was deleted. Payload: `{id, teams: [{id}]}`.
    UserDeleted "user.deleted" Wire
    /// A team was made. Payload: the team.
    TeamCreated "team.created" Wire
    /// A team was changed. Payload: the team.
    TeamUpdated "team.updated" Wire
    /// A team was deleted. Payload: `{id}`.
    TeamDeleted "team.deleted" Wire
    /// Somebody joined a team. Payload: `{team_id, user_id}`.
    TeamMembershipCreated "team_membership.created" Wire
    /// Somebody left a team or was removed. Payload: `{team_id, user_id}`.
    TeamMembershipDeleted "team_membership.deleted" Wire
    /// A permission within a team was granted. Payload: `{id, team_id, user_id}`.
    TeamPermissionCreated "team_permission.created" Wire
    /// A permission within a team was revoked. Payload: `{id, team_id, user_id}`.
    TeamPermissionDeleted "team_permission.deleted" Wire
    /// A permission within the project was granted. Payload: `{id, user_id}`.
    ProjectPermissionCreated "project_permission.created" Wire
    /// A permission within the project was revoked. Payload: `{id, user_id}`.
    ProjectPermissionDeleted "project_permission.deleted" Wire
    /// A test message. The test call sends it to endpoints by itself; it does not pass through the log.
    StackTest "stack.test" None

    // Ours, for endpoints that ask for them.
    /// Somebody signed in. Payload: `{id, user_id}`; id = session.
    SessionCreated "session.created" OptIn
    /// A session ended before its time. Payload: `{id, user_id}`.
    SessionRevoked "session.revoked" OptIn
    /// A contact channel was added. Payload: the channel.
    ContactChannelCreated "contact_channel.created" OptIn
    /// A contact channel was changed or verified. Payload: the channel.
    ContactChannelUpdated "contact_channel.updated" OptIn
    /// A contact channel was removed. Payload: `{id, user_id}`.
    ContactChannelDeleted "contact_channel.deleted" OptIn
    /// An account of another site was linked to a user. Payload: the link.
    LinkedAccountCreated "linked_account.created" OptIn
    /// A linked account was changed. Payload: the link.
    LinkedAccountUpdated "linked_account.updated" OptIn
    /// A linked account was removed. Payload: `{id, user_id}`.
    LinkedAccountDeleted "linked_account.deleted" OptIn
    /// A user's password was set, changed or removed. Payload: `{user_id}`.
    UserPasswordChanged "user.password_changed" OptIn
    /// Somebody was invited into a team. Payload: `{id, team_id}`; id = invitation.
    TeamInvitationCreated "team_invitation.created" OptIn
    /// An invitation into a team was accepted. Payload: `{id, team_id, user_id}`.
    TeamInvitationAccepted "team_invitation.accepted" OptIn
    /// An invitation into a team was taken back. Payload: `{id, team_id}`.
    TeamInvitationRevoked "team_invitation.revoked" OptIn
    /// A user switched a category of mails on or off. Payload: `{user_id, notification_category_id, enabled}`.
    NotificationPreferenceUpdated "notification_preference.updated" OptIn
    /// A mail was accepted by its server. Payload: `{id, user_id}`; id = mail.
    EmailSent "email.sent" OptIn
    /// A mail was given up: it does not render, no server takes it, or it came back. Payload: `{id, user_id}`.
    EmailFailed "email.failed" OptIn
    /// What a customer has of an item was changed, or changed by the passing of time. Payload: `{customer_type, customer_id,
    /// item_id, quantity}`.
    ItemChanged "item.changed" OptIn

    // Ours, about webhooks themselves. An endpoint never gets those about itself, and none is written about the delivery of
    // another one of them. Ids are those that receivers see.
    /// A webhook endpoint was disabled because it keeps failing or is gone. Payload: `{id, url, reason: failing | gone,
    /// failing_since_millis?}`.
    WebhookEndpointDisabled "webhook_endpoint.disabled" OptIn
    /// The fourth attempt to deliver a message failed; more follow. Payload: `{message_id, endpoint_id, event_type,
    /// last_attempt: {id, response_status_code, timestamp_millis}}`.
    WebhookMessageFailing "webhook_message.failing" OptIn
    /// The last attempt to deliver a message failed. Payload: the same.
    WebhookMessageExhausted "webhook_message.exhausted" OptIn
    /// A message was delivered at the fifth attempt or later. Payload: the same.
    WebhookMessageRecovered "webhook_message.recovered" OptIn

    // Ours, for audit.
    // Those about projects, config and keys also tell the `actor`: `{project_id, level, user_id?, api_key_id?, owner_id?}`, or
    // null when the installation itself did it; `owner_id` is a user of project `internal`.
    /// A project was made. Payload: `{id, owner_team_id, actor}`.
    ProjectCreated "project.created" None
    /// A project was changed. Payload: `{id, changed: [field], actor}`.
    ProjectUpdated "project.updated" None
    /// A project was handed over. Payload: `{id, from_team_id, to_team_id, actor}`; teams of project `internal`.
    ProjectTransferred "project.transferred" None
    /// A project was deleted, its own log with it: stands in that of project `internal`. Payload: `{id, actor}`.
    ProjectDeleted "project.deleted" None
    /// The config of a project was changed. Payload: `{level, change: replaced | merged | reset | unlinked, keys: [path],
    /// actor}`.
    ConfigUpdated "config.updated" None
    /// A key set was made. Payload: `{id, actor}`.
    KeySetCreated "key_set.created" None
    /// A key set was changed or revoked. Payload: `{id, changed: [description | revoked], actor}`.
    KeySetUpdated "key_set.updated" None
    /// An API key was made. Payload: `{id, user_id | team_id, is_public, actor}`.
    ApiKeyCreated "api_key.created" None
    /// An API key was described anew. Payload: `{id, user_id | team_id, actor}`.
    ApiKeyUpdated "api_key.updated" None
    /// An API key was revoked. Payload: `{id, user_id | team_id, leaked, actor}`; nobody is known who reports a leaked one.
    ApiKeyRevoked "api_key.revoked" None
    // Those about signing in also tell `address`, `user_agent` and `country` of the caller.
    /// Somebody signed in. Payload: `{session_id, user_id, method, factor, is_new_user, actor}`.
    SignInSucceeded "sign_in.succeeded" None
    /// Somebody did not prove to be who it said. Payload: `{user_id, method, factor, reason, actor}`; `user_id` is null where
    /// there is no such account.
    SignInFailed "sign_in.failed" None
    /// A sign-up rule kept somebody out. Payload: `{rule_id, method, actor}`; `rule_id` is null where no rule let them in.
    SignUpRejected "sign_up.rejected" None
    /// An administrator began a session to act as a user. Payload: `{session_id, user_id, actor}`.
    SessionImpersonated "session.impersonated" None
    /// A session was handed to a program or another origin. Payload: `{session_id, user_id, to: cli | origin, actor}`.
    SessionHandedOver "session.handed_over" None
    /// A password, a second factor, a passkey or recovery codes of a user were set, used or removed. Payload: `{user_id, factor:
    /// password | totp | passkey | recovery_codes, change: set | used | removed, actor}`; from where only if the user did it.
    FactorChanged "factor.changed" None
    /// An API key was good for something, for the first time in an hour. Payload: `{id, user_id | team_id}`.
    ApiKeyUsed "api_key.used" None
    /// A webhook endpoint was made. Payload: `{id}`.
    WebhookEndpointCreated "webhook_endpoint.created" None
    /// A webhook endpoint was changed, by its owner or by being disabled. Payload: `{id}`.
    WebhookEndpointUpdated "webhook_endpoint.updated" None
    /// A webhook endpoint was removed. Payload: `{id}`.
    WebhookEndpointDeleted "webhook_endpoint.deleted" None
    /// The secret of a webhook endpoint was rotated. Payload: `{id}`.
    WebhookSecretRotated "webhook_endpoint.secret_rotated" None
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no such type of event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown event type: {0}")]
pub struct UnknownEventKind(pub String);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_type_has_a_text_of_its_own_and_is_found_by_it() {
        let texts: HashSet<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(texts.len(), EventKind::ALL.len());
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert!("user.exploded".parse::<EventKind>().is_err());
    }

    #[test]
    fn endpoints_without_a_filter_get_exactly_the_types_of_the_webhook_contract() {
        let wire: Vec<_> =
            EventKind::ALL.iter().filter(|kind| kind.audience() == Audience::Wire).map(|kind| kind.as_str()).collect();
        assert_eq!(
            wire,
            [
                "user.created",
                "user.updated",
                "user.deleted",
                "team.created",
                "team.updated",
                "team.deleted",
                "team_membership.created",
                "team_membership.deleted",
                "team_permission.created",
                "team_permission.deleted",
                "project_permission.created",
                "project_permission.deleted",
            ]
        );
    }
}
