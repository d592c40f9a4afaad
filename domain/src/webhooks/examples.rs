//! What the data of each type of event looks like, filled in everywhere: for messages that only show it, and to check
//! selections by. The forms are those of wire/webhooks §2 and of the table of event types.

use serde_json::{Value, json};

use crate::events::EventKind;

const USER: &str = "11111111-1111-4111-8111-111111111111";
const TEAM: &str = "22222222-2222-4222-8222-222222222222";
const OTHER: &str = "33333333-3333-4333-8333-333333333333";

/// Data of this type; null for types that no endpoint gets.
pub(super) fn example(kind: EventKind) -> Value {
    use EventKind as Kind;
    match kind {
        Kind::UserCreated | Kind::UserUpdated => user(),
        Kind::UserDeleted => json!({ "id": USER, "teams": [{ "id": TEAM }] }),
        Kind::TeamCreated | Kind::TeamUpdated => team(),
        Kind::TeamDeleted => json!({ "id": TEAM }),
        Kind::TeamMembershipCreated | Kind::TeamMembershipDeleted => json!({ "team_id": TEAM, "user_id": USER }),
        Kind::TeamPermissionCreated | Kind::TeamPermissionDeleted => {
            json!({ "id": "team_member", "team_id": TEAM, "user_id": USER })
        }
        Kind::ProjectPermissionCreated | Kind::ProjectPermissionDeleted => json!({ "id": "reader", "user_id": USER }),
        Kind::StackTest => json!({ "message": "This is a test message.", "endpointUrl": "https://example.com/hook" }),
        Kind::SessionCreated
        | Kind::SessionRevoked
        | Kind::ContactChannelDeleted
        | Kind::LinkedAccountDeleted
        | Kind::EmailSent
        | Kind::EmailFailed => json!({ "id": OTHER, "user_id": USER }),
        Kind::ContactChannelCreated | Kind::ContactChannelUpdated => json!({
            "id": OTHER,
            "user_id": USER,
            "type": "email",
            "value": "ada@example.com",
            "is_primary": true,
            "is_verified": true,
            "used_for_auth": true,
        }),
        Kind::LinkedAccountCreated | Kind::LinkedAccountUpdated => json!({
            "id": OTHER,
            "user_id": USER,
            "email": "ada@example.com",
            "provider_config_id": "github",
            "type": "github",
            "allow_sign_in": true,
            "allow_connected_accounts": true,
            "account_id": "583231",
        }),
        Kind::UserPasswordChanged => json!({ "user_id": USER }),
        Kind::TeamInvitationCreated | Kind::TeamInvitationRevoked => json!({ "id": OTHER, "team_id": TEAM }),
        Kind::TeamInvitationAccepted => json!({ "id": OTHER, "team_id": TEAM, "user_id": USER }),
        Kind::NotificationPreferenceUpdated => {
            json!({ "user_id": USER, "notification_category_id": OTHER, "enabled": true })
        }
        Kind::ItemChanged => {
            json!({ "customer_type": "user", "customer_id": USER, "item_id": "credits", "quantity": 10 })
        }
        Kind::WebhookEndpointDisabled => json!({
            "id": OTHER,
            "url": "https://example.com/hook",
            "reason": "failing",
            "failing_since_millis": 1_700_000_000_000_i64,
        }),
        Kind::WebhookMessageFailing | Kind::WebhookMessageExhausted | Kind::WebhookMessageRecovered => json!({
            "message_id": "msg_33333333333343338333333333333333",
            "endpoint_id": "ep_33333333333343338333333333333333",
            "event_type": "user.updated",
            "last_attempt": {
                "id": "atmpt_33333333333343338333333333333333",
                "response_status_code": 500,
                "timestamp_millis": 1_700_000_000_000_i64,
            },
        }),
        Kind::ProjectCreated
        | Kind::ProjectUpdated
        | Kind::ProjectTransferred
        | Kind::ProjectDeleted
        | Kind::ConfigUpdated
        | Kind::KeySetCreated
        | Kind::KeySetUpdated
        | Kind::ApiKeyCreated
        | Kind::ApiKeyUpdated
        | Kind::ApiKeyRevoked
        | Kind::ApiKeyUsed
        | Kind::SignInSucceeded
        | Kind::SignInFailed
        | Kind::SignUpRejected
        | Kind::SessionImpersonated
        | Kind::SessionHandedOver
        | Kind::FactorChanged
        | Kind::WebhookEndpointCreated
        | Kind::WebhookEndpointUpdated
        | Kind::WebhookEndpointDeleted
        | Kind::WebhookSecretRotated => Value::Null,
    }
}

fn user() -> Value {
    json!({
        "id": USER,
        "primary_email": "ada@example.com",
        "primary_email_verified": true,
        "primary_email_auth_enabled": true,
        "display_name": "Ada",
        "selected_team": team(),
        "selected_team_id": TEAM,
        "profile_image_url": "https://example.com/ada.png",
        "signed_up_at_millis": 1_700_000_000_000_i64,
        "last_active_at_millis": 1_700_000_000_000_i64,
        "has_password": true,
        "otp_auth_enabled": false,
        "passkey_auth_enabled": false,
        "client_metadata": { "theme": "dark" },
        "client_read_only_metadata": { "plan": "pro" },
        "server_metadata": { "crm": "4711" },
        "is_anonymous": false,
        "is_restricted": true,
        "restricted_reason": { "type": "restricted_by_administrator" },
        "restricted_by_admin": true,
        "restricted_by_admin_reason": "Unpaid",
        "restricted_by_admin_private_details": "Ticket 7",
        "country_code": "SE",
        "risk_scores": { "sign_up": { "bot": 0, "free_trial_abuse": 0 } },
        "oauth_providers": [{ "id": "github", "account_id": "583231", "email": "ada@example.com" }],
        "auth_with_email": true,
        "requires_totp_mfa": false,
    })
}

fn team() -> Value {
    json!({
        "id": TEAM,
        "display_name": "Analysts",
        "profile_image_url": "https://example.com/team.png",
        "client_metadata": { "colour": "red" },
        "client_read_only_metadata": { "seats": 5 },
        "server_metadata": { "crm": "42" },
        "created_at_millis": 1_700_000_000_000_i64,
    })
}

#[cfg(test)]
mod tests {
    use serde::{Serialize, de::DeserializeOwned};

    use super::*;
    use crate::{
        events::Audience, linked_accounts::WireLinkedAccount, teams::wire::ServerTeam,
        users::channels::WireContactChannel, users::wire::ServerUser,
    };

    #[test]
    fn every_type_that_endpoints_get_has_an_example_and_no_other() {
        for kind in EventKind::ALL {
            let is_sent = kind.audience() != Audience::None || *kind == EventKind::StackTest;
            assert_eq!(example(*kind).is_object(), is_sent, "{kind}");
        }
    }

    #[test]
    fn examples_have_the_form_of_what_is_sent() {
        fn assert_is<T: Serialize + DeserializeOwned>(kind: EventKind) {
            let read: T = serde_json::from_value(example(kind)).unwrap();
            assert_eq!(serde_json::to_value(read).unwrap(), example(kind), "{kind}");
        }
        assert_is::<ServerUser>(EventKind::UserCreated);
        assert_is::<ServerTeam>(EventKind::TeamUpdated);
        assert_is::<WireContactChannel>(EventKind::ContactChannelCreated);
        assert_is::<WireLinkedAccount>(EventKind::LinkedAccountUpdated);
    }
}
