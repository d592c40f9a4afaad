//! The methods of the fake by name, for those who cannot call them: scripts, benchmarks, other languages.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    Card, FakeStripe, Fault, LoggedRequest, Problem,
    state::{int, text},
};

impl FakeStripe {
    /// Does what the method of this name does, with its arguments as an object (`{"account":"acct_…","id":"sub_…"}`).
    /// Lists are answered as arrays; what answers nothing, as null.
    ///
    /// # Errors
    /// Those of the method; 404 for a name that there is not.
    pub fn control(&self, name: &str, arguments: &Value) -> Result<Value, Problem> {
        let (account, id) = (text(arguments, "/account"), text(arguments, "/id"));
        match name {
            "account" => Ok(json!({ "id": self.account(&metadata(arguments)) })),
            "enable_charges" => self.enable_charges(account),
            "pay_intent" => self.pay_intent(account, id),
            "fail_intent" => self.fail_intent(account, id, text(arguments, "/reason")),
            "pay_subscription" => self.pay_subscription(account, id),
            "renew" => self.renew(account, id),
            "fail_renewal" => self.fail_renewal(account, id),
            "give_up" => self.give_up(account, id),
            "end_subscription" => self.end_subscription(account, id),
            "cancel_at_period_end" => self.cancel_at_period_end(account, id),
            "reach_period_end" => self.reach_period_end(account, id),
            "dispute" => self.dispute(account, id),
            "complete_checkout" => self.complete_checkout(account, id),
            "confirm_setup_intent" => self.confirm_setup_intent(account, id, &card(arguments)),
            "delete_customer" => self.delete_customer(account, id),
            "take_events" => Ok(self.take_events().into()),
            "events" => Ok(self.events(account).into()),
            "objects" => Ok(self.objects(account, text(arguments, "/kind")).into()),
            "refunds" => Ok(self.refunds(account).into()),
            "subscriptions" => Ok(self.subscriptions(account).into()),
            "object" => self.object(account, id).ok_or_else(|| Problem::missing("object", id)),
            "requests" => Ok(self.requests().iter().map(logged).collect()),
            "now" => Ok(self.now().into()),
            _ => self.arrange(name, arguments),
        }
    }

    fn arrange(&self, name: &str, arguments: &Value) -> Result<Value, Problem> {
        match name {
            "fail_next" => {
                self.fail_next(text(arguments, "/method"), text(arguments, "/path"), fault(arguments)?);
            }
            "set_declining" => {
                let declines = arguments.get("declines").and_then(Value::as_bool).unwrap_or_default();
                self.set_declining(text(arguments, "/account"), declines)?;
            }
            "set_latency" => {
                let milliseconds = u64::try_from(int(arguments, "/milliseconds")).unwrap_or_default();
                self.set_latency(Duration::from_millis(milliseconds));
            }
            "set_search_lag" => self.set_search_lag(int(arguments, "/seconds")),
            "set_now" => self.set_now(int(arguments, "/at")),
            "advance" => self.advance(int(arguments, "/seconds")),
            _ => {
                return Err(Problem::new(
                    404,
                    "invalid_request_error",
                    None,
                    format!("No method of this name: {name}"),
                ));
            }
        }
        Ok(Value::Null)
    }
}

fn metadata(arguments: &Value) -> Vec<(&str, &str)> {
    let given = arguments.get("metadata").and_then(Value::as_object).into_iter().flatten();
    given.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect()
}

/// The card that is described, each missing part as in Stripe's own examples.
fn card(arguments: &Value) -> Card {
    let usual = Card::default();
    let words = |place: &str, usual: String| match text(arguments, place) {
        "" => usual,
        given => given.to_owned(),
    };
    let number = |place: &str, usual: i64| match int(arguments, place) {
        0 => usual,
        given => given,
    };
    Card {
        brand: words("/card/brand", usual.brand),
        last4: words("/card/last4", usual.last4),
        exp_month: number("/card/exp_month", usual.exp_month),
        exp_year: number("/card/exp_year", usual.exp_year),
    }
}

/// `{"fault":"drop"}`, `"drop_after_doing"`, or `"status"` and `"status_after_doing"` with a `"status"`.
fn fault(arguments: &Value) -> Result<Fault, Problem> {
    let status =
        u16::try_from(int(arguments, "/status")).ok().filter(|status| (400..600).contains(status)).unwrap_or(500);
    match text(arguments, "/fault") {
        "status" => Ok(Fault::Status(status)),
        "status_after_doing" => Ok(Fault::StatusAfterDoing(status)),
        "drop" => Ok(Fault::Drop),
        "drop_after_doing" => Ok(Fault::DropAfterDoing),
        other => Err(Problem::invalid(None, format!("No fault of this name: {other}"))),
    }
}

fn logged(request: &LoggedRequest) -> Value {
    json!({
        "method": request.method, "path": request.path, "account": request.account,
        "idempotency_key": request.idempotency_key, "params": request.params, "status": request.status,
    })
}
