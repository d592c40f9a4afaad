//! Order, rate, the breaker, and taking turns.

use postern_entity::{UserId, job};
use sea_orm::{ColumnTrait, QueryFilter};

use super::*;

fn in_order(url: &str) -> NewEndpoint {
    NewEndpoint { in_order: true, ..to(url) }
}

/// The messages in the order in which they arrived at a host.
fn arrived(hooks: &Hooks<'_>, host: &str) -> Vec<String> {
    let requests = hooks.requests().into_iter().filter(|request| request.url.host_str() == Some(host));
    requests.map(|request| header(&request, "svix-id").to_owned()).collect()
}

async fn ids(hooks: &Hooks<'_>) -> Vec<String> {
    hooks.messages().await.iter().map(|message| wire_message_id(message.id)).collect()
}

async fn only(hooks: &Hooks<'_>, new: NewEndpoint) -> Endpoint {
    delete(hooks.deps(), &hooks.actor, hooks.endpoint.id).await.unwrap();
    hooks.run_due().await;
    create(hooks.deps(), &hooks.actor, new).await.unwrap()
}

#[tokio::test]
async fn an_endpoint_that_wants_order_gets_the_next_one_after_the_former() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        only(&hooks, in_order("https://ordered.example/")).await;
        for _ in 0..6 {
            hooks.event(EventKind::UserUpdated).await;
        }
        hooks.fan_out().await;
        let ids = ids(&hooks).await;
        // The third one fails twice; nothing overtakes it.
        for answer in [200, 200, 500, 500] {
            bench.http.answer_next_with_status(answer);
        }
        assert_eq!(hooks.run_all().await, 3);
        assert_eq!(arrived(&hooks, "ordered.example"), ids[..3]);
        bench.clock.advance_seconds(7);
        assert_eq!(hooks.run_all().await, 1);
        bench.clock.advance_seconds(400);
        assert_eq!(hooks.run_all().await, 4);
        let expected = [&ids[..3], &ids[2..3], &ids[2..]].concat();
        assert_eq!(arrived(&hooks, "ordered.example"), expected);
        assert!(hooks.deliveries().await.iter().all(|delivery| delivery.state == DeliveryState::Succeeded));
    })
    .await;
}

#[tokio::test]
async fn what_comes_while_a_line_is_looked_at_is_not_taken_out_of_turn() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let endpoint = only(&hooks, in_order("https://ordered.example/")).await;
        for _ in 0..6 {
            hooks.event(EventKind::UserUpdated).await;
        }
        hooks.fan_out().await;
        // As if the line had been found empty just before, or order had come to be wanted since the turn began. All are due, and by
        // their ids in no order.
        let due = async |in_order| {
            let (connection, now) = (hooks.deps().db.read(), hooks.deps().now());
            store::due_deliveries(connection, endpoint.id, in_order, now, [], 64).await.unwrap().len()
        };
        assert_eq!((due(true).await, due(false).await), (0, 0));
        assert_eq!(hooks.run_all().await, 6);
        assert_eq!(arrived(&hooks, "ordered.example"), ids(&hooks).await);
    })
    .await;
}

#[tokio::test]
async fn what_is_given_up_lets_the_line_go_on() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        only(&hooks, in_order("https://ordered.example/")).await;
        hooks.message().await;
        hooks.message().await;
        for _ in 0..8 {
            bench.http.answer_next_with_status(500);
        }
        assert_eq!(hooks.run_due().await, 1);
        for _ in 0..6 {
            assert_eq!(hooks.run_next().await, 1);
        }
        // The last attempt, and then the next message.
        assert_eq!(hooks.run_next().await, 2);
        let (deliveries, messages) = (hooks.deliveries().await, hooks.messages().await);
        let state = |message: &postern_entity::webhook_message::Model| {
            deliveries.iter().find(|delivery| delivery.message_id == message.id).unwrap().state
        };
        let states: Vec<_> = messages.iter().map(state).collect();
        assert_eq!(states, [DeliveryState::Failed, DeliveryState::Succeeded]);
    })
    .await;
}

#[tokio::test]
async fn a_rate_is_kept() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        only(&hooks, NewEndpoint { rate_limit: Some(1), ..to("https://slow.example/") }).await;
        for _ in 0..3 {
            hooks.message().await;
        }
        for _ in 0..3 {
            assert_eq!(hooks.run_due().await, 1);
            assert_eq!(hooks.run_due().await, 0);
            bench.clock.advance_seconds(1);
        }
        assert_eq!(hooks.run_due().await, 0);
        assert_eq!(arrived(&hooks, "slow.example").len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_rate_is_kept_whatever_comes_in_between() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        only(&hooks, NewEndpoint { rate_limit: Some(1), ..to("https://slow.example/") }).await;
        hooks.message().await;
        assert_eq!(hooks.run_due().await, 1);
        // Each new message wakes the line.
        for _ in 0..4 {
            bench.clock.advance_millis(200);
            hooks.message().await;
            assert_eq!(hooks.run_due().await, 0);
        }
        bench.clock.advance_millis(200);
        assert_eq!(hooks.run_due().await, 1);
    })
    .await;
}

#[tokio::test]
async fn retries_come_before_what_was_written_later() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        only(&hooks, NewEndpoint { rate_limit: Some(1), ..to("https://slow.example/") }).await;
        bench.http.answer_next_with_status(500);
        hooks.message().await;
        assert_eq!(hooks.run_due().await, 1);
        bench.clock.advance_seconds(10);
        hooks.message().await;
        hooks.message().await;
        assert_eq!(hooks.run_due().await, 1);
        let arrived = arrived(&hooks, "slow.example");
        assert_eq!(arrived[0], arrived[1]);
    })
    .await;
}

#[tokio::test]
async fn a_line_that_died_or_ended_begins_anew_with_what_is_put_into_it() {
    for state in ["dead", "done"] {
        on_each_database(|bench| async move {
            let hooks = Hooks::on(&bench).await;
            hooks.message().await;
            hooks.run_due().await;
            let sql = format!("UPDATE job SET state = '{state}', finished_at = 1, prune_at = 1, attempts = 1000");
            let change = async |tx: crate::db::Tx| {
                sea_orm::ConnectionTrait::execute_unprepared(&*tx, &sql).await?;
                Ok(())
            };
            hooks.deps().db.write(change).await.unwrap();
            hooks.message().await;
            assert_eq!(hooks.run_due().await, 1);
            assert_eq!(hooks.requests().len(), 2);
        })
        .await;
    }
}

#[tokio::test]
async fn what_is_fanned_out_beside_a_deletion_is_dropped() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        hooks.message().await;
        let waiting = hooks.delivery().await;
        delete(hooks.deps(), &hooks.actor, hooks.endpoint.id).await.unwrap();
        hooks.run_due().await;
        // As if the fan-out had read the endpoint before, and committed after the line had ended.
        let late = async |tx: crate::db::Tx| {
            webhook_delivery::Entity::update_many()
                .col_expr(webhook_delivery::Column::State, sea_orm::sea_query::Expr::value("sending"))
                .col_expr(
                    webhook_delivery::Column::NextAttemptAt,
                    sea_orm::sea_query::Expr::value(hooks.deps().now().millis()),
                )
                .exec(&*tx)
                .await?;
            line::wake(hooks.deps(), &tx, [(&hooks.actor.project_id, hooks.endpoint.id)]).await
        };
        hooks.deps().db.write(late).await.unwrap();
        hooks.run_due().await;
        assert_eq!((hooks.delivery().await.state, hooks.requests().len()), (DeliveryState::Dropped, 0));
        assert_eq!(hooks.delivery().await.id, waiting.id);
    })
    .await;
}

#[tokio::test]
async fn a_line_is_one_workers_at_a_time_and_what_comes_during_its_turn_is_not_left() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        hooks.message().await;
        let mine = hooks.claim().await;
        assert_eq!(mine.len(), 1);
        let ending = hooks.deliver(&mine[0]).await;
        assert_eq!(hooks.requests().len(), 1);
        // Put into the line after the turn has looked for the last time, before its end is written.
        hooks.message().await;
        assert_eq!(hooks.claim().await, []);
        assert_eq!(queue::end_all(hooks.deps(), &[(mine[0].lease.clone(), ending)]).await.unwrap(), []);
        assert_eq!(hooks.run_due().await, 1);
        assert_eq!((hooks.requests().len(), hooks.run_due().await), (2, 0));
        let jobs = job::Entity::find().filter(job::Column::Kind.eq(DeliverLine::KIND));
        assert_eq!(jobs.all(hooks.deps().db.read()).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_worker_whose_lease_may_be_over_sends_nothing() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        hooks.message().await;
        let none = std::time::Duration::ZERO;
        let suspects = queue::Suspects::Any;
        let mine = queue::claim(hooks.deps(), Lane::Webhooks, "slow", 1, none, suspects).await.unwrap().remove(0);
        let ending = hooks.deliver(&mine).await;
        assert_eq!(
            (ending.outcome(&mine.lease), hooks.requests().len()),
            ("retry", 0),
            "another worker may be further"
        );
        // All who know the lease hear that it was renewed.
        let known = mine.lease.clone();
        let renewal = queue::renew(hooks.deps(), std::slice::from_ref(&mine.lease), LEASE).await.unwrap();
        assert_eq!((renewal.renewed, known.is_over()), (vec![known.id()], false));
        let ending = hooks.deliver(&mine).await;
        assert_eq!((ending.failure(), hooks.requests().len()), (None, 1));
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_at_once_and_its_owners_are_told() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let about = Some(vec!["webhook_endpoint.disabled".to_owned()]);
        let watcher = NewEndpoint { filter_types: about, ..to("https://watcher.example/") };
        create(hooks.deps(), &hooks.actor, watcher).await.unwrap();
        for _ in 0..6 {
            hooks.event(EventKind::UserUpdated).await;
        }
        hooks.fan_out().await;
        for _ in 0..4 {
            bench.http.answer_next_with_status(410);
        }
        let tried = hooks.run_all().await;
        assert!((1..=4).contains(&tried), "{tried}");
        let row = hooks.endpoint_row(hooks.endpoint.id).await;
        assert!(row.disabled);
        let states: Vec<_> = hooks.deliveries().await.iter().map(|delivery| delivery.state).collect();
        assert_eq!(states.iter().filter(|state| **state == DeliveryState::Failed).count(), tried);
        assert_eq!(states.iter().filter(|state| **state == DeliveryState::Dropped).count(), 6 - tried);

        hooks.fan_out().await;
        assert_eq!(hooks.run_all().await, 1);
        let told = hooks.requests().pop().unwrap();
        assert_eq!(told.url.host_str(), Some("watcher.example"));
        let told: serde_json::Value = serde_json::from_slice(&told.body).unwrap();
        assert_eq!(told["type"], "webhook_endpoint.disabled");
        assert_eq!(
            (&told["data"]["reason"], &told["data"]["url"]),
            (&json!("gone"), &json!("https://one.example/hook"))
        );
        let told = job::Entity::find().filter(job::Column::Kind.eq(TellOfDisabledEndpoint::KIND));
        assert_eq!(told.all(hooks.deps().db.read()).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn channels_follow_one_user_or_team() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let (one, other) = (UserId::random(), UserId::random());
        let channels = Some(vec![format!("user:{one}")]);
        only(&hooks, NewEndpoint { channels, ..to("https://one-user.example/") }).await;
        for user_id in [Some(one), Some(other), None] {
            let event = NewEvent {
                project_id: hooks.actor.project_id.clone(),
                kind: EventKind::UserUpdated,
                user_id,
                team_id: None,
                payload: json!({ "id": user_id }),
            };
            hooks.deps().db.write(async |tx| events::record(hooks.deps(), &tx, event.clone()).await).await.unwrap();
        }
        hooks.fan_out().await;
        assert_eq!((hooks.run_all().await, hooks.messages().await.len()), (1, 3));
        let body: serde_json::Value = serde_json::from_slice(&hooks.requests()[0].body).unwrap();
        assert_eq!(body["data"]["id"], json!(one));
    })
    .await;
}

#[tokio::test]
async fn owners_hear_of_messages_that_keep_failing_but_never_endlessly() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let kinds =
            ["user.updated", "webhook_message.failing", "webhook_message.exhausted", "webhook_message.recovered"];
        let filter_types = Some(kinds.map(str::to_owned).to_vec());
        let change = EndpointChange {
            filter_types: crate::patch::Patch::Set(kinds.map(str::to_owned).to_vec()),
            ..EndpointChange::default()
        };
        hooks.change(change).await;
        hooks.message().await;
        create(hooks.deps(), &hooks.actor, NewEndpoint { filter_types, ..to("https://watcher.example/") })
            .await
            .unwrap();
        let mut told = Vec::new();
        for attempt in 1..=8 {
            bench.http.answer_next_with_status(500);
            assert_eq!(hooks.run_due().await, 1, "{attempt}");
            hooks.fan_out().await;
            hooks.run_due().await;
            let requests = hooks.requests();
            let news = requests.iter().filter(|request| request.url.host_str() == Some("watcher.example"));
            told = news.map(|request| serde_json::from_slice::<serde_json::Value>(&request.body).unwrap()).collect();
            bench.clock.advance_seconds(13 * 3600);
        }
        let kinds: Vec<_> = told.iter().map(|told| told["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["webhook_message.failing", "webhook_message.exhausted"]);
        let message_id = wire_message_id(hooks.messages().await[0].id);
        assert!(told.iter().all(|told| told["data"]["message_id"] == json!(message_id)));
        // The endpoint itself has heard nothing of it.
        assert_eq!(arrived(&hooks, "one.example").iter().filter(|id| **id != message_id).count(), 0);

        // The watcher fails for ever: nothing is told of that.
        for _ in 0..5 {
            bench.http.answer_next_with_status(500);
        }
        hooks.message().await;
        let events = async || {
            let all = events::EventFilter::default();
            events::read(hooks.deps(), &hooks.actor.project_id, None, &all, 200).await.unwrap().events.len()
        };
        hooks.run_all().await;
        for _ in 0..20 {
            hooks.run_next().await;
            hooks.fan_out().await;
        }
        assert!(events().await < 20);
    })
    .await;
}

#[tokio::test]
async fn a_line_that_comes_to_results_is_no_suspect_however_often_its_workers_were_killed() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        hooks.message().await;
        let line = async || {
            let find = job::Entity::find().filter(job::Column::Kind.eq(DeliverLine::KIND));
            find.one(hooks.deps().db.read()).await.unwrap().unwrap()
        };
        crate::testing::let_down(hooks.deps(), line().await.id, 5).await;
        let claimed = hooks.claim().await;
        assert!(claimed[0].lease.is_suspect());
        let _ending = hooks.deliver(&claimed[0]).await;
        let row = line().await;
        assert_eq!((row.attempts, row.takeovers, hooks.attempts().await.len()), (1, 0, 1));
    })
    .await;
}
