//! What is found out, or written down, when things have changed meanwhile.

use postern_entity::job;
use sea_orm::{ActiveValue::Set, ColumnTrait, QueryFilter, sea_query::Expr};

use super::*;
use crate::webhooks::{
    deliver::payload_of,
    judge::{DeliveryResult, judged},
    post::{self, Parcel},
};

/// Makes the attempt that is due, and writes nothing down.
async fn tried(hooks: &Hooks<'_>) -> DeliveryResult {
    let (deps, delivery) = (hooks.deps(), hooks.delivery().await);
    let message = hooks.messages().await.remove(0);
    let target = target::load(deps, &[hooks.endpoint.id]).await.unwrap().remove(0).unwrap();
    let payload = payload_of(&delivery, &message).unwrap();
    let trigger = webhook_attempt::AttemptTrigger::Scheduled;
    let parcel = Parcel { delivery: &delivery, target: &target, payload: &payload, trigger };
    let tried = post::attempt(deps, &parcel).await.unwrap();
    judged(deps.now(), &delivery, &message.event_type, false, tried)
}

async fn write(hooks: &Hooks<'_>, result: &DeliveryResult) {
    let deps = hooks.deps();
    deps.db.write(async |tx| result::write_all(deps, &tx, &[result]).await).await.unwrap();
}

async fn move_to(hooks: &Hooks<'_>, url: &str) {
    hooks.change(EndpointChange { url: Some(url.to_owned()), ..EndpointChange::default() }).await;
}

#[tokio::test]
async fn a_result_whose_writing_was_not_heard_of_is_written_once() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        hooks.message().await;
        bench.http.answer_next_with_status(500);
        let result = tried(&hooks).await;
        for _ in 0..2 {
            write(&hooks, &result).await;
        }
        let delivery = hooks.delivery().await;
        assert_eq!((delivery.attempts, delivery.state), (1, DeliveryState::Sending));
        assert_eq!(hooks.attempts().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_a_former_address_said_does_not_count_against_the_new_one() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        hooks.message().await;
        for status in [410, 503] {
            bench.http.answer_next_with_status(status);
            let result = tried(&hooks).await;
            move_to(&hooks, &format!("https://moved-{status}.example/")).await;
            write(&hooks, &result).await;
            let row = hooks.endpoint_row(hooks.endpoint.id).await;
            assert_eq!((row.disabled, row.misses), (false, 0), "{status}");
        }
        bench.http.answer_next_with_status(410);
        write(&hooks, &tried(&hooks).await).await;
        assert!(hooks.endpoint_row(hooks.endpoint.id).await.disabled);
    })
    .await;
}

#[tokio::test]
async fn nothing_is_dropped_of_an_endpoint_that_was_enabled_meanwhile() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        hooks.message().await;
        let mine = hooks.claim().await.remove(0);
        let job: DeliverLine = serde_json::from_value(mine.payload).unwrap();
        // As if the endpoint had been disabled when the turn looked.
        let ending = line::drop_as_if_disabled(&hooks.lines, &mine.lease, &job).await.unwrap();
        assert_eq!(queue::end_all(hooks.deps(), &[(mine.lease, ending)]).await.unwrap(), []);
        assert_eq!(hooks.run_due().await, 1);
        assert_eq!(hooks.delivery().await.state, DeliveryState::Succeeded);
    })
    .await;
}

#[tokio::test]
async fn the_line_of_a_deleted_endpoint_ends_with_its_last_look() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        hooks.message().await;
        delete(hooks.deps(), &hooks.actor, hooks.endpoint.id).await.unwrap();
        let mine = hooks.claim().await.remove(0);
        let ending = hooks.deliver(&mine).await;
        // Ended by then: whoever puts something into the line from now on begins it anew.
        let line = job::Entity::find_by_id(mine.lease.job_id).one(hooks.deps().db.read()).await.unwrap().unwrap();
        assert_eq!((ending.outcome(&mine.lease), line.state), ("done", job::JobState::Done));
        assert_eq!(hooks.delivery().await.state, DeliveryState::Dropped);
    })
    .await;
}

#[tokio::test]
async fn what_comes_in_a_pause_goes_when_the_pause_is_over() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let deps = hooks.deps();
        hooks.message().await;
        // The line is empty then, and looks again in a quarter of an hour.
        assert_eq!(hooks.run_due().await, 1);
        let paused = webhook_endpoint::ActiveModel {
            misses: Set(5),
            pauses: Set(1),
            paused_until: Set(Some(deps.now().plus_seconds(10))),
            ..Default::default()
        };
        let pause = async |tx: crate::db::Tx| {
            webhook_endpoint::Entity::update_many().set(paused.clone()).exec(&*tx).await?;
            Ok(())
        };
        deps.db.write(pause).await.unwrap();
        hooks.message().await;
        assert_eq!(hooks.run_due().await, 0);
        bench.clock.advance_seconds(11);
        assert_eq!(hooks.run_due().await, 1);
    })
    .await;
}

#[tokio::test]
async fn what_has_arrived_meanwhile_is_not_sent_again() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let deps = hooks.deps();
        hooks.message().await;
        let delivery = hooks.delivery().await;
        // Given up when it was looked for.
        let fail = async |tx: crate::db::Tx| {
            let state = Expr::value("failed");
            let update = webhook_delivery::Entity::update_many().col_expr(webhook_delivery::Column::State, state);
            update.filter(webhook_delivery::Column::Id.eq(delivery.id)).exec(&*tx).await?;
            Ok(())
        };
        deps.db.write(fail).await.unwrap();
        let again = async |states: &[DeliveryState]| {
            let again =
                deps.db.write(async |tx| store::send_again(&tx, &[delivery.id], states, true, deps.now()).await);
            again.await.unwrap()
        };
        assert_eq!(again(&[DeliveryState::Failed, DeliveryState::Dropped]).await, 1);
        hooks.run_due().await;
        assert_eq!(hooks.delivery().await.state, DeliveryState::Succeeded);
        assert_eq!(again(&[DeliveryState::Failed, DeliveryState::Dropped]).await, 0);
        assert_eq!(again(&[DeliveryState::Failed, DeliveryState::Dropped, DeliveryState::Succeeded]).await, 1);
    })
    .await;
}
