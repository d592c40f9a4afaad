//! Templates, themes and drafts of a project, and what mails make of them.

use postern_entity::EmailDraftId;
use secrecy::SecretString;

use super::*;
use crate::{
    Code,
    emails::{
        BUILT_IN_TEMPLATES, BUILT_IN_THEMES, DEFAULT_THEME, Theme, UpdateEmail,
        library::{
            drafts::{self, NewDraft, UpdateDraft},
            preview::{self, TemplateRef, ThemeRef},
            templates, themes,
        },
        send_test, update,
    },
    error::Result,
    patch::Patch,
    ports::mail::{MailError, MailErrorKind},
    projects::EmailConnection,
};

const VERIFICATION: &str = "e7d009ce-8d47-4528-b245-5bf119f2ffa3";
const MINE: &str = "{% block subject %}Mine{% endblock %}{% block category %}Transactional{% endblock %}\
    {% block content %}<mj-section><mj-column><mj-text>{{ variables.emailVerificationLink }}</mj-text></mj-column></mj-section>{% endblock %}\
    {% block variables %}{\"emailVerificationLink\": \"https://e.example\"}{% endblock %}";

fn admin(project_id: &ProjectId) -> Actor {
    Actor::new(project_id.clone(), Level::Admin, None)
}

fn code<T: std::fmt::Debug>(outcome: Result<T>) -> Code {
    outcome.unwrap_err().failure().unwrap().code
}

/// A settled project with a server of its own, whose config is changed by operations only.
async fn project(bench: &TestBench) -> ProjectId {
    let project_id = bench.insert_project().await;
    set_own_server(bench, &project_id, 465).await;
    project_id
}

#[tokio::test]
async fn a_project_changes_what_its_own_actions_mail() {
    on_each_database(with_shared_server(), |bench| async move {
        let (project_id, deps) = (project(&bench).await, &bench.deps);
        let actor = admin(&project_id);
        let (changed, html) =
            templates::update(deps, &actor, VERIFICATION, MINE, &Patch::Set(Theme::None)).await.unwrap();
        assert_eq!((changed.source.as_str(), &changed.theme), (MINE, &Theme::None));
        assert!(html.contains("https://e.example"));
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        run(&bench).await;
        let sent = bench.mailer.sent();
        assert_eq!(sent[0].subject, "Mine");
        assert!(sent[0].html.contains(CODE) && !sent[0].html.contains("Sent by"), "no theme");
        let row = row(&bench, id).await;
        assert_eq!((row.template_source.as_str(), row.theme_id), (MINE, None));

        templates::delete(deps, &actor, VERIFICATION).await.unwrap();
        put(&bench, verification(&project_id, to("ada@example.com"))).await;
        run(&bench).await;
        assert_eq!(bench.mailer.sent()[1].subject, "Verify your email at Test");
    })
    .await;
}

#[tokio::test]
async fn templates_are_made_tried_out_and_removed() {
    on_each_database(with_shared_server(), |bench| async move {
        let (project_id, deps) = (project(&bench).await, &bench.deps);
        let actor = admin(&project_id);
        let made = templates::create(deps, &actor, "Welcome").await.unwrap();
        let listed = templates::list(deps, &actor).await.unwrap();
        let names: Vec<_> = listed.iter().map(|template| template.display_name.as_str()).collect();
        let built_in: Vec<_> = BUILT_IN_TEMPLATES.iter().map(|template| template.display_name).collect();
        assert_eq!(names, [built_in.as_slice(), &["Welcome"]].concat());
        let (_, html) = templates::update(deps, &actor, &made.id, &made.source, &Patch::Keep).await.unwrap();
        assert!(html.contains("John Doe"), "what it begins with renders");
        for (source, why) in [
            ("{% block subject %}", "syntax"),
            ("{% block content %}<mj-section></mj-section>{% endblock %}", "`category`"),
            ("{% block subject %}s{% endblock %}{% block content %}{{ a.b }}{% endblock %}", "undefined"),
        ] {
            let refused = templates::update(deps, &actor, &made.id, source, &Patch::Keep).await.unwrap_err();
            let failure = refused.failure().unwrap();
            assert_eq!(failure.code, Code::EmailRenderingError);
            let told = failure.details.as_ref().unwrap()["error"].as_str().unwrap();
            assert!(told.contains(why), "{told}");
        }
        let theme = Patch::Set(Theme::Id("6ba7b810-9dad-11d1-80b4-00c04fd430c8".to_owned()));
        assert_eq!(code(templates::update(deps, &actor, &made.id, MINE, &theme).await), Code::BadRequest);
        assert_eq!(code(templates::create(deps, &actor, " ").await), Code::SchemaError);
        templates::delete(deps, &actor, &made.id).await.unwrap();
        assert_eq!(code(templates::delete(deps, &actor, &made.id).await), Code::NotFound);
        assert_eq!(code(templates::update(deps, &actor, &made.id, MINE, &Patch::Keep).await), Code::NotFound);

        let shared = admin(&bench.insert_project().await);
        assert_eq!(code(templates::create(deps, &shared, "x").await), Code::RequiresCustomEmailServer);
        let update = templates::update(deps, &shared, VERIFICATION, MINE, &Patch::Keep).await;
        assert_eq!(code(update), Code::RequiresCustomEmailServer);
        assert_eq!(code(templates::list(deps, &server_actor(&project_id)).await), Code::Forbidden);
    })
    .await;
}

#[tokio::test]
async fn themes_are_made_changed_and_removed_unless_selected() {
    on_each_database(with_shared_server(), |bench| async move {
        let (project_id, deps) = (bench.insert_project().await, &bench.deps);
        let actor = admin(&project_id);
        let made = themes::create(deps, &actor, "Ours").await.unwrap();
        let names: Vec<_> =
            themes::list(deps, &actor).await.unwrap().into_iter().map(|theme| theme.display_name).collect();
        let built_in: Vec<_> = BUILT_IN_THEMES.iter().map(|theme| theme.display_name).collect();
        assert_eq!(names, [built_in.as_slice(), &["Ours"]].concat());
        let source = "<mjml><mj-body>{{ children }}<mj-section><mj-column><mj-text>OURS</mj-text></mj-column></mj-section></mj-body></mjml>";
        themes::update(deps, &actor, &made.id, source).await.unwrap();
        assert_eq!(themes::get(deps, &actor, &made.id).await.unwrap().source, source);
        assert_eq!(code(themes::update(deps, &actor, &made.id, "<mjml>").await), Code::EmailRenderingError);
        bench.set_config(&project_id, json!({
            "emails.selectedThemeId": made.id,
            format!("emails.themes.{}", made.id): { "displayName": "Ours", "tsxSource": source },
        })).await;
        put(&bench, verification(&project_id, to("ada@example.com"))).await;
        run(&bench).await;
        assert!(bench.mailer.sent()[0].html.contains("OURS"));
        assert_eq!(code(themes::delete(deps, &actor, &made.id).await), Code::BadRequest);
        let other = themes::create(deps, &actor, "Other").await.unwrap();
        themes::delete(deps, &actor, &other.id).await.unwrap();
        assert_eq!(code(themes::get(deps, &actor, &other.id).await), Code::NotFound);
    })
    .await;
}

#[tokio::test]
async fn drafts_are_kept_as_they_are_written() {
    on_each_database(with_shared_server(), |bench| async move {
        let (project_id, deps) = (bench.insert_project().await, &bench.deps);
        let actor = admin(&project_id);
        let new = |name: &str| NewDraft { display_name: name.to_owned(), source: None, theme: Theme::Selected };
        let first = drafts::create(deps, &actor, new("First")).await.unwrap();
        bench.clock.advance_seconds(1);
        let second = drafts::create(deps, &actor, new("Second")).await.unwrap();
        bench.clock.advance_seconds(1);
        let change = UpdateDraft {
            source: Some("{% unfinished".to_owned()),
            theme: Patch::Set(Theme::Id(DEFAULT_THEME.id.to_owned())),
            ..UpdateDraft::default()
        };
        let changed = drafts::update(deps, &actor, first.id, change).await.unwrap();
        assert_eq!((changed.display_name.as_str(), changed.source.as_str()), ("First", "{% unfinished"));
        let order: Vec<_> = drafts::list(deps, &actor).await.unwrap().into_iter().map(|draft| draft.id).collect();
        assert_eq!(order, [first.id, second.id]);
        let other = admin(&bench.insert_project().await);
        assert_eq!(code(drafts::get(deps, &other, first.id).await), Code::NotFound);
        assert_eq!(code(drafts::delete(deps, &other, first.id).await), Code::NotFound);
        drafts::delete(deps, &actor, first.id).await.unwrap();
        assert_eq!(code(drafts::update(deps, &actor, first.id, UpdateDraft::default()).await), Code::NotFound);
        assert_eq!(code(drafts::get(deps, &actor, EmailDraftId::random()).await), Code::NotFound);
    })
    .await;
}

#[tokio::test]
async fn a_preview_shows_any_source_in_any_theme_and_makes_no_mail() {
    on_each_database(with_shared_server(), |bench| async move {
        let (project_id, deps) = (bench.insert_project().await, &bench.deps);
        let actor = admin(&project_id);
        let selected = ThemeRef::Of(Theme::Selected);
        let seen = preview::render(deps, &actor, &TemplateRef::Id(VERIFICATION.to_owned()), &selected).await.unwrap();
        assert_eq!(seen.subject, "Verify your email at Test");
        assert_eq!(seen.notification_category.as_deref(), Some("Transactional"));
        assert!(seen.html.contains("John Doe") && seen.html.contains("https://example.com/"));
        let theme = ThemeRef::Source("<mjml><mj-body>{{ children }}</mj-body></mjml>".to_owned());
        let seen = preview::render(deps, &actor, &TemplateRef::Source(MINE.to_owned()), &theme).await.unwrap();
        assert!(seen.html.contains("https://e.example") && !seen.html.contains("Sent by"));
        let unknown = TemplateRef::Id("6ba7b810-9dad-11d1-80b4-00c04fd430c8".to_owned());
        assert_eq!(code(preview::render(deps, &actor, &unknown, &selected).await), Code::BadRequest);
        let broken = TemplateRef::Source("{{".to_owned());
        assert_eq!(code(preview::render(deps, &actor, &broken, &selected).await), Code::EmailRenderingError);
        assert!(bench.mailer.sent().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_mail_is_edited_to_wear_another_theme() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let id = put(&bench, verification(&project_id, to("ada@example.com"))).await;
        let dark = BUILT_IN_THEMES[1].id;
        for (theme, expected) in [(Patch::Set(dark.to_owned()), Some(dark)), (Patch::Clear, None)] {
            let change = UpdateEmail { theme_id: theme, is_paused: Some(false), ..UpdateEmail::default() };
            let edited = update(&bench.deps, &server_actor(&project_id), id, change).await.unwrap();
            assert_eq!(edited.theme_id.as_deref(), expected);
        }
        run(&bench).await;
        assert!(!bench.mailer.sent()[0].html.contains("Sent by"));
    })
    .await;
}

#[tokio::test]
async fn a_server_is_tried_out_by_a_mail_that_stands_nowhere() {
    on_each_database(with_shared_server(), |bench| async move {
        let (project_id, deps) = (bench.insert_project().await, &bench.deps);
        let connection = || EmailConnection {
            host: "mail.tenant.example".to_owned(),
            port: 465,
            username: "u".to_owned(),
            password: SecretString::from("p"),
            sender_name: "Shop".to_owned(),
            sender_email: "shop@tenant.example".to_owned(),
        };
        let actor = admin(&project_id);
        assert_eq!(send_test(deps, &actor, "ada@example.com", connection()).await.unwrap(), None);
        let sent = bench.mailer.sent();
        assert!(sent[0].html.is_empty() && sent[0].from_address == "shop@tenant.example");
        bench.mailer.fail_next(MailError::new(MailErrorKind::AuthFailed, "the mail server answered 535"));
        let failed = send_test(deps, &actor, "ada@example.com", connection()).await.unwrap();
        assert_eq!(failed.as_deref(), Some("the mail server answered 535"));
        assert_eq!(code(send_test(deps, &actor, "nonsense", connection()).await), Code::SchemaError);
        let server = server_actor(&project_id);
        assert_eq!(code(send_test(deps, &server, "ada@example.com", connection()).await), Code::Forbidden);
        bench.rates.refuse("test_mails", std::time::Duration::from_secs(60));
        assert_eq!(code(send_test(deps, &actor, "ada@example.com", connection()).await), Code::RateLimited);
    })
    .await;
}
