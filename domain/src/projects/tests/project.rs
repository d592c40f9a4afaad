//! Projects: made, changed, deleted.

use super::*;

#[tokio::test]
async fn a_new_project_has_the_defaults_of_the_contract() {
    on_each_database(|bench| async move {
        let (actor, project) = owned(&bench).await;
        let shown = serde_json::to_value(&project).unwrap();
        assert_eq!(
            shown,
            json!({
                "id": project.id, "display_name": "Shop", "description": "",
                "logo_url": null, "logo_full_url": null, "logo_dark_mode_url": null, "logo_full_dark_mode_url": null,
                "created_at_millis": bench.deps.now(),
                "is_production_mode": false, "is_development_environment": false,
                "owner_team_id": project.owner_team_id, "onboarding_status": "completed", "onboarding_state": null,
                "config": {
                    "allow_localhost": true, "sign_up_enabled": true, "credential_enabled": true,
                    "magic_link_enabled": false, "passkey_enabled": false, "client_team_creation_enabled": false,
                    "client_user_deletion_enabled": false, "allow_user_api_keys": false, "allow_team_api_keys": false,
                    "oauth_providers": [], "enabled_oauth_providers": [], "domains": [],
                    "email_config": { "type": "shared" }, "email_theme": "1df07ae6-abf3-4a40-83a5-a1a2cbe336ac",
                    "create_team_on_sign_up": false,
                    "team_creator_default_permissions": [{ "id": "team_admin" }],
                    "team_member_default_permissions": [{ "id": "team_member" }],
                    "user_default_permissions": [], "oauth_account_merge_strategy": "link_method",
                },
            })
        );
        assert_eq!(owned_projects(&bench.deps, &actor).await.unwrap(), std::slice::from_ref(&project));
        assert_eq!(current_project(&bench.deps, &admin(&project.id)).await.unwrap(), project);
        let (stranger, _) = owner(&bench).await;
        assert_eq!(owned_projects(&bench.deps, &stranger).await.unwrap(), []);

        let branch = override_text(&bench.deps, &admin(&project.id), ConfigLevel::Branch).await.unwrap();
        assert_eq!(branch, "{}");
        let environment = override_text(&bench.deps, &admin(&project.id), ConfigLevel::Environment).await.unwrap();
        let environment: Value = serde_json::from_str(&environment).unwrap();
        assert_eq!(environment["auth.password.allowSignIn"], json!(true));
        assert_eq!(
            environment["rbac.permissions.team_member"]["containedPermissionIds"],
            json!({
                "$read_members": true, "$invite_members": true,
            })
        );
    })
    .await;
}

#[tokio::test]
async fn only_members_of_the_owning_team_on_internal_make_projects() {
    on_each_database(|bench| async move {
        let (_, project) = owned(&bench).await;
        let deps = &bench.deps;
        let (stranger, _) = owner(&bench).await;
        let foreign_team = project.owner_team_id.unwrap();
        let error = create_project(deps, &stranger, new_project(foreign_team)).await.unwrap_err();
        assert_eq!(
            error.failure().unwrap().details,
            Some(json!({ "team_id": foreign_team, "user_id": stranger.user_id().unwrap() }))
        );
        assert!(error.is(Code::TeamMembershipNotFound));

        let nobody = Actor::new(ProjectId::internal(), Level::Client, None);
        let elsewhere = Actor { project_id: project.id.clone(), ..stranger.clone() };
        let nobody_elsewhere = Actor { user: None, ..elsewhere.clone() };
        for (actor, code) in [
            (nobody, Code::UserAuthenticationRequired),
            (elsewhere, Code::ExpectedInternalProject),
            (nobody_elsewhere, Code::UserAuthenticationRequired),
        ] {
            assert!(create_project(deps, &actor, new_project(foreign_team)).await.unwrap_err().is(code));
            assert!(owned_projects(deps, &actor).await.unwrap_err().is(code));
        }
        assert_eq!(owned_projects(deps, &stranger).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn changing_a_project_is_seen_at_once_and_secrets_are_sealed() {
    on_each_database(|bench| async move {
        let (_, project) = owned(&bench).await;
        let (deps, actor) = (&bench.deps, admin(&project.id));
        assert!(config(deps, &project.id).await.unwrap().auth.allow_sign_up);
        let change = ProjectChange {
            display_name: Some("Renamed".to_owned()),
            description: Patch::Set("For now".to_owned()),
            logo_url: Patch::Set("https://cdn.example/logo.png".to_owned()),
            is_production_mode: Some(true),
            config: ConfigChange {
                sign_up_enabled: Some(false),
                domains: Some(vec![
                    Domain { domain: "https://b.example".to_owned(), handler_path: "/h".to_owned() },
                    Domain { domain: "https://*.A.example:8443".to_owned(), handler_path: "/".to_owned() },
                ]),
                oauth_providers: Some(vec![OAuthProviderSettings {
                    id: "google".to_owned(),
                    kind: Sharing::Standard,
                    client_id: Some("id".to_owned()),
                    client_secret: Some(ShownSecret("very secret".to_owned())),
                    facebook_config_id: None,
                    microsoft_tenant_id: None,
                    apple_bundle_ids: None,
                }]),
                email_config: Some(EmailConfig::Standard {
                    host: "mail.example".to_owned(),
                    port: 587,
                    username: "u".to_owned(),
                    password: ShownSecret("very secret too".to_owned()),
                    sender_name: "Shop".to_owned(),
                    sender_email: "shop@example.com".to_owned(),
                }),
                user_default_permissions: Some(vec![IdOnly { id: "undefined".to_owned() }]),
                ..ConfigChange::default()
            },
            ..ProjectChange::default()
        };
        let changed = update_project(deps, &actor, change).await.unwrap();
        assert_eq!(current_project(deps, &actor).await.unwrap(), changed);
        assert_eq!((changed.display_name.as_str(), changed.description.as_str()), ("Renamed", "For now"));
        assert_eq!(changed.logo_url.as_deref(), Some("https://cdn.example/logo.png"));
        let shown = serde_json::to_value(&changed.config).unwrap();
        assert_eq!(
            shown["domains"],
            json!([
                { "domain": "https://*.A.example:8443", "handler_path": "/" },
                { "domain": "https://b.example", "handler_path": "/h" },
            ])
        );
        assert_eq!(
            shown["oauth_providers"],
            json!([{ "provider_config_id": "google", "id": "google", "type": "standard", "client_id": "id", "client_secret": "very secret" }])
        );
        assert_eq!(shown["email_config"]["password"], json!("very secret too"));
        assert_eq!(shown["user_default_permissions"], json!([]), "a permission that is not defined is not shown");
        assert!(changed.config.credential_enabled, "what is not named stays");

        assert!(!config(deps, &project.id).await.unwrap().auth.allow_sign_up);
        assert_eq!(client_project(deps, &actor).await.unwrap().config.enabled_oauth_providers.len(), 1);
        let stored = store::override_value(deps.db.read(), &project.id, "environment").await.unwrap();
        assert!(!Value::Object(stored).to_string().contains("very secret"));

        let cleared = ProjectChange {
            description: Patch::Clear,
            logo_url: Patch::Clear,
            config: ConfigChange { email_config: Some(EmailConfig::Shared), ..ConfigChange::default() },
            ..ProjectChange::default()
        };
        let cleared = update_project(deps, &actor, cleared).await.unwrap();
        assert_eq!((cleared.description.as_str(), cleared.logo_url), ("", None));
        assert_eq!(cleared.config.email_config, EmailConfig::Shared);
    })
    .await;
}

#[tokio::test]
async fn writing_the_older_view_keeps_providers_that_it_does_not_show() {
    on_each_database(|bench| async move {
        let (_, project) = owned(&bench).await;
        let (deps, actor) = (&bench.deps, admin(&project.id));
        let provider = |kind: &str| {
            json!({ "type": kind, "allowSignIn": true, "allowConnectedAccounts": false, "isShared": false,
                "clientId": "us", "clientSecret": "hunter2" })
        };
        let mut config = json!({ "auth.oauth.providers.acme": provider("oidc"), "auth.oauth.providers.apple": provider("apple"),
            "auth.oauth.providers.gitlab": provider("gitlab") });
        config["auth.oauth.providers.acme"]["issuerUrl"] = "https://acme.test".into();
        config["auth.oauth.providers.apple"]["appleTeamId"] = "TEAM".into();
        merge_override(deps, &actor, ConfigLevel::Environment, &config.to_string()).await.unwrap();
        let shown = current_project(deps, &actor).await.unwrap().config;
        let ids: Vec<_> = shown.oauth_providers.iter().map(|shown| shown.provider.id.as_str()).collect();
        assert_eq!((ids, shown.enabled_oauth_providers.len()), (vec!["apple", "gitlab"], 3));

        // As a dashboard does that reads, takes one away, and writes.
        let written = shown.oauth_providers.into_iter().map(|shown| shown.provider).filter(|shown| shown.id == "apple");
        let config = ConfigChange { oauth_providers: Some(written.collect()), ..ConfigChange::default() };
        update_project(deps, &actor, ProjectChange { config, ..ProjectChange::default() }).await.unwrap();
        let config = crate::projects::config(deps, &project.id).await.unwrap();
        let kept = &config.auth.oauth.providers;
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["acme", "apple"]);
        let acme = &kept["acme"];
        let secret = acme.client_secret.as_ref().map(secrecy::ExposeSecret::expose_secret);
        assert_eq!((secret, acme.issuer_url.as_deref()), (Some("hunter2"), Some("https://acme.test")));
        assert!(acme.allow_sign_in && !acme.allow_connected_accounts && !acme.is_shared);
        assert_eq!(kept["apple"].apple_team_id.as_deref(), Some("TEAM"));
    })
    .await;
}

#[tokio::test]
async fn values_that_do_not_fit_change_nothing_and_are_all_named() {
    on_each_database(|bench| async move {
        let (_, project) = owned(&bench).await;
        let (deps, actor) = (&bench.deps, admin(&project.id));
        let config = ConfigChange {
            domains: Some(vec![Domain { domain: "ftp://x".to_owned(), handler_path: "handler".to_owned() }]),
            oauth_providers: Some(vec![OAuthProviderSettings {
                id: "myspace".to_owned(),
                kind: Sharing::Standard,
                client_id: None,
                client_secret: None,
                facebook_config_id: None,
                microsoft_tenant_id: None,
                apple_bundle_ids: None,
            }]),
            user_default_permissions: Some(vec![IdOnly { id: "No.Good".to_owned() }]),
            ..ConfigChange::default()
        };
        let change = ProjectChange { onboarding_status: Some("done".to_owned()), config, ..ProjectChange::default() };
        let error = update_project(deps, &actor, change).await.unwrap_err();
        assert!(error.is(Code::SchemaError));
        let message = error.failure().unwrap().message.clone();
        for field in [
            "onboarding_status",
            "config.domains[0].domain",
            "config.domains[0].handler_path",
            "config.oauth_providers[0].id",
            "config.oauth_providers[0].client_id",
            "config.oauth_providers[0].client_secret",
            "config.user_default_permissions",
        ] {
            assert!(message.contains(field), "{field} in {message}");
        }
        let theme = ConfigChange {
            sign_up_enabled: Some(false),
            email_theme: Some("11111111-1111-4111-8111-111111111111".to_owned()),
            ..ConfigChange::default()
        };
        let change = ProjectChange { display_name: Some("No".to_owned()), config: theme, ..ProjectChange::default() };
        assert!(update_project(deps, &actor, change).await.unwrap_err().is(Code::BadRequest));
        assert_eq!(current_project(deps, &actor).await.unwrap(), project);
        let server = Actor::new(project.id.clone(), Level::Server, None);
        assert!(update_project(deps, &server, ProjectChange::default()).await.unwrap_err().is(Code::Forbidden));
        assert!(current_project(deps, &server).await.unwrap_err().is(Code::Forbidden));
        assert!(delete_project(deps, &server).await.unwrap_err().is(Code::Forbidden));
    })
    .await;
}

#[tokio::test]
async fn a_deleted_project_is_gone_at_once_and_its_rows_soon() {
    on_each_database(|bench| async move {
        let (owner, project) = owned(&bench).await;
        let (deps, actor) = (&bench.deps, admin(&project.id));
        for _ in 0..30 {
            let server = Actor::new(project.id.clone(), Level::Server, None);
            users::create(deps, &server, CreateUser::default()).await.unwrap();
        }
        let keys = create_key_set(deps, &actor, NewKeySet::lasting(deps, "all")).await.unwrap();
        assert!(lookup(deps, &project.id).await.unwrap().is_some());

        delete_project(deps, &actor).await.unwrap();
        assert!(lookup(deps, &project.id).await.unwrap().is_none());
        assert_eq!(owned_projects(deps, &owner).await.unwrap(), []);
        for error in [
            current_project(deps, &actor).await.unwrap_err(),
            update_project(deps, &actor, ProjectChange::default()).await.unwrap_err(),
            delete_project(deps, &actor).await.unwrap_err(),
            update_key_set(deps, &actor, keys.key_set.id, KeySetChange::default()).await.unwrap_err(),
            client_project(deps, &actor).await.unwrap_err(),
            config(deps, &project.id).await.unwrap_err(),
        ] {
            assert!(error.is(Code::CurrentProjectNotFound), "{error}");
        }

        let job = jobs::PurgeProject { project_id: project.id.clone() };
        let mut steps = 1;
        while purge_step(deps, &job).await.unwrap() == Purged::More {
            steps += 1;
            assert!(steps < 100);
        }
        assert!(steps > 2, "a few rows at a time");
        let left = postern_entity::user::Entity::find().all(deps.db.read()).await.unwrap();
        assert!(left.iter().all(|user| user.project_id != project.id));
        let row = postern_entity::project::Entity::find_by_id(project.id.clone()).one(deps.db.read()).await.unwrap();
        assert!(row.is_none());
        assert_eq!(purge_step(deps, &job).await.unwrap(), Purged::Everything);
    })
    .await;
}

#[tokio::test]
async fn internal_and_projects_that_live_are_not_removed() {
    on_each_database(|bench| async move {
        let (_, project) = owned(&bench).await;
        let deps = &bench.deps;
        assert!(delete_project(deps, &admin(&ProjectId::internal())).await.unwrap_err().is(Code::BadRequest));
        let job = jobs::PurgeProject { project_id: project.id.clone() };
        assert_eq!(purge_step(deps, &job).await.unwrap(), Purged::Everything);
        assert!(lookup(deps, &project.id).await.unwrap().is_some());
    })
    .await;
}
