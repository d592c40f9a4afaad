//! Ways in besides the password, through GraphQL: mailed codes, the second factor, hand-overs; what sign-up rules say, and
//! what the audit tells of all of it.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{ask, codes, data, signed_up};
use crate::support::{App, client::Client, eventually};

const SECRET: &[u8] = b"12345678901234567890";

async fn configure(app: &App, config: Value) {
    let config = json!({"config_override_string": config.to_string()});
    app.rest().admin().patch("/internal/config/override/environment", config).await.json(200);
}

/// The six digits of now, of a step that lasts a moment yet, so that they are still good when they arrive.
async fn totp() -> String {
    let totp = totp_rs::Builder::new().with_secret(SECRET.to_vec()).build().unwrap();
    loop {
        let now = u64::try_from(chrono::Utc::now().timestamp()).unwrap();
        let left = 30 - now % 30;
        if left > 2 {
            return totp.generate(now).to_string();
        }
        tokio::time::sleep(std::time::Duration::from_secs(left)).await;
    }
}

async fn mutate(client: &Client, name: &str, input_type: &str, selection: &str, input: Value) -> Value {
    let mutation = format!("mutation($input: {input_type}!) {{ {name}(input: $input) {{ {selection} }} }}");
    ask(client, &mutation, json!({ "input": input })).await
}

#[tokio::test]
async fn a_mailed_code_signs_in_by_its_link_or_typed() {
    let app = App::start().await;
    configure(&app, json!({"auth.otp.allowSignIn": true})).await;
    let client = app.rest().client();
    let sent =
        mutate(&client, "sendMagicLink", "SendMagicLinkInput", "nonce", json!({"email": "ada@example.com"})).await;
    let nonce = data(sent)["sendMagicLink"]["nonce"].as_str().unwrap().to_owned();
    let mail = app.mail_to("ada@example.com").await;
    let subject = mail["subject"].as_str().unwrap();
    let head = subject.rsplit(' ').next().unwrap();
    assert!(mail["text"].as_str().unwrap().contains("/verify/sign-in?project_id="), "{mail}");
    let typed = json!({"code": format!("{head}{nonce}")});
    let selection = "isNewUser userId accessToken user { primaryEmail primaryEmailVerified otpAuthEnabled }";
    let answer = mutate(&client, "signInWithMagicLink", "SignInWithMagicLinkInput", selection, typed.clone()).await;
    let signed_in = data(answer)["signInWithMagicLink"].clone();
    assert_eq!(signed_in["isNewUser"], true);
    let user = json!({"primaryEmail": "ada@example.com", "primaryEmailVerified": true, "otpAuthEnabled": true});
    assert_eq!(signed_in["user"], user);
    let again = mutate(&client, "signInWithMagicLink", "SignInWithMagicLinkInput", "userId", typed).await;
    assert_eq!(codes(&again)[0].1, "VERIFICATION_CODE_ALREADY_USED");
    app.stop().await;
}

#[tokio::test]
async fn the_second_factor_is_asked_for_and_recovered() {
    let app = App::start().await;
    let client = app.rest().client();
    let (ada, payload) = signed_up(&app, "ada@example.com").await;
    let secret = STANDARD.encode(SECRET);
    let input = json!({"totpSecretBase64": secret, "endOtherSessions": true});
    let on = data(mutate(&ada, "updateMe", "UpdateMeInput", "user { requiresTotpMfa }", input).await);
    assert_eq!(on["updateMe"]["user"]["requiresTotpMfa"], true);
    let made = data(ask(&ada, "mutation { createRecoveryCodes { codes } }", Value::Null).await);
    let recovery = made["createRecoveryCodes"]["codes"].as_array().unwrap().clone();
    assert_eq!(recovery.len(), 10);
    let attempt = async || {
        let input = json!({"email": "ada@example.com", "password": "correct horse"});
        let answer = mutate(&client, "signInWithPassword", "SignInWithPasswordInput", "userId", input).await;
        assert_eq!(codes(&answer)[0].1, "MULTI_FACTOR_AUTHENTICATION_REQUIRED");
        answer["errors"][0]["extensions"]["details"]["attempt_code"].clone()
    };
    let finish = async |input: Value| {
        let (name, kind) = ("signInWithSecondFactor", "SignInWithSecondFactorInput");
        mutate(&client, name, kind, "userId isNewUser", input).await
    };
    let waiting = attempt().await;
    let wrong = finish(json!({"attemptCode": waiting, "totp": "000000"})).await;
    assert_eq!(codes(&wrong)[0].1, "INVALID_TOTP_CODE");
    let right = finish(json!({"attemptCode": waiting, "totp": totp().await})).await;
    assert_eq!(data(right)["signInWithSecondFactor"], json!({"userId": payload["userId"], "isNewUser": false}));
    let waiting = attempt().await;
    let recovered = finish(json!({"attemptCode": waiting, "recoveryCode": recovery[0]})).await;
    assert_eq!(data(recovered)["signInWithSecondFactor"]["userId"], payload["userId"]);
    let both = finish(json!({"attemptCode": attempt().await, "recoveryCode": recovery[1], "totp": "1"})).await;
    assert_eq!(codes(&both)[0].1, "SCHEMA_ERROR");
    app.stop().await;
}

#[tokio::test]
async fn a_program_and_another_origin_get_the_very_session() {
    let app = App::start().await;
    let client = app.rest().client();
    let (ada, payload) = signed_up(&app, "ada@example.com").await;
    let start = "mutation { startCliLogin { pollingCode loginCode expiresAt } }";
    let started = data(ask(&client, start, Value::Null).await)["startCliLogin"].clone();
    let poll = async || {
        let input = json!({"pollingCode": started["pollingCode"]});
        data(mutate(&client, "pollCliLogin", "PollCliLoginInput", "status refreshToken", input).await)["pollCliLogin"]
            .clone()
    };
    assert_eq!(poll().await, json!({"status": "WAITING", "refreshToken": null}));
    let login = json!({"loginCode": started["loginCode"]});
    let look = mutate(&client, "inspectCliLogin", "InspectCliLoginInput", "hasAnonymousSession", login.clone()).await;
    assert_eq!(data(look)["inspectCliLogin"]["hasAnonymousSession"], false);
    let nothing = mutate(&client, "claimCliLogin", "ClaimCliLoginInput", "userId", login).await;
    assert_eq!(codes(&nothing)[0].1, "BAD_REQUEST");
    let complete = json!({"loginCode": started["loginCode"], "refreshToken": payload["refreshToken"]});
    data(mutate(&client, "completeCliLogin", "CompleteCliLoginInput", "success", complete).await);
    assert_eq!(poll().await, json!({"status": "SUCCESS", "refreshToken": payload["refreshToken"]}));
    assert_eq!(poll().await, json!({"status": "USED", "refreshToken": null}));

    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let challenge = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let redirect = "http://localhost:3000/back";
    let input = json!({"redirectUri": redirect, "state": "s", "codeChallenge": challenge,
        "refreshToken": payload["refreshToken"]});
    let (name, kind) = ("authorizeCrossDomain", "AuthorizeCrossDomainInput");
    let url = data(mutate(&ada, name, kind, "redirectUrl", input).await)["authorizeCrossDomain"]["redirectUrl"].clone();
    let url: url::Url = url.as_str().unwrap().parse().unwrap();
    let code = url.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let exchange = json!({"code": code, "redirectUri": redirect, "codeVerifier": verifier});
    let (name, kind) = ("exchangeAuthorizationCode", "ExchangeAuthorizationCodeInput");
    let taken =
        data(mutate(&client, name, kind, "signIn { refreshToken } afterCallbackRedirectUrl", exchange.clone()).await);
    assert_eq!(taken[name]["signIn"]["refreshToken"], payload["refreshToken"]);
    let again = mutate(&client, name, kind, "afterCallbackRedirectUrl", exchange).await;
    assert_eq!(codes(&again)[0].1, "INVALID_AUTHORIZATION_CODE");
    app.stop().await;
}

#[tokio::test]
async fn rules_keep_out_and_the_audit_tells_it_with_actor_and_address() {
    let app = App::builder()
        .set("POSTERN_TRUSTED_PROXIES", "127.0.0.0/8")
        .set("POSTERN_COUNTRY_HEADER", "cf-ipcountry")
        .start()
        .await;
    let rule = json!({"enabled": true, "condition": "countryCode == \"XA\"", "action": {"type": "reject"}});
    configure(&app, json!({"auth.signUpRules.far": rule})).await;
    let admin = app.rest().admin();
    let (_, payload) = signed_up(&app, "ada@example.com").await;
    let far = app.rest().client().with("cf-ipcountry", "XA").with("x-forwarded-for", "192.0.2.9");
    let input = json!({"email": "bob@example.com", "password": "correct horse"});
    let refused = mutate(&far, "signUpWithPassword", "SignUpWithPasswordInput", "userId", input).await;
    assert_eq!(codes(&refused)[0].1, "SIGN_UP_REJECTED");
    let wrong = json!({"email": "ada@example.com", "password": "wrong"});
    let refused = mutate(&far, "signInWithPassword", "SignInWithPasswordInput", "userId", wrong).await;
    assert_eq!(codes(&refused)[0].1, "EMAIL_PASSWORD_MISMATCH");
    let query = "{ auditEvents(first: 3) { nodes { type address country actor userId user { primaryEmail } payload }
        pageInfo { hasNextPage } } }";
    let audit = eventually("the audit", async || {
        let audit = data(ask(&admin, query, Value::Null).await)["auditEvents"]["nodes"].clone();
        (audit[0]["type"] == "sign_in.failed").then_some(audit)
    })
    .await;
    assert_eq!((&audit[0]["address"], &audit[0]["country"]), (&json!("192.0.2.9"), &json!("XA")));
    assert_eq!(audit[0]["userId"], payload["userId"]);
    assert_eq!(audit[0]["user"]["primaryEmail"], "ada@example.com");
    assert_eq!((&audit[1]["type"], &audit[1]["payload"]["rule_id"]), (&json!("sign_up.rejected"), &json!("far")));
    assert_eq!(audit[1]["actor"]["level"], "client");
    assert_eq!(audit[2]["type"], "sign_in.succeeded");
    let rest = admin.get("/audit-events?limit=1&type=sign_up.rejected").await.json(200);
    assert_eq!(rest["items"][0]["data"]["rule_id"], "far");
    assert_eq!(rest["pagination"]["next_cursor"], Value::Null);
    app.rest().server().get("/audit-events").await.refused(401, "INSUFFICIENT_ACCESS_TYPE");
    let statistics =
        data(ask(&admin, "{ signUpRuleStatistics { key count totalCount hours { count } } }", Value::Null).await);
    let far = &statistics["signUpRuleStatistics"][0];
    assert_eq!((&far["key"], &far["count"], &far["totalCount"]), (&json!("far"), &json!(1), &json!(1)));
    assert_eq!(far["hours"].as_array().unwrap().len(), 48);
    let test = "query($input: TestSignUpRulesInput!) { testSignUpRules(input: $input) { shouldAllow decision decidedBy
        evaluations { key status action } } }";
    let tried = data(ask(&admin, test, json!({"input": {"method": "OTP", "countryCode": "XA"}})).await);
    let expected = json!({"shouldAllow": false, "decision": "REJECT", "decidedBy": "far",
        "evaluations": [{"key": "far", "status": "MATCHED", "action": "reject"}]});
    assert_eq!(tried["testSignUpRules"], expected);
    app.stop().await;
}
