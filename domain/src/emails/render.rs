//! From a template's source to subject, HTML and text. Pure: nothing is read or written here.
//!
//! A template is a MiniJinja source with these blocks:
//!
//! | block | holds |
//! |---|---|
//! | `subject` | one line of text |
//! | `category` | name of the notification category; optional |
//! | `content` | MJML: `mj-section`s, as children of the theme's body |
//! | `text` | the plain-text part |
//!
//! and sees `project.displayName`, `user.displayName` (empty when there is none) and `variables`. A theme is a MiniJinja
//! source of one whole MJML document and sees `children` (the rendered content), `subject`, `project`, `projectLogos` and
//! `unsubscribeLink`. Whatever is put into MJML is escaped, whatever is put into text is not: an author need not think of it.

use std::{collections::HashMap, fmt::Write as _, io, time::Duration};

use minijinja::{AutoEscape, Environment, Error as JinjaError, UndefinedBehavior, Value, context, value::ValueKind};
use mrml::prelude::{parser::ParserOptions, render::RenderOptions};

use super::seal::Content;
use crate::error::{Error, Result};

/// Most instructions that one pass over a template may take.
const MAX_STEPS: u64 = 50_000;
/// Most bytes that a pass may write, and that the finished parts may have.
const MAX_OUTPUT_BYTES: usize = 512 * 1024;
/// Most bytes of a template or theme.
pub(super) const MAX_SOURCE_BYTES: usize = 256 * 1024;
/// Most characters of a subject; longer ones are cut.
const MAX_SUBJECT_CHARS: usize = 500;
/// How long the whole rendering of a mail may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What stands in for a theme where none is wanted.
const NO_THEME: &str = "<mjml><mj-body>{{ children }}</mj-body></mjml>";

/// What is to be rendered.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) template: String,
    /// `None`: no theme at all.
    pub(super) theme: Option<String>,
}

/// What sources see.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) project_display_name: String,
    pub(super) project_logo_url: Option<String>,
    pub(super) project_logo_full_url: Option<String>,
    pub(super) user_display_name: String,
    pub(super) variables: serde_json::Map<String, serde_json::Value>,
    /// Stops mails of this category. The theme shows it; the plain-text part ends with it.
    pub(super) unsubscribe_link: Option<String>,
}

/// A finished mail.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Rendered {
    pub(super) content: Content,
    /// Name of the notification category that the template states.
    pub(super) category: Option<String>,
}

/// Why a source does not render, in words for its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RenderError(pub(super) String);

impl From<JinjaError> for RenderError {
    fn from(error: JinjaError) -> Self {
        let place = error.line().map_or_else(String::new, |line| format!(" (line {line})"));
        Self(match error.detail() {
            Some(detail) => format!("{}: {detail}{place}", error.kind()),
            None => format!("{}{place}", error.kind()),
        })
    }
}

/// Renders `source` once for each of `views`, off the async threads, bounded in time.
///
/// # Errors
/// Internal only; what is wrong with the source is the inner error.
pub(super) async fn render_all(
    source: Source,
    views: Vec<View>,
) -> Result<std::result::Result<Vec<Rendered>, RenderError>> {
    let work = tokio::task::spawn_blocking(move || views.iter().map(|view| render(&source, view)).collect());
    match tokio::time::timeout(TIMEOUT, work).await {
        Ok(done) => done.map_err(Error::internal),
        // Steps and sizes are bounded, so the thread that is left behind ends soon.
        Err(_) => Ok(Err(RenderError(format!("did not finish within {} s", TIMEOUT.as_secs())))),
    }
}

/// Renders `source` for `view`.
pub(super) fn render(source: &Source, view: &View) -> std::result::Result<Rendered, RenderError> {
    for text in [Some(&source.template), source.theme.as_ref()].into_iter().flatten() {
        if text.len() > MAX_SOURCE_BYTES {
            return Err(RenderError(format!("the source is longer than {MAX_SOURCE_BYTES} bytes")));
        }
    }
    let context = view.context();
    let plain = environment(AutoEscape::None);
    let mut text_blocks = blocks(&plain, &source.template, context.clone(), &["subject", "category", "text"])?;
    let subject = one_line(&text_blocks.remove("subject").ok_or_else(|| missing("subject"))?);
    let category = text_blocks.remove("category").map(|name| one_line(&name)).filter(|name| !name.is_empty());
    let text = text_blocks.remove("text").ok_or_else(|| missing("text"))?;

    let escaping = environment(AutoEscape::Html);
    let content = blocks(&escaping, &source.template, context.clone(), &["content"])?
        .remove("content")
        .ok_or_else(|| missing("content"))?;
    let theme = source.theme.as_deref().unwrap_or(NO_THEME);
    let children = Value::from_safe_string(content);
    let mjml = whole(&escaping, theme, context! { children, subject => &subject, ..context })?;
    let html = html(&mjml)?;
    let mut text = format!("{}\n", text.trim());
    if let Some(link) = &view.unsubscribe_link {
        text.push_str(&format!("\nUnsubscribe: {link}\n"));
    }
    let unsubscribe_link = view.unsubscribe_link.clone();
    Ok(Rendered { content: Content { subject, html, text, unsubscribe_link }, category })
}

impl View {
    fn context(&self) -> Value {
        context! {
            project => context! { displayName => &self.project_display_name },
            projectLogos => context! { logoUrl => &self.project_logo_url, logoFullUrl => &self.project_logo_full_url },
            user => context! { displayName => &self.user_display_name },
            variables => Value::from(minijinja::value::Serde(&self.variables)),
            unsubscribeLink => &self.unsubscribe_link,
        }
    }
}

fn missing(block: &str) -> RenderError {
    RenderError(format!("the template has no block `{block}`"))
}

fn environment(escaping: AutoEscape) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(move |_| escaping.clone());
    // A misspelt variable is an error, not a hole in somebody's mail.
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_fuel(Some(MAX_STEPS));
    environment.set_formatter(|out, state, value| {
        if matches!(state.auto_escape(), AutoEscape::Html) && !value.is_safe() && !value.is_undefined() {
            return write_escaped(out, value);
        }
        minijinja::escape_formatter(out, state, value)
    });
    environment
}

/// Escapes what HTML demands and no more: MiniJinja's own way also turns every slash of a link into an entity, which some
/// mail programs show as it stands.
fn write_escaped(out: &mut minijinja::Output<'_>, value: &Value) -> std::result::Result<(), JinjaError> {
    if value.kind() == ValueKind::None {
        return Ok(());
    }
    for character in value.to_string().chars() {
        match character {
            '&' => out.write_str("&amp;"),
            '<' => out.write_str("&lt;"),
            '>' => out.write_str("&gt;"),
            '"' => out.write_str("&quot;"),
            '\'' => out.write_str("&#39;"),
            other => out.write_char(other),
        }
        .map_err(JinjaError::from)?;
    }
    Ok(())
}

/// Those of the named blocks that `source` has.
fn blocks(
    environment: &Environment<'_>,
    source: &str,
    context: Value,
    names: &[&'static str],
) -> std::result::Result<HashMap<&'static str, String>, RenderError> {
    let template = environment.template_from_str(source)?;
    let mut state = template.render_captured_to(context, Bounded::default())?;
    let mut found = HashMap::new();
    for name in names {
        let mut out = Bounded::default();
        match state.with_state_mut(|state| state.render_block_to_write(name, &mut out)) {
            Ok(()) => found.insert(*name, out.into_text()?),
            Err(error) if error.kind() == minijinja::ErrorKind::UnknownBlock => continue,
            Err(error) => return Err(error.into()),
        };
    }
    Ok(found)
}

fn whole(environment: &Environment<'_>, source: &str, context: Value) -> std::result::Result<String, RenderError> {
    let mut out = Bounded::default();
    environment.template_from_str(source)?.render_captured_to(context, &mut out)?;
    out.into_text()
}

fn html(mjml: &str) -> std::result::Result<String, RenderError> {
    // The parser is told of no loader, so `mj-include` reads nothing; no fonts, so that opening a mail fetches nothing.
    let parsed = mrml::parse_with_options(mjml, &ParserOptions::default())
        .map_err(|error| RenderError(format!("the MJML is malformed: {error}")))?;
    let options = RenderOptions { disable_comments: true, fonts: HashMap::new(), ..RenderOptions::default() };
    let html = parsed.element.render(&options).map_err(|error| RenderError(error.to_string()))?;
    if html.len() > MAX_OUTPUT_BYTES {
        return Err(RenderError(format!("the mail is longer than {MAX_OUTPUT_BYTES} bytes")));
    }
    Ok(html)
}

/// One line without control characters, so that a value can never end a header and begin another.
fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_SUBJECT_CHARS).collect()
}

/// Collects what a pass writes, up to [`MAX_OUTPUT_BYTES`].
#[derive(Default)]
struct Bounded(Vec<u8>);

impl Bounded {
    fn into_text(self) -> std::result::Result<String, RenderError> {
        String::from_utf8(self.0).map_err(|error| RenderError(error.to_string()))
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len().saturating_add(bytes.len()) > MAX_OUTPUT_BYTES {
            return Err(io::Error::other(format!("the output is longer than {MAX_OUTPUT_BYTES} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::emails::{BUILT_IN_TEMPLATES, DEFAULT_THEME, template};

    fn view(variables: serde_json::Value) -> View {
        View {
            project_display_name: "Corner Shop".to_owned(),
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

    fn sample_variables() -> serde_json::Value {
        let link = "https://app.example/handler?next=%2Fhome&code=abc";
        json!({
            "emailVerificationLink": link, "passwordResetLink": link,
            "teamInvitationLink": link, "teamDisplayName": "Tea & Cake",
        })
    }

    #[test]
    fn built_in_templates_look_as_they_did() {
        for template in BUILT_IN_TEMPLATES {
            let rendered = render(&source(template.source), &view(sample_variables())).unwrap();
            assert_eq!(rendered.category.as_deref(), Some("Transactional"), "{}", template.display_name);
            let name = template.display_name.to_lowercase().replace(' ', "_");
            insta::assert_snapshot!(format!("{name}_html"), rendered.content.html);
            insta::assert_snapshot!(
                format!("{name}_text"),
                format!("{}\n\n{}", rendered.content.subject, rendered.content.text)
            );
        }
    }

    #[test]
    fn the_mail_about_a_revoked_key_looks_as_it_did() {
        for (name, team) in [("of_user", None), ("of_team", Some("Analysts"))] {
            let variables = json!({ "description": "CI <runner>", "lastFour": "9f0c", "teamDisplayName": team });
            let rendered = render(&source(template::API_KEY_REVOKED), &view(variables)).unwrap();
            assert_eq!(rendered.category.as_deref(), Some("Transactional"));
            insta::assert_snapshot!(format!("api_key_revoked_{name}_html"), rendered.content.html);
            let text = format!("{}\n\n{}", rendered.content.subject, rendered.content.text);
            insta::assert_snapshot!(format!("api_key_revoked_{name}_text"), text);
        }
    }

    #[test]
    fn a_name_cannot_become_markup() {
        let mut view = view(sample_variables());
        view.user_display_name = "<script>alert(1)</script><mj-raw>".to_owned();
        view.project_display_name = "\"><img src=x onerror=alert(1)>".to_owned();
        view.project_logo_url = Some("https://logo.example/\" onerror=\"alert(1)".to_owned());
        let html = render(&source(template::EMAIL_VERIFICATION.source), &view).unwrap().content.html;
        assert!(!html.contains("<script") && !html.contains("<img src=x") && !html.contains("\" onerror"), "{html}");
        assert!(html.contains("&lt;script&gt;"));
    }

    #[test]
    fn a_name_cannot_add_a_header() {
        let mut view = view(sample_variables());
        view.project_display_name = "Shop\r\nBcc: everybody@example.com".to_owned();
        let subject = render(&source(template::EMAIL_VERIFICATION.source), &view).unwrap().content.subject;
        assert_eq!(subject, "Verify your email at Shop Bcc: everybody@example.com");
    }

    #[test]
    fn links_keep_their_slashes() {
        let html =
            render(&source(template::EMAIL_VERIFICATION.source), &view(sample_variables())).unwrap().content.html;
        assert!(html.contains("href=\"https://app.example/handler?next=%2Fhome&amp;code=abc\""), "{html}");
    }

    #[test]
    fn opening_a_mail_fetches_nothing() {
        let html =
            render(&source(template::EMAIL_VERIFICATION.source), &view(sample_variables())).unwrap().content.html;
        assert!(!html.contains("googleapis") && !html.contains("<script") && !html.contains("@import"), "{html}");
    }

    #[test]
    fn what_is_wrong_with_a_source_is_said() {
        let cases = [
            ("{% block subject %}", "syntax error"),
            ("{% block subject %}s{% endblock %}", "no block `text`"),
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
        assert!(render(&with_content(&"x".repeat(MAX_SOURCE_BYTES)), &view(json!({}))).is_err());
    }

    #[test]
    fn nothing_is_included_from_elsewhere() {
        let RenderError(text) =
            render(&with_content("<mj-include path=\"/etc/passwd\" />"), &view(json!({}))).err().unwrap();
        assert!(text.contains("include"), "{text}");
    }
}
