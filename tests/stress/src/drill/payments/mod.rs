//! Drills of payments: customers pay at a server that speaks Stripe's wire format, its events are posted in no order and
//! several times, and what customers have in the end must be what they paid for.

mod kill;

pub(super) use self::kill::run as kill;
