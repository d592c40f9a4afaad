//! `/emails` and what belongs to it below `/internal`: the outbox, sending, templates, themes and drafts, and what providers
//! report.

mod drafts;
mod fields;
mod outbox;
mod reports;
mod sending;
mod templates;
mod themes;
mod trouble;

use super::routes::Routes;

pub(super) fn routes() -> Routes {
    [
        drafts::routes(),
        outbox::routes(),
        reports::routes(),
        sending::routes(),
        templates::routes(),
        themes::routes(),
        trouble::routes(),
    ]
    .into_iter()
    .fold(Routes::new(), Routes::merge)
}
