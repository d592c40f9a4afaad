//! The payload of the job that writes down what became of items by the passing of time.

use serde::{Deserialize, Serialize};

use crate::queue::{Job, Priority};

/// Fold due expiries and repeats into the rows, and tell of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldItems {}

impl Job for FoldItems {
    const KIND: &'static str = "fold_items";
    const PRIORITY: Priority = Priority::Low;
}
