//! Changing and reading: codes, races, and what they cost.

use futures::future::join_all;
use serde_json::json;

use super::{DAY, by, calls, calls_of, custom, owing, project, refusal, rows, told, until, user};
use crate::{
    Code, TeamId,
    actor::IdempotencyKey,
    db::NewRows,
    items::{Customer, CustomerType, Item, ItemChange, MAX_OPEN_GRANTS, MAX_QUANTITY, change, get, list, of_customers},
    projects::default_settings,
    teams::{self, CreateTeam},
    testing::{START, client, on_each_database, server, stranger},
    users,
};

#[tokio::test]
async fn what_is_added_and_taken_is_there_and_told() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        let (deps, actor) = (&bench.deps, server(&project));
        let ada = Customer::user(user(&bench, &project).await);
        let item = |quantity| Item { id: "credits".to_owned(), display_name: "Credits".to_owned(), quantity };
        assert_eq!(get(deps, &actor, &ada, "credits").await.unwrap(), item(0));
        assert_eq!(change(deps, &actor, &ada, "credits", by(5)).await.unwrap(), item(5));
        assert_eq!(change(deps, &actor, &ada, "credits", owing(-7)).await.unwrap(), item(-2));
        // An increase that leaves a debt is refused too.
        let details = json!({ "item_id": "credits", "customer_id": ada.id(), "quantity": 1 });
        let refused = refusal(change(deps, &actor, &ada, "credits", by(1)).await);
        assert_eq!(refused, (Code::ItemQuantityInsufficientAmount, details));
        assert_eq!(change(deps, &actor, &ada, "credits", by(2)).await.unwrap(), item(0));
        assert_eq!(change(deps, &actor, &ada, "credits", by(0)).await.unwrap(), item(0));
        assert_eq!(told(&bench, &project).await, [5, -2, 0, 0]);
        let last = bench.events(&project).await.pop().unwrap().1;
        let payload = json!({ "customer_type": "user", "customer_id": ada.id(), "item_id": "credits", "quantity": 0 });
        assert_eq!(last, payload);
        let other = Item { id: "other".to_owned(), display_name: "other".to_owned(), quantity: 0 };
        assert_eq!(list(deps, &actor, &ada).await.unwrap(), [item(0), other]);
    })
    .await;
}

#[tokio::test]
async fn whatever_does_not_fit_has_its_code_and_changes_nothing() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        let (deps, actor) = (&bench.deps, server(&project));
        let ada = Customer::user(user(&bench, &project).await);
        let elsewhere = server(&super::project(&bench).await);
        let nobody = |kind| Customer::new(kind, "11111111-1111-4111-8111-111111111111");
        let table = [
            (&actor, ada.clone(), "gone", Code::ItemNotFound, json!({ "item_id": "gone" })),
            (
                &actor,
                ada.clone(),
                "seats",
                Code::ItemCustomerTypeDoesNotMatch,
                json!({ "item_id": "seats", "customer_id": ada.id(), "item_customer_type": "team", "actual_customer_type": "user" }),
            ),
            (&actor, nobody(CustomerType::User), "credits", Code::UserNotFound, json!(null)),
            (&actor, Customer::new(CustomerType::User, "no uuid"), "credits", Code::UserNotFound, json!(null)),
            (
                &actor,
                nobody(CustomerType::Team),
                "seats",
                Code::TeamNotFound,
                json!({ "team_id": "11111111-1111-4111-8111-111111111111" }),
            ),
            (&actor, Customer::new(CustomerType::Team, "x"), "seats", Code::TeamNotFound, json!({ "team_id": "x" })),
            // Of another project.
            (&elsewhere, ada.clone(), "credits", Code::UserNotFound, json!(null)),
        ];
        for (actor, customer, item, code, details) in table {
            assert_eq!(refusal(get(deps, actor, &customer, item).await), (code, details.clone()), "{customer:?} {item}");
            let refused = refusal(change(deps, actor, &customer, item, by(1)).await);
            assert_eq!(refused, (code, details), "{customer:?} {item}");
        }
        let long = "x".repeat(256);
        for (customer, of) in [
            (custom(&long), by(1)),
            (custom(""), by(1)),
            (custom("a\0"), by(1)),
            (Customer::new(CustomerType::User, "a\0"), by(1)),
            (custom("a"), by(MAX_QUANTITY + 1)),
            (custom("a"), by(i64::MIN)),
            (custom("a"), ItemChange { description: Some("x".repeat(1001)), ..by(1) }),
            (custom("a"), until(1, crate::Timestamp(-1))),
        ] {
            assert_eq!(refusal(change(deps, &actor, &customer, "calls", of).await).0, Code::SchemaError, "{customer:?}");
        }
        assert_eq!(refusal(get(deps, &actor, &custom(&long), "calls").await).0, Code::SchemaError);
        assert_eq!(rows(&bench).await, [0; 4]);
        let full = custom("full");
        assert_eq!(calls(&bench, &project, &full, by(MAX_QUANTITY)).await, MAX_QUANTITY);
        assert_eq!(refusal(change(deps, &actor, &full, "calls", by(1)).await).0, Code::BadRequest);
        assert_eq!(refusal(change(deps, &actor, &custom("b"), "calls", owing(-MAX_QUANTITY)).await.and(change(deps, &actor, &custom("b"), "calls", owing(-1)).await)).0, Code::BadRequest);
    })
    .await;
}

#[tokio::test]
async fn clients_see_their_own_and_what_teams_they_administer_have() {
    on_each_database(|bench| async move {
        let project = bench.insert_project().await;
        let mut config = default_settings();
        config.insert(
            "payments.items".to_owned(),
            json!({ "credits": {}, "seats": { "customerType": "team" }, "calls": { "customerType": "custom" } }),
        );
        bench.set_config(&project, config.into()).await;
        let deps = &bench.deps;
        let (ada, bob) = (user(&bench, &project).await, user(&bench, &project).await);
        let input = CreateTeam { creator_user_id: Some(ada), ..CreateTeam::default() };
        let team = teams::create(deps, &server(&project), input).await.unwrap().id;
        teams::add_member(deps, &server(&project), team, bob).await.unwrap();
        let (own, others) = (client(&project, ada), client(&project, bob));
        let (of_ada, of_team) = (Customer::user(ada), Customer::team(team));
        assert_eq!(get(deps, &own, &of_ada, "credits").await.unwrap().quantity, 0);
        assert_eq!(get(deps, &own, &of_team, "seats").await.unwrap().quantity, 0);
        assert_eq!(list(deps, &own, &of_team).await.unwrap().len(), 1);
        let required = |team: TeamId| json!({ "team_id": team, "user_id": bob, "permission_id": "team_admin" });
        let unknown = TeamId::random();
        for (customer, item, expected) in [
            (of_ada.clone(), "credits", (Code::Forbidden, json!(null))),
            (of_team.clone(), "seats", (Code::TeamPermissionRequired, required(team))),
            (Customer::team(unknown), "seats", (Code::TeamPermissionRequired, required(unknown))),
            (custom("a"), "calls", (Code::Forbidden, json!(null))),
        ] {
            assert_eq!(refusal(get(deps, &others, &customer, item).await), expected);
            assert_eq!(refusal(list(deps, &others, &customer).await), expected);
            let nobody = refusal(get(deps, &stranger(&project), &customer, item).await);
            assert_eq!(nobody.0, Code::UserAuthenticationRequired);
            assert_eq!(refusal(change(deps, &others, &customer, item, by(1)).await).0, Code::Forbidden);
        }
        let both = [of_team.clone(), of_ada.clone(), Customer::team(unknown)];
        let seen = of_customers(deps, &own, &both).await.unwrap();
        assert!(seen[&of_team].is_ok() && seen[&of_ada].is_ok());
        assert_eq!(seen[&both[2]].as_ref().unwrap_err().code, Code::TeamPermissionRequired);
    })
    .await;
}

#[tokio::test]
async fn of_a_hundred_that_try_to_take_as_many_succeed_as_there_is() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        let customer = custom("race");
        // The first change of a customer races too.
        let added = join_all((0..10).map(|_| calls(&bench, &project, &customer, by(3)))).await;
        assert_eq!(added.iter().max(), Some(&30));
        let actor = server(&project);
        let tries = join_all((0..100).map(|_| change(&bench.deps, &actor, &customer, "calls", by(-1)))).await;
        let taken = tries.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(taken, 30);
        for outcome in tries {
            match outcome {
                Ok(item) => assert!(item.quantity >= 0),
                refused => assert_eq!(refusal(refused).0, Code::ItemQuantityInsufficientAmount),
            }
        }
        assert_eq!(calls_of(&bench, &project, &customer).await, 0);
        assert_eq!(rows(&bench).await, [1, 0, 0, 40]);
    })
    .await;
}

#[tokio::test]
async fn a_read_never_mixes_two_states() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        let customer = custom("a");
        calls(&bench, &project, &customer, by(5)).await;
        // Now open grants, now a debt, and never anything else.
        let changes = async {
            for round in 0..120 {
                calls(&bench, &project, &customer, owing(if round % 2 == 0 { -10 } else { 10 })).await;
            }
        };
        let reads = async {
            loop {
                let quantity = calls_of(&bench, &project, &customer).await;
                assert!(quantity == 5 || quantity == -5, "{quantity}");
            }
        };
        tokio::select! {
            () = changes => {}
            () = reads => {}
        }
    })
    .await;
}

#[tokio::test]
async fn a_long_history_costs_no_more_than_a_short_one() {
    on_each_database(|mut bench| async move {
        let project = project(&bench).await;
        let (busy, idle) = (custom("busy"), custom("idle"));
        let watch = bench.deps.db.watch();
        for customer in [&busy, &idle] {
            calls(&bench, &project, customer, by(10)).await;
            calls(&bench, &project, customer, until(10, START.plus_millis(DAY))).await;
        }
        for _ in 0..300 {
            calls(&bench, &project, &busy, by(2)).await;
            calls(&bench, &project, &busy, by(-1)).await;
            calls(&bench, &project, &busy, until(1, START.plus_millis(DAY))).await;
        }
        // One that never ends and one that does, whatever has happened.
        assert_eq!(rows(&bench).await, [2, 4, 0, 904]);
        let mut costs = Vec::new();
        for customer in [&busy, &idle] {
            drop(watch.take_statements());
            calls_of(&bench, &project, customer).await;
            calls(&bench, &project, customer, by(-1)).await;
            costs.push(watch.take_statements());
        }
        assert_eq!(costs[0], costs[1]);
        assert!(costs[0].iter().all(|sql| !sql.contains("FROM \"item_change\"")), "the ledger is only appended to");
        assert!(costs[0].len() <= 12, "{} statements: {:#?}", costs[0].len(), costs[0]);
    })
    .await;
}

#[tokio::test]
async fn a_repeated_request_is_carried_out_once() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        let customer = custom("a");
        let mut actor = server(&project);
        actor.idempotency = Some(IdempotencyKey::new("key", &[b"add"]));
        for _ in 0..3 {
            let item = change(&bench.deps, &actor, &customer, "calls", by(4)).await.unwrap();
            assert_eq!(item.quantity, 4);
        }
        assert_eq!(calls_of(&bench, &project, &customer).await, 4);
    })
    .await;
}

#[tokio::test]
async fn grants_with_ends_of_their_own_are_bounded() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        let customer = custom("a");
        let most = i64::try_from(MAX_OPEN_GRANTS).unwrap();
        // As many as there may be, without a thousand transactions.
        let rows = (1..=most).map(|place| postern_entity::item_grant::Model {
            balance_id: postern_entity::ItemBalanceId(uuid::Uuid::nil()),
            place,
            project_id: project.clone(),
            of_source: false,
            remaining: 1,
            ends_at: Some(START.plus_millis(place)),
            ends_with_purchase: false,
            granted_at: START,
            parts: 1,
            part_quantity: 1,
            part_interval: 0,
        });
        let rows: Vec<_> = rows.collect();
        let balance = &postern_entity::item_balance::Model {
            id: postern_entity::ItemBalanceId(uuid::Uuid::nil()),
            project_id: project.clone(),
            customer_type: CustomerType::Custom,
            customer_id: "a".to_owned(),
            user_id: None,
            team_id: None,
            item_id: "calls".to_owned(),
            debt: 0,
            folded_at: START,
            next_place: most + 1,
            open_grants: most,
            open_sources: 0,
            due_at: Some(START.plus_millis(1)),
        };
        let rows = &rows;
        bench
            .deps
            .db
            .write(|tx| async move {
                let mut new = NewRows::default();
                new.add(balance.clone());
                rows.iter().for_each(|row| new.add(row.clone()));
                new.write(&tx).await
            })
            .await
            .unwrap();
        let actor = server(&project);
        let more = change(&bench.deps, &actor, &customer, "calls", until(1, START.plus_millis(most + 1))).await;
        assert_eq!(refusal(more).0, Code::BadRequest);
        assert_eq!(calls(&bench, &project, &customer, until(1, START.plus_millis(most))).await, most + 1);
        assert_eq!(calls(&bench, &project, &customer, by(-most)).await, 1);
        assert_eq!(calls(&bench, &project, &customer, until(1, START.plus_millis(most + 1))).await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_customer_takes_everything_along() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        let (deps, actor) = (&bench.deps, server(&project));
        let ada = user(&bench, &project).await;
        let team = teams::create(deps, &actor, CreateTeam::default()).await.unwrap().id;
        change(deps, &actor, &Customer::user(ada), "credits", by(1)).await.unwrap();
        change(deps, &actor, &Customer::team(team), "seats", by(1)).await.unwrap();
        assert_eq!(rows(&bench).await, [2, 2, 0, 2]);
        users::delete(deps, &actor, ada).await.unwrap();
        teams::delete(deps, &actor, team).await.unwrap();
        assert_eq!(rows(&bench).await, [0; 4]);
        assert_eq!(refusal(get(deps, &actor, &Customer::user(ada), "credits").await).0, Code::UserNotFound);
        assert_eq!(refusal(change(deps, &actor, &Customer::team(team), "seats", by(1)).await).0, Code::TeamNotFound);
    })
    .await;
}
