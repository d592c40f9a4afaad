//! What authenticators are asked, and which of their answers are believed.

use super::*;
use crate::{
    passkeys::ceremony::Assertion,
    projects::{self, ProjectConfig},
};

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
