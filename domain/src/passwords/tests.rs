use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret;

use super::*;

fn decoded(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

/// The example of the README of Firebase's scrypt; the password is `user1password`.
fn published() -> FirebaseHash {
    FirebaseHash {
        hash: decoded("lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="),
        salt: decoded("42xEC+ixf3L2lw=="),
        signer_key: decoded("jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="),
        salt_separator: decoded("Bw=="),
        rounds: 8,
        mem_cost: 14,
    }
}

fn argon2(algorithm: Algorithm, version: Version, memory: u32, passes: u32) -> String {
    let params = Params::new(memory, passes, 1, None).unwrap();
    let hash: PasswordHash =
        Argon2::new(algorithm, version, params).hash_password_with_salt(b"imported", b"saltsalt").unwrap();
    hash.to_string()
}

#[tokio::test]
async fn a_password_is_right_wrong_or_unknown() {
    let passwords = Passwords::new(1).unwrap();
    let stored = passwords.hash("correct horse").await.unwrap();
    assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert_eq!(passwords.check("correct horse", Some(&stored)).await.unwrap(), Checked::Right);
    assert_eq!(passwords.check("wrong horse", Some(&stored)).await.unwrap(), Checked::Wrong);
    assert_eq!(passwords.check("nobody has this password", None).await.unwrap(), Checked::Wrong);
}

#[tokio::test]
async fn imported_hashes_are_right_but_outdated() {
    let passwords = Passwords::new(1).unwrap();
    let imported = [
        bcrypt::hash("imported", 4).unwrap(),
        argon2(Algorithm::Argon2id, Version::V0x13, 1024, 1),
        argon2(Algorithm::Argon2i, Version::V0x13, MEMORY_KIB, PASSES),
        argon2(Algorithm::Argon2d, Version::V0x10, 64, 1),
        argon2(Algorithm::Argon2id, Version::V0x10, MEMORY_KIB, PASSES),
    ];
    for stored in imported {
        check_stored_form(&stored).unwrap();
        assert_eq!(passwords.check("imported", Some(&stored)).await.unwrap(), Checked::RightButOutdated, "{stored}");
        assert_eq!(passwords.check("other", Some(&stored)).await.unwrap(), Checked::Wrong, "{stored}");
    }
    let current = argon2(Algorithm::Argon2id, Version::V0x13, MEMORY_KIB, PASSES);
    check_stored_form(&current).unwrap();
    assert_eq!(passwords.check("imported", Some(&current)).await.unwrap(), Checked::Right);
}

#[tokio::test]
async fn the_published_example_of_firebase_is_right_but_outdated() {
    let passwords = Passwords::new(1).unwrap();
    let stored = published().stored_form().unwrap();
    let stored = stored.expose_secret();
    assert!(stored.starts_with("$firebase-scrypt$ln=14,r=8$"), "{stored}");
    check_stored_form(stored).unwrap();
    assert_eq!(algorithm(stored), "firebase-scrypt");
    assert_eq!(passwords.check("user1password", Some(stored)).await.unwrap(), Checked::RightButOutdated);
    assert_eq!(passwords.check("user2password", Some(stored)).await.unwrap(), Checked::Wrong);
    let other = FirebaseHash { rounds: 7, ..published() }.stored_form().unwrap();
    assert_eq!(passwords.check("user1password", Some(other.expose_secret())).await.unwrap(), Checked::Wrong);
}

#[test]
fn the_signer_key_is_neither_stored_nor_shown() {
    let given = published();
    let stored = given.stored_form().unwrap();
    let hash = PasswordHash::new(stored.expose_secret()).unwrap().hash.unwrap();
    assert!(hash.as_bytes() != given.signer_key && hash.as_bytes() != given.hash);
    assert_eq!(format!("{given:?}"), "FirebaseHash { .. }");
}

#[test]
fn hashes_of_firebase_are_bounded() {
    let with = |change: fn(&mut FirebaseHash)| {
        let mut given = published();
        change(&mut given);
        given.stored_form()
    };
    let changes: [fn(&mut FirebaseHash); 8] = [
        |given| given.mem_cost = 15,
        |given| given.mem_cost = 0,
        |given| given.rounds = 9,
        |given| given.rounds = 0,
        |given| given.signer_key.truncate(63),
        |given| given.salt = vec![0; 48],
        |given| given.salt.clear(),
        |given| (given.hash, given.signer_key) = (vec![0; 65], vec![0; 65]),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert!(with(change).is_err(), "{number}");
    }
    let stored = published().stored_form().unwrap();
    for (from, to) in [("ln=14", "ln=15"), ("r=8", "r=9"), ("r=8", "r=8,p=2"), ("$ln", "$v=1$ln"), (",r=8", "")] {
        assert!(check_stored_form(&stored.expose_secret().replace(from, to)).is_err(), "{to}");
    }
}

#[test]
fn the_wire_takes_bounded_bcrypt_only() {
    check_importable(&bcrypt::hash("imported", 4).unwrap()).unwrap();
    let body = "abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDE";
    for wrong in [
        format!("$2b$17${body}"),
        format!("$2b$10${}", &body[1..]),
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA".to_owned(),
        String::new(),
    ] {
        assert!(check_importable(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn argon2_is_imported_whole_and_bounded() {
    let right = argon2(Algorithm::Argon2id, Version::V0x13, 1024, 1);
    let change = |from: &str, to: &str| {
        assert!(right.contains(from), "{right}");
        right.replace(from, to)
    };
    for wrong in [
        change("m=1024", "m=262145"),
        change("m=1024,t=1", "m=262144,t=5"),
        change("t=1", "t=4294967295"),
        change("p=1", "p=17"),
        change("p=1", "p=1,keyid=AAAA"),
        change("v=19$", ""),
        change("v=19", "v=20"),
        change("argon2id", "argon2"),
        change("argon2id", "scrypt"),
        right.rsplit_once('$').unwrap().0.to_owned(),
        format!("{}1", bcrypt::hash("imported", 4).unwrap()),
        "plain".to_owned(),
        String::new(),
    ] {
        assert!(check_stored_form(&wrong).is_err(), "{wrong}");
    }
}
