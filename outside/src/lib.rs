//! The real clients of the outer world behind the domain's ports. No rules live here: what may be sent where, how often
//! and what a failure means is decided in `domain`.

pub mod address;
pub mod http;
pub mod mail;
pub mod oauth;
pub mod rates;
pub mod redis;
pub mod sandbox;
