//! The two ceremonies of Web Authentication, by `webauthn-rs-core`. The core, because the safe crate above it wants to know
//! its one host name when it is made.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::Url;
use webauthn_rs_core::{
    WebauthnCore,
    proto::{
        AuthenticationState, COSEAlgorithm, Credential, PublicKeyCredential, RegisterPublicKeyCredential,
        RegistrationState, UserVerificationPolicy,
    },
};

use crate::{
    error::{Error, Result},
    projects::{self, ProjectConfig},
};

/// What the contract's clients look for and put the page's host name in place of.
const PLACEHOLDER: &str = "THIS_VALUE_WILL_BE_REPLACED.example.com";
const TIMEOUT: Duration = Duration::from_secs(60);
/// The longest answer of a browser, in bytes of JSON.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// In the order of preference. The contract offers EdDSA first, which the library cannot verify.
const ALGORITHMS: [COSEAlgorithm; 2] = [COSEAlgorithm::ES256, COSEAlgorithm::RS256];

/// Why an answer is not good; told to nobody but the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotGood {
    #[error("the answer is no credential: {0}")]
    Unreadable(String),
    #[error("the project does not trust the origin")]
    Origin,
    #[error("{0:?}")]
    Ceremony(webauthn_rs_core::error::WebauthnError),
}

/// Who registers a passkey, as an authenticator shows it.
pub(super) struct Registrant<'a> {
    pub(super) project_name: &'a str,
    pub(super) user_handle: &'a [u8],
    pub(super) name: &'a str,
}

/// What a browser is to be given, and what must be kept until it answers.
pub(super) fn begin_registration(registrant: &Registrant<'_>) -> Result<(Value, Value)> {
    let core = core(registrant.project_name, PLACEHOLDER, Vec::new());
    let builder = core
        .new_challenge_register_builder(registrant.user_handle, registrant.name, registrant.name)
        .map_err(internal)?
        .require_resident_key(true)
        .credential_algorithms(ALGORITHMS.to_vec())
        .exclude_credentials(Some(Vec::new()))
        .user_verification_policy(NOT_REQUIRED);
    let (options, state) = core.generate_challenge_register(builder).map_err(internal)?;
    // The library asks for more extensions than it was told to.
    let ours = [("attestation", json!("none")), ("extensions", json!({ "credProps": true }))];
    let mut options = with(options.public_key, ours)?;
    if let Some(Value::Object(selection)) = options.get_mut("authenticatorSelection") {
        selection.insert("userVerification".to_owned(), json!("preferred"));
    }
    Ok((options, serde_json::to_value(state).map_err(Error::internal)?))
}

/// Verification by the authenticator is asked for and not insisted on (wire/auth §9): the library would insist on it for
/// every key that was once made with it.
const NOT_REQUIRED: UserVerificationPolicy = UserVerificationPolicy::Discouraged_DO_NOT_USE;

/// A passkey that was registered, and on which host name it lives.
pub(super) struct Registered {
    pub(super) credential: Credential,
    pub(super) rp_id: String,
}

/// Checks what a browser answers to [`begin_registration`].
pub(super) fn finish_registration(
    config: &ProjectConfig,
    state: Value,
    answer: &Value,
) -> std::result::Result<Registered, NotGood> {
    let state: RegistrationState = kept(state)?;
    let answer: RegisterPublicKeyCredential = read(answer)?;
    let (origin, rp_id) = trusted_origin(config, answer.response.client_data_json.as_ref())?;
    let credential =
        core("", &rp_id, vec![origin]).register_credential(&answer, &state, None).map_err(NotGood::Ceremony)?;
    Ok(Registered { credential, rp_id })
}

/// What a browser is to be given to sign in by any passkey it has, and what must be kept until it answers.
pub(super) fn begin_sign_in() -> Result<(Value, Value)> {
    let core = core("", PLACEHOLDER, Vec::new());
    let builder = core.new_challenge_authenticate_builder(Vec::new(), Some(NOT_REQUIRED)).map_err(internal)?;
    let (options, state) = core.generate_challenge_authenticate(builder).map_err(internal)?;
    let options = with(options.public_key, [("userVerification", json!("preferred"))])?;
    Ok((options, serde_json::to_value(state).map_err(Error::internal)?))
}

/// Options of the library, with these members of ours in place of its own.
fn with<const N: usize>(options: impl Serialize, ours: [(&str, Value); N]) -> Result<Value> {
    let mut options = serde_json::to_value(options).map_err(Error::internal)?;
    if let Value::Object(members) = &mut options {
        members.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    }
    Ok(options)
}

/// An answer that says which passkey it is by, before anything of it is checked.
pub(super) struct Assertion(PublicKeyCredential);

impl Assertion {
    pub(super) fn read(answer: &Value) -> std::result::Result<Self, NotGood> {
        read(answer).map(Self)
    }

    pub(super) fn credential_id(&self) -> &[u8] {
        &self.0.raw_id
    }

    /// Checks the answer against the passkey that it is by; answers the passkey as it is from now on: its counter has moved.
    /// `user_handle` is what its authenticator was told when it was registered.
    pub(super) fn verify(
        &self,
        config: &ProjectConfig,
        state: Value,
        mut passkey: Credential,
        rp_id: &str,
        user_handle: &[u8],
    ) -> std::result::Result<Credential, NotGood> {
        let state: AuthenticationState = kept(state)?;
        let (origin, host) = trusted_origin(config, self.0.response.client_data_json.as_ref())?;
        if host != rp_id {
            return Err(NotGood::Origin);
        }
        // §7.2, step 6: where it is told, it must be the owner's.
        if self.0.get_user_unique_id().is_some_and(|told| told != user_handle) {
            return Err(NotGood::Unreadable("the user handle is somebody else's".to_owned()));
        }
        let result = core("", &host, vec![origin])
            .authenticate_single_credential(&self.0, &state, &passkey)
            .map_err(NotGood::Ceremony)?;
        passkey.counter = result.counter();
        passkey.backup_state = result.backup_state();
        passkey.backup_eligible = result.backup_eligible();
        Ok(passkey)
    }
}

/// The parts of the client data that say where the browser was.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    origin: String,
    #[serde(default)]
    cross_origin: bool,
}

/// The origin that the browser tells, if the project trusts it, and its host name. The library checks it once more, as part
/// of what is signed.
fn trusted_origin(config: &ProjectConfig, client_data: &[u8]) -> std::result::Result<(Url, String), NotGood> {
    let told: ClientData =
        serde_json::from_slice(client_data).map_err(|error| NotGood::Unreadable(error.to_string()))?;
    if told.cross_origin {
        // Somebody else's page has ours in a frame.
        return Err(NotGood::Origin);
    }
    let origin = projects::trusted_url(config, &told.origin).map_err(|_| NotGood::Origin)?;
    let host = origin.host_str().unwrap_or_default().to_owned();
    Ok((origin, host))
}

fn core(rp_name: &str, rp_id: &str, origins: Vec<Url>) -> WebauthnCore {
    WebauthnCore::new_unsafe_experts_only(rp_name, rp_id, origins, TIMEOUT, None, None)
}

fn read<T: DeserializeOwned>(answer: &Value) -> std::result::Result<T, NotGood> {
    let text = answer.to_string();
    if text.len() > MAX_ANSWER_BYTES {
        return Err(NotGood::Unreadable("it is too long".to_owned()));
    }
    serde_json::from_str(&text).map_err(|error| NotGood::Unreadable(error.to_string()))
}

fn kept<T: DeserializeOwned>(state: Value) -> std::result::Result<T, NotGood> {
    serde_json::from_value(state).map_err(|error| NotGood::Unreadable(format!("what was kept: {error}")))
}

fn internal(error: webauthn_rs_core::error::WebauthnError) -> Error {
    Error::internal(format!("{error:?}"))
}

/// What authenticators are told a user is: the id as text, in base64url on the wire.
pub(super) fn user_handle(user_id: crate::UserId) -> Vec<u8> {
    user_id.to_string().into_bytes()
}

/// A credential's id as the wire has it.
pub(super) fn shown_id(credential: &Credential) -> String {
    BASE64.encode(&credential.cred_id)
}
