//! The one table of everything a project can configure (wire: projects-config-webhooks §4). To add a setting: one line here,
//! and a field in `view.rs` if a rule reads it. Nothing here knows how overrides are stored, merged or rendered.

use crate::emails::DEFAULT_THEME;

use super::schema::{
    Default::{self, Flag, Key, Made, Number, Text, Unset},
    Kind::{self, Enum, False, Interval, Issuer, Num, Secret, Str, True, Uuid},
    Lowest::{self, Branch, Environment, Project},
};

/// One setting.
pub(super) struct Row {
    /// Segments joined by dots; `<…>` stands for the keys of a record and names their grammar.
    pub(super) path: &'static str,
    /// What a value may be; empty for a container that has only a default of its own.
    pub(super) kinds: &'static [Kind],
    /// What it is when nobody set it.
    pub(super) default: Default,
    /// The lowest level that may set it.
    pub(super) lowest: Lowest,
}

const fn row(path: &'static str, kinds: &'static [Kind], default: Default, lowest: Lowest) -> Row {
    Row { path, kinds, default, lowest }
}

/// The apps, in the order of the catalogue.
pub const APPS: &[&str] = &[
    "authentication",
    "fraud-protection",
    "onboarding",
    "teams",
    "rbac",
    "api-keys",
    "payments",
    "emails",
    "email-api",
    "data-vault",
    "webhooks",
    "tv-mode",
    "launch-checklist",
    "catalyst",
    "neon",
    "convex",
    "vercel",
    "analytics",
];

/// The types of sign-in providers: those of [`crate::oauth::ProviderKind`].
const PROVIDER_TYPES: &[&str] = &[
    "google",
    "github",
    "microsoft",
    "spotify",
    "facebook",
    "discord",
    "gitlab",
    "bitbucket",
    "linkedin",
    "apple",
    "x",
    "twitch",
    "oidc",
];

/// What happens when the address of a new account is known; [`super::MergeStrategy`] says what they mean.
pub const MERGE_STRATEGIES: &[&str] = &["link_method", "raise_error", "allow_duplicates"];

/// Those of the contract, as both `type` and the ids of the legacy view name them: all but `oidc`, which is ours.
pub const OAUTH_PROVIDERS: &[&str] = match PROVIDER_TYPES.split_last() {
    Some((_, named)) => named,
    None => &[],
};

const CUSTOMERS: &[Kind] = &[Enum(&["user", "team", "custom"])];
const FLAG: &[Kind] = &[Kind::Bool];
const STRING: &[Kind] = &[Str];
const SECRET: &[Kind] = &[Secret];
const NUMBER: &[Kind] = &[Num];
const PERIOD: &[Kind] = &[Interval];
const PRESENT: &[Kind] = &[True];
const OBJECT: &[Kind] = &[Kind::Object];

pub(super) const ROWS: &[Row] = &[
    row("sourceOfTruth.type", &[Enum(&["hosted", "neon", "postgres"])], Text("hosted"), Project),
    row("sourceOfTruth.connectionString", SECRET, Unset, Project),
    row("sourceOfTruth.connectionStrings.<any>", SECRET, Unset, Project),
    row("project.requirePublishableClientKey", FLAG, Flag(false), Project),
    row("auth.allowSignUp", FLAG, Flag(true), Branch),
    row("auth.password.allowSignIn", FLAG, Flag(false), Branch),
    row("auth.otp.allowSignIn", FLAG, Flag(false), Branch),
    row("auth.passkey.allowSignIn", FLAG, Flag(false), Branch),
    row("auth.oauth.accountMergeStrategy", &[Enum(MERGE_STRATEGIES)], Text("link_method"), Branch),
    row("auth.oauth.providers.<provider>.type", &[Enum(PROVIDER_TYPES)], Unset, Branch),
    row("auth.oauth.providers.<provider>.allowSignIn", FLAG, Flag(false), Branch),
    row("auth.oauth.providers.<provider>.allowConnectedAccounts", FLAG, Flag(false), Branch),
    row("auth.oauth.providers.<provider>.isShared", FLAG, Flag(true), Environment),
    row("auth.oauth.providers.<provider>.clientId", STRING, Unset, Environment),
    row("auth.oauth.providers.<provider>.clientSecret", SECRET, Unset, Environment),
    row("auth.oauth.providers.<provider>.facebookConfigId", STRING, Unset, Environment),
    row("auth.oauth.providers.<provider>.microsoftTenantId", STRING, Unset, Environment),
    row("auth.oauth.providers.<provider>.appleBundles.<id>.bundleId", STRING, Unset, Environment),
    // These three are ours.
    row("auth.oauth.providers.<provider>.appleTeamId", STRING, Unset, Environment),
    row("auth.oauth.providers.<provider>.appleKeyId", STRING, Unset, Environment),
    row("auth.oauth.providers.<provider>.issuerUrl", &[Issuer], Unset, Environment),
    row("auth.signUpRules.<id>.enabled", FLAG, Flag(false), Branch),
    row("auth.signUpRules.<id>.displayName", STRING, Unset, Branch),
    row("auth.signUpRules.<id>.condition", STRING, Unset, Branch),
    row("auth.signUpRules.<id>.priority", NUMBER, Number(0), Branch),
    row("auth.signUpRules.<id>.action.type", &[Enum(&["allow", "reject", "restrict", "log"])], Text("allow"), Branch),
    row("auth.signUpRules.<id>.action.message", STRING, Unset, Branch),
    row("auth.signUpRulesDefaultAction", &[Enum(&["allow", "reject"])], Text("allow"), Branch),
    row("users.allowClientUserDeletion", FLAG, Flag(false), Branch),
    row("teams.createPersonalTeamOnSignUp", FLAG, Flag(false), Branch),
    row("teams.allowClientTeamCreation", FLAG, Flag(false), Branch),
    row("onboarding.requireEmailVerification", FLAG, Flag(false), Branch),
    row("apiKeys.enabled.user", FLAG, Flag(false), Branch),
    row("apiKeys.enabled.team", FLAG, Flag(false), Branch),
    row("rbac.permissions.<permission>.description", STRING, Unset, Branch),
    row("rbac.permissions.<permission>.scope", &[Enum(&["team", "project"])], Unset, Branch),
    row("rbac.permissions.<permission>.containedPermissionIds.<granted>", PRESENT, Unset, Branch),
    row("rbac.defaultPermissions.teamCreator.<granted>", PRESENT, Unset, Branch),
    row("rbac.defaultPermissions.teamMember.<granted>", PRESENT, Unset, Branch),
    row("rbac.defaultPermissions.signUp.<granted>", PRESENT, Unset, Branch),
    row("apps.installed", &[], Made(super::defaults::apps), Branch),
    row("apps.installed.<app>.enabled", FLAG, Flag(false), Branch),
    row("domains.allowLocalhost", FLAG, Flag(false), Environment),
    row("domains.trustedDomains.<id>.baseUrl", STRING, Unset, Environment),
    row("domains.trustedDomains.<id>.handlerPath", STRING, Text("/handler"), Environment),
    row("emails.selectedThemeId", STRING, Text(DEFAULT_THEME.id), Branch),
    row("emails.themes", &[], Made(super::defaults::email_themes), Branch),
    row("emails.themes.<uuid>.displayName", STRING, Text("Unnamed theme"), Branch),
    row("emails.themes.<uuid>.tsxSource", STRING, Text(""), Branch),
    row("emails.templates", &[], Made(super::defaults::email_templates), Branch),
    row("emails.templates.<uuid>.displayName", STRING, Text("Unnamed template"), Branch),
    row("emails.templates.<uuid>.tsxSource", STRING, Text(""), Branch),
    row("emails.templates.<uuid>.themeId", &[Uuid, False], Unset, Branch),
    row("emails.server.isShared", FLAG, Flag(true), Environment),
    row("emails.server.provider", &[Enum(&["resend", "smtp", "managed"])], Text("smtp"), Environment),
    row("emails.server.host", STRING, Unset, Environment),
    row("emails.server.port", NUMBER, Unset, Environment),
    row("emails.server.username", STRING, Unset, Environment),
    row("emails.server.password", SECRET, Unset, Environment),
    row("emails.server.senderName", STRING, Unset, Environment),
    row("emails.server.senderEmail", STRING, Unset, Environment),
    row("emails.server.reportSecret", SECRET, Unset, Environment),
    row("emails.server.managedSubdomain", STRING, Unset, Environment),
    row("emails.server.managedSenderLocalPart", STRING, Unset, Environment),
    row("payments.blockNewPurchases", FLAG, Flag(false), Branch),
    row("payments.testMode", FLAG, Flag(true), Environment),
    row("payments.autoPay.interval", PERIOD, Unset, Branch),
    row("payments.productLines.<id>.displayName", STRING, Unset, Branch),
    row("payments.productLines.<id>.customerType", CUSTOMERS, Unset, Branch),
    row("payments.products.<id>.displayName", STRING, Key, Branch),
    row("payments.products.<id>.productLineId", STRING, Unset, Branch),
    row("payments.products.<id>.customerType", CUSTOMERS, Text("user"), Branch),
    row("payments.products.<id>.freeTrial", PERIOD, Unset, Branch),
    row("payments.products.<id>.serverOnly", FLAG, Flag(false), Branch),
    row("payments.products.<id>.stackable", FLAG, Unset, Branch),
    row("payments.products.<id>.isAddOnTo", &[False], Flag(false), Branch),
    row("payments.products.<id>.isAddOnTo.<id>", PRESENT, Unset, Branch),
    row("payments.products.<id>.prices", &[Enum(&["include-by-default"])], Unset, Branch),
    row("payments.products.<id>.prices.<id>.USD", STRING, Unset, Branch),
    row("payments.products.<id>.prices.<id>.EUR", STRING, Unset, Branch),
    row("payments.products.<id>.prices.<id>.GBP", STRING, Unset, Branch),
    row("payments.products.<id>.prices.<id>.JPY", STRING, Unset, Branch),
    row("payments.products.<id>.prices.<id>.INR", STRING, Unset, Branch),
    row("payments.products.<id>.prices.<id>.AUD", STRING, Unset, Branch),
    row("payments.products.<id>.prices.<id>.CAD", STRING, Unset, Branch),
    row("payments.products.<id>.prices.<id>.interval", PERIOD, Unset, Branch),
    row("payments.products.<id>.prices.<id>.freeTrial", PERIOD, Unset, Branch),
    row("payments.products.<id>.prices.<id>.serverOnly", FLAG, Flag(false), Branch),
    row("payments.products.<id>.includedItems.<id>.quantity", NUMBER, Number(0), Branch),
    row("payments.products.<id>.includedItems.<id>.repeat", &[Interval, Enum(&["never"])], Text("never"), Branch),
    row(
        "payments.products.<id>.includedItems.<id>.expires",
        &[Enum(&["never", "when-purchase-expires", "when-repeated"])],
        Text("when-repeated"),
        Branch,
    ),
    row("payments.products.<id>.clientMetadata", OBJECT, Unset, Branch),
    row("payments.products.<id>.clientReadOnlyMetadata", OBJECT, Unset, Branch),
    row("payments.products.<id>.serverMetadata", OBJECT, Unset, Branch),
    row("payments.items.<id>.displayName", STRING, Key, Branch),
    row("payments.items.<id>.customerType", CUSTOMERS, Text("user"), Branch),
    row("dbSync.externalDatabases.<id>.type", &[Enum(&["postgres"])], Unset, Branch),
    row("dbSync.externalDatabases.<id>.connectionString", SECRET, Unset, Branch),
    row("dataVault.stores.<id>.displayName", STRING, Text("Unnamed vault"), Branch),
    row("analytics.queryFolders.<id>.displayName", STRING, Text("Unnamed folder"), Environment),
    row("analytics.queryFolders.<id>.sortOrder", NUMBER, Number(0), Environment),
    row("analytics.queryFolders.<id>.queries.<id>.displayName", STRING, Text("Unnamed query"), Environment),
    row("analytics.queryFolders.<id>.queries.<id>.sqlQuery", STRING, Text(""), Environment),
    row("analytics.queryFolders.<id>.queries.<id>.description", STRING, Unset, Environment),
    row("customDashboards.<uuid>.displayName", STRING, Text("Unnamed dashboard"), Environment),
    row("customDashboards.<uuid>.tsxSource", STRING, Text(""), Environment),
];
