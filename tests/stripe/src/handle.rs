//! What tests and scripts do with a running fake.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    Card, FakeStripe, Fault, LoggedRequest, deeds,
    objects::{account, checkout, customer, setup, subscription},
    params::Params,
    problem::Problem,
    state::{Cause, Scope, text},
};

/// What customers, banks and time do. Each answers the object as it is then.
impl FakeStripe {
    /// Makes an account that cannot take payments yet; answers its id.
    #[must_use]
    pub fn account(&self, metadata: &[(&str, &str)]) -> String {
        let metadata: serde_json::Map<_, _> =
            metadata.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let params = Params(json!({
            "capabilities": { "card_payments": { "requested": "true" }, "transfers": { "requested": "true" } },
            "controller": { "stripe_dashboard": { "type": "none" } }, "metadata": metadata,
        }));
        let made = account::create(&mut self.state(), &params, Cause::default());
        made.map(|made| text(&made, "/id").to_owned()).unwrap_or_default()
    }

    /// Its owner has told Stripe everything: it can take payments (`account.updated`).
    ///
    /// # Errors
    /// There is no such account.
    pub fn enable_charges(&self, account: &str) -> Result<Value, Problem> {
        account::enable(&mut self.state(), account)
    }

    /// The customer pays (`charge.succeeded`, `payment_intent.succeeded`).
    ///
    /// # Errors
    /// There is no such payment intent, or it is paid or canceled.
    pub fn pay_intent(&self, account: &str, id: &str) -> Result<Value, Problem> {
        self.within(account, |scope| deeds::pay_intent(scope, id))
    }

    /// The customer's card is declined, in these words (`charge.failed`, `payment_intent.payment_failed`).
    ///
    /// # Errors
    /// There is no such payment intent, or it is paid or canceled.
    pub fn fail_intent(&self, account: &str, id: &str, reason: &str) -> Result<Value, Problem> {
        self.within(account, |scope| deeds::fail_intent(scope, id, reason))
    }

    /// The customer pays the open invoice, or sets up the card for after the trial.
    ///
    /// # Errors
    /// There is no such subscription, or nothing to be paid.
    pub fn pay_subscription(&self, account: &str, id: &str) -> Result<Value, Problem> {
        self.within(account, |scope| deeds::pay_subscription(scope, id))
    }

    /// The next period begins and is paid. The clock stays.
    ///
    /// # Errors
    /// There is no such subscription, or it ends with its period.
    pub fn renew(&self, account: &str, id: &str) -> Result<Value, Problem> {
        self.within(account, |scope| deeds::renew(scope, id))
    }

    /// The next period begins and is not paid (`invoice.payment_failed`, the subscription past due); once more, the same invoice
    /// is tried again.
    ///
    /// # Errors
    /// There is no such subscription, or it ends with its period.
    pub fn fail_renewal(&self, account: &str, id: &str) -> Result<Value, Problem> {
        self.within(account, |scope| deeds::fail_renewal(scope, id))
    }

    /// Stripe stops trying: the open invoice is uncollectible (`invoice.payment_failed` once more), the subscription unpaid.
    ///
    /// # Errors
    /// There is no such subscription, or no open invoice.
    pub fn give_up(&self, account: &str, id: &str) -> Result<Value, Problem> {
        self.within(account, |scope| deeds::give_up(scope, id))
    }

    /// Ends a subscription now, as somebody may in Stripe's dashboard.
    ///
    /// # Errors
    /// There is no such subscription, or it has ended.
    pub fn end_subscription(&self, account: &str, id: &str) -> Result<Value, Problem> {
        self.within(account, |scope| subscription::cancel(scope, id))
    }

    /// Lets a subscription end with its period, as somebody may in Stripe's dashboard.
    ///
    /// # Errors
    /// There is no such subscription, or it has ended.
    pub fn cancel_at_period_end(&self, account: &str, id: &str) -> Result<Value, Problem> {
        let params = Params(json!({ "cancel_at_period_end": "true" }));
        self.within(account, |scope| subscription::update(scope, id, &params))
    }

    /// The period of a subscription that is not to go on is over. The clock stays.
    ///
    /// # Errors
    /// There is no such subscription, or it goes on.
    pub fn reach_period_end(&self, account: &str, id: &str) -> Result<Value, Problem> {
        self.within(account, |scope| deeds::reach_period_end(scope, id))
    }

    /// The customer's bank takes a payment back; answers the dispute (`charge.dispute.created`).
    ///
    /// # Errors
    /// There is no such payment intent, or it is not paid.
    pub fn dispute(&self, account: &str, payment_intent: &str) -> Result<Value, Problem> {
        self.within(account, |scope| deeds::dispute(scope, payment_intent))
    }

    /// The customer pays on a page of Stripe's own; answers the session, with the payment intent or subscription.
    ///
    /// # Errors
    /// There is no such session, or it is paid or too old.
    pub fn complete_checkout(&self, account: &str, session: &str) -> Result<Value, Problem> {
        self.within(account, |scope| checkout::complete(scope, session))
    }

    /// The customer types a card in for later.
    ///
    /// # Errors
    /// There is no such set-up, or it has a card.
    pub fn confirm_setup_intent(&self, account: &str, id: &str, card: &Card) -> Result<Value, Problem> {
        self.within(account, |scope| setup::confirm(scope, id, card))
    }

    /// Deletes a customer, as somebody may in Stripe's dashboard; its subscriptions end.
    ///
    /// # Errors
    /// There is no such customer.
    pub fn delete_customer(&self, account: &str, id: &str) -> Result<Value, Problem> {
        self.within(account, |scope| customer::delete(scope, id))
    }

    fn within(
        &self,
        account: &str,
        deed: impl FnOnce(&mut Scope<'_>) -> Result<Value, Problem>,
    ) -> Result<Value, Problem> {
        deed(&mut self.state().scope(account, Cause::default())?)
    }
}

/// What tests look at and arrange.
impl FakeStripe {
    /// Events of all accounts since the last call, in order, as Stripe posts them.
    pub fn take_events(&self) -> Vec<Value> {
        std::mem::take(&mut self.state().fresh_events)
    }

    /// Forgets all events so far: they are neither told nor listed.
    pub fn forget_events(&self) {
        let mut state = self.state();
        state.fresh_events.clear();
        state.accounts.values_mut().for_each(|account| account.events.clear());
    }

    /// All events of an account, oldest first; none of one that is not there.
    #[must_use]
    pub fn events(&self, account: &str) -> Vec<Value> {
        self.state().accounts.get(account).map(|account| account.events.clone()).unwrap_or_default()
    }

    /// All objects of an account of a kind (`subscription`, `refund`, `payment_intent`, …), oldest first.
    #[must_use]
    pub fn objects(&self, account: &str, kind: &str) -> Vec<Value> {
        let state = self.state();
        let newest_first = state.accounts.get(account).into_iter().flat_map(|account| account.objects.of_kind(kind));
        let mut objects: Vec<_> = newest_first.cloned().collect();
        objects.reverse();
        objects
    }

    /// All refunds of an account, oldest first.
    #[must_use]
    pub fn refunds(&self, account: &str) -> Vec<Value> {
        self.objects(account, "refund")
    }

    /// All subscriptions of an account in any state, oldest first.
    #[must_use]
    pub fn subscriptions(&self, account: &str) -> Vec<Value> {
        self.objects(account, "subscription")
    }

    /// An object of an account by its id.
    #[must_use]
    pub fn object(&self, account: &str, id: &str) -> Option<Value> {
        self.state().accounts.get(account)?.objects.get(id).cloned()
    }

    /// All calls so far, in the order of their arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.state().wire.requests.clone()
    }

    /// Lets the next call of this method, to a path that begins so (`/v1/refunds`), go wrong. Several wait for one call each, in
    /// order.
    pub fn fail_next(&self, method: &str, path_prefix: &str, fault: Fault) {
        self.state().wire.faults.push((method.to_owned(), path_prefix.to_owned(), fault));
    }

    /// Whether cards of this account's customers are declined in calls that want to be paid at once
    /// (`payment_behavior=error_if_incomplete`).
    ///
    /// # Errors
    /// There is no such account.
    pub fn set_declining(&self, account: &str, declines: bool) -> Result<(), Problem> {
        self.state().scope(account, Cause::default())?.account.declines_cards = declines;
        Ok(())
    }

    /// Every call takes so much longer from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.state().wire.latency = latency;
    }

    /// Customers younger than this are not found by search. 0 at first; the real one is up to a minute behind.
    pub fn set_search_lag(&self, seconds: i64) {
        self.state().search_lag_seconds = seconds;
    }

    /// Its present, in Unix seconds.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.state().clock.now()
    }

    /// Stops its clock at this Unix second.
    pub fn set_now(&self, unix_seconds: i64) {
        self.state().clock.set(unix_seconds);
    }

    /// Stops its clock so many seconds after its present.
    pub fn advance(&self, seconds: i64) {
        let mut state = self.state();
        let then = state.clock.now() + seconds;
        state.clock.set(then);
    }
}
