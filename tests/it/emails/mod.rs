//! Mails on their way out: over real SMTP, and from the outbox to there.

mod digest;
mod outbox;
mod pages;
mod rest;
mod sandbox;
mod smtp;
mod team_invitation;
