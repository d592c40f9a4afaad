use serde_json::json;

use super::{code, kinds, last_event, make, with_email};
use crate::{
    Code, ContactChannelId, ProjectId, UserId,
    email_address::EmailAddress,
    testing::{TestBench, client, on_each_database, server, stranger},
    users::{
        self, CreateUser,
        channels::{
            ContactChannel, CreateChannel, UpdateChannel, WireContactChannel, create, delete, find_for_auth, get, list,
            mark_verified, of_users, update,
        },
    },
};

fn channel(user_id: UserId, value: &str) -> CreateChannel {
    CreateChannel { user_id, value: value.to_owned(), used_for_auth: false, is_primary: None, is_verified: None }
}

async fn add(bench: &TestBench, project_id: &ProjectId, input: CreateChannel) -> ContactChannel {
    create(&bench.deps, &server(project_id), input).await.unwrap()
}

#[tokio::test]
async fn a_channel_is_added_unverified_and_not_primary_and_told_of() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let user = make(&bench, &project_id, CreateUser::default()).await;
        let actor = client(&project_id, user.id);
        let made = create(&bench.deps, &actor, channel(user.id, " A@Example.com")).await.unwrap();
        let expected = json!({
            "id": made.id, "user_id": user.id, "type": "email", "value": "a@example.com", "is_primary": false,
            "is_verified": false, "used_for_auth": false,
        });
        assert_eq!(serde_json::to_value(WireContactChannel::from(made.clone())).unwrap(), expected);
        assert_eq!(last_event(&bench, &project_id).await, ("contact_channel.created".to_owned(), expected));
        assert_eq!(get(&bench.deps, &actor, user.id, made.id).await.unwrap(), made);
    })
    .await;
}

#[tokio::test]
async fn lists_are_oldest_first_and_loaders_answer_by_user() {
    on_each_database(|bench| async move {
        let (project_id, other) = (bench.insert_project().await, bench.insert_project().await);
        let (a, b) = (
            make(&bench, &project_id, with_email("a@example.com")).await,
            make(&bench, &project_id, CreateUser::default()).await,
        );
        make(&bench, &other, with_email("a@example.com")).await;
        for value in ["c@example.com", "b@example.com"] {
            bench.clock.advance_seconds(1);
            add(&bench, &project_id, channel(a.id, value)).await;
        }
        bench.clock.advance_seconds(1);
        let of_b = add(&bench, &project_id, channel(b.id, "a@example.com")).await;
        let values = |channels: &[ContactChannel]| channels.iter().map(|c| c.value.clone()).collect::<Vec<_>>();
        let server = server(&project_id);
        let of_a = list(&bench.deps, &server, Some(a.id), None).await.unwrap();
        assert_eq!(values(&of_a), ["a@example.com", "c@example.com", "b@example.com"]);
        let all = list(&bench.deps, &server, None, None).await.unwrap();
        assert_eq!(all.len(), 4);
        assert_eq!(list(&bench.deps, &server, None, Some(of_b.id)).await.unwrap(), std::slice::from_ref(&of_b));
        let loaded = of_users(&bench.deps, &project_id, &[a.id, b.id, UserId::random()]).await.unwrap();
        assert_eq!((loaded.len(), &loaded[&a.id], &loaded[&b.id]), (2, &of_a, &vec![of_b]));
        assert!(of_users(&bench.deps, &other, &[a.id]).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn clients_deal_with_their_own_channels_only() {
    on_each_database(|bench| async move {
        let (project_id, elsewhere) = (bench.insert_project().await, bench.insert_project().await);
        let user = make(&bench, &project_id, with_email("a@example.com")).await;
        let other = make(&bench, &project_id, CreateUser::default()).await;
        let id = list(&bench.deps, &server(&project_id), Some(user.id), None).await.unwrap()[0].id;
        let before = kinds(&bench, &project_id).await;
        for actor in [client(&project_id, other.id), stranger(&project_id)] {
            let deps = &bench.deps;
            assert_eq!(code(list(deps, &actor, Some(user.id), None).await), Code::Forbidden);
            assert_eq!(code(list(deps, &actor, None, None).await), Code::Forbidden);
            assert_eq!(code(get(deps, &actor, user.id, id).await), Code::Forbidden);
            assert_eq!(code(create(deps, &actor, channel(user.id, "x@example.com")).await), Code::Forbidden);
            let change = UpdateChannel { used_for_auth: Some(false), ..UpdateChannel::default() };
            assert_eq!(code(update(deps, &actor, user.id, id, change).await), Code::Forbidden);
            assert_eq!(code(delete(deps, &actor, user.id, id).await), Code::Forbidden);
        }
        // A channel under the path of another user, or of another project, is not there.
        let foreign = client(&project_id, other.id);
        assert_eq!(code(get(&bench.deps, &foreign, other.id, id).await), Code::NotFound);
        assert_eq!(code(delete(&bench.deps, &foreign, other.id, id).await), Code::BadRequest);
        let foreign = server(&elsewhere);
        assert_eq!(code(get(&bench.deps, &foreign, user.id, id).await), Code::NotFound);
        assert_eq!(code(delete(&bench.deps, &foreign, user.id, id).await), Code::BadRequest);
        let change = UpdateChannel { is_verified: Some(true), ..UpdateChannel::default() };
        assert_eq!(code(update(&bench.deps, &foreign, user.id, id, change.clone()).await), Code::BadRequest);
        // Being verified is the server's to say.
        let own = client(&project_id, user.id);
        assert_eq!(code(update(&bench.deps, &own, user.id, id, change).await), Code::SchemaError);
        let verified = CreateChannel { is_verified: Some(false), ..channel(user.id, "x@example.com") };
        assert_eq!(code(create(&bench.deps, &own, verified).await), Code::SchemaError);
        assert_eq!(kinds(&bench, &project_id).await, before);
    })
    .await;
}

#[tokio::test]
async fn values_are_unique_per_user_and_auth_values_per_project() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let server = server(&project_id);
        let user = make(&bench, &project_id, with_email("a@example.com")).await;
        let other = make(&bench, &project_id, CreateUser::default()).await;
        let again = CreateChannel { used_for_auth: true, ..channel(user.id, "A@example.com") };
        assert_eq!(code(create(&bench.deps, &server, again).await), Code::BadRequest);
        let plain = add(&bench, &project_id, channel(other.id, "a@example.com")).await;
        assert_eq!(code(create(&bench.deps, &server, channel(user.id, "?")).await), Code::SchemaError);

        let third = make(&bench, &project_id, CreateUser::default()).await;
        let auth = CreateChannel { used_for_auth: true, ..channel(third.id, "a@example.com") };
        let details = |value: Option<&str>| {
            json!({ "type": "email", "contact_channel_value": value, "would_work_if_email_was_verified": false })
        };
        let error = create(&bench.deps, &server, auth).await.unwrap_err();
        assert_eq!(error.failure().unwrap().code, Code::ContactChannelAlreadyUsedForAuthBySomeoneElse);
        assert_eq!(error.failure().unwrap().details, Some(details(Some("a@example.com"))));
        let change = UpdateChannel { used_for_auth: Some(true), ..UpdateChannel::default() };
        let error = update(&bench.deps, &server, other.id, plain.id, change).await.unwrap_err();
        assert_eq!(error.failure().unwrap().code, Code::ContactChannelAlreadyUsedForAuthBySomeoneElse);
        assert_eq!(error.failure().unwrap().details, Some(details(None)));

        let second = add(&bench, &project_id, channel(other.id, "b@example.com")).await;
        let same = UpdateChannel { value: Some("A@example.com".to_owned()), ..UpdateChannel::default() };
        assert_eq!(code(update(&bench.deps, &server, other.id, second.id, same).await), Code::BadRequest);
        let unknown = UserId::random();
        let error = create(&bench.deps, &server, channel(unknown, "c@example.com")).await.unwrap_err();
        assert_eq!(error.failure().unwrap().code, Code::UserIdDoesNotExist);
        assert_eq!(error.failure().unwrap().details, Some(json!({ "user_id": unknown })));
    })
    .await;
}

#[tokio::test]
async fn a_new_primary_channel_demotes_the_old_one_and_the_last_can_go() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let server = server(&project_id);
        let user = make(&bench, &project_id, with_email("a@example.com")).await;
        let primary = async || {
            users::find(&bench.deps, &project_id, user.id).await.unwrap().unwrap().primary_email.map(|e| e.address)
        };
        bench.clock.advance_seconds(1);
        let primary_b = CreateChannel { is_primary: Some(true), ..channel(user.id, "b@example.com") };
        let b = add(&bench, &project_id, primary_b).await;
        assert_eq!(primary().await.as_deref(), Some("b@example.com"));
        let a = list(&bench.deps, &server, Some(user.id), None).await.unwrap().remove(0);
        assert_eq!((a.is_primary, a.used_for_auth), (false, true));
        let change = |is_primary| UpdateChannel { is_primary: Some(is_primary), ..UpdateChannel::default() };
        update(&bench.deps, &server, user.id, a.id, change(true)).await.unwrap();
        assert_eq!(primary().await.as_deref(), Some("a@example.com"));
        update(&bench.deps, &server, user.id, a.id, change(true)).await.unwrap();
        update(&bench.deps, &server, user.id, a.id, change(false)).await.unwrap();
        assert_eq!(primary().await, None);
        update(&bench.deps, &server, user.id, b.id, change(true)).await.unwrap();
        let own = client(&project_id, user.id);
        delete(&bench.deps, &own, user.id, b.id).await.unwrap();
        assert_eq!(primary().await, None);
        let deleted = json!({ "id": b.id, "user_id": user.id });
        assert_eq!(last_event(&bench, &project_id).await, ("contact_channel.deleted".to_owned(), deleted));
        assert_eq!(code(delete(&bench.deps, &own, user.id, b.id).await), Code::BadRequest);
        let none = ContactChannelId::random();
        assert_eq!(code(update(&bench.deps, &own, user.id, none, change(true)).await), Code::BadRequest);
        assert!(kinds(&bench, &project_id).await.iter().all(|kind| kind != "user.updated"));
    })
    .await;
}

#[tokio::test]
async fn a_changed_value_counts_as_unverified_unless_a_server_says_otherwise() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let server = server(&project_id);
        let user = make(&bench, &project_id, CreateUser::default()).await;
        let verified = CreateChannel { is_verified: Some(true), ..channel(user.id, "a@example.com") };
        let made = add(&bench, &project_id, verified).await;
        let to = |value: &str, is_verified| UpdateChannel {
            value: Some(value.to_owned()),
            is_verified,
            ..UpdateChannel::default()
        };
        let own = client(&project_id, user.id);
        let changed = update(&bench.deps, &own, user.id, made.id, to(" B@Example.com", None)).await.unwrap();
        assert_eq!((changed.value.as_str(), changed.is_verified), ("b@example.com", false));
        let changed = update(&bench.deps, &server, user.id, made.id, to("c@example.com", Some(true))).await.unwrap();
        assert!(changed.is_verified);
        assert_eq!(code(update(&bench.deps, &own, user.id, made.id, to("?", None)).await), Code::SchemaError);
        let unchanged = update(&bench.deps, &own, user.id, made.id, UpdateChannel::default()).await.unwrap();
        assert_eq!(unchanged, changed);
    })
    .await;
}

#[tokio::test]
async fn verifying_marks_the_address_of_that_user_and_no_other() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let user = make(&bench, &project_id, with_email("a@example.com")).await;
        let other = make(&bench, &project_id, CreateUser::default()).await;
        add(&bench, &project_id, channel(other.id, "a@example.com")).await;
        let verify = async |user_id: UserId, value: &str| {
            let address = EmailAddress::loose(value).unwrap();
            let (deps, project_id, address) = (&bench.deps, &project_id, &address);
            deps.db
                .write(|tx| async move { mark_verified(deps, &tx, project_id, user_id, address).await })
                .await
                .unwrap()
        };
        let verified = verify(user.id, "A@example.com").await.unwrap();
        assert!(verified.is_verified && verified.is_primary && verified.used_for_auth);
        assert_eq!(last_event(&bench, &project_id).await.0, "contact_channel.updated");
        let others = list(&bench.deps, &server(&project_id), Some(other.id), None).await.unwrap();
        assert!(!others[0].is_verified);
        assert_eq!(verify(user.id, "gone@example.com").await, None);
        assert_eq!(verify(UserId::random(), "a@example.com").await, None);
    })
    .await;
}

#[tokio::test]
async fn signing_in_finds_auth_channels_of_the_project_only() {
    on_each_database(|bench| async move {
        let (project_id, other) = (bench.insert_project().await, bench.insert_project().await);
        let user = make(&bench, &project_id, with_email("a@example.com")).await;
        add(&bench, &project_id, channel(user.id, "plain@example.com")).await;
        let find = async |project_id: &ProjectId, value: &str| {
            let address = EmailAddress::loose(value).unwrap();
            let channel = find_for_auth(&bench.deps, project_id, &address).await.unwrap();
            let credentials = users::credentials_by_email(&bench.deps, project_id, &address).await.unwrap();
            assert_eq!(channel.as_ref().map(|c| c.user_id), credentials.map(|c| c.user.id));
            channel.map(|channel| channel.user_id)
        };
        assert_eq!(find(&project_id, "A@example.com").await, Some(user.id));
        assert_eq!(find(&project_id, "plain@example.com").await, None);
        assert_eq!(find(&other, "a@example.com").await, None);
    })
    .await;
}
