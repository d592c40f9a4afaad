use serde_json::json;

use super::{code, kinds, last_event, make, named, with_email};
use crate::{
    Code, ProjectId,
    email_address::EmailAddress,
    testing::{START, client, on_each_database, server, stranger},
    users::{self, CreateUser, OAuthLink, RestrictedReason, RiskScores, create, wire::ServerUser},
};

fn everything() -> CreateUser {
    CreateUser {
        display_name: Some("Ada".to_owned()),
        primary_email: Some(" Ada@Example.com ".to_owned()),
        primary_email_verified: Some(true),
        primary_email_auth_enabled: Some(true),
        profile_image_url: Some("https://example.com/ada.png".to_owned()),
        client_metadata: Some(json!({ "a": [1, null] })),
        client_read_only_metadata: Some(json!("text")),
        server_metadata: Some(json!(null)),
        otp_auth_enabled: Some(true),
        password: Some("correct horse".into()),
        totp_secret_base64: Some("AAECAwQFBgcICQ==".into()),
        restricted_by_admin: Some(true),
        restricted_by_admin_reason: Some("reason".to_owned()),
        restricted_by_admin_private_details: Some(String::new()),
        country_code: Some(" de".to_owned()),
        risk_scores: Some(RiskScores { bot: 1, free_trial_abuse: 100 }),
        ..CreateUser::default()
    }
}

fn all_on() -> serde_json::Value {
    json!({ "auth.password.allowSignIn": true, "auth.otp.allowSignIn": true })
}

#[tokio::test]
async fn the_server_object_has_every_field_of_the_contract() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        bench.set_config(&project_id, all_on()).await;
        let user = make(&bench, &project_id, everything()).await;
        let expected = json!({
            "id": user.id, "primary_email": "ada@example.com", "primary_email_verified": true,
            "primary_email_auth_enabled": true, "display_name": "Ada", "selected_team": null, "selected_team_id": null,
            "profile_image_url": "https://example.com/ada.png", "signed_up_at_millis": START.millis(),
            "last_active_at_millis": START.millis(), "has_password": true, "otp_auth_enabled": true,
            "passkey_auth_enabled": false, "client_metadata": { "a": [1, null] }, "client_read_only_metadata": "text",
            "server_metadata": null, "is_anonymous": false, "is_restricted": true,
            "restricted_reason": { "type": "restricted_by_administrator" }, "restricted_by_admin": true,
            "restricted_by_admin_reason": "reason", "restricted_by_admin_private_details": null, "country_code": "DE",
            "risk_scores": { "sign_up": { "bot": 1, "free_trial_abuse": 100 } }, "oauth_providers": [],
            "auth_with_email": true, "requires_totp_mfa": true,
        });
        assert_eq!(serde_json::to_value(ServerUser::from(user.clone())).unwrap(), expected);
        assert_eq!(users::find(&bench.deps, &project_id, user.id).await.unwrap(), Some(user));
        assert_eq!(last_event(&bench, &project_id).await, ("user.created".to_owned(), expected));
    })
    .await;
}

#[tokio::test]
async fn a_user_needs_nothing() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let user = make(&bench, &project_id, CreateUser::default()).await;
        assert_eq!((user.primary_email.clone(), user.is_restricted(), user.auth_with_email()), (None, false, false));
        let empty = make(&bench, &project_id, named("")).await;
        assert_eq!(empty.display_name, None);
    })
    .await;
}

#[tokio::test]
async fn a_password_is_kept_as_a_hash_and_a_totp_secret_sealed() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        bench.set_config(&project_id, all_on()).await;
        let user = make(&bench, &project_id, everything()).await;
        let address = EmailAddress::loose("ada@example.com").unwrap();
        let found = users::credentials_by_email(&bench.deps, &project_id, &address).await.unwrap().unwrap();
        let hash = secrecy::ExposeSecret::expose_secret(&found.password_hash.unwrap()).to_owned();
        assert!(hash.starts_with("$argon2id$"));
        assert_eq!(found.user, user);
        let row = users::store::find(bench.deps.db.read(), &project_id, user.id).await.unwrap().unwrap().row;
        let id = user.id.to_string();
        let place =
            crate::secrets::Place { project: project_id.as_str(), table: "user", row: &id, column: "totp_secret" };
        let opened = bench.deps.keyring.open(&place, &row.totp_secret.unwrap()).unwrap();
        assert_eq!(opened, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    })
    .await;
}

#[tokio::test]
async fn a_personal_team_is_made_selected_and_told_of_first() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        bench.set_config(&project_id, json!({ "teams.createPersonalTeamOnSignUp": true })).await;
        for (input, name) in [
            (named("Ada"), "Ada's Team"),
            (with_email("a@example.com"), "a@example.com's Team"),
            (CreateUser::default(), "Personal Team"),
        ] {
            let answered = make(&bench, &project_id, input).await;
            assert_eq!(answered.selected_team, None);
            let stored = users::find(&bench.deps, &project_id, answered.id).await.unwrap().unwrap();
            assert_eq!(stored.selected_team.unwrap().display_name, name);
        }
        assert_eq!(
            kinds(&bench, &project_id).await,
            ["team.created", "user.created", "team.created", "user.created", "team.created", "user.created"]
        );
        assert_eq!(last_event(&bench, &project_id).await.1["selected_team_id"], json!(null));
    })
    .await;
}

#[tokio::test]
async fn an_address_to_sign_in_with_is_unique_in_its_project_only() {
    on_each_database(|bench| async move {
        let (project_id, other) = (bench.insert_project().await, bench.insert_project().await);
        make(&bench, &project_id, with_email("a@example.com")).await;
        let again = create(&bench.deps, &server(&project_id), with_email("A@EXAMPLE.com")).await.unwrap_err();
        let failure = again.failure().unwrap();
        assert_eq!(failure.code, Code::UserEmailAlreadyExists);
        assert_eq!(
            failure.details,
            Some(json!({ "email": "a@example.com", "would_work_if_email_was_verified": false }))
        );
        assert_eq!(kinds(&bench, &project_id).await, ["user.created"]);
        make(&bench, &other, with_email("a@example.com")).await;
        let without_auth = CreateUser { primary_email_auth_enabled: None, ..with_email("a@example.com") };
        make(&bench, &project_id, without_auth.clone()).await;
        make(&bench, &project_id, without_auth).await;
    })
    .await;
}

#[tokio::test]
async fn bad_input_is_refused_and_leaves_nothing() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let link = OAuthLink::new("github".to_owned(), "1".to_owned(), None);
        let default = CreateUser::default;
        let cases = [
            (named(&"x".repeat(257)), Code::SchemaError),
            (named("a\0b"), Code::SchemaError),
            (with_email(""), Code::SchemaError),
            (with_email("nobody"), Code::SchemaError),
            (CreateUser { primary_email_verified: Some(true), ..default() }, Code::BadRequest),
            (CreateUser { primary_email_auth_enabled: Some(true), ..default() }, Code::BadRequest),
            (CreateUser { profile_image_url: Some(String::new()), ..default() }, Code::SchemaError),
            (
                CreateUser { profile_image_url: Some("data:image/png;base64,AA==".to_owned()), ..default() },
                Code::BadRequest,
            ),
            (CreateUser { country_code: Some("DEU".to_owned()), ..default() }, Code::SchemaError),
            (CreateUser { country_code: Some("1a".to_owned()), ..default() }, Code::SchemaError),
            (
                CreateUser { risk_scores: Some(RiskScores { bot: 101, free_trial_abuse: 0 }), ..default() },
                Code::SchemaError,
            ),
            (CreateUser { totp_secret_base64: Some("not base64!".into()), ..default() }, Code::SchemaError),
            (CreateUser { totp_secret_base64: Some("".into()), ..default() }, Code::SchemaError),
            (CreateUser { restricted_by_admin_reason: Some(String::new()), ..default() }, Code::SchemaError),
            (
                CreateUser {
                    restricted_by_admin: Some(false),
                    restricted_by_admin_private_details: Some("x".to_owned()),
                    ..default()
                },
                Code::SchemaError,
            ),
            // Switched off by default.
            (CreateUser { password: Some("correct horse".into()), ..default() }, Code::BadRequest),
            (CreateUser { otp_auth_enabled: Some(true), ..default() }, Code::BadRequest),
            (CreateUser { oauth_providers: vec![link], ..default() }, Code::BadRequest),
        ];
        for (input, expected) in cases {
            let shown = format!("{input:?}");
            assert_eq!(code(create(&bench.deps, &server(&project_id), input).await), expected, "{shown}");
        }
        assert_eq!(kinds(&bench, &project_id).await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn passwords_are_bounded_and_only_bcrypt_is_imported() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        bench.set_config(&project_id, all_on()).await;
        let password = |text: &str| CreateUser { password: Some(text.into()), ..CreateUser::default() };
        let hash = |text: &str| CreateUser { password_hash: Some(text.into()), ..CreateUser::default() };
        let bcrypt = bcrypt::hash("imported", 4).unwrap();
        let server = server(&project_id);
        assert!(make(&bench, &project_id, password("a")).await.has_password);
        assert!(make(&bench, &project_id, password(&"ä".repeat(70))).await.has_password);
        assert!(make(&bench, &project_id, hash(&bcrypt)).await.has_password);
        assert_eq!(code(create(&bench.deps, &server, password(&"a".repeat(71))).await), Code::SchemaError);
        assert_eq!(code(create(&bench.deps, &server, hash("plain")).await), Code::BadRequest);
        let both = CreateUser { password: Some("a".into()), ..hash(&bcrypt) };
        assert_eq!(code(create(&bench.deps, &server, both).await), Code::BadRequest);
    })
    .await;
}

#[tokio::test]
async fn one_answer_names_everything_that_is_wrong() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let input = CreateUser { country_code: Some("?".to_owned()), ..with_email("?") };
        let error = create(&bench.deps, &server(&project_id), input).await.unwrap_err();
        let message = error.failure().unwrap().message.to_string();
        assert!(message.contains("primary_email") && message.contains("country_code"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn only_servers_create_users() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let user = make(&bench, &project_id, CreateUser::default()).await;
        for actor in [stranger(&project_id), client(&project_id, user.id)] {
            assert_eq!(code(create(&bench.deps, &actor, CreateUser::default()).await), Code::Forbidden);
        }
        assert_eq!(kinds(&bench, &project_id).await, ["user.created"]);
    })
    .await;
}

#[tokio::test]
async fn the_first_reason_that_applies_is_told() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let restricted = CreateUser { restricted_by_admin: Some(true), ..CreateUser::default() };
        let unverified = with_email("u@example.com");
        let verified = CreateUser { primary_email_verified: Some(true), ..with_email("v@example.com") };
        let anonymous = CreateUser { is_anonymous: Some(true), ..restricted.clone() };
        let mut ids = Vec::new();
        for input in [anonymous, restricted, unverified, verified, CreateUser::default()] {
            ids.push(make(&bench, &project_id, input).await.id);
        }
        let reasons = async |project_id: &ProjectId| {
            let mut found = users::by_ids(&bench.deps, project_id, &ids).await.unwrap();
            ids.iter().map(|id| found.remove(id).unwrap().restricted_reason).collect::<Vec<_>>()
        };
        use RestrictedReason::{Anonymous, EmailNotVerified, RestrictedByAdministrator};
        let by_admin = Some(RestrictedByAdministrator);
        assert_eq!(reasons(&project_id).await, [Some(Anonymous), by_admin, None, None, None]);
        bench.set_config(&project_id, json!({ "onboarding.requireEmailVerification": true })).await;
        let unverified = Some(EmailNotVerified);
        assert_eq!(reasons(&project_id).await, [Some(Anonymous), unverified, unverified, None, unverified]);
    })
    .await;
}

#[tokio::test]
async fn a_repeated_request_makes_one_user() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let mut actor = server(&project_id);
        actor.idempotency = Some(crate::actor::IdempotencyKey { key: "once".to_owned(), request_hash: vec![1; 32] });
        let first = create(&bench.deps, &actor, with_email("a@example.com")).await.unwrap();
        assert_eq!(create(&bench.deps, &actor, with_email("a@example.com")).await.unwrap(), first);
        assert_eq!(kinds(&bench, &project_id).await, ["user.created"]);
    })
    .await;
}
