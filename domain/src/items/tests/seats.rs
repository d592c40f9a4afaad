//! Seats of teams of project `internal`.

use postern_entity::item_balance;
use sea_orm::EntityTrait;
use serde_json::json;

use super::{by, refusal, rows};
use crate::{
    Code, ProjectId, TeamId, UserId,
    items::{
        Customer, change,
        seats::{FREE_SEATS, ITEM_ID},
    },
    projects::{Seed, default_settings, seed},
    sessions::{
        ClientInfo, LinkTarget,
        test_scene::{CALLBACK, Scene},
    },
    teams::{
        self, CreateTeam, NewTeam,
        invitations::{accept, accept_by_code, send},
    },
    testing::{TestBench, client, on_each_database, server},
    users::{self, CreateUser},
};

const GUEST: &str = "guest@example.com";

async fn scene(bench: TestBench, counts_seats: bool) -> Scene {
    let project = bench.insert_project_with_id(ProjectId::internal()).await;
    let mut config = default_settings();
    if counts_seats {
        config.insert(format!("payments.items.{ITEM_ID}"), json!({ "customerType": "team" }));
    }
    Scene::with(bench, project, config.into()).await
}

async fn member(scene: &Scene, email: &str) -> UserId {
    let input = CreateUser {
        primary_email: Some(email.to_owned()),
        primary_email_verified: Some(true),
        ..CreateUser::default()
    };
    users::create(scene.deps(), &server(&scene.project), input).await.unwrap().id
}

async fn team(scene: &Scene, creator: UserId) -> TeamId {
    let input = CreateTeam { creator_user_id: Some(creator), ..CreateTeam::default() };
    teams::create(scene.deps(), &server(&scene.project), input).await.unwrap().id
}

async fn invite(scene: &Scene, team: TeamId, email: &str) -> crate::TeamInvitationId {
    let (actor, target) = (server(&scene.project), LinkTarget::Callback(CALLBACK.to_owned()));
    send(scene.deps(), &actor, team, email, &target, &ClientInfo::default()).await.unwrap().id
}

#[tokio::test]
async fn a_full_team_refuses_whoever_brings_a_code_and_the_code_stays_good() {
    on_each_database(|bench| async move {
        let scene = scene(bench, true).await;
        let (host, guest) = (member(&scene, "host@example.com").await, member(&scene, GUEST).await);
        let team = team(&scene, host).await;
        let id = invite(&scene, team, GUEST).await;
        let code = scene.last_code().await;
        let (deps, own) = (scene.deps(), client(&scene.project, guest));
        let expected = json!({ "item_id": ITEM_ID, "customer_id": team, "quantity": -1 });
        let expected = (Code::ItemQuantityInsufficientAmount, expected);
        for _ in 0..2 {
            assert_eq!(refusal(accept_by_code(deps, &own, &code).await), expected);
            assert_eq!(refusal(accept(deps, &own, id, guest).await), expected);
        }
        assert!(!teams::is_member(deps, &scene.project, team, guest).await.unwrap());
        let more = change(deps, &server(&scene.project), &Customer::team(team), ITEM_ID, by(1)).await.unwrap();
        assert_eq!(more.quantity, FREE_SEATS + 1);
        accept_by_code(deps, &own, &code).await.unwrap();
        // Being a member already needs no seat.
        invite(&scene, team, GUEST).await;
        accept_by_code(deps, &own, &scene.last_code().await).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn of_two_that_race_for_one_seat_one_gets_it() {
    on_each_database(|bench| async move {
        let scene = scene(bench, true).await;
        let host = member(&scene, "host@example.com").await;
        let team = team(&scene, host).await;
        change(scene.deps(), &server(&scene.project), &Customer::team(team), ITEM_ID, by(1)).await.unwrap();
        let mut guests = Vec::new();
        for email in ["one@example.com", "two@example.com", "three@example.com"] {
            guests.push((member(&scene, email).await, invite(&scene, team, email).await));
        }
        let tries = guests.iter().map(|(guest, id)| {
            let own = client(&scene.project, *guest);
            let scene = &scene;
            async move { accept(scene.deps(), &own, *id, *guest).await }
        });
        let outcomes = futures::future::join_all(tries).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    })
    .await;
}

#[tokio::test]
async fn teams_from_before_seats_and_projects_that_count_none_are_not_limited() {
    on_each_database(|bench| async move {
        let scene = scene(bench, false).await;
        let (host, guest) = (member(&scene, "host@example.com").await, member(&scene, GUEST).await);
        let team = team(&scene, host).await;
        assert_eq!(rows(&scene.bench).await, [1, 1, 1, 1]);
        invite(&scene, team, GUEST).await;
        accept_by_code(scene.deps(), &client(&scene.project, guest), &scene.last_code().await).await.unwrap();
    })
    .await;
    on_each_database(|bench| async move {
        let scene = scene(bench, true).await;
        let (host, guest) = (member(&scene, "host@example.com").await, member(&scene, GUEST).await);
        let team = team(&scene, host).await;
        // As it was before there were seats.
        let forget = |tx: crate::db::Tx| async move { Ok(item_balance::Entity::delete_many().exec(&*tx).await?) };
        scene.deps().db.write(forget).await.unwrap();
        invite(&scene, team, GUEST).await;
        accept_by_code(scene.deps(), &client(&scene.project, guest), &scene.last_code().await).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_new_installation_counts_seats_and_every_team_of_it_has_one() {
    on_each_database(|bench| async move {
        seed(&bench.deps, &Seed::default()).await.unwrap();
        let (deps, internal) = (&bench.deps, ProjectId::internal());
        let owners = crate::projects::lookup(deps, &internal).await.unwrap().unwrap().owner_team_id.unwrap();
        let actor = server(&internal);
        for team in [owners, {
            let new = NewTeam::default();
            let (internal, new) = (&internal, &new);
            let made =
                deps.db.write(|tx| async move { teams::create_empty_in(deps, &tx, internal, new.clone()).await });
            made.await.unwrap().id
        }] {
            let seats = crate::items::get(deps, &actor, &Customer::team(team), ITEM_ID).await.unwrap();
            assert_eq!((seats.quantity, seats.display_name.as_str()), (FREE_SEATS, "Dashboard seats"));
        }
    })
    .await;
}
