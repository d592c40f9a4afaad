use std::collections::{BTreeMap, BTreeSet};

use postern_entity::webhook_attempt::AttemptTrigger;
use secrecy::ExposeSecret;
use standardwebhooks::Webhook;

use super::*;
use crate::{
    ports::http::{HttpError, OutgoingResponse},
    testing::START,
};

#[tokio::test]
async fn an_event_arrives_once_and_its_exact_bytes_are_signed() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        hooks.message().await;
        assert_eq!(hooks.run_due().await, 1);
        assert_eq!(hooks.run_due().await, 0);

        let [request] = &hooks.requests()[..] else { panic!("one request") };
        assert_eq!(request.url.as_str(), "https://one.example/hook");
        let body = r#"{"type":"user.updated","data":{"id":"u","name":"Ü"}}"#;
        assert_eq!(request.body, body.as_bytes());
        assert_eq!(header(request, "content-type"), "application/json");
        assert!(header(request, "user-agent").starts_with("Svix-Webhooks/"));
        let [message] = &hooks.messages().await[..] else { panic!("one message") };
        assert_eq!(header(request, "svix-id"), wire_message_id(message.id));
        assert_eq!(header(request, "svix-timestamp"), START.seconds().to_string());
        for part in ["id", "timestamp", "signature"] {
            assert_eq!(header(request, &format!("svix-{part}")), header(request, &format!("webhook-{part}")));
        }
        let secret = secret(hooks.deps(), &hooks.actor, hooks.endpoint.id).await.unwrap();
        let signed = Webhook::new(secret.expose_secret())
            .unwrap()
            .sign(header(request, "svix-id"), START.seconds(), body.as_bytes())
            .unwrap();
        assert_eq!(header(request, "svix-signature"), signed);

        let delivery = hooks.delivery().await;
        assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Succeeded, 1));
        assert_eq!(delivery.next_attempt_at, None);
        let [attempt] = &hooks.attempts().await[..] else { panic!("one attempt") };
        assert_eq!((attempt.trigger_type, attempt.succeeded), (AttemptTrigger::Scheduled, true));
        assert_eq!((attempt.response_status, attempt.attempted_at), (200, START));
    })
    .await;
}

#[tokio::test]
async fn each_endpoint_gets_what_it_wants_and_nothing_of_other_projects() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let (deps, actor) = (hooks.deps(), &hooks.actor);
        let stranger = Hooks::on(&bench).await;
        let filter = |types: &[&str]| Some(types.iter().map(|kind| (*kind).to_owned()).collect());
        let filtered = NewEndpoint {
            filter_types: filter(&["team.created", "session.created"]),
            ..to("https://filtered.example/")
        };
        create(deps, actor, filtered).await.unwrap();
        let channelled = NewEndpoint { channels: filter(&["eu"]), ..to("https://channelled.example/") };
        create(deps, actor, channelled).await.unwrap();
        create(deps, actor, NewEndpoint { disabled: true, ..to("https://disabled.example/") }).await.unwrap();
        let deleted = create(deps, actor, to("https://deleted.example/")).await.unwrap();
        delete(deps, actor, deleted.id).await.unwrap();

        let kinds = [
            EventKind::UserCreated,
            EventKind::TeamCreated,
            EventKind::SessionCreated,
            EventKind::ProjectPermissionDeleted,
            EventKind::KeySetCreated,
        ];
        for kind in kinds {
            hooks.event(kind).await;
        }
        hooks.fan_out().await;
        hooks.run_due().await;
        let mut got: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for request in hooks.requests() {
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let kind = body["type"].as_str().unwrap().to_owned();
            assert!(got.entry(request.url.host_str().unwrap().to_owned()).or_default().insert(kind), "twice");
        }
        let set = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<BTreeSet<_>>();
        let expected = BTreeMap::from([
            ("one.example".to_owned(), set(&["user.created", "team.created", "project_permission.deleted"])),
            ("filtered.example".to_owned(), set(&["team.created", "session.created"])),
        ]);
        assert_eq!(got, expected);
        assert!(hooks.deliveries().await.iter().all(|delivery| delivery.project_id != stranger.actor.project_id));
    })
    .await;
}

#[tokio::test]
async fn a_project_without_endpoints_has_no_messages() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        delete(hooks.deps(), &hooks.actor, hooks.endpoint.id).await.unwrap();
        hooks.message().await;
        assert_eq!(hooks.messages().await, []);
        assert!(!events::has_unconsumed(hooks.deps(), "webhooks").await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn racing_workers_fan_an_event_out_once_and_commit_in_small_steps() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        for number in 0..9 {
            create(hooks.deps(), &hooks.actor, to(&format!("https://{number}.example/"))).await.unwrap();
        }
        for _ in 0..30 {
            hooks.event(EventKind::UserUpdated).await;
        }
        while events::sequence(hooks.deps()).await.unwrap() {}
        // 11 rows an event: ten of them fill a transaction.
        assert!(fan_out(hooks.deps()).await.unwrap());
        assert!(hooks.messages().await.len() <= 10);
        let worker = async || while fan_out(hooks.deps()).await.unwrap() {};
        futures::join!(worker(), worker(), worker(), worker());
        hooks.fan_out().await;

        let positions: BTreeSet<_> = hooks.messages().await.iter().map(|message| message.event_position).collect();
        assert_eq!((hooks.messages().await.len(), positions.len()), (30, 30));
        let deliveries = hooks.deliveries().await;
        let pairs: BTreeSet<_> = deliveries.iter().map(|row| (row.message_id, row.endpoint_id)).collect();
        assert_eq!((deliveries.len(), pairs.len()), (300, 300));
        let mut runs = 0;
        loop {
            match hooks.run_due().await {
                0 => break,
                count => runs += count,
            }
        }
        assert_eq!((runs, hooks.requests().len(), hooks.attempts().await.len()), (300, 300, 300));
        assert!(hooks.deliveries().await.iter().all(|delivery| delivery.state == DeliveryState::Succeeded));
    })
    .await;
}

#[tokio::test]
async fn only_2xx_is_a_success() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        for (status, good) in
            [(200, true), (204, true), (299, true), (301, false), (304, false), (400, false), (500, false)]
        {
            bench.http.answer_next_with_status(status);
            hooks.message().await;
            hooks.run_due().await;
            let delivery = hooks.deliveries().await.pop().unwrap();
            let expected = if good { DeliveryState::Succeeded } else { DeliveryState::Sending };
            assert_eq!(delivery.state, expected, "{status}");
            assert_eq!(hooks.attempts().await.last().unwrap().response_status, i32::from(status));
            bench.clock.advance_seconds(1);
        }
    })
    .await;
}

#[tokio::test]
async fn what_came_back_is_kept_with_the_attempt() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let body = bytes::Bytes::from_static(b"\xff\x00 not text");
        bench.http.answer_next(Ok(OutgoingResponse { status: 503, headers: Vec::new(), body: body.clone() }));
        hooks.message().await;
        hooks.run_due().await;
        assert_eq!(hooks.requests()[0].max_response_bytes, 20_000);
        assert_eq!(hooks.requests()[0].timeout, Duration::from_secs(30));
        let attempts = hooks.attempts().await;
        assert_eq!(attempts[0].response_body.as_deref(), Some(body.as_ref()));
        assert_eq!(attempts[0].error, None);

        bench.http.answer_next(Err(HttpError::Forbidden("the host has a private address".to_owned())));
        hooks.run_next().await;
        let attempts = hooks.attempts().await;
        assert_eq!((attempts[1].response_status, attempts[1].response_body.as_deref()), (0, None));
        assert_eq!(attempts[1].error.as_deref(), Some("the host has a private address"));
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_fails_at_once_is_tried_once_more_within_the_attempt() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let reset = || Err(HttpError::Connection("reset".to_owned()));
        bench.http.answer_next(reset());
        hooks.message().await;
        hooks.run_due().await;
        assert_eq!(hooks.requests().len(), 2);
        assert_eq!(hooks.delivery().await.state, DeliveryState::Succeeded);
        assert_eq!(hooks.attempts().await.len(), 1);
        let ids: BTreeSet<_> = hooks.requests().iter().map(|request| header(request, "svix-id").to_owned()).collect();
        assert_eq!(ids.len(), 1);

        bench.clock.advance_seconds(1);
        bench.http.answer_next(reset());
        bench.http.answer_next(reset());
        hooks.message().await;
        hooks.run_due().await;
        assert_eq!(hooks.requests().len(), 4);
        assert_eq!(hooks.attempts().await.last().unwrap().error.as_deref(), Some("reset"));
    })
    .await;
}

#[tokio::test]
async fn a_crash_between_the_answer_and_the_commit_repeats_the_attempt_under_the_same_id() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        hooks.message().await;
        let claimed = hooks.claim().await;
        // The worker falls asleep here; its lease runs out and another one takes over, which dies after the answer.
        assert_eq!(hooks.run_due().await, 0);
        bench.clock.advance_seconds(61);
        let taken_over = hooks.claim().await;
        assert_eq!(taken_over.len(), 1);
        let ending = hooks.deliver(&claimed[0]).await;
        // The sleeper has posted too, but what it has to say does not count any more.
        assert_eq!((hooks.requests().len(), hooks.attempts().await.len()), (1, 0));
        let lost = queue::end_all(hooks.deps(), &[(claimed[0].lease.clone(), ending)]).await.unwrap();
        assert_eq!(lost, [claimed[0].lease.job_id]);
        bench.clock.advance_seconds(61);
        assert_eq!(hooks.run_due().await, 1);
        let requests = hooks.requests();
        assert_eq!(requests.len(), 2);
        assert_eq!(header(&requests[0], "svix-id"), header(&requests[1], "svix-id"));
        assert_eq!(requests[0].body, requests[1].body);
        assert_eq!(hooks.attempts().await.len(), 1);
        assert_eq!(hooks.delivery().await.attempts, 1);
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_is_read_anew_at_each_attempt() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        bench.http.answer_next_with_status(500);
        hooks.message().await;
        hooks.run_due().await;
        hooks
            .change(EndpointChange {
                url: Some("https://moved.example/".to_owned()),
                headers: BTreeMap::from([("Authorization".to_owned(), crate::patch::Patch::Set("Bearer b".into()))]),
                ..EndpointChange::default()
            })
            .await;
        rotate_secret(hooks.deps(), &hooks.actor, hooks.endpoint.id, None, None, Some(0)).await.unwrap();
        assert_eq!(hooks.run_next().await, 1);
        let requests = hooks.requests();
        assert_eq!(requests[1].url.as_str(), "https://moved.example/");
        assert_eq!(header(&requests[1], "authorization"), "Bearer b");
        let secret = secret(hooks.deps(), &hooks.actor, hooks.endpoint.id).await.unwrap();
        let now = hooks.deps().now().seconds();
        let webhook = Webhook::new(secret.expose_secret()).unwrap();
        let signed = webhook.sign(header(&requests[1], "svix-id"), now, &requests[1].body).unwrap();
        assert_eq!(header(&requests[1], "svix-signature"), signed);
        let urls: Vec<_> = hooks.attempts().await.into_iter().map(|attempt| attempt.url).collect();
        assert_eq!(urls, ["https://one.example/hook", "https://moved.example/"]);
    })
    .await;
}

#[tokio::test]
async fn what_waits_for_a_disabled_or_deleted_endpoint_is_dropped() {
    for deleted in [false, true] {
        on_each_database(|bench| async move {
            let hooks = Hooks::on(&bench).await;
            bench.http.answer_next_with_status(500);
            hooks.message().await;
            hooks.run_due().await;
            hooks.message().await;
            if deleted {
                delete(hooks.deps(), &hooks.actor, hooks.endpoint.id).await.unwrap();
            } else {
                hooks.disable().await;
            }
            assert_eq!(hooks.run_next().await, 0);
            assert_eq!(hooks.requests().len(), 1);
            let states: Vec<_> = hooks.deliveries().await.iter().map(|row| (row.state, row.next_attempt_at)).collect();
            assert_eq!(states, [(DeliveryState::Dropped, None); 2]);
            assert_eq!(hooks.attempts().await.len(), 1);
            assert_eq!(hooks.run_next().await, 0);
        })
        .await;
    }
}

#[tokio::test]
async fn a_delivery_whose_message_is_gone_ends_quietly() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        hooks.message().await;
        let remove = async |tx: crate::db::Tx| {
            webhook_message::Entity::delete_many().exec(&*tx).await?;
            Ok(())
        };
        hooks.deps().db.write(remove).await.unwrap();
        assert_eq!(hooks.deliveries().await, []);
        assert_eq!(hooks.run_due().await, 0);
        assert_eq!((hooks.requests().len(), hooks.run_next().await), (0, 0));
    })
    .await;
}
