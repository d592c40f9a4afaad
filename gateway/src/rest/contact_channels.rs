//! `/contact-channels`: the addresses of users. Sending and using verification codes is in `verification.rs`.

use postern_domain::{
    ContactChannelId,
    identity::UserRef,
    users::channels::{self, CreateChannel, UpdateChannel, WireContactChannel},
};

use super::{
    call::{Call, OPEN},
    input::{Empty, Ignored, LooseEmail, OneOf, Words, input},
    reply::{Answer, List, Reply, Success, success},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Contact channels", summary, OPEN);
    let path = "/contact-channels/{user_id}/{contact_channel_id}";
    Routes::new()
        .get("/contact-channels", list, about("Lists contact channels").query::<ListQuery>())
        .post("/contact-channels", create, about("Adds a contact channel").body::<ServerCreate>().makes())
        .get(path, get, about("Reads a contact channel").path::<ChannelPath>())
        .patch(path, update, about("Changes a contact channel").path::<ChannelPath>().body::<ServerPatch>())
        .delete(path, delete, about("Removes a contact channel").path::<ChannelPath>())
}

input! {
    pub(super) struct ChannelPath { user_id: UserRef, contact_channel_id: ContactChannelId }
}

input! {
    struct ListQuery { user_id: Option<UserRef>, contact_channel_id: Option<ContactChannelId> }
}

input! {
    struct ClientCreate {
        user_id: UserRef,
        value: LooseEmail,
        #[expect(dead_code, reason = "there is one kind")]
        r#type: OneOf<Kind>,
        used_for_auth: bool,
        is_primary: Option<bool>,
    }
}

input! {
    struct ServerCreate {
        user_id: UserRef,
        value: LooseEmail,
        #[expect(dead_code, reason = "there is one kind")]
        r#type: OneOf<Kind>,
        used_for_auth: bool,
        is_primary: Option<bool>,
        is_verified: Option<bool>,
    }
}

input! {
    struct ClientPatch {
        value: Option<LooseEmail>,
        #[expect(dead_code, reason = "there is one kind")]
        r#type: Option<OneOf<Kind>>,
        used_for_auth: Option<bool>,
        is_primary: Option<bool>,
    }
}

input! {
    struct ServerPatch {
        value: Option<LooseEmail>,
        #[expect(dead_code, reason = "there is one kind")]
        r#type: Option<OneOf<Kind>>,
        used_for_auth: Option<bool>,
        is_primary: Option<bool>,
        is_verified: Option<bool>,
    }
}

/// The kinds of channels.
#[derive(Debug)]
struct Kind;

impl Words for Kind {
    const WORDS: &'static [&'static str] = &["email"];
}

async fn list(mut call: Call) -> Answer<List<WireContactChannel>> {
    let actor = call.actor(OPEN)?;
    let (_, query, _) = call.read::<Empty, ListQuery, Ignored>()?;
    let user_id = query.user_id.map(|user| user.resolve(&actor)).transpose()?;
    let channels = channels::list(&call.deps, &actor, user_id, query.contact_channel_id).await?;
    Ok(Reply::ok(List::whole(channels.into_iter().map(Into::into).collect())))
}

async fn create(mut call: Call) -> Answer<WireContactChannel> {
    let actor = call.actor(OPEN)?;
    let input = if actor.is_server() {
        let body: ServerCreate = call.read::<Empty, ListQuery, _>()?.2;
        let user_id = body.user_id.resolve(&actor)?;
        let ServerCreate { value, used_for_auth, is_primary, is_verified, .. } = body;
        CreateChannel { user_id, value: value.0, used_for_auth, is_primary, is_verified }
    } else {
        let body: ClientCreate = call.read::<Empty, ListQuery, _>()?.2;
        let user_id = body.user_id.resolve(&actor)?;
        let ClientCreate { value, used_for_auth, is_primary, .. } = body;
        CreateChannel { user_id, value: value.0, used_for_auth, is_primary, is_verified: None }
    };
    Ok(Reply::created(channels::create(&call.deps, &actor, input).await?.into()))
}

async fn get(mut call: Call) -> Answer<WireContactChannel> {
    let actor = call.actor(OPEN)?;
    let (path, _, _) = call.read::<ChannelPath, ListQuery, Ignored>()?;
    let user_id = path.user_id.resolve(&actor)?;
    Ok(Reply::ok(channels::get(&call.deps, &actor, user_id, path.contact_channel_id).await?.into()))
}

async fn update(mut call: Call) -> Answer<WireContactChannel> {
    let actor = call.actor(OPEN)?;
    let (path, input) = if actor.is_server() {
        let (path, _, patch) = call.read::<ChannelPath, ListQuery, ServerPatch>()?;
        let ServerPatch { value, used_for_auth, is_primary, is_verified, .. } = patch;
        (path, UpdateChannel { value: value.map(|value| value.0), used_for_auth, is_primary, is_verified })
    } else {
        let (path, _, patch) = call.read::<ChannelPath, ListQuery, ClientPatch>()?;
        let ClientPatch { value, used_for_auth, is_primary, .. } = patch;
        (path, UpdateChannel { value: value.map(|value| value.0), used_for_auth, is_primary, is_verified: None })
    };
    let user_id = path.user_id.resolve(&actor)?;
    Ok(Reply::ok(channels::update(&call.deps, &actor, user_id, path.contact_channel_id, input).await?.into()))
}

async fn delete(mut call: Call) -> Answer<Success> {
    let actor = call.actor(OPEN)?;
    let (path, _, _) = call.read::<ChannelPath, ListQuery, Ignored>()?;
    channels::delete(&call.deps, &actor, path.user_id.resolve(&actor)?, path.contact_channel_id).await?;
    Ok(success())
}
