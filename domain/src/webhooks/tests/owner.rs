use postern_entity::{WebhookMessageId, webhook_attempt::AttemptTrigger};
use sea_orm::sea_query::Expr;

use super::*;
use crate::webhooks::jobs::RecoverWebhookEndpoint;

async fn run_recoveries(hooks: &Hooks<'_>) {
    for claimed in
        queue::claim(hooks.deps(), Lane::General, "test", MAX_BATCH, LEASE, queue::Suspects::Any).await.unwrap()
    {
        let job: RecoverWebhookEndpoint = serde_json::from_value(claimed.payload).unwrap();
        // Twice, as after a crash.
        for _ in 0..2 {
            let mut place = recover_step(hooks.deps(), &job, None).await.unwrap();
            while place.is_some() {
                place = recover_step(hooks.deps(), &job, place).await.unwrap();
            }
        }
        queue::end_all(hooks.deps(), &[(claimed.lease, Ending::done())]).await.unwrap();
    }
}

#[tokio::test]
async fn a_test_goes_to_the_one_endpoint_and_is_not_repeated() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        create(hooks.deps(), &hooks.actor, to("https://two.example/")).await.unwrap();
        bench.http.answer_next_with_status(500);
        let sent = send_test(hooks.deps(), &hooks.actor, hooks.endpoint.id).await.unwrap();
        assert_eq!(hooks.run_due().await, 1);
        let [request] = &hooks.requests()[..] else { panic!("one request") };
        assert_eq!(header(request, "svix-id"), wire_message_id(sent.message_id));
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["type"], "stack.test");
        assert_eq!(body["data"]["endpointUrl"], "https://one.example/hook");
        assert!(body["data"]["message"].is_string());
        let delivery = hooks.delivery().await;
        assert_eq!((delivery.id, delivery.state), (sent.delivery_id, DeliveryState::Failed));
        assert_eq!(hooks.attempts().await[0].trigger_type, AttemptTrigger::Manual);
        assert_eq!(hooks.run_next().await, 0);
        assert_eq!(hooks.endpoint_row(hooks.endpoint.id).await.failing_since, None);
    })
    .await;
}

#[tokio::test]
async fn resending_ignores_the_filter_and_delivers_what_was_given_up() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let filter = Some(vec!["team.created".to_owned()]);
        let picky = NewEndpoint { filter_types: filter, ..to("https://picky.example/") };
        let picky = create(hooks.deps(), &hooks.actor, picky).await.unwrap();
        hooks.message().await;
        hooks.run_due().await;
        let message_id = hooks.messages().await[0].id;
        let sent = resend(hooks.deps(), &hooks.actor, message_id, picky.id).await.unwrap();
        assert_eq!(hooks.run_due().await, 1);
        let requests = hooks.requests();
        assert_eq!(requests[1].url.host_str(), Some("picky.example"));
        assert_eq!(requests[0].body, requests[1].body);
        assert_eq!(header(&requests[0], "svix-id"), header(&requests[1], "svix-id"));
        let delivery = hooks.deliveries().await.into_iter().find(|row| row.id == sent.delivery_id).unwrap();
        assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Succeeded, 0));

        // Once more to an endpoint that has it: sent again, still delivered.
        let again = resend(hooks.deps(), &hooks.actor, message_id, picky.id).await.unwrap();
        assert_eq!(again.delivery_id, sent.delivery_id);
        bench.http.answer_next_with_status(500);
        assert_eq!(hooks.run_due().await, 1);
        let delivery = hooks.deliveries().await.into_iter().find(|row| row.id == sent.delivery_id).unwrap();
        assert_eq!(delivery.state, DeliveryState::Succeeded);
    })
    .await;
}

#[tokio::test]
async fn a_manual_failure_leaves_the_schedule_and_a_manual_success_ends_it() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        bench.http.answer_next_with_status(500);
        hooks.message().await;
        hooks.run_due().await;
        let waiting = hooks.delivery().await;
        bench.http.answer_next_with_status(500);
        resend(hooks.deps(), &hooks.actor, waiting.message_id, waiting.endpoint_id).await.unwrap();
        assert_eq!(hooks.run_due().await, 1);
        assert_eq!(hooks.delivery().await, waiting);

        resend(hooks.deps(), &hooks.actor, waiting.message_id, waiting.endpoint_id).await.unwrap();
        assert_eq!(hooks.run_due().await, 1);
        let delivered = hooks.delivery().await;
        assert_eq!((delivered.state, delivered.next_attempt_at), (DeliveryState::Succeeded, None));
        assert_eq!(hooks.run_next().await, 0);
        assert_eq!((hooks.requests().len(), hooks.attempts().await.len()), (3, 3));
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_sent_by_hand_is_refused() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let (deps, actor, id) = (hooks.deps(), &hooks.actor, hooks.endpoint.id);
        hooks.message().await;
        hooks.run_due().await;
        let message_id = hooks.messages().await[0].id;
        let nobody = WebhookMessageId::random();
        assert!(resend(deps, actor, nobody, id).await.unwrap_err().is(Code::NotFound));
        let forget = async |tx: crate::db::Tx| {
            let forget = webhook_message::Entity::update_many();
            forget.col_expr(webhook_message::Column::Payload, Expr::value(None::<Vec<u8>>)).exec(&*tx).await?;
            Ok(())
        };
        deps.db.write(forget).await.unwrap();
        assert!(resend(deps, actor, message_id, id).await.unwrap_err().is(Code::BadRequest));
        assert_eq!(message(deps, actor, message_id).await.unwrap().payload, None);
        hooks.disable().await;
        assert!(resend(deps, actor, message_id, id).await.unwrap_err().is(Code::Conflict));
        assert!(send_test(deps, actor, id).await.unwrap_err().is(Code::Conflict));
        let since = deps.now().plus_seconds(-60);
        assert!(recover(deps, actor, id, since, None).await.unwrap_err().is(Code::Conflict));
        assert_eq!(hooks.run_due().await, 0);
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_disabled_after_the_call_gets_nothing() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        send_test(hooks.deps(), &hooks.actor, hooks.endpoint.id).await.unwrap();
        hooks.disable().await;
        assert_eq!(hooks.run_due().await, 0);
        assert_eq!(hooks.requests().len(), 0);
        assert_eq!(hooks.delivery().await.state, DeliveryState::Failed);
    })
    .await;
}

#[tokio::test]
async fn recovering_sends_each_missed_message_of_the_window_once() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let (deps, actor, id) = (hooks.deps(), &hooks.actor, hooks.endpoint.id);
        hooks.message().await;
        bench.clock.advance_seconds(10);
        let since = deps.now();
        for _ in 0..3 {
            hooks.message().await;
        }
        hooks.disable().await;
        assert_eq!(hooks.run_due().await, 0);
        hooks.change(EndpointChange { disabled: Some(false), ..EndpointChange::default() }).await;
        hooks.message().await;
        assert_eq!(hooks.run_due().await, 1);
        let recovery = recover(deps, actor, id, since, None).await.unwrap();
        assert_eq!(recovery.since, since);
        run_recoveries(&hooks).await;
        bench.http.answer_next_with_status(500);
        assert_eq!(hooks.run_due().await, 3);
        assert_eq!(hooks.requests().len(), 4);
        let count = async |state| hooks.deliveries().await.iter().filter(|row| row.state == state).count();
        assert_eq!(count(DeliveryState::Succeeded).await, 3);
        assert_eq!((count(DeliveryState::Dropped).await, count(DeliveryState::Failed).await), (1, 1));
        assert_eq!(hooks.run_next().await, 0);

        // A second recovery has only what is still missing.
        recover(deps, actor, id, since, None).await.unwrap();
        run_recoveries(&hooks).await;
        assert_eq!(hooks.run_due().await, 1);
        assert_eq!(count(DeliveryState::Succeeded).await, 4);
    })
    .await;
}

#[tokio::test]
async fn a_recovery_of_many_goes_on_in_steps() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let since = hooks.deps().now();
        for _ in 0..230 {
            hooks.event(EventKind::UserUpdated).await;
        }
        hooks.fan_out().await;
        hooks.disable().await;
        hooks.run_due().await;
        hooks.change(EndpointChange { disabled: Some(false), ..EndpointChange::default() }).await;
        recover(hooks.deps(), &hooks.actor, hooks.endpoint.id, since, None).await.unwrap();
        run_recoveries(&hooks).await;
        while hooks.run_due().await > 0 {}
        assert_eq!(hooks.requests().len(), 230);
        assert!(hooks.deliveries().await.iter().all(|row| row.state == DeliveryState::Succeeded));
    })
    .await;
}

#[tokio::test]
async fn windows_that_are_empty_or_too_long_are_refused() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let now = hooks.deps().now();
        for (since, until) in [
            (now, Some(now)),
            (now, Some(now.plus_seconds(-1))),
            (now.plus_seconds(-MAX_RECOVERY_SECONDS - 1), Some(now)),
            (Timestamp(i64::MIN), None),
            (Timestamp(i64::MAX), None),
        ] {
            let refused = recover(hooks.deps(), &hooks.actor, hooks.endpoint.id, since, until).await.unwrap_err();
            assert!(refused.is(Code::SchemaError));
        }
        let since = now.plus_seconds(-MAX_RECOVERY_SECONDS);
        assert!(recover(hooks.deps(), &hooks.actor, hooks.endpoint.id, since, Some(now)).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn messages_deliveries_and_attempts_are_read_in_pages() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let (deps, actor, id) = (hooks.deps(), &hooks.actor, hooks.endpoint.id);
        bench.http.answer_next_with_status(500);
        for kind in [EventKind::UserCreated, EventKind::UserUpdated, EventKind::TeamCreated] {
            hooks.event(kind).await;
            hooks.fan_out().await;
            hooks.run_due().await;
            bench.clock.advance_seconds(1);
        }
        hooks.run_next().await;

        let all = messages(deps, actor, &MessageFilter::default(), FIRST_PAGE).await.unwrap();
        let types: Vec<_> = all.items.iter().map(|message| message.event_type.as_str()).collect();
        assert_eq!(types, ["team.created", "user.updated", "user.created"]);
        assert!(!all.has_more);
        assert_eq!(count_messages(deps, actor, &MessageFilter::default()).await.unwrap(), 3);
        assert!(all.items[2].payload.as_ref().unwrap().starts_with(r#"{"type":"user.created""#));
        let page =
            messages(deps, actor, &MessageFilter::default(), PageRequest { limit: 2, after: None }).await.unwrap();
        assert!(page.has_more);
        let after = page.items.last().map(Message::place);
        let rest = messages(deps, actor, &MessageFilter::default(), PageRequest { limit: 2, after }).await.unwrap();
        assert_eq!((&rest.items[..], rest.has_more), (&all.items[2..], false));
        let filter = MessageFilter {
            event_types: vec!["user.created".to_owned(), "user.updated".to_owned()],
            since: Some(all.items[1].created_at),
            ..MessageFilter::default()
        };
        assert_eq!(messages(deps, actor, &filter, FIRST_PAGE).await.unwrap().items, [all.items[1].clone()]);
        assert_eq!(message(deps, actor, all.items[0].id).await.unwrap(), all.items[0]);

        let ids: Vec<_> = all.items.iter().map(|message| message.id).collect();
        let deliveries = deliveries_of(deps, actor, &ids).await.unwrap();
        assert_eq!(deliveries.len(), 3);
        assert!(deliveries.iter().all(|delivery| delivery.endpoint_id == id));

        let any = AttemptFilter::default();
        let of_endpoint = attempts(deps, actor, AttemptsOf::Endpoint(id), &any, FIRST_PAGE).await.unwrap();
        assert_eq!(of_endpoint.items.len(), 4);
        let failed = AttemptFilter { outcome: Some(AttemptOutcome::Retried), ..AttemptFilter::default() };
        let failed = attempts(deps, actor, AttemptsOf::Endpoint(id), &failed, FIRST_PAGE).await.unwrap();
        assert_eq!(failed.items, [of_endpoint.items[3].clone()]);
        for of in [AttemptsOf::Message(ids[2]), AttemptsOf::Delivery(ids[2], id)] {
            let two = attempts(deps, actor, of, &any, FIRST_PAGE).await.unwrap();
            assert_eq!(two.items, [of_endpoint.items[0].clone(), of_endpoint.items[3].clone()]);
        }
        let first = attempts(deps, actor, AttemptsOf::Endpoint(id), &any, PageRequest { limit: 3, after: None });
        let first = first.await.unwrap();
        let after = first.items.last().map(Attempt::place);
        let rest =
            attempts(deps, actor, AttemptsOf::Endpoint(id), &any, PageRequest { limit: 3, after }).await.unwrap();
        assert_eq!([first.items, rest.items].concat(), of_endpoint.items);
        assert_eq!(attempts_of(deps, actor, &ids).await.unwrap(), of_endpoint.items);

        let sent =
            sent_to(deps, actor, id, &SentFilter::default(), PageRequest { limit: 2, after: None }).await.unwrap();
        assert!(sent.has_more);
        let messages: Vec<_> = sent.items.iter().map(|sent| sent.message.clone()).collect();
        assert_eq!(messages, all.items[..2]);
        assert!(sent.items.iter().all(|sent| sent.delivery.message_id == sent.message.id));
        let after = sent.items.last().map(|sent| sent.delivery.place());
        let rest = sent_to(deps, actor, id, &SentFilter::default(), PageRequest { limit: 2, after }).await.unwrap();
        assert_eq!((rest.items[0].message.id, rest.has_more), (all.items[2].id, false));
        let team = |types: &[&str]| types.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        for (filter, expected) in [
            (SentFilter { event_types: team(&["team.created"]), ..SentFilter::default() }, 1),
            (SentFilter { states: vec![DeliveryState::Succeeded], ..SentFilter::default() }, 3),
            (SentFilter { states: vec![DeliveryState::Failed], ..SentFilter::default() }, 0),
            (SentFilter { channel: Some("user:nobody".to_owned()), ..SentFilter::default() }, 0),
            (SentFilter { until: Some(all.items[0].created_at), ..SentFilter::default() }, 2),
        ] {
            assert_eq!(
                sent_to(deps, actor, id, &filter, FIRST_PAGE).await.unwrap().items.len(),
                expected,
                "{filter:?}"
            );
        }
        for (filter, expected) in [
            (AttemptFilter { event_types: team(&["team.created", "user.updated"]), ..any.clone() }, 2),
            (AttemptFilter { status_class: Some(2), ..any.clone() }, 3),
            (AttemptFilter { status_class: Some(5), ..any.clone() }, 1),
            (AttemptFilter { status_class: Some(0), ..any.clone() }, 0),
            (AttemptFilter { outcome: Some(AttemptOutcome::Succeeded), ..any.clone() }, 3),
            (AttemptFilter { outcome: Some(AttemptOutcome::Failed), ..any.clone() }, 0),
            (AttemptFilter { until: Some(of_endpoint.items[0].attempted_at), ..any.clone() }, 3),
            (AttemptFilter { channel: Some("team:x".to_owned()), ..any.clone() }, 0),
        ] {
            let found = attempts(deps, actor, AttemptsOf::Endpoint(id), &filter, FIRST_PAGE).await.unwrap();
            assert_eq!(found.items.len(), expected, "{filter:?}");
        }
        let one = &of_endpoint.items[0];
        assert_eq!(attempt(deps, actor, one.message_id, one.id).await.unwrap(), *one);
        assert!(attempt(deps, actor, ids[0], one.id).await.unwrap_err().is(Code::NotFound));
        expunge_response(deps, actor, one.message_id, one.id).await.unwrap();
        assert_eq!(attempt(deps, actor, one.message_id, one.id).await.unwrap().response_body, None);
        let stranger = admin(&bench.insert_project().await);
        assert_eq!(attempts_of(deps, &stranger, &ids).await.unwrap(), []);
        assert_eq!(deliveries_of(deps, &stranger, &ids).await.unwrap(), []);
    })
    .await;
}
