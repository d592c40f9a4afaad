use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use futures::future::join_all;
use p256::ecdsa::{Signature, SigningKey, signature::Signer};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{ceremony::Assertion, *};
use crate::{
    Actor, Level,
    projects::{self, ProjectConfig},
    sessions::{
        ClientInfo, OneTimeCode, SignedIn,
        test_scene::{Scene, details, refusal},
    },
    testing::{TestBench, on_each_database},
    users::{self, UpdateUser},
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

#[tokio::test]
async fn options_have_the_form_that_the_clients_want() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let signed_in = scene.signed_up().await;
        let client = ClientInfo::default();
        let actor = scene.client(&signed_in).await;
        let mut made = start_registration(scene.deps(), &actor, &client).await.unwrap().options;
        let handle = BASE64.encode(signed_in.user_id.to_string());
        assert_eq!(BASE64.decode(made["challenge"].take().as_str().unwrap()).unwrap().len(), 32);
        assert_eq!(
            made,
            json!({
                "rp": { "name": "Test", "id": "THIS_VALUE_WILL_BE_REPLACED.example.com" },
                "user": { "id": handle, "name": "ada@example.com", "displayName": "ada@example.com" },
                "challenge": null,
                "pubKeyCredParams": [{ "type": "public-key", "alg": -7 }, { "type": "public-key", "alg": -257 }],
                "timeout": 60000,
                "excludeCredentials": [],
                "authenticatorSelection":
                    { "residentKey": "required", "requireResidentKey": true, "userVerification": "preferred" },
                "attestation": "none",
                "extensions": { "credProps": true },
            })
        );
        let mut asked = start_sign_in(scene.deps(), &scene.stranger(), &client).await.unwrap().options;
        assert!(asked["challenge"].take().is_string());
        assert_eq!(
            asked,
            json!({ "challenge": null, "timeout": 60000, "rpId": "THIS_VALUE_WILL_BE_REPLACED.example.com",
                "allowCredentials": [], "userVerification": "preferred" })
        );
    })
    .await;
}

#[tokio::test]
async fn a_passkey_signs_in_until_it_is_replaced_or_taken_away() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let signed_in = scene.signed_up().await;
        let actor = &scene.client(&signed_in).await;
        let (mut first, mut second) = (Authenticator::new(1), Authenticator::new(2));
        assert_eq!(refusal(enter(&scene, &mut first).await), Code::PasskeyAuthenticationFailed);
        assert_eq!(add(&scene, actor, &first).await.unwrap(), BASE64.encode([1; 16]));
        let user = users::find(scene.deps(), &scene.project, signed_in.user_id).await.unwrap().unwrap();
        assert!(user.passkey_auth_enabled);
        for _ in 0..2 {
            let again = enter(&scene, &mut first).await.unwrap();
            assert_eq!((again.user_id, again.is_new_user), (signed_in.user_id, false));
        }
        // It need not verify who holds it, though it did when it was made.
        first.flags = PRESENT;
        first.user_handle = Some(signed_in.user_id.to_string().into_bytes());
        enter(&scene, &mut first).await.unwrap();
        add(&scene, actor, &second).await.unwrap();
        assert_eq!(refusal(enter(&scene, &mut first).await), Code::PasskeyAuthenticationFailed);
        enter(&scene, &mut second).await.unwrap();
        let change = UpdateUser { passkey_auth_enabled: Some(false), ..UpdateUser::default() };
        let user = users::update(scene.deps(), &scene.server(), signed_in.user_id, change).await.unwrap();
        assert!(!user.passkey_auth_enabled);
        assert_eq!(refusal(enter(&scene, &mut second).await), Code::PasskeyAuthenticationFailed);
    })
    .await;
}

#[tokio::test]
async fn a_challenge_is_answered_once_in_time_and_by_whom_it_was_for() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let (ada, bob) = (scene.signed_up().await, scene.anonymous().await);
        let (deps, client) = (scene.deps(), &ClientInfo::default());
        let (actor, other) = (&scene.client(&ada).await, &scene.client(&bob).await);
        let mut authenticator = Authenticator::new(1);
        let challenge = start_registration(deps, actor, client).await.unwrap();
        let answer = &authenticator.create(&challenge.options);
        let theirs = register(deps, other, &code(&challenge), answer, false, client).await;
        assert_eq!(refusal(theirs), Code::VerificationCodeNotFound);
        let used = register(deps, actor, &code(&challenge), answer, false, client).await;
        assert_eq!(refusal(used), Code::VerificationCodeAlreadyUsed);
        add(&scene, actor, &authenticator).await.unwrap();
        let challenge = start_sign_in(deps, &scene.stranger(), client).await.unwrap();
        let answer = &authenticator.get(&challenge.options);
        let (code_, stranger) = (&code(&challenge), &scene.stranger());
        let outcomes = join_all((0..4).map(|_| sign_in(deps, stranger, code_, answer, client))).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        let late = start_sign_in(deps, stranger, client).await.unwrap();
        let answer = &authenticator.get(&late.options);
        scene.bench.clock.advance_seconds(register::CHALLENGE_SECONDS);
        let outcome = sign_in(deps, stranger, &code(&late), answer, client).await;
        assert_eq!(refusal(outcome), Code::VerificationCodeExpired);
    })
    .await;
}

#[tokio::test]
async fn answers_that_are_wrong_in_any_part_are_refused() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let signed_in = scene.signed_up().await;
        let actor = &scene.client(&signed_in).await;
        let wrong: [fn(&mut Authenticator); 5] = [
            |bad| bad.is_framed = true,
            |bad| bad.origin = "https://evil.example".to_owned(),
            |bad| bad.host = "evil.example".to_owned(),
            |bad| bad.flags = 0,
            |bad| bad.origin = "not an origin".to_owned(),
        ];
        for spoil in wrong {
            let mut bad = Authenticator::new(1);
            spoil(&mut bad);
            assert_eq!(refusal(add(&scene, actor, &bad).await), Code::PasskeyRegistrationFailed);
        }
        let (deps, client) = (scene.deps(), &ClientInfo::default());
        for garbage in [json!(null), json!({}), json!({ "id": 1 }), json!("text")] {
            let challenge = start_registration(deps, actor, client).await.unwrap();
            let outcome = register(deps, actor, &code(&challenge), &garbage, false, client).await;
            assert_eq!(refusal(outcome), Code::PasskeyRegistrationFailed);
            let challenge = start_sign_in(deps, actor, client).await.unwrap();
            let outcome = sign_in(deps, actor, &code(&challenge), &garbage, client).await;
            assert_eq!(refusal(outcome), Code::PasskeyAuthenticationFailed);
        }
        let mut good = Authenticator::new(1);
        add(&scene, actor, &good).await.unwrap();
        let more: [fn(&mut Authenticator); 7] = [
            |bad| bad.is_framed = true,
            |bad| bad.origin = "https://evil.example".to_owned(),
            |bad| bad.host = "evil.example".to_owned(),
            |bad| bad.flags = 0,
            |bad| bad.key = SigningKey::from_slice(&[9; 32]).unwrap(),
            |bad| bad.user_handle = Some(b"somebody else".to_vec()),
            // A counter that stands still shows a copy.
            |bad| bad.counter = 0,
        ];
        for spoil in more {
            let mut bad = Authenticator::new(1);
            bad.counter = 10;
            spoil(&mut bad);
            assert_eq!(refusal(enter(&scene, &mut bad).await), Code::PasskeyAuthenticationFailed);
        }
        // A challenge of another ceremony.
        let (one, two) =
            (start_sign_in(deps, actor, client).await.unwrap(), start_sign_in(deps, actor, client).await.unwrap());
        let outcome = sign_in(deps, actor, &code(&one), &good.get(&two.options), client).await;
        assert_eq!(refusal(outcome), Code::PasskeyAuthenticationFailed);
        enter(&scene, &mut good).await.unwrap();
        assert!(scene.events().await.iter().filter(|kind| *kind == "sign_in.failed").count() > 6);
    })
    .await;
}

#[tokio::test]
async fn passkeys_are_of_one_project_need_its_switch_and_pass_the_gate() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let signed_in = scene.signed_up().await;
        let mut authenticator = Authenticator::new(1);
        add(&scene, &scene.client(&signed_in).await, &authenticator).await.unwrap();
        let (deps, client) = (scene.deps(), &ClientInfo::default());
        let other = scene.bench.insert_project().await;
        let trusting = json!({ "auth.passkey.allowSignIn": true, "domains.trustedDomains.a.baseUrl": ORIGIN });
        scene.bench.set_config(&other, trusting).await;
        let foreign = Actor::new(other, Level::Client, None);
        let challenge = start_sign_in(deps, &foreign, client).await.unwrap();
        let outcome = sign_in(deps, &foreign, &code(&challenge), &authenticator.get(&challenge.options), client).await;
        assert_eq!(refusal(outcome), Code::PasskeyAuthenticationFailed);
        let totp = UpdateUser {
            totp_secret_base64: crate::patch::Patch::Set("AAECAwQFBgcICQ==".into()),
            ..UpdateUser::default()
        };
        users::update(deps, &scene.server(), signed_in.user_id, totp).await.unwrap();
        assert!(details(enter(&scene, &mut authenticator).await)["attempt_code"].is_string());
        scene.configure(json!({ "auth.passkey.allowSignIn": false })).await;
        let off = start_sign_in(deps, &scene.stranger(), client).await.map(drop);
        assert_eq!(refusal(off), Code::PasskeyAuthenticationNotEnabled);
        let nobody = start_registration(deps, &scene.stranger(), client).await.map(drop);
        assert_eq!(refusal(nobody), Code::SchemaError);
    })
    .await;
}

/// A project that trusts the origin of the vectors.
fn example_org() -> ProjectConfig {
    projects::config_from(json!({ "domains": { "allowLocalhost": false,
        "trustedDomains": { "a": { "baseUrl": "https://example.org", "handlerPath": "/handler" } } } }))
}

/// "ES256 Credential with No Attestation" of the test vectors in Web Authentication Level 3, §16: the registration is put
/// together of its parts, the assertion carries the signature that is printed there.
#[test]
fn the_vectors_of_the_w3c_are_accepted() {
    let bytes = |text: &str| hex::decode(text).unwrap();
    let challenge = bytes("00c30fb78531c464d2b6771dab8d7b603c01162f2fa486bea70f283ae556e130");
    let id = bytes("f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4");
    let (x, y) = (
        "afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61",
        "930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220",
    );
    let rp_hash = "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b5";
    let aaguid = "8446ccb9ab1db374750b2367ff6f3a1f";
    let data = format!("{rp_hash}5900000000{aaguid}0020{}a5010203262001215820{x}225820{y}", hex::encode(&id));
    let object = format!("a363666d74646e6f6e656761747453746d74a068617574684461746158a4{data}");
    let client_data = format!(
        r#"{{"type":"webauthn.create","challenge":"{}","origin":"https://example.org","crossOrigin":false,"extraData":"clientDataJSON may be extended with additional fields in the future, such as this: BkQeDjdcTBrXBiAwJTLE5Q=="}}"#,
        BASE64.encode(&challenge)
    );
    let answer = json!({
        "id": BASE64.encode(&id), "rawId": BASE64.encode(&id), "type": "public-key",
        "response": { "clientDataJSON": BASE64.encode(client_data), "attestationObject": BASE64.encode(bytes(&object)) },
        "clientExtensionResults": {},
    });
    let config = example_org();
    let registrant = ceremony::Registrant { project_name: "Test", user_handle: b"handle", name: "Ada" };
    let (_, mut state) = ceremony::begin_registration(&registrant).unwrap();
    state["challenge"] = json!(BASE64.encode(&challenge));
    let registered = ceremony::finish_registration(&config, state, &answer).unwrap();
    assert_eq!(
        (registered.rp_id.as_str(), ceremony::shown_id(&registered.credential)),
        ("example.org", BASE64.encode(&id))
    );

    let challenge = bytes("39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408");
    let client_data = r#"{"type":"webauthn.get","challenge":"OcDnUhQXulTUPo3JUXT0I97pvzzYBP9tZchXyav01Ag","origin":"https://example.org","crossOrigin":false}"#;
    let signature = "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87";
    let answer = |signature: &str| {
        json!({
            "id": BASE64.encode(&id), "rawId": BASE64.encode(&id), "type": "public-key",
            "response": { "clientDataJSON": BASE64.encode(client_data),
                "authenticatorData": BASE64.encode(bytes(&format!("{rp_hash}1900000000"))),
                "signature": BASE64.encode(bytes(signature)) },
            "clientExtensionResults": {},
        })
    };
    let verify = |answer: Value| {
        let (_, mut state) = ceremony::begin_sign_in().unwrap();
        state["challenge"] = json!(BASE64.encode(&challenge));
        Assertion::read(&answer).unwrap().verify(
            &config,
            state,
            registered.credential.clone(),
            "example.org",
            b"handle",
        )
    };
    verify(answer(signature)).unwrap();
    assert!(verify(answer(&signature.replace("f50a", "f50b"))).is_err());
}

#[tokio::test]
async fn an_id_of_somebody_else_s_passkey_takes_nothing_away() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let (ada, eve) = (scene.signed_up().await, scene.anonymous().await);
        let mut authenticator = Authenticator::new(1);
        add(&scene, &scene.client(&ada).await, &authenticator).await.unwrap();
        let mut forged = Authenticator::new(2);
        forged.id = authenticator.id;
        assert_eq!(refusal(add(&scene, &scene.client(&eve).await, &forged).await), Code::PasskeyRegistrationFailed);
        assert_eq!(refusal(enter(&scene, &mut forged).await), Code::PasskeyAuthenticationFailed);
        assert_eq!(enter(&scene, &mut authenticator).await.unwrap().user_id, ada.user_id);
        // Whoever was thrown out makes no key that outlives it.
        crate::sessions::revoke_all(scene.deps(), &scene.server(), ada.user_id).await.unwrap();
        let thrown_out = scene.client(&ada).await;
        let late = start_registration(scene.deps(), &thrown_out, &ClientInfo::default()).await.map(drop);
        assert_eq!(refusal(late), Code::AccessTokenExpired);
    })
    .await;
}
