//! Which mails a user wants: a choice for each category, made by the user, by a server, or by the link in a mail.

mod category;
mod preferences;
mod store;
mod unsubscribe;

pub(crate) use self::preferences::is_wanted;
pub use self::{
    category::{CATEGORIES, Category, MARKETING, TRANSACTIONAL},
    preferences::{Preference, list, update},
    unsubscribe::{UNSUBSCRIBE_PAGE, Unsubscription, ask, issue_link, unsubscribe},
};

#[cfg(test)]
mod tests;
