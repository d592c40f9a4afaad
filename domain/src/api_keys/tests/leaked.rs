//! Keys that were found in public.

use std::time::Duration;

use postern_entity::{email, job};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder};
use serde_json::Value;

use super::{jobs::TellOfLeakedApiKey, *};
use crate::sessions::ClientInfo;

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
        scene.bench.rates.refuse("leak_reports/address/", Duration::from_secs(7));
        assert_eq!(code(report_leaked(deps, &key.value, &scanner).await), Code::RateLimited);
    })
    .await;
}
