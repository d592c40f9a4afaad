//! Every code that either door may answer, in one table. The wire codes and their statuses are facts of the REST contract;
//! the others are ours: GraphQL shows them, REST sends their status with text.

use std::fmt;

/// What sort of failure a code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Who asks is not known well enough.
    Unauthenticated,
    /// Known, seen, but not allowed.
    Forbidden,
    /// Not there, or not to be seen.
    NotFound,
    /// Clashes with what is there.
    Conflict,
    /// The input does not fit.
    Invalid,
    /// Too much or too often.
    Limit,
    /// Not now.
    Unavailable,
}

macro_rules! codes {
    (wire { $($wire:ident $wire_text:literal $wire_status:literal $wire_kind:ident)* } own { $($own:ident $own_text:literal $own_status:literal $own_kind:ident)* }) => {
        /// A stable code. Its text is API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the text of each code says what it is; the table is the documentation")]
        pub enum Code { $($wire,)* $($own,)* }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$wire,)* $(Self::$own,)*];

            /// The code as clients see it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$wire => $wire_text,)* $(Self::$own => $own_text,)* }
            }

            /// The HTTP status.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$wire => $wire_status,)* $(Self::$own => $own_status,)* }
            }

            /// What sort of failure it is.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self { $(Self::$wire => Kind::$wire_kind,)* $(Self::$own => Kind::$own_kind,)* }
            }

            /// Whether the REST contract knows the code. The others go out as status and text there.
            #[must_use]
            pub fn is_wire(self) -> bool {
                match self { $(Self::$wire => true,)* $(Self::$own => false,)* }
            }
        }
    };
}

codes! {
    wire {
        BodyParsingError "BODY_PARSING_ERROR" 400 Invalid
        SchemaError "SCHEMA_ERROR" 400 Invalid
        AllOverloadsFailed "ALL_OVERLOADS_FAILED" 400 Invalid
        ProjectKeyWithoutAccessType "PROJECT_KEY_WITHOUT_ACCESS_TYPE" 400 Invalid
        InvalidAccessType "INVALID_ACCESS_TYPE" 400 Invalid
        AccessTypeWithoutProjectId "ACCESS_TYPE_WITHOUT_PROJECT_ID" 400 Invalid
        AccessTypeRequired "ACCESS_TYPE_REQUIRED" 400 Invalid
        InsufficientAccessType "INSUFFICIENT_ACCESS_TYPE" 401 Unauthenticated
        InvalidPublishableClientKey "INVALID_PUBLISHABLE_CLIENT_KEY" 401 Unauthenticated
        InvalidSecretServerKey "INVALID_SECRET_SERVER_KEY" 401 Unauthenticated
        InvalidSuperSecretAdminKey "INVALID_SUPER_SECRET_ADMIN_KEY" 401 Unauthenticated
        UnparsableAdminAccessToken "UNPARSABLE_ADMIN_ACCESS_TOKEN" 401 Unauthenticated
        AdminAccessTokenExpired "ADMIN_ACCESS_TOKEN_EXPIRED" 401 Unauthenticated
        AdminAccessTokenIsNotAdmin "ADMIN_ACCESS_TOKEN_IS_NOT_ADMIN" 401 Unauthenticated
        PublishableClientKeyRequiredForProject "PUBLISHABLE_CLIENT_KEY_REQUIRED_FOR_PROJECT" 401 Unauthenticated
        ServerAuthenticationRequired "SERVER_AUTHENTICATION_REQUIRED" 401 Unauthenticated
        AdminAuthenticationRequired "ADMIN_AUTHENTICATION_REQUIRED" 401 Unauthenticated
        ExpectedInternalProject "EXPECTED_INTERNAL_PROJECT" 401 Unauthenticated
        UnparsableAccessToken "UNPARSABLE_ACCESS_TOKEN" 401 Unauthenticated
        AccessTokenExpired "ACCESS_TOKEN_EXPIRED" 401 Unauthenticated
        InvalidProjectForAccessToken "INVALID_PROJECT_FOR_ACCESS_TOKEN" 401 Unauthenticated
        RefreshTokenNotFoundOrExpired "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED" 401 Unauthenticated
        CannotDeleteCurrentSession "CANNOT_DELETE_CURRENT_SESSION" 400 Invalid
        UserEmailAlreadyExists "USER_EMAIL_ALREADY_EXISTS" 409 Conflict
        CannotGetOwnUserWithoutUser "CANNOT_GET_OWN_USER_WITHOUT_USER" 400 Invalid
        UserIdDoesNotExist "USER_ID_DOES_NOT_EXIST" 400 Invalid
        UserNotFound "USER_NOT_FOUND" 404 NotFound
        RestrictedUserNotAllowed "RESTRICTED_USER_NOT_ALLOWED" 403 Forbidden
        ProjectNotFound "PROJECT_NOT_FOUND" 404 NotFound
        CurrentProjectNotFound "CURRENT_PROJECT_NOT_FOUND" 400 Invalid
        BranchDoesNotExist "BRANCH_DOES_NOT_EXIST" 400 Invalid
        SignUpNotEnabled "SIGN_UP_NOT_ENABLED" 400 Invalid
        SignUpRejected "SIGN_UP_REJECTED" 403 Forbidden
        BotChallengeRequired "BOT_CHALLENGE_REQUIRED" 409 Conflict
        BotChallengeFailed "BOT_CHALLENGE_FAILED" 400 Invalid
        PasswordAuthenticationNotEnabled "PASSWORD_AUTHENTICATION_NOT_ENABLED" 400 Invalid
        PasskeyAuthenticationNotEnabled "PASSKEY_AUTHENTICATION_NOT_ENABLED" 400 Invalid
        AnonymousAuthenticationNotAllowed "ANONYMOUS_AUTHENTICATION_NOT_ALLOWED" 401 Unauthenticated
        EmailPasswordMismatch "EMAIL_PASSWORD_MISMATCH" 400 Invalid
        RedirectUrlNotWhitelisted "REDIRECT_URL_NOT_WHITELISTED" 400 Invalid
        PasswordTooShort "PASSWORD_TOO_SHORT" 400 Invalid
        PasswordTooLong "PASSWORD_TOO_LONG" 400 Invalid
        UserDoesNotHavePassword "USER_DOES_NOT_HAVE_PASSWORD" 400 Invalid
        PasswordConfirmationMismatch "PASSWORD_CONFIRMATION_MISMATCH" 400 Invalid
        VerificationCodeNotFound "VERIFICATION_CODE_NOT_FOUND" 404 NotFound
        VerificationCodeExpired "VERIFICATION_CODE_EXPIRED" 400 Invalid
        VerificationCodeAlreadyUsed "VERIFICATION_CODE_ALREADY_USED" 409 Conflict
        VerificationCodeMaxAttemptsReached "VERIFICATION_CODE_MAX_ATTEMPTS_REACHED" 400 Invalid
        EmailAlreadyVerified "EMAIL_ALREADY_VERIFIED" 409 Conflict
        EmailIsNotPrimaryEmail "EMAIL_IS_NOT_PRIMARY_EMAIL" 400 Invalid
        PasskeyRegistrationFailed "PASSKEY_REGISTRATION_FAILED" 400 Invalid
        PasskeyAuthenticationFailed "PASSKEY_AUTHENTICATION_FAILED" 400 Invalid
        PermissionNotFound "PERMISSION_NOT_FOUND" 404 NotFound
        WrongPermissionScope "WRONG_PERMISSION_SCOPE" 404 NotFound
        ContainedPermissionNotFound "CONTAINED_PERMISSION_NOT_FOUND" 400 Invalid
        PermissionIdAlreadyExists "PERMISSION_ID_ALREADY_EXISTS" 400 Invalid
        TeamNotFound "TEAM_NOT_FOUND" 404 NotFound
        TeamMembershipNotFound "TEAM_MEMBERSHIP_NOT_FOUND" 404 NotFound
        TeamMembershipAlreadyExists "TEAM_MEMBERSHIP_ALREADY_EXISTS" 409 Conflict
        TeamInvitationRestrictedUserNotAllowed "TEAM_INVITATION_RESTRICTED_USER_NOT_ALLOWED" 403 Forbidden
        ProjectPermissionRequired "PROJECT_PERMISSION_REQUIRED" 401 Unauthenticated
        TeamPermissionRequired "TEAM_PERMISSION_REQUIRED" 401 Unauthenticated
        TeamPermissionNotFound "TEAM_PERMISSION_NOT_FOUND" 401 Unauthenticated
        UserAuthenticationRequired "USER_AUTHENTICATION_REQUIRED" 401 Unauthenticated
        OauthConnectionNotConnectedToUser "OAUTH_CONNECTION_NOT_CONNECTED_TO_USER" 400 Invalid
        OauthConnectionAlreadyConnectedToAnotherUser "OAUTH_CONNECTION_ALREADY_CONNECTED_TO_ANOTHER_USER" 409 Conflict
        OauthConnectionDoesNotHaveRequiredScope "OAUTH_CONNECTION_DOES_NOT_HAVE_REQUIRED_SCOPE" 400 Invalid
        OauthExtraScopeNotAvailableWithSharedOauthKeys "OAUTH_EXTRA_SCOPE_NOT_AVAILABLE_WITH_SHARED_OAUTH_KEYS" 400 Invalid
        OauthAccessTokenNotAvailableWithSharedOauthKeys "OAUTH_ACCESS_TOKEN_NOT_AVAILABLE_WITH_SHARED_OAUTH_KEYS" 400 Invalid
        InvalidOauthClientIdOrSecret "INVALID_OAUTH_CLIENT_ID_OR_SECRET" 400 Invalid
        InvalidScope "INVALID_SCOPE" 400 Invalid
        OuterOauthTimeout "OUTER_OAUTH_TIMEOUT" 408 Unavailable
        OauthProviderNotFoundOrNotEnabled "OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED" 400 Invalid
        AppleBundleIdNotConfigured "APPLE_BUNDLE_ID_NOT_CONFIGURED" 400 Invalid
        InvalidAppleCredentials "INVALID_APPLE_CREDENTIALS" 400 Invalid
        OauthProviderAccountIdAlreadyUsedForSignIn "OAUTH_PROVIDER_ACCOUNT_ID_ALREADY_USED_FOR_SIGN_IN" 400 Invalid
        MultiFactorAuthenticationRequired "MULTI_FACTOR_AUTHENTICATION_REQUIRED" 400 Invalid
        InvalidTotpCode "INVALID_TOTP_CODE" 400 Invalid
        InvalidAuthorizationCode "INVALID_AUTHORIZATION_CODE" 400 Invalid
        OauthProviderAccessDenied "OAUTH_PROVIDER_ACCESS_DENIED" 400 Invalid
        OauthProviderTemporarilyUnavailable "OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE" 503 Unavailable
        ContactChannelAlreadyUsedForAuthBySomeoneElse "CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE" 409 Conflict
        InvalidPollingCode "INVALID_POLLING_CODE" 400 Invalid
        ApiKeyExpired "API_KEY_EXPIRED" 401 Unauthenticated
        ApiKeyRevoked "API_KEY_REVOKED" 401 Unauthenticated
        WrongApiKeyType "WRONG_API_KEY_TYPE" 400 Invalid
        ApiKeyNotFound "API_KEY_NOT_FOUND" 404 NotFound
        PublicApiKeyCannotBeRevoked "PUBLIC_API_KEY_CANNOT_BE_REVOKED" 400 Invalid
        EmailRenderingError "EMAIL_RENDERING_ERROR" 400 Invalid
        TemplateSourceRewriteError "TEMPLATE_SOURCE_REWRITE_ERROR" 400 Invalid
        RequiresCustomEmailServer "REQUIRES_CUSTOM_EMAIL_SERVER" 400 Invalid
        EmailCapacityBoostAlreadyActive "EMAIL_CAPACITY_BOOST_ALREADY_ACTIVE" 409 Conflict
        EmailNotEditable "EMAIL_NOT_EDITABLE" 400 Invalid
        ItemNotFound "ITEM_NOT_FOUND" 404 NotFound
        ItemCustomerTypeDoesNotMatch "ITEM_CUSTOMER_TYPE_DOES_NOT_MATCH" 400 Invalid
        ItemQuantityInsufficientAmount "ITEM_QUANTITY_INSUFFICIENT_AMOUNT" 400 Invalid
        ProductDoesNotExist "PRODUCT_DOES_NOT_EXIST" 400 Invalid
        ProductCustomerTypeDoesNotMatch "PRODUCT_CUSTOMER_TYPE_DOES_NOT_MATCH" 400 Invalid
        ProductAlreadyGranted "PRODUCT_ALREADY_GRANTED" 400 Invalid
        SubscriptionInvoiceNotFound "SUBSCRIPTION_INVOICE_NOT_FOUND" 404 NotFound
        OneTimePurchaseNotFound "ONE_TIME_PURCHASE_NOT_FOUND" 404 NotFound
        SubscriptionAlreadyRefunded "SUBSCRIPTION_ALREADY_REFUNDED" 400 Invalid
        OneTimePurchaseAlreadyRefunded "ONE_TIME_PURCHASE_ALREADY_REFUNDED" 400 Invalid
        TestModePurchaseNonRefundable "TEST_MODE_PURCHASE_NON_REFUNDABLE" 400 Invalid
        StripeAccountInfoNotFound "STRIPE_ACCOUNT_INFO_NOT_FOUND" 404 NotFound
        DefaultPaymentMethodRequired "DEFAULT_PAYMENT_METHOD_REQUIRED" 400 Invalid
        NewPurchasesBlocked "NEW_PURCHASES_BLOCKED" 403 Forbidden
        DataVaultStoreDoesNotExist "DATA_VAULT_STORE_DOES_NOT_EXIST" 400 Invalid
        DataVaultStoreHashedKeyDoesNotExist "DATA_VAULT_STORE_HASHED_KEY_DOES_NOT_EXIST" 400 Invalid
        AnalyticsQueryError "ANALYTICS_QUERY_ERROR" 400 Invalid
        AnalyticsNotEnabled "ANALYTICS_NOT_ENABLED" 400 Invalid
        TeamInvitationEmailMismatch "TEAM_INVITATION_EMAIL_MISMATCH" 403 Forbidden
    }
    own {
        BadRequest "BAD_REQUEST" 400 Invalid
        Unauthenticated "UNAUTHENTICATED" 401 Unauthenticated
        Forbidden "FORBIDDEN" 403 Forbidden
        NotFound "NOT_FOUND" 404 NotFound
        Conflict "CONFLICT" 409 Conflict
        IdempotencyKeyReused "IDEMPOTENCY_KEY_REUSED" 409 Conflict
        CursorExpired "CURSOR_EXPIRED" 410 NotFound
        PayloadTooLarge "PAYLOAD_TOO_LARGE" 413 Limit
        RateLimited "RATE_LIMITED" 429 Limit
        Unavailable "UNAVAILABLE" 503 Unavailable
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_their_statuses_are_refusals() {
        let texts: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| (400..600).contains(&code.status())));
    }
}
