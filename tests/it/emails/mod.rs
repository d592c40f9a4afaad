//! Mails on their way out: over real SMTP, and from the outbox to there.

mod outbox;
mod pages;
mod rest;
mod smtp;
mod team_invitation;
