//! What sources become, and what they cannot do.

use serde_json::json;

use super::{engine::render, variables::Declared, *};
use crate::emails::{BUILT_IN_TEMPLATES, BUILT_IN_THEMES, DEFAULT_THEME, template};

fn view(variables: serde_json::Value) -> View {
    View {
        project_display_name: "Corner Shop".to_owned(),
        codes_valid_for: "7 days".to_owned(),
        user_display_name: "Ada".to_owned(),
        variables: variables.as_object().cloned().unwrap(),
        ..View::default()
    }
}

fn source(template: &str) -> Source {
    Source { template: template.to_owned(), theme: Some(DEFAULT_THEME.source.to_owned()) }
}

fn with_content(content: &str) -> Source {
    source(&format!(
        "{{% block subject %}}s{{% endblock %}}{{% block text %}}t{{% endblock %}}{{% block content %}}{content}{{% endblock %}}"
    ))
}

fn verification_link() -> serde_json::Value {
    json!({ "emailVerificationLink": "https://app.example/handler?next=%2Fhome&code=abc" })
}

/// The mail with its own examples.
fn with_examples(template: &str) -> Rendered {
    let examples = Declared::of(template).unwrap().unwrap().examples();
    render(&source(template), &view(examples.into())).unwrap()
}

#[test]
fn our_templates_look_as_they_did() {
    let ours = BUILT_IN_TEMPLATES.iter().map(|template| (template.display_name, template.source));
    let others = [("API Key Revoked", template::API_KEY_REVOKED), ("Failed Emails", template::FAILED_EMAILS)];
    for (display_name, template) in ours.chain(others) {
        let rendered = with_examples(template);
        assert_eq!(rendered.category.as_deref(), Some("Transactional"), "{display_name}");
        let name = display_name.to_lowercase().replace([' ', '/'], "_");
        insta::assert_snapshot!(format!("{name}_html"), rendered.content.html);
        let text = format!("{}\n\n{}", rendered.content.subject, rendered.content.text);
        insta::assert_snapshot!(format!("{name}_text"), text);
    }
}

#[test]
fn every_template_of_ours_fits_every_theme_with_and_without_what_may_be_missing() {
    let ours = BUILT_IN_TEMPLATES.iter().map(|template| template.source);
    let themes = BUILT_IN_THEMES.iter().map(|theme| Some(theme.source.to_owned())).chain([None]);
    for theme in themes {
        for template in ours.clone().chain([template::API_KEY_REVOKED, template::FAILED_EMAILS]) {
            let declared = Declared::of(template).unwrap().unwrap();
            let all = declared.examples();
            let needed = all.iter().filter(|(name, _)| !template.contains(&format!("\"{name}?\"")));
            let needed: serde_json::Map<_, _> = needed.map(|(name, value)| (name.clone(), value.clone())).collect();
            for variables in [all.clone(), needed] {
                let source = Source { template: template.to_owned(), theme: theme.clone() };
                let nameless = View { user_display_name: String::new(), ..view(variables.into()) };
                let linked =
                    View { unsubscribe_link: Some("https://x.example/u?code=1".to_owned()), ..nameless.clone() };
                let html = render(&source, &nameless).unwrap().content.html;
                // Gmail cuts off what is longer.
                assert!(html.len() < 102 * 1024);
                let content = render(&source, &linked).unwrap().content;
                assert!(content.text.ends_with("\nUnsubscribe: https://x.example/u?code=1\n"));
                assert_eq!(content.html.contains("https://x.example/u?code=1"), theme.is_some());
            }
        }
    }
}

#[test]
fn a_name_cannot_become_markup() {
    let mut view = view(verification_link());
    view.user_display_name = "<script>alert(1)</script><mj-raw>".to_owned();
    view.project_display_name = "\"><img src=x onerror=alert(1)>".to_owned();
    view.logos.logo = Some("https://logo.example/\" onerror=\"alert(1)".to_owned());
    let html = render(&source(template::EMAIL_VERIFICATION.source), &view).unwrap().content.html;
    assert!(!html.contains("<script") && !html.contains("<img src=x") && !html.contains("\" onerror"), "{html}");
    assert!(html.contains("&lt;script&gt;"));
}

#[test]
fn a_name_cannot_add_a_header() {
    let mut view = view(verification_link());
    view.project_display_name = "Shop\r\nBcc: everybody@example.com".to_owned();
    let subject = render(&source(template::EMAIL_VERIFICATION.source), &view).unwrap().content.subject;
    assert_eq!(subject, "Verify your email at Shop Bcc: everybody@example.com");
}

#[test]
fn links_keep_their_slashes() {
    let html = render(&source(template::EMAIL_VERIFICATION.source), &view(verification_link())).unwrap().content.html;
    assert!(html.contains("href=\"https://app.example/handler?next=%2Fhome&amp;code=abc\""), "{html}");
}

#[test]
fn opening_a_mail_fetches_nothing() {
    let html = render(&source(template::EMAIL_VERIFICATION.source), &view(verification_link())).unwrap().content.html;
    assert!(!html.contains("googleapis") && !html.contains("<script") && !html.contains("@import"), "{html}");
}

#[test]
fn what_is_wrong_with_a_source_is_said() {
    let cases = [
        ("{% block subject %}", "syntax error"),
        ("{% block subject %}s{% endblock %}", "no block `content`"),
        ("{% block content %}{% endblock %}{% block html %}{% endblock %}", "both"),
        ("{% block subject %}{{ variables.mispelt }}{% endblock %}", "undefined value"),
    ];
    for (template, expected) in cases {
        let RenderError(text) = render(&source(template), &view(json!({}))).err().unwrap();
        assert!(text.contains(expected), "{text}");
    }
    let RenderError(text) = render(&with_content("<mj-section><mj-oops>"), &view(json!({}))).err().unwrap();
    assert!(text.contains("malformed"), "{text}");
}

#[test]
fn endless_and_swelling_sources_are_cut_off() {
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
    let RenderError(text) = render(&with_content(endless), &view(json!({}))).err().unwrap();
    assert!(text.contains("fuel"), "{text}");
    let swelling = format!("{{% for a in range(9000) %}}{}{{% endfor %}}", "x".repeat(100));
    let RenderError(text) = render(&with_content(&swelling), &view(json!({}))).err().unwrap();
    assert!(text.contains("longer than") || text.contains("write"), "{text}");
}

#[test]
fn nothing_is_included_from_elsewhere() {
    let RenderError(text) =
        render(&with_content("<mj-include path=\"/etc/passwd\" />"), &view(json!({}))).err().unwrap();
    assert!(text.contains("include"), "{text}");
}

#[test]
fn html_is_put_into_the_theme_as_it_is() {
    let html = "<!doctype html><p>Unclosed<br><mj-raw>&nbsp;<b>x</p>";
    let template = format!("{{% block html %}}{html}{{% endblock %}}");
    let rendered = render(&source(&template), &view(json!({}))).unwrap();
    assert!(rendered.content.html.contains(html) && rendered.content.html.contains("Corner Shop"));
    assert_eq!((rendered.content.subject.as_str(), rendered.category), ("", None));
    assert!(
        rendered.content.text.contains("Unclosed") && !rendered.content.text.contains('<'),
        "{}",
        rendered.content.text
    );
    let bare = render(&Source { template, theme: None }, &view(json!({}))).unwrap();
    assert_eq!(bare.content.html, html);
}

#[test]
fn text_is_told_from_the_html_when_a_template_has_none() {
    let template = "{% block subject %}s{% endblock %}{% block content %}<mj-section><mj-column>\
        <mj-text>Hello <a href=\"https://a.example/?x=1\">there</a></mj-text></mj-column></mj-section>{% endblock %}";
    let text = render(&source(template), &view(json!({}))).unwrap().content.text;
    assert!(text.contains("Hello") && text.contains("https://a.example/?x=1"), "{text}");
    assert!(!text.contains("font-family") && !text.contains('{'), "{text}");
}

#[test]
fn previews_show_the_examples() {
    let template = template::PAYMENT_RECEIPT.source;
    let preview = View { is_preview: true, ..view(json!({ "productName": "not this" })) };
    let content = render(&source(template), &preview).unwrap().content;
    let example = Declared::of(template).unwrap().unwrap().examples()["productName"].as_str().unwrap().to_owned();
    assert!(content.html.contains(&example) && !content.html.contains("not this"));
    assert_eq!(content.unsubscribe_link, None, "nobody unsubscribes from receipts");
    let news = include_str!("../library/draft.mjml");
    assert!(render(&source(news), &preview).unwrap().content.html.contains("https://example.com/unsubscribe"));
}

#[test]
fn what_stands_where_is_said_with_its_line() {
    let broken = "{% block subject %}s{% endblock %}\n\n{% block content %}{{ nothing.here }}{% endblock %}";
    let RenderError(text) = render(&source(broken), &view(json!({}))).err().unwrap();
    assert!(text.starts_with("template: ") && text.contains("(line 3)"), "{text}");
    let theme =
        Source { template: template::EMAIL_VERIFICATION.source.to_owned(), theme: Some("<mjml>\n{% if %}".to_owned()) };
    let RenderError(text) = render(&theme, &view(verification_link())).err().unwrap();
    assert!(text.starts_with("theme: ") && text.contains("(line 2)"), "{text}");
}

#[test]
fn no_source_reaches_files_or_other_templates() {
    for source in ["{% include '/etc/passwd' %}", "{% import '/etc/passwd' as x %}", "{% extends '/etc/passwd' %}"] {
        let RenderError(text) = render(&with_content(source), &view(json!({}))).err().unwrap();
        assert!(text.contains("not found") || text.contains("not exist"), "{text}");
    }
}

#[test]
fn the_example_of_the_documentation_renders() {
    let docs = include_str!("../../../../docs/emails.md");
    let (_, example) = docs.split_once("```jinja\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    for (variables, expected) in [
        (json!({ "plan": "Pro" }), "Pro at Corner Shop now.<"),
        (json!({ "plan": "Pro", "gift": "a mug" }), "Enjoy a mug."),
    ] {
        let rendered = render(&source(example), &view(variables)).unwrap();
        assert!(rendered.content.html.contains(expected), "{}", rendered.content.html);
        assert_eq!(rendered.content.subject, "Welcome to Pro");
    }
}
