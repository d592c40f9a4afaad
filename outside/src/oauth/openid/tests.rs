//! ID tokens that are to be believed, and all the others; with the key of RFC 7515 §A.3.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use p256::{
    SecretKey,
    pkcs8::{EncodePrivateKey, LineEnding},
};
use postern_domain::{
    ports::http::{HttpClient, HttpError, OutgoingRequest, OutgoingResponse},
    time::SystemClock,
};
use serde_json::{Value, json};

use super::*;

const ISSUER: &str = "https://login.example.com";
const CLIENT: &str = "postern";
const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
/// OpenID Connect Core 1.0 §A.3.
const ACCESS_TOKEN: &str = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
const AT_HASH: &str = "77QmUPtjPfzWtF2AnpK9RQ";

/// Hosts that answer what they were told to; the other ones are away.
#[derive(Default)]
struct Scripted {
    answers: Mutex<BTreeMap<String, Value>>,
    calls: Mutex<Vec<String>>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl HttpClient for Scripted {
    async fn send(&self, request: OutgoingRequest) -> Result<OutgoingResponse, HttpError> {
        held(&self.calls).push(request.url.to_string());
        match held(&self.answers).get(request.url.as_str()) {
            Some(answer) => Ok(OutgoingResponse {
                status: 200,
                headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                body: answer.to_string().into(),
            }),
            None => Err(HttpError::Timeout),
        }
    }
}

fn jwk(kid: &str) -> Value {
    json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": X, "y": Y })
}

struct Scene {
    http: Arc<Scripted>,
    issuers: Issuers,
    issuer: &'static str,
}

impl Scene {
    fn new(further: &Value) -> Self {
        let http = Arc::new(Scripted::default());
        let mut metadata = json!({
            "issuer": ISSUER, "authorization_endpoint": format!("{ISSUER}/authorize"), "token_endpoint": format!("{ISSUER}/token"),
            "jwks_uri": format!("{ISSUER}/keys"), "response_types_supported": ["code"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
        });
        for (key, value) in further.as_object().unwrap() {
            metadata[key] = value.clone();
        }
        held(&http.answers).insert(format!("{ISSUER}/.well-known/openid-configuration"), metadata);
        let scene =
            Self { issuers: Issuers::new(Calls::new(http.clone(), None), Arc::new(SystemClock)), http, issuer: ISSUER };
        scene.publish(&[jwk("1")]);
        scene
    }

    fn publish(&self, keys: &[Value]) {
        held(&self.http.answers).insert(format!("{ISSUER}/keys"), json!({ "keys": keys }));
    }

    async fn identify(&self, id_token: &str) -> Result<Account, ProviderError> {
        let (nonce, access_token) = ("the nonce".to_owned().into(), ACCESS_TOKEN.to_owned().into());
        let presented =
            Presented { id_token, client_id: CLIENT, nonce: Some(&nonce), access_token: Some(&access_token) };
        self.issuers.identify(Source::Discovered(self.issuer), &presented).await
    }
}

fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": CLIENT, "sub": "248289761001", "nonce": "the nonce", "iat": now(), "exp": now() + 60,
        "at_hash": AT_HASH, "email": "janedoe@example.com", "email_verified": true, "name": "Jane Doe",
        "picture": "https://example.com/jane.png" })
}

fn but(changes: &Value) -> Value {
    let mut claims = claims();
    for (key, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(key);
        } else {
            claims[key] = value.clone();
        }
    }
    claims
}

fn signed(kid: &str, claims: &Value) -> String {
    let key = SecretKey::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(D).unwrap()).unwrap();
    let pem = key.to_pkcs8_pem(LineEnding::LF).unwrap();
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_ec_pem(pem.as_bytes()).unwrap()).unwrap()
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(header), part(claims))
}

#[tokio::test]
async fn a_good_token_tells_who_it_is() {
    let scene = Scene::new(&json!({}));
    let account = scene.identify(&signed("1", &claims())).await.unwrap();
    assert_eq!(
        account,
        Account {
            id: "248289761001".to_owned(),
            email: Some("janedoe@example.com".to_owned()),
            is_email_verified: true,
            display_name: Some("Jane Doe".to_owned()),
            picture: "https://example.com/jane.png".parse().ok(),
        }
    );
    let bare = but(&json!({ "email": null, "name": null, "picture": null, "at_hash": null }));
    let account = scene.identify(&signed("1", &bare)).await.unwrap();
    assert_eq!((account.email, account.is_email_verified), (None, false), "nothing is vouched for without an address");
    for flag in [json!(false), json!("false"), json!(null)] {
        let account = scene.identify(&signed("1", &but(&json!({ "email_verified": flag })))).await.unwrap();
        assert!(!account.is_email_verified, "{flag}");
    }
    assert_eq!(held(&scene.http.calls).len(), 2, "metadata and keys are asked for once");
}

#[tokio::test]
async fn no_other_token_is_believed() {
    let scene = Scene::new(&json!({}));
    let good = signed("1", &claims());
    let (head, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = head.split_once('.').unwrap();
    let forged = BASE64_URL_SAFE_NO_PAD.encode(but(&json!({ "sub": "1" })).to_string());
    // A key that everybody knows, taken for a secret (RFC 8725 §2.1).
    let public = jwk("1").to_string();
    let symmetric = Header { kid: Some("1".to_owned()), ..Header::new(Algorithm::HS256) };
    let symmetric = jsonwebtoken::encode(&symmetric, &claims(), &EncodingKey::from_secret(public.as_bytes())).unwrap();
    let wrong = [
        ("forged claims", format!("{header}.{forged}.{signature}")),
        ("another signature", format!("{head}.{}", signature.chars().rev().collect::<String>())),
        ("none", unsigned(&json!({ "alg": "none" }), &claims())),
        ("HS256", symmetric),
        ("garbage", "a.b.c".to_owned()),
        ("nothing", String::new()),
        // Signed by the very key (RFC 7515 §A.3), but no ID token.
        (
            "a JWS",
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
             DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
                .to_owned(),
        ),
        ("over", signed("1", &but(&json!({ "exp": now() - 1 })))),
        ("another issuer", signed("1", &but(&json!({ "iss": "https://login.example.com/" })))),
        ("another audience", signed("1", &but(&json!({ "aud": "somebody else" })))),
        ("further audiences", signed("1", &but(&json!({ "aud": [CLIENT, "somebody else"] })))),
        ("another nonce", signed("1", &but(&json!({ "nonce": "another" })))),
        ("no nonce", signed("1", &but(&json!({ "nonce": null })))),
        ("another access token", signed("1", &but(&json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" })))),
        ("no subject", signed("1", &but(&json!({ "sub": null })))),
        ("an unknown key", signed("2", &claims())),
    ];
    for (what, token) in wrong {
        assert!(matches!(scene.identify(&token).await, Err(ProviderError::Unacceptable(_))), "{what}");
    }
    assert!(scene.identify(&good).await.is_ok());
}

#[tokio::test]
async fn a_key_that_has_come_since_is_found_and_one_that_is_gone_is_not() {
    let scene = Scene::new(&json!({}));
    let source = Source::Discovered(scene.issuer);
    scene.identify(&signed("1", &claims())).await.unwrap();
    scene.publish(&[jwk("2")]);
    assert!(scene.identify(&signed("2", &claims())).await.is_err(), "keys are not fetched at every strange token");
    assert_eq!(held(&scene.http.calls).len(), 2);
    // As if a while had passed.
    let kept = scene.issuers.get(source).await.unwrap();
    let older = Issuer {
        name: kept.name.clone(),
        keys: kept.keys.clone(),
        metadata: kept.metadata.clone(),
        since: Instant::now().checked_sub(REFETCHED_AFTER * 2).unwrap(),
    };
    scene.issuers.known.insert(source.key(), Arc::new(older)).await;
    scene.identify(&signed("2", &claims())).await.unwrap();
    assert!(scene.identify(&signed("1", &claims())).await.is_err());
}

#[tokio::test]
async fn an_issuer_that_is_away_or_another_is_not_dealt_with() {
    let scene = Scene::new(&json!({ "issuer": "https://other.example.com" }));
    assert!(matches!(scene.identify(&signed("1", &claims())).await, Err(ProviderError::Unavailable(_))));
    let scene = Scene::new(&json!({}));
    held(&scene.http.answers).clear();
    assert!(matches!(scene.identify(&signed("1", &claims())).await, Err(ProviderError::Unavailable(_))));
    // Nothing of that is kept.
    let back = Scene::new(&json!({}));
    *held(&scene.http.answers) = held(&back.http.answers).clone();
    scene.identify(&signed("1", &claims())).await.unwrap();
}

#[tokio::test]
async fn an_answer_is_taken_from_who_says_that_it_is_its_own() {
    for (tells, told, is_taken) in [
        (false, None, true),
        (false, Some(ISSUER), true),
        (false, Some("https://evil.example.com"), false),
        (true, Some(ISSUER), true),
        (true, None, false),
    ] {
        let scene = Scene::new(&json!({ "authorization_response_iss_parameter_supported": tells }));
        let issuer = scene.issuers.get(Source::Discovered(scene.issuer)).await.unwrap();
        assert_eq!(issuer.is_sender(told), is_taken, "{tells} {told:?}");
    }
}

#[tokio::test]
async fn a_slash_at_the_end_of_a_name_belongs_to_it() {
    for (configured, told, is_taken) in [
        ("https://login.example.com", "https://login.example.com", true),
        ("https://login.example.com/", "https://login.example.com/", true),
        ("https://login.example.com/", "https://login.example.com", false),
        ("https://login.example.com", "https://login.example.com/", false),
    ] {
        let scene = Scene { issuer: configured, ..Scene::new(&json!({ "issuer": told })) };
        let token = signed("1", &but(&json!({ "iss": told })));
        assert_eq!(scene.identify(&token).await.is_ok(), is_taken, "{configured} {told}");
    }
}

#[tokio::test]
async fn no_secret_goes_to_an_endpoint_without_tls() {
    for endpoint in ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"] {
        for url in ["http://login.example.com/keys", "javascript:alert(1)", "ftp://login.example.com/"] {
            let scene = Scene::new(&json!({ endpoint: url }));
            held(&scene.http.answers).insert(url.to_owned(), json!({ "keys": [jwk("1")] }));
            let refused = scene.identify(&signed("1", &claims())).await;
            assert!(matches!(refused, Err(ProviderError::Unavailable(_))), "{endpoint} {url}");
        }
    }
}
