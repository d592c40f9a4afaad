//! From a template's source to subject, HTML and text. Nothing is read or written here.
//!
//! A template is a MiniJinja source with these blocks:
//!
//! | block | holds |
//! |---|---|
//! | `subject` | one line of text |
//! | `category` | name of the notification category; optional |
//! | `variables` | a JSON object that declares the variables: each name with an example, whose type is the type wanted; a name that ends with `?` may be missing. Read as it stands, not evaluated; optional, without it nothing is checked |
//! | `content` | MJML: `mj-section`s, as children of the theme's body |
//! | `html` | instead of `content`: HTML, put into the theme as it is; without a theme it is the whole mail |
//! | `text` | the plain-text part; told from the HTML when there is none |
//!
//! and sees `project.displayName`, `user.displayName` (empty when there is none) and `variables`. A theme is a MiniJinja
//! source of one whole MJML document and sees `children` (the rendered content), `subject`, `project`, `projectLogos` and
//! `unsubscribeLink`. Whatever is put into MJML or HTML is escaped, whatever is put into text is not: an author need not
//! think of it.
//!
//! Sources of projects are untrusted. Steps and sizes are bounded in `engine.rs`; what cannot be bounded there, the memory
//! that a value takes before it is written, is bounded by running them in a process of their own
//! ([`crate::ports::sandbox::Sandbox`]). Our own sources run in this one.

mod engine;
#[cfg(test)]
mod tests;
mod variables;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use self::engine::one_line;
use super::{seal::Content, template, theme};
use crate::{
    ProjectId,
    deps::Deps,
    error::{Error, Result},
    ports::sandbox::SandboxError,
};

/// Most bytes of a template or theme.
pub(super) const MAX_SOURCE_BYTES: usize = 256 * 1024;
/// Most bytes that a pass may write, and that the finished parts may have.
pub(super) const MAX_OUTPUT_BYTES: usize = 512 * 1024;
/// How long the whole rendering of a mail may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is to be rendered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Source {
    pub(super) template: String,
    /// `None`: no theme at all.
    pub(super) theme: Option<String>,
}

/// What sources see.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct View {
    pub(super) project_display_name: String,
    /// How long codes in mails are good, for people.
    #[serde(default)]
    pub(super) codes_valid_for: String,
    pub(super) logos: Logos,
    pub(super) user_display_name: String,
    pub(super) variables: serde_json::Map<String, serde_json::Value>,
    /// The variables are the examples that the template declares.
    pub(super) is_preview: bool,
    /// Stops mails of this category. The theme shows it; the plain-text part ends with it.
    pub(super) unsubscribe_link: Option<String>,
}

/// URLs of the project's logos.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Logos {
    pub(super) logo: Option<String>,
    pub(super) full: Option<String>,
    pub(super) dark: Option<String>,
    pub(super) full_dark: Option<String>,
}

/// A finished mail.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rendered {
    pub(super) content: Content,
    /// Name of the notification category that the template states.
    pub(super) category: Option<String>,
}

/// Why a source does not render, in words for its author.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RenderError(pub(super) String);

/// One source, to be rendered once for each view.
#[derive(Serialize, Deserialize)]
struct Request {
    source: Source,
    views: Vec<View>,
}

/// What came of it.
type Outcome = std::result::Result<Vec<Rendered>, RenderError>;

/// What came of asking for it.
pub(super) enum Answer {
    /// It was rendered, or is wrong.
    Done(Outcome),
    /// Too much of the project is rendered at this moment.
    Later,
}

impl Request {
    fn run(&self) -> Outcome {
        let render = || self.views.iter().map(|view| engine::render(&self.source, view)).collect();
        // A library that panics over a source has found something wrong with it.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(render));
        outcome.unwrap_or_else(|_| Err(RenderError("the source cannot be rendered".to_owned())))
    }

    /// Whether nothing in it was written by a project.
    fn is_ours(&self) -> bool {
        template::is_built_in(&self.source.template) && self.source.theme.as_deref().is_none_or(theme::is_built_in)
    }
}

/// Renders `source` once for each of `views`, bounded in time and memory.
///
/// # Errors
/// Internal only; what is wrong with the source is the inner error.
pub(super) async fn render_all(
    deps: &Deps,
    project_id: &ProjectId,
    source: Source,
    views: Vec<View>,
) -> Result<Answer> {
    for (name, text) in [("template", Some(&source.template)), ("theme", source.theme.as_ref())] {
        if text.is_some_and(|text| text.len() > MAX_SOURCE_BYTES) {
            let why = format!("the {name} is longer than {MAX_SOURCE_BYTES} bytes");
            return Ok(Answer::Done(Err(RenderError(why))));
        }
    }
    let request = Request { source, views };
    if request.is_ours() {
        let outcome = tokio::task::spawn_blocking(move || request.run()).await;
        return outcome.map(Answer::Done).map_err(Error::internal);
    }
    let bytes = serde_json::to_vec(&request).map_err(Error::internal)?;
    match deps.sandbox.run(project_id.as_str(), bytes, TIMEOUT).await {
        Ok(answer) => serde_json::from_slice(&answer).map(Answer::Done).map_err(Error::internal),
        Err(SandboxError::Exceeded(why)) => Ok(Answer::Done(Err(RenderError(why)))),
        Err(SandboxError::Busy) => Ok(Answer::Later),
        Err(SandboxError::Unavailable(why)) => Err(Error::internal(why)),
    }
}

/// Whether the other process can be started and renders.
///
/// # Errors
/// Internal: why not.
#[crate::boxed]
pub async fn check_sandbox(deps: &Deps) -> Result<()> {
    let template = "{% block html %}{{ 1 + 1 }}{% endblock %}".to_owned();
    let source = Source { template, theme: None };
    match render_all(deps, &ProjectId::internal(), source, vec![View::default()]).await? {
        Answer::Done(Ok(_)) => Ok(()),
        Answer::Done(Err(RenderError(why))) => Err(Error::internal(why)),
        Answer::Later => Err(Error::internal("no process is free")),
    }
}

/// What the other process does: takes the bytes of a request, answers those of its outcome.
///
/// # Errors
/// When the bytes are no request.
pub fn run_sandboxed(request: &[u8]) -> std::result::Result<Vec<u8>, serde_json::Error> {
    let request: Request = serde_json::from_slice(request)?;
    serde_json::to_vec(&request.run())
}
