//! Endpoints at which nobody is.

use super::*;
use crate::ports::http::HttpError;

#[tokio::test]
async fn where_no_receiver_is_one_look_now_and_then_is_all_it_costs() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        for _ in 0..40 {
            hooks.event(EventKind::UserUpdated).await;
        }
        hooks.fan_out().await;
        for _ in 0..12 {
            bench.http.answer_next(Err(HttpError::Timeout));
        }
        let tried = hooks.run_due().await;
        assert!((5..=8).contains(&tried), "{tried}");
        let row = hooks.endpoint_row(hooks.endpoint.id).await;
        let pause = row.paused_until.unwrap();
        assert_eq!(pause, hooks.deps().now().plus_seconds(10));
        let shown = endpoint(hooks.deps(), &hooks.actor, hooks.endpoint.id).await.unwrap();
        assert_eq!(shown.paused_until, Some(pause));
        assert_eq!(hooks.run_due().await, 0);
        // A new message changes nothing.
        hooks.message().await;
        assert_eq!(hooks.run_due().await, 0);
        // Each further look that fails doubles the pause and costs one attempt.
        for seconds in [10, 20] {
            bench.clock.advance_seconds(seconds);
            assert_eq!(hooks.run_all().await, 1);
        }
        let left = 12 - tried - 2;
        for _ in 0..left {
            bench.clock.advance_seconds(600);
            assert_eq!(hooks.run_all().await, 1);
        }
        // It is back.
        bench.clock.advance_seconds(600);
        hooks.run_all().await;
        bench.clock.advance_seconds(600);
        hooks.run_all().await;
        assert!(hooks.deliveries().await.iter().all(|delivery| delivery.state == DeliveryState::Succeeded));
        let row = hooks.endpoint_row(hooks.endpoint.id).await;
        assert_eq!((row.misses, row.pauses, row.paused_until), (0, 0, None));
        // Nobody was charged for attempts that were not made.
        let attempts: i32 = hooks.deliveries().await.iter().map(|delivery| delivery.attempts).sum();
        assert_eq!(attempts, 41 + 12);
    })
    .await;
}

#[tokio::test]
async fn a_success_by_hand_ends_the_pause() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        for _ in 0..10 {
            hooks.event(EventKind::UserUpdated).await;
        }
        hooks.fan_out().await;
        for _ in 0..10 {
            bench.http.answer_next(Err(HttpError::Timeout));
        }
        let tried = hooks.run_due().await;
        for _ in tried..10 {
            bench.clock.advance_seconds(600);
            hooks.run_due().await;
        }
        assert!(hooks.endpoint_row(hooks.endpoint.id).await.paused_until.is_some());
        send_test(hooks.deps(), &hooks.actor, hooks.endpoint.id).await.unwrap();
        assert_eq!(hooks.run_due().await, 1);
        assert_eq!(hooks.endpoint_row(hooks.endpoint.id).await.paused_until, None);
        assert!(hooks.run_all().await > 0);
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_at_which_nobody_is_for_five_days_is_disabled_whatever_comes_in() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let mut hours = 0;
        while !hooks.endpoint_row(hooks.endpoint.id).await.disabled {
            hooks.message().await;
            for _ in 0..8 {
                bench.http.answer_next(Err(HttpError::Timeout));
            }
            hooks.run_due().await;
            bench.clock.advance_seconds(3600);
            hours += 1;
            assert!(hours < 140);
        }
        assert!(hours > 120, "{hours}");
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_whose_secret_cannot_be_opened_fails_its_own_deliveries() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let spoil = async |tx: crate::db::Tx| {
            postern_entity::webhook_secret::Entity::update_many()
                .col_expr(
                    postern_entity::webhook_secret::Column::Sealed,
                    sea_orm::sea_query::Expr::value(b"spoiled".to_vec()),
                )
                .exec(&*tx)
                .await?;
            Ok(())
        };
        hooks.deps().db.write(spoil).await.unwrap();
        hooks.message().await;
        assert_eq!(hooks.run_due().await, 1);
        let attempt = hooks.attempts().await.pop().unwrap();
        assert!(attempt.error.unwrap().contains("cannot be opened"));
        assert_eq!((hooks.requests().len(), hooks.delivery().await.state), (0, DeliveryState::Sending));
    })
    .await;
}
