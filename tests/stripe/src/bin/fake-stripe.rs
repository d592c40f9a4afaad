//! The fake on a port of one's choice, until it is interrupted.

use std::{
    io::{self, Write},
    net::SocketAddr,
};

use clap::Parser;
use postern_fake_stripe::FakeStripe;

/// A Stripe API of one's own.
#[derive(Debug, Parser)]
struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:12111")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let fake = FakeStripe::start_on(Options::parse().listen).await?;
    writeln!(io::stdout(), "{} takes the key {}", fake.url(), fake.secret_key())?;
    tokio::signal::ctrl_c().await
}
