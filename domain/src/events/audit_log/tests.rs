use serde_json::json;

use super::*;
use crate::{
    Code,
    events::sequence,
    sessions::{
        ClientInfo, NewSession, create,
        test_scene::{EMAIL, PASSWORD, Scene, refusal},
    },
    testing::{admin, on_each_database},
};

async fn log(scene: &Scene, before: Option<i64>, filter: AuditFilter, limit: u64) -> AuditPage {
    while sequence(scene.deps()).await.unwrap() {}
    audit_log(scene.deps(), &admin(&scene.project), before, &filter, limit).await.unwrap()
}

fn names(page: &AuditPage) -> Vec<&'static str> {
    page.events.iter().map(|event| event.kind.as_str()).collect()
}

#[tokio::test]
async fn who_came_in_and_who_did_not_is_told_newest_first_with_actor_and_address() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let signed_in = scene.signed_up().await;
        for email in [EMAIL, "nobody@example.com"] {
            assert_eq!(refusal(scene.sign_in(email, "wrong").await), Code::EmailPasswordMismatch);
        }
        scene.sign_in(EMAIL, PASSWORD).await.unwrap();
        let client = ClientInfo {
            ip: Some("2001:db8::1".parse().unwrap()),
            user_agent: Some("curl/8".to_owned()),
            country: Some("SE".to_owned()),
        };
        let acting = NewSession { user_id: signed_in.user_id, expires_in_millis: None, is_impersonation: true };
        create(scene.deps(), &scene.server(), acting, &client).await.unwrap();
        let page = log(&scene, None, AuditFilter::default(), 50).await;
        let expected =
            ["session.impersonated", "sign_in.succeeded", "sign_in.failed", "sign_in.failed", "sign_in.succeeded"];
        assert_eq!((names(&page).as_slice(), page.has_more), (expected.as_slice(), false));
        let acted = page.events[0].payload.clone().unwrap();
        assert_eq!(acted["address"], json!("2001:db8::1"));
        assert_eq!((&acted["user_agent"], &acted["country"]), (&json!("curl/8"), &json!("SE")));
        assert_eq!(acted["actor"]["level"], json!("server"));
        // Of a stranger's guess nothing is kept that was typed.
        let [unknown, known] = [&page.events[2], &page.events[3]];
        assert_eq!((unknown.user_id, known.user_id), (None, Some(signed_in.user_id)));
        assert!(!unknown.payload.as_ref().unwrap().to_string().contains("nobody"));
        assert_eq!(known.payload.as_ref().unwrap()["reason"], json!("EMAIL_PASSWORD_MISMATCH"));
        // Page by page.
        let first = log(&scene, None, AuditFilter::default(), 2).await;
        assert!(first.has_more);
        let second = log(&scene, Some(first.events[1].position), AuditFilter::default(), 3).await;
        assert_eq!((names(&second).as_slice(), second.has_more), (&expected[2..], false));
        let failures = AuditFilter { kinds: vec![EventKind::SignInFailed], user_id: Some(signed_in.user_id) };
        assert_eq!(names(&log(&scene, None, failures, 50).await), ["sign_in.failed"]);
        let others = AuditFilter { kinds: vec![EventKind::UserCreated], user_id: None };
        let outcome = audit_log(scene.deps(), &admin(&scene.project), None, &others, 50).await;
        assert_eq!(refusal(outcome), Code::SchemaError);
        let outcome = audit_log(scene.deps(), &scene.server(), None, &AuditFilter::default(), 50).await;
        assert_eq!(refusal(outcome), Code::Forbidden);
        let elsewhere = admin(&scene.bench.insert_project().await);
        let page = audit_log(scene.deps(), &elsewhere, None, &AuditFilter::default(), 50).await.unwrap();
        assert_eq!(page.events, []);
    })
    .await;
}
