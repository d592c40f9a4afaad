//! Events that go to a Svix server instead, against one that only takes notes.

use std::{collections::BTreeSet, sync::Arc};

use postern_entity::{UserId, job::JobState};
use sea_orm::ConnectionTrait;

use super::*;
use crate::{
    events::{Audience, jobs::EraseUserEvents},
    ports::svix::SvixError,
    queue::{Job, Scope},
    testing::FakeSvix,
    webhooks::svix,
};

/// An installation with a Svix server, and a project in it.
struct Scene {
    deps: Deps,
    server: Arc<FakeSvix>,
    project_id: ProjectId,
}

impl Scene {
    async fn on(bench: &TestBench) -> Self {
        let server = Arc::new(FakeSvix::default());
        let deps = Deps { svix: Some(server.clone()), ..bench.deps.clone() };
        Self { deps, server, project_id: bench.insert_project().await }
    }

    async fn event(&self, kind: EventKind, user_id: Option<UserId>) {
        let project_id = self.project_id.clone();
        let event = NewEvent { project_id, kind, user_id, team_id: None, payload: json!({ "name": "Ü", "id": "u" }) };
        self.deps.db.write(async |tx| events::record(&self.deps, &tx, event.clone()).await).await.unwrap();
    }

    async fn sequence(&self) {
        while events::sequence(&self.deps).await.unwrap() {}
    }

    /// An event of the webhook contract, on its way to a job.
    async fn message(&self) {
        self.event(EventKind::UserUpdated, None).await;
        self.follow().await;
    }

    async fn follow(&self) {
        self.sequence().await;
        while fan_out(&self.deps).await.unwrap() {}
    }

    async fn claim(&self) -> Vec<Claimed> {
        queue::claim(&self.deps, Lane::Webhooks, "test", MAX_BATCH, LEASE, queue::Suspects::Any).await.unwrap()
    }

    async fn send(&self, claimed: &Claimed) -> Ending {
        assert_eq!(claimed.kind, SendToSvix::KIND);
        let job = serde_json::from_value(claimed.payload.clone()).unwrap();
        svix::send(&self.deps, &job).await.unwrap().with_backoff(SendToSvix::backoff(claimed.lease.attempt))
    }

    /// Runs every job that is due, once.
    async fn run_due(&self) -> usize {
        let claimed = self.claim().await;
        let run = async |claimed: &Claimed| (claimed.lease.clone(), self.send(claimed).await);
        let endings = futures::future::join_all(claimed.iter().map(run)).await;
        assert_eq!(queue::end_all(&self.deps, &endings).await.unwrap(), []);
        endings.len()
    }
}

fn away() -> SvixError {
    SvixError::Unavailable("no answer".to_owned())
}

#[tokio::test]
async fn racing_workers_hand_each_event_over_once() {
    on_each_database(async |bench| {
        const EVENTS: usize = 250;
        let scene = &Scene::on(&bench).await;
        for _ in 0..EVENTS {
            scene.event(EventKind::UserUpdated, None).await;
        }
        scene.sequence().await;
        let worker = async || {
            while events::has_unconsumed(&scene.deps, "webhooks").await.unwrap() {
                fan_out(&scene.deps).await.unwrap();
                tokio::task::yield_now().await;
            }
            while scene.run_due().await > 0 {}
        };
        futures::join!(worker(), worker(), worker(), worker());
        while scene.run_due().await > 0 {}

        let calls = scene.server.calls();
        let ids: BTreeSet<_> = calls.iter().map(|message| message.event_id.clone()).collect();
        assert_eq!((calls.len(), ids.len(), scene.server.taken().len()), (EVENTS, EVENTS, EVENTS));
        for message in &calls {
            assert_eq!((&message.project_id, message.event_type.as_str()), (&scene.project_id, "user.updated"));
            assert_eq!(message.payload, r#"{"type":"user.updated","data":{"id":"u","name":"Ü"}}"#);
            let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            assert!(message.event_id.starts_with("evt_") && message.event_id.chars().all(fits), "{message:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_crash_between_the_call_and_the_commit_repeats_it_under_the_same_id() {
    on_each_database(async |bench| {
        let scene = Scene::on(&bench).await;
        scene.message().await;
        let claimed = scene.claim().await;
        let ending = scene.send(&claimed[0]).await;
        // The worker dies here; its lease runs out and another one takes over.
        bench.clock.advance_seconds(61);
        assert_eq!(scene.run_due().await, 1);
        let calls = scene.server.calls();
        assert_eq!((calls.len(), &calls[0]), (2, &calls[1]));
        assert_eq!(scene.server.taken().len(), 1);
        // Should it have been asleep only, what it has to say does not count any more.
        let lost = queue::end_all(&scene.deps, &[(claimed[0].lease.clone(), ending)]).await.unwrap();
        assert_eq!(lost, [claimed[0].lease.job_id]);
        assert_eq!(scene.run_due().await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_away_for_days_is_waited_for_and_the_job_says_why() {
    on_each_database(async |bench| {
        let scene = Scene::on(&bench).await;
        scene.message().await;
        let [claimed] = &scene.claim().await[..] else { panic!("one job") };
        scene.server.fail_next(away());
        let ending = scene.send(claimed).await;
        queue::end_all(&scene.deps, &[(claimed.lease.clone(), ending)]).await.unwrap();
        let job = queue::find(&scene.deps, &Scope::Installation, claimed.lease.job_id).await.unwrap().unwrap();
        assert_eq!((job.state, job.last_error.as_deref()), (JobState::Pending, Some("no answer")));
        // 5 s and a fifth more or less.
        bench.clock.advance_seconds(3);
        assert_eq!(scene.run_due().await, 0);

        let mut seconds = 0;
        while seconds < 3 * 24 * 3600 {
            scene.server.fail_next(away());
            bench.clock.advance_seconds(720);
            seconds += 720;
            assert_eq!(scene.run_due().await, 1, "after {seconds} s");
        }
        bench.clock.advance_seconds(720);
        assert_eq!((scene.run_due().await, scene.server.taken().len()), (1, 1));
        assert_eq!(queue::stats(&scene.deps).await.unwrap(), queue::Stats::default());
    })
    .await;
}

#[test]
fn attempts_last_for_about_a_week() {
    let waits: Vec<_> = (1..SendToSvix::MAX_ATTEMPTS).map(|attempt| SendToSvix::backoff(attempt).as_secs()).collect();
    assert_eq!(waits[..9], [5, 10, 20, 40, 80, 160, 320, 600, 600]);
    assert_eq!(waits.last(), Some(&600));
    assert_eq!(waits.iter().sum::<u64>() / (24 * 3600), 6);
}

#[tokio::test]
async fn what_the_server_refuses_is_a_dead_job_that_can_be_run_again() {
    on_each_database(async |bench| {
        let scene = Scene::on(&bench).await;
        scene.message().await;
        scene.server.fail_next(SvixError::Refused("answered 422".to_owned()));
        assert_eq!((scene.run_due().await, scene.run_due().await), (1, 0));
        let scope = Scope::Project(scene.project_id.clone());
        let [dead] = &queue::dead_jobs(&scene.deps, &scope, None, 10).await.unwrap()[..] else { panic!("one job") };
        assert_eq!(dead.kind, "send_to_svix");
        assert_eq!((dead.attempts, dead.last_error.as_deref()), (1, Some("answered 422")));
        assert!(queue::redrive(&scene.deps, &scope, dead.id).await.unwrap());
        scene.server.fail_next(SvixError::Refused("answered 422".to_owned()));
        assert_eq!((scene.run_due().await, scene.run_due().await), (1, 0));
        // All at once, as docs/svix.md tells operators to.
        let sql = "UPDATE job SET state = 'pending', attempts = 0, finished_at = NULL, due_at = created_at \
                   WHERE kind = 'send_to_svix' AND state = 'dead'";
        scene.deps.db.write(async |tx| Ok(tx.execute_unprepared(sql).await.map(drop)?)).await.unwrap();
        assert_eq!((scene.run_due().await, scene.server.taken().len()), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn of_a_user_who_was_deleted_before_only_the_deletion_is_told() {
    on_each_database(async |bench| {
        let scene = Scene::on(&bench).await;
        let user_id = UserId::random();
        scene.event(EventKind::UserCreated, Some(user_id)).await;
        scene.event(EventKind::UserDeleted, Some(user_id)).await;
        scene.sequence().await;
        let erase = EraseUserEvents { project_id: scene.project_id.clone(), user_id };
        assert_eq!(events::erase_step(&scene.deps, &erase).await.unwrap(), events::Left::Nothing);
        scene.follow().await;
        assert_eq!(scene.run_due().await, 1);
        assert_eq!(scene.server.taken()[0].event_type, "user.deleted");
        assert!(!events::has_unconsumed(&scene.deps, "webhooks").await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn only_types_of_the_contract_go_there() {
    on_each_database(async |bench| {
        let scene = Scene::on(&bench).await;
        for kind in EventKind::ALL {
            scene.event(*kind, None).await;
        }
        scene.follow().await;
        scene.run_due().await;
        let taken: BTreeSet<_> = scene.server.taken().into_iter().map(|message| message.event_type).collect();
        let wire = EventKind::ALL.iter().filter(|kind| kind.audience() == Audience::Wire);
        assert_eq!(taken, wire.map(|kind| kind.as_str().to_owned()).collect());
    })
    .await;
}

#[tokio::test]
async fn an_event_after_a_restored_backup_is_another_one_to_the_server() {
    on_each_database(async |bench| {
        let scene = Scene::on(&bench).await;
        scene.message().await;
        scene.run_due().await;
        let old = scene.server.taken()[0].clone();
        assert_eq!(old.event_id, format!("evt_1_{}", crate::testing::START.millis()));
        // What the log is like after a backup from before the event was restored.
        let forget = async |tx: crate::db::Tx| {
            for table in ["event", "event_consumer", "job"] {
                tx.execute_unprepared(&format!("DELETE FROM {table}")).await?;
            }
            tx.execute_unprepared("UPDATE event_head SET position = 0 WHERE id = 1").await?;
            Ok(())
        };
        bench.deps.db.write(forget).await.unwrap();
        bench.clock.advance_seconds(3600);
        scene.message().await;
        scene.run_due().await;
        let taken = scene.server.taken();
        assert_eq!((taken.len(), &taken[0]), (2, &old));
        assert!(taken[1].event_id.starts_with("evt_1_"));
    })
    .await;
}

#[tokio::test]
async fn a_switch_between_the_engines_loses_and_repeats_nothing() {
    on_each_database(async |bench| {
        let hooks = Hooks::on(&bench).await;
        let mut scene = Scene::on(&bench).await;
        scene.project_id = hooks.actor.project_id.clone();
        // Before the switch: one was fanned out and waits, one was not.
        hooks.message().await;
        hooks.event(EventKind::TeamCreated).await;
        scene.follow().await;
        let claimed = scene.claim().await;
        let (here, there): (Vec<_>, Vec<_>) = claimed.iter().partition(|claimed| claimed.kind == DeliverLine::KIND);
        assert_eq!((here.len(), there.len()), (1, 1));
        let endings = [(here[0].lease.clone(), hooks.deliver(here[0]).await)];
        queue::end_all(&scene.deps, &endings).await.unwrap();
        scene.server.fail_next(away());
        let endings = [(there[0].lease.clone(), scene.send(there[0]).await)];
        queue::end_all(&scene.deps, &endings).await.unwrap();
        assert_eq!((hooks.requests().len(), hooks.messages().await.len()), (1, 1));

        // And back, while the other one waits for its server.
        scene.event(EventKind::TeamDeleted, None).await;
        hooks.fan_out().await;
        assert_eq!(hooks.run_due().await, 1);
        let sent: Vec<_> = hooks.messages().await.into_iter().map(|message| message.event_type).collect();
        assert_eq!(sent, ["user.updated", "team.deleted"]);
        bench.clock.advance_seconds(10);
        let [claimed] = &scene.claim().await[..] else { panic!("one job") };
        let job = serde_json::from_value(claimed.payload.clone()).unwrap();
        let ending = svix::send(hooks.deps(), &job).await.unwrap();
        assert_eq!((ending.outcome(&claimed.lease), ending.failure().is_some()), ("retry", true));
        let ending = ending.with_backoff(SendToSvix::backoff(1));
        queue::end_all(&scene.deps, &[(claimed.lease.clone(), ending)]).await.unwrap();
        // A process that knows the server still has it to give.
        bench.clock.advance_seconds(10);
        assert_eq!(scene.run_due().await, 1);
        let taken: Vec<_> = scene.server.taken().into_iter().map(|message| message.event_type).collect();
        assert_eq!((taken, hooks.requests().len()), (vec!["team.created".to_owned()], 2));

        let cursors = events::lag(&scene.deps).await.unwrap().consumers;
        assert_eq!(cursors, [("webhooks".to_owned(), 0)], "nothing holds up the pruning of the log");
    })
    .await;
}

#[tokio::test]
async fn endpoints_are_managed_where_they_are_and_the_portal_is_for_administrators() {
    on_each_database(async |bench| {
        let scene = Scene::on(&bench).await;
        svix::refuse_if_elsewhere(&bench.deps).unwrap();
        assert!(svix::refuse_if_elsewhere(&scene.deps).unwrap_err().is(Code::Conflict));

        let (admin, server) = (admin(&scene.project_id), crate::testing::server(&scene.project_id));
        assert!(svix::portal(&scene.deps, &server).await.unwrap_err().is(Code::InsufficientAccessType));
        assert!(svix::portal(&bench.deps, &admin).await.unwrap().is_none());
        let portal = svix::portal(&scene.deps, &admin).await.unwrap().unwrap();
        let token = secrecy::ExposeSecret::expose_secret(&portal.token);
        assert_eq!(token, &format!("portal of {}", scene.project_id));
        assert!(!format!("{portal:?}").contains(token));
        scene.server.fail_next(away());
        assert!(svix::portal(&scene.deps, &admin).await.unwrap_err().is(Code::Unavailable));
        scene.server.fail_next(SvixError::Refused("answered 422".to_owned()));
        assert!(svix::portal(&scene.deps, &admin).await.unwrap_err().failure().is_none());
    })
    .await;
}
