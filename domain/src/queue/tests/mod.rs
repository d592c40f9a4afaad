//! The queue's promises, on each database.

mod claiming;
mod ending;
mod hastening;
mod leases;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use postern_entity::{JobId, ProjectId, job};
use sea_orm::{ConnectionTrait, EntityTrait};
use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    Deps, Error,
    db::{Backend, statement},
    testing::{TestBench, on_each_database},
    time::SystemClock,
};

const LEASE: Duration = Duration::from_secs(30);

#[derive(Debug, Serialize, Deserialize)]
struct Greet {
    name: String,
}

impl Job for Greet {
    const KIND: &'static str = "greet";
    const MAX_ATTEMPTS: u16 = 3;
}

fn greet(name: &str) -> Enqueue {
    Enqueue::new(&Greet { name: name.to_owned() }).unwrap()
}

async fn put(deps: &Deps, job: Enqueue) -> Option<JobId> {
    deps.db.write(async |tx| enqueue(deps, &tx, job.clone()).await).await.unwrap()
}

async fn take(deps: &Deps, limit: usize) -> Vec<Claimed> {
    claim(deps, Lane::General, "test", limit, LEASE, Suspects::Any).await.unwrap()
}

async fn row(deps: &Deps, id: JobId) -> job::Model {
    job::Entity::find_by_id(id).one(deps.db.read()).await.unwrap().unwrap()
}

async fn run_all(deps: &Deps, ending: fn() -> Ending) -> usize {
    let claimed = take(deps, MAX_BATCH).await;
    let endings: Vec<_> = claimed.into_iter().map(|claimed| (claimed.lease, ending())).collect();
    assert_eq!(end_all(deps, &endings).await.unwrap(), []);
    endings.len()
}

/// Writes a project row, as an effect whose presence can be told afterwards.
async fn write_effect(tx: &crate::db::Tx, id: &ProjectId) -> crate::Result<()> {
    let sql = "INSERT INTO project (id, display_name, description, is_production_mode, onboarding_status, created_at, \
               updated_at) VALUES ($1, '', '', false, 'completed', 0, 0)";
    tx.execute_raw(statement(&**tx, sql, [id.0.clone().into()])).await?;
    Ok(())
}

async fn effects(deps: &Deps) -> usize {
    postern_entity::project::Entity::find().all(deps.db.read()).await.unwrap().len()
}
