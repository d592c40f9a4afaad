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

/// A password to be posted as `password`, under the address that it belongs to, by which browsers know whose it is.
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
        let policy = format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        );
        Ok((status, guarded(&policy), Html(html)).into_response())
    }

    fn html(&self, nonce: &str) -> Result<String, minijinja::Error> {
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
        // The name ends in .html, so that everything put into it is escaped.
        Environment::new().render_named_str(
            "plain.html",
            SOURCE,
            context! { nonce, tone, action, title => self.title, project => self.project, paragraphs },
        )
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
