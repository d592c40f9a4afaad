//! Access tokens of linked accounts (wire/auth §12).

use postern_entity::linked_account_token;
use sea_orm::{PaginatorTrait, sea_query::Expr};
use serde_json::json;

use super::{config as config_of, *};
use crate::{
    Code, UserId,
    linked_accounts::{self, UpdateLinkedAccount},
    oauth::ProviderKind,
    ports::oauth::ProviderError,
    sessions::{SignedIn, test_scene::refusal},
    settings::{Settings, SharedOAuthClient},
    testing::settings,
};

impl Scene {
    /// Signs in with an account that gives these tokens.
    async fn linked(&self, given: Tokens) -> UserId {
        self.signed_in_by(given).await.user_id
    }

    async fn signed_in_by(&self, given: Tokens) -> SignedIn {
        self.leave(&self.stranger(), departing("github")).await.unwrap();
        self.bench.providers.send_back(account("1"), given);
        let arrival = self.come_back(self.returned("github")).await.unwrap();
        self.exchange(&code(&arrival)).await.unwrap().signed_in
    }

    async fn token(&self, user_id: UserId, scopes: &str) -> Result<String> {
        let server = self.server();
        let token = linked_accounts::access_token(self.deps(), &server, user_id, "github", None, scopes).await?;
        Ok(token.expose_secret().to_owned())
    }
}

#[tokio::test]
async fn a_kept_token_is_handed_out_while_it_is_good_and_renewed_then() {
    on_each(async |scene| {
        let user = scene.linked(tokens("first", Some("refresh"), Some(3600), "email repo")).await;
        assert_eq!(scene.token(user, "").await.unwrap(), "first");
        assert_eq!(scene.token(user, "repo email").await.unwrap(), "first");
        assert_eq!(refusal(scene.token(user, "gist").await), Code::OauthConnectionDoesNotHaveRequiredScope);
        scene.bench.clock.advance_seconds(55 * 60);
        assert_eq!(scene.token(user, "").await.unwrap(), "first", "good for five minutes more");
        scene.bench.clock.advance_seconds(1);
        scene.bench.providers.renew_next(Ok(Tokens { scopes: None, ..tokens("second", Some("next"), Some(3600), "") }));
        assert_eq!(scene.token(user, "repo").await.unwrap(), "second");
        assert_eq!(scene.token(user, "repo").await.unwrap(), "second", "it was kept");
        // A token that the site takes no more is renewed before its time.
        scene.bench.providers.revoke("second");
        scene.bench.providers.renew_next(Ok(tokens("third", None, None, "email")));
        assert_eq!(scene.token(user, "email").await.unwrap(), "third");
        assert_eq!(refusal(scene.token(user, "repo").await), Code::OauthConnectionDoesNotHaveRequiredScope);
    })
    .await;
}

#[tokio::test]
async fn a_revoked_consent_is_forgotten_and_a_new_one_serves() {
    on_each(async |scene| {
        let user = scene.linked(tokens("first", Some("refresh"), Some(3600), "email")).await;
        scene.bench.providers.revoke("first");
        // In trouble is not revoked.
        scene.bench.providers.renew_next(Err(ProviderError::Unavailable("it answered 502".to_owned())));
        assert_eq!(refusal(scene.token(user, "").await), Code::OauthProviderTemporarilyUnavailable);
        scene.bench.providers.renew_next(Ok(tokens("second", Some("refresh"), Some(3600), "email")));
        assert_eq!(scene.token(user, "").await.unwrap(), "second");
        scene.bench.providers.revoke("second");
        assert_eq!(refusal(scene.token(user, "").await), Code::OauthConnectionDoesNotHaveRequiredScope);
        assert_eq!(scene.kept().await, 0);
        scene.linked(tokens("third", Some("refresh"), Some(3600), "email")).await;
        assert_eq!(scene.token(user, "").await.unwrap(), "third");
    })
    .await;
}

impl Scene {
    async fn kept(&self) -> u64 {
        linked_account_token::Entity::find().count(self.deps().db.read()).await.unwrap()
    }
}

#[tokio::test]
async fn consents_do_not_pile_up_and_none_that_can_be_renewed_is_lost() {
    on_each(async |scene| {
        let user = scene.linked(tokens("long", Some("refresh"), Some(3600), "email repo")).await;
        for number in 0..3 {
            scene.bench.clock.advance_seconds(1);
            scene.linked(tokens(&format!("short {number}"), None, Some(3600), "email")).await;
        }
        assert_eq!(scene.kept().await, 2, "the one with a refresh token, and the newest");
        assert_eq!(scene.token(user, "email").await.unwrap(), "short 2");
        assert_eq!(scene.token(user, "repo").await.unwrap(), "long");
        for number in 0..20 {
            scene.bench.clock.advance_seconds(1);
            scene.linked(tokens("at", Some("rt"), Some(3600), &format!("scope-{number}"))).await;
        }
        assert_eq!(scene.kept().await, 10);
    })
    .await;
}

#[tokio::test]
async fn a_user_who_asks_too_often_has_to_wait_and_a_server_has_not() {
    on_each(async |scene| {
        let signed_in = scene.signed_in_by(tokens("first", None, None, "email")).await;
        let (user, own) = (signed_in.user_id, scene.client(&signed_in).await);
        scene.bench.rates.refuse("provider_tokens/account", std::time::Duration::from_secs(60));
        let asked = linked_accounts::access_token(scene.deps(), &own, user, "github", None, "").await;
        assert_eq!(refusal(asked), Code::RateLimited);
        assert_eq!(scene.token(user, "").await.unwrap(), "first");
    })
    .await;
}

#[tokio::test]
async fn nothing_is_handed_out_that_is_not_to_be() {
    on_each(async |scene| {
        let user = scene.linked(tokens("first", None, None, "email")).await;
        let eve = scene.anonymous().await;
        let eve = scene.client(&eve).await;
        let asked = linked_accounts::access_token(scene.deps(), &eve, user, "github", None, "").await;
        assert_eq!(refusal(asked), Code::Forbidden);
        let asked = async |provider: &str, id: Option<&str>, user| {
            let server = scene.server();
            refusal(linked_accounts::access_token(scene.deps(), &server, user, provider, id, "").await)
        };
        assert_eq!(asked("unknown", None, user).await, Code::OauthProviderNotFoundOrNotEnabled);
        assert_eq!(asked("google", None, user).await, Code::OauthConnectionNotConnectedToUser);
        assert_eq!(asked("github", Some("2"), user).await, Code::OauthConnectionNotConnectedToUser);
        assert_eq!(asked("github", None, UserId::random()).await, Code::UserNotFound);
        let id = scene.all_links().await[0].id;
        let off = UpdateLinkedAccount { allow_connected_accounts: Some(false), ..UpdateLinkedAccount::default() };
        linked_accounts::update(scene.deps(), &scene.server(), user, id, off).await.unwrap();
        assert_eq!(asked("github", None, user).await, Code::OauthConnectionNotConnectedToUser);
        // An unlinked account takes its tokens along.
        assert_eq!(scene.kept().await, 1);
        linked_accounts::delete(scene.deps(), &scene.server(), user, id).await.unwrap();
        assert_eq!(scene.kept().await, 0);
        let shared = json!({ "github": { "type": "github", "allowConnectedAccounts": true, "isShared": true } });
        scene.configure(json!({ "auth.oauth.providers": shared })).await;
        assert_eq!(asked("github", None, user).await, Code::OauthAccessTokenNotAvailableWithSharedOauthKeys);
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_is_sealed_and_not_kept_where_it_is_of_no_use() {
    on_each(async |scene| {
        scene.linked(tokens("at-secret", Some("rt-secret"), None, "email")).await;
        let row = linked_account_token::Entity::find().one(scene.deps().db.read()).await.unwrap().unwrap();
        for sealed in [row.access_token.unwrap(), row.refresh_token.unwrap()] {
            assert!(!String::from_utf8_lossy(&sealed).contains("secret"));
        }
        let provider =
            json!({ "type": "google", "allowSignIn": true, "isShared": false, "clientId": "us", "clientSecret": "s" });
        scene.configure(json!({ "auth.oauth.providers": { "google": provider } })).await;
        let other = Account { email: None, ..account("2") };
        scene.visit(&scene.stranger(), departing("google"), other.clone()).await;
        scene.sign_in_with("google", other).await;
        assert_eq!(scene.kept().await, 1, "the project does not use what Google gives");
    })
    .await;
}

#[tokio::test]
async fn what_the_installations_client_got_is_no_projects() {
    let shared = json!({ "type": "github", "allowSignIn": true, "allowConnectedAccounts": true, "isShared": true });
    for gives_tokens in [false, true] {
        for database in TestDatabase::each().await {
            let client = SharedOAuthClient { id: "us".to_owned(), secret: "s".to_owned().into() };
            let settings = Settings {
                shared_oauth: [(ProviderKind::Github, client)].into(),
                shared_oauth_gives_tokens: gives_tokens,
                ..settings()
            };
            let bench = TestBench::with_settings(&database, settings).await;
            let project = bench.insert_project().await;
            let config = json!({ "auth.oauth.providers": { "github": shared } });
            let scene = Scene::with(bench, project, config).await;
            let user = scene.linked(tokens("theirs", Some("refresh"), Some(3600), "email")).await;
            assert_eq!(
                (scene.kept().await, scene.token(user, "").await.is_ok()),
                (u64::from(gives_tokens), gives_tokens)
            );
            // A client of the project's own with the same id, which it could write there itself.
            scene.configure(config_of(&json!({}))).await;
            assert_eq!(refusal(scene.token(user, "").await), Code::OauthConnectionDoesNotHaveRequiredScope);
        }
    }
}

#[tokio::test]
async fn what_one_client_got_no_other_one_uses_or_takes_away() {
    on_each(async |scene| {
        let user = scene.linked(tokens("first", Some("refresh"), Some(3600), "email")).await;
        let mut other = config_of(&json!({}));
        other["auth.oauth.providers"]["github"]["clientId"] = "another".into();
        scene.configure(other).await;
        assert_eq!(refusal(scene.token(user, "").await), Code::OauthConnectionDoesNotHaveRequiredScope);
        scene.configure(config_of(&json!({}))).await;
        assert_eq!(scene.token(user, "").await.unwrap(), "first");
    })
    .await;
}

#[tokio::test]
async fn a_refused_client_loses_no_consent() {
    on_each(async |scene| {
        let user = scene.linked(tokens("first", Some("refresh"), Some(3600), "email")).await;
        scene.bench.providers.revoke("first");
        let refused = ProviderError::Refused("The provider refuses: invalid_client.".to_owned());
        scene.bench.providers.renew_next(Err(refused));
        assert_eq!(refusal(scene.token(user, "").await), Code::BadRequest);
        scene.bench.providers.renew_next(Ok(tokens("second", None, Some(3600), "email")));
        assert_eq!(scene.token(user, "").await.unwrap(), "second");
    })
    .await;
}

#[tokio::test]
async fn many_who_want_a_token_at_once_renew_it_once() {
    on_each(async |scene| {
        let user = scene.linked(tokens("first", Some("refresh"), Some(3600), "email")).await;
        scene.bench.providers.revoke("first");
        // A second use of the refresh token would end the consent, as at sites that take it for a theft.
        scene.bench.providers.renew_next(Ok(tokens("second", Some("next"), Some(3600), "email")));
        let asked = futures::future::join_all((0..20).map(|_| scene.token(user, ""))).await;
        let got: Vec<_> = asked.into_iter().map(Result::unwrap).collect();
        assert!(got.iter().all(|token| token == "second"), "{got:?}");
        assert_eq!(scene.kept().await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_renewal_whose_process_died_is_done_by_the_next_one() {
    on_each(async |scene| {
        let user = scene.linked(tokens("first", Some("refresh"), Some(3600), "email")).await;
        let until = scene.deps().now().plus_seconds(30);
        let claim = linked_account_token::Entity::update_many()
            .col_expr(linked_account_token::Column::RenewingUntil, Expr::value(Some(until)));
        let claim = &claim;
        scene.deps().db.write(|tx| async move { Ok(claim.clone().exec(&*tx).await?) }).await.unwrap();
        scene.bench.clock.advance_seconds(30);
        scene.bench.providers.renew_next(Ok(tokens("second", None, Some(3600), "email")));
        assert_eq!(scene.token(user, "").await.unwrap(), "second");
    })
    .await;
}
