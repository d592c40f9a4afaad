use futures::future::join_all;

use super::{code, kinds, make, with_email};
use crate::{
    Code,
    patch::Patch,
    testing::{client, on_each_database, server},
    users::{
        CreateUser, UpdateUser,
        channels::{self, CreateChannel, UpdateChannel},
        create, update,
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_users_with_one_address_exactly_one_is_made() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let server = &server(&project_id);
        let tries = (0..100).map(|_| {
            let deps = bench.deps.clone();
            let server = server.clone();
            tokio::spawn(async move { create(&deps, &server, with_email("race@example.com")).await })
        });
        let outcomes: Vec<_> = join_all(tries).await.into_iter().map(Result::unwrap).collect();
        let (made, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!((made.len(), refused.len()), (1, 99));
        assert!(refused.into_iter().all(|outcome| code(outcome) == Code::UserEmailAlreadyExists));
        assert_eq!(kinds(&bench, &project_id).await, ["user.created"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_users_taking_one_address_by_every_way_exactly_one_gets_it() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let mut tries = Vec::new();
        for i in 0..30 {
            let user = make(&bench, &project_id, with_email(&format!("{i}@example.com"))).await;
            let (deps, project_id) = (bench.deps.clone(), project_id.clone());
            tries.push(tokio::spawn(async move {
                let value = "race@example.com".to_owned();
                if i % 2 == 0 {
                    let input = UpdateUser { primary_email: Patch::Set(value), ..UpdateUser::default() };
                    code_of(update(&deps, &server(&project_id), user.id, input).await)
                } else {
                    let actor = client(&project_id, user.id);
                    let input = CreateChannel {
                        user_id: user.id,
                        value,
                        used_for_auth: true,
                        is_primary: None,
                        is_verified: None,
                    };
                    code_of(channels::create(&deps, &actor, input).await)
                }
            }));
        }
        let outcomes: Vec<_> = join_all(tries).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(outcomes.iter().filter(|code| code.is_none()).count(), 1, "{outcomes:?}");
        let expected = [Code::UserEmailAlreadyExists, Code::ContactChannelAlreadyUsedForAuthBySomeoneElse];
        assert!(outcomes.into_iter().flatten().all(|code| expected.contains(&code)));
    })
    .await;
}

fn code_of<T: std::fmt::Debug>(outcome: crate::Result<T>) -> Option<Code> {
    if outcome.is_ok() { None } else { Some(code(outcome)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_of_one_user_follow_each_other_and_leave_one_primary_address() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let server = server(&project_id);
        let user = make(&bench, &project_id, CreateUser::default()).await;
        let mut ids = Vec::new();
        for i in 0..4 {
            let input = CreateChannel {
                user_id: user.id,
                value: format!("{i}@example.com"),
                used_for_auth: false,
                is_primary: None,
                is_verified: None,
            };
            ids.push(channels::create(&bench.deps, &server, input).await.unwrap().id);
        }
        let tries = (0..40).map(|i| {
            let (deps, server, id) = (bench.deps.clone(), server.clone(), ids[i % 4]);
            tokio::spawn(async move {
                if i % 3 == 0 {
                    let address = Patch::Set(format!("{}@example.com", i % 4));
                    let input = UpdateUser { primary_email: address, ..UpdateUser::default() };
                    update(&deps, &server, user.id, input).await.map(|_| ())
                } else {
                    let input = UpdateChannel { is_primary: Some(true), ..UpdateChannel::default() };
                    channels::update(&deps, &server, user.id, id, input).await.map(|_| ())
                }
            })
        });
        for outcome in join_all(tries).await {
            outcome.unwrap().unwrap();
        }
        let channels = channels::list(&bench.deps, &server, Some(user.id), None).await.unwrap();
        assert_eq!(channels.len(), 4);
        assert_eq!(channels.iter().filter(|channel| channel.is_primary).count(), 1);
    })
    .await;
}
