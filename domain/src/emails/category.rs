//! The notification categories: facts of the REST contract (wire: emails §8).

use uuid::{Uuid, uuid};

/// Nobody can switch these mails off.
pub(super) const TRANSACTIONAL: Uuid = uuid!("7bb82d33-2f54-4a3d-9d23-82739e0d66ef");
const MARKETING: Uuid = uuid!("4f6f8873-3d04-46bd-8bef-18338b1a1b4c");

/// The category of that name.
pub(super) fn id_of(name: &str) -> Option<Uuid> {
    match name {
        "Transactional" => Some(TRANSACTIONAL),
        "Marketing" => Some(MARKETING),
        _ => None,
    }
}
