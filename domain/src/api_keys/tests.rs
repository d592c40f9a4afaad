//! API keys on both databases.

use postern_entity::{api_key, email, job};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};

use super::{jobs::TellOfLeakedApiKey, *};
use crate::{
    Level, TeamId, UserId,
    actor::IdempotencyKey,
    permissions,
    sessions::ClientInfo,
    signal::Signal,
    teams::{self, CreateTeam},
    testing::{START, TestBench, client, on_each_database, server, stranger},
    users::{self, CreateUser},
};

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// A project with both sorts of keys switched on, a team, and two of its members: one looks after its keys.
struct Scene {
    bench: TestBench,
    project: ProjectId,
    team: TeamId,
    keeper: UserId,
    member: UserId,
}

impl Scene {
    async fn on(bench: TestBench) -> Self {
        let project = bench.insert_project().await;
        switch(&bench, &project, true, true).await;
        let actor = server(&project);
        let team = CreateTeam { display_name: "Analysts".to_owned(), ..CreateTeam::default() };
        let team = teams::create(&bench.deps, &actor, team).await.unwrap().id;
        let mut members = Vec::new();
        for name in ["keeper", "member"] {
            let input = CreateUser { primary_email: Some(format!("{name}@example.com")), ..CreateUser::default() };
            let id = users::create(&bench.deps, &actor, input).await.unwrap().id;
            teams::add_member(&bench.deps, &actor, team, id).await.unwrap();
            members.push(id);
        }
        permissions::grant_in_team(&bench.deps, &actor, team, members[0], "team_keys").await.unwrap();
        Self { bench, project, team, keeper: members[0], member: members[1] }
    }

    fn deps(&self) -> &Deps {
        &self.bench.deps
    }

    fn server(&self) -> Actor {
        server(&self.project)
    }

    fn keeper(&self) -> Actor {
        client(&self.project, self.keeper)
    }

    fn member(&self) -> Actor {
        client(&self.project, self.member)
    }

    fn of_keeper(&self) -> NewApiKey {
        new(KeyOwner::User(self.keeper))
    }

    fn of_team(&self) -> NewApiKey {
        new(KeyOwner::Team(self.team))
    }

    async fn made(&self, new: NewApiKey) -> CreatedApiKey {
        create(self.deps(), &self.server(), new).await.unwrap()
    }

    async fn revoked(&self, id: ApiKeyId) -> ApiKey {
        let change = ApiKeyChange { revoke: true, ..ApiKeyChange::default() };
        update(self.deps(), &self.server(), None, id, change).await.unwrap()
    }

    async fn count(&self) -> u64 {
        api_key::Entity::find().count(self.deps().db.read()).await.unwrap()
    }
}

async fn switch(bench: &TestBench, project: &ProjectId, user: bool, team: bool) {
    // What the keeper is granted includes the permission: checks look at what is included.
    let config = json!({
        "apiKeys.enabled.user": user,
        "apiKeys.enabled.team": team,
        "rbac.permissions": {
            "team_keys": { "scope": "team", "containedPermissionIds": { "$manage_api_keys": true } },
        },
    });
    bench.set_config(project, config).await;
}

fn new(owner: KeyOwner) -> NewApiKey {
    NewApiKey { owner, description: "CI".to_owned(), expires_at: None, is_public: false }
}

fn code<T: std::fmt::Debug>(outcome: Result<T>) -> Code {
    outcome.unwrap_err().failure().unwrap().code
}

#[tokio::test]
async fn a_key_is_told_once_and_kept_as_a_hash() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let expires_at = Some(START.plus_seconds(DAY_SECONDS));
        let input = NewApiKey { expires_at, is_public: true, ..scene.of_keeper() };
        let CreatedApiKey { api_key, value } = create(scene.deps(), &scene.keeper(), input).await.unwrap();
        let expected = ApiKey {
            id: api_key.id,
            owner: KeyOwner::User(scene.keeper),
            description: "CI".to_owned(),
            is_public: true,
            created_at: START,
            expires_at,
            revoked_at: None,
            last_four: value[98..].to_owned(),
        };
        assert_eq!(api_key, expected);
        assert!(value.starts_with("pk_") && value.contains(&api_key.id.0.simple().to_string()), "{value}");
        let row = api_key::Entity::find_by_id(api_key.id).one(scene.deps().db.read()).await.unwrap().unwrap();
        assert!(!format!("{row:?}").contains(&value[3..48]));
        assert_eq!(row.key_hash, crate::random::hash_token(&value));
        assert_eq!(get(scene.deps(), &scene.keeper(), None, api_key.id).await.unwrap(), expected);
        let created = CreatedApiKey { api_key, value };
        assert!(!format!("{created:?}").contains(&created.value));
    })
    .await;
}

#[tokio::test]
async fn keys_that_are_switched_off_are_refused_before_all_else() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (of_user, of_team) = (scene.made(scene.of_keeper()).await, scene.made(scene.of_team()).await);
        let (deps, nobody) = (scene.deps(), stranger(&scene.project));
        let (user, team) = (KeyOwner::User(scene.keeper), KeyOwner::Team(scene.team));
        for (on_user, on_team, owner, key) in [(false, true, user, of_user), (true, false, team, of_team)] {
            switch(&scene.bench, &scene.project, on_user, on_team).await;
            let kind = Some(owner.key_type());
            let change = ApiKeyChange { description: Some("x\0".to_owned()), revoke: true };
            for actor in [&nobody, &scene.server()] {
                for outcome in [
                    create(deps, actor, NewApiKey { description: "\0".to_owned(), ..new(owner) }).await.map(drop),
                    list(deps, actor, owner).await.map(drop),
                    get(deps, actor, kind, key.api_key.id).await.map(drop),
                    update(deps, actor, kind, key.api_key.id, change.clone()).await.map(drop),
                ] {
                    assert_eq!(code(outcome), Code::BadRequest);
                }
            }
            assert_eq!(code(get(deps, &scene.server(), None, key.api_key.id).await), Code::BadRequest);
            for kind in [kind, None] {
                assert_eq!(code(check(deps, &scene.server(), kind, &key.value).await), Code::BadRequest);
            }
            assert_eq!(code(authenticate(deps, &scene.project, &key.value).await), Code::BadRequest);
        }
    })
    .await;
}

#[tokio::test]
async fn who_may_look_after_keys_is_the_user_or_the_keeper_of_the_team() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let deps = scene.deps();
        let (of_user, of_team) = (scene.made(scene.of_keeper()).await, scene.made(scene.of_team()).await);
        let (mine, ours) = (of_user.api_key.id, of_team.api_key.id);
        let (outsider, nobody) = (client(&scene.project, UserId::random()), stranger(&scene.project));
        let unknown = NewApiKey { owner: KeyOwner::Team(TeamId::random()), ..scene.of_team() };
        let revoke = ApiKeyChange { revoke: true, ..ApiKeyChange::default() };
        let before = scene.count().await;
        for (actor, of_user, of_team) in [
            (&nobody, Code::UserAuthenticationRequired, Code::UserAuthenticationRequired),
            (&scene.member(), Code::Forbidden, Code::ApiKeyNotFound),
            (&outsider, Code::Forbidden, Code::ApiKeyNotFound),
        ] {
            assert_eq!(code(create(deps, actor, scene.of_keeper()).await), of_user);
            assert_eq!(code(create(deps, actor, scene.of_team()).await), of_team);
            assert_eq!(code(create(deps, actor, unknown.clone()).await), of_team);
            assert_eq!(code(list(deps, actor, KeyOwner::User(scene.keeper)).await), of_user);
            assert_eq!(code(list(deps, actor, KeyOwner::Team(scene.team)).await), of_team);
            for kind in [None, Some(ApiKeyType::User)] {
                assert_eq!(code(get(deps, actor, kind, mine).await), of_user);
                assert_eq!(code(update(deps, actor, kind, mine, revoke.clone()).await), of_user);
            }
            for kind in [None, Some(ApiKeyType::Team)] {
                assert_eq!(code(get(deps, actor, kind, ours).await), of_team);
                assert_eq!(code(update(deps, actor, kind, ours, revoke.clone()).await), of_team);
            }
            assert_eq!(code(check(deps, actor, None, &of_user_text(&scene).await).await), Code::Forbidden);
        }
        assert_eq!(scene.count().await, before + 3, "only what the table itself made");
        assert_eq!(get(deps, &scene.server(), None, mine).await.unwrap().revoked_at, None);
        assert_eq!(get(deps, &scene.server(), None, ours).await.unwrap().revoked_at, None);

        create(deps, &scene.keeper(), scene.of_keeper()).await.unwrap();
        create(deps, &scene.keeper(), scene.of_team()).await.unwrap();
        update(deps, &scene.keeper(), None, ours, revoke.clone()).await.unwrap();
        let unknown_user = NewApiKey { owner: KeyOwner::User(UserId::random()), ..scene.of_keeper() };
        assert_eq!(code(create(deps, &scene.server(), unknown_user).await), Code::UserNotFound);
        assert_eq!(code(create(deps, &scene.server(), unknown).await), Code::TeamNotFound);
    })
    .await;
}

/// A key of the keeper, made for the look at one refusal.
async fn of_user_text(scene: &Scene) -> String {
    scene.made(scene.of_keeper()).await.value
}

#[tokio::test]
async fn keys_of_one_project_are_not_there_for_another() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let deps = scene.deps();
        let other = scene.bench.insert_project().await;
        switch(&scene.bench, &other, true, true).await;
        let (key, elsewhere) = (scene.made(scene.of_team()).await, server(&other));
        let change = ApiKeyChange { revoke: true, ..ApiKeyChange::default() };
        assert_eq!(code(get(deps, &elsewhere, None, key.api_key.id).await), Code::ApiKeyNotFound);
        assert_eq!(code(update(deps, &elsewhere, None, key.api_key.id, change).await), Code::ApiKeyNotFound);
        assert_eq!(code(check(deps, &elsewhere, None, &key.value).await), Code::ApiKeyNotFound);
        assert_eq!(code(authenticate(deps, &other, &key.value).await), Code::ApiKeyNotFound);
        assert_eq!(list(deps, &elsewhere, KeyOwner::Team(scene.team)).await.unwrap(), []);
        assert_eq!(code(create(deps, &elsewhere, scene.of_team()).await), Code::TeamNotFound);
        assert_eq!(code(create(deps, &elsewhere, scene.of_keeper()).await), Code::UserNotFound);
    })
    .await;
}

#[tokio::test]
async fn keys_are_listed_newest_first_with_those_that_have_ended() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let mut ids = Vec::new();
        for expires_at in [None, Some(START.plus_seconds(-1)), None] {
            ids.insert(0, scene.made(NewApiKey { expires_at, ..scene.of_keeper() }).await.api_key.id);
            scene.bench.clock.advance_seconds(1);
        }
        scene.made(scene.of_team()).await;
        scene.revoked(ids[0]).await;
        let listed = list(scene.deps(), &scene.keeper(), KeyOwner::User(scene.keeper)).await.unwrap();
        assert_eq!(listed.iter().map(|key| key.id).collect::<Vec<_>>(), ids);
        assert!(listed[0].revoked_at.is_some());
        let of_team = list(scene.deps(), &scene.keeper(), KeyOwner::Team(scene.team)).await.unwrap();
        assert_eq!(of_team.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_described_anew_and_revoked_once() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (deps, id) = (scene.deps(), scene.made(scene.of_keeper()).await.api_key.id);
        let mut signals = deps.db.signals().subscribe();
        let change = ApiKeyChange { description: Some("Nightly".to_owned()), revoke: false };
        let kind = Some(ApiKeyType::User);
        let described = update(deps, &scene.keeper(), kind, id, change).await.unwrap();
        assert_eq!((described.description.as_str(), described.revoked_at), ("Nightly", None));
        let first = scene.revoked(id).await;
        assert_eq!(first.revoked_at, Some(START));
        assert_eq!(signals.try_next(), Some(Signal::ApiKeyRevoked { api_key_id: id }));
        scene.bench.clock.advance_seconds(5);
        assert_eq!(scene.revoked(id).await, first);
        assert_eq!(signals.try_next(), None);
        for wrong in ["x".repeat(MAX_DESCRIPTION_CHARS + 1), "\0".to_owned()] {
            let change = ApiKeyChange { description: Some(wrong.clone()), revoke: false };
            assert_eq!(code(update(deps, &scene.server(), kind, id, change).await), Code::SchemaError);
            let input = NewApiKey { description: wrong, ..scene.of_keeper() };
            assert_eq!(code(create(deps, &scene.server(), input).await), Code::SchemaError);
        }
        for wrong in [i64::MIN, -1, 253_402_300_800_000] {
            let input = NewApiKey { expires_at: Some(Timestamp(wrong)), ..scene.of_keeper() };
            assert_eq!(code(create(deps, &scene.server(), input).await), Code::SchemaError);
        }
        assert_eq!(code(get(deps, &scene.server(), Some(ApiKeyType::Team), id).await), Code::ApiKeyNotFound);
        assert_eq!(get(deps, &scene.server(), None, id).await.unwrap(), first);
    })
    .await;
}

#[tokio::test]
async fn checking_a_key_says_the_first_thing_that_is_wrong() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (deps, server) = (scene.deps(), scene.server());
        let (user, team) = (Some(ApiKeyType::User), Some(ApiKeyType::Team));
        let key = scene.made(NewApiKey { expires_at: Some(START.plus_seconds(60)), ..scene.of_keeper() }).await;
        for kind in [user, None] {
            assert_eq!(check(deps, &server, kind, &key.value).await.unwrap(), key.api_key);
        }
        let public = scene.made(NewApiKey { is_public: true, ..scene.of_team() }).await;
        assert_eq!(check(deps, &server, team, &public.value).await.unwrap().owner, KeyOwner::Team(scene.team));
        // Written like a key, with the id of one, and another secret.
        let forged = text::generate(key.api_key.id, ApiKeyType::User, false).unwrap();
        for unknown in ["", "sk_", &forged, &key.value.to_uppercase(), &"x".repeat(1_000_000)] {
            assert_eq!(code(check(deps, &server, user, unknown).await), Code::ApiKeyNotFound);
        }
        let wrong = check(deps, &server, team, &key.value).await.unwrap_err();
        let failure = wrong.failure().unwrap();
        assert_eq!(failure.code, Code::WrongApiKeyType);
        assert_eq!(failure.details, Some(json!({ "expected_type": "team", "actual_type": "user" })));
        scene.bench.clock.advance_seconds(60);
        assert_eq!(code(check(deps, &server, user, &key.value).await), Code::ApiKeyExpired);
        scene.revoked(key.api_key.id).await;
        assert_eq!(code(check(deps, &server, user, &key.value).await), Code::ApiKeyRevoked);
        assert_eq!(code(check(deps, &server, team, &key.value).await), Code::WrongApiKeyType);
    })
    .await;
}

#[tokio::test]
async fn keys_go_with_their_owner() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (of_user, of_team) = (scene.made(scene.of_keeper()).await, scene.made(scene.of_team()).await);
        let mut signals = scene.deps().db.signals().subscribe();
        users::delete(scene.deps(), &scene.server(), scene.keeper).await.unwrap();
        let kind = None;
        assert_eq!(code(check(scene.deps(), &scene.server(), kind, &of_user.value).await), Code::ApiKeyNotFound);
        check(scene.deps(), &scene.server(), kind, &of_team.value).await.unwrap();
        while signals.try_next().is_some() {}
        teams::delete(scene.deps(), &scene.server(), scene.team).await.unwrap();
        let told: Vec<_> = std::iter::from_fn(|| signals.try_next()).collect();
        assert!(told.contains(&Signal::TeamDeleted { team_id: scene.team }), "{told:?}");
        assert_eq!(code(check(scene.deps(), &scene.server(), kind, &of_team.value).await), Code::ApiKeyNotFound);
        assert_eq!(scene.count().await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_repeated_request_makes_one_key_and_tells_it_again() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let idempotency = Some(IdempotencyKey::new("once", &[b"make a key"]));
        let actor = Actor { idempotency, ..scene.keeper() };
        let first = create(scene.deps(), &actor, scene.of_keeper()).await.unwrap();
        assert_eq!(create(scene.deps(), &actor, scene.of_keeper()).await.unwrap(), first);
        assert_eq!(scene.count().await, 1);
    })
    .await;
}

/// Recipient and variables of each mail, oldest first, with the subject's source.
async fn mails(scene: &Scene) -> Vec<(Option<UserId>, Value)> {
    let rows = email::Entity::find().order_by_asc(email::Column::RecipientUserId).all(scene.deps().db.read()).await;
    let shown = |row: email::Model| {
        assert_eq!((row.template_id, row.skip_deliverability_check), (None, false));
        (row.recipient_user_id, row.variables)
    };
    rows.unwrap().into_iter().map(shown).collect()
}

/// Runs the waiting jobs that tell of leaks; answers how many there were.
async fn tell(scene: &Scene) -> usize {
    let waiting = job::Entity::find().filter(job::Column::Kind.eq("tell_of_leaked_api_key"));
    let waiting = waiting.all(scene.deps().db.read()).await.unwrap();
    for row in &waiting {
        let job: TellOfLeakedApiKey = serde_json::from_value(row.payload.clone()).unwrap();
        // As after a crash: nobody is written to twice.
        for _ in 0..2 {
            tell_of_leak(scene.deps(), &job).await.unwrap();
        }
    }
    waiting.len()
}

#[tokio::test]
async fn a_key_that_was_found_in_public_is_revoked_and_its_owner_told() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (deps, nowhere) = (scene.deps(), ClientInfo::default());
        let of_user = scene.made(scene.of_keeper()).await;
        let mut signals = deps.db.signals().subscribe();
        for _ in 0..2 {
            report_leaked(deps, &of_user.value, &nowhere).await.unwrap();
        }
        let api_key_id = of_user.api_key.id;
        let told: Vec<_> = std::iter::from_fn(|| signals.try_next()).collect();
        assert!(told.contains(&Signal::ApiKeyRevoked { api_key_id }), "{told:?}");
        assert_eq!(get(deps, &scene.server(), None, api_key_id).await.unwrap().revoked_at, Some(START));
        assert_eq!(tell(&scene).await, 1);
        let last_four = &of_user.api_key.last_four;
        let variables = json!({ "description": "CI", "lastFour": last_four, "teamDisplayName": null });
        assert_eq!(mails(&scene).await, [(Some(scene.keeper), variables)]);
    })
    .await;
}

#[tokio::test]
async fn of_a_teams_key_everybody_is_told_who_looks_after_keys() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let key = scene.made(scene.of_team()).await;
        let (deps, actor) = (scene.deps(), scene.server());
        let mut holders = vec![scene.keeper];
        // One more by the permission itself, and one by another permission only.
        for permission in ["$manage_api_keys", "$read_members"] {
            let id = users::create(deps, &actor, CreateUser::default()).await.unwrap().id;
            teams::add_member(deps, &actor, scene.team, id).await.unwrap();
            permissions::grant_in_team(deps, &actor, scene.team, id, permission).await.unwrap();
            holders.extend((permission == "$manage_api_keys").then_some(id));
        }
        report_leaked(deps, &key.value, &ClientInfo::default()).await.unwrap();
        assert_eq!(tell(&scene).await, 1);
        let told = mails(&scene).await;
        let mut recipients: Vec<_> = told.iter().filter_map(|(user, _)| *user).collect();
        recipients.sort();
        holders.sort();
        assert_eq!(recipients, holders);
        assert!(told.iter().all(|(_, variables)| variables["teamDisplayName"] == "Analysts"));
    })
    .await;
}

#[tokio::test]
async fn reports_of_what_is_no_live_secret_key_change_nothing() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (deps, nowhere) = (scene.deps(), ClientInfo::default());
        let public = scene.made(NewApiKey { is_public: true, ..scene.of_keeper() }).await;
        let over = scene.made(NewApiKey { expires_at: Some(START), ..scene.of_keeper() }).await;
        let forged = text::generate(public.api_key.id, ApiKeyType::User, false).unwrap();
        for (text, expected) in [
            ("nonsense", Code::ApiKeyNotFound),
            (forged.as_str(), Code::ApiKeyNotFound),
            (&public.value, Code::PublicApiKeyCannotBeRevoked),
            (&over.value, Code::ApiKeyExpired),
        ] {
            assert_eq!(code(report_leaked(deps, text, &nowhere).await), expected);
        }
        assert_eq!(tell(&scene).await, 0);
        for id in [public.api_key.id, over.api_key.id] {
            assert_eq!(get(deps, &scene.server(), None, id).await.unwrap().revoked_at, None);
        }
        // Keys of a project that has switched them off since are revoked all the same.
        let key = scene.made(scene.of_keeper()).await;
        switch(&scene.bench, &scene.project, false, false).await;
        report_leaked(deps, &key.value, &nowhere).await.unwrap();
        assert_eq!(tell(&scene).await, 1);

        let ip = Some("192.0.2.7".parse().unwrap());
        let scanner = ClientInfo { ip, ..ClientInfo::default() };
        scene.bench.rates.refuse("leak_reports/address/", std::time::Duration::from_secs(7));
        assert_eq!(code(report_leaked(deps, &key.value, &scanner).await), Code::RateLimited);
    })
    .await;
}

/// What a key may do is one list; every mutation passes it.
#[tokio::test]
async fn an_api_key_does_what_the_list_says_and_nothing_else() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let key = scene.made(scene.of_keeper()).await;
        let acting = authenticate(scene.deps(), &scene.project, &key.value).await.unwrap();
        assert_eq!(acting, ActingKey { id: key.api_key.id, owner: KeyOwner::User(scene.keeper) });
        let actor = Actor::of_key(scene.project.clone(), acting);
        assert_eq!((actor.level, actor.user_id(), actor.team_id()), (Level::Client, Some(scene.keeper), None));
        let deps = scene.deps();
        for operation in ["api_keys.create", "sessions.revoke", "users.delete", "a mutation of tomorrow"] {
            assert_eq!(code(deps.mutate(&actor, operation, |_| async { Ok(()) }).await), Code::Forbidden);
            assert_eq!(deps.mutate(&scene.keeper(), operation, |_| async { Ok(1) }).await.unwrap(), 1);
        }
        for operation in OF_KEYS {
            assert_eq!(deps.mutate(&actor, operation, |_| async { Ok(1) }).await.unwrap(), 1);
        }
        let input = users::UpdateOwnUser {
            display_name: crate::patch::Patch::Set("Ada".to_owned()),
            ..users::UpdateOwnUser::default()
        };
        assert_eq!(users::update_own(deps, &actor, input.clone()).await.unwrap().display_name.as_deref(), Some("Ada"));
        let with_mail = crate::patch::Patch::Set("eve@example.com".to_owned());
        for input in [
            users::UpdateOwnUser { primary_email: with_mail, ..input.clone() },
            users::UpdateOwnUser { otp_auth_enabled: Some(false), ..input.clone() },
            users::UpdateOwnUser { passkey_auth_enabled: Some(false), ..input.clone() },
            users::UpdateOwnUser { totp_secret_base64: crate::patch::Patch::Clear, ..input },
        ] {
            assert_eq!(code(users::update_own(deps, &actor, input).await), Code::Forbidden);
        }
        assert_eq!(code(list(deps, &actor, KeyOwner::User(scene.keeper)).await), Code::Forbidden);
        assert_eq!(code(get(deps, &actor, None, key.api_key.id).await), Code::Forbidden);
        assert_eq!(code(crate::sessions::list(deps, &actor, scene.keeper).await), Code::Forbidden);
    })
    .await;
}

#[tokio::test]
async fn a_teams_key_sees_its_team_and_no_other_and_holds_no_permission() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let deps = scene.deps();
        let key = scene.made(scene.of_team()).await;
        let acting = authenticate(deps, &scene.project, &key.value).await.unwrap();
        let actor = Actor::of_key(scene.project.clone(), acting);
        assert_eq!((actor.user_id(), actor.team_id()), (None, Some(scene.team)));
        let other = CreateTeam { display_name: "Others".to_owned(), ..CreateTeam::default() };
        let other = teams::create(deps, &scene.server(), other).await.unwrap().id;
        assert_eq!(teams::get(deps, &actor, scene.team).await.unwrap().display_name, "Analysts");
        assert_eq!(code(teams::get(deps, &actor, other).await), Code::TeamNotFound);
        let listed = teams::list(deps, &actor, None).await.unwrap();
        assert_eq!(listed.iter().map(|team| team.id).collect::<Vec<_>>(), [scene.team]);
        assert_eq!(code(users::get_own(deps, &actor).await), Code::CannotGetOwnUserWithoutUser);
        assert_eq!(code(users::get(deps, &actor, scene.keeper).await), Code::UserNotFound);
        let change = teams::UpdateTeam { display_name: Some("Ours".to_owned()), ..teams::UpdateTeam::default() };
        let refused = teams::update(deps, &actor, scene.team, change).await;
        assert_eq!(code(refused), Code::UserAuthenticationRequired);
    })
    .await;
}

#[tokio::test]
async fn a_key_speaks_for_its_owner_only_while_it_is_good_and_secret() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (deps, project) = (scene.deps(), &scene.project);
        let public = scene.made(NewApiKey { is_public: true, ..scene.of_keeper() }).await;
        assert_eq!(code(authenticate(deps, project, &public.value).await), Code::Forbidden);
        assert_eq!(code(authenticate(deps, project, "sk_nonsense").await), Code::ApiKeyNotFound);
        let key = scene.made(NewApiKey { expires_at: Some(START.plus_seconds(60)), ..scene.of_team() }).await;
        authenticate(deps, project, &key.value).await.unwrap();
        scene.bench.clock.advance_seconds(60);
        assert_eq!(code(authenticate(deps, project, &key.value).await), Code::ApiKeyExpired);
        scene.revoked(key.api_key.id).await;
        assert_eq!(code(authenticate(deps, project, &key.value).await), Code::ApiKeyRevoked);
    })
    .await;
}
