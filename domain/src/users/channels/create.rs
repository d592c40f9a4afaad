//! Adding a contact channel.

use postern_entity::contact_channel;
use sea_orm::{ActiveValue::Set, IntoActiveModel};
use serde_json::json;

use super::{ContactChannel, EMAIL, or_taken, record, require_own_or_server, store, taken};
use crate::{
    Actor, Code, ContactChannelId, Deps, Failure, UserId,
    db::Tx,
    email_address::EmailAddress,
    error::{Result, refuse},
    events::EventKind,
    users,
    validation::Violations,
};

/// What a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateChannel {
    /// Whose it becomes.
    pub user_id: UserId,
    /// The address; loose syntax, normalised.
    pub value: String,
    /// Usable to sign in.
    pub used_for_auth: bool,
    /// Takes the place of the present primary one. Default: false.
    pub is_primary: Option<bool>,
    /// Servers only. Default: false.
    pub is_verified: Option<bool>,
}

/// Adds a channel.
///
/// # Errors
/// `FORBIDDEN` for clients and other users than their own; `SCHEMA_ERROR`; `USER_ID_DOES_NOT_EXIST`; `BAD_REQUEST` when the
/// user has the address already; `CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE`.
#[crate::boxed]
pub async fn create(deps: &Deps, actor: &Actor, input: CreateChannel) -> Result<ContactChannel> {
    require_own_or_server(actor, input.user_id)?;
    let mut violations = Violations::default();
    let address = violations.take("value", EmailAddress::loose(&input.value));
    let may_verify = actor.is_server() || input.is_verified.is_none();
    violations.require(may_verify, "is_verified", "can be set by servers only");
    violations.finish()?;
    let Some(address) = address else { return refuse(Failure::schema("value must be a valid e-mail address")) };
    let (input, address) = (&input, &address);
    deps.mutate(actor, "contact_channels.create", |tx| async move { create_in(deps, &tx, actor, input, address).await })
        .await
}

async fn create_in(
    deps: &Deps,
    tx: &Tx,
    actor: &Actor,
    input: &CreateChannel,
    address: &EmailAddress,
) -> Result<ContactChannel> {
    let project_id = &actor.project_id;
    if !users::lock_in(tx, project_id, input.user_id).await? {
        return refuse(
            Failure::new(Code::UserIdDoesNotExist, format!("There is no user {}.", input.user_id))
                .with(json!({ "user_id": input.user_id })),
        );
    }
    let others = store::of_user_in(tx, project_id, input.user_id).await?;
    if others.iter().any(|channel| channel.value == address.as_str()) {
        return refuse(already_there());
    }
    let mut changed = Vec::new();
    let is_primary = input.is_primary.unwrap_or(false);
    if is_primary && let Some(present) = others.into_iter().find(|channel| channel.is_primary) {
        changed.push((EventKind::ContactChannelUpdated, demote(tx, present).await?));
    }
    let row = contact_channel::Model {
        id: ContactChannelId::random(),
        project_id: project_id.clone(),
        user_id: input.user_id,
        kind: EMAIL.to_owned(),
        value: address.as_str().to_owned(),
        is_primary,
        is_verified: input.is_verified.unwrap_or(false),
        used_for_auth: input.used_for_auth,
        created_at: deps.now(),
    };
    or_taken(store::insert(tx, row.clone()).await, || taken(Some(address.as_str())))?;
    let channel = ContactChannel::from(row);
    changed.push((EventKind::ContactChannelCreated, channel.clone()));
    record(deps, tx, project_id, changed).await?;
    Ok(channel)
}

/// The user has the address already.
pub(super) fn already_there() -> Failure {
    Failure::bad_request("This user already has a contact channel with this value.")
}

/// Takes the place of the primary channel from it; its other flags stay.
pub(in crate::users) async fn demote(tx: &Tx, primary: contact_channel::Model) -> Result<ContactChannel> {
    let mut row = primary.into_active_model();
    row.is_primary = Set(false);
    Ok(store::update(tx, row).await?.into())
}
