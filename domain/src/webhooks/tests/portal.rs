//! Application tokens.

use secrecy::SecretString;

use super::*;
use crate::{error::Result, projects, secrets::Keyring};

const DAYS_28: i64 = 28 * 86_400;

async fn is_good(deps: &Deps, token: &SecretString) -> Result<bool> {
    Ok(portal_actor(deps, token).await?.is_some())
}

fn keyring(secrets: &[&str]) -> Keyring {
    Keyring::new(secrets.iter().map(|letter| letter.repeat(32).into()).collect()).unwrap()
}

#[tokio::test]
async fn a_token_administers_its_project_for_28_days() {
    on_each_database(|bench| async move {
        let (deps, actor) = (&bench.deps, admin(&bench.insert_project().await));
        let token = portal(deps, &actor).await.unwrap().token;
        assert_eq!(portal_actor(deps, &token).await.unwrap(), Some(actor.clone()));
        bench.clock.advance_seconds(DAYS_28 - 1);
        assert!(is_good(deps, &token).await.unwrap());
        bench.clock.advance_seconds(1);
        assert!(!is_good(deps, &token).await.unwrap());
        for level in [Level::Server, Level::Client] {
            let other = Actor::new(actor.project_id.clone(), level, None);
            assert!(portal(deps, &other).await.unwrap_err().is(Code::InsufficientAccessType));
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_dies_with_its_project_and_with_the_secret_that_signed_it() {
    on_each_database(|mut bench| async move {
        // Its log tells of the deletion.
        bench.insert_project_with_id(ProjectId::internal()).await;
        let actor = admin(&bench.insert_project().await);
        bench.deps.keyring = keyring(&["a"]);
        let token = portal(&bench.deps, &actor).await.unwrap().token;
        bench.deps.keyring = keyring(&["b", "a"]);
        assert!(is_good(&bench.deps, &token).await.unwrap());
        let newer = portal(&bench.deps, &actor).await.unwrap().token;
        bench.deps.keyring = keyring(&["b"]);
        assert!(!is_good(&bench.deps, &token).await.unwrap());
        assert!(is_good(&bench.deps, &newer).await.unwrap());
        projects::delete_project(&bench.deps, &actor).await.unwrap();
        assert!(!is_good(&bench.deps, &newer).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn what_we_did_not_sign_for_this_is_no_token() {
    on_each_database(|bench| async move {
        use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
        use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
        use secrecy::ExposeSecret;
        let (deps, actor) = (&bench.deps, admin(&bench.insert_project().await));
        let good = portal(deps, &actor).await.unwrap().token;
        let parts: Vec<_> = good.expose_secret().split('.').collect();
        let claims = serde_json::from_slice::<serde_json::Value>(&BASE64.decode(parts[1]).unwrap()).unwrap();
        let other = bench.insert_project().await;
        let of_other = BASE64.encode(
            serde_json::to_vec(&{
                let mut claims = claims.clone();
                claims["sub"] = json!(other);
                claims
            })
            .unwrap(),
        );
        let unsigned = BASE64.encode(json!({ "alg": "none", "typ": "JWT" }).to_string());
        let signed = |claims: &serde_json::Value, key: &[u8], algorithm| {
            encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).unwrap()
        };
        let key = deps.keyring.derive(0, "postern/webhook-portal").unwrap();
        let with = |name: &str, value: serde_json::Value| {
            let mut claims = claims.clone();
            claims[name] = value;
            signed(&claims, &key, Algorithm::HS256)
        };
        assert!(is_good(deps, &with("iat", json!(0)).into()).await.unwrap());
        for bad in [
            String::new(),
            "a.b.c".to_owned(),
            "a".repeat(10_000),
            format!("{}.{}.{}", parts[0], of_other, parts[2]),
            format!("{unsigned}.{}.", parts[1]),
            format!("{unsigned}.{}.{}", parts[1], parts[2]),
            signed(&claims, b"another key", Algorithm::HS256),
            signed(&claims, &key, Algorithm::HS512),
            with("aud", json!("else")),
            with("iss", json!("https://else.example")),
            with("sub", json!("no such project")),
            with("exp", json!(null)),
        ] {
            assert!(!is_good(deps, &bad.clone().into()).await.unwrap(), "{bad}");
        }
    })
    .await;
}
