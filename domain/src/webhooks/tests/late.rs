//! What is found out, or written down, when things have changed meanwhile.

use postern_entity::job;
use sea_orm::{ActiveModelTrait, ActiveValue::Set};

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

/// Writes these columns of the only endpoint or delivery.
async fn set<A: ActiveModelTrait + Sync>(hooks: &Hooks<'_>, row: A) {
    let row = &row;
    let set = async |tx: crate::db::Tx| {
        A::Entity::update_many().set(row.clone()).exec(&*tx).await?;
        Ok(())
    };
    hooks.deps().db.write(set).await.unwrap();
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
async fn what_a_former_address_said_does_not_count_for_or_against_the_new_one() {
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
        // Nor for it.
        let result = tried(&hooks).await;
        move_to(&hooks, "https://moved-again.example/").await;
        let since = Some(hooks.deps().now());
        let failing = webhook_endpoint::ActiveModel { misses: Set(3), failing_since: Set(since), ..Default::default() };
        set(&hooks, failing).await;
        write(&hooks, &result).await;
        let row = hooks.endpoint_row(hooks.endpoint.id).await;
        assert_eq!((row.misses, row.failing_since), (3, since));
        write(&hooks, &tried(&hooks).await).await;
        let row = hooks.endpoint_row(hooks.endpoint.id).await;
        assert_eq!((row.misses, row.failing_since), (0, None));
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
        set(&hooks, paused).await;
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
        let failed = webhook_delivery::ActiveModel { state: Set(DeliveryState::Failed), ..Default::default() };
        set(&hooks, failed).await;
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

#[tokio::test]
async fn owners_hear_of_no_failure_of_what_has_arrived_by_hand_meanwhile() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        hooks.message().await;
        for (state, expected) in [(DeliveryState::Succeeded, 0), (DeliveryState::Sending, 2)] {
            // The fourth failed attempt and the last one are told.
            for attempts in [3, 7] {
                let row = |state| webhook_delivery::ActiveModel {
                    attempts: Set(attempts),
                    state: Set(state),
                    ..Default::default()
                };
                set(&hooks, row(DeliveryState::Sending)).await;
                bench.http.answer_next_with_status(500);
                let result = tried(&hooks).await;
                set(&hooks, row(state)).await;
                write(&hooks, &result).await;
            }
            hooks.fan_out().await;
            let (deps, all) = (hooks.deps(), events::EventFilter::default());
            let events = events::read(deps, &hooks.actor.project_id, None, &all, 200).await.unwrap().events;
            let told = events.iter().filter(|event| event.kind.as_str().starts_with("webhook_message.")).count();
            let is_failing = hooks.endpoint_row(hooks.endpoint.id).await.failing_since.is_some();
            assert_eq!((told, is_failing), (expected, expected > 0));
        }
    })
    .await;
}
