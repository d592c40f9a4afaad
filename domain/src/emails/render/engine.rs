//! The engine: MiniJinja, then MJML. Pure, bounded in steps and in what is written.

use std::{collections::HashMap, fmt::Write as _, io};

use minijinja::{AutoEscape, Environment, Error as JinjaError, UndefinedBehavior, Value, context, value::ValueKind};
use mrml::prelude::{parser::ParserOptions, render::RenderOptions};

use super::{Logos, MAX_OUTPUT_BYTES, RenderError, Rendered, Source, View, variables::Declared};
use crate::{emails::seal::Content, notifications::Category};

type Result<T> = std::result::Result<T, RenderError>;

/// Most instructions that one pass over a template may take.
const MAX_STEPS: u64 = 50_000;
/// Most characters of a subject; longer ones are cut.
const MAX_SUBJECT_CHARS: usize = 500;
/// What stands in for a theme where none is wanted.
const NO_THEME: &str = "<mjml><mj-body>{{ children }}</mj-body></mjml>";
/// Stands in the MJML where HTML goes once the MJML has become HTML: what MJML's parser would not take is none of its business.
const HTML_GOES_HERE: &str = "postern:6e0f4c1b-html-goes-here";
/// What a preview shows where a mail has its own link.
const EXAMPLE_LINK: &str = "https://example.com/unsubscribe";

/// Renders `source` for `view`.
pub(super) fn render(source: &Source, view: &View) -> Result<Rendered> {
    let declared = Declared::of(&source.template)?;
    let variables = match &declared {
        Some(declared) if view.is_preview => declared.examples(),
        Some(declared) => declared.checked(&view.variables)?,
        None => view.variables.clone(),
    };
    let context = context(view, &variables);
    let plain = environment(AutoEscape::None);
    let mut texts = blocks(&plain, &source.template, &context, &["subject", "category", "text"])?;
    let subject = one_line(&texts.remove("subject").unwrap_or_default());
    let category = texts.remove("category").map(|name| one_line(&name)).filter(|name| !name.is_empty());
    let can_unsubscribe =
        category.as_deref().and_then(Category::named).is_some_and(|category| category.can_be_disabled);
    let example = (view.is_preview && can_unsubscribe).then(|| EXAMPLE_LINK.to_owned());
    let link = example.or_else(|| view.unsubscribe_link.clone());
    let context = context! { unsubscribeLink => &link, ..context };

    let escaping = environment(AutoEscape::Html);
    let mut bodies = blocks(&escaping, &source.template, &context, &["content", "html"])?;
    let html = match (bodies.remove("content"), bodies.remove("html")) {
        (Some(_), Some(_)) => return Err(template_error("has both a block `content` and a block `html`")),
        (None, None) => return Err(template_error("has no block `content`")),
        (Some(content), None) => themed(&escaping, source, content, &subject, &context)?,
        (None, Some(html)) if source.theme.is_none() => html,
        (None, Some(html)) => {
            let place = format!("<mj-section><mj-column><mj-text>{HTML_GOES_HERE}</mj-text></mj-column></mj-section>");
            themed(&escaping, source, place, &subject, &context)?.replace(HTML_GOES_HERE, &html)
        }
    };
    if html.len() > MAX_OUTPUT_BYTES {
        return Err(RenderError(format!("the mail is longer than {MAX_OUTPUT_BYTES} bytes")));
    }
    let text = texts.remove("text").unwrap_or_else(|| nanohtml2text::html2text(&html));
    let mut text = format!("{}\n", text.trim());
    if let Some(link) = &link {
        text.push_str(&format!("\nUnsubscribe: {link}\n"));
    }
    // A source can write U+0000, which PostgreSQL cannot store.
    let (html, text) = (html.replace('\0', ""), text.replace('\0', ""));
    Ok(Rendered { content: Content { subject, html, text, unsubscribe_link: link }, category })
}

/// MJML in the theme, as HTML.
fn themed(
    environment: &Environment<'_>,
    source: &Source,
    children: String,
    subject: &str,
    context: &Value,
) -> Result<String> {
    let theme = source.theme.as_deref().unwrap_or(NO_THEME);
    let context = context! { children => Value::from_safe_string(children), subject, ..context.clone() };
    let mjml = whole(environment, theme, context).map_err(|RenderError(why)| RenderError(format!("theme: {why}")))?;
    html(&mjml)
}

fn context(view: &View, variables: &serde_json::Map<String, serde_json::Value>) -> Value {
    let Logos { logo, full, dark, full_dark } = &view.logos;
    context! {
        project => context! { displayName => &view.project_display_name },
        codes => context! { validFor => &view.codes_valid_for },
        projectLogos => context! {
            logoUrl => logo, logoFullUrl => full, logoDarkModeUrl => dark, logoFullDarkModeUrl => full_dark,
        },
        user => context! { displayName => &view.user_display_name },
        variables => Value::from(minijinja::value::Serde(variables)),
        unsubscribeLink => &view.unsubscribe_link,
    }
}

fn template_error(why: &str) -> RenderError {
    RenderError(format!("template: {why}"))
}

impl From<JinjaError> for RenderError {
    fn from(error: JinjaError) -> Self {
        let place = error.line().map_or_else(String::new, |line| format!(" (line {line})"));
        let text = match error.detail() {
            Some(detail) => format!("{}: {detail}{place}", error.kind()),
            None => format!("{}{place}", error.kind()),
        };
        Self(text.replace('\0', ""))
    }
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
    context: &Value,
    names: &[&'static str],
) -> Result<HashMap<&'static str, String>> {
    let in_template = |error: JinjaError| template_error(&RenderError::from(error).0);
    let template = environment.template_from_str(source).map_err(in_template)?;
    let mut state = template.render_captured_to(context.clone(), Bounded::default()).map_err(in_template)?;
    let mut found = HashMap::new();
    for name in names {
        let mut out = Bounded::default();
        match state.with_state_mut(|state| state.render_block_to_write(name, &mut out)) {
            Ok(()) => found.insert(*name, out.into_text()?),
            Err(error) if error.kind() == minijinja::ErrorKind::UnknownBlock => continue,
            Err(error) => return Err(in_template(error)),
        };
    }
    Ok(found)
}

fn whole(environment: &Environment<'_>, source: &str, context: Value) -> Result<String> {
    let mut out = Bounded::default();
    environment.template_from_str(source)?.render_captured_to(context, &mut out)?;
    out.into_text()
}

fn html(mjml: &str) -> Result<String> {
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
pub(in crate::emails) fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_SUBJECT_CHARS).collect()
}

/// Collects what a pass writes, up to [`MAX_OUTPUT_BYTES`].
#[derive(Default)]
struct Bounded(Vec<u8>);

impl Bounded {
    fn into_text(self) -> Result<String> {
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
