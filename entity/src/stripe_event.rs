//! An event that Stripe posted or was asked for, kept by its id: what comes again is known.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{ProjectId, Timestamp};

/// A row of `stripe_event`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "stripe_event")]
pub struct Model {
    /// `evt_…`
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Whose account it is of, if that is known.
    pub project_id: Option<ProjectId>,
    /// `acct_…`; none for one of the installation itself.
    pub account_id: Option<String>,
    /// Its type, such as `invoice.paid`.
    pub kind: String,
    /// All of it.
    pub payload: Json,
    /// What has become of it.
    pub state: StripeEventState,
    /// Why it failed.
    pub error: Option<String>,
    /// When it came.
    pub received_at: Timestamp,
    /// When it was worked off.
    pub done_at: Option<Timestamp>,
}

/// What has become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
pub enum StripeEventState {
    /// Nothing yet.
    #[sea_orm(string_value = "waiting")]
    Waiting,
    /// What follows from it is done.
    #[sea_orm(string_value = "done")]
    Done,
    /// Nothing follows from it.
    #[sea_orm(string_value = "ignored")]
    Ignored,
    /// It was tried; the queue tries again, or has given up.
    #[sea_orm(string_value = "failed")]
    Failed,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
