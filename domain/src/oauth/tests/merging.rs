//! The table of cases (wire/auth §11): what becomes of somebody who comes back with an account.

use serde_json::json;

use super::*;
use crate::{
    Code,
    linked_accounts::{self, UpdateLinkedAccount},
    sessions::{self, PasswordSignUp, test_scene::refusal},
    users::{self, UpdateUser, channels},
};

impl Scene {
    /// Somebody who signs in with the address, which is proven or not.
    async fn ada(&self, is_verified: bool) -> crate::UserId {
        let input = PasswordSignUp { email: EMAIL.to_owned(), ..self.input() };
        let signed_up = self.sign_up(&self.stranger(), input).await.unwrap();
        let change = UpdateUser { primary_email_verified: Some(is_verified), ..UpdateUser::default() };
        users::update(self.deps(), &self.server(), signed_up.user_id, change).await.unwrap();
        signed_up.user_id
    }
}

/// Who comes back, to whom.
#[derive(Clone, Copy, Debug)]
struct Row {
    strategy: &'static str,
    /// Somebody signs in with the address, and has proven it or not.
    is_known: Option<bool>,
    /// The site vouches for the address.
    is_vouched_for: bool,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// A new user, who signs in with the address or only has it.
    New(bool),
    Joined,
    /// Refused; whether it would work if the address were proven here.
    Refused(bool),
}

#[tokio::test]
async fn the_merge_table() {
    use Outcome::{Joined, New, Refused};
    let row = |strategy, is_known, is_vouched_for, outcome| Row { strategy, is_known, is_vouched_for, outcome };
    let rows = [
        row("link_method", None, true, New(true)),
        row("link_method", None, false, New(true)),
        row("link_method", Some(true), true, Joined),
        row("link_method", Some(true), false, Refused(false)),
        row("link_method", Some(false), true, Refused(true)),
        row("link_method", Some(false), false, Refused(true)),
        row("raise_error", None, true, New(true)),
        row("raise_error", Some(true), true, Refused(false)),
        row("raise_error", Some(false), false, Refused(false)),
        row("allow_duplicates", None, true, New(true)),
        row("allow_duplicates", Some(true), true, New(false)),
        row("allow_duplicates", Some(false), false, New(false)),
    ];
    for row in rows {
        on_each_with(json!({ "auth.oauth.accountMergeStrategy": row.strategy }), async |scene| {
            let known = match row.is_known {
                Some(is_verified) => Some(scene.ada(is_verified).await),
                None => None,
            };
            let came = Account { is_email_verified: row.is_vouched_for, ..account("1") };
            let arrival = scene.visit(&scene.stranger(), departing("github"), came).await;
            if let Refused(would_work) = row.outcome {
                let details = json!({ "type": "email", "contact_channel_value": EMAIL,
                    "would_work_if_email_was_verified": would_work });
                let expected = ("CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE".to_owned(), details);
                assert_eq!(told(&arrival), expected, "{row:?}");
                assert_eq!(scene.all_links().await, [], "{row:?}");
                return;
            }
            // Nothing is written before the code is used.
            assert_eq!(scene.all_links().await, [], "{row:?}");
            let signed_in = scene.exchange(&code(&arrival)).await.unwrap().signed_in;
            assert_eq!(signed_in.is_new_user, row.outcome != Joined, "{row:?}");
            assert_eq!(Some(signed_in.user_id) == known, row.outcome == Joined, "{row:?}");
            let links = scene.all_links().await;
            assert_eq!(
                (links.len(), links[0].user_id, links[0].allow_sign_in),
                (1, signed_in.user_id, true),
                "{row:?}"
            );
            if let New(used_for_auth) = row.outcome {
                let server = scene.server();
                let listed = channels::list(scene.deps(), &server, Some(signed_in.user_id), None).await.unwrap();
                let told: Vec<_> = listed.iter().map(|c| (c.value.as_str(), c.is_verified, c.used_for_auth)).collect();
                assert_eq!(told, [(EMAIL, row.is_vouched_for, used_for_auth)], "{row:?}");
                let user = users::get(scene.deps(), &server, signed_in.user_id).await.unwrap();
                let shown = (user.display_name.as_deref(), user.profile_image_url.as_deref());
                assert_eq!(shown, (Some("Ada"), Some("https://provider.test/ada.png")), "{row:?}");
            }
            // Whoever has come in once comes in by the account, whatever becomes of addresses.
            let again = scene.sign_in_with("github", Account { email: None, ..account("1") }).await.signed_in;
            assert_eq!((again.user_id, again.is_new_user), (signed_in.user_id, false), "{row:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn nobody_new_comes_in_where_nobody_may_sign_up_but_who_is_known_does() {
    on_each(async |scene| {
        let ada = scene.ada(true).await;
        scene.configure(config(&json!({ "auth.allowSignUp": false }))).await;
        let other = Account { email: Some("eve@example.com".to_owned()), ..account("2") };
        assert_eq!(told(&scene.visit(&scene.stranger(), departing("github"), other).await).0, "SIGN_UP_NOT_ENABLED");
        assert_eq!(scene.sign_in_with("github", account("1")).await.signed_in.user_id, ada);
    })
    .await;
}

#[tokio::test]
async fn an_account_without_an_address_makes_a_user_without_one() {
    on_each(async |scene| {
        let came = Account { email: None, is_email_verified: false, display_name: None, picture: None, ..account("x") };
        let signed_in = scene.sign_in_with("github", came).await.signed_in;
        let user = users::get(scene.deps(), &scene.server(), signed_in.user_id).await.unwrap();
        assert!(signed_in.is_new_user && user.primary_email.is_none() && user.display_name.is_none());
    })
    .await;
}

#[tokio::test]
async fn an_anonymous_user_stays_the_same_and_keeps_what_it_has() {
    on_each(async |scene| {
        let anonymous = scene.anonymous().await;
        let change = UpdateUser { display_name: crate::patch::Patch::Set("Mine".to_owned()), ..UpdateUser::default() };
        users::update(scene.deps(), &scene.server(), anonymous.user_id, change).await.unwrap();
        let input = Departing { token: Some(anonymous.access_token.clone()), ..departing("google") };
        let arrival = scene.visit(&scene.stranger(), input, account("1")).await;
        let user = users::get(scene.deps(), &scene.server(), anonymous.user_id).await.unwrap();
        assert!(user.is_anonymous, "nothing happens before the code is used");
        let signed_in = scene.exchange(&code(&arrival)).await.unwrap().signed_in;
        assert_eq!((signed_in.user_id, signed_in.is_new_user), (anonymous.user_id, true));
        let user = users::get(scene.deps(), &scene.server(), anonymous.user_id).await.unwrap();
        assert_eq!((user.is_anonymous, user.display_name.as_deref()), (false, Some("Mine")));
        assert_eq!(user.profile_image_url.as_deref(), Some("https://provider.test/ada.png"));
        assert_eq!(scene.sessions_of(anonymous.user_id).await, 2, "its session goes on");

        // With an account that is known it comes in there, and the anonymous user is left alone.
        let other = scene.anonymous().await;
        let input = Departing { token: Some(other.access_token.clone()), ..departing("google") };
        let arrival = scene.visit(&scene.stranger(), input, account("1")).await;
        assert_eq!(scene.exchange(&code(&arrival)).await.unwrap().signed_in.user_id, anonymous.user_id);
        assert!(users::get(scene.deps(), &scene.server(), other.user_id).await.unwrap().is_anonymous);
    })
    .await;
}

#[tokio::test]
async fn sign_up_rules_see_the_provider_and_keep_out() {
    let rule = json!({ "enabled": true, "priority": 1, "displayName": "No GitHub",
        "condition": r#"authMethod == "oauth" && oauthProvider == "github""#, "action": { "type": "reject" } });
    on_each_with(json!({ "auth.signUpRules": { "github": rule } }), async |scene| {
        let arrival = scene.visit(&scene.stranger(), departing("github"), account("1")).await;
        assert_eq!(told(&arrival).0, "SIGN_UP_REJECTED");
        assert_eq!((scene.counts().await.0, scene.events().await), (0, vec!["sign_up.rejected".to_owned()]));
        assert!(scene.sign_in_with("google", account("1")).await.signed_in.is_new_user);
        // A rule that comes between the return and the use of the code counts.
        scene.configure(config(&json!({}))).await;
        let other = Account { email: Some("eve@example.com".to_owned()), ..account("2") };
        let arrival = scene.visit(&scene.stranger(), departing("github"), other).await;
        scene.configure(config(&json!({ "auth.signUpRulesDefaultAction": "reject" }))).await;
        assert_eq!(refusal(scene.exchange(&code(&arrival)).await), Code::SignUpRejected);
        assert_eq!(refusal(scene.exchange(&code(&arrival)).await), Code::InvalidAuthorizationCode);
        assert_eq!(scene.counts().await.0, 1);
    })
    .await;
}

#[tokio::test]
async fn a_second_account_of_a_type_does_not_join_by_its_address() {
    on_each(async |scene| {
        let ada = scene.ada(true).await;
        assert_eq!(scene.sign_in_with("github", account("1")).await.signed_in.user_id, ada);
        let arrival = scene.visit(&scene.stranger(), departing("second"), account("2")).await;
        assert_eq!(told(&arrival).0, "CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE");
    })
    .await;
}

#[tokio::test]
async fn links_are_made_by_who_asked_for_them() {
    on_each(async |scene| {
        let ada = scene.signed_up().await;
        let client = scene.client(&ada).await;
        let link = |provider| Departing { purpose: Purpose::Link, ..departing(provider) };
        let unknown = Account { email: Some("work@example.com".to_owned()), ..account("1") };
        let arrival = scene.visit(&client, link("github"), unknown.clone()).await;
        assert_eq!(scene.all_links().await, [], "nothing happens before the code is used");
        let linked = scene.exchange(&code(&arrival)).await.unwrap().signed_in;
        assert_eq!((linked.user_id, linked.is_new_user), (ada.user_id, false));
        let flags = |links: &[linked_account::Model]| -> Vec<_> {
            links.iter().map(|l| (l.account_id.clone(), l.allow_sign_in, l.allow_connected_accounts)).collect()
        };
        assert_eq!(flags(&scene.all_links().await), [("1".to_owned(), true, true)]);

        // The same again changes nothing; a second account of the type is for the application only.
        scene.exchange(&code(&scene.visit(&client, link("github"), unknown.clone()).await)).await.unwrap();
        scene.bench.clock.advance_seconds(1);
        let second = scene.visit(&client, link("github"), Account { id: "2".to_owned(), ..unknown.clone() }).await;
        scene.exchange(&code(&second)).await.unwrap();
        assert_eq!(flags(&scene.all_links().await), [("1".to_owned(), true, true), ("2".to_owned(), false, true)]);

        // Somebody else's account stays theirs.
        let eve = scene.sign_in_with("google", Account { email: None, ..account("eve") }).await.signed_in;
        assert_ne!(eve.user_id, ada.user_id);
        let arrival = scene.visit(&client, link("google"), account("eve")).await;
        assert_eq!(told(&arrival).0, "OAUTH_CONNECTION_ALREADY_CONNECTED_TO_ANOTHER_USER");

        // Nobody is linked without a user, nor one whose session has ended.
        assert_eq!(refusal(scene.leave(&scene.stranger(), link("github")).await), Code::BadRequest);
        scene.leave(&client, link("github")).await.unwrap();
        sessions::revoke_all(scene.deps(), &scene.server(), ada.user_id).await.unwrap();
        scene.bench.providers.send_back(account("3"), tokens("at", None, None, "email"));
        let arrival = scene.come_back(scene.returned("github")).await.unwrap();
        assert_eq!(told(&arrival).0, "ACCESS_TOKEN_EXPIRED");
        assert_eq!(refusal(scene.leave(&client, link("github")).await), Code::AccessTokenExpired);
        assert_eq!(scene.all_links().await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn of_many_who_come_with_one_account_one_makes_the_user() {
    on_each(async |scene| {
        let mut codes = Vec::new();
        for _ in 0..8 {
            codes.push(code(&scene.visit(&scene.stranger(), departing("github"), account("1")).await));
        }
        let exchanged = futures::future::join_all(codes.iter().map(|code| scene.exchange(code))).await;
        let came_in: Vec<_> = exchanged.into_iter().map(Result::unwrap).collect();
        assert!(came_in.iter().all(|one| one.signed_in.user_id == came_in[0].signed_in.user_id));
        assert_eq!(came_in.iter().filter(|one| one.signed_in.is_new_user).count(), 1);
        assert_eq!((scene.counts().await.0, scene.all_links().await.len()), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_user_who_is_gone_meanwhile_gets_no_link() {
    on_each(async |scene| {
        let ada = scene.signed_up().await;
        let client = scene.client(&ada).await;
        let input = Departing { purpose: Purpose::Link, ..departing("github") };
        let code = code(&scene.visit(&client, input, account("1")).await);
        users::delete(scene.deps(), &scene.server(), ada.user_id).await.unwrap();
        assert_eq!(refusal(scene.exchange(&code).await), Code::InvalidAuthorizationCode);
        assert_eq!(scene.all_links().await, []);
    })
    .await;
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_gets_no_link_and_no_user() {
    on_each(async |scene| {
        for purpose in [Purpose::Link, Purpose::Authenticate] {
            let somebody = scene.anonymous().await;
            let input = Departing { purpose, token: Some(somebody.access_token.clone()), ..departing("github") };
            let code = code(&scene.visit(&scene.stranger(), input, account("1")).await);
            sessions::revoke_all(scene.deps(), &scene.server(), somebody.user_id).await.unwrap();
            assert_eq!(refusal(scene.exchange(&code).await), Code::InvalidAuthorizationCode, "{purpose:?}");
            assert_eq!(scene.all_links().await, [], "{purpose:?}");
            assert!(scene.user(somebody.user_id).await.is_anonymous);
        }
    })
    .await;
}

#[tokio::test]
async fn an_administrator_who_acts_as_a_user_links_nothing() {
    on_each(async |scene| {
        let ada = scene.signed_up().await;
        let new = sessions::NewSession { user_id: ada.user_id, expires_in_millis: None, is_impersonation: true };
        let acting = sessions::create(scene.deps(), &scene.server(), new, &ClientInfo::default()).await.unwrap();
        let input = Departing { purpose: Purpose::Link, ..departing("github") };
        let arrival = scene.visit(&scene.client(&acting).await, input, account("1")).await;
        assert_eq!(told(&arrival).0, "ACCESS_TOKEN_EXPIRED");
    })
    .await;
}

#[tokio::test]
async fn linking_again_leaves_what_a_link_is_good_for() {
    on_each(async |scene| {
        let ada = scene.signed_up().await;
        let client = scene.client(&ada).await;
        let link = || Departing { purpose: Purpose::Link, ..departing("github") };
        scene.exchange(&code(&scene.visit(&client, link(), account("1")).await)).await.unwrap();
        let id = scene.all_links().await[0].id;
        let off = UpdateLinkedAccount { allow_sign_in: Some(false), ..UpdateLinkedAccount::default() };
        linked_accounts::update(scene.deps(), &client, ada.user_id, id, off).await.unwrap();
        scene.exchange(&code(&scene.visit(&client, link(), account("1")).await)).await.unwrap();
        assert!(!scene.all_links().await[0].allow_sign_in);
    })
    .await;
}

#[tokio::test]
async fn an_account_of_another_type_under_the_same_key_is_somebody_else() {
    on_each(async |scene| {
        let ada = scene.sign_in_with("github", account("4242")).await.signed_in.user_id;
        let gitlab =
            json!({ "type": "gitlab", "allowSignIn": true, "isShared": false, "clientId": "us", "clientSecret": "s" });
        scene.configure(json!({ "auth.oauth.providers": { "github": gitlab } })).await;
        scene.leave(&scene.stranger(), departing("github")).await.unwrap();
        let eve = Account { email: None, ..account("4242") };
        scene.bench.providers.send_back(eve, tokens("at", None, None, "email"));
        let arrival = scene.come_back(scene.returned("gitlab")).await.unwrap();
        // The key and the id are taken, so nobody comes in; least of all as the other one.
        let refused = scene.exchange(&code(&arrival)).await;
        assert_eq!(refusal(refused), Code::OauthProviderAccountIdAlreadyUsedForSignIn);
        assert_eq!((scene.counts().await.0, scene.all_links().await[0].user_id), (1, ada));
    })
    .await;
}

#[tokio::test]
async fn a_provider_that_was_switched_off_meanwhile_lets_nobody_in() {
    on_each(async |scene| {
        scene.sign_in_with("github", account("1")).await;
        let arrival = scene.visit(&scene.stranger(), departing("github"), account("1")).await;
        scene.configure(json!({})).await;
        assert_eq!(refusal(scene.exchange(&code(&arrival)).await), Code::OauthProviderNotFoundOrNotEnabled);
    })
    .await;
}

#[tokio::test]
async fn of_many_who_come_from_one_native_app_one_makes_the_user() {
    let apple = json!({ "type": "apple", "allowSignIn": true, "isShared": false, "clientId": "us", "clientSecret": "s",
        "appleBundles": { "app": { "bundleId": "test.app" } } });
    on_each_with(json!({ "auth.oauth.providers": { "apple": apple } }), async |scene| {
        const COUNT: usize = 8;
        for _ in 0..COUNT {
            scene.bench.providers.send_back(account("1"), tokens("none", None, None, "email"));
        }
        let (stranger, token, client) = (scene.stranger(), "an ID token".to_owned().into(), ClientInfo::default());
        let come_in = || crate::oauth::sign_in_with_apple(scene.deps(), &stranger, &token, &client);
        let came_in = futures::future::join_all((0..COUNT).map(|_| come_in())).await;
        let came_in: Vec<_> = came_in.into_iter().map(Result::unwrap).collect();
        assert!(came_in.iter().all(|one| one.user_id == came_in[0].user_id));
        assert_eq!(came_in.iter().filter(|one| one.is_new_user).count(), 1);
        assert_eq!((scene.counts().await.0, scene.all_links().await.len()), (1, 1));
    })
    .await;
}
