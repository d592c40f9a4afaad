//! Drills of payments, with a Stripe of their own: what customers do is told by stories (`tests/stripe`), each of which says how
//! it ends. `shop.rs` is the server as stories reach it, `check.rs` holds what is there against how they end.

mod check;
mod kill;
mod shop;

pub(super) use kill::run as kill;
