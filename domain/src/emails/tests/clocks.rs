//! Clocks that were wrong when a mail was made or tried.

use postern_entity::{email, email_quota};
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

use super::*;
use crate::ports::mail::{MailError, MailErrorKind};

/// The clocks of gateways and workers may differ, or be put back between two steps.
#[tokio::test]
async fn what_a_clock_wrote_that_was_ahead_holds_up_no_mail() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let ahead = || Some(bench.deps.now().plus_seconds(3600));
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        let at = Set(bench.deps.now().plus_seconds(3600));
        change(&bench, id, email::ActiveModel { created_at: at.clone(), scheduled_at: at, ..Default::default() }).await;
        run(&bench).await;
        assert!(row(&bench, id).await.finished_sending_at.is_some(), "nobody put it off");

        bench.mailer.fail_next(MailError::new(MailErrorKind::Timeout, "no answer"));
        let id = put(&bench, verification(&project_id, to("bob@example.com"))).await;
        run(&bench).await;
        change(&bench, id, email::ActiveModel { next_send_retry_at: Set(ahead()), ..Default::default() }).await;
        bench.clock.advance_seconds(61);
        run(&bench).await;
        assert!(row(&bench, id).await.finished_sending_at.is_some(), "no retry waits that long");

        let id = put(&bench, verification(&project_id, to("cid@example.com"))).await;
        // Rendered, and not due yet.
        let soon = Set(bench.deps.now().plus_seconds(10));
        change(&bench, id, email::ActiveModel { scheduled_at: soon, ..Default::default() }).await;
        run(&bench).await;
        bench.clock.advance_seconds(10);
        let begun = email::ActiveModel {
            is_queued: Set(true),
            started_sending_at: Set(ahead()),
            sending_claim_id: Set(Some(Uuid::new_v4())),
            ..Default::default()
        };
        change(&bench, id, begun).await;
        run(&bench).await;
        assert_eq!((row(&bench, id).await.finished_sending_at, due_in(&bench).await), (None, Some(60_000)));
        bench.clock.advance_seconds(60);
        run(&bench).await;
        assert!(row(&bench, id).await.finished_sending_at.is_some(), "the try counts from when it was seen");
    })
    .await;
}

#[tokio::test]
async fn a_rate_that_a_clock_wrote_that_was_ahead_holds_up_no_mail() {
    on_each_database(with_shared_server(), |bench| async move {
        let (project_id, db) = (bench.insert_project().await, &bench.deps.db);
        put(&bench, verification(&project_id, to("ada@example.com"))).await;
        run(&bench).await;
        let ahead = Set(bench.deps.now().plus_seconds(24 * 3600));
        let quota = email_quota::ActiveModel { next_at: ahead.clone(), computed_at: ahead, ..Default::default() };
        let write =
            async |tx: crate::db::Tx| Ok(email_quota::Entity::update_many().set(quota.clone()).exec(&*tx).await?);
        assert_eq!(db.write(write).await.unwrap().rows_affected, 1);
        let id = put(&bench, verification(&project_id, to("bob@example.com"))).await;
        run(&bench).await;
        assert!(row(&bench, id).await.finished_sending_at.is_some());
        // As when all have gone that may go ahead of the rate.
        let id = put(&bench, verification(&project_id, to("cid@example.com"))).await;
        run(&bench).await;
        let quota = email_quota::Entity::find_by_id(project_id.clone()).one(db.read()).await.unwrap().unwrap();
        assert_eq!((quota.computed_at, due_in(&bench).await), (bench.deps.now(), Some(quota.interval_millis)));
        bench.clock.advance_millis(quota.interval_millis);
        run(&bench).await;
        assert!(row(&bench, id).await.finished_sending_at.is_some());
    })
    .await;
}
