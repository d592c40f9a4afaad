//! The one translator from failures to GraphQL errors: every error of an answer carries `extensions {code, status}`, and
//! `details` where the contract lists any. What is our own fault is logged here, once, and told as an incident only.

use async_graphql::{ErrorExtensionValues, Response, ServerError, Value};
use axum::http::StatusCode;
use postern_domain::Failure;

use crate::telemetry::count_error;

/// What resolvers answer.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a field has no value. Deliberately without `Display`: async-graphql would turn that into an error without a code.
#[derive(Debug)]
pub(crate) struct Error(Cause);

#[derive(Debug)]
enum Cause {
    Refused(Failure),
    Internal(postern_domain::Error),
    Door(DoorCode, String),
}

/// Failures that only this door knows: they concern the GraphQL document, not what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DoorCode {
    /// The HTTP request or message is no GraphQL request.
    MalformedRequest,
    /// The body is not JSON.
    UnsupportedMediaType,
    /// The caller takes no format that answers are written in.
    NotAcceptable,
    /// The operation may not be sent this way.
    MethodNotAllowed,
    /// The body or message is too large.
    PayloadTooLarge,
    /// The document is not GraphQL.
    ParseFailed,
    /// The document does not fit the schema, or a variable does not fit its type.
    ValidationFailed,
    /// No operation, or not which one.
    OperationResolutionFailure,
    /// A value of an argument does not fit.
    BadUserInput,
    /// More tokens, or more fields once fragments are expanded, than allowed.
    QueryTooLarge,
    /// Nested deeper than allowed.
    QueryTooDeep,
    /// Costs more than allowed.
    QueryTooCostly,
    /// More aliases than allowed.
    TooManyAliases,
    /// More mutations in one operation than allowed.
    TooManyRootFields,
    /// More operations at once on one socket than allowed.
    TooManyOperations,
    /// The operation took too long.
    Timeout,
    /// The hash of a persisted query is unknown: send the text with it.
    PersistedQueryNotFound,
    /// The hash of a persisted query is not that of the text.
    PersistedQueryMismatch,
    /// The document is not on the list of the installation, to which clients are bound.
    DocumentNotAllowed,
    /// The installation does not tell about its schema.
    IntrospectionDisabled,
    /// Our own fault.
    Internal,
}

impl DoorCode {
    /// The code as clients see it. Where Apollo's servers have a name for it, it is theirs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::MalformedRequest => "BAD_REQUEST",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::NotAcceptable => "NOT_ACCEPTABLE",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::ParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::ValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::OperationResolutionFailure => "OPERATION_RESOLUTION_FAILURE",
            Self::BadUserInput => "BAD_USER_INPUT",
            Self::QueryTooLarge => "QUERY_TOO_LARGE",
            Self::QueryTooDeep => "QUERY_TOO_DEEP",
            Self::QueryTooCostly => "QUERY_TOO_COSTLY",
            Self::TooManyAliases => "TOO_MANY_ALIASES",
            Self::TooManyRootFields => "TOO_MANY_ROOT_FIELDS",
            Self::TooManyOperations => "TOO_MANY_OPERATIONS",
            Self::Timeout => "TIMEOUT",
            Self::PersistedQueryNotFound => "PERSISTED_QUERY_NOT_FOUND",
            Self::PersistedQueryMismatch => "PERSISTED_QUERY_MISMATCH",
            Self::DocumentNotAllowed => "DOCUMENT_NOT_ALLOWED",
            Self::IntrospectionDisabled => "INTROSPECTION_DISABLED",
            Self::Internal => "INTERNAL_SERVER_ERROR",
        }
    }

    /// The HTTP status that says the same.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::DocumentNotAllowed | Self::IntrospectionDisabled => 403,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::PayloadTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::TooManyOperations => 429,
            Self::Timeout => 504,
            Self::Internal => 500,
            _ => 400,
        }
    }
}

impl Error {
    /// A failure of the document.
    pub(crate) fn door(code: DoorCode, message: impl Into<String>) -> Self {
        Self(Cause::Door(code, message.into()))
    }

    /// A value of an argument that does not fit.
    pub(crate) fn bad_input(message: impl Into<String>) -> Self {
        Self::door(DoorCode::BadUserInput, message)
    }

    /// Our own fault, which was logged already.
    pub(crate) fn logged_fault() -> Self {
        Self::door(DoorCode::Internal, FAULT)
    }

    /// The error without a place in an answer.
    pub(crate) fn into_server_error(self) -> ServerError {
        async_graphql::Error::from(self).into_server_error_without_place()
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self(Cause::Refused(failure))
    }
}

impl From<postern_domain::Error> for Error {
    fn from(error: postern_domain::Error) -> Self {
        match error.told() {
            Ok(failure) => Self(Cause::Refused(failure)),
            Err(internal) => Self(Cause::Internal(internal)),
        }
    }
}

impl From<Error> for async_graphql::Error {
    fn from(Error(cause): Error) -> Self {
        let (message, extensions) = match cause {
            Cause::Refused(failure) => (failure.message.clone().into_owned(), failure_extensions(&failure)),
            Cause::Door(code, message) => (message, extensions(code.as_str(), code.status())),
            Cause::Internal(error) => {
                log_fault(&error);
                let code = DoorCode::Internal;
                (FAULT.to_owned(), extensions(code.as_str(), code.status()))
            }
        };
        let mut error = Self::new(message);
        error.extensions = Some(extensions);
        error
    }
}

trait WithoutPlace {
    fn into_server_error_without_place(self) -> ServerError;
}

impl WithoutPlace for async_graphql::Error {
    fn into_server_error_without_place(self) -> ServerError {
        let mut error = ServerError::new(self.message, None);
        error.extensions = self.extensions;
        error
    }
}

fn extensions(code: &str, status: u16) -> ErrorExtensionValues {
    let mut values = ErrorExtensionValues::default();
    values.set("code", code);
    values.set("status", status);
    values
}

fn failure_extensions(failure: &Failure) -> ErrorExtensionValues {
    let mut values = extensions(failure.code.as_str(), failure.code.status());
    if let Some(details) = &failure.details {
        values.set("details", Value::from_json(details.clone()).unwrap_or_default());
    }
    if let Some(seconds) = failure.retry_after_seconds {
        values.set("retryAfterSeconds", seconds);
    }
    values
}

/// What a caller is told about faults of ours.
const FAULT: &str = "Something went wrong on our side.";

/// Logs a fault of ours, with its causes. Once per fault: where it leaves the domain.
pub(crate) fn log_fault(error: &postern_domain::Error) {
    tracing::error!(error = %chain(error), "a GraphQL field failed");
}

/// An error with all its causes, as one line of the log.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

/// The HTTP status that the error carries.
pub(crate) fn status_of(error: &ServerError) -> Option<StatusCode> {
    match error.extensions.as_ref()?.get("status")? {
        Value::Number(status) => StatusCode::from_u16(u16::try_from(status.as_u64()?).ok()?).ok(),
        _ => None,
    }
}

/// Whether the request itself was refused, so that nothing was executed: then the answer has no `data` at all.
pub(crate) fn is_request_error(response: &Response) -> bool {
    response.data == Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|error| error.path.is_empty())
}

/// Gives every error a code: those that async-graphql made itself have none yet. Errors of ours get the request id, under
/// which the log says more. All are counted; call it once for an answer. Unless `tells_schema`, what async-graphql says of
/// the schema (names and types, what is similar, how much of the document fits) is put in words that name nothing.
pub(crate) fn complete(response: &mut Response, request_id: Option<&str>, tells_schema: bool) {
    let request_error = is_request_error(response);
    if !tells_schema {
        hush(response, request_error);
    }
    for error in &mut response.errors {
        let values = error.extensions.get_or_insert_default();
        if values.get("code").is_none() {
            let code = match error.message.as_str() {
                TOO_COMPLEX => DoorCode::QueryTooCostly,
                _ if request_error => DoorCode::ValidationFailed,
                _ => DoorCode::BadUserInput,
            };
            if code == DoorCode::QueryTooCostly {
                TOO_COSTLY.clone_into(&mut error.message);
            }
            values.set("code", code.as_str());
            values.set("status", code.status());
        }
        if let Some(Value::String(code)) = values.get("code") {
            count_error("graphql", code.clone());
        }
        let is_internal = values.get("code") == Some(&Value::from(DoorCode::Internal.as_str()));
        if let (true, Some(id)) = (is_internal, request_id) {
            values.set("requestId", id);
        }
    }
}

/// Replaces what async-graphql says of the schema. One error stands for all of a document that does not fit: their number
/// and places would tell as much as their words.
fn hush(response: &mut Response, request_error: bool) {
    let names_schema = |error: &ServerError| {
        let has_code = error.extensions.as_ref().is_some_and(|values| values.get("code").is_some());
        !has_code && error.message != TOO_COMPLEX
    };
    if request_error {
        if response.errors.iter().any(names_schema) {
            response.errors = vec![Error::door(DoorCode::ValidationFailed, DOES_NOT_FIT).into_server_error()];
        }
        return;
    }
    for error in response.errors.iter_mut().filter(|error| names_schema(error)) {
        DOES_NOT_FIT.clone_into(&mut error.message);
        error.locations.clear();
    }
}

/// What is said instead.
const DOES_NOT_FIT: &str = "The document or its variables do not fit the schema.";

/// How async-graphql says it (`validation::check_rules`); a test holds it to that.
const TOO_COMPLEX: &str = "Query is too complex.";
const TOO_COSTLY: &str = "The operation costs more than is allowed: ask for fewer fields or smaller pages.";

#[cfg(test)]
mod tests {
    use async_graphql::{PathSegment, Pos};
    use postern_domain::Code;
    use serde_json::{Value, json};

    use super::*;

    fn told(error: impl Into<Error>) -> serde_json::Value {
        serde_json::to_value(error.into().into_server_error()).unwrap()
    }

    #[test]
    fn failures_keep_code_status_and_details() {
        let failure = Failure::new(Code::UserEmailAlreadyExists, "taken").with(json!({"email": "a@b.c"}));
        assert_eq!(
            told(failure),
            json!({"message": "taken", "extensions": {
                "code": "USER_EMAIL_ALREADY_EXISTS", "status": 409, "details": {"email": "a@b.c"}}})
        );
    }

    #[test]
    fn limits_say_when_to_try_again() {
        let told = told(Failure::new(Code::RateLimited, "slow down").retry_after(7));
        assert_eq!(told["extensions"]["retryAfterSeconds"], 7);
    }

    #[test]
    fn faults_of_ours_tell_nothing() {
        let told = told(postern_domain::Error::internal("password of the database is hunter2"));
        assert_eq!(told["extensions"], json!({"code": "INTERNAL_SERVER_ERROR", "status": 500}));
        assert!(!told.to_string().contains("hunter2"));
    }

    #[test]
    fn errors_of_the_library_get_a_code() {
        let mut response = Response::from_errors(vec![ServerError::new("Unknown field", None)]);
        complete(&mut response, None, true);
        let told = serde_json::to_value(&response.errors).unwrap();
        assert_eq!(told[0]["extensions"], json!({"code": "GRAPHQL_VALIDATION_FAILED", "status": 400}));
    }

    #[test]
    fn where_the_schema_is_not_told_errors_name_nothing_of_it() {
        let unknown = || ServerError::new("Unknown field \"a\" on type \"Query\".", Some(Pos { line: 1, column: 3 }));
        let mut refused = Response::from_errors(vec![unknown(), unknown()]);
        complete(&mut refused, None, false);
        assert_eq!(
            serde_json::to_value(&refused.errors).unwrap(),
            json!([{"message": DOES_NOT_FIT, "extensions": {"code": "GRAPHQL_VALIDATION_FAILED", "status": 400}}])
        );
        let path = vec![PathSegment::Field("a".to_owned())];
        let ours = Error::from(Failure::forbidden("no")).into_server_error();
        let mut executed = Response::from_errors(vec![unknown().with_path(path.clone()), ours.with_path(path)]);
        complete(&mut executed, None, false);
        let told = serde_json::to_value(&executed.errors).unwrap();
        assert_eq!((&told[0]["message"], &told[0]["locations"]), (&json!(DOES_NOT_FIT), &Value::Null));
        assert_eq!((&told[0]["extensions"]["code"], &told[1]["message"]), (&json!("BAD_USER_INPUT"), &json!("no")));
        let mut costly = Response::from_errors(vec![ServerError::new(TOO_COMPLEX, None)]);
        complete(&mut costly, None, false);
        assert_eq!(costly.errors[0].message, TOO_COSTLY);
    }
}
