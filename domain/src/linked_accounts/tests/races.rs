//! Who gets an account that several want at the same time.

use futures::future::join_all;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_users_who_want_one_account_exactly_one_gets_it() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        let mut tries = Vec::new();
        for number in 0..30 {
            let (deps, actor) = (bench.deps.clone(), server(&project));
            let user = made(&bench, &project, &[]).await.id;
            let link = create(&deps, &actor, not_to_sign_in(of(user, "github", "1"))).await.unwrap();
            tries.push(tokio::spawn(async move {
                match number % 3 {
                    0 => {
                        let sign_in =
                            UpdateLinkedAccount { allow_sign_in: Some(true), ..UpdateLinkedAccount::default() };
                        update(&deps, &actor, user, link.id, sign_in).await.map(drop)
                    }
                    1 => users::create(&deps, &actor, with(&[("github", "1")])).await.map(drop),
                    _ => {
                        delete(&deps, &actor, user, link.id).await?;
                        create(&deps, &actor, of(user, "github", "1")).await.map(drop)
                    }
                }
            }));
        }
        let outcomes: Vec<_> = join_all(tries).await.into_iter().map(std::result::Result::unwrap).collect();
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 29));
        assert!(lost.into_iter().all(|lost| code(lost) == Code::OauthProviderAccountIdAlreadyUsedForSignIn));
        let links = list(&bench.deps, &server(&project), None).await.unwrap();
        assert_eq!(links.iter().filter(|link| link.allow_sign_in).count(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_links_of_one_user_at_once_one_of_a_type_is_for_signing_in() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let tries = (0..20).map(|number| {
            let (deps, actor) = (scene.deps().clone(), scene.server());
            let new = of(scene.ada, if number % 2 == 0 { "google" } else { "google2" }, &number.to_string());
            tokio::spawn(async move { create(&deps, &actor, new).await })
        });
        let outcomes: Vec<_> = join_all(tries).await.into_iter().map(std::result::Result::unwrap).collect();
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 19));
        assert!(lost.into_iter().all(|lost| code(lost) == Code::BadRequest));
    })
    .await;
}
