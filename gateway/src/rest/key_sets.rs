//! `/internal/api-keys`: the key sets of a project.

use postern_domain::{
    Failure, KeySetId, Timestamp,
    projects::{
        self, KeySetChange, NewKeySet, WantedKeys,
        wire::{KeySetObject, LastFour, ShownSecret},
    },
};

use super::{
    call::{ADMIN, Call},
    input::{Empty, Ignored, input},
    reply::{Answer, List, Reply},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Key sets", summary, ADMIN);
    Routes::new()
        .get("/internal/api-keys", list, about("Lists key sets"))
        .post("/internal/api-keys", create, about("Makes a key set and shows its keys once").body::<KeySetCreate>())
        .get("/internal/api-keys/{api_key_id}", get, about("Reads a key set").path::<KeySetPath>())
        .patch(
            "/internal/api-keys/{api_key_id}",
            update,
            about("Changes or revokes a key set").path::<KeySetPath>().body::<KeySetPatch>(),
        )
}

input! {
    struct KeySetPath { api_key_id: KeySetId }
}

input! {
    struct KeySetCreate {
        description: String,
        expires_at_millis: i64,
        has_publishable_client_key: bool,
        has_secret_server_key: bool,
        has_super_secret_admin_key: bool,
    }
}

input! {
    struct KeySetPatch { description: Option<String>, revoked: Option<bool> }
}

async fn list(mut call: Call) -> Answer<List<KeySetObject<LastFour>>> {
    let actor = call.actor(ADMIN)?;
    call.read::<Empty, Empty, Ignored>()?;
    let sets = projects::key_sets(&call.deps, &actor).await?;
    Ok(Reply::ok(List::whole(sets.into_iter().map(Into::into).collect())))
}

async fn create(mut call: Call) -> Answer<KeySetObject<ShownSecret>> {
    let actor = call.actor(ADMIN)?;
    let (_, _, body) = call.read::<Empty, Empty, KeySetCreate>()?;
    let new = NewKeySet {
        description: body.description,
        expires_at: Timestamp(body.expires_at_millis),
        wanted: WantedKeys {
            publishable_client_key: body.has_publishable_client_key,
            secret_server_key: body.has_secret_server_key,
            super_secret_admin_key: body.has_super_secret_admin_key,
        },
    };
    Ok(Reply::ok(projects::create_key_set(&call.deps, &actor, new).await?.into()))
}

async fn get(mut call: Call) -> Answer<KeySetObject<LastFour>> {
    let actor = call.actor(ADMIN)?;
    let (path, _, _) = call.read::<KeySetPath, Empty, Ignored>()?;
    Ok(Reply::ok(projects::key_set(&call.deps, &actor, path.api_key_id).await?.into()))
}

async fn update(mut call: Call) -> Answer<KeySetObject<LastFour>> {
    let actor = call.actor(ADMIN)?;
    let (path, _, body) = call.read::<KeySetPath, Empty, KeySetPatch>()?;
    if body.revoked == Some(false) {
        return Err(Failure::schema("body.revoked must be true: a revoked key set stays revoked").into());
    }
    let change = KeySetChange { description: body.description, revoke: body.revoked.unwrap_or_default() };
    Ok(Reply::ok(projects::update_key_set(&call.deps, &actor, path.api_key_id, change).await?.into()))
}
