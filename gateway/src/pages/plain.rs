//! The one look of the plain pages: a title, a few sentences, at most one button, perhaps a password to go with it. No
//! script; light and dark.

use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use minijinja::{Environment, Value, context};
use postern_domain::{Error, random::random_token, sessions::MIN_PASSWORD_CHARS, users::MAX_PASSWORD_CHARS};

use super::guarded;
use crate::rest::reply::Refusal;

const SOURCE: &str = include_str!("plain.html");

/// What a page says.
#[derive(Debug, Default)]
pub(super) struct Plain<'a> {
    pub(super) title: &'a str,
    pub(super) tone: Tone,
    /// Name of the project that the page is about.
    pub(super) project: &'a str,
    pub(super) paragraphs: &'a [&'a str],
    pub(super) action: Option<Action<'a>>,
    /// What the page has besides.
    pub(super) more: Option<More>,
}

/// A template of its own that fills the blocks of `plain.html`, for a page with more to it than a button.
#[derive(Debug)]
pub(super) struct More {
    pub(super) source: &'static str,
    /// What the template calls `more`.
    pub(super) with: Value,
    /// Where forms may lead besides this origin, as a content security policy names it.
    pub(super) form_targets: String,
    /// From where pictures come, likewise; empty for none.
    pub(super) pictures: String,
}

/// How the title is meant.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Tone {
    #[default]
    Plain,
    Good,
    Bad,
}

/// A button that posts to `to`, or to the page's own path.
#[derive(Debug)]
pub(super) struct Action<'a> {
    pub(super) label: &'a str,
    pub(super) fields: &'a [(&'a str, &'a str)],
    pub(super) to: Option<&'a str>,
    pub(super) login: Option<Login<'a>>,
}

/// A password to be posted as `password`, under the address that it belongs to, by which browsers know whose it is; empty where
/// that is not known.
#[derive(Debug)]
pub(super) struct Login<'a> {
    pub(super) email: &'a str,
    /// A password is chosen, not asked for.
    pub(super) is_new: bool,
    /// Why the one before was not good.
    pub(super) alert: Option<&'a str>,
}

impl Plain<'_> {
    /// The page as an answer.
    ///
    /// # Errors
    /// Internal only.
    pub(super) fn respond(&self, status: StatusCode) -> Result<Response, Refusal> {
        let nonce = random_token()?;
        let html = self.html(&nonce).map_err(Error::internal)?;
        Ok((status, guarded(&self.policy(&nonce)), Html(html)).into_response())
    }

    fn policy(&self, nonce: &str) -> String {
        let (targets, pictures) =
            self.more.as_ref().map_or(("", ""), |more| (more.form_targets.as_str(), more.pictures.as_str()));
        let separator = if targets.is_empty() { "" } else { " " };
        let pictures = if pictures.is_empty() { String::new() } else { format!("img-src {pictures}; ") };
        format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; {pictures}form-action 'self'{separator}{targets}; \
             base-uri 'none'; frame-ancestors 'none'"
        )
    }

    pub(super) fn html(&self, nonce: &str) -> Result<String, minijinja::Error> {
        let tone = match self.tone {
            Tone::Plain => "",
            Tone::Good => "good",
            Tone::Bad => "bad",
        };
        let action = self.action.as_ref().map(|action| {
            let fields: Vec<_> =
                action.fields.iter().map(|(name, value)| context! { name => *name, value => *value }).collect();
            let login = action.login.as_ref().map(|login| {
                context! { email => login.email, is_new => login.is_new, alert => login.alert,
                min_chars => MIN_PASSWORD_CHARS, max_chars => MAX_PASSWORD_CHARS }
            });
            context! { label => action.label, fields, to => action.to, login }
        });
        let paragraphs: Vec<_> = self.paragraphs.iter().map(|text| Value::from(*text)).collect();
        // The names end in .html, so that everything put into them is escaped.
        let mut environment = Environment::new();
        environment.add_template("plain.html", SOURCE)?;
        let mut name = "plain.html";
        if let Some(more) = &self.more {
            name = "more.html";
            environment.add_template(name, more.source)?;
        }
        let more = self.more.as_ref().map(|more| more.with.clone());
        let context = context! { nonce, tone, action, more, title => self.title, project => self.project, paragraphs };
        environment.get_template(name)?.render(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_put_into_a_page_is_escaped() {
        let evil = "\"><script>alert(1)</script>";
        let page = Plain {
            title: evil,
            project: evil,
            paragraphs: &[evil],
            action: Some(Action {
                label: evil,
                fields: &[("code", evil)],
                to: Some(evil),
                login: Some(Login { email: evil, is_new: true, alert: Some(evil) }),
            }),
            ..Plain::default()
        };
        let html = page.html("n").unwrap();
        assert!(!html.contains("<script"), "{html}");
        assert_eq!(html.matches("&lt;script&gt;").count(), 10);
    }
}
