//! What the outbox shows, and to whom.

use postern_entity::email;
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

use super::*;
use crate::{
    codes::Code,
    emails::{
        SimpleStatus, Status,
        outbox::{self, ListEmails},
    },
    ports::mail::{MailError, MailErrorKind},
    time::Timestamp,
};

/// A row of each status that the columns can tell, with what it takes.
fn in_each_status() -> Vec<(Status, email::ActiveModel)> {
    let at = |seconds| Set(Some(Timestamp(START.millis()).plus_seconds(seconds)));
    let blank = email::ActiveModel::default;
    let rendering =
        || email::ActiveModel { rendering_worker_id: Set(Some(Uuid::nil())), started_rendering_at: at(1), ..blank() };
    let rendered = || email::ActiveModel {
        rendered_at: at(2),
        rendered_subject: Set(Some("s".to_owned())),
        rendered_is_transactional: Set(Some(true)),
        ..rendering()
    };
    let sending = || email::ActiveModel {
        is_queued: Set(true),
        started_sending_at: at(3),
        sending_claim_id: Set(Some(Uuid::nil())),
        ..rendered()
    };
    let finished =
        || email::ActiveModel { finished_sending_at: at(4), can_have_delivery_info: Set(Some(false)), ..sending() };
    let reported = || email::ActiveModel { can_have_delivery_info: Set(Some(true)), ..finished() };
    let delivered = || email::ActiveModel { delivered_at: at(5), ..reported() };
    let opened = || email::ActiveModel { opened_at: at(6), ..delivered() };
    let failed = || email::ActiveModel { send_error: Set(Some("550".to_owned())), ..finished() };
    let skipped = |row| email::ActiveModel {
        skipped_reason: Set(Some("MANUALLY_CANCELLED".to_owned())),
        skipped_details: Set(Some(json!({}))),
        ..row
    };
    vec![
        (Status::Preparing, blank()),
        (Status::Paused, email::ActiveModel { is_paused: Set(true), ..blank() }),
        (Status::Paused, email::ActiveModel { is_paused: Set(true), ..failed() }),
        (Status::Skipped, skipped(blank())),
        (Status::Skipped, skipped(rendered())),
        (Status::Rendering, rendering()),
        (
            Status::RenderError,
            email::ActiveModel { rendered_at: at(2), render_error: Set(Some("e".to_owned())), ..rendering() },
        ),
        (Status::Scheduled, rendered()),
        (Status::Queued, email::ActiveModel { is_queued: Set(true), ..rendered() }),
        (Status::Sending, sending()),
        (Status::Sending, reported()),
        (Status::ServerError, failed()),
        (Status::Sent, finished()),
        (Status::Sent, delivered()),
        (Status::MarkedAsSpam, email::ActiveModel { marked_as_spam_at: at(7), ..opened() }),
        (Status::Clicked, email::ActiveModel { clicked_at: at(7), ..opened() }),
        (Status::Opened, opened()),
        (Status::Bounced, email::ActiveModel { bounced_at: at(5), ..reported() }),
        (Status::DeliveryDelayed, email::ActiveModel { delivery_delayed_at: at(5), ..reported() }),
    ]
}

#[tokio::test]
async fn the_status_of_a_row_and_the_condition_of_the_list_agree() {
    on_each_database(settings(), |bench| async move {
        let project_id = bench.insert_project().await;
        let actor = server_actor(&project_id);
        let mut rows = Vec::new();
        for (status, changes) in in_each_status() {
            let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
            change(&bench, id, changes).await;
            assert_eq!(Status::of(&row(&bench, id).await), status);
            rows.push((id, status));
        }
        for status in Status::ALL {
            let wanted = ListEmails { status: Some(*status), ..Default::default() };
            let mut listed: Vec<_> =
                outbox::list(&bench.deps, &actor, &wanted).await.unwrap().items.iter().map(|item| item.id).collect();
            let mut expected: Vec<_> = rows.iter().filter(|row| row.1 == *status).map(|row| row.0).collect();
            listed.sort_unstable();
            expected.sort_unstable();
            assert_eq!(listed, expected, "{status:?}");
            assert!(!listed.is_empty(), "{status:?} is covered");
        }
        let mut total = 0;
        for simple in SimpleStatus::ALL {
            let wanted = ListEmails { simple_status: Some(*simple), ..Default::default() };
            let listed = outbox::list(&bench.deps, &actor, &wanted).await.unwrap().items;
            total += listed.len();
            for item in listed.iter().filter(|item| !item.is_paused && item.status != "delivery-delayed") {
                assert_eq!(item.simple_status, simple.as_str(), "{}", item.status);
            }
        }
        assert_eq!(total, rows.len(), "every row has exactly one simple status");
    })
    .await;
}

#[tokio::test]
async fn an_entry_of_each_status_has_the_fields_of_the_contract() {
    let database = TestDatabase::sqlite().await;
    let bench = TestBench::on(&database).await;
    let project_id = bench.insert_project().await;
    let mut entries = Vec::new();
    for (_, changes) in in_each_status() {
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        change(&bench, id, changes).await;
        entries.push(outbox::get(&bench.deps, &server_actor(&project_id), id).await.unwrap());
    }
    insta::assert_json_snapshot!(entries, { "[].id" => "[id]", "[].tsx_source" => "[source]" });
}

#[tokio::test]
async fn pages_begin_with_their_cursor_and_miss_nothing() {
    on_each_database(settings(), |bench| async move {
        let project_id = bench.insert_project().await;
        let actor = server_actor(&project_id);
        let mut ids = Vec::new();
        for number in 0..7 {
            // Several mails of one instant: the id decides among them.
            bench.clock.advance_seconds(number / 3);
            ids.push(put(&bench, verification(&project_id, to("ada@example.com"))).await);
        }
        let whole = outbox::list(&bench.deps, &actor, &ListEmails::default()).await.unwrap();
        assert_eq!(whole.next_cursor, None);
        let (mut paged, mut cursor) = (Vec::new(), None);
        loop {
            let wanted = ListEmails { limit: Some(3), cursor, ..Default::default() };
            let page = outbox::list(&bench.deps, &actor, &wanted).await.unwrap();
            assert!(cursor.is_none_or(|cursor| page.items[0].id == cursor));
            paged.extend(page.items);
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(paged, whole.items);
        assert!(whole.items.is_sorted_by_key(|item| std::cmp::Reverse(item.created_at_millis)));
        assert_eq!(whole.items.len(), ids.len());
    })
    .await;
}

#[tokio::test]
async fn foreign_mails_and_bad_input_are_refused() {
    on_each_database(settings(), |bench| async move {
        let (project_id, other) = (bench.insert_project().await, bench.insert_project().await);
        let (actor, stranger) = (server_actor(&project_id), server_actor(&other));
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        assert!(outbox::get(&bench.deps, &stranger, id).await.unwrap_err().is(Code::NotFound));
        let with_cursor = ListEmails { cursor: Some(id), ..Default::default() };
        assert!(outbox::list(&bench.deps, &stranger, &with_cursor).await.unwrap_err().is(Code::BadRequest));
        assert_eq!(outbox::list(&bench.deps, &stranger, &ListEmails::default()).await.unwrap().items, []);
        for limit in [0, 201] {
            let wanted = ListEmails { limit: Some(limit), ..Default::default() };
            assert!(outbox::list(&bench.deps, &actor, &wanted).await.unwrap_err().is(Code::BadRequest));
        }
        let client = Actor { level: Level::Client, ..actor };
        assert!(outbox::get(&bench.deps, &client, id).await.unwrap_err().is(Code::Forbidden));
        assert!(outbox::list(&bench.deps, &client, &ListEmails::default()).await.unwrap_err().is(Code::Forbidden));
    })
    .await;
}

#[tokio::test]
async fn an_error_of_the_server_is_told_with_its_attempts() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        bench.mailer.fail_next(MailError::new(MailErrorKind::Rejected, "554 spam"));
        run(&bench).await;
        let entry = outbox::get(&bench.deps, &server_actor(&project_id), id).await.unwrap();
        assert_eq!((entry.status, entry.simple_status), ("server-error", "error"));
        assert_eq!(entry.sending.server_error.as_deref(), Some("554 spam"));
        assert_eq!(entry.sending.error_at_millis, Some(START.millis()));
        let shown = serde_json::to_string(&entry).unwrap();
        assert!(!shown.contains(CODE));
    })
    .await;
}
