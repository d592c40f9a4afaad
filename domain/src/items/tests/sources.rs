//! What purchases grant, and what becomes of it when they end.

use super::{DAY, calls_of, custom, owing, project, refusal, told, user};
use crate::{
    Code, ProjectId, Timestamp,
    items::{Customer, Expires, Interval, IntervalUnit, MAX_QUANTITY, NewSource, change, end_in, get, grant_in},
    testing::{START, TestBench, on_each_database, server},
};

pub(super) async fn grant(bench: &TestBench, project: &ProjectId, customer: &Customer, key: &str, source: &NewSource) {
    let (deps, sources) = (&bench.deps, std::slice::from_ref(source));
    deps.db.write(|tx| async move { grant_in(deps, &tx, project, customer, key, sources).await }).await.unwrap();
}

pub(super) async fn end(
    bench: &TestBench,
    project: &ProjectId,
    customer: &Customer,
    key: &str,
    ends_at: Option<Timestamp>,
) {
    let deps = &bench.deps;
    deps.db.write(|tx| async move { end_in(deps, &tx, project, customer, key, ends_at).await }).await.unwrap();
}

/// Sets the clock.
fn on_day(bench: &TestBench, day: i64) {
    let to = START.plus_millis(day * DAY);
    bench.clock.advance_millis(to.millis() - bench.deps.now().millis());
}

fn monthly(item: &str, quantity: i64, expires: Expires) -> NewSource {
    NewSource {
        item_id: item.to_owned(),
        quantity,
        starts_at: START,
        repeats: Some(Interval::new(1, IntervalUnit::Month).unwrap()),
        expires,
        ends_at: None,
    }
}

/// The worked example of wire: payments §4.2, through rows.
#[tokio::test]
async fn the_worked_example_of_the_contract_comes_out() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        let customer = custom("a");
        let subscription = monthly("calls", 100, Expires::WhenRepeated);
        let once = NewSource { repeats: None, ..monthly("calls", 20, Expires::Never) };
        grant(&bench, &project, &customer, "sub-start:1", &subscription).await;
        grant(&bench, &project, &customer, "otp:2", &once).await;
        let day = |day: i64| START.plus_millis(day * DAY);
        assert_eq!(calls_of(&bench, &project, &customer).await, 120);
        for (at, delta, ends, balance) in [
            (5, 50, Some(15), 170),
            (10, -70, None, 100),
            (15, 0, None, 100),
            (20, -160, None, -60),
            (25, 40, None, -20),
        ] {
            on_day(&bench, at);
            let of = crate::items::ItemChange { expires_at: ends.map(day), ..owing(delta) };
            assert_eq!(super::calls(&bench, &project, &customer, of).await, balance, "day {at}");
        }
        on_day(&bench, 30);
        assert_eq!(calls_of(&bench, &project, &customer).await, 80);
        end(&bench, &project, &customer, "sub-start:1", Some(day(60))).await;
        on_day(&bench, 59);
        assert_eq!(calls_of(&bench, &project, &customer).await, 80);
        on_day(&bench, 60);
        assert_eq!(calls_of(&bench, &project, &customer).await, 0);
    })
    .await;
}

#[tokio::test]
async fn the_end_of_a_purchase_ends_what_hangs_on_it_in_all_its_items() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        let ada = Customer::user(user(&bench, &project).await);
        let (deps, actor) = (&bench.deps, server(&project));
        let included = [
            monthly("credits", 5, Expires::WhenPurchaseExpires),
            NewSource { repeats: None, ..monthly("other", 7, Expires::WhenPurchaseExpires) },
        ];
        let (project, ada) = (&project, &ada);
        let sources = &included;
        deps.db
            .write(|tx| async move { grant_in(deps, &tx, project, ada, "sub-start:1", sources).await })
            .await
            .unwrap();
        let both = async || {
            let credits = get(deps, &actor, ada, "credits").await.unwrap().quantity;
            (credits, get(deps, &actor, ada, "other").await.unwrap().quantity)
        };
        on_day(&bench, 60);
        assert_eq!(both().await, (15, 7));
        change(deps, &actor, ada, "credits", owing(-7)).await.unwrap();
        let told_before = told(&bench, project).await.len();
        end(&bench, project, ada, "sub-start:1", Some(START.plus_millis(90 * DAY))).await;
        // Taken back, and set again.
        end(&bench, project, ada, "sub-start:1", None).await;
        on_day(&bench, 95);
        assert_eq!(both().await, (13, 7));
        end(&bench, project, ada, "sub-start:1", Some(START.plus_millis(100 * DAY))).await;
        end(&bench, project, ada, "sub-start:1", Some(START.plus_millis(100 * DAY))).await;
        assert_eq!(both().await, (13, 7));
        on_day(&bench, 100);
        assert_eq!(both().await, (0, 0));
        end(&bench, project, ada, "sub-start:1", None).await;
        on_day(&bench, 400);
        assert_eq!(both().await, (0, 0));
        while crate::items::fold_step(deps).await.unwrap() {}
        assert!(told(&bench, project).await.len() > told_before);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    assert!(Interval::new(0, IntervalUnit::Day).is_err());
    assert!(Interval::new(u64::MAX, IntervalUnit::Year).is_err());
    assert!(Interval::new(1_000, IntervalUnit::Year).is_ok());
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        let (deps, project) = (&bench.deps, &project);
        let (customer, gone) = (custom("a"), Customer::user(crate::UserId::random()));
        for (customer, key, source, code) in [
            (&customer, "k", monthly("calls", 0, Expires::Never), Code::BadRequest),
            (&customer, "k", monthly("calls", MAX_QUANTITY + 1, Expires::Never), Code::BadRequest),
            (&customer, "", monthly("calls", 1, Expires::Never), Code::BadRequest),
            (
                &customer,
                "k",
                NewSource { starts_at: Timestamp(i64::MIN), ..monthly("calls", 1, Expires::Never) },
                Code::BadRequest,
            ),
            (
                &customer,
                "k",
                NewSource { ends_at: Some(Timestamp(i64::MAX)), ..monthly("calls", 1, Expires::Never) },
                Code::BadRequest,
            ),
            (&gone, "k", monthly("credits", 1, Expires::Never), Code::UserNotFound),
        ] {
            let sources = &[source];
            let outcome = deps.db.write(|tx| async move { grant_in(deps, &tx, project, customer, key, sources).await });
            assert_eq!(refusal(outcome.await).0, code);
        }
    })
    .await;
}
