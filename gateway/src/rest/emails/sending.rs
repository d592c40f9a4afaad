//! Sending mails, seeing them before, and how many may leave.

use postern_domain::{
    Failure, UserId,
    emails::{
        self, Audience, Body, SendEmails, Stats, Theme,
        library::preview::{self, TemplateRef, ThemeRef},
    },
    patch::Patch,
};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::fields::{AnyObject, Millis, ThemeInput, True, draft_id, theme};
use crate::rest::{
    call::{ADMIN, Call, SERVER},
    input::{Empty, LooseEmail, OneOf, Words, input},
    reply::{Answer, Nothing, Reply},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary, allowed| About::new("Emails", summary, allowed);
    Routes::new()
        .post("/emails/send-email", send, about("Sends a mail to users", SERVER).body::<SendBody>())
        .post("/emails/render-email", render, about("Shows what a template looks like", ADMIN).body::<RenderBody>())
        .get("/emails/delivery-info", delivery_info, about("What became of mails, and how many may leave", SERVER))
        .post("/emails/capacity-boost", boost, about("Lets mails leave faster for four hours", SERVER).body::<Empty>())
        .post(
            "/internal/send-sign-in-invitation",
            invite,
            about("Invites somebody to sign in", SERVER).body::<Invitation>(),
        )
}

input! {
    /// The content is one of `html`, `template_id` (perhaps with `variables`) and `draft_id`.
    struct SendBody {
        user_ids: Option<Vec<UserId>>,
        all_users: Option<True>,
        subject: Option<String>,
        notification_category_name: Option<String>,
        theme_id: Patch<ThemeInput>,
        is_high_priority: Option<bool>,
        scheduled_at_millis: Option<Millis>,
        html: Option<String>,
        template_id: Option<Uuid>,
        variables: Option<AnyObject>,
        draft_id: Option<String>,
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SentEmails")]
struct Sent {
    results: Vec<Recipient>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EmailRecipient")]
struct Recipient {
    user_id: UserId,
}

impl TryFrom<SendBody> for SendEmails {
    type Error = Failure;

    fn try_from(body: SendBody) -> Result<Self, Failure> {
        let content = match (body.html, body.template_id, body.draft_id, body.variables) {
            (Some(html), None, None, None) => Body::Html(html),
            (None, Some(id), None, variables) => {
                let variables = variables.map(|AnyObject(variables)| variables).unwrap_or_default();
                Body::Template { id: id.to_string(), variables }
            }
            (None, None, Some(id), None) => Body::Draft(draft_id(&id)),
            _ => {
                let one = "body must have exactly one of html, template_id and draft_id; variables go with template_id";
                return Err(Failure::schema(one));
            }
        };
        let to = match (body.user_ids, body.all_users) {
            (Some(users), None) => Some(Audience::Users(users)),
            (None, Some(True)) => Some(Audience::Everybody),
            _ => None,
        };
        Ok(Self {
            to,
            content,
            subject: body.subject,
            notification_category_name: body.notification_category_name,
            theme: theme(body.theme_id).mentioned().map(|theme| theme.unwrap_or(Theme::Selected)),
            is_high_priority: body.is_high_priority.unwrap_or_default(),
            scheduled_at: body.scheduled_at_millis.map(|Millis(at)| at),
        })
    }
}

async fn send(mut call: Call) -> Answer<Sent> {
    let actor = call.actor(SERVER)?;
    let wanted = call.body::<SendBody>()?.try_into()?;
    let users = emails::send_emails(&call.deps, &actor, &wanted).await?;
    Ok(Reply::ok(Sent { results: users.into_iter().map(|user_id| Recipient { user_id }).collect() }))
}

/// Which sources an editor wants marked. Ours have no such marks: there are no regions to tell of.
#[derive(Debug)]
struct EditableSource;

impl Words for EditableSource {
    const WORDS: &'static [&'static str] = &["template", "theme", "both"];
}

input! {
    struct RenderBody {
        template_id: Option<Uuid>,
        template_tsx_source: Option<String>,
        theme_id: Patch<ThemeInput>,
        theme_tsx_source: Option<String>,
        #[expect(dead_code, reason = "taken, and of no use for our sources")]
        editable_markers: Option<bool>,
        #[expect(dead_code, reason = "taken, and of no use for our sources")]
        editable_source: Option<OneOf<EditableSource>>,
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EmailPreview")]
struct Rendered {
    html: String,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification_category: Option<String>,
}

async fn render(mut call: Call) -> Answer<Rendered> {
    let actor = call.actor(ADMIN)?;
    let body = call.body::<RenderBody>()?;
    let template = match (body.template_id, body.template_tsx_source) {
        (Some(id), None) => TemplateRef::Id(id.to_string()),
        (None, Some(source)) => TemplateRef::Source(source),
        _ => return Err(Failure::schema("body must have exactly one of template_id and template_tsx_source").into()),
    };
    let theme = match (theme(body.theme_id), body.theme_tsx_source) {
        (Patch::Keep | Patch::Clear, None) => ThemeRef::Of(Theme::Selected),
        (Patch::Set(theme), None) => ThemeRef::Of(theme),
        (Patch::Keep, Some(source)) => ThemeRef::Source(source),
        _ => return Err(Failure::schema("body must have at most one of theme_id and theme_tsx_source").into()),
    };
    let seen = preview::render(&call.deps, &actor, &template, &theme).await?;
    Ok(Reply::ok(Rendered {
        html: seen.html,
        subject: seen.subject,
        notification_category: seen.notification_category,
    }))
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EmailDeliveryInfo")]
struct DeliveryInfo {
    stats: Stats,
    capacity: Capacity,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EmailCapacity")]
struct Capacity {
    rate_per_second: f64,
    boost_multiplier: f64,
    penalty_factor: f64,
    is_boost_active: bool,
    boost_expires_at: Option<String>,
}

async fn delivery_info(mut call: Call) -> Answer<DeliveryInfo> {
    let actor = call.actor(SERVER)?;
    let info = emails::delivery_info(&call.deps, &actor).await?;
    let capacity = Capacity {
        rate_per_second: info.rate_per_second,
        boost_multiplier: info.boost_multiplier,
        penalty_factor: info.penalty_factor,
        is_boost_active: info.is_boost_active,
        boost_expires_at: info.boost_expires_at.map(emails::iso).transpose()?,
    };
    Ok(Reply::ok(DeliveryInfo { stats: info.stats, capacity }))
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EmailCapacityBoost")]
struct Boosted {
    expires_at: String,
}

async fn boost(mut call: Call) -> Answer<Boosted> {
    let actor = call.actor(SERVER)?;
    call.body::<Empty>()?;
    Ok(Reply::ok(Boosted { expires_at: emails::iso(emails::boost(&call.deps, &actor).await?)? }))
}

input! {
    struct Invitation { email: LooseEmail, callback_url: String }
}

async fn invite(mut call: Call) -> Answer<Nothing> {
    let actor = call.actor(SERVER)?;
    let body = call.body::<Invitation>()?;
    emails::invite_to_sign_in(&call.deps, &actor, &body.email.0, &body.callback_url, &call.client).await?;
    Ok(Reply::ok(Nothing {}))
}
