//! Customers, as paths and bodies name them: by what sort they are, and what they are called.

use postern_domain::items::{Customer, CustomerType};

use crate::rest::input::{OneOf, Words, input};

/// The sorts of customers.
#[derive(Debug)]
pub(in crate::rest) struct CustomerTypes;

impl Words for CustomerTypes {
    const WORDS: &'static [&'static str] = &["user", "team", "custom"];
}

/// Those that are known here, and so have invoices and cards.
#[derive(Debug)]
pub(in crate::rest) struct AccountTypes;

impl Words for AccountTypes {
    const WORDS: &'static [&'static str] = &["user", "team"];
}

/// The sort of the word.
pub(in crate::rest) fn kind<W>(word: &OneOf<W>) -> CustomerType {
    match word.word {
        "user" => CustomerType::User,
        "team" => CustomerType::Team,
        _ => CustomerType::Custom,
    }
}

/// The customer that is called so.
pub(in crate::rest) fn named<W>(word: &OneOf<W>, id: &str) -> Customer {
    Customer::new(kind(word), id)
}

input! {
    /// Any customer.
    pub(super) struct CustomerPath { customer_type: OneOf<CustomerTypes>, customer_id: String }
}

impl CustomerPath {
    pub(super) fn customer(&self) -> Customer {
        named(&self.customer_type, &self.customer_id)
    }
}

input! {
    /// A user or a team.
    pub(super) struct AccountPath { customer_type: OneOf<AccountTypes>, customer_id: String }
}

impl AccountPath {
    pub(super) fn customer(&self) -> Customer {
        named(&self.customer_type, &self.customer_id)
    }
}
