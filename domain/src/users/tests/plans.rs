//! SQLite keeps no statistics: what looks like a look-up by a key can become a walk through all rows of the project. The
//! plans are the same for an empty table and a large one, so they can be checked here.

use postern_entity::{contact_channel, user};
use sea_orm::{ConnectionTrait, EntityTrait, QueryTrait, Select, Statement};

use crate::{
    TeamId, UserId,
    db::{Backend, Reader},
    email_address::EmailAddress,
    testing::on_each_database,
    users::{
        ListUsers, channels,
        list::{self, Way, Ways},
        store,
    },
};

/// How SQLite goes about a statement, one line per table.
async fn plan<E: EntityTrait>(connection: &Reader, select: &Select<E>) -> Vec<String> {
    let statement = select.build(connection.get_database_backend());
    let explain = Statement { sql: format!("EXPLAIN QUERY PLAN {}", statement.sql), ..statement };
    let rows = connection.query_all_raw(explain).await.unwrap();
    rows.iter().map(|row| row.try_get::<String>("", "detail").unwrap()).collect()
}

#[tokio::test]
async fn look_ups_by_key_do_not_walk_the_project() {
    on_each_database(|bench| async move {
        if bench.deps.db.backend() != Backend::Sqlite {
            return;
        }
        let project_id = bench.insert_project().await;
        let connection = bench.deps.db.read();
        let config = crate::projects::config(&bench.deps, &project_id).await.unwrap();
        let users: Vec<_> = (0..200).map(|_| UserId::random()).collect();
        let address = EmailAddress::loose("a@example.com").unwrap();
        let of_team = ListUsers { team_id: Some(TeamId::random()), ..ListUsers::default() };
        let selects: [Select<user::Entity>; 3] = [
            store::with_ids(connection, &project_id, &users),
            store::with_auth_email(connection, &project_id, &address),
            list::page(connection, &project_id, &config, &of_team, Ways::default()),
        ];
        for select in &selects {
            let plan = plan(connection, select).await;
            assert!(plan.iter().any(|line| line.starts_with("SEARCH user") && line.contains("(id=?)")), "{plan:#?}");
        }
        let search = ListUsers { query: Some("some text".to_owned()), ..ListUsers::default() };
        let searched = list::page(connection, &project_id, &config, &search, Ways::default());
        let plan_of_search = plan(connection, &searched).await;
        assert!(
            plan_of_search[0].contains("SEARCH user USING INDEX sqlite_autoindex_user_1 (id=?)"),
            "{plan_of_search:#?}"
        );
        let texts: Vec<_> = plan_of_search.iter().filter(|line| line.contains("user_search")).collect();
        assert!(texts[0].contains("VIRTUAL TABLE INDEX") && texts[1].contains("PRIMARY KEY"), "{plan_of_search:#?}");
        let selects: [Select<contact_channel::Entity>; 3] = [
            channels::store::of_users(connection, &project_id, &users),
            channels::store::of_users(connection, &project_id, &users[..1]),
            channels::store::list(connection, &project_id, Some(users[0]), None),
        ];
        for select in &selects {
            let plan = plan(connection, select).await;
            assert!(plan[0].contains("(user_id=? AND kind=?)"), "{plan:#?}");
        }
        let plan = plan(connection, &channels::store::for_auth(&project_id, &address)).await;
        assert!(plan[0].contains("(project_id=? AND kind=? AND value=?)"), "{plan:#?}");
    })
    .await;
}

#[tokio::test]
async fn a_page_of_users_is_read_in_order_and_not_sorted() {
    on_each_database(|bench| async move {
        if bench.deps.db.backend() != Backend::Sqlite {
            return;
        }
        let project_id = bench.insert_project().await;
        let connection = bench.deps.db.read();
        let config = crate::projects::config(&bench.deps, &project_id).await.unwrap();
        let walk = Ways { search: Way::Walk, team: Way::Walk };
        for (order_by, index) in [
            (crate::users::UserOrder::SignedUpAt, "user_by_sign_up"),
            (crate::users::UserOrder::LastActiveAt, "user_by_activity"),
        ] {
            for descending in [false, true] {
                for team_id in [None, Some(TeamId::random())] {
                    let query = Some("some text".to_owned());
                    let input =
                        ListUsers { team_id, query, order_by, descending, limit: Some(50), ..ListUsers::default() };
                    let plan = plan(connection, &list::page(connection, &project_id, &config, &input, walk)).await;
                    assert!(plan[0].contains(index), "{plan:#?}");
                    assert!(!plan.iter().any(|line| line.contains("TEMP B-TREE")), "{plan:#?}");
                    let memberships = plan.iter().filter(|line| line.contains("team_membership")).count();
                    assert_eq!(
                        memberships,
                        if team_id.is_some() { 2 } else { 1 },
                        "the selected team's, and: {plan:#?}"
                    );
                }
            }
        }
    })
    .await;
}
