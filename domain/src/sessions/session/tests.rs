use futures::future::{join, join_all};
use postern_entity::{event, user};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};

use super::*;
use crate::{
    actor::ActingUser,
    sessions::{MAX_SESSION_MILLIS, NewSession, SignedIn, create, flush_activity, is_alive, prune_step, verify},
    testing::{START, TestBench, on_each_database},
    users::{CreateUser, UpdateUser},
};

/// A project with one user, and its server.
struct Scene {
    bench: TestBench,
    project: ProjectId,
    user: UserId,
}

impl Scene {
    async fn on(bench: TestBench) -> Self {
        let project = bench.insert_project().await;
        let user = create_user(&bench.deps, &project).await;
        Self { bench, project, user }
    }

    fn deps(&self) -> &Deps {
        &self.bench.deps
    }

    fn server(&self) -> Actor {
        Actor::new(self.project.clone(), Level::Server, None)
    }

    fn admin(&self) -> Actor {
        Actor::new(self.project.clone(), Level::Admin, None)
    }

    /// The user itself, in the session.
    fn client(&self, session_id: SessionId) -> Actor {
        let user = ActingUser { id: self.user, session_id, is_anonymous: false, is_restricted: false };
        Actor::new(self.project.clone(), Level::Client, Some(user))
    }

    fn usual(&self) -> NewSession {
        NewSession { user_id: self.user, expires_in_millis: None, is_impersonation: false }
    }

    async fn session(&self) -> SignedIn {
        create(self.deps(), &self.server(), self.usual(), &ClientInfo::default()).await.unwrap()
    }

    async fn refresh(&self, signed_in: &SignedIn) -> Result<Refreshed> {
        refresh(self.deps(), &self.project, &signed_in.refresh_token, &ClientInfo::default()).await
    }

    async fn events(&self) -> Vec<String> {
        let kinds = event::Entity::find()
            .filter(event::Column::Kind.starts_with("session."))
            .order_by_asc(event::Column::Seq)
            .all(self.deps().db.read());
        kinds.await.unwrap().into_iter().map(|row| row.kind).collect()
    }

    async fn count(&self) -> u64 {
        session::Entity::find().count(self.deps().db.read()).await.unwrap()
    }
}

async fn create_user(deps: &Deps, project: &ProjectId) -> UserId {
    let server = Actor::new(project.clone(), Level::Server, None);
    let input = CreateUser { display_name: Some("Ada".to_owned()), ..CreateUser::default() };
    users::create(deps, &server, input).await.unwrap().id
}

fn code(outcome: Result<impl Sized>) -> Code {
    match outcome {
        Err(error) => error.failure().unwrap_or_else(|| panic!("{error}")).code,
        Ok(_) => panic!("not refused"),
    }
}

fn browser(ip: &str) -> ClientInfo {
    let user_agent = Some("Mozilla/5.0 (X11; Linux x86_64) Test/1.0".to_owned());
    ClientInfo { ip: Some(ip.parse().unwrap()), user_agent, country: Some("SE".to_owned()) }
}

#[tokio::test]
async fn a_server_begins_sessions_whose_tokens_are_good() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let signed_in = scene.session().await;
        let claims = verify(scene.deps(), signed_in.access_token.expose_secret()).await.unwrap();
        assert_eq!((claims.sub, claims.refresh_token_id), (scene.user, signed_in.session_id));
        assert_eq!((claims.name.as_deref(), claims.email.as_deref()), (Some("Ada"), None));
        let row = store::find(scene.deps().db.read(), &scene.project, signed_in.session_id).await.unwrap().unwrap();
        assert_eq!(row.token_hash, hash_token(signed_in.refresh_token.expose_secret()));
        assert_eq!(row.expires_at, START.plus_seconds(365 * 24 * 60 * 60));
        assert_eq!(scene.events().await, ["session.created"]);
    })
    .await;
}

#[tokio::test]
async fn sessions_are_begun_for_users_of_the_project_by_servers_for_at_most_367_days() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let try_new = |actor: Actor, new: NewSession| {
            let deps = scene.deps();
            async move { create(deps, &actor, new, &ClientInfo::default()).await }
        };
        let own = scene.client(SessionId::random());
        assert_eq!(code(try_new(own, scene.usual()).await), Code::Forbidden);
        let stranger = create_user(scene.deps(), &scene.bench.insert_project().await).await;
        for user_id in [stranger, UserId::random()] {
            let refused = try_new(scene.server(), NewSession { user_id, ..scene.usual() }).await.unwrap_err();
            let failure = refused.failure().unwrap();
            assert_eq!(
                (failure.code, failure.details.clone()),
                (Code::UserIdDoesNotExist, Some(json!({ "user_id": user_id })))
            );
        }
        for millis in [0, -1, MAX_SESSION_MILLIS + 1, i64::MAX] {
            let new = NewSession { expires_in_millis: Some(millis), ..scene.usual() };
            assert_eq!(code(try_new(scene.server(), new).await), Code::SchemaError);
        }
        assert_eq!(scene.count().await, 0);
        let new = NewSession { expires_in_millis: Some(MAX_SESSION_MILLIS), ..scene.usual() };
        try_new(scene.server(), new).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_is_good_again_and_again_until_it_expires() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let new = NewSession { expires_in_millis: Some(60_000), ..scene.usual() };
        let signed_in = create(scene.deps(), &scene.server(), new, &ClientInfo::default()).await.unwrap();
        for refreshed in join_all((0..20).map(|_| scene.refresh(&signed_in))).await {
            assert_eq!(refreshed.unwrap().session_id, signed_in.session_id);
        }
        scene.bench.clock.advance_seconds(59);
        scene.refresh(&signed_in).await.unwrap();
        scene.bench.clock.advance_seconds(1);
        assert_eq!(code(scene.refresh(&signed_in).await), Code::RefreshTokenNotFoundOrExpired);
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_of_another_project_a_gone_user_or_nobody_is_not_found() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let signed_in = scene.session().await;
        let other = scene.bench.insert_project().await;
        let (deps, nobody) = (scene.deps(), ClientInfo::default());
        let elsewhere = refresh(deps, &other, &signed_in.refresh_token, &nobody).await;
        assert_eq!(code(elsewhere), Code::RefreshTokenNotFoundOrExpired);
        for bad in [String::new(), "x".to_owned(), "x".repeat(1_000_000)] {
            let refused = refresh(deps, &scene.project, &bad.into(), &nobody).await;
            assert_eq!(code(refused), Code::RefreshTokenNotFoundOrExpired);
        }
        users::delete(deps, &scene.server(), scene.user).await.unwrap();
        assert_eq!(code(scene.refresh(&signed_in).await), Code::RefreshTokenNotFoundOrExpired);
        assert!(!is_alive(deps, &scene.project, signed_in.session_id).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_refresh_racing_a_sign_out_succeeds_or_finds_nothing() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        for _ in 0..10 {
            let signed_in = scene.session().await;
            let actor = scene.client(signed_in.session_id);
            let refreshes = join_all((0..5).map(|_| scene.refresh(&signed_in)));
            let (refreshed, signed_out) = join(refreshes, sign_out(scene.deps(), &actor)).await;
            signed_out.unwrap();
            for outcome in refreshed {
                assert!(outcome.is_ok() || outcome.unwrap_err().is(Code::RefreshTokenNotFoundOrExpired));
            }
            assert_eq!(code(scene.refresh(&signed_in).await), Code::RefreshTokenNotFoundOrExpired);
        }
    })
    .await;
}

#[tokio::test]
async fn of_many_sign_outs_at_once_one_succeeds() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let signed_in = scene.session().await;
        let actor = scene.client(signed_in.session_id);
        let outcomes = join_all((0..10).map(|_| sign_out(scene.deps(), &actor))).await;
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        assert!(lost.into_iter().all(|lost| lost.unwrap_err().is(Code::RefreshTokenNotFoundOrExpired)));
        assert_eq!(scene.events().await, ["session.created", "session.revoked"]);
        assert_eq!(code(sign_out(scene.deps(), &scene.server()).await), Code::AccessTokenExpired);
    })
    .await;
}

#[tokio::test]
async fn sessions_are_listed_newest_first_and_tell_which_is_the_callers() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let first = scene.session().await;
        scene.bench.clock.advance_seconds(1);
        let impersonation = NewSession { is_impersonation: true, ..scene.usual() };
        let hidden = create(scene.deps(), &scene.server(), impersonation, &ClientInfo::default()).await.unwrap();
        scene.bench.clock.advance_seconds(1);
        let last = scene.session().await;

        let ids = |sessions: Vec<Session>| sessions.iter().map(|s| (s.id, s.is_current)).collect::<Vec<_>>();
        let own = list(scene.deps(), &scene.client(last.session_id), scene.user).await.unwrap();
        assert_eq!(ids(own), [(last.session_id, true), (first.session_id, false)]);
        let server = list(scene.deps(), &scene.server(), scene.user).await.unwrap();
        assert_eq!(ids(server), [(last.session_id, false), (first.session_id, false)]);
        let admin = list(scene.deps(), &scene.admin(), scene.user).await.unwrap();
        assert_eq!(ids(admin), [(last.session_id, false), (hidden.session_id, false), (first.session_id, false)]);

        let other = create_user(scene.deps(), &scene.project).await;
        let client = scene.client(last.session_id);
        assert_eq!(code(list(scene.deps(), &client, other).await), Code::Forbidden);
        let nobody = Actor::new(scene.project.clone(), Level::Client, None);
        assert_eq!(code(list(scene.deps(), &nobody, scene.user).await), Code::CannotGetOwnUserWithoutUser);
        assert_eq!(list(scene.deps(), &scene.server(), UserId::random()).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_user_ends_its_other_sessions_only() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (current, other) = (scene.session().await, scene.session().await);
        let client = scene.client(current.session_id);
        let deps = scene.deps();
        assert_eq!(code(revoke(deps, &client, current.session_id).await), Code::CannotDeleteCurrentSession);
        assert_eq!(code(revoke(deps, &client, SessionId::random()).await), Code::NotFound);
        let stranger = create_user(deps, &scene.project).await;
        let new = NewSession { user_id: stranger, ..scene.usual() };
        let foreign = create(deps, &scene.server(), new, &ClientInfo::default()).await.unwrap().session_id;
        assert_eq!(code(revoke(deps, &client, foreign).await), Code::NotFound);
        let elsewhere = Actor::new(scene.bench.insert_project().await, Level::Admin, None);
        assert_eq!(code(revoke(deps, &elsewhere, foreign).await), Code::NotFound);
        assert_eq!(scene.count().await, 3);

        let mut signals = deps.db.signals().subscribe();
        revoke(deps, &client, other.session_id).await.unwrap();
        let told: Vec<_> = std::iter::from_fn(|| signals.try_next()).collect();
        assert!(told.contains(&Signal::SessionRevoked { session_id: other.session_id }));
        assert!(!is_alive(deps, &scene.project, other.session_id).await.unwrap());
        assert!(is_alive(deps, &scene.project, current.session_id).await.unwrap());
        assert_eq!(code(scene.refresh(&other).await), Code::RefreshTokenNotFoundOrExpired);
        assert_eq!(code(revoke(deps, &client, other.session_id).await), Code::NotFound);
        revoke(deps, &scene.server(), foreign).await.unwrap();
        assert_eq!(scene.count().await, 1);
    })
    .await;
}

#[tokio::test]
async fn all_sessions_of_a_user_can_be_ended() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let signed_in = scene.session().await;
        scene.session().await;
        let deps = scene.deps();
        let stranger = create_user(deps, &scene.project).await;
        let client = scene.client(signed_in.session_id);
        assert_eq!(code(revoke_all(deps, &client, stranger).await), Code::Forbidden);
        assert_eq!(code(revoke_all(deps, &scene.server(), UserId::random()).await), Code::UserNotFound);
        let mut signals = deps.db.signals().subscribe();
        assert_eq!(revoke_all(deps, &client, scene.user).await.unwrap(), 2);
        let told: Vec<_> = std::iter::from_fn(|| signals.try_next()).collect();
        assert!(told.contains(&Signal::UserSignedOut { user_id: scene.user }));
        assert_eq!(scene.count().await, 0);
        assert_eq!(scene.events().await[2..], ["session.revoked", "session.revoked"]);
    })
    .await;
}

#[tokio::test]
async fn a_new_password_from_a_server_ends_all_sessions() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let deps = scene.deps();
        let primary_email = crate::patch::Patch::Set("ada@example.com".to_owned());
        let address = UpdateUser { primary_email, ..UpdateUser::default() };
        users::update(deps, &scene.server(), scene.user, address).await.unwrap();
        scene.bench.set_config(&scene.project, json!({ "auth.password.allowSignIn": true })).await;
        scene.session().await;
        let password =
            UpdateUser { password: crate::patch::Patch::Set("12345678".to_owned().into()), ..UpdateUser::default() };
        users::update(deps, &scene.server(), scene.user, password).await.unwrap();
        assert_eq!(scene.count().await, 0);
        assert_eq!(scene.events().await, ["session.created", "session.revoked"]);
    })
    .await;
}

#[tokio::test]
async fn uses_are_listed_at_once_and_written_by_the_flush() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (deps, signed_in) = (scene.deps(), scene.session().await);
        flush_activity(deps).await.unwrap();
        scene.bench.clock.advance_seconds(100);
        refresh(deps, &scene.project, &signed_in.refresh_token, &browser("192.0.2.7")).await.unwrap();
        scene.bench.clock.advance_seconds(1);
        // A server refreshing for the user moves the time, not the place.
        let server = ClientInfo { user_agent: Some("node".to_owned()), ..browser("198.51.100.1") };
        refresh(deps, &scene.project, &signed_in.refresh_token, &server).await.unwrap();

        let (at, ip) = (START.plus_seconds(101), "192.0.2.7".parse::<IpAddr>().unwrap());
        let stored =
            || async { store::find(deps.db.read(), &scene.project, signed_in.session_id).await.unwrap().unwrap() };
        assert_eq!((stored().await.last_used_at, stored().await.last_used_ip), (START, None));
        for flushed in [1, 0] {
            let listed = list(deps, &scene.admin(), scene.user).await.unwrap();
            assert_eq!((listed[0].last_used_at, listed[0].last_used_ip), (at, Some(ip)));
            assert!(listed[0].last_used_user_agent.as_deref().unwrap().starts_with("Mozilla/5.0"));
            assert_eq!(flush_activity(deps).await.unwrap(), flushed);
        }
        assert_eq!((stored().await.last_used_at, stored().await.last_used_ip), (at, Some("192.0.2.7".to_owned())));
        let user = user::Entity::find_by_id(scene.user).one(deps.db.read()).await.unwrap().unwrap();
        assert_eq!((user.last_active_at, user.updated_at), (at, START));
    })
    .await;
}

#[tokio::test]
async fn a_flush_writes_many_sessions_and_never_moves_a_time_back() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let deps = scene.deps();
        let mut sessions = Vec::new();
        for _ in 0..130 {
            sessions.push(scene.session().await);
        }
        scene.bench.clock.advance_seconds(50);
        for signed_in in &sessions {
            scene.refresh(signed_in).await.unwrap();
        }
        // Another process has written a later use of one of them meanwhile, and one is gone.
        let later = START.plus_seconds(99);
        let (ahead, gone) = (sessions[0].session_id, sessions[1].session_id);
        deps.db
            .write(|tx| async move {
                let moved = session::Entity::update_many()
                    .col_expr(session::Column::LastUsedAt, later.millis().into())
                    .filter(session::Column::Id.eq(ahead));
                moved.exec(&*tx).await?;
                session::Entity::delete_by_id(gone).exec(&*tx).await?;
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(flush_activity(deps).await.unwrap(), 130);
        let rows = session::Entity::find().all(deps.db.read()).await.unwrap();
        assert_eq!(rows.len(), 129);
        for row in rows {
            assert_eq!(row.last_used_at, if row.id == ahead { later } else { START.plus_seconds(50) });
        }
    })
    .await;
}

#[tokio::test]
async fn expired_sessions_are_listed_for_a_month_and_then_pruned() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let new = NewSession { expires_in_millis: Some(1000), ..scene.usual() };
        create(scene.deps(), &scene.server(), new, &ClientInfo::default()).await.unwrap();
        scene.bench.clock.advance_seconds(1 + KEPT_SECONDS);
        assert!(!prune_step(scene.deps()).await.unwrap());
        assert_eq!(list(scene.deps(), &scene.server(), scene.user).await.unwrap().len(), 1);
        scene.bench.clock.advance_seconds(1);
        assert!(!prune_step(scene.deps()).await.unwrap());
        assert_eq!(scene.count().await, 0);
    })
    .await;
}
