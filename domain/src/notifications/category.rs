//! The categories: facts of the REST contract (wire/users-teams-permissions §7).

use uuid::{Uuid, uuid};

/// A kind of mails that users may want or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Category {
    /// Its id on the wire.
    pub id: Uuid,
    /// Its name on the wire and in templates.
    pub name: &'static str,
    /// Whether whoever chose nothing gets its mails.
    pub is_enabled_by_default: bool,
    /// Whether mails of it say how to be rid of them. A user may switch off others too.
    pub can_be_disabled: bool,
}

/// Mails that answer something the user did.
pub const TRANSACTIONAL: Category = Category {
    id: uuid!("7bb82d33-2f54-4a3d-9d23-82739e0d66ef"),
    name: "Transactional",
    is_enabled_by_default: true,
    can_be_disabled: false,
};

/// Mails that the user may do without.
pub const MARKETING: Category = Category {
    id: uuid!("4f6f8873-3d04-46bd-8bef-18338b1a1b4c"),
    name: "Marketing",
    is_enabled_by_default: true,
    can_be_disabled: true,
};

/// All of them, in the order of lists.
pub const CATEGORIES: &[Category] = &[TRANSACTIONAL, MARKETING];

impl Category {
    /// The category of that id.
    #[must_use]
    pub fn of(id: Uuid) -> Option<&'static Self> {
        CATEGORIES.iter().find(|category| category.id == id)
    }

    /// The category of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        CATEGORIES.iter().find(|category| category.name == name)
    }
}
