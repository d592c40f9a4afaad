//! Decisions about fields: may this caller read this field of this object? The attribute
//! [`guarded`](postern_gateway_macros::guarded) writes a call to this module in front of every resolver, and the
//! `@access` directive and the visibility in introspection from the same statement.
//!
//! Guards are the fence; the domain's own checks are the wall. Nothing here reads the database except for permissions, of
//! which a request asks once for all its fields.

use std::{
    borrow::Cow,
    sync::{Mutex, PoisonError},
};

use async_graphql::{Context, Enum, TypeDirective};
use postern_domain::{Actor, Code, Failure, Level, TeamId, UserId, actor::KeyOwner, identity};

use super::{error::Error, loaders::Loaders};

/// What a caller has proven about the application it speaks for; a higher level may do all a lower one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum AccessLevel {
    /// A browser or an app: holds at most a publishable key, perhaps with a signed-in user.
    Client,
    /// The application's backend: holds the secret server key.
    Server,
    /// The project's administration.
    Admin,
}

/// Whose API keys may use a field of a root type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum KeyOwners {
    /// Those of users.
    User,
    /// Those of users and of teams.
    Any,
}

impl KeyOwners {
    fn includes(self, owner: KeyOwner) -> bool {
        match owner {
            KeyOwner::User(_) => true,
            KeyOwner::Team(_) => self == Self::Any,
        }
    }
}

/// Who may read this. Servers pass where the level is CLIENT or SERVER, admins always. A client passes where the level is
/// CLIENT, if the object is its own user's (`self`), and if its user holds `permission`: in the team on the path, else in
/// the project. An API key is a client that passes the fields of Query, Mutation and Subscription only where `keys` names it.
#[expect(unused_variables, reason = "the directive only describes; `check` decides")]
#[TypeDirective(location = "FieldDefinition", location = "Object")]
pub(crate) fn access(
    level: AccessLevel,
    #[graphql(name = "self")] own: Option<bool>,
    permission: Option<String>,
    keys: Option<KeyOwners>,
) {
}

/// A rule, as `@access` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// What the caller must have proven.
    pub(crate) level: AccessLevel,
    /// A client must own the object.
    pub(crate) own: bool,
    /// A client's user must hold this permission.
    pub(crate) permission: Option<&'static str>,
    /// Whose API keys pass a field of a root type.
    pub(crate) keys: Option<KeyOwners>,
}

/// Whose an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The caller's, whoever that is: fields of root types.
    Caller,
    /// No user's.
    Nobody,
    /// This user's.
    User(UserId),
}

impl From<UserId> for Owner {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}

impl From<Option<UserId>> for Owner {
    fn from(user: Option<UserId>) -> Self {
        user.map_or(Self::Nobody, Self::User)
    }
}

/// What the rule says about a caller, before any permission is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Allowed,
    Refused,
    /// Allowed if the caller's user holds the permission.
    IfHeld,
}

fn decide(rule: &Rule, actor: &Actor, owner: Owner) -> Decision {
    let passes_by_level = match rule.level {
        AccessLevel::Admin => actor.level == Level::Admin,
        AccessLevel::Client | AccessLevel::Server => actor.is_server(),
    };
    if passes_by_level {
        return Decision::Allowed;
    }
    if rule.level != AccessLevel::Client {
        return Decision::Refused;
    }
    // What may be begun with a key is said at the roots; below, a key sees what its owner sees.
    if owner == Owner::Caller && !lets_key_pass(rule, actor) {
        return Decision::Refused;
    }
    let owns = match owner {
        // A key of a team that came here is let in by name, and owns what is its team's.
        Owner::Caller => actor.user_id().is_some() || actor.team_id().is_some(),
        Owner::Nobody => false,
        Owner::User(user) => actor.is_user(user),
    };
    if rule.own && !owns {
        Decision::Refused
    } else if rule.permission.is_none() {
        Decision::Allowed
    } else if actor.user_id().is_some() {
        Decision::IfHeld
    } else {
        Decision::Refused
    }
}

/// Whether the caller is no API key, or one of those that the rule names.
fn lets_key_pass(rule: &Rule, actor: &Actor) -> bool {
    actor.key.is_none_or(|key| rule.keys.is_some_and(|keys| keys.includes(key.owner)))
}

/// Whether the caller of this request may read a field with `rule` of an object of `owner`.
///
/// # Errors
/// `FORBIDDEN` when not, `ACCESS_TYPE_REQUIRED` when the request named no project, `CANNOT_GET_OWN_USER_WITHOUT_USER` when
/// a root field needs a user and there is none. A rule with a permission is for [`check_permission`]: here it is refused.
pub(crate) fn check(ctx: &Context<'_>, rule: &Rule, owner: Owner) -> Result<(), Error> {
    let Some(actor) = ctx.data_opt::<Actor>() else { return Err(nobody_asks()) };
    if decide(rule, actor, owner) == Decision::Allowed {
        return Ok(());
    }
    // Somebody who signs in by this very request owns the user that the answer shows, though the request came without it.
    if let (Owner::User(user), Some(signed_in)) = (owner, ctx.data_opt::<SignedIn>())
        && signed_in.includes(user)
        && rule.level == AccessLevel::Client
        && rule.permission.is_none()
    {
        return Ok(());
    }
    // Open to keys, but not to those of teams: as for everybody else without a user.
    let wants_user = rule.keys.is_some() || actor.key.is_none();
    if owner == Owner::Caller && rule.own && rule.level == AccessLevel::Client && wants_user {
        // Not refused for who it is, but for lack of anybody: that has a code of its own in the contract.
        identity::own_user_id(actor)?;
    }
    if owner == Owner::Caller && rule.level == AccessLevel::Client && !lets_key_pass(rule, actor) {
        return Err(Failure::forbidden("An API key may not do this: sign in, or use a server key.").into());
    }
    Err(refusal(rule))
}

/// The same for a rule with a permission, which the caller's user must hold in the team on the path, else in the project.
///
/// # Errors
/// Those of [`check`]; internal.
pub(crate) async fn check_permission(
    ctx: &Context<'_>,
    rule: &Rule,
    owner: Owner,
    team: Option<TeamId>,
) -> Result<(), Error> {
    let (Some(actor), Some(permission)) = (ctx.data_opt::<Actor>(), rule.permission) else {
        return check(ctx, rule, owner);
    };
    if decide(rule, actor, owner) != Decision::IfHeld {
        return check(ctx, rule, owner);
    }
    if Loaders::of(ctx)?.caller_holds(permission, team).await? { Ok(()) } else { Err(refusal(rule)) }
}

/// The users who proved who they are within this request: by signing up or in, or by a refresh token.
#[derive(Debug, Default)]
pub(crate) struct SignedIn(Mutex<Vec<UserId>>);

impl SignedIn {
    /// Notes that the caller proved to be this user.
    pub(crate) fn note(ctx: &Context<'_>, user: UserId) {
        if let Some(Self(users)) = ctx.data_opt::<Self>() {
            users.lock().unwrap_or_else(PoisonError::into_inner).push(user);
        }
    }

    fn includes(&self, user: UserId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&user)
    }
}

fn nobody_asks() -> Error {
    Failure::new(
        Code::AccessTypeRequired,
        "Say for which project you ask and as what: the headers x-stack-project-id and x-stack-access-type.",
    )
    .into()
}

fn refusal(rule: &Rule) -> Error {
    let needs: Cow<'static, str> = match (rule.level, rule.own, rule.permission) {
        (AccessLevel::Admin, ..) => "This is for the project's administration only.".into(),
        (AccessLevel::Server, ..) => "This is for the application's backend only.".into(),
        (AccessLevel::Client, _, Some(permission)) => format!("This needs the permission {permission}.").into(),
        (AccessLevel::Client, true, None) => "This is for the user it belongs to only.".into(),
        (AccessLevel::Client, false, None) => "This needs a caller that a project knows.".into(),
    };
    Failure::new(Code::Forbidden, needs).into()
}

/// A refused nullable field: null, with the error at its path.
#[expect(clippy::unnecessary_wraps, reason = "stands in for the answer of a resolver")]
pub(crate) fn refused<T>(ctx: &Context<'_>, error: Error) -> async_graphql::Result<Option<T>> {
    let error = async_graphql::Error::from(error).into_server_error(ctx.item.pos);
    ctx.add_error(ctx.set_error_path(error));
    Ok(None)
}

/// The answer of a nullable field whose resolver may fail: a failure is null, with the error at its path.
pub(crate) fn or_null<T, E: Into<Error>>(
    ctx: &Context<'_>,
    answer: Result<Option<T>, E>,
) -> async_graphql::Result<Option<T>> {
    answer.or_else(|error| refused(ctx, error.into()))
}

/// Visible to every caller that a project knows.
pub(crate) fn visible_to_clients(ctx: &Context<'_>) -> bool {
    ctx.data_opt::<Actor>().is_some()
}

/// The same but for API keys of teams: for root fields that name keys of users.
pub(crate) fn visible_to_clients_and_user_keys(ctx: &Context<'_>) -> bool {
    ctx.data_opt::<Actor>().is_some_and(|actor| actor.team_id().is_none())
}

/// The same but for API keys: for root fields that name none.
pub(crate) fn visible_to_clients_without_key(ctx: &Context<'_>) -> bool {
    ctx.data_opt::<Actor>().is_some_and(|actor| actor.key.is_none())
}

/// Visible to users, by whatever they prove themselves, servers and admins: for root fields that need a user.
pub(crate) fn visible_to_users(ctx: &Context<'_>) -> bool {
    ctx.data_opt::<Actor>().is_some_and(|actor| actor.is_server() || actor.user_id().is_some())
}

/// The same with API keys of teams: for root fields that name them.
pub(crate) fn visible_to_users_and_keys(ctx: &Context<'_>) -> bool {
    ctx.data_opt::<Actor>().is_some_and(|actor| actor.is_server() || actor.user.is_some() || actor.key.is_some())
}

/// Visible to signed-in users, servers and admins: for root fields that name no API keys.
pub(crate) fn visible_to_users_without_key(ctx: &Context<'_>) -> bool {
    ctx.data_opt::<Actor>().is_some_and(|actor| actor.is_server() || actor.user.is_some())
}

/// Visible to servers and admins.
pub(crate) fn visible_to_servers(ctx: &Context<'_>) -> bool {
    ctx.data_opt::<Actor>().is_some_and(Actor::is_server)
}

/// Visible to admins.
pub(crate) fn visible_to_admins(ctx: &Context<'_>) -> bool {
    ctx.data_opt::<Actor>().is_some_and(|actor| actor.level == Level::Admin)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod table {
    use postern_domain::{
        ApiKeyId, ProjectId, SessionId, TeamId,
        actor::{ActingKey, ActingUser},
    };

    use super::*;

    fn actor(level: Level, user: Option<UserId>) -> Actor {
        let user = user.map(|id| ActingUser {
            id,
            session_id: SessionId::random(),
            is_anonymous: false,
            is_restricted: false,
        });
        Actor::new(ProjectId::internal(), level, user)
    }

    /// Every rule against every sort of caller: may it read an object that is its own, another's, nobody's?
    #[test]
    fn rules_decide_as_the_table_says() {
        use Decision::{Allowed as Yes, IfHeld as Held, Refused as No};
        let (me, other) = (UserId::random(), UserId::random());
        let rule = |level, own, permission| Rule { level, own, permission, keys: None };
        let rules = [
            rule(AccessLevel::Client, false, None),
            rule(AccessLevel::Client, true, None),
            rule(AccessLevel::Client, false, Some("p")),
            rule(AccessLevel::Client, true, Some("p")),
            rule(AccessLevel::Server, false, None),
            rule(AccessLevel::Admin, false, None),
        ];
        let owners = [Owner::User(me), Owner::User(other), Owner::Nobody, Owner::Caller];
        let table: [(Actor, [[Decision; 4]; 6]); 5] = [
            (actor(Level::Client, None), [[Yes; 4], [No; 4], [No; 4], [No; 4], [No; 4], [No; 4]]),
            (
                actor(Level::Client, Some(me)),
                [[Yes; 4], [Yes, No, No, Yes], [Held; 4], [Held, No, No, Held], [No; 4], [No; 4]],
            ),
            (actor(Level::Server, None), [[Yes; 4], [Yes; 4], [Yes; 4], [Yes; 4], [Yes; 4], [No; 4]]),
            (actor(Level::Server, Some(me)), [[Yes; 4], [Yes; 4], [Yes; 4], [Yes; 4], [Yes; 4], [No; 4]]),
            (actor(Level::Admin, None), [[Yes; 4]; 6]),
        ];
        for (actor, rows) in &table {
            for (rule, row) in rules.iter().zip(rows) {
                for (owner, expected) in owners.iter().zip(row) {
                    assert_eq!(decide(rule, actor, *owner), *expected, "{rule:?} {:?} {owner:?}", actor.level);
                }
            }
        }
    }

    /// API keys at the roots, where they must be named, and below, where they see what their owner sees.
    #[test]
    fn keys_pass_where_they_are_named() {
        use Decision::{Allowed as Yes, IfHeld as Held, Refused as No};
        let (me, other) = (UserId::random(), UserId::random());
        let key = |owner| Actor::of_key(ProjectId::internal(), ActingKey { id: ApiKeyId::random(), owner });
        let (of_user, of_team) = (key(KeyOwner::User(me)), key(KeyOwner::Team(TeamId::random())));
        let client = |own, permission, keys| Rule { level: AccessLevel::Client, own, permission, keys };
        for (keys, by_user, by_team) in
            [(None, No, No), (Some(KeyOwners::User), Yes, No), (Some(KeyOwners::Any), Yes, Yes)]
        {
            for own in [false, true] {
                let rule = client(own, None, keys);
                assert_eq!(decide(&rule, &of_user, Owner::Caller), by_user, "{rule:?}");
                assert_eq!(decide(&rule, &of_team, Owner::Caller), by_team, "{rule:?}");
            }
        }
        let held = client(true, Some("p"), Some(KeyOwners::Any));
        assert_eq!((decide(&held, &of_user, Owner::Caller), decide(&held, &of_team, Owner::Caller)), (Held, No));
        let own = client(true, None, None);
        for (owner, by_user, by_team) in
            [(Owner::User(me), Yes, No), (Owner::User(other), No, No), (Owner::Nobody, No, No)]
        {
            assert_eq!((decide(&own, &of_user, owner), decide(&own, &of_team, owner)), (by_user, by_team));
        }
        for level in [AccessLevel::Server, AccessLevel::Admin] {
            let rule = Rule { level, own: false, permission: None, keys: None };
            assert_eq!((decide(&rule, &of_user, Owner::Caller), decide(&rule, &of_team, Owner::Nobody)), (No, No));
        }
    }
}
