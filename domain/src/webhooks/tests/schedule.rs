use super::*;
use crate::{
    ports::http::{HttpError, OutgoingResponse},
    testing::START,
};

/// Answers as many of the coming attempts as there are with 500.
fn fail(bench: &TestBench, attempts: usize) {
    for _ in 0..attempts {
        bench.http.answer_next_with_status(500);
    }
}

async fn exhaust_one(hooks: &Hooks<'_>) {
    fail(hooks.bench, 8);
    hooks.message().await;
    hooks.run_due().await;
    for _ in 0..7 {
        assert_eq!(hooks.run_next().await, 1);
    }
}

#[tokio::test]
async fn a_failing_delivery_is_tried_eight_times_by_the_schedule_and_then_given_up() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        fail(&bench, 8);
        hooks.message().await;
        for (attempt, wait) in [5, 300, 1800, 7200, 18_000, 36_000, 36_000].into_iter().enumerate() {
            assert_eq!(hooks.run_due().await, 1);
            let delivery = hooks.delivery().await;
            assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Sending, attempt as i32 + 1));
            let due = delivery.next_attempt_at.unwrap();
            let waits = due.millis() - hooks.deps().now().millis();
            assert!((wait * 800..=wait * 1200).contains(&waits), "attempt {attempt}: {waits} ms");
            assert_eq!(hooks.attempts().await.last().unwrap().next_attempt_at, Some(due));
            bench.clock.advance_millis(waits - 1);
            assert_eq!(hooks.run_due().await, 0);
            bench.clock.advance_millis(1);
        }
        assert_eq!(hooks.run_due().await, 1);
        let delivery = hooks.delivery().await;
        assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Failed, 8));
        assert_eq!(delivery.next_attempt_at, None);
        assert_eq!(hooks.attempts().await.len(), 8);
        assert_eq!(hooks.run_next().await, 0);
        let ids: std::collections::BTreeSet<_> =
            hooks.requests().iter().map(|request| header(request, "svix-id").to_owned()).collect();
        assert_eq!((hooks.requests().len(), ids.len()), (8, 1));
    })
    .await;
}

#[tokio::test]
async fn slow_receivers_and_retry_after_put_the_next_attempt_off() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let waits = async || {
            hooks.message().await;
            hooks.run_due().await;
            let next = hooks.deliveries().await.pop().unwrap().next_attempt_at.unwrap();
            let wait = next.millis() - hooks.deps().now().millis();
            bench.clock.advance_millis(1);
            wait
        };
        bench.http.answer_next(Err(HttpError::Timeout));
        assert_eq!(waits().await, 60_000);
        bench.http.answer_next_with_status(429);
        assert_eq!(waits().await, 60_000);
        let headers = vec![("retry-after".to_owned(), "3600".to_owned())];
        bench.http.answer_next(Ok(OutgoingResponse { status: 500, headers, body: bytes::Bytes::new() }));
        assert!((8_000..=12_000).contains(&waits().await));
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_fails_for_days_is_disabled_and_one_success_clears_its_clock() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let id = hooks.endpoint.id;
        exhaust_one(&hooks).await;
        let since = hooks.deps().now();
        assert_eq!(hooks.endpoint_row(id).await.failing_since, Some(since));

        hooks.message().await;
        hooks.run_due().await;
        assert_eq!(hooks.endpoint_row(id).await.failing_since, None);

        // Each of these takes 91 hours.
        exhaust_one(&hooks).await;
        let since = hooks.deps().now();
        exhaust_one(&hooks).await;
        let row = hooks.endpoint_row(id).await;
        assert_eq!((row.failing_since, row.disabled), (Some(since), false));
        exhaust_one(&hooks).await;
        let row = hooks.endpoint_row(id).await;
        assert_eq!((row.failing_since, row.disabled), (Some(since), true));
        hooks.fan_out().await;
        let all = events::EventFilter::default();
        let told = events::read(hooks.deps(), &hooks.actor.project_id, None, &all, 200).await.unwrap();
        let kinds: Vec<_> = told.events.into_iter().map(|event| event.kind).collect();
        assert_eq!(kinds.iter().filter(|kind| **kind == EventKind::WebhookEndpointDisabled).count(), 1);
        assert_eq!(kinds.iter().filter(|kind| **kind == EventKind::WebhookMessageExhausted).count(), 4);

        hooks.message().await;
        assert_eq!(hooks.run_due().await, 0);
        hooks.change(EndpointChange { disabled: Some(false), ..EndpointChange::default() }).await;
        assert_eq!(hooks.endpoint_row(id).await.failing_since, None);
        hooks.message().await;
        assert_eq!(hooks.run_due().await, 1);
    })
    .await;
}

#[tokio::test]
async fn one_failing_endpoint_holds_up_no_other() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        create(hooks.deps(), &hooks.actor, to("https://two.example/")).await.unwrap();
        fail(&bench, 1);
        hooks.message().await;
        assert_eq!(hooks.run_due().await, 2);
        let mut states: Vec<_> = hooks.deliveries().await.iter().map(|row| row.state).collect();
        states.sort_by_key(|state| *state != DeliveryState::Sending);
        assert_eq!(states, [DeliveryState::Sending, DeliveryState::Succeeded]);
        assert_eq!(hooks.deps().now(), START);
        assert_eq!(hooks.run_next().await, 1);
    })
    .await;
}
