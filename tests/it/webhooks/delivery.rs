//! Receivers that behave and receivers that do not.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use postern_domain::{
    Level,
    webhooks::{self, AttemptFilter, AttemptsOf, DeliveryState, MessageFilter, PageRequest},
};

use super::{Installation, on_each_database};
use crate::support::receiver::{Answer, Hook, Receiver};

const PAGE: PageRequest = PageRequest { limit: 250, after: None };

#[tokio::test]
async fn a_change_of_a_user_arrives_signed() {
    on_each_database(|installation| async move {
        let receiver = Receiver::start().await;
        let endpoint = installation.endpoint(&receiver).await;
        let secret = installation.secret(&endpoint).await;
        let worker = installation.start_worker();
        let user_id = installation.create_user().await;
        receiver.wait_for(1).await;
        let changed = Instant::now();
        installation.rename_user(user_id, "Grace").await;
        let received = receiver.wait_for(2).await;
        assert!(changed.elapsed() < Duration::from_secs(5), "{:?}", changed.elapsed());
        let types: Vec<_> = received.iter().map(|hook| hook.json()["type"].clone()).collect();
        assert_eq!(types, ["user.created", "user.updated"]);
        for hook in &received {
            for family in ["svix", "webhook"] {
                hook.verify(&secret, family).unwrap();
                assert!(hook.verify("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", family).is_err());
            }
            let json = hook.json();
            assert_eq!(json.as_object().unwrap().len(), 2);
            assert_eq!(json["data"]["id"], user_id.to_string());
            assert_eq!(hook.headers["content-type"], "application/json");
            let mut tampered = hook.clone();
            tampered.body.push(b' ');
            assert!(tampered.verify(&secret, "svix").is_err());
        }
        assert_eq!(received[1].json()["data"]["display_name"], "Grace");
        worker.stop().await;
    })
    .await;
}

#[tokio::test]
async fn receivers_that_fail_get_the_same_message_again_and_redirects_lead_nowhere() {
    on_each_database(|installation| async move {
        let elsewhere = Receiver::start().await;
        let answers = [Answer::Status(500), Answer::Status(403), Answer::Redirect(elsewhere.url()), Answer::Close];
        let mut receivers = Vec::new();
        for answer in answers {
            let receiver = Receiver::start().await;
            let closes = matches!(answer, Answer::Close);
            receiver.answer_next(answer.clone());
            if closes {
                // A connection that breaks at once is tried again within the attempt.
                receiver.answer_next(answer);
            }
            let endpoint = installation.endpoint(&receiver).await;
            receivers.push((receiver, endpoint, if closes { 3 } else { 2 }));
        }
        let worker = installation.start_worker();
        let started = Instant::now();
        installation.create_user().await;
        for (receiver, endpoint, requests) in &receivers {
            let received = receiver.wait_for(*requests).await;
            assert!(started.elapsed() > Duration::from_secs(3), "it waits before it comes again");
            let ids: BTreeSet<_> = received.iter().map(Hook::id).collect();
            let bodies: BTreeSet<_> = received.iter().map(|hook| &hook.body).collect();
            assert_eq!((received.len(), ids.len(), bodies.len()), (*requests, 1, 1));
            let secret = installation.secret(endpoint).await;
            received.last().unwrap().verify(&secret, "svix").unwrap();
        }
        worker.stop().await;
        assert_eq!(elsewhere.received().len(), 0);
        let actor = installation.actor(Level::Admin);
        for (_, endpoint, _) in &receivers {
            let of = AttemptsOf::Endpoint(endpoint.id);
            let attempts = webhooks::attempts(&installation.deps, &actor, of, &AttemptFilter::default(), PAGE)
                .await
                .unwrap()
                .items;
            let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.succeeded).collect();
            assert_eq!(outcomes, [true, false]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_no_other_and_its_delivery_is_not_lost() {
    on_each_database(|installation| async move {
        let (hanging, good) = (Receiver::always(Answer::Hang).await, Receiver::start().await);
        let endpoint = installation.endpoint(&hanging).await;
        installation.endpoint(&good).await;
        let worker = installation.start_worker();
        let started = Instant::now();
        for _ in 0..10 {
            installation.create_user().await;
        }
        good.wait_for(10).await;
        // Not all at once: nobody has answered yet.
        hanging.wait_for(4).await;
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        worker.kill();
        let actor = installation.actor(Level::Admin);
        let found =
            webhooks::messages(&installation.deps, &actor, &MessageFilter::default(), PAGE).await.unwrap().items;
        let ids: Vec<_> = found.iter().map(|message| message.id).collect();
        let deliveries = webhooks::deliveries_of(&installation.deps, &actor, &ids).await.unwrap();
        let hanging = deliveries.iter().filter(|delivery| delivery.endpoint_id == endpoint.id);
        assert!(hanging.clone().all(|delivery| delivery.state == DeliveryState::Sending));
        assert_eq!(hanging.count(), 10);
    })
    .await;
}

#[tokio::test]
async fn every_endpoint_gets_every_message_once() {
    const USERS: usize = 50;
    on_each_database(|installation| async move {
        let receivers = [Receiver::start().await, Receiver::start().await, Receiver::start().await];
        for receiver in &receivers {
            installation.endpoint(receiver).await;
        }
        // Two workers at once: each event is fanned out and delivered by one of them.
        let workers = [installation.start_worker(), installation.start_worker()];
        let mut users = BTreeSet::new();
        for _ in 0..USERS {
            users.insert(installation.create_user().await.to_string());
        }
        let mut of_message: BTreeMap<String, usize> = BTreeMap::new();
        for receiver in &receivers {
            for hook in receiver.wait_for(USERS).await {
                *of_message.entry(hook.id().to_owned()).or_default() += 1;
            }
        }
        for worker in workers {
            worker.stop().await;
        }
        assert_eq!(of_message.len(), USERS);
        assert!(of_message.values().all(|count| *count == receivers.len()));
        for receiver in &receivers {
            let received = receiver.received();
            assert_eq!(received.len(), USERS);
            let of: BTreeSet<_> =
                received.iter().map(|hook| hook.json()["data"]["id"].as_str().unwrap().to_owned()).collect();
            assert_eq!(of, users);
        }
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_leads_inside_is_never_connected_to() {
    for database in postern_domain::testing::TestDatabase::each().await {
        let receiver = Receiver::start().await;
        let mut installation = Installation::on(&database).await;
        let endpoint = installation.endpoint(&receiver).await;
        // Registered while loopback was allowed, delivered when it is not: the connection is what counts.
        let addresses = postern_outside::address::Addresses::new(&[]);
        installation.deps.http = std::sync::Arc::new(postern_outside::http::OutgoingHttp::new(addresses).unwrap());
        let worker = installation.start_worker();
        installation.create_user().await;
        let actor = installation.actor(Level::Admin);
        let deadline = Instant::now() + Duration::from_secs(30);
        let attempt = loop {
            let of = AttemptsOf::Endpoint(endpoint.id);
            let found = webhooks::attempts(&installation.deps, &actor, of, &AttemptFilter::default(), PAGE)
                .await
                .unwrap()
                .items;
            if let Some(attempt) = found.into_iter().next() {
                break attempt;
            }
            assert!(Instant::now() < deadline, "no attempt was made");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!((attempt.succeeded, attempt.response_status), (false, 0));
        assert_eq!(
            attempt.error.as_deref(),
            Some("the host has a loopback address, which outgoing calls may not reach")
        );
        worker.stop().await;
        assert_eq!(receiver.received().len(), 0);
    }
}
