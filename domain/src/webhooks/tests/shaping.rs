//! Payloads by selection, sending stretches again, what was given up, and forgetting.

use postern_entity::{UserId, WebhookDeliveryId};
use secrecy::ExposeSecret;
use standardwebhooks::Webhook;

use super::*;
use crate::{
    Code,
    events::{Left, jobs::EraseUserEvents},
    patch::Patch,
};

async fn run_recoveries(hooks: &Hooks<'_>) {
    for claimed in
        queue::claim(hooks.deps(), Lane::General, "test", MAX_BATCH, LEASE, queue::Suspects::Any).await.unwrap()
    {
        let job: RecoverWebhookEndpoint = serde_json::from_value(claimed.payload).unwrap();
        let mut place = recover_step(hooks.deps(), &job, None).await.unwrap();
        while place.is_some() {
            place = recover_step(hooks.deps(), &job, place).await.unwrap();
        }
        queue::end_all(hooks.deps(), &[(claimed.lease, Ending::done())]).await.unwrap();
    }
}

const SELECTION: &str = "{ what: type data { id } }";
const SHAPED: &str = r#"{"what":"user.updated","data":{"id":"u"}}"#;

#[tokio::test]
async fn an_endpoint_gets_the_parts_it_selected_and_those_bytes_are_signed() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let new = NewEndpoint { selection: Some(SELECTION.to_owned()), ..to("https://shaped.example/") };
        let shaped = create(hooks.deps(), &hooks.actor, new).await.unwrap();
        assert_eq!(shaped.selection.as_deref(), Some(SELECTION));
        bench.http.answer_next_with_status(500);
        bench.http.answer_next_with_status(500);
        hooks.message().await;
        assert_eq!(hooks.run_due().await, 2);
        // Another selection is for messages to come; what waits keeps its bytes.
        let other = EndpointChange { selection: Patch::Clear, ..EndpointChange::default() };
        update(hooks.deps(), &hooks.actor, shaped.id, other).await.unwrap();
        assert_eq!(hooks.run_next().await, 2);
        let of = |host: &str| {
            let requests = hooks.requests().into_iter().filter(|request| request.url.host_str() == Some(host));
            requests.collect::<Vec<_>>()
        };
        let (plain, picked) = (of("one.example"), of("shaped.example"));
        assert!(
            plain
                .iter()
                .all(|request| request.body == r#"{"type":"user.updated","data":{"id":"u","name":"Ü"}}"#.as_bytes())
        );
        assert_eq!(picked.len(), 2);
        let secret = secret(hooks.deps(), &hooks.actor, shaped.id).await.unwrap();
        for request in &picked {
            assert_eq!(request.body, SHAPED.as_bytes());
            assert_eq!(header(request, "svix-id"), header(&plain[0], "svix-id"));
            let timestamp = header(request, "svix-timestamp").parse().unwrap();
            let webhook = Webhook::new(secret.expose_secret()).unwrap();
            let signature = webhook.sign(header(request, "svix-id"), timestamp, SHAPED.as_bytes()).unwrap();
            assert_eq!(header(request, "svix-signature"), signature);
        }
    })
    .await;
}

#[tokio::test]
async fn selections_rates_and_keys_that_make_no_sense_are_refused_by_name() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let bad = NewEndpoint {
            selection: Some("{ data { nickname } }".to_owned()),
            rate_limit: Some(0),
            ..to("https://bad.example/")
        };
        let refused = create(hooks.deps(), &hooks.actor, bad).await.unwrap_err();
        assert!(refused.is(Code::SchemaError));
        let text = refused.failure().unwrap().message.to_string();
        assert!(
            text.contains("rateLimit must be 1 to 10000") && text.contains("selection asks for data.nickname"),
            "{text}"
        );
        // A filter that leaves nothing of the selection.
        let fine =
            NewEndpoint { selection: Some("{ data { primaryEmail } }".to_owned()), ..to("https://fine.example/") };
        let made = create(hooks.deps(), &hooks.actor, fine).await.unwrap();
        let narrower =
            EndpointChange { filter_types: Patch::Set(vec!["team.created".to_owned()]), ..EndpointChange::default() };
        assert!(update(hooks.deps(), &hooks.actor, made.id, narrower).await.unwrap_err().is(Code::SchemaError));
    })
    .await;
}

#[tokio::test]
async fn a_stretch_is_replayed_once_and_what_was_missing_gets_its_schedule() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let since = hooks.deps().now();
        for _ in 0..3 {
            hooks.message().await;
        }
        hooks.run_all().await;
        let late = NewEndpoint { in_order: true, selection: Some(SELECTION.to_owned()), ..to("https://late.example/") };
        let late = create(hooks.deps(), &hooks.actor, late).await.unwrap();
        hooks.fan_out().await;
        let stretch = |which| Stretch { since, until: None, which, event_types: vec!["user.updated".to_owned()] };
        replay(hooks.deps(), &hooks.actor, late.id, stretch(Which::Missing)).await.unwrap();
        run_recoveries(&hooks).await;
        bench.http.answer_next_with_status(500);
        assert_eq!(hooks.run_all().await, 1);
        // It has its schedule, and its order.
        bench.clock.advance_seconds(10);
        assert_eq!(hooks.run_all().await, 3);
        let got: Vec<_> = hooks.requests()[4..].iter().map(|request| header(request, "svix-id").to_owned()).collect();
        let ids: Vec<_> = hooks.messages().await.iter().map(|message| wire_message_id(message.id)).collect();
        assert_eq!(got, ids);
        assert!(hooks.requests()[4..].iter().all(|request| request.body == SHAPED.as_bytes()));

        // Nothing is missing any more; all of it can be sent again, once.
        replay(hooks.deps(), &hooks.actor, late.id, stretch(Which::Missing)).await.unwrap();
        run_recoveries(&hooks).await;
        assert_eq!(hooks.run_all().await, 0);
        replay(hooks.deps(), &hooks.actor, hooks.endpoint.id, stretch(Which::All)).await.unwrap();
        run_recoveries(&hooks).await;
        bench.http.answer_next_with_status(500);
        assert_eq!(hooks.run_all().await, 3);
        assert_eq!(hooks.run_next().await, 0);

        let unknown = Stretch { event_types: vec!["user.exploded".to_owned()], ..stretch(Which::All) };
        assert!(replay(hooks.deps(), &hooks.actor, late.id, unknown).await.unwrap_err().is(Code::SchemaError));
    })
    .await;
}

#[tokio::test]
async fn what_was_given_up_is_listed_and_redriven_with_a_new_schedule() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        for _ in 0..2 {
            hooks.message().await;
        }
        for _ in 0..8 {
            bench.http.answer_next_with_status(500);
            bench.http.answer_next_with_status(500);
            hooks.run_due().await;
            bench.clock.advance_seconds(13 * 3600);
        }
        let letters =
            async |endpoint_id| dead_letters(hooks.deps(), &hooks.actor, endpoint_id, FIRST_PAGE).await.unwrap().items;
        let dead = letters(Some(hooks.endpoint.id)).await;
        assert_eq!((dead.len(), letters(None).await.len()), (2, 2));
        assert_eq!(letters(Some(WebhookEndpointId::random())).await, []);
        let since = hooks.deps().now().plus_seconds(-20 * 86_400);
        let counted = statistics(hooks.deps(), &hooks.actor, hooks.endpoint.id, since).await.unwrap();
        assert_eq!((counted.failed, counted.sending, counted.attempts_failed), (2, 0, 16));

        assert_eq!(redrive(hooks.deps(), &hooks.actor, &[dead[0].id]).await.unwrap(), 1);
        bench.http.answer_next_with_status(500);
        assert_eq!(hooks.run_due().await, 1);
        // Not the only attempt: the schedule begins anew.
        assert_eq!(hooks.run_next().await, 1);
        assert_eq!(letters(None).await.len(), 1);
        redrive_all(hooks.deps(), &hooks.actor, hooks.endpoint.id).await.unwrap();
        run_recoveries(&hooks).await;
        assert_eq!(hooks.run_due().await, 1);
        assert_eq!(letters(None).await, []);

        for bad in [vec![], vec![WebhookDeliveryId::random(); 101]] {
            assert!(redrive(hooks.deps(), &hooks.actor, &bad).await.unwrap_err().is(Code::SchemaError));
        }
        assert_eq!(redrive(hooks.deps(), &hooks.actor, &[WebhookDeliveryId::random()]).await.unwrap(), 0);
        let early = hooks.deps().now().plus_seconds(-30 * 86_400);
        assert!(
            statistics(hooks.deps(), &hooks.actor, hooks.endpoint.id, early).await.unwrap_err().is(Code::SchemaError)
        );
    })
    .await;
}

#[tokio::test]
async fn examples_have_the_form_of_their_type() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        send_example(hooks.deps(), &hooks.actor, hooks.endpoint.id, "team.created").await.unwrap();
        assert_eq!(hooks.run_due().await, 1);
        let body: serde_json::Value = serde_json::from_slice(&hooks.requests()[0].body).unwrap();
        assert_eq!(body["type"], "team.created");
        assert!(body["data"]["display_name"].is_string());
        for kind in ["key_set.created", "user.exploded", ""] {
            let refused = send_example(hooks.deps(), &hooks.actor, hooks.endpoint.id, kind).await.unwrap_err();
            assert!(refused.is(Code::SchemaError), "{kind}");
        }
    })
    .await;
}

async fn prune(hooks: &Hooks<'_>) {
    let mut place = prune_step(hooks.deps(), None).await.unwrap();
    while place.is_some() {
        place = prune_step(hooks.deps(), place).await.unwrap();
    }
}

#[tokio::test]
async fn payloads_go_before_messages_and_everything_goes_in_the_end() {
    on_each_database(|mut bench| async move {
        let settings = crate::settings::Settings { webhook_retention_days: 30, ..crate::testing::settings() };
        bench.deps.settings = std::sync::Arc::new(settings);
        let hooks = Hooks::on(&bench).await;
        for _ in 0..130 {
            hooks.event(EventKind::UserUpdated).await;
        }
        hooks.fan_out().await;
        hooks.run_all().await;
        bench.clock.advance_seconds(29 * 86_400);
        hooks.message().await;
        hooks.run_all().await;
        prune(&hooks).await;
        assert!(hooks.messages().await.iter().all(|message| message.payload.is_some()));

        bench.clock.advance_seconds(2 * 86_400);
        prune(&hooks).await;
        let kept: Vec<_> = hooks.messages().await.iter().filter(|message| message.payload.is_some()).cloned().collect();
        assert_eq!((kept.len(), hooks.messages().await.len()), (1, 131));
        let old = hooks.messages().await[0].id;
        let refused = resend(hooks.deps(), &hooks.actor, old, hooks.endpoint.id).await.unwrap_err();
        assert!(refused.is(Code::BadRequest));

        bench.clock.advance_seconds(60 * 86_400);
        prune(&hooks).await;
        assert_eq!(
            (hooks.messages().await.len(), hooks.deliveries().await.len(), hooks.attempts().await.len()),
            (1, 1, 1)
        );
    })
    .await;
}

#[tokio::test]
async fn payloads_about_a_deleted_user_are_erased_once_nobody_waits_for_them() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let user_id = UserId::random();
        for kind in [EventKind::UserUpdated, EventKind::UserDeleted] {
            let event = NewEvent {
                project_id: hooks.actor.project_id.clone(),
                kind,
                user_id: Some(user_id),
                team_id: None,
                payload: json!({ "id": user_id }),
            };
            hooks.deps().db.write(async |tx| events::record(hooks.deps(), &tx, event.clone()).await).await.unwrap();
        }
        hooks.fan_out().await;
        hooks.message().await;
        let job = EraseUserEvents { project_id: hooks.actor.project_id.clone(), user_id };
        assert_eq!(erase_user_step(hooks.deps(), &job).await.unwrap(), Left::Waiting);
        hooks.run_all().await;
        assert_eq!(hooks.requests().len(), 3);
        assert_eq!(erase_user_step(hooks.deps(), &job).await.unwrap(), Left::Nothing);
        let kept: Vec<_> = hooks.messages().await.iter().map(|message| message.payload.is_some()).collect();
        assert_eq!(kept, [false, true, true]);
    })
    .await;
}

#[tokio::test]
async fn endpoints_of_the_config_file_are_what_it_says_and_nothing_else_changes_them() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let (deps, actor) = (hooks.deps(), &hooks.actor);
        let apply = async |webhooks: serde_json::Value| {
            let file = crate::projects::ConfigFile::read(json!({ "webhooks": webhooks })).unwrap();
            crate::projects::apply_config_file(deps, actor, &file).await
        };
        let secret_of_file = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let crm = json!({
            "url": "https://crm.example/",
            "filterTypes": ["user.created"],
            "headers": { "Authorization": "Bearer hidden", "x-mine": "shown" },
            "rateLimit": 5,
            "secret": secret_of_file,
        });
        assert!(apply(json!({ "crm": crm })).await.unwrap().webhooks_changed);
        assert!(!apply(json!({ "crm": crm })).await.unwrap().webhooks_changed);
        let all = endpoints(deps, actor, FIRST_PAGE).await.unwrap().items;
        assert_eq!(all.len(), 2);
        let made = all.iter().find(|endpoint| endpoint.config_key.is_some()).unwrap();
        assert_eq!((made.config_key.as_deref(), made.rate_limit), (Some("crm"), Some(5)));
        assert_eq!(secret(deps, actor, made.id).await.unwrap().expose_secret(), secret_of_file);
        let change = EndpointChange { disabled: Some(true), ..EndpointChange::default() };
        assert!(update(deps, actor, made.id, change).await.unwrap_err().is(Code::Conflict));
        assert!(delete(deps, actor, made.id).await.unwrap_err().is(Code::Conflict));
        assert!(rotate_secret(deps, actor, made.id, None, None, None).await.unwrap_err().is(Code::Conflict));

        let moved = json!({ "url": "https://moved.example/", "headers": { "x-mine": "shown" } });
        assert!(
            apply(json!({ "crm": moved, "new": { "url": "https://new.example/" } })).await.unwrap().webhooks_changed
        );
        let same = endpoint(deps, actor, made.id).await.unwrap();
        assert_eq!((same.url.as_str(), same.rate_limit, same.filter_types), ("https://moved.example/", None, None));
        assert_eq!(same.sensitive_headers, Vec::<String>::new());

        // What is wrong is named, and nothing of the file is done.
        let bad =
            apply(json!({ "crm": moved, "bad": { "url": "http://10.0.0.1/", "rateLimit": 0 } })).await.unwrap_err();
        let text = bad.failure().unwrap().message.to_string();
        assert!(text.contains("webhooks.bad: url has a private address") && text.contains("rateLimit"), "{text}");
        assert_eq!(endpoints(deps, actor, FIRST_PAGE).await.unwrap().items.len(), 3);
        let wrong =
            crate::projects::ConfigFile::read(json!({ "webhooks": { "a b": {}, "crm": { "url": 7, "x": 1 } } }));
        assert_eq!(wrong.unwrap_err().0.len(), 2);

        assert!(apply(json!({})).await.unwrap().webhooks_changed);
        let left = endpoints(deps, actor, FIRST_PAGE).await.unwrap().items;
        assert_eq!(left.iter().map(|endpoint| endpoint.id).collect::<Vec<_>>(), [hooks.endpoint.id]);
    })
    .await;
}

#[tokio::test]
async fn asymmetric_signatures_show_the_public_key_only_and_rotate() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let (deps, actor) = (hooks.deps(), &hooks.actor);
        let new = NewEndpoint { scheme: Scheme::Ed25519, ..to("https://asymmetric.example/") };
        let made = create(deps, actor, new).await.unwrap();
        let first = secret(deps, actor, made.id).await.unwrap();
        assert!(first.expose_secret().starts_with("whpk_"));
        rotate_secret(deps, actor, made.id, None, None, Some(60)).await.unwrap();
        let second = secret(deps, actor, made.id).await.unwrap();
        assert!(second.expose_secret().starts_with("whpk_") && second.expose_secret() != first.expose_secret());
        rotate_secret(deps, actor, made.id, None, Some(Scheme::Hmac), Some(60)).await.unwrap();
        assert!(secret(deps, actor, made.id).await.unwrap().expose_secret().starts_with("whsec_"));
        hooks.message().await;
        hooks.run_all().await;
        let requests = hooks.requests();
        let request = requests.iter().find(|request| request.url.host_str() == Some("asymmetric.example")).unwrap();
        let versions: Vec<_> = header(request, "webhook-signature")
            .split(' ')
            .map(|signature| signature.split(',').next().unwrap())
            .collect();
        assert_eq!(versions, ["v1", "v1a", "v1a"]);
    })
    .await;
}
