//! Which endpoints get a message. Pure. wire/webhooks §5.1.

use std::str::FromStr;

use crate::{
    TeamId, UserId,
    events::{Audience, EventKind},
};

/// What an endpoint wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wants {
    pub(super) disabled: bool,
    pub(super) filter_types: Option<Vec<String>>,
    pub(super) channels: Option<Vec<String>>,
}

/// Whether events of this type are ever sent to endpoints.
pub(super) fn is_sent(event_type: &str) -> bool {
    EventKind::from_str(event_type).is_ok_and(|kind| kind.audience() != Audience::None)
}

/// Whether an endpoint gets a message of this type on these channels by itself. With channels it needs one in common with
/// the message.
pub(super) fn gets(wants: &Wants, event_type: &str, channels: &[String]) -> bool {
    let channel_wanted = wants.channels.as_ref().is_none_or(|wanted| wanted.iter().any(|one| channels.contains(one)));
    !wants.disabled && wants_type(wants.filter_types.as_deref(), event_type) && channel_wanted
}

/// Whether a filter lets this type through: without one those of the webhook contract pass, with one those that it names.
pub(super) fn wants_type(filter: Option<&[String]>, event_type: &str) -> bool {
    match filter {
        Some(filter) => filter.iter().any(|wanted| wanted == event_type),
        None => EventKind::from_str(event_type).is_ok_and(|kind| kind.audience() == Audience::Wire),
    }
}

/// The channels of a message: the user and the team that it is about, so that an endpoint can follow a single one.
pub(super) fn channels_of(user_id: Option<UserId>, team_id: Option<TeamId>) -> Vec<String> {
    let user = user_id.map(|id| format!("user:{id}"));
    user.into_iter().chain(team_id.map(|id| format!("team:{id}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[&str]) -> Option<Vec<String>> {
        Some(items.iter().map(|item| (*item).to_owned()).collect())
    }

    #[test]
    fn filter_channels_and_state_must_all_agree() {
        let all = Wants::default();
        let users = Wants { filter_types: list(&["user.created", "session.created"]), ..Wants::default() };
        let none = Wants { filter_types: list(&[]), ..Wants::default() };
        let eu = Wants { channels: list(&["eu", "us"]), ..Wants::default() };
        let disabled = Wants { disabled: true, ..Wants::default() };
        for (wants, event_type, channels, expected) in [
            (&all, "user.created", None, true),
            (&all, "team.deleted", list(&["eu"]), true),
            (&all, "session.created", None, false),
            (&all, "project.created", None, false),
            (&all, "no.such", None, false),
            (&users, "user.created", None, true),
            (&users, "session.created", None, true),
            (&users, "user.updated", None, false),
            (&none, "user.created", None, false),
            (&eu, "user.created", None, false),
            (&eu, "user.created", list(&["asia"]), false),
            (&eu, "user.created", list(&["asia", "us"]), true),
            (&disabled, "user.created", None, false),
        ] {
            assert_eq!(gets(wants, event_type, &channels.unwrap_or_default()), expected, "{wants:?} {event_type}");
        }
    }

    #[test]
    fn audit_events_and_unknown_types_are_never_sent() {
        for (event_type, expected) in [
            ("user.created", true),
            ("session.created", true),
            ("key_set.created", false),
            ("api_key.revoked", false),
            ("config.updated", false),
            ("project.deleted", false),
            ("no.such", false),
        ] {
            assert_eq!(is_sent(event_type), expected, "{event_type}");
        }
    }
}
