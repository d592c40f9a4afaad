//! What a request must say of itself at all, and what handlers may demand of who asks.

use super::*;

#[tokio::test]
async fn step_1_a_key_or_admin_token_without_access_type_is_refused() {
    on_sqlite(|scene| async move {
        let project_id = text(scene.project.as_str());
        for credentials in [
            Credentials { publishable_client_key: text("pck_x"), ..Credentials::default() },
            Credentials { secret_server_key: text("ssk_x"), project_id: project_id.clone(), ..Credentials::default() },
            Credentials { super_secret_admin_key: text("sak_x"), ..Credentials::default() },
            Credentials { admin_access_token: text("x"), bearer_token: text("x"), ..Credentials::default() },
        ] {
            assert_eq!(scene.refusal(&credentials).await, (Code::ProjectKeyWithoutAccessType, None));
        }
    })
    .await;
}

#[tokio::test]
async fn step_2_without_access_type_nothing_of_the_request_counts() {
    on_sqlite(|scene| async move {
        let credentials = Credentials {
            project_id: text("no such project"),
            branch_id: text("no such branch"),
            access_token: text("garbage"),
            secret_server_key: text(""),
            access_type: text(""),
            development_override_key: text("wrong"),
            ..Credentials::default()
        };
        let identified = identify(scene.deps(), &credentials).await.unwrap();
        assert!(identified.is_none());
        assert!(require_auth(identified).unwrap_err().is(Code::AccessTypeRequired));
    })
    .await;
}

#[tokio::test]
async fn step_3_other_access_types_are_refused() {
    on_sqlite(|scene| async move {
        for wrong in ["Client", "root", "client "] {
            let credentials = Credentials { access_type: text(wrong), ..Credentials::default() };
            assert_eq!(scene.refusal(&credentials).await, (Code::InvalidAccessType, None));
        }
        for (credentials, level) in
            [(scene.client(), Level::Client), (scene.server(), Level::Server), (scene.admin(), Level::Admin)]
        {
            let identified = scene.passes(&credentials).await;
            assert_eq!(identified.actor, Actor::new(scene.project.clone(), level, None));
            assert_eq!(identified.project.id, scene.project);
        }
    })
    .await;
}

#[tokio::test]
async fn step_4_an_access_type_needs_a_project_id() {
    on_sqlite(|scene| async move {
        for (level, project_id) in [("client", None), ("server", text("")), ("admin", None)] {
            let credentials =
                Credentials { access_type: text(level), project_id, access_token: text("x"), ..Credentials::default() };
            let details = Some(json!({ "request_type": level }));
            assert_eq!(scene.refusal(&credentials).await, (Code::AccessTypeWithoutProjectId, details));
        }
        let upper = Credentials { project_id: text(&scene.project.as_str().to_uppercase()), ..scene.client() };
        assert_eq!(scene.passes(&upper).await.actor.project_id, scene.project);
    })
    .await;
}

#[test]
fn demands_refuse_with_their_codes() {
    let client = Actor::new(ProjectId::random(), Level::Client, None);
    let refused = require_level(&client, &[Level::Server, Level::Admin]).unwrap_err();
    assert!(refused.is(Code::InsufficientAccessType));
    let details = json!({ "actual_access_type": "client", "allowed_access_types": ["server", "admin"] });
    assert_eq!(refused.failure().unwrap().details, Some(details));
    require_level(&client, &[Level::Client]).unwrap();
    assert!(require_user(&client).unwrap_err().is(Code::UserAuthenticationRequired));
    assert!(require_own_user(&client).unwrap_err().is(Code::CannotGetOwnUserWithoutUser));
    assert!(require_internal_project(&client).unwrap_err().is(Code::ExpectedInternalProject));

    let user =
        ActingUser { id: UserId::random(), session_id: SessionId::random(), is_anonymous: false, is_restricted: false };
    let signed_in = Actor::new(ProjectId::internal(), Level::Client, Some(user.clone()));
    assert_eq!(require_user(&signed_in).unwrap(), &user);
    require_internal_project(&signed_in).unwrap();
    let id = UserId::random();
    let upper = id.to_string().to_uppercase();
    assert_eq!(UserRef::parse("user_id", &upper).unwrap().resolve(&client).unwrap(), id);
    assert_eq!(UserRef::parse("user_id", "me").unwrap().resolve(&signed_in).unwrap(), user.id);
    assert!(UserRef::Me.resolve(&client).unwrap_err().is(Code::CannotGetOwnUserWithoutUser));
    for bad in ["", "Me", "1", &id.0.simple().to_string()] {
        assert!(UserRef::parse("user_id", bad).unwrap_err().is(Code::SchemaError), "{bad}");
    }
}

#[test]
fn credentials_do_not_show_in_debug() {
    let secret = "very secret";
    let credentials = Credentials {
        publishable_client_key: text(secret),
        secret_server_key: text(secret),
        super_secret_admin_key: text(secret),
        admin_access_token: text(secret),
        access_token: text(secret),
        bearer_token: text(secret),
        development_override_key: text(secret),
        ..Credentials::default()
    };
    assert!(!format!("{credentials:?}").contains(secret));
}
