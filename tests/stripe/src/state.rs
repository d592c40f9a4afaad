//! Everything the fake knows, and one account of it at one instant.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
};

use serde_json::{Map, Value, json};

use crate::{calendar::Clock, expand, problem::Problem, server::Wire};

/// The version that the real one would have been asked for.
pub(crate) const API_VERSION: &str = "2026-09-30.endive";

/// Where calls go that name no account.
pub(crate) const PLATFORM: &str = "acct_platform";

/// Everything.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) accounts: BTreeMap<String, Account>,
    /// Events nobody has taken yet, in order.
    pub(crate) fresh_events: Vec<Value>,
    /// Customers younger than this are not found by search.
    pub(crate) search_lag_seconds: i64,
    pub(crate) wire: Wire,
}

/// Ids that no other run makes, so that a database may outlive the fake.
#[derive(Debug)]
pub(crate) struct Ids {
    run: u64,
    next: u64,
}

/// One account, with everything that belongs to it.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) object: Value,
    pub(crate) objects: Objects,
    /// As they are posted, oldest first.
    pub(crate) events: Vec<Value>,
    /// Cards do not pay in calls that want to be paid at once.
    pub(crate) declines_cards: bool,
}

/// Objects by kind, each kind in the order of making.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    by_kind: BTreeMap<String, BTreeMap<u64, Value>>,
    places: HashMap<String, (String, u64)>,
}

/// The call that causes events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cause {
    pub(crate) request_id: Option<String>,
    pub(crate) idempotency_key: Option<String>,
}

/// One account at one instant: what operations work on.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) account_id: &'a str,
    pub(crate) now: i64,
    pub(crate) search_lag_seconds: i64,
    pub(crate) cause: Cause,
    ids: &'a mut Ids,
    pub(crate) account: &'a mut Account,
    fresh_events: &'a mut Vec<Value>,
}

impl Default for State {
    fn default() -> Self {
        let platform = Account { object: json!({ "id": PLATFORM, "object": "account" }), ..Account::default() };
        Self {
            clock: Clock::default(),
            ids: Ids { run: RandomState::new().hash_one(0) % 0x1_0000_0000, next: 0 },
            accounts: BTreeMap::from([(PLATFORM.to_owned(), platform)]),
            fresh_events: Vec::new(),
            search_lag_seconds: 0,
            wire: Wire::default(),
        }
    }
}

impl Default for Account {
    fn default() -> Self {
        Self { object: Value::Null, objects: Objects::default(), events: Vec::new(), declines_cards: false }
    }
}

impl State {
    /// An account as it is now.
    ///
    /// # Errors
    /// Stripe's answer when there is no such account; it tells nobody whether there is one.
    pub(crate) fn scope<'a>(&'a mut self, account_id: &'a str, cause: Cause) -> Result<Scope<'a>, Problem> {
        let account = self.accounts.get_mut(account_id).ok_or_else(|| unknown_account(account_id))?;
        Ok(Scope {
            account_id,
            now: self.clock.now(),
            search_lag_seconds: self.search_lag_seconds,
            cause,
            ids: &mut self.ids,
            account,
            fresh_events: &mut self.fresh_events,
        })
    }
}

pub(crate) fn unknown_account(account_id: &str) -> Problem {
    let message = format!(
        "The provided key 'sk_test_****' does not have access to account '{account_id}' (or that account does not exist). \
         Application access may have been revoked."
    );
    Problem::new(403, "invalid_request_error", Some("account_invalid"), message)
}

impl Ids {
    pub(crate) fn next(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}_{:08x}{:08x}", self.run, self.next)
    }
}

impl Objects {
    pub(crate) fn get(&self, id: &str) -> Option<&Value> {
        let (kind, place) = self.places.get(id)?;
        self.by_kind.get(kind)?.get(place)
    }

    fn get_mut(&mut self, id: &str) -> Option<&mut Value> {
        let (kind, place) = self.places.get(id)?;
        self.by_kind.get_mut(kind)?.get_mut(place)
    }

    fn add(&mut self, object: Value) {
        let (kind, id) = (text(&object, "/object").to_owned(), text(&object, "/id").to_owned());
        let place = u64::try_from(self.places.len()).unwrap_or(u64::MAX);
        self.places.insert(id, (kind.clone(), place));
        self.by_kind.entry(kind).or_default().insert(place, object);
    }

    /// Newest first, as every list of Stripe's.
    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.by_kind.get(kind).into_iter().flat_map(|objects| objects.values().rev())
    }
}

impl Scope<'_> {
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        self.ids.next(prefix)
    }

    pub(crate) fn add(&mut self, object: Value) -> Value {
        self.account.objects.add(object.clone());
        object
    }

    /// The object of this kind that the path of a call names.
    pub(crate) fn get(&self, kind: &str, id: &str) -> Result<Value, Problem> {
        let found = self.account.objects.get(id).filter(|object| text(object, "/object") == kind);
        found.cloned().ok_or_else(|| Problem::missing(kind, id))
    }

    /// The object of this kind that a parameter names. A deleted one is none.
    pub(crate) fn named(&self, kind: &str, id: &str, param: &str) -> Result<Value, Problem> {
        let missing = || Problem::missing_param(kind, id, param);
        self.get(kind, id).ok().filter(|object| object.get("deleted").is_none()).ok_or_else(missing)
    }

    /// Sets fields; answers those that were different, as they were.
    pub(crate) fn patch(&mut self, id: &str, changes: Value) -> Value {
        let mut previous = Map::new();
        let object = self.account.objects.get_mut(id).and_then(Value::as_object_mut);
        if let (Some(object), Value::Object(changes)) = (object, changes) {
            for (name, value) in changes {
                if object.get(&name) != Some(&value) {
                    let before = object.insert(name.clone(), value);
                    previous.insert(name, before.unwrap_or_default());
                }
            }
        }
        Value::Object(previous)
    }

    /// Sets fields and tells of it, if any is different then.
    pub(crate) fn change(&mut self, id: &str, changes: Value, event_type: &str) {
        let previous = self.patch(id, changes);
        if previous.as_object().is_some_and(|previous| !previous.is_empty()) {
            let object = self.shown(id);
            self.tell(event_type, &object, Some(previous));
        }
    }

    /// Tells of an object as it is.
    pub(crate) fn emit(&mut self, event_type: &str, id: &str) {
        let object = self.shown(id);
        self.tell(event_type, &object, None);
    }

    /// The object without what is only shown when asked for.
    fn shown(&self, id: &str) -> Value {
        self.account.objects.get(id).map(expand::bare).unwrap_or_default()
    }

    pub(crate) fn tell(&mut self, event_type: &str, object: &Value, previous: Option<Value>) {
        let mut data = json!({ "object": object });
        if let (Some(previous), Some(data)) = (previous, data.as_object_mut()) {
            data.insert("previous_attributes".to_owned(), previous);
        }
        let event = json!({
            "id": self.id("evt"), "object": "event", "account": self.account_id, "api_version": API_VERSION,
            "created": self.now, "data": data, "livemode": false, "pending_webhooks": 1,
            "request": { "id": self.cause.request_id, "idempotency_key": self.cause.idempotency_key },
            "type": event_type,
        });
        self.account.events.push(event.clone());
        self.fresh_events.push(event);
    }
}

/// Text at a JSON pointer, empty when there is none.
pub(crate) fn text<'a>(value: &'a Value, place: &str) -> &'a str {
    value.pointer(place).and_then(Value::as_str).unwrap_or_default()
}

/// A number at a JSON pointer, 0 when there is none.
pub(crate) fn int(value: &Value, place: &str) -> i64 {
    value.pointer(place).and_then(Value::as_i64).unwrap_or_default()
}

/// What is at a JSON pointer, null when nothing.
pub(crate) fn part(value: &Value, place: &str) -> Value {
    value.pointer(place).cloned().unwrap_or_default()
}

/// Sets a field, at a JSON pointer whose parent is an object.
pub(crate) fn set(value: &mut Value, place: &str, to: impl Into<Value>) {
    let (parent, name) = place.rsplit_once('/').unwrap_or_default();
    if let Some(parent) = value.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.insert(name.to_owned(), to.into());
    }
}
