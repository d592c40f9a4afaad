//! Several processes of one installation: what one does the others know, with Redis at once and without it soon, and
//! nothing is lost or doubled either way. Only in the clustered shape, but for rate limits, which hold in both.

mod commands;
mod gateways;
mod limits;
mod redis_loss;
