use std::collections::BTreeMap;

use postern_entity::webhook_secret;
use secrecy::ExposeSecret;

use super::*;
use crate::{actor::IdempotencyKey, patch::Patch, webhooks::rules::MAX_ENDPOINTS};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

#[tokio::test]
async fn an_endpoint_reads_back_without_what_is_secret() {
    on_each_database(|bench| async move {
        let (deps, actor) = (&bench.deps, admin(&bench.insert_project().await));
        let new = NewEndpoint {
            url: "https://one.example/hook".to_owned(),
            description: "The first".to_owned(),
            filter_types: Some(vec!["user.created".to_owned()]),
            channels: Some(vec!["eu".to_owned()]),
            headers: BTreeMap::from([
                ("X-Mine".to_owned(), "shown".into()),
                ("Authorization".to_owned(), "Bearer hidden-value".into()),
            ]),
            secret: Some(SECRET.into()),
            ..NewEndpoint::default()
        };
        let made = create(deps, &actor, new).await.unwrap();
        assert_eq!(made, endpoint(deps, &actor, made.id).await.unwrap());
        assert_eq!(made.headers, BTreeMap::from([("x-mine".to_owned(), "shown".to_owned())]));
        assert_eq!(made.sensitive_headers, ["authorization"]);
        assert_eq!(made.filter_types, Some(vec!["user.created".to_owned()]));
        assert_eq!(secret(deps, &actor, made.id).await.unwrap().expose_secret(), SECRET);

        let row = webhook_endpoint::Entity::find_by_id(made.id).one(deps.db.read()).await.unwrap().unwrap();
        let secrets = webhook_secret::Entity::find().all(deps.db.read()).await.unwrap();
        let stored = [row.headers.clone().unwrap(), secrets[0].sealed.clone()].concat();
        for plain in ["hidden-value", "shown", "C2FVsBQ"] {
            assert!(!stored.windows(plain.len()).any(|window| window == plain.as_bytes()), "{plain}");
        }
        assert!(!format!("{made:?}").contains("hidden-value"));
    })
    .await;
}

#[tokio::test]
async fn every_violation_is_named_at_once_and_nothing_is_written() {
    on_each_database(|bench| async move {
        let (deps, actor) = (&bench.deps, admin(&bench.insert_project().await));
        let new = NewEndpoint {
            url: "http://10.0.0.1/".to_owned(),
            description: "d".repeat(1001),
            filter_types: Some(vec!["user.exploded".to_owned()]),
            channels: Some(Vec::new()),
            headers: BTreeMap::from([("svix-id".to_owned(), "mine".into()), ("x-line".to_owned(), "a\r\nb".into())]),
            ..NewEndpoint::default()
        };
        let error = create(deps, &actor, new).await.unwrap_err();
        let failure = error.failure().unwrap();
        assert_eq!(failure.code, Code::SchemaError);
        for named in ["url has a private", "description", "user.exploded", "channels", "svix-id", "x-line"] {
            assert!(failure.message.contains(named), "{named}: {}", failure.message);
        }
        for bad in ["whsec_short", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD", ""] {
            let new = NewEndpoint { secret: Some(bad.into()), ..to("https://one.example/") };
            assert!(create(deps, &actor, new).await.unwrap_err().is(Code::SchemaError));
        }
        assert_eq!(endpoints(deps, &actor, FIRST_PAGE).await.unwrap().items, []);
        assert_eq!(webhook_secret::Entity::find().all(deps.db.read()).await.unwrap(), []);

        let made = create(deps, &actor, to("https://one.example/")).await.unwrap();
        let change = EndpointChange {
            url: Some("http://[::1]/".to_owned()),
            description: Some("changed".to_owned()),
            headers: BTreeMap::from([("host".to_owned(), Patch::Set("evil".into()))]),
            ..EndpointChange::default()
        };
        let error = update(deps, &actor, made.id, change).await.unwrap_err();
        assert!(error.failure().unwrap().message.contains("host"));
        assert_eq!(endpoint(deps, &actor, made.id).await.unwrap(), made);
    })
    .await;
}

#[tokio::test]
async fn only_what_is_mentioned_changes() {
    on_each_database(|bench| async move {
        let (deps, actor) = (&bench.deps, admin(&bench.insert_project().await));
        let new = NewEndpoint {
            description: "first".to_owned(),
            filter_types: Some(vec!["user.created".to_owned()]),
            headers: BTreeMap::from([("x-a".to_owned(), "1".into()), ("x-b".to_owned(), "2".into())]),
            ..to("https://one.example/")
        };
        let made = create(deps, &actor, new).await.unwrap();
        bench.clock.advance_seconds(1);
        let change = EndpointChange {
            filter_types: Patch::Clear,
            headers: BTreeMap::from([("X-A".to_owned(), Patch::Clear), ("x-c".to_owned(), Patch::Set("3".into()))]),
            ..EndpointChange::default()
        };
        let changed = update(deps, &actor, made.id, change).await.unwrap();
        assert_eq!((changed.url.as_str(), changed.description.as_str()), ("https://one.example/", "first"));
        assert_eq!(changed.filter_types, None);
        assert_eq!(changed.headers.keys().collect::<Vec<_>>(), ["x-b", "x-c"]);
        assert_eq!(changed.updated_at, made.updated_at.plus_seconds(1));
        assert_eq!(endpoint(deps, &actor, made.id).await.unwrap(), changed);
    })
    .await;
}

#[tokio::test]
async fn nobody_but_an_administrator_of_the_project_sees_or_changes_anything() {
    on_each_database(|bench| async move {
        let deps = &bench.deps;
        let owner = admin(&bench.insert_project().await);
        let id = create(deps, &owner, to("https://one.example/")).await.unwrap().id;
        let before = endpoint(deps, &owner, id).await.unwrap();
        let server = Actor::new(owner.project_id.clone(), Level::Server, None);
        let client = Actor::new(owner.project_id.clone(), Level::Client, None);
        let stranger = admin(&bench.insert_project().await);
        for (actor, code) in [
            (&server, Code::InsufficientAccessType),
            (&client, Code::InsufficientAccessType),
            (&stranger, Code::NotFound),
        ] {
            let since = deps.now().plus_seconds(-60);
            let outcomes = [
                endpoint(deps, actor, id).await.err(),
                update(deps, actor, id, EndpointChange { disabled: Some(true), ..Default::default() }).await.err(),
                delete(deps, actor, id).await.err(),
                secret(deps, actor, id).await.err(),
                rotate_secret(deps, actor, id, None, None, None).await.err(),
                send_test(deps, actor, id).await.err(),
                resend(deps, actor, postern_entity::WebhookMessageId::random(), id).await.err(),
                recover(deps, actor, id, since, None).await.err(),
                message(deps, actor, postern_entity::WebhookMessageId::random()).await.err(),
                attempt(deps, actor, crate::WebhookMessageId::random(), crate::WebhookAttemptId::random()).await.err(),
                expunge_response(deps, actor, crate::WebhookMessageId::random(), crate::WebhookAttemptId::random())
                    .await
                    .err(),
                sent_to(deps, actor, id, &SentFilter::default(), FIRST_PAGE).await.err(),
            ];
            for (index, outcome) in outcomes.into_iter().enumerate() {
                assert!(outcome.unwrap().is(code), "{actor:?} {index}");
            }
        }
        for actor in [&server, &client] {
            let code = Code::InsufficientAccessType;
            let new = to("https://two.example/");
            assert!(create(deps, actor, new).await.unwrap_err().is(code));
            assert!(endpoints(deps, actor, FIRST_PAGE).await.unwrap_err().is(code));
            assert!(endpoints_by_ids(deps, actor, &[id]).await.unwrap_err().is(code));
            assert!(messages(deps, actor, &MessageFilter::default(), FIRST_PAGE).await.unwrap_err().is(code));
            assert!(count_endpoints(deps, actor).await.unwrap_err().is(code));
            assert!(count_messages(deps, actor, &MessageFilter::default()).await.unwrap_err().is(code));
            assert!(deliveries_of(deps, actor, &[]).await.unwrap_err().is(code));
            assert!(
                attempts(deps, actor, AttemptsOf::Endpoint(id), &AttemptFilter::default(), FIRST_PAGE)
                    .await
                    .unwrap_err()
                    .is(code)
            );
            assert!(attempts_of(deps, actor, &[]).await.unwrap_err().is(code));
            assert!(messages_by_ids(deps, actor, &[]).await.unwrap_err().is(code));
            assert!(try_out(deps, actor, id).await.unwrap_err().is(code));
        }
        assert_eq!(endpoints(deps, &stranger, FIRST_PAGE).await.unwrap().items, []);
        assert_eq!(endpoints_by_ids(deps, &stranger, &[id]).await.unwrap(), []);
        assert_eq!(endpoint(deps, &owner, id).await.unwrap(), before);
        assert_eq!(queue::claim(deps, Lane::Webhooks, "test", 10, LEASE, queue::Suspects::Any).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn lists_are_paged_in_the_order_of_making() {
    on_each_database(|bench| async move {
        let (deps, actor) = (&bench.deps, admin(&bench.insert_project().await));
        let mut made = Vec::new();
        for number in 0..5 {
            made.push(create(deps, &actor, to(&format!("https://{number}.example/"))).await.unwrap());
            // Two of the same moment, too.
            bench.clock.advance_seconds(number % 2);
        }
        made.sort_by_key(|endpoint| (endpoint.created_at, endpoint.id));
        delete(deps, &actor, made.remove(3).id).await.unwrap();
        let mut listed = Vec::new();
        let mut page = PageRequest { limit: 3, after: None };
        loop {
            let found = endpoints(deps, &actor, page).await.unwrap();
            page.after = found.items.last().map(Endpoint::place);
            listed.extend(found.items);
            if !found.has_more {
                break;
            }
        }
        assert_eq!(listed, made);
        assert_eq!(count_endpoints(deps, &actor).await.unwrap(), 4);
    })
    .await;
}

#[tokio::test]
async fn a_deleted_endpoint_is_gone_with_its_secrets() {
    on_each_database(|bench| async move {
        let (deps, actor) = (&bench.deps, admin(&bench.insert_project().await));
        let new = NewEndpoint {
            headers: BTreeMap::from([("authorization".to_owned(), "Bearer a".into())]),
            ..to("https://one.example/")
        };
        let id = create(deps, &actor, new).await.unwrap().id;
        delete(deps, &actor, id).await.unwrap();
        assert!(endpoint(deps, &actor, id).await.unwrap_err().is(Code::NotFound));
        assert!(secret(deps, &actor, id).await.unwrap_err().is(Code::NotFound));
        assert!(delete(deps, &actor, id).await.unwrap_err().is(Code::NotFound));
        assert_eq!(webhook_secret::Entity::find().all(deps.db.read()).await.unwrap(), []);
        let row = webhook_endpoint::Entity::find_by_id(id).one(deps.db.read()).await.unwrap().unwrap();
        assert_eq!(row.headers, None);
    })
    .await;
}

#[tokio::test]
async fn a_project_has_a_bounded_number_of_endpoints_even_when_they_race() {
    on_each_database(|bench| async move {
        let (deps, actor) = (&bench.deps, admin(&bench.insert_project().await));
        for number in 0..MAX_ENDPOINTS - 1 {
            create(deps, &actor, to(&format!("https://{number}.example/"))).await.unwrap();
        }
        let racing = (0..4).map(|_| create(deps, &actor, to("https://last.example/")));
        let made = futures::future::join_all(racing).await.into_iter().filter(Result::is_ok).count();
        assert_eq!(made, 1);
        let other = admin(&bench.insert_project().await);
        assert!(create(deps, &other, to("https://one.example/")).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn rotation_keeps_the_old_secret_for_the_grace_period_only() {
    on_each_database(|bench| async move {
        let hooks = Hooks::on(&bench).await;
        let (deps, actor, id) = (hooks.deps(), &hooks.actor, hooks.endpoint.id);
        let signatures = async || {
            hooks.message().await;
            assert_eq!(hooks.run_due().await, 1);
            header(hooks.requests().last().unwrap(), "svix-signature").split(' ').count()
        };
        let first = secret(deps, actor, id).await.unwrap();
        assert_eq!(signatures().await, 1);
        rotate_secret(deps, actor, id, Some(&SECRET.into()), None, Some(60)).await.unwrap();
        assert_eq!(secret(deps, actor, id).await.unwrap().expose_secret(), SECRET);
        assert_eq!(signatures().await, 2);
        rotate_secret(deps, actor, id, None, None, None).await.unwrap();
        assert_ne!(secret(deps, actor, id).await.unwrap().expose_secret(), first.expose_secret());
        assert_eq!(signatures().await, 3);
        bench.clock.advance_seconds(60);
        assert_eq!(signatures().await, 2);
        rotate_secret(deps, actor, id, None, None, Some(0)).await.unwrap();
        // The former current one is cut off; the one before keeps its own day.
        assert_eq!(signatures().await, 2);
        bench.clock.advance_seconds(DEFAULT_GRACE_SECONDS);
        assert_eq!(signatures().await, 1);
    })
    .await;
}

#[tokio::test]
async fn at_most_ten_old_secrets_are_valid_and_bad_graces_are_refused() {
    on_each_database(|bench| async move {
        let (deps, actor) = (&bench.deps, admin(&bench.insert_project().await));
        let id = create(deps, &actor, to("https://one.example/")).await.unwrap().id;
        for grace in [-1, MAX_GRACE_SECONDS + 1] {
            assert!(rotate_secret(deps, &actor, id, None, None, Some(grace)).await.unwrap_err().is(Code::SchemaError));
        }
        for _ in 0..MAX_OLD_SECRETS {
            rotate_secret(deps, &actor, id, None, None, Some(100)).await.unwrap();
        }
        let current = secret(deps, &actor, id).await.unwrap();
        assert!(rotate_secret(deps, &actor, id, None, None, Some(100)).await.unwrap_err().is(Code::BadRequest));
        assert_eq!(secret(deps, &actor, id).await.unwrap().expose_secret(), current.expose_secret());
        // Cutting the current one off makes no more of them.
        rotate_secret(deps, &actor, id, None, None, Some(0)).await.unwrap();
        bench.clock.advance_seconds(100);
        rotate_secret(deps, &actor, id, None, None, Some(100)).await.unwrap();
        assert_eq!(webhook_secret::Entity::find().all(deps.db.read()).await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_repeated_creation_makes_one_endpoint() {
    on_each_database(|bench| async move {
        let mut actor = admin(&bench.insert_project().await);
        actor.idempotency = Some(IdempotencyKey { key: "once".to_owned(), request_hash: vec![1; 32] });
        let first = create(&bench.deps, &actor, to("https://one.example/")).await.unwrap();
        let again = create(&bench.deps, &actor, to("https://one.example/")).await.unwrap();
        assert_eq!(first, again);
        assert_eq!(endpoints(&bench.deps, &actor, FIRST_PAGE).await.unwrap().items, [first]);
    })
    .await;
}
