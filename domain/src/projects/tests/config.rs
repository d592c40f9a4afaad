//! Config overrides.

use super::*;

#[tokio::test]
async fn overrides_are_written_read_and_reset_by_level() {
    on_each_database(|bench| async move {
        let (_, project) = owned(&bench).await;
        let (deps, actor) = (&bench.deps, admin(&project.id));
        let level = ConfigLevel::Branch;
        let text = r#"{"auth":{"otp":{"allowSignIn":true}},"teams.allowClientTeamCreation":true}"#;
        assert!(replace_override(deps, &actor, level, text, None).await.unwrap_err().is(Code::BadRequest));
        let source = ConfigSource::PushedFromUnknown;
        replace_override(deps, &actor, level, text, Some(source.clone())).await.unwrap();
        assert!(config(deps, &project.id).await.unwrap().auth.otp.allow_sign_in);
        merge_override(deps, &actor, level, r#"{"auth.otp.allowSignIn":false}"#).await.unwrap();
        assert!(!config(deps, &project.id).await.unwrap().auth.otp.allow_sign_in);
        assert_eq!(config_source(deps, &actor).await.unwrap(), source);
        let stored: Value = serde_json::from_str(&override_text(deps, &actor, level).await.unwrap()).unwrap();
        assert_eq!(
            stored,
            json!({ "auth": { "otp": { "allowSignIn": true } }, "auth.otp.allowSignIn": false, "teams.allowClientTeamCreation": true })
        );
        reset_config_keys(deps, &actor, level, &["auth.otp".to_owned()]).await.unwrap();
        assert_eq!(override_text(deps, &actor, level).await.unwrap(), r#"{"teams.allowClientTeamCreation":true}"#);
        unlink_config_source(deps, &actor).await.unwrap();
        assert_eq!(config_source(deps, &actor).await.unwrap(), ConfigSource::Unlinked);
        assert!(config(deps, &project.id).await.unwrap().teams.allow_client_team_creation);

        let level = ConfigLevel::Environment;
        merge_override(deps, &actor, level, r#"{"emails.server":{"isShared":false,"password":"hidden"}}"#).await.unwrap();
        merge_override(deps, &actor, level, r#"{"emails.server.host":"h"}"#).await.unwrap();
        assert!(override_text(deps, &actor, level).await.unwrap().contains(r#""password":"hidden""#));
        assert!(config_text(deps, &actor).await.unwrap().contains(r#""password":"hidden""#));
        let stored = store::override_value(deps.db.read(), &project.id, "environment").await.unwrap();
        assert!(!Value::Object(stored).to_string().contains("hidden"));

        let bad = merge_override(deps, &actor, level, r#"{"auth.allowSignUp":"no"}"#).await.unwrap_err();
        assert!(bad.is(Code::BadRequest) && bad.to_string().contains("auth.allowSignUp"));
        assert!(reset_config_keys(deps, &actor, ConfigLevel::Project, &[]).await.unwrap_err().is(Code::BadRequest));
    })
    .await;
}

#[tokio::test]
async fn servers_write_the_branch_only_and_clients_nothing() {
    on_each_database(|bench| async move {
        let (_, project) = owned(&bench).await;
        let deps = &bench.deps;
        for level in ConfigLevel::ALL {
            for access in [Level::Client, Level::Server] {
                let actor = Actor::new(project.id.clone(), access, None);
                let allowed = level == ConfigLevel::Branch && access == Level::Server;
                let source = Some(ConfigSource::PushedFromUnknown);
                let outcomes = [
                    override_text(deps, &actor, level).await.err(),
                    merge_override(deps, &actor, level, "{}").await.err(),
                    replace_override(deps, &actor, level, "{}", source).await.err(),
                ];
                for outcome in outcomes {
                    assert_eq!(outcome.is_none(), allowed);
                    assert!(outcome.is_none_or(|error| error.is(Code::Forbidden)));
                }
                for outcome in [
                    reset_config_keys(deps, &actor, level, &[]).await.err(),
                    unlink_config_source(deps, &actor).await.err(),
                    config_source(deps, &actor).await.err(),
                    config_text(deps, &actor).await.err(),
                ] {
                    assert!(outcome.unwrap().is(Code::Forbidden));
                }
            }
        }
        assert_eq!(current_project(deps, &admin(&project.id)).await.unwrap(), project);
    })
    .await;
}
