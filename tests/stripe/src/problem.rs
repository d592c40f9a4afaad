//! What Stripe answers when it does not do what it was asked.

use serde_json::{Value, json};

/// A refusal, in Stripe's terms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {kind} {code:?}: {message}")]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// `invalid_request_error`, `card_error`, ….
    pub kind: &'static str,
    /// `resource_missing`, ….
    pub code: Option<&'static str>,
    /// For people.
    pub message: String,
    /// The parameter at fault.
    pub param: Option<String>,
    /// The payment intent that failed, as the error shows it.
    pub payment_intent: Option<Box<Value>>,
}

impl Problem {
    pub(crate) fn new(status: u16, kind: &'static str, code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { status, kind, code, message: message.into(), param: None, payment_intent: None }
    }

    /// 400 of the sort most are.
    pub(crate) fn invalid(code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", code, message)
    }

    /// 404 for the object that the path names.
    pub(crate) fn missing(kind: &str, id: &str) -> Self {
        let message = format!("No such {}: '{id}'", kind.replace('.', " "));
        Self {
            param: Some("id".to_owned()),
            ..Self::new(404, "invalid_request_error", Some("resource_missing"), message)
        }
    }

    /// 400 for an object that a parameter names.
    pub(crate) fn missing_param(kind: &str, id: &str, param: &str) -> Self {
        Self { status: 400, param: Some(param.to_owned()), ..Self::missing(kind, id) }
    }

    /// 402.
    pub(crate) fn declined(payment_intent: Value) -> Self {
        let problem = Self::new(402, "card_error", Some("card_declined"), "Your card was declined.");
        Self { payment_intent: Some(Box::new(payment_intent)), ..problem }
    }

    /// The error as Stripe writes it.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut error = json!({ "type": self.kind, "message": self.message });
        if let Some(error) = error.as_object_mut() {
            if let Some(code) = self.code {
                error.insert("code".to_owned(), code.into());
                error.insert("doc_url".to_owned(), format!("https://stripe.com/docs/error-codes/{code}").into());
            }
            if let Some(param) = &self.param {
                error.insert("param".to_owned(), param.clone().into());
            }
            if let Some(payment_intent) = &self.payment_intent {
                error.insert("payment_intent".to_owned(), (**payment_intent).clone());
                error.insert("decline_code".to_owned(), "generic_decline".into());
            }
        }
        json!({ "error": error })
    }
}
