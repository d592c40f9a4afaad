//! Invitations on both databases.

use serde_json::{Value, json};

use super::{accept, accept_by_code, get, invited_team, of_recipient, of_team, revoke, send};
use crate::{
    Actor, Code, Result, TeamId, TeamInvitationId, UserId, permissions,
    projects::default_settings,
    sessions::{
        ClientInfo, CodeKind, LinkTarget, OneTimeCode, check_code,
        test_scene::{CALLBACK, Scene, details, refusal},
    },
    teams::{self, CreateTeam, Membership},
    testing::{TestBench, TestDatabase, client, on_each_database, server, stranger},
    users::{
        self, CreateUser, UpdateUser,
        channels::{self, CreateChannel},
    },
};

const GUEST: &str = "guest@example.com";

/// A project with the permissions that every new one has.
pub(super) async fn scene(bench: TestBench) -> Scene {
    let project = bench.insert_project().await;
    Scene::with(bench, project, default_settings().into()).await
}

impl Scene {
    pub(super) async fn member(&self, email: &str, is_verified: bool) -> UserId {
        let input = CreateUser {
            primary_email: Some(email.to_owned()),
            primary_email_verified: Some(is_verified),
            ..CreateUser::default()
        };
        users::create(self.deps(), &server(&self.project), input).await.unwrap().id
    }

    pub(super) async fn team(&self, creator: UserId) -> TeamId {
        let input =
            CreateTeam { display_name: "Crew".to_owned(), creator_user_id: Some(creator), ..CreateTeam::default() };
        teams::create(self.deps(), &server(&self.project), input).await.unwrap().id
    }

    pub(super) async fn invite(&self, actor: &Actor, team: TeamId, email: &str) -> Result<super::Invitation> {
        let target = LinkTarget::Callback(CALLBACK.to_owned());
        send(self.deps(), actor, team, email, &target, &ClientInfo::default()).await
    }

    /// Adds an address to a user, which has not proven to hold it.
    async fn also(&self, user_id: UserId, address: &str) {
        let input = CreateChannel {
            user_id,
            value: address.to_owned(),
            used_for_auth: false,
            is_primary: None,
            is_verified: None,
        };
        channels::create(self.deps(), &server(&self.project), input).await.unwrap();
    }

    async fn of_invitations(&self) -> Vec<(String, Value)> {
        let events = self.bench.events(&self.project).await;
        events.into_iter().filter(|(kind, _)| kind.starts_with("team_invitation") || kind.contains("ship")).collect()
    }
}

#[tokio::test]
async fn whoever_brings_the_code_joins_once() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let (deps, project) = (scene.deps(), &scene.project);
        let (host, guest) =
            (scene.member("host@example.com", true).await, scene.member("other@example.com", true).await);
        let team = scene.team(host).await;
        let sent = scene.invite(&client(project, host), team, " Guest@Example.com ").await.unwrap();
        assert_eq!((sent.recipient_email.as_str(), sent.team_display_name.as_str()), (GUEST, "Crew"));
        let (to, link) = scene.links().await.pop().unwrap();
        assert_eq!((to.as_str(), link.host_str()), (GUEST, Some("app.example.com")));
        let code = &scene.last_code().await;
        check_code(deps, project, CodeKind::TeamInvitation, code).await.unwrap();
        assert_eq!(refusal(invited_team(deps, &stranger(project), code).await), Code::UserAuthenticationRequired);
        assert_eq!(invited_team(deps, &client(project, guest), code).await.unwrap().id, team);

        // Not with another address, and the code stays good; then with the invited one, which only the code proves.
        for _ in 0..2 {
            let mismatch = accept_by_code(deps, &client(project, guest), code).await;
            assert_eq!(refusal(mismatch), Code::TeamInvitationEmailMismatch);
        }
        scene.also(guest, GUEST).await;
        let joined = accept_by_code(deps, &client(project, guest), code).await.unwrap();
        assert_eq!(joined, Membership { team_id: team, user_id: guest });
        assert_eq!(
            scene.of_invitations().await,
            [
                ("team_invitation.created".to_owned(), json!({ "id": sent.id, "team_id": team })),
                ("team_invitation.accepted".to_owned(), json!({ "id": sent.id, "team_id": team, "user_id": guest })),
                ("team_membership.created".to_owned(), json!({ "team_id": team, "user_id": guest })),
            ]
        );
        let held = permissions::held_in_team(deps, deps.db.read(), project, team, guest).await.unwrap().unwrap();
        assert!(held.contains("team_member") && held.contains("$read_members"));
        let again = accept_by_code(deps, &client(project, host), code).await;
        assert_eq!(refusal(again), Code::VerificationCodeAlreadyUsed);
        assert_eq!(of_team(deps, &server(project), team).await.unwrap(), []);

        // A member who accepts another one stays what it is.
        scene.invite(&server(project), team, GUEST).await.unwrap();
        accept_by_code(deps, &client(project, guest), &scene.last_code().await).await.unwrap();
        assert_eq!(scene.of_invitations().await.len(), 5);
    })
    .await;
}

#[tokio::test]
async fn who_may_not_accept_has_used_the_code_up() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let (deps, project) = (scene.deps(), &scene.project);
        let (host, guest) = (scene.member("host@example.com", true).await, scene.member(GUEST, true).await);
        let team = scene.team(host).await;
        let change = UpdateUser { restricted_by_admin: Some(true), ..UpdateUser::default() };
        users::update(deps, &server(project), guest, change).await.unwrap();
        for (actor, refused) in [
            (stranger(project), Code::UserAuthenticationRequired),
            (client(project, guest), Code::TeamInvitationRestrictedUserNotAllowed),
        ] {
            scene.invite(&server(project), team, GUEST).await.unwrap();
            let code = &scene.last_code().await;
            assert_eq!(refusal(invited_team(deps, &actor, code).await), refused);
            assert_eq!(refusal(accept_by_code(deps, &actor, code).await), refused);
            assert_eq!(refusal(accept_by_code(deps, &actor, code).await), Code::VerificationCodeAlreadyUsed);
        }
        let id = scene.invite(&server(project), team, GUEST).await.unwrap().id;
        let reason = details(accept(deps, &client(project, guest), id, guest).await);
        assert_eq!(reason, json!({ "restricted_reason": { "type": "restricted_by_administrator" } }));
        assert!(!teams::is_member(deps, project, team, guest).await.unwrap());
        // A server decides for itself.
        accept(deps, &server(project), id, guest).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_invitation_to_a_verified_address_is_found_and_accepted_by_its_id() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let (deps, project) = (scene.deps(), &scene.project);
        let (host, guest) = (scene.member("host@example.com", true).await, scene.member(GUEST, false).await);
        let (team, other) = (scene.team(host).await, scene.team(host).await);
        let first = scene.invite(&server(project), team, GUEST).await.unwrap();
        scene.bench.clock.advance_seconds(1);
        let second = scene.invite(&server(project), other, "GUEST@example.com").await.unwrap();
        let own = &client(project, guest);
        assert_eq!(of_recipient(deps, own, guest).await.unwrap(), []);
        assert_eq!(refusal(accept(deps, own, first.id, guest).await), Code::VerificationCodeNotFound);
        let channel = channels::list(deps, own, Some(guest), None).await.unwrap().remove(0);
        let verified = channels::UpdateChannel { is_verified: Some(true), ..channels::UpdateChannel::default() };
        channels::update(deps, &server(project), guest, channel.id, verified).await.unwrap();
        assert_eq!(of_recipient(deps, own, guest).await.unwrap(), [second.clone(), first.clone()]);
        assert_eq!(get(deps, own, first.id).await.unwrap(), first);
        for (actor, user, refused) in [
            (own.clone(), host, Code::CannotGetOwnUserWithoutUser),
            (client(project, host), host, Code::VerificationCodeNotFound),
            (stranger(project), guest, Code::CannotGetOwnUserWithoutUser),
            (server(project), UserId::random(), Code::UserNotFound),
        ] {
            assert_eq!(refusal(accept(deps, &actor, first.id, user).await), refused);
        }
        accept(deps, own, first.id, guest).await.unwrap();
        assert!(teams::is_member(deps, project, team, guest).await.unwrap());
        assert_eq!(refusal(accept(deps, own, first.id, guest).await), Code::VerificationCodeNotFound);
        scene.bench.clock.advance_seconds(7 * 24 * 60 * 60);
        assert_eq!(of_recipient(deps, own, guest).await.unwrap(), []);
        assert_eq!(refusal(accept(deps, own, second.id, guest).await), Code::VerificationCodeNotFound);
        assert_eq!(refusal(accept_by_code(deps, own, &scene.last_code().await).await), Code::VerificationCodeExpired);
    })
    .await;
}

#[tokio::test]
async fn permissions_decide_who_invites_lists_and_takes_back() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let (deps, project) = (scene.deps(), &scene.project);
        let (host, guest) = (scene.member("host@example.com", true).await, scene.member("b@example.com", true).await);
        let (team, elsewhere) = (scene.team(host).await, scene.team(host).await);
        teams::add_member(deps, &server(project), team, guest).await.unwrap();
        permissions::revoke_in_team(deps, &server(project), team, guest, "team_member").await.unwrap();
        let (actor, owner) = (&client(project, guest), &client(project, host));
        let missing = |outcome: Value| outcome["permission_id"].as_str().unwrap().to_owned();
        assert_eq!(missing(details(scene.invite(actor, team, GUEST).await)), "$invite_members");
        assert_eq!(missing(details(of_team(deps, actor, team).await)), "$read_members");
        permissions::grant_in_team(deps, &server(project), team, guest, "$read_members").await.unwrap();
        assert_eq!(missing(details(of_team(deps, actor, team).await)), "$invite_members");
        permissions::grant_in_team(deps, &server(project), team, guest, "$invite_members").await.unwrap();
        let sent = scene.invite(actor, team, GUEST).await.unwrap();
        assert_eq!(of_team(deps, actor, team).await.unwrap(), std::slice::from_ref(&sent));
        assert_eq!(missing(details(revoke(deps, actor, team, sent.id).await)), "$remove_members");
        assert_eq!(refusal(scene.invite(actor, elsewhere, GUEST).await), Code::TeamMembershipNotFound);
        assert_eq!(refusal(scene.invite(&stranger(project), team, GUEST).await), Code::UserAuthenticationRequired);
        assert_eq!(refusal(of_team(deps, &stranger(project), team).await), Code::CannotGetOwnUserWithoutUser);
        assert_eq!(refusal(scene.invite(&server(project), TeamId::random(), GUEST).await), Code::TeamNotFound);
        assert_eq!(refusal(scene.invite(owner, team, "nobody").await), Code::SchemaError);
        let info = &ClientInfo::default();
        let evil = LinkTarget::Callback("https://evil.example".to_owned());
        let elsewhere_url = send(deps, owner, team, GUEST, &evil, info).await;
        assert_eq!(refusal(elsewhere_url), Code::RedirectUrlNotWhitelisted);

        for (team, id) in [(elsewhere, sent.id), (team, TeamInvitationId::random())] {
            assert_eq!(refusal(revoke(deps, owner, team, id).await), Code::VerificationCodeNotFound);
        }
        revoke(deps, owner, team, sent.id).await.unwrap();
        assert_eq!(of_team(deps, owner, team).await.unwrap(), []);
        let code: OneTimeCode = scene.last_code().await;
        assert_eq!(refusal(accept_by_code(deps, actor, &code).await), Code::VerificationCodeAlreadyUsed);

        // A team takes its invitations along.
        scene.invite(owner, team, GUEST).await.unwrap();
        teams::delete(deps, owner, team).await.unwrap();
        let code = scene.last_code().await;
        assert_eq!(refusal(accept_by_code(deps, actor, &code).await), Code::VerificationCodeNotFound);
    })
    .await;
}

#[tokio::test]
async fn of_many_who_bring_one_code_one_joins() {
    for database in TestDatabase::each().await {
        let scene = scene(TestBench::on(&database).await).await;
        let (deps, project) = (scene.deps(), &scene.project);
        let team = scene.team(scene.member("host@example.com", true).await).await;
        let sent = scene.invite(&server(project), team, "user0@example.com").await.unwrap();
        let code = &scene.last_code().await;
        let mut guests = Vec::new();
        for i in 0..20 {
            guests.push(scene.member(&format!("user{i}@example.com"), true).await);
            if i > 0 {
                scene.also(guests[i], "user0@example.com").await;
            }
        }
        let by_code =
            guests.iter().map(|guest| async move { accept_by_code(deps, &client(project, *guest), code).await });
        let first = &client(project, guests[0]);
        let (by_code, by_id) =
            tokio::join!(futures::future::join_all(by_code), accept(deps, first, sent.id, guests[0]));
        let joined = by_code.iter().filter(|outcome| outcome.is_ok()).count() + usize::from(by_id.is_ok());
        assert_eq!(joined, 1);
        let members = teams::profiles(deps, &server(project), Some(team), None).await.unwrap();
        assert_eq!(members.len(), 2);
    }
}
