//! `/emails/notification-preference` and `/emails/unsubscribe-link`: which mails users want.

use postern_domain::{
    identity::UserRef,
    notifications::{self, Preference},
};
use uuid::Uuid;

use super::{
    call::{Call, OPEN},
    input::{Ignored, input},
    reply::{Answer, List, Page, Refusal, Reply},
    routes::{About, Routes},
};
use crate::pages::unsubscribe;

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Emails", summary, OPEN);
    let one = "/emails/notification-preference/{user_id}/{notification_category_id}";
    Routes::new()
        .get(
            "/emails/notification-preference/{user_id}",
            list,
            about("Lists which mails a user wants").path::<UserPath>(),
        )
        .patch(
            one,
            update,
            about("Switches a category of mails on or off").path::<PreferencePath>().body::<PreferencePatch>(),
        )
        .get(
            "/emails/unsubscribe-link",
            ask,
            About::new("Emails", "Shows a page that unsubscribes", &[]).query::<LinkQuery>(),
        )
}

input! {
    struct UserPath { user_id: UserRef }
}

input! {
    struct PreferencePath { user_id: UserRef, notification_category_id: Uuid }
}

input! {
    struct PreferencePatch { enabled: bool }
}

input! {
    struct LinkQuery { code: String }
}

async fn list(mut call: Call) -> Answer<List<Preference>> {
    let actor = call.actor(OPEN)?;
    let (path, _, _) = call.read::<UserPath, Ignored, Ignored>()?;
    let user_id = path.user_id.resolve(&actor)?;
    Ok(Reply::ok(List::whole(notifications::list(&call.deps, &actor, user_id).await?)))
}

async fn update(mut call: Call) -> Answer<Preference> {
    let actor = call.actor(OPEN)?;
    let (path, _, patch) = call.read::<PreferencePath, Ignored, PreferencePatch>()?;
    let (user_id, category_id) = (path.user_id.resolve(&actor)?, path.notification_category_id);
    Ok(Reply::ok(notifications::update(&call.deps, &actor, user_id, category_id, patch.enabled).await?))
}

/// The link upstream writes into mails, and older mails may carry.
async fn ask(mut call: Call) -> Result<Page, Refusal> {
    let (_, query, _) = call.read::<Ignored, LinkQuery, Ignored>()?;
    Ok(Page(unsubscribe::ask(&call.deps, Some(&query.code)).await?))
}
