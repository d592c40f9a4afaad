//! Exporting users: page by page, so that it takes the same memory however many there are.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use postern_entity::{contact_channel, linked_account, user};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use secrecy::ExposeSecret;

use super::line::{ChannelLine, HashLine, NamedHash, OAuthLine, UserLine};
use crate::{
    Actor, Deps, Failure, Level, UserId,
    error::{Result, refuse},
    linked_accounts, passwords,
    users::{ListUsers, RiskScores, UserPosition, channels, list, totp, view, wire::WireRiskScores},
};

/// How many users a page has.
const PAGE: u64 = 100;

/// Some users of an export.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportPage {
    /// By sign-up and id, each with its channels and linked accounts by age.
    pub users: Vec<UserLine>,
    /// Behind which position the next page begins; none at the end.
    pub next: Option<UserPosition>,
}

/// The users behind a position, for administrators. Whoever signs up meanwhile comes at the end. `with_secrets` adds what
/// users prove themselves with, which belongs together: hashes of passwords, and the secrets of second factors, without
/// which an account would be less safe where it is imported.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; internal when a sealed secret does not open.
#[crate::boxed]
pub async fn export_page(
    deps: &Deps,
    actor: &Actor,
    after: Option<UserPosition>,
    with_secrets: bool,
) -> Result<ExportPage> {
    if actor.level < Level::Admin {
        return refuse(Failure::forbidden("Exporting users needs admin access."));
    }
    let connection = deps.db.read();
    let mut select = user::Entity::find().filter(user::Column::ProjectId.eq(actor.project_id.clone()));
    if let Some(position) = after {
        select = select.filter(list::from(&ListUsers::default(), position, false));
    }
    let rows = select
        .order_by_asc(user::Column::SignedUpAt)
        .order_by_asc(user::Column::Id)
        .limit(PAGE)
        .all(connection)
        .await?;
    let next = rows.last().map(|row| UserPosition { at: row.signed_up_at, id: row.id });
    let next = next.filter(|_| u64::try_from(rows.len()).is_ok_and(|count| count == PAGE));
    let ids: Vec<UserId> = rows.iter().map(|row| row.id).collect();
    let mut channels: HashMap<UserId, Vec<ChannelLine>> = HashMap::new();
    for row in channels::store::of_users(connection, &actor.project_id, &ids).all(connection).await? {
        channels.entry(row.user_id).or_default().push(channel(row));
    }
    let mut accounts: HashMap<UserId, Vec<OAuthLine>> = HashMap::new();
    for row in linked_accounts::of_users(connection, &actor.project_id, &ids).await? {
        accounts.entry(row.user_id).or_default().push(account(row));
    }
    let line = |row: user::Model| {
        let channels = channels.remove(&row.id).unwrap_or_default();
        let oauth_providers = accounts.remove(&row.id);
        Ok(UserLine { oauth_providers, ..line(deps, row, channels, with_secrets)? })
    };
    Ok(ExportPage { users: rows.into_iter().map(line).collect::<Result<_>>()?, next })
}

fn channel(row: contact_channel::Model) -> ChannelLine {
    ChannelLine {
        id: Some(row.id),
        value: row.value,
        is_primary: row.is_primary,
        is_verified: row.is_verified,
        used_for_auth: row.used_for_auth,
        created_at_millis: Some(row.created_at),
    }
}

fn account(row: linked_account::Model) -> OAuthLine {
    OAuthLine {
        id: row.provider_config_id,
        account_id: row.account_id,
        email: row.email,
        link_id: Some(row.id),
        allow_sign_in: Some(row.allow_sign_in),
        allow_connected_accounts: Some(row.allow_connected_accounts),
        created_at_millis: Some(row.created_at),
    }
}

fn line(deps: &Deps, row: user::Model, channels: Vec<ChannelLine>, with_secrets: bool) -> Result<UserLine> {
    let hash = row.password_hash.filter(|_| with_secrets).map(|hash| {
        HashLine::Named(NamedHash {
            algorithm: passwords::algorithm(&hash.0).to_owned(),
            hash: hash.0,
            salt: None,
            signer_key: None,
            salt_separator: None,
            rounds: None,
            mem_cost: None,
        })
    });
    let totp_secret = match row.totp_secret.filter(|_| with_secrets) {
        Some(sealed) => Some(totp::open(deps, &row.project_id, row.id, &sealed)?),
        None => None,
    };
    Ok(UserLine {
        id: Some(row.id),
        display_name: row.display_name,
        contact_channels: Some(channels),
        profile_image_url: row.profile_image_url,
        client_metadata: row.client_metadata,
        client_read_only_metadata: row.client_read_only_metadata,
        server_metadata: row.server_metadata,
        otp_auth_enabled: Some(row.otp_auth_enabled),
        is_anonymous: Some(row.is_anonymous),
        restricted_by_admin: Some(row.restricted_by_admin),
        restricted_by_admin_reason: row.restricted_by_admin_reason,
        restricted_by_admin_private_details: row.restricted_by_admin_private_details,
        country_code: row.country_code,
        risk_scores: Some(WireRiskScores {
            sign_up: RiskScores {
                bot: view::score(row.risk_bot),
                free_trial_abuse: view::score(row.risk_free_trial_abuse),
            },
        }),
        password_hash: hash,
        totp_secret_base64: totp_secret.map(|secret| STANDARD.encode(secret.expose_secret())),
        signed_up_at_millis: Some(row.signed_up_at),
        last_active_at_millis: Some(row.last_active_at),
        ..UserLine::default()
    })
}
