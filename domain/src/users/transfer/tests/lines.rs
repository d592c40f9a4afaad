//! What lines may say, and what follows from it.

use postern_entity::user;
use sea_orm::EntityTrait;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    ADA, Code, ContactChannelId, FirebaseParameters, GRACE, ImportOptions, LinkedAccountId, MAX_CHANNELS, codes,
    everything_on, export, import, import_with, new, project,
};
use crate::{
    UserId,
    email_address::EmailAddress,
    sessions,
    testing::{START, on_each_database, server, stranger},
    users,
};

#[tokio::test]
async fn a_line_that_does_not_fit_keeps_no_other_back() {
    on_each_database(|bench| async move {
        let (project_id, other) = (project(&bench).await, project(&bench).await);
        import(&bench, &other, &[json!({"id": ADA})]).await;
        users::create(&bench.deps, &server(&project_id), users::tests::with_email("taken@example.com")).await.unwrap();
        let channel = ContactChannelId::random();
        let link = LinkedAccountId::random();
        let linked = |more: Value| {
            let mut account = json!({"id": "github", "account_id": "1"});
            account.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"oauth_providers": [account]})
        };
        let auth = |address: &str| json!({"primary_email": address, "primary_email_auth_enabled": true});
        let mut second = auth("g@example.com");
        second["contact_channels"] = json!([{"value": "TAKEN@example.com", "used_for_auth": true}]);
        let outcomes = import(
            &bench,
            &project_id,
            &[
                json!({"id": GRACE}),
                json!({"id": ADA}),
                auth("a@example.com"),
                auth("A@example.com"),
                second,
                json!({"contact_channels": [{"id": channel, "value": "b@example.com"}]}),
                json!({"contact_channels": [{"id": channel, "value": "c@example.com"}]}),
                json!({"country_code": "?"}),
                json!("text"),
                auth("d@example.com"),
                linked(json!({})),
                linked(json!({})),
                linked(json!({"account_id": "2", "link_id": link})),
                linked(json!({"account_id": "3", "link_id": link})),
            ],
        )
        .await;
        assert_eq!(outcomes[0], new(GRACE));
        let details = outcomes[4].as_ref().unwrap_err().details.clone().unwrap();
        assert_eq!(details["email"], "taken@example.com");
        let taken = Some(Code::UserEmailAlreadyExists);
        let (conflict, schema) = (Some(Code::Conflict), Some(Code::SchemaError));
        let linked = Some(Code::OauthProviderAccountIdAlreadyUsedForSignIn);
        let expected =
            [None, conflict, None, taken, taken, None, conflict, schema, schema, None, None, linked, None, conflict];
        assert_eq!(codes(outcomes), expected);
        assert_eq!(export(&bench, &project_id, false).await.len(), 7);
        assert_eq!(export(&bench, &other, false).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn lines_follow_the_rules_of_making_a_user_and_those_of_what_they_bring() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let channel = |more: Value| {
            let mut channel = json!({"value": "a@example.com"});
            channel.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"contact_channels": [{"value": "A@example.com"}, channel]})
        };
        let bcrypt = bcrypt::hash("imported", 4).unwrap();
        let (schema, bad) = (Code::SchemaError, Code::BadRequest);
        let cases = [
            (json!({"id": "018f4e9e-7b1a-7cc0-8000-000000000000"}), schema, "id must be a UUID"),
            (json!({"id": "00000000-0000-0000-0000-000000000000"}), schema, "id must be a UUID"),
            (json!({"signed_up_at_millis": -1}), schema, "signed_up_at_millis"),
            (json!({"last_active_at_millis": 253_402_300_800_000_i64}), schema, "last_active_at_millis"),
            (json!({"server_metadata": ["a\0"]}), schema, "server_metadata"),
            (json!({"display_name": "x".repeat(257), "id": ADA, "signed_up_at_millis": -1}), schema, "display_name"),
            (channel(json!({})), schema, "contact_channels[1].value occurs twice"),
            (channel(json!({"value": "?"})), schema, "contact_channels[1].value must be"),
            (channel(json!({"created_at_millis": -1})), schema, "contact_channels[1].created_at_millis"),
            (
                json!({"contact_channels": [{"value": "a@b", "is_primary": true}, {"value": "c@d", "is_primary": true}]}),
                schema,
                "one primary channel",
            ),
            (
                json!({"primary_email": "a@b", "contact_channels": [{"value": "c@d", "is_primary": true}]}),
                schema,
                "primary_email cannot",
            ),
            (json!({"contact_channels": vec![json!({"value": "a@b"}); MAX_CHANNELS + 1]}), schema, "at most"),
            (json!({"primary_email_verified": true}), bad, "primary_email_verified"),
            (json!({"profile_image_url": "data:image/png;base64,AA=="}), bad, "profile_image_url"),
            // Switched off by default.
            (json!({"password_hash": bcrypt}), bad, "password"),
            (json!({"otp_auth_enabled": true}), bad, "otp_auth_enabled"),
            (json!({"oauth_providers": [{"id": "github", "account_id": "1"}]}), bad, "oauth_providers"),
        ];
        let lines: Vec<Value> = cases.iter().map(|(line, ..)| line.clone()).collect();
        for (outcome, (line, code, part)) in import(&bench, &project_id, &lines).await.into_iter().zip(&cases) {
            let failure = outcome.expect_err(&line.to_string());
            assert!(failure.code == *code && failure.message.contains(part), "{failure}");
        }
        bench.set_config(&project_id, everything_on()).await;
        let linked = |more: Value| {
            let mut account = json!({"id": "github", "account_id": "1"});
            account.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"oauth_providers": [{"id": "google", "account_id": "1"}, account]})
        };
        for (more, code, part) in [
            (json!({"link_id": Uuid::nil()}), schema, "oauth_providers[1].link_id must be"),
            (json!({"created_at_millis": -1}), schema, "oauth_providers[1].created_at_millis must be"),
            (json!({"account_id": ""}), schema, "oauth_providers[1].account_id must"),
            (json!({"email": "?"}), schema, "oauth_providers[1].email must"),
            (json!({"id": "google"}), bad, "signs in with another google account"),
            (json!({"id": "google", "allow_sign_in": false}), bad, "linked this account already"),
        ] {
            let outcome = import(&bench, &project_id, &[linked(more)]).await.remove(0);
            let failure = outcome.expect_err(part);
            assert!(failure.code == code && failure.message.contains(part), "{failure}");
        }
        let hash = |algorithm: &str| json!({"password_hash": {"algorithm": algorithm, "hash": bcrypt}});
        let firebase = json!({"algorithm": "firebase-scrypt", "hash": "AAAA", "salt": "AAAA"});
        let hashes = [
            json!({"password": "x", "password_hash": bcrypt}),
            json!({"password_hash": "plain"}),
            hash("argon2id"),
            hash("firebase-scrypt"),
            json!({"password_hash": firebase}),
            json!({"password_hash": {"algorithm": "firebase-scrypt", "hash": "?"}}),
        ];
        assert_eq!(codes(import(&bench, &project_id, &hashes).await), [Some(bad); 6]);
        assert_eq!(codes(import(&bench, &project_id, &[hash("bcrypt")]).await), [None]);
        assert_eq!(export(&bench, &project_id, true).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn users_of_firebase_sign_in_once_and_are_ours() {
    on_each_database(|bench| async move {
        let project_id = project(&bench).await;
        // The example that Firebase publishes; the second user has the parameters in the line, in the other alphabet.
        let key = "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==";
        let hash = "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";
        let user = |address: &str, hash: Value| {
            json!({"primary_email": address, "primary_email_auth_enabled": true, "password_hash": hash})
        };
        let lines = [
            user("a@example.com", json!({"algorithm": "firebase-scrypt", "hash": hash, "salt": "42xEC+ixf3L2lw=="})),
            user(
                "b@example.com",
                json!({"algorithm": "firebase-scrypt", "hash": hash.replace('/', "_").replace('+', "-"),
                       "salt": "42xEC-ixf3L2lw", "signer_key": key, "salt_separator": "Bw==", "rounds": 8, "mem_cost": 14}),
            ),
        ];
        let firebase = Some(FirebaseParameters::decode(&key.into(), "Bw==", 8, 14).unwrap());
        let options = ImportOptions { firebase, ..ImportOptions::default() };
        assert_eq!(codes(import_with(&bench, &project_id, options, &lines).await), [None, None]);
        let exported = export(&bench, &project_id, true).await;
        assert!(exported.iter().all(|line| line["password_hash"]["algorithm"] == "firebase-scrypt"));
        let stored = async |address: &str| {
            let address = EmailAddress::loose(address).unwrap();
            let found = users::credentials_by_email(&bench.deps, &project_id, &address).await.unwrap().unwrap();
            found.password_hash.unwrap().expose_secret().to_owned()
        };
        let sign_in = async |address: &str, password: &str| {
            let (stranger, client) = (stranger(&project_id), sessions::ClientInfo::default());
            sessions::sign_in_with_password(&bench.deps, &stranger, address, &password.into(), &client).await
        };
        for address in ["a@example.com", "b@example.com"] {
            assert!(!stored(address).await.contains(&key[..20]));
            assert!(sign_in(address, "user2password").await.unwrap_err().is(Code::EmailPasswordMismatch));
            assert!(stored(address).await.starts_with("$firebase-scrypt$"));
            sign_in(address, "user1password").await.unwrap();
            assert!(stored(address).await.starts_with("$argon2id$v=19$m=19456"), "hashed anew");
            sign_in(address, "user1password").await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_is_told_unless_it_is_wanted() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let defaults = json!({
            "teams.createPersonalTeamOnSignUp": true, "rbac.permissions.guest": {"scope": "project"},
            "rbac.defaultPermissions.signUp": {"guest": true},
        });
        bench.set_config(&project_id, defaults).await;
        import(&bench, &project_id, &[json!({"id": ADA, "display_name": "Ada"})]).await;
        assert_eq!(bench.events(&project_id).await, []);
        let ada = users::find(&bench.deps, &project_id, ADA.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(ada.selected_team.unwrap().display_name, "Ada's Team");
        let filter = crate::permissions::TeamFilter::default();
        let granted = crate::permissions::in_project(&bench.deps, &server(&project_id), &filter).await.unwrap();
        assert_eq!(granted.len(), 1);

        let options = ImportOptions { is_told: true, ..ImportOptions::default() };
        import_with(&bench, &project_id, options, &[json!({"id": GRACE, "signed_up_at_millis": 7})]).await;
        let events = bench.events(&project_id).await;
        let kinds: Vec<&str> = events.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["team.created", "user.created"]);
        assert_eq!((&events[1].1["id"], &events[1].1["signed_up_at_millis"]), (&json!(GRACE), &json!(7)));
    })
    .await;
}

#[tokio::test]
async fn times_default_to_now() {
    on_each_database(|bench| async move {
        let project_id = project(&bench).await;
        let channels = json!([{"value": "a@example.com"}]);
        let lines = [json!({"id": ADA, "contact_channels": channels}), json!({"id": GRACE, "signed_up_at_millis": 7})];
        import(&bench, &project_id, &lines).await;
        let row = async |id: &str| {
            let id: UserId = id.parse().unwrap();
            user::Entity::find_by_id(id).one(bench.deps.db.read()).await.unwrap().unwrap()
        };
        let (ada, grace) = (row(ADA).await, row(GRACE).await);
        assert_eq!((ada.signed_up_at, ada.last_active_at, ada.created_at), (START, START, START));
        assert_eq!((grace.signed_up_at.0, grace.last_active_at.0, grace.created_at), (7, 7, START));
        let exported = export(&bench, &project_id, false).await;
        assert_eq!(exported[1]["contact_channels"][0]["created_at_millis"], json!(START));
    })
    .await;
}
