//! What makes a line fit to be imported: the rules of making a user, and those of what it brings along.

use std::{collections::HashSet, fmt};

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use uuid::{Uuid, Variant};

use super::line::{ChannelLine, HashLine, MAX_CHANNELS, NamedHash, UserLine};
use crate::{
    ContactChannelId, Deps, Error, Failure, ProjectId, Timestamp, UserId,
    email_address::EmailAddress,
    error::{Result, refuse},
    linked_accounts::MAX_OF_USER,
    passwords::{self, FirebaseHash},
    projects::ProjectConfig,
    users::{
        CreateUser, NewPrimaryEmail, NewUser, OAuthLink,
        create::{Origin, check_ways_to_sign_in},
    },
    validation::Violations,
};

/// The last millisecond of the year 9999.
const MAX_MILLIS: i64 = 253_402_300_799_999;
/// Base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What all hashes of one Firebase project have in common, as its console shows it.
#[derive(Clone)]
pub struct FirebaseParameters {
    /// The signer key, a secret of that project.
    pub signer_key: SecretSlice<u8>,
    /// The salt separator.
    pub salt_separator: Vec<u8>,
    /// scrypt's r.
    pub rounds: u32,
    /// Binary logarithm of scrypt's N.
    pub mem_cost: u32,
}

impl FirebaseParameters {
    /// From the base64 that the console shows.
    ///
    /// # Errors
    /// `BAD_REQUEST` when one of the texts is no base64.
    pub fn decode(signer_key: &SecretString, salt_separator: &str, rounds: u32, mem_cost: u32) -> Result<Self> {
        let signer_key = decoded("signer_key", signer_key.expose_secret())?.into();
        Ok(Self { signer_key, salt_separator: decoded("salt_separator", salt_separator)?, rounds, mem_cost })
    }
}

impl fmt::Debug for FirebaseParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirebaseParameters").finish_non_exhaustive()
    }
}

/// A line that fits.
pub(super) struct Checked {
    pub(super) new: NewUser,
    pub(super) origin: Origin,
}

/// Checks everything that can be said of a line alone; hashes the password.
///
/// # Errors
/// `SCHEMA_ERROR` and `BAD_REQUEST`, naming what does not fit.
pub(super) async fn check(
    deps: &Deps,
    config: &ProjectConfig,
    (project_id, id): (&ProjectId, UserId),
    line: UserLine,
    firebase: Option<&FirebaseParameters>,
    is_told: bool,
) -> Result<Checked> {
    let mut violations = Violations::default();
    violations.require(is_taken_by_the_doors(id.0), "id", "must be a UUID of version 1 to 5");
    for (field, value) in [
        ("client_metadata", &line.client_metadata),
        ("client_read_only_metadata", &line.client_read_only_metadata),
        ("server_metadata", &line.server_metadata),
    ] {
        if let Some(value) = value {
            violations.json(field, value);
        }
    }
    let signed_up_at = time(&mut violations, "signed_up_at_millis", line.signed_up_at_millis, deps.now());
    let last_active_at = time(&mut violations, "last_active_at_millis", line.last_active_at_millis, signed_up_at);
    let channels = line.contact_channels.as_deref().unwrap_or_default();
    let (primary, others) = check_channels(&mut violations, channels, signed_up_at);
    for (number, account) in line.oauth_providers.iter().flatten().enumerate().take(MAX_OF_USER) {
        let field = |name: &str| format!("oauth_providers[{number}].{name}");
        let fits = account.link_id.is_none_or(|id| is_taken_by_the_doors(id.0));
        violations.require(fits, &field("link_id"), "must be a UUID of version 1 to 5");
        time(&mut violations, &field("created_at_millis"), account.created_at_millis, signed_up_at);
    }
    let has_two = primary.is_some() && line.primary_email.is_some();
    violations.require(!has_two, "primary_email", "cannot be given beside a primary one of contact_channels");
    let own = violations.finish();

    let default = || (ContactChannelId::random(), signed_up_at);
    let primary = primary.map_or_else(default, |channel| id_and_age(channel, signed_up_at));
    let new = together(own, to_new(deps, config, project_id, &line, firebase).await)?;
    Ok(Checked { new, origin: Origin { id, signed_up_at, last_active_at, primary, others, is_told } })
}

/// The user that the line makes, by the rules of making a user.
async fn to_new(
    deps: &Deps,
    config: &ProjectConfig,
    project_id: &ProjectId,
    line: &UserLine,
    firebase: Option<&FirebaseParameters>,
) -> Result<NewUser> {
    let mut user = to_input(line.clone());
    user.password_hash = stored_hash(line.password_hash.as_ref(), firebase)?;
    check_ways_to_sign_in(config, &user)?;
    // Already checked here, because the doors take fewer kinds.
    let hash = user.password_hash.take();
    if hash.is_some() && user.password.is_some() {
        return refuse(Failure::bad_request("password and password_hash cannot be given together."));
    }
    let new = user.check(deps, project_id).await?;
    Ok(NewUser { password_hash: new.password_hash.clone().or(hash), ..new })
}

/// The ids that REST takes in paths (wire: users-teams-permissions §0): a user with another one could not be reached.
fn is_taken_by_the_doors(id: Uuid) -> bool {
    matches!(id.get_version_num(), 1..=5) && id.get_variant() == Variant::RFC4122
}

fn time(violations: &mut Violations, field: &str, given: Option<Timestamp>, default: Timestamp) -> Timestamp {
    let time = given.unwrap_or(default);
    let fits = (0..=MAX_MILLIS).contains(&time.millis());
    violations.require(fits, field, format_args!("must be milliseconds from 0 to {MAX_MILLIS}"));
    time
}

type Other = (ContactChannelId, Timestamp, NewPrimaryEmail);

fn primary_line(channels: &[ChannelLine]) -> Option<&ChannelLine> {
    channels.iter().find(|channel| channel.is_primary)
}

fn id_and_age(channel: &ChannelLine, default: Timestamp) -> (ContactChannelId, Timestamp) {
    (channel.id.unwrap_or_else(ContactChannelId::random), channel.created_at_millis.unwrap_or(default))
}

/// The primary one, and the others ready to be written.
fn check_channels<'a>(
    violations: &mut Violations,
    channels: &'a [ChannelLine],
    signed_up_at: Timestamp,
) -> (Option<&'a ChannelLine>, Vec<Other>) {
    violations.require(
        channels.len() <= MAX_CHANNELS,
        "contact_channels",
        format_args!("must be at most {MAX_CHANNELS}"),
    );
    violations.require(
        channels.iter().filter(|channel| channel.is_primary).count() <= 1,
        "contact_channels",
        "can hold one primary channel only",
    );
    let (mut others, mut seen) = (Vec::new(), HashSet::new());
    for (number, channel) in channels.iter().take(MAX_CHANNELS).enumerate() {
        let field = |name: &str| format!("contact_channels[{number}].{name}");
        let fits = channel.id.is_none_or(|id| is_taken_by_the_doors(id.0));
        violations.require(fits, &field("id"), "must be a UUID of version 1 to 5");
        time(violations, &field("created_at_millis"), channel.created_at_millis, signed_up_at);
        let Some(address) = violations.take(&field("value"), EmailAddress::loose(&channel.value)) else { continue };
        violations.require(seen.insert(address.clone()), &field("value"), "occurs twice");
        if !channel.is_primary {
            let (id, created_at) = id_and_age(channel, signed_up_at);
            let (is_verified, used_for_auth) = (channel.is_verified, channel.used_for_auth);
            others.push((id, created_at, NewPrimaryEmail { address, is_verified, used_for_auth }));
        }
    }
    (primary_line(channels), others)
}

/// The input of making a user, as far as the line is one.
fn to_input(line: UserLine) -> CreateUser {
    let primary = line.contact_channels.as_deref().and_then(primary_line);
    let oauth_providers = line.oauth_providers.unwrap_or_default().into_iter().map(|account| {
        let link = OAuthLink::new(account.id, account.account_id, account.email);
        OAuthLink {
            allow_sign_in: account.allow_sign_in.unwrap_or(link.allow_sign_in),
            allow_connected_accounts: account.allow_connected_accounts.unwrap_or(link.allow_connected_accounts),
            id: account.link_id,
            created_at: account.created_at_millis,
            ..link
        }
    });
    CreateUser {
        display_name: line.display_name,
        primary_email: line.primary_email.or_else(|| primary.map(|channel| channel.value.clone())),
        primary_email_verified: line.primary_email_verified.or_else(|| primary.map(|channel| channel.is_verified)),
        primary_email_auth_enabled: line
            .primary_email_auth_enabled
            .or_else(|| primary.map(|channel| channel.used_for_auth)),
        profile_image_url: line.profile_image_url,
        client_metadata: line.client_metadata,
        client_read_only_metadata: line.client_read_only_metadata,
        server_metadata: line.server_metadata,
        otp_auth_enabled: line.otp_auth_enabled,
        password: line.password.map(SecretString::from),
        password_hash: None,
        totp_secret_base64: line.totp_secret_base64.map(SecretString::from),
        oauth_providers: oauth_providers.collect(),
        is_anonymous: line.is_anonymous,
        restricted_by_admin: line.restricted_by_admin,
        restricted_by_admin_reason: line.restricted_by_admin_reason,
        restricted_by_admin_private_details: line.restricted_by_admin_private_details,
        country_code: line.country_code,
        risk_scores: line.risk_scores.map(|scores| scores.sign_up),
    }
}

/// The hash of a line in the form that is stored.
fn stored_hash(given: Option<&HashLine>, firebase: Option<&FirebaseParameters>) -> Result<Option<SecretString>> {
    let named = match given {
        None => return Ok(None),
        Some(HashLine::Text(text)) => {
            passwords::check_stored_form(text)?;
            return Ok(Some(text.clone().into()));
        }
        Some(HashLine::Named(named)) => named,
    };
    if named.algorithm == "firebase-scrypt" && !named.hash.starts_with('$') {
        return of_firebase(named, firebase).map(Some);
    }
    passwords::check_stored_form(&named.hash)?;
    if passwords::algorithm(&named.hash) != named.algorithm {
        return refuse(Failure::bad_request("password_hash: the hash is none of the algorithm named"));
    }
    Ok(Some(named.hash.clone().into()))
}

fn of_firebase(named: &NamedHash, shared: Option<&FirebaseParameters>) -> Result<SecretString> {
    let missing = |field: &str| {
        Failure::bad_request(format!("password_hash: {field} is given neither in the line nor by an option"))
    };
    let bytes = |field: &str, text: &Option<String>, shared: Option<&[u8]>| match (text, shared) {
        (Some(text), _) => decoded(field, text),
        (None, Some(shared)) => Ok(shared.to_vec()),
        (None, None) => refuse(missing(field)),
    };
    let number = |field: &str, own: Option<u32>, shared: Option<u32>| match own.or(shared) {
        Some(number) => Ok(number),
        None => refuse(missing(field)),
    };
    let (hash, salt) = (decoded("hash", &named.hash)?, bytes("salt", &named.salt, None)?);
    let signer_key = shared.map(|shared| shared.signer_key.expose_secret());
    let given = FirebaseHash {
        hash,
        salt,
        signer_key: bytes("signer_key", &named.signer_key, signer_key)?,
        salt_separator: bytes("salt_separator", &named.salt_separator, shared.map(|it| it.salt_separator.as_slice()))?,
        rounds: number("rounds", named.rounds, shared.map(|shared| shared.rounds))?,
        mem_cost: number("mem_cost", named.mem_cost, shared.map(|shared| shared.mem_cost))?,
    };
    given.stored_form()
}

/// Firebase writes either alphabet of base64.
fn decoded(field: &str, text: &str) -> Result<Vec<u8>> {
    match BASE64.decode(text.trim().replace('-', "+").replace('_', "/")) {
        Ok(bytes) => Ok(bytes),
        Err(_) => refuse(Failure::bad_request(format!("password_hash: {field} must be base64"))),
    }
}

/// One refusal for both, when both are about the form.
fn together<T>(own: Result<()>, checked: Result<T>) -> Result<T> {
    match (own, checked) {
        (Ok(()), checked) => checked,
        (Err(Error::Refused(own)), Err(Error::Refused(other))) if own.code == other.code => {
            refuse(Failure::schema(format!("{}; {}", own.message, other.message)))
        }
        (Err(own), _) => Err(own),
    }
}
