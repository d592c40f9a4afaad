use jsonwebtoken::{DecodingKey, jwk};
use serde_json::{Value, json};

use super::*;
use crate::{
    secrets::{Keyring, MIN_SERVER_SECRET_BYTES},
    testing::{START, TestBench, TestDatabase},
};

async fn bench() -> TestBench {
    TestBench::on(&TestDatabase::sqlite().await).await
}

fn subject() -> Subject {
    Subject {
        project_id: ProjectId("0b8e4fc8-8f39-4d3c-8f1f-2f5a0e6b7c11".to_owned()),
        user_id: "11111111-1111-4111-8111-111111111111".parse().unwrap(),
        session_id: "22222222-2222-4222-8222-222222222222".parse().unwrap(),
        name: None,
        email: Some("ada@example.com".to_owned()),
        email_verified: true,
        selected_team_id: None,
        signed_up_at: START,
        restricted_reason: None,
        requires_totp_mfa: false,
    }
}

/// What an application does: take the key set, find the key by its id, check issuer, audience and signature.
async fn verify_as_others_do(deps: &Deps, token: &str, kind: UserKind, aud: &str, iss: &str) -> Value {
    let set = jwks(deps, &subject().project_id, &[kind]).await.unwrap();
    let set: jwk::JwkSet = serde_json::from_value(serde_json::to_value(set).unwrap()).unwrap();
    let key = set.find(&decode_header(token).unwrap().kid.unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[aud]);
    validation.set_issuer(&[iss]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    validation.validate_exp = false;
    decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap().claims
}

#[tokio::test]
async fn a_token_has_exactly_the_claims_of_the_contract_and_verifies_from_the_key_set() {
    let bench = bench().await;
    let token = mint(&bench.deps, &subject()).await.unwrap();
    let header = decode_header(&token).unwrap();
    assert_eq!((header.alg, header.kid.unwrap().len()), (Algorithm::ES256, 12));
    let pid = subject().project_id;
    let iss = format!("http://localhost:8102/api/v1/projects/{pid}");
    let claims = verify_as_others_do(&bench.deps, &token, UserKind::Regular, pid.as_str(), &iss).await;
    assert_eq!(
        claims,
        json!({
            "iss": iss,
            "aud": pid,
            "sub": "11111111-1111-4111-8111-111111111111",
            "iat": START.seconds(),
            "exp": START.seconds() + 600,
            "project_id": pid,
            "branch_id": "main",
            "refresh_token_id": "22222222-2222-4222-8222-222222222222",
            "role": "authenticated",
            "name": null,
            "email": "ada@example.com",
            "email_verified": true,
            "selected_team_id": null,
            "signed_up_at": START.seconds(),
            "is_anonymous": false,
            "is_restricted": false,
            "restricted_reason": null,
            "requires_totp_mfa": false,
        })
    );
    assert_eq!(verify(&bench.deps, &token).await.unwrap().sub, subject().user_id);
}

#[tokio::test]
async fn restricted_and_anonymous_users_have_issuers_audiences_and_keys_of_their_own() {
    let bench = bench().await;
    for (reason, kind, segment, suffix, text) in [
        (RestrictedReason::Anonymous, UserKind::Anonymous, "projects-anonymous-users", ":anon", "anonymous"),
        (
            RestrictedReason::EmailNotVerified,
            UserKind::Restricted,
            "projects-restricted-users",
            ":restricted",
            "email_not_verified",
        ),
        (
            RestrictedReason::RestrictedByAdministrator,
            UserKind::Restricted,
            "projects-restricted-users",
            ":restricted",
            "restricted_by_administrator",
        ),
    ] {
        let token = mint(&bench.deps, &Subject { restricted_reason: Some(reason), ..subject() }).await.unwrap();
        let pid = subject().project_id;
        let (aud, iss) = (format!("{pid}{suffix}"), format!("http://localhost:8102/api/v1/{segment}/{pid}"));
        let claims = verify_as_others_do(&bench.deps, &token, kind, &aud, &iss).await;
        assert_eq!(claims["restricted_reason"], json!({ "type": text }));
        assert_eq!((&claims["is_restricted"], &claims["is_anonymous"]), (&json!(true), &json!(text == "anonymous")));
        assert_eq!(verify(&bench.deps, &token).await.unwrap().restricted_reason, Some(reason));
    }
}

#[tokio::test]
async fn a_token_is_refused_from_its_expiry_on_even_when_remembered() {
    let bench = bench().await;
    let token = mint(&bench.deps, &subject()).await.unwrap();
    bench.clock.advance_seconds(599);
    verify(&bench.deps, &token).await.unwrap();
    bench.clock.advance_seconds(1);
    let Err(TokenError::Expired(claims)) = verify(&bench.deps, &token).await else { panic!("not expired") };
    assert_eq!(claims.refresh_token_id, subject().session_id);
}

#[tokio::test]
async fn what_this_installation_did_not_sign_is_no_token() {
    let mut bench = bench().await;
    let token = mint(&bench.deps, &subject()).await.unwrap();
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut claims: Value = serde_json::from_slice(&BASE64.decode(payload).unwrap()).unwrap();
        change(&mut claims);
        format!("{header}.{}.{signature}", BASE64.encode(claims.to_string()))
    };
    let other_kid = decode_header(&token).unwrap().kid.unwrap().chars().rev().collect::<String>();
    for bad in [
        String::new(),
        "garbage".to_owned(),
        "a.b.c".to_owned(),
        "x".repeat(MAX_TOKEN_BYTES + 1),
        format!("{header}.{payload}."),
        format!("{header}.{payload}.AAAA"),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{}.{payload}.", BASE64.encode(r#"{"alg":"none"}"#)),
        format!("{}.{payload}.{signature}", BASE64.encode(r#"{"alg":"ES256"}"#)),
        format!("{}.{payload}.{signature}", BASE64.encode(json!({"alg": "ES256", "kid": other_kid}).to_string())),
        with(&|claims| claims["sub"] = json!("33333333-3333-4333-8333-333333333333")),
        with(&|claims| claims["exp"] = json!(i64::MAX)),
        with(&|claims| claims["aud"] = json!([claims["aud"]])),
        with(&|claims| claims["aud"] = json!("internal")),
        with(&|claims| claims["aud"] = json!("not a project")),
    ] {
        assert!(matches!(verify(&bench.deps, &bad).await, Err(TokenError::Unparsable)), "{bad}");
    }
    let secret = "z".repeat(MIN_SERVER_SECRET_BYTES);
    bench.deps.keyring = Keyring::new(vec![secret.into()]).unwrap();
    bench.deps.sessions = crate::sessions::Sessions::new(bench.deps.db.signals());
    assert!(matches!(verify(&bench.deps, &token).await, Err(TokenError::Unparsable)));
}

#[tokio::test]
async fn a_token_of_another_public_url_has_another_issuer_and_is_refused() {
    let mut bench = bench().await;
    let token = mint(&bench.deps, &subject()).await.unwrap();
    let mut settings = (*bench.deps.settings).clone();
    settings.public_url = "https://id.example.com".parse().unwrap();
    bench.deps.settings = Arc::new(settings);
    bench.deps.sessions = crate::sessions::Sessions::new(bench.deps.db.signals());
    assert!(matches!(verify(&bench.deps, &token).await, Err(TokenError::Unparsable)));
}

#[tokio::test]
async fn tokens_of_the_old_secret_pass_during_a_rotation() {
    let mut bench = bench().await;
    let token = mint(&bench.deps, &subject()).await.unwrap();
    let secrets = ["n", "k"].map(|letter| letter.repeat(MIN_SERVER_SECRET_BYTES).into());
    bench.deps.keyring = Keyring::new(secrets.to_vec()).unwrap();
    bench.deps.sessions = crate::sessions::Sessions::new(bench.deps.db.signals());
    verify(&bench.deps, &token).await.unwrap();
    let next = mint(&bench.deps, &subject()).await.unwrap();
    assert_ne!(decode_header(&next).unwrap().kid, decode_header(&token).unwrap().kid);
    verify(&bench.deps, &next).await.unwrap();
}

#[tokio::test]
async fn the_key_set_has_two_keys_for_each_kind_asked_for() {
    let bench = bench().await;
    let set = jwks(&bench.deps, &subject().project_id, &UserKind::ALL).await.unwrap();
    let shown = serde_json::to_value(&set).unwrap();
    assert_eq!(shown["keys"].as_array().unwrap().len(), 6);
    let names: Vec<_> = shown["keys"][0].as_object().unwrap().keys().collect();
    assert_eq!(names, ["alg", "crv", "kid", "kty", "x", "y"]);
    assert_eq!(jwks(&bench.deps, &subject().project_id, &[UserKind::Regular]).await.unwrap().keys, set.keys[..2]);
}
