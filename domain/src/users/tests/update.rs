use postern_entity::session;
use sea_orm::{EntityTrait, IntoActiveModel};
use serde_json::json;

use super::{code, kinds, last_event, make, named, with_email};
use crate::{
    Code, ProjectId, SessionId, TeamId, UserId,
    patch::Patch,
    signal::Signal,
    teams::{self, CreateTeam},
    testing::{START, TestBench, client, on_each_database, server, stranger},
    users::{
        self, Changes, CreateUser, RestrictedReason, RiskScores, UpdateOwnUser, UpdateUser, User, apply_in, update,
        update_own,
    },
};

fn set<T>(value: impl Into<T>) -> Patch<T> {
    Patch::Set(value.into())
}

async fn change(bench: &TestBench, user: &User, input: UpdateUser) -> User {
    update(&bench.deps, &server(&user.project_id), user.id, input).await.unwrap()
}

async fn change_code(bench: &TestBench, user: &User, input: UpdateUser) -> Code {
    code(update(&bench.deps, &server(&user.project_id), user.id, input).await)
}

/// A session of the user, as far as its row.
async fn insert_session(bench: &TestBench, project_id: &ProjectId, user_id: UserId) {
    let row = session::Model {
        id: SessionId::random(),
        project_id: project_id.clone(),
        user_id,
        token_hash: SessionId::random().0.as_bytes().to_vec(),
        created_at: START,
        last_used_at: START,
        expires_at: START.plus_seconds(60),
        is_impersonation: false,
        last_used_ip: None,
        last_used_user_agent: None,
        last_used_country: None,
        network: None,
    };
    bench
        .deps
        .db
        .write(|tx| {
            let insert = session::Entity::insert(row.clone().into_active_model());
            async move { Ok(insert.exec_without_returning(&*tx).await?) }
        })
        .await
        .unwrap();
}

async fn sessions(bench: &TestBench) -> usize {
    session::Entity::find().all(bench.deps.db.read()).await.unwrap().len()
}

#[tokio::test]
async fn every_field_of_a_server_changes_and_what_is_not_mentioned_stays() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let user = make(&bench, &project_id, named("Ada")).await;
        let all = UpdateUser {
            display_name: set("Ünal"),
            primary_email: set("U@example.com"),
            primary_email_verified: Some(true),
            primary_email_auth_enabled: Some(true),
            profile_image_url: set("http://example.com/u.png"),
            client_metadata: Some(json!({ "c": 1 })),
            client_read_only_metadata: Some(json!([true])),
            server_metadata: Some(json!(7)),
            otp_auth_enabled: Some(false),
            passkey_auth_enabled: Some(false),
            totp_secret_base64: set("AAEC"),
            restricted_by_admin: Some(true),
            restricted_by_admin_reason: set("r"),
            restricted_by_admin_private_details: set("d"),
            country_code: set("fr"),
            risk_scores: Some(RiskScores { bot: 100, free_trial_abuse: 3 }),
            is_anonymous: Some(false),
            ..UpdateUser::default()
        };
        let changed = change(&bench, &user, all).await;
        let email = users::PrimaryEmail { address: "u@example.com".to_owned(), is_verified: true, used_for_auth: true };
        let expected = User {
            display_name: Some("Ünal".to_owned()),
            primary_email: Some(email),
            profile_image_url: Some("http://example.com/u.png".to_owned()),
            client_metadata: json!({ "c": 1 }),
            client_read_only_metadata: json!([true]),
            server_metadata: json!(7),
            requires_totp_mfa: true,
            restricted_by_admin: true,
            restricted_reason: Some(RestrictedReason::RestrictedByAdministrator),
            restricted_by_admin_reason: Some("r".to_owned()),
            restricted_by_admin_private_details: Some("d".to_owned()),
            country_code: Some("FR".to_owned()),
            risk_scores: RiskScores { bot: 100, free_trial_abuse: 3 },
            ..user.clone()
        };
        assert_eq!(changed, expected);
        assert_eq!(change(&bench, &user, UpdateUser::default()).await, expected);
        let cleared = UpdateUser {
            display_name: set(""),
            primary_email: Patch::Clear,
            profile_image_url: Patch::Clear,
            client_metadata: Some(json!(null)),
            client_read_only_metadata: Some(json!(null)),
            server_metadata: Some(json!(null)),
            totp_secret_base64: Patch::Clear,
            restricted_by_admin: Some(false),
            country_code: Patch::Clear,
            risk_scores: Some(RiskScores::default()),
            ..UpdateUser::default()
        };
        assert_eq!(change(&bench, &user, cleared).await, User { display_name: None, ..user });
    })
    .await;
}

#[tokio::test]
async fn every_change_is_told_even_an_empty_one() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let user = make(&bench, &project_id, named("Ada")).await;
        change(&bench, &user, UpdateUser::default()).await;
        change(&bench, &user, UpdateUser { display_name: set("Eve"), ..UpdateUser::default() }).await;
        assert_eq!(kinds(&bench, &project_id).await, ["user.created", "user.updated", "user.updated"]);
        assert_eq!(last_event(&bench, &project_id).await.1["display_name"], "Eve");
    })
    .await;
}

#[tokio::test]
async fn restriction_texts_belong_to_a_restriction_in_the_same_request() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let user = make(&bench, &project_id, CreateUser::default()).await;
        let restricted = UpdateUser {
            restricted_by_admin: Some(true),
            restricted_by_admin_reason: set("r"),
            restricted_by_admin_private_details: set("d"),
            ..UpdateUser::default()
        };
        change(&bench, &user, restricted.clone()).await;
        // Refused even though the user is restricted already.
        for text in ["new", ""] {
            let alone = UpdateUser { restricted_by_admin_reason: set(text), ..UpdateUser::default() };
            assert_eq!(change_code(&bench, &user, alone).await, Code::SchemaError);
        }
        let again = UpdateUser { restricted_by_admin: Some(true), ..UpdateUser::default() };
        let kept = change(&bench, &user, again).await;
        assert_eq!(kept.restricted_by_admin_reason.as_deref(), Some("r"));
        let emptied = UpdateUser { restricted_by_admin_reason: set(""), ..restricted };
        assert_eq!(change(&bench, &user, emptied).await.restricted_by_admin_reason, None);
        let without_flag = UpdateUser { restricted_by_admin_private_details: Patch::Clear, ..UpdateUser::default() };
        let user = change(&bench, &user, without_flag).await;
        assert_eq!((user.restricted_by_admin, user.restricted_by_admin_private_details), (true, None));
    })
    .await;
}

#[tokio::test]
async fn an_anonymous_user_becomes_a_regular_one_and_its_unnamed_teams_get_a_name() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        bench.set_config(&project_id, json!({ "teams.createPersonalTeamOnSignUp": true })).await;
        let anonymous = CreateUser { is_anonymous: Some(true), ..CreateUser::default() };
        let user = make(&bench, &project_id, anonymous).await;
        let other = make(&bench, &project_id, CreateUser::default()).await;
        bench.clock.advance_seconds(60);
        let upgrade = UpdateUser { is_anonymous: Some(false), display_name: set("Ada"), ..UpdateUser::default() };
        let regular = change(&bench, &user, upgrade.clone()).await;
        assert_eq!((regular.id, regular.is_anonymous, regular.restricted_reason), (user.id, false, None));
        assert_eq!(regular.signed_up_at, START.plus_seconds(60));
        assert_eq!(regular.selected_team.unwrap().display_name, "Ada's Team");
        let others = users::find(&bench.deps, &project_id, other.id).await.unwrap().unwrap();
        assert_eq!(others.selected_team.unwrap().display_name, "Personal Team");
        // For a regular user it means nothing.
        bench.clock.advance_seconds(60);
        assert_eq!(change(&bench, &user, upgrade).await.signed_up_at, START.plus_seconds(60));
        let back = UpdateUser { is_anonymous: Some(true), ..UpdateUser::default() };
        assert_eq!(change_code(&bench, &user, back).await, Code::SchemaError);
        let updates: Vec<_> =
            kinds(&bench, &project_id).await.into_iter().filter(|kind| kind.contains("updated")).collect();
        assert_eq!(updates, ["user.updated", "user.updated"]);
    })
    .await;
}

#[tokio::test]
async fn a_first_password_needs_the_projects_leave_and_an_address() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let user = make(&bench, &project_id, CreateUser::default()).await;
        let password = UpdateUser { password: set("correct horse"), ..UpdateUser::default() };
        assert_eq!(change_code(&bench, &user, password.clone()).await, Code::BadRequest);
        bench.set_config(&project_id, json!({ "auth.password.allowSignIn": true })).await;
        assert_eq!(change_code(&bench, &user, password.clone()).await, Code::BadRequest);
        let with_address = UpdateUser { primary_email: set("a@example.com"), ..password.clone() };
        assert!(change(&bench, &user, with_address).await.has_password);
        bench.set_config(&project_id, json!({ "auth.password.allowSignIn": false })).await;
        // It is there already, so it can be replaced and removed.
        assert!(change(&bench, &user, password).await.has_password);
        let removed = UpdateUser { password: Patch::Clear, ..UpdateUser::default() };
        assert!(!change(&bench, &user, removed).await.has_password);
    })
    .await;
}

#[tokio::test]
async fn whatever_happens_to_the_password_ends_the_users_sessions_and_nobody_elses() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        bench.set_config(&project_id, json!({ "auth.password.allowSignIn": true })).await;
        let user = make(&bench, &project_id, with_email("a@example.com")).await;
        let other = make(&bench, &project_id, CreateUser::default()).await;
        insert_session(&bench, &project_id, other.id).await;
        let bcrypt = bcrypt::hash("imported", 4).unwrap();
        let inputs = [
            UpdateUser { password: set("correct horse"), ..UpdateUser::default() },
            UpdateUser { password_hash: Some(bcrypt.into()), ..UpdateUser::default() },
            UpdateUser { password: Patch::Clear, ..UpdateUser::default() },
            UpdateUser { password: Patch::Clear, ..UpdateUser::default() },
        ];
        for input in inputs {
            insert_session(&bench, &project_id, user.id).await;
            let mut signals = bench.deps.db.signals().subscribe();
            change(&bench, &user, input).await;
            assert_eq!(sessions(&bench).await, 1);
            let mut told = std::iter::from_fn(|| signals.try_next());
            assert!(told.any(|signal| signal == Signal::UserSignedOut { user_id: user.id }));
        }
        insert_session(&bench, &project_id, user.id).await;
        change(&bench, &user, UpdateUser { display_name: set("Ada"), ..UpdateUser::default() }).await;
        assert_eq!(sessions(&bench).await, 2);
    })
    .await;
}

#[tokio::test]
async fn signing_in_by_code_can_be_begun_only_where_the_project_lets_users() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let user = make(&bench, &project_id, CreateUser::default()).await;
        let on = UpdateUser { otp_auth_enabled: Some(true), ..UpdateUser::default() };
        assert_eq!(change_code(&bench, &user, on.clone()).await, Code::BadRequest);
        bench.set_config(&project_id, json!({ "auth.otp.allowSignIn": true })).await;
        assert!(change(&bench, &user, on.clone()).await.auth_with_email());
        bench.set_config(&project_id, json!({ "auth.otp.allowSignIn": false })).await;
        assert!(change(&bench, &user, on).await.otp_auth_enabled);
        let off = UpdateUser { otp_auth_enabled: Some(false), ..UpdateUser::default() };
        assert!(!change(&bench, &user, off).await.otp_auth_enabled);
        let passkey = UpdateUser { passkey_auth_enabled: Some(true), ..UpdateUser::default() };
        assert_eq!(change_code(&bench, &user, passkey).await, Code::BadRequest);
    })
    .await;
}

#[tokio::test]
async fn a_team_is_selected_by_its_members_only() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let server = server(&project_id);
        let user = make(&bench, &project_id, CreateUser::default()).await;
        let mut own = Vec::new();
        for name in ["one", "two"] {
            let team =
                CreateTeam { display_name: name.to_owned(), creator_user_id: Some(user.id), ..CreateTeam::default() };
            own.push(teams::create(&bench.deps, &server, team).await.unwrap());
        }
        let foreign = teams::create(&bench.deps, &server, CreateTeam::default()).await.unwrap();
        let select = |team_id: Patch<TeamId>| UpdateUser { selected_team_id: team_id, ..UpdateUser::default() };
        for team in &own {
            assert_eq!(change(&bench, &user, select(set(team.id))).await.selected_team.as_ref(), Some(team));
        }
        for id in [foreign.id, TeamId::random()] {
            let error = update(&bench.deps, &server, user.id, select(set(id))).await.unwrap_err();
            let failure = error.failure().unwrap();
            assert_eq!(failure.code, Code::TeamMembershipNotFound);
            assert_eq!(failure.details, Some(json!({ "team_id": id, "user_id": user.id })));
        }
        let still = users::find(&bench.deps, &project_id, user.id).await.unwrap().unwrap();
        assert_eq!(still.selected_team.as_ref(), own.last());
        assert_eq!(change(&bench, &user, select(Patch::Clear)).await.selected_team, None);
    })
    .await;
}

#[tokio::test]
async fn users_change_themselves_and_servers_anybody_of_their_project() {
    on_each_database(|bench| async move {
        let (project_id, other) = (bench.insert_project().await, bench.insert_project().await);
        let user = make(&bench, &project_id, with_email("a@example.com")).await;
        let own = UpdateOwnUser {
            display_name: set("Ada"),
            primary_email: set("b@example.com"),
            client_metadata: Some(json!(1)),
            ..UpdateOwnUser::default()
        };
        let changed = update_own(&bench.deps, &client(&project_id, user.id), own.clone()).await.unwrap();
        assert_eq!((changed.display_name.as_deref(), changed.primary_address()), (Some("Ada"), Some("b@example.com")));
        let picture = UpdateOwnUser { profile_image_url: set("https://example.com/a.png"), ..UpdateOwnUser::default() };
        assert_eq!(code(update_own(&bench.deps, &client(&project_id, user.id), picture).await), Code::BadRequest);

        let before = kinds(&bench, &project_id).await;
        let default = UpdateUser::default;
        assert_eq!(
            code(update_own(&bench.deps, &stranger(&project_id), own.clone()).await),
            Code::CannotGetOwnUserWithoutUser
        );
        let own_elsewhere = client(&other, user.id);
        assert_eq!(code(update_own(&bench.deps, &own_elsewhere, own).await), Code::UserNotFound);
        for (actor, expected) in [
            (stranger(&project_id), Code::Forbidden),
            (client(&project_id, user.id), Code::Forbidden),
            (server(&other), Code::UserNotFound),
        ] {
            assert_eq!(code(update(&bench.deps, &actor, user.id, default()).await), expected);
        }
        assert_eq!(
            code(update(&bench.deps, &server(&project_id), UserId::random(), default()).await),
            Code::UserNotFound
        );
        assert_eq!(users::find(&bench.deps, &project_id, user.id).await.unwrap().unwrap(), changed);
        assert_eq!(kinds(&bench, &project_id).await, before);
        assert_eq!(kinds(&bench, &other).await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_password_reset_needs_no_primary_address() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let user = make(&bench, &project_id, CreateUser::default()).await;
        let config = crate::projects::config(&bench.deps, &project_id).await.unwrap();
        let changes =
            Changes { password_hash: set(bench.deps.passwords.hash("new").await.unwrap()), ..Changes::default() };
        let (deps, project_id, config, changes) = (&bench.deps, &project_id, &config, &changes);
        let changed = deps
            .db
            .write(|tx| async move { apply_in(deps, &tx, config, project_id, user.id, changes).await })
            .await
            .unwrap();
        assert!(changed.has_password);
        assert_eq!(last_event(&bench, project_id).await.0, "user.updated");
    })
    .await;
}
