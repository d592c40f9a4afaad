//! Lets the program name its relocations in the short form (RELR), which makes it two megabytes smaller. The C library must know
//! that form: glibc does since 2.36, so a program that was built on such a system needs one to run, as it does for the rest of its
//! symbols.

use std::{env, process::Command};

/// The first glibc that reads RELR.
const FIRST: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let of = |name: &str| env::var(name).unwrap_or_default();
    // Built for elsewhere, nothing is known of the C library there.
    let is_here = of("TARGET") == of("HOST") && of("TARGET").ends_with("linux-gnu");
    if is_here && of("PROFILE") == "release" && glibc().is_some_and(|version| version >= FIRST) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of the C library of this system.
fn glibc() -> Option<(u32, u32)> {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?.stdout;
    let said = String::from_utf8(said).ok()?;
    let mut numbers = said.trim().strip_prefix("glibc ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
