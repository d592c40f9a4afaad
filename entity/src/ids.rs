//! Typed ids: one type per noun, so that a user's id can never be handed where a team's is wanted.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use sea_orm::DeriveValueType;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, DeriveValueType,
        )]
        #[serde(transparent)]
        #[schemars(inline)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A fresh random id (UUID version 4).
            #[must_use]
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl sea_orm::TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
                Err(sea_orm::DbErr::ConvertFromU64(stringify!($name)))
            }
        }
    )*};
}

uuid_id! {
    /// A user of a project.
    UserId,
    /// A team of a project.
    TeamId,
    /// A session, which is one refresh token.
    SessionId,
    /// A contact channel (an e-mail address) of a user.
    ContactChannelId,
    /// A link between a user and its account at another site.
    LinkedAccountId,
    /// What another site gave to act in a user's name.
    LinkedAccountTokenId,
    /// A set of project keys.
    KeySetId,
    /// An API key of a user or a team.
    ApiKeyId,
    /// A one-time code.
    VerificationCodeId,
    /// An invitation into a team.
    TeamInvitationId,
    /// A login of a program without a browser, which a browser completes.
    CliLoginId,
    /// A code by which a program gets a session over from a browser.
    AuthorizationCodeId,
    /// A visit to a site that somebody signs in with.
    OAuthVisitId,
    /// A sign-up rule that applied.
    SignUpRuleTriggerId,
    /// An uploaded picture.
    ImageId,
    /// What a customer has of an item.
    ItemBalanceId,
    /// Something that was sold or granted: a subscription or a one-time purchase.
    PurchaseId,
    /// A customer at Stripe.
    StripeCustomerId,
    /// Something that was asked of Stripe.
    StripeOperationId,
    /// An entry of a ledger of items.
    ItemChangeId,
    /// An entry of the event log.
    EventId,
    /// A job of the queue.
    JobId,
    /// A mail of the outbox.
    EmailId,
    /// A mail that is being written.
    EmailDraftId,
    /// One content on its way to many users.
    EmailBatchId,
    /// An endpoint that receives webhooks.
    WebhookEndpointId,
    /// A message fanned out to webhook endpoints.
    WebhookMessageId,
    /// The delivery of one message to one endpoint.
    WebhookDeliveryId,
    /// One try of a delivery.
    WebhookAttemptId,
}

/// The id of a project: the literal `internal`, or a lower-case UUID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, DeriveValueType)]
#[serde(transparent)]
#[schemars(inline)]
pub struct ProjectId(pub String);

impl ProjectId {
    /// A fresh random id.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    /// The project whose users administer all other projects.
    #[must_use]
    pub fn internal() -> Self {
        Self("internal".to_owned())
    }

    /// Whether this is the project `internal`.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.0 == "internal"
    }

    /// The id as text, as headers and tokens carry it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl sea_orm::TryFromU64 for ProjectId {
    fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
        Err(sea_orm::DbErr::ConvertFromU64(stringify!(ProjectId)))
    }
}
