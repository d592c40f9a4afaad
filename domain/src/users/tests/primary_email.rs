use super::{code, kinds, make, with_email};
use crate::{
    Code,
    patch::Patch,
    testing::{TestBench, on_each_database, server},
    users::{CreateUser, UpdateUser, User, channels, update},
};

async fn change(bench: &TestBench, user: &User, input: UpdateUser) -> crate::Result<User> {
    update(&bench.deps, &server(&user.project_id), user.id, input).await
}

fn to(address: &str) -> UpdateUser {
    UpdateUser { primary_email: Patch::Set(address.to_owned()), ..UpdateUser::default() }
}

/// Value and the flags primary, verified and used for auth, oldest first.
async fn channels_of(bench: &TestBench, user: &User) -> Vec<(String, [bool; 3])> {
    let list = channels::list(&bench.deps, &server(&user.project_id), Some(user.id), None).await.unwrap();
    let mut flags: Vec<_> =
        list.into_iter().map(|c| (c.value, [c.is_primary, c.is_verified, c.used_for_auth])).collect();
    flags.sort();
    flags
}

fn channel(value: &str, flags: [u8; 3]) -> (String, [bool; 3]) {
    (value.to_owned(), flags.map(|flag| flag == 1))
}

#[tokio::test]
async fn a_new_address_demotes_the_old_one_which_keeps_its_flags() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let verified = CreateUser { primary_email_verified: Some(true), ..with_email("a@example.com") };
        let user = make(&bench, &project_id, verified).await;
        change(&bench, &user, to(" B@example.com")).await.unwrap();
        // Auth is inherited from the previous primary address, being verified is not.
        assert_eq!(
            channels_of(&bench, &user).await,
            [channel("a@example.com", [0, 1, 1]), channel("b@example.com", [1, 0, 1])]
        );
        let with_flags = UpdateUser {
            primary_email_verified: Some(true),
            primary_email_auth_enabled: Some(false),
            ..to("c@example.com")
        };
        change(&bench, &user, with_flags).await.unwrap();
        assert_eq!(
            channels_of(&bench, &user).await,
            [
                channel("a@example.com", [0, 1, 1]),
                channel("b@example.com", [0, 0, 1]),
                channel("c@example.com", [1, 1, 0])
            ]
        );
        let created = kinds(&bench, &project_id).await;
        assert_eq!(
            created,
            [
                "user.created",
                "contact_channel.updated",
                "contact_channel.created",
                "user.updated",
                "contact_channel.updated",
                "contact_channel.created",
                "user.updated"
            ]
        );
        // The old address still blocks others.
        let other = make(&bench, &project_id, with_email("d@example.com")).await;
        assert_eq!(code(change(&bench, &other, to("a@example.com")).await), Code::UserEmailAlreadyExists);
        assert_eq!(channels_of(&bench, &other).await, [channel("d@example.com", [1, 0, 1])]);
    })
    .await;
}

#[tokio::test]
async fn an_own_channel_becomes_primary_and_takes_over_the_auth_flag() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let user = make(&bench, &project_id, with_email("a@example.com")).await;
        let plain = UpdateUser {
            primary_email_verified: Some(true),
            primary_email_auth_enabled: Some(false),
            ..to("b@example.com")
        };
        change(&bench, &user, plain).await.unwrap();
        // Back to the first one: the auth flag becomes that of the previous primary address, being verified stays.
        change(&bench, &user, to("a@example.com")).await.unwrap();
        assert_eq!(
            channels_of(&bench, &user).await,
            [channel("a@example.com", [1, 0, 0]), channel("b@example.com", [0, 1, 0])]
        );
        let with_auth = UpdateUser { primary_email_auth_enabled: Some(true), ..to("b@example.com") };
        change(&bench, &user, with_auth).await.unwrap();
        assert_eq!(
            channels_of(&bench, &user).await,
            [channel("a@example.com", [0, 0, 0]), channel("b@example.com", [1, 1, 1])]
        );
    })
    .await;
}

#[tokio::test]
async fn not_even_the_users_own_second_auth_address_can_become_primary_with_auth() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let user = make(&bench, &project_id, with_email("a@example.com")).await;
        change(&bench, &user, to("b@example.com")).await.unwrap();
        let before = channels_of(&bench, &user).await;
        assert_eq!(code(change(&bench, &user, to("a@example.com")).await), Code::UserEmailAlreadyExists);
        assert_eq!(channels_of(&bench, &user).await, before);
    })
    .await;
}

#[tokio::test]
async fn null_demotes_and_says_nothing_of_flags_beside_it() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let verified = CreateUser { primary_email_verified: Some(true), ..with_email("a@example.com") };
        let user = make(&bench, &project_id, verified).await;
        let null = UpdateUser {
            primary_email: Patch::Clear,
            primary_email_verified: Some(true),
            primary_email_auth_enabled: Some(true),
            ..UpdateUser::default()
        };
        for _ in 0..2 {
            assert_eq!(change(&bench, &user, null.clone()).await.unwrap().primary_email, None);
            assert_eq!(channels_of(&bench, &user).await, [channel("a@example.com", [0, 1, 1])]);
        }
    })
    .await;
}

#[tokio::test]
async fn flags_alone_change_the_primary_address_and_need_one() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let flags = |verified, for_auth| UpdateUser {
            primary_email_verified: verified,
            primary_email_auth_enabled: for_auth,
            ..UpdateUser::default()
        };
        let without = make(&bench, &project_id, CreateUser::default()).await;
        change(&bench, &without, flags(Some(false), Some(false))).await.unwrap();
        assert_eq!(code(change(&bench, &without, flags(Some(true), None)).await), Code::BadRequest);
        assert_eq!(code(change(&bench, &without, flags(None, Some(true))).await), Code::BadRequest);

        let user = make(&bench, &project_id, with_email("a@example.com")).await;
        change(&bench, &user, flags(Some(true), None)).await.unwrap();
        assert_eq!(channels_of(&bench, &user).await, [channel("a@example.com", [1, 1, 1])]);
        let same = UpdateUser { primary_email_auth_enabled: Some(false), ..to("A@example.com") };
        change(&bench, &user, same).await.unwrap();
        assert_eq!(channels_of(&bench, &user).await, [channel("a@example.com", [1, 1, 0])]);

        make(&bench, &project_id, with_email("a@example.com")).await;
        assert_eq!(code(change(&bench, &user, flags(None, Some(true))).await), Code::UserEmailAlreadyExists);
        assert_eq!(channels_of(&bench, &user).await, [channel("a@example.com", [1, 1, 0])]);
    })
    .await;
}

#[tokio::test]
async fn an_empty_address_is_refused() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let user = make(&bench, &project_id, with_email("a@example.com")).await;
        assert_eq!(code(change(&bench, &user, to("")).await), Code::SchemaError);
    })
    .await;
}
