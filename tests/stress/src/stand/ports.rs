//! Ports that nobody listens on.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::{Result, bail};

/// Below the range that the kernel hands out by itself, and below that of `scripts/services`: a port must stay free while
/// its process is dead.
const FIRST: u16 = 12_000;
const LAST: u16 = 19_999;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port of the loopback address that is free at this moment. Successive calls answer different ones.
///
/// # Errors
/// When none is free.
pub fn free_port() -> Result<u16> {
    let span = LAST - FIRST + 1;
    // Runs beside this one begin elsewhere.
    let offset = u16::try_from(std::process::id().wrapping_mul(61) % u32::from(span))?;
    for _ in 0..span {
        let port = FIRST + (offset + NEXT.fetch_add(1, Ordering::Relaxed) % span) % span;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port from {FIRST} to {LAST} is free")
}
