//! Passkeys on both databases, with an authenticator in software.

mod ceremonies;
mod signing_in;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use p256::ecdsa::{Signature, SigningKey, signature::Signer};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    Actor,
    sessions::{
        ClientInfo, OneTimeCode, SignedIn,
        test_scene::{Scene, refusal},
    },
    testing::{TestBench, on_each_database},
};

const ORIGIN: &str = "https://app.example.com";
const HOST: &str = "app.example.com";

/// Flags of authenticator data: user present, user verified, attested credential data follows.
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

/// An authenticator in software, with one key.
struct Authenticator {
    key: SigningKey,
    id: [u8; 16],
    counter: u32,
    flags: u8,
    origin: String,
    host: String,
    user_handle: Option<Vec<u8>>,
    /// Somebody else's page has the one that asks in a frame.
    is_framed: bool,
}

impl Authenticator {
    fn new(seed: u8) -> Self {
        Self {
            key: SigningKey::from_slice(&[seed; 32]).unwrap(),
            id: [seed; 16],
            counter: 1,
            flags: PRESENT | VERIFIED,
            origin: ORIGIN.to_owned(),
            host: HOST.to_owned(),
            user_handle: None,
            is_framed: false,
        }
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        json!({ "type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": self.is_framed })
            .to_string()
            .into_bytes()
    }

    fn data(&self, flags: u8) -> Vec<u8> {
        [Sha256::digest(&self.host).as_slice(), &[flags], &self.counter.to_be_bytes()].concat()
    }

    /// `navigator.credentials.create()`, with an attestation of format `none`.
    fn create(&self, options: &Value) -> Value {
        let point = self.key.verifying_key().to_encoded_point(false);
        let cose = [
            &[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20][..],
            point.x().unwrap(),
            &[0x22, 0x58, 0x20],
            point.y().unwrap(),
        ]
        .concat();
        let data = [&self.data(self.flags | ATTESTED)[..], &[0; 16], &[0, 16], &self.id, &cose].concat();
        let object = [
            &[0xa3, 0x63][..],
            b"fmt",
            &[0x64],
            b"none",
            &[0x67],
            b"attStmt",
            &[0xa0, 0x68],
            b"authData",
            &[0x58, u8::try_from(data.len()).unwrap()],
            &data,
        ]
        .concat();
        json!({
            "id": BASE64.encode(self.id), "rawId": BASE64.encode(self.id), "type": "public-key",
            "response": { "clientDataJSON": BASE64.encode(self.client_data("webauthn.create", options)),
                "attestationObject": BASE64.encode(object), "transports": ["internal"] },
            "clientExtensionResults": { "credProps": { "rk": true } }, "authenticatorAttachment": "platform",
        })
    }

    /// `navigator.credentials.get()`
    fn get(&mut self, options: &Value) -> Value {
        self.counter += 1;
        let client_data = self.client_data("webauthn.get", options);
        let data = self.data(self.flags);
        let signed = [&data[..], Sha256::digest(&client_data).as_slice()].concat();
        let signature: Signature = self.key.sign(&signed);
        json!({
            "id": BASE64.encode(self.id), "rawId": BASE64.encode(self.id), "type": "public-key",
            "response": { "clientDataJSON": BASE64.encode(client_data), "authenticatorData": BASE64.encode(data),
                "signature": BASE64.encode(signature.to_der()),
                "userHandle": self.user_handle.as_ref().map(|handle| BASE64.encode(handle)) },
            "clientExtensionResults": {}, "authenticatorAttachment": "platform",
        })
    }
}

async fn scene(bench: TestBench) -> Scene {
    let scene = Scene::on(bench).await;
    scene.configure(json!({ "auth.passkey.allowSignIn": true })).await;
    scene
}

fn code(challenge: &Challenge) -> OneTimeCode {
    OneTimeCode::parse(challenge.code.expose_secret()).unwrap()
}

async fn add(scene: &Scene, actor: &Actor, authenticator: &Authenticator) -> Result<String> {
    let client = ClientInfo::default();
    let challenge = start_registration(scene.deps(), actor, &client).await.unwrap();
    let answer = authenticator.create(&challenge.options);
    register(scene.deps(), actor, &code(&challenge), &answer, false, &client).await
}

async fn enter(scene: &Scene, authenticator: &mut Authenticator) -> Result<SignedIn> {
    let client = ClientInfo::default();
    let challenge = start_sign_in(scene.deps(), &scene.stranger(), &client).await.unwrap();
    let answer = authenticator.get(&challenge.options);
    sign_in(scene.deps(), &scene.stranger(), &code(&challenge), &answer, &client).await
}
