use sea_orm::EntityTrait;
use serde_json::json;

use super::{code, kinds, last_event, make, with_email};
use crate::{
    Code, UserId,
    signal::Signal,
    teams::{self, CreateTeam, ListTeams},
    testing::{client, on_each_database, server, stranger},
    users::{self, CreateUser, channels, delete, delete_own},
};

#[tokio::test]
async fn a_deleted_user_leaves_its_teams_and_nothing_else() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let server = server(&project_id);
        let user = make(&bench, &project_id, with_email("a@example.com")).await;
        let other = make(&bench, &project_id, with_email("b@example.com")).await;
        let mut team_ids = Vec::new();
        for _ in 0..2 {
            let input = CreateTeam { creator_user_id: Some(user.id), ..CreateTeam::default() };
            team_ids.push(teams::create(&bench.deps, &server, input).await.unwrap().id);
            bench.clock.advance_seconds(1);
        }
        let mut signals = bench.deps.db.signals().subscribe();
        delete(&bench.deps, &server, user.id).await.unwrap();

        assert_eq!(users::find(&bench.deps, &project_id, user.id).await.unwrap(), None);
        let left = channels::list(&bench.deps, &server, None, None).await.unwrap();
        assert_eq!(left.iter().map(|channel| channel.user_id).collect::<Vec<_>>(), [other.id]);
        assert_eq!(teams::list(&bench.deps, &server, &ListTeams::default()).await.unwrap().teams.len(), 2);
        let of_user = ListTeams { user_id: Some(user.id), ..ListTeams::default() };
        assert_eq!(teams::list(&bench.deps, &server, &of_user).await.unwrap().teams, []);
        assert!(std::iter::from_fn(|| signals.try_next()).any(|s| s == Signal::UserSignedOut { user_id: user.id }));

        let events = bench.events(&project_id).await;
        let membership =
            |team_id| ("team_membership.deleted".to_owned(), json!({ "team_id": team_id, "user_id": user.id }));
        let teams: Vec<_> = team_ids.iter().map(|id| json!({ "id": id })).collect();
        let gone = ("user.deleted".to_owned(), json!({ "id": user.id, "teams": teams }));
        assert_eq!(events[events.len() - 3..], [membership(team_ids[0]), membership(team_ids[1]), gone]);

        // What the log holds of the user is going to be erased.
        let jobs = postern_entity::job::Entity::find().all(bench.deps.db.read()).await.unwrap();
        assert_eq!(jobs.iter().map(|job| job.kind.as_str()).collect::<Vec<_>>(), ["erase_user_events"]);

        // The address is free again.
        make(&bench, &project_id, with_email("a@example.com")).await;
        assert_eq!(code(delete(&bench.deps, &server, user.id).await), Code::UserNotFound);
    })
    .await;
}

#[tokio::test]
async fn users_delete_themselves_where_the_project_lets_them() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let user = make(&bench, &project_id, CreateUser::default()).await;
        let own = client(&project_id, user.id);
        assert_eq!(code(delete_own(&bench.deps, &own).await), Code::BadRequest);
        assert!(users::find(&bench.deps, &project_id, user.id).await.unwrap().is_some());
        bench.set_config(&project_id, json!({ "users.allowClientUserDeletion": true })).await;
        delete_own(&bench.deps, &own).await.unwrap();
        assert_eq!(last_event(&bench, &project_id).await.0, "user.deleted");
        assert_eq!(code(delete_own(&bench.deps, &own).await), Code::UserNotFound);
        assert_eq!(code(delete_own(&bench.deps, &stranger(&project_id)).await), Code::CannotGetOwnUserWithoutUser);
    })
    .await;
}

#[tokio::test]
async fn a_server_deletes_the_user_it_speaks_for_whatever_the_project_lets_users_do() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let user = make(&bench, &project_id, CreateUser::default()).await;
        let mut actor = client(&project_id, user.id);
        actor.level = crate::Level::Server;
        delete_own(&bench.deps, &actor).await.unwrap();
        assert_eq!(users::find(&bench.deps, &project_id, user.id).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn nobody_else_deletes_a_user() {
    on_each_database(|bench| async move {
        let (project_id, other) = (bench.insert_project().await, bench.insert_project().await);
        bench.set_config(&project_id, json!({ "users.allowClientUserDeletion": true })).await;
        let user = make(&bench, &project_id, CreateUser::default()).await;
        for (actor, expected) in [
            (stranger(&project_id), Code::Forbidden),
            (client(&project_id, UserId::random()), Code::Forbidden),
            (client(&project_id, user.id), Code::Forbidden),
            (server(&other), Code::UserNotFound),
        ] {
            assert_eq!(code(delete(&bench.deps, &actor, user.id).await), expected);
        }
        assert_eq!(code(delete_own(&bench.deps, &client(&other, user.id)).await), Code::BadRequest);
        assert!(users::find(&bench.deps, &project_id, user.id).await.unwrap().is_some());
        assert_eq!(kinds(&bench, &project_id).await, ["user.created"]);
    })
    .await;
}
