//! Linked accounts on both databases. What the tests stand on comes first.

mod races;

use postern_entity::{LinkedAccountTokenId, linked_account_token};
use sea_orm::{EntityTrait, IntoActiveModel, PaginatorTrait};

use super::*;
use crate::{
    actor::IdempotencyKey,
    patch::Patch,
    testing::{START, TestBench, client, on_each_database, server, stranger},
    users::{self, CreateUser, OAuthLink, User},
};

struct Scene {
    bench: TestBench,
    project: ProjectId,
    ada: UserId,
    bob: UserId,
}

impl Scene {
    /// A project with a few providers, two of them of one type, and two users.
    async fn on(bench: TestBench) -> Self {
        let project = project(&bench).await;
        let (ada, bob) = (made(&bench, &project, &[]).await.id, made(&bench, &project, &[]).await.id);
        Self { bench, project, ada, bob }
    }

    fn deps(&self) -> &Deps {
        &self.bench.deps
    }

    fn server(&self) -> Actor {
        server(&self.project)
    }

    async fn link(&self, new: NewLinkedAccount) -> Result<LinkedAccount> {
        create(self.deps(), &self.server(), new).await
    }

    async fn of(&self, user_id: UserId) -> Vec<LinkedAccount> {
        list(self.deps(), &self.server(), Some(user_id)).await.unwrap()
    }

    /// The events about links.
    async fn told(&self) -> Vec<(String, Value)> {
        let mut events = self.bench.events(&self.project).await;
        events.retain(|(kind, _)| kind != "user.created");
        events
    }

    async fn keep_tokens(&self, of: LinkedAccountId) {
        let row = linked_account_token::Model {
            id: LinkedAccountTokenId::random(),
            project_id: self.project.clone(),
            linked_account_id: of,
            scopes: "repo user:email".to_owned(),
            access_token: None,
            access_expires_at: None,
            refresh_token: Some(vec![1]),
            created_at: START,
            client: None,
            renewing_until: None,
        };
        let row = &row;
        let insert = |tx: Tx| async move {
            let insert = linked_account_token::Entity::insert(row.clone().into_active_model());
            Ok(insert.exec_without_returning(&*tx).await?)
        };
        self.deps().db.write(insert).await.unwrap();
    }

    async fn tokens(&self) -> u64 {
        linked_account_token::Entity::find().count(self.deps().db.read()).await.unwrap()
    }
}

async fn project(bench: &TestBench) -> ProjectId {
    let project = bench.insert_project().await;
    let providers = json!({ "auth.oauth.providers": {
        "github": { "type": "github" }, "google": { "type": "google" }, "google2": { "type": "google" },
    } });
    bench.set_config(&project, providers).await;
    project
}

fn with(links: &[(&str, &str)]) -> CreateUser {
    let link = |(provider, account): &(&str, &str)| OAuthLink::new((*provider).to_owned(), (*account).to_owned(), None);
    CreateUser { oauth_providers: links.iter().map(link).collect(), ..CreateUser::default() }
}

async fn made(bench: &TestBench, project: &ProjectId, links: &[(&str, &str)]) -> User {
    users::create(&bench.deps, &server(project), with(links)).await.unwrap()
}

fn of(user_id: UserId, provider: &str, account: &str) -> NewLinkedAccount {
    NewLinkedAccount {
        user_id,
        provider_config_id: provider.to_owned(),
        account_id: account.to_owned(),
        email: None,
        allow_sign_in: true,
        allow_connected_accounts: true,
    }
}

fn not_to_sign_in(new: NewLinkedAccount) -> NewLinkedAccount {
    NewLinkedAccount { allow_sign_in: false, ..new }
}

fn code<T: std::fmt::Debug>(outcome: Result<T>) -> Code {
    outcome.unwrap_err().failure().unwrap().code
}

fn accounts(user: &User) -> Vec<(&str, &str)> {
    user.oauth_accounts.iter().map(|it| (it.provider_config_id.as_str(), it.account_id.as_str())).collect()
}

#[tokio::test]
async fn a_link_is_made_changed_and_removed_and_each_change_is_told_once() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (deps, server) = (scene.deps(), scene.server());
        let new = NewLinkedAccount { email: Some(" Ada@Example.com ".to_owned()), ..of(scene.ada, "github", "1") };
        let link = scene.link(new).await.unwrap();
        assert_eq!((link.kind.as_str(), link.email.as_deref()), ("github", Some("ada@example.com")));
        assert_eq!(scene.of(scene.ada).await, std::slice::from_ref(&link));
        assert_eq!(get(deps, &server, scene.ada, link.id).await.unwrap(), link);
        let ada = users::find(deps, &scene.project, scene.ada).await.unwrap().unwrap();
        assert_eq!(accounts(&ada), [("github", "1")]);

        let own = client(&scene.project, scene.ada);
        let off = UpdateLinkedAccount { allow_connected_accounts: Some(false), ..UpdateLinkedAccount::default() };
        let changed = update(deps, &own, scene.ada, link.id, off).await.unwrap();
        assert_eq!(changed, LinkedAccount { allow_connected_accounts: false, ..link.clone() });
        assert_eq!(connected(deps, &own, scene.ada).await.unwrap(), []);
        let other = UpdateLinkedAccount {
            email: Patch::Clear,
            account_id: Some("2".to_owned()),
            ..UpdateLinkedAccount::default()
        };
        let changed = update(deps, &server, scene.ada, link.id, other).await.unwrap();
        assert_eq!((changed.account_id.as_str(), changed.email.as_deref()), ("2", None));

        delete(deps, &own, scene.ada, link.id).await.unwrap();
        assert_eq!(scene.of(scene.ada).await, []);
        let told = scene.told().await;
        let kinds: Vec<_> = told.iter().map(|(kind, _)| kind.as_str()).collect();
        let [created, updated] = ["linked_account.created", "linked_account.updated"];
        assert_eq!(kinds, [created, updated, updated, "linked_account.deleted"]);
        let view = json!({
            "id": link.id, "user_id": scene.ada, "email": "ada@example.com", "provider_config_id": "github",
            "type": "github", "allow_sign_in": true, "allow_connected_accounts": true, "account_id": "1",
        });
        assert_eq!((&told[0].1, &told[3].1), (&view, &json!({ "id": link.id, "user_id": scene.ada })));
    })
    .await;
}

#[tokio::test]
async fn an_account_lets_one_user_in_and_a_user_in_by_one_account_of_a_type() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (ada, bob) = (scene.ada, scene.bob);
        let taken = Code::OauthProviderAccountIdAlreadyUsedForSignIn;
        let link = scene.link(of(ada, "google", "1")).await.unwrap();
        assert_eq!(code(scene.link(of(bob, "google", "1")).await), taken);
        // Another provider's account, though of one type, is another account.
        scene.link(of(bob, "google2", "1")).await.unwrap();
        for new in [of(ada, "google", "1"), not_to_sign_in(of(ada, "google", "1")), of(ada, "google2", "2")] {
            assert_eq!(code(scene.link(new).await), Code::BadRequest);
        }
        // Not to sign in with, anybody may have it, and any number of them.
        let second = scene.link(not_to_sign_in(of(ada, "google", "2"))).await.unwrap();
        let bobs = scene.link(not_to_sign_in(of(bob, "google", "1"))).await.unwrap();

        let sign_in = || UpdateLinkedAccount { allow_sign_in: Some(true), ..UpdateLinkedAccount::default() };
        let account =
            |id: &str| UpdateLinkedAccount { account_id: Some(id.to_owned()), ..UpdateLinkedAccount::default() };
        let (deps, server) = (scene.deps(), scene.server());
        for (user, id, change) in
            [(ada, second.id, sign_in()), (bob, bobs.id, sign_in()), (ada, second.id, account("1"))]
        {
            assert_eq!(code(update(deps, &server, user, id, change).await), Code::BadRequest);
        }
        scene.link(not_to_sign_in(of(bob, "github", "9"))).await.unwrap();
        scene.link(of(ada, "github", "9")).await.unwrap();
        let github = scene.of(bob).await.into_iter().find(|link| link.provider_config_id == "github").unwrap();
        assert_eq!(code(update(deps, &server, bob, github.id, sign_in()).await), taken);
        update(deps, &server, bob, github.id, UpdateLinkedAccount { allow_sign_in: Some(true), ..account("8") })
            .await
            .unwrap();
        // Who gives an account up leaves it to others.
        delete(deps, &server, ada, link.id).await.unwrap();
        update(deps, &server, ada, second.id, sign_in()).await.unwrap();
        // Another project has accounts of its own.
        let other = project(&scene.bench).await;
        made(&scene.bench, &other, &[("github", "9")]).await;
    })
    .await;
}

#[tokio::test]
async fn a_user_deals_with_its_own_links_only_and_changes_less_than_servers() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (deps, ada) = (scene.deps(), scene.ada);
        let link = scene.link(of(ada, "github", "1")).await.unwrap();
        let change = UpdateLinkedAccount::default;
        for actor in [client(&scene.project, scene.bob), stranger(&scene.project)] {
            assert_eq!(code(list(deps, &actor, Some(ada)).await), Code::Forbidden);
            assert_eq!(code(list(deps, &actor, None).await), Code::Forbidden);
            assert_eq!(code(connected(deps, &actor, ada).await), Code::Forbidden);
            assert_eq!(code(get(deps, &actor, ada, link.id).await), Code::Forbidden);
            assert_eq!(code(update(deps, &actor, ada, link.id, change()).await), Code::Forbidden);
            assert_eq!(code(delete(deps, &actor, ada, link.id).await), Code::Forbidden);
            assert_eq!(code(create(deps, &actor, of(ada, "google", "1")).await), Code::Forbidden);
        }
        let bob = client(&scene.project, scene.bob);
        assert_eq!(code(get(deps, &bob, scene.bob, link.id).await), Code::NotFound);
        assert_eq!(code(delete(deps, &bob, scene.bob, link.id).await), Code::NotFound);
        let own = client(&scene.project, ada);
        assert_eq!(code(create(deps, &own, of(ada, "google", "1")).await), Code::Forbidden);
        for change in [
            UpdateLinkedAccount { email: Patch::Set("a@example.com".to_owned()), ..change() },
            UpdateLinkedAccount { email: Patch::Clear, ..change() },
            UpdateLinkedAccount { account_id: Some("2".to_owned()), ..change() },
        ] {
            assert_eq!(code(update(deps, &own, ada, link.id, change).await), Code::SchemaError);
        }
        assert_eq!(WireLinkedAccount::of(link.clone(), &own).account_id, None);
        assert_eq!(WireLinkedAccount::of(link.clone(), &scene.server()).account_id.as_deref(), Some("1"));
        // Nothing of it is seen from another project.
        let foreign = server(&project(&scene.bench).await);
        assert_eq!(code(list(deps, &foreign, Some(ada)).await), Code::UserNotFound);
        assert_eq!(code(get(deps, &foreign, ada, link.id).await), Code::UserNotFound);
        assert_eq!(code(update(deps, &foreign, ada, link.id, change()).await), Code::UserNotFound);
        assert_eq!(code(delete(deps, &foreign, ada, link.id).await), Code::UserNotFound);
        assert_eq!(code(create(deps, &foreign, of(ada, "github", "2")).await), Code::UserNotFound);
        assert_eq!(list(deps, &foreign, None).await.unwrap(), []);
        assert_eq!(scene.of(ada).await, [link]);
        assert_eq!(scene.told().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn input_is_bounded_and_the_provider_must_be_set_up_to_make_a_link_but_not_to_keep_one() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (deps, ada) = (scene.deps(), scene.ada);
        for (new, expected) in [
            (of(ada, "github", ""), Code::SchemaError),
            (of(ada, "github", &"x".repeat(MAX_ACCOUNT_ID_CHARS + 1)), Code::SchemaError),
            (of(ada, "github", "a\0"), Code::SchemaError),
            (of(ada, &"x".repeat(256), "1"), Code::SchemaError),
            (NewLinkedAccount { email: Some("nobody".to_owned()), ..of(ada, "github", "1") }, Code::SchemaError),
            (of(ada, "gitlab", "1"), Code::NotFound),
            (of(UserId::random(), "github", "1"), Code::UserNotFound),
        ] {
            assert_eq!(code(scene.link(new.clone()).await), expected, "{new:?}");
        }
        let longest = scene.link(of(ada, "github", &"ä".repeat(MAX_ACCOUNT_ID_CHARS))).await.unwrap();
        scene.bench.set_config(&scene.project, json!({})).await;
        assert_eq!(scene.of(ada).await, std::slice::from_ref(&longest));
        let off = UpdateLinkedAccount { allow_sign_in: Some(false), ..UpdateLinkedAccount::default() };
        update(deps, &scene.server(), ada, longest.id, off).await.unwrap();
        delete(deps, &scene.server(), ada, longest.id).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_user_has_a_bounded_number_of_links() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let link = |number: usize| OAuthLink {
            allow_sign_in: false,
            ..OAuthLink::new("github".to_owned(), number.to_string(), None)
        };
        let with =
            |count: usize| CreateUser { oauth_providers: (0..count).map(link).collect(), ..CreateUser::default() };
        let (deps, server) = (scene.deps(), scene.server());
        assert_eq!(code(users::create(deps, &server, with(MAX_OF_USER + 1)).await), Code::BadRequest);
        let full = users::create(deps, &server, with(MAX_OF_USER)).await.unwrap();
        assert_eq!(code(scene.link(not_to_sign_in(of(full.id, "google", "1"))).await), Code::BadRequest);
    })
    .await;
}

#[tokio::test]
async fn a_user_has_the_links_it_is_made_with_in_the_order_they_were_given() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        let links = [("google", "3"), ("github", "1"), ("google2", "x")];
        let actor = server(&project);
        let code_of = async |links: &[(&str, &str)]| code(users::create(&bench.deps, &actor, with(links)).await);
        // Two of one type to sign in with.
        assert_eq!(code_of(&links).await, Code::BadRequest);
        assert_eq!(code_of(&[("gitlab", "1")]).await, Code::BadRequest);
        assert_eq!(code_of(&[("github", "")]).await, Code::SchemaError);
        let mut input = with(&links);
        input.oauth_providers[2].allow_sign_in = false;
        input.oauth_providers[1].email = Some("A@example.com".to_owned());
        input.oauth_providers.push(input.oauth_providers[2].clone());
        assert_eq!(code(users::create(&bench.deps, &actor, input.clone()).await), Code::BadRequest);
        input.oauth_providers.pop();
        let user = users::create(&bench.deps, &actor, input).await.unwrap();
        assert_eq!(accounts(&user), links);
        assert_eq!(user.oauth_accounts[1].email.as_deref(), Some("a@example.com"));
        let config = crate::projects::config(&bench.deps, &project).await.unwrap();
        let tx_sees =
            bench.deps.db.write(async |tx| users::find_in(&tx, &config, &project, user.id).await).await.unwrap();
        let listed = users::list(&bench.deps, &actor, &users::ListUsers::default()).await.unwrap().users.remove(0);
        let by_id = users::by_ids(&bench.deps, &project, &[user.id]).await.unwrap().remove(&user.id).unwrap();
        for seen in
            [users::find(&bench.deps, &project, user.id).await.unwrap().unwrap(), tx_sees.unwrap(), listed, by_id]
        {
            assert_eq!(seen.oauth_accounts, user.oauth_accounts);
        }
        let events = bench.events(&project).await;
        let told: Vec<_> = events.iter().map(|(kind, payload)| (kind.as_str(), &payload["oauth_providers"])).collect();
        let providers = json!([
            { "id": "google", "account_id": "3", "email": null },
            { "id": "github", "account_id": "1", "email": "a@example.com" },
            { "id": "google2", "account_id": "x", "email": null },
        ]);
        assert_eq!(told, [("user.created", &providers)]);
        // It is nothing that one signs in with an address by.
        assert!(!user.auth_with_email());
        let taken = code_of(&[("github", "1")]).await;
        assert_eq!(taken, Code::OauthProviderAccountIdAlreadyUsedForSignIn);
        let renamed = users::UpdateUser { display_name: Patch::Set("Ada".to_owned()), ..users::UpdateUser::default() };
        let renamed = users::update(&bench.deps, &actor, user.id, renamed).await.unwrap();
        assert_eq!(renamed.oauth_accounts, user.oauth_accounts);
    })
    .await;
}

#[tokio::test]
async fn what_the_other_site_gave_goes_with_the_account() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (deps, server) = (scene.deps(), scene.server());
        let mut links = Vec::new();
        for (user, provider) in [(scene.ada, "github"), (scene.ada, "google"), (scene.bob, "google2")] {
            let link = scene.link(of(user, provider, "1")).await.unwrap();
            scene.keep_tokens(link.id).await;
            links.push(link.id);
        }
        let email = UpdateLinkedAccount { email: Patch::Set("a@b".to_owned()), ..UpdateLinkedAccount::default() };
        update(deps, &server, scene.ada, links[0], email).await.unwrap();
        assert_eq!(scene.tokens().await, 3);
        let other = UpdateLinkedAccount { account_id: Some("2".to_owned()), ..UpdateLinkedAccount::default() };
        update(deps, &server, scene.ada, links[0], other).await.unwrap();
        assert_eq!(scene.tokens().await, 2);
        delete(deps, &server, scene.ada, links[1]).await.unwrap();
        assert_eq!(scene.tokens().await, 1);
        users::delete(deps, &server, scene.bob).await.unwrap();
        assert_eq!(scene.tokens().await, 0);
        let left = list(deps, &server, None).await.unwrap();
        assert_eq!(left.iter().map(|link| link.id).collect::<Vec<_>>(), [links[0]]);
    })
    .await;
}

#[tokio::test]
async fn a_repeated_request_makes_one_link() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let actor = Actor { idempotency: Some(IdempotencyKey::new("once", &[b"link"])), ..scene.server() };
        let first = create(scene.deps(), &actor, of(scene.ada, "github", "1")).await.unwrap();
        assert_eq!(create(scene.deps(), &actor, of(scene.ada, "github", "1")).await.unwrap(), first);
        assert_eq!(scene.told().await.len(), 1);
    })
    .await;
}
