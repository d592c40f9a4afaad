//! Several processes of one installation: what one does the others know, with Redis at once and without it soon, and
//! nothing is lost or doubled either way. Only in the clustered shape, but for rate limits and older databases, which
//! both have.

mod bad_input;
mod commands;
mod database_loss;
mod gateways;
mod limits;
mod redis_loss;
mod waking;
