use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<Settings, WrongSettings> {
    Settings::from_values(
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        Role::All,
    )
}

#[test]
fn nothing_set_is_local_mode() {
    let settings = read(&[]).unwrap();
    assert!(settings.domain.local_mode);
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8102");
    assert_eq!(settings.domain.api_url(), "http://localhost:8102/api/v1");
    assert_eq!(settings.data_dir, PathBuf::from("data"));
    let loopback = std::net::IpAddr::from([127, 0, 0, 1]);
    assert!(settings.domain.allowed_subnets.iter().any(|net| net.contains(&loopback)));
}

#[test]
fn outside_local_mode_everything_secret_must_be_given() {
    let wrong = read(&[(PUBLIC_URL, "https://auth.example.com")]).unwrap_err().0.join("\n");
    for name in [SERVER_SECRET, SMTP_URL, MAIL_FROM, INTERNAL_CLIENT_KEY, INTERNAL_SERVER_KEY, INTERNAL_ADMIN_KEY] {
        assert!(wrong.contains(&format!("{name} is missing")), "{name} is not named in {wrong}");
    }
    let listening = read(&[(LISTEN, "0.0.0.0:80")]).unwrap_err().0.join("\n");
    assert!(listening.contains(SERVER_SECRET));
    assert!(read(&[(LISTEN, "0.0.0.0:80"), (DEV, "1")]).unwrap().domain.local_mode);
}

#[test]
fn all_that_is_wrong_is_named_at_once() {
    let wrong = read(&[
        (LISTEN, "nowhere"),
        (DATABASE_URL, "mysql://x"),
        (SERVER_SECRET, "short"),
        (ACCESS_TOKEN_SECONDS, "1"),
        (ALLOWED_SUBNETS, "10.0.0.0/8, here"),
        (RATE_LIMITS, "maybe"),
        (SMTP_URL, "http://x"),
    ])
    .unwrap_err()
    .0
    .join("\n");
    for name in [LISTEN, DATABASE_URL, SERVER_SECRET, ACCESS_TOKEN_SECONDS, ALLOWED_SUBNETS, RATE_LIMITS, SMTP_URL] {
        assert!(wrong.contains(name), "{name} is not named in {wrong}");
    }
}

#[test]
fn a_list_of_documents_is_read_and_everything_wrong_in_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file("good.json", r#"{"me": "{ me { id } }"}"#);
    assert!(read(&[(DOCUMENTS, &good)]).unwrap().documents.is_some());
    assert!(read(&[]).unwrap().documents.is_none());
    let bad = file("bad.json", r#"{"one": "{ me {", "two": "nope"}"#);
    let wrong = read(&[(DOCUMENTS, &bad), (RATE_LIMITS, "maybe")]).unwrap_err().0.join("\n");
    for name in [DOCUMENTS, &bad, "the document one", "the document two", RATE_LIMITS] {
        assert!(wrong.contains(name), "{name} is not named in {wrong}");
    }
    assert!(read(&[(DOCUMENTS, "/no/such/file")]).unwrap_err().0.join("").contains("/no/such/file"));
}

#[test]
#[cfg(feature = "svix")]
fn a_svix_server_takes_both_settings_and_an_address_without_secrets() {
    let (url, token) = ("https://svix.example.com/below", "sk_token.eu");
    let svix = read(&[(SVIX_URL, url), (SVIX_TOKEN, token)]).unwrap().svix.unwrap();
    assert_eq!((svix.url.as_str(), svix.token.expose_secret()), (url, token));
    assert!(read(&[(SVIX_URL, ""), (SVIX_TOKEN, " ")]).unwrap().svix.is_none());
    let wrong = |pairs: &[(&str, &str)]| read(pairs).unwrap_err().0.join("\n");
    assert!(wrong(&[(SVIX_URL, url)]).contains("POSTERN_SVIX_TOKEN is missing"));
    assert!(wrong(&[(SVIX_TOKEN, token)]).contains("POSTERN_SVIX_URL is missing"));
    for bad in ["svix.example.com", "ftp://svix.example.com", "https://me:pw123@svix.example.com", "https://x/?a=b"] {
        let wrong = wrong(&[(SVIX_URL, bad), (SVIX_TOKEN, token)]);
        assert!(wrong.contains("POSTERN_SVIX_URL must be") && !wrong.contains("pw123"), "{bad}: {wrong}");
    }
    let unprintable = wrong(&[(SVIX_URL, url), (SVIX_TOKEN, "sk_\u{7f}tail")]);
    assert!(unprintable.contains("POSTERN_SVIX_TOKEN must be") && !unprintable.contains("tail"));
}

#[test]
#[cfg(not(feature = "svix"))]
fn a_svix_server_is_refused_by_a_program_without_its_client() {
    for pair in [(SVIX_URL, "https://svix.example.com"), (SVIX_TOKEN, "sk_token")] {
        let wrong = read(&[pair]).unwrap_err().0.join("\n");
        assert!(wrong.contains("POSTERN_SVIX_URL") && wrong.contains("the feature `svix`"), "{wrong}");
    }
}

#[test]
#[cfg(feature = "stripe")]
fn payments_take_a_secret_key_and_perhaps_another_address() {
    let key = "rk_live_of-some-length";
    let stripe = read(&[(STRIPE_SECRET_KEY, key)]).unwrap().stripe.unwrap();
    assert_eq!((stripe.api_base.as_str(), stripe.secret_key.expose_secret()), ("https://api.stripe.com/", key));
    assert!(read(&[]).unwrap().stripe.is_none());
    let wrong = |pairs: &[(&str, &str)]| read(pairs).unwrap_err().0.join("\n");
    assert!(wrong(&[(STRIPE_API_BASE, "http://localhost:1")]).contains("POSTERN_STRIPE_SECRET_KEY is missing"));
    for bad in ["pk_live_publishable", "whsec_x", "sk_with a space"] {
        let wrong = wrong(&[(STRIPE_SECRET_KEY, bad)]);
        assert!(wrong.contains("POSTERN_STRIPE_SECRET_KEY must be") && !wrong.contains(bad), "{wrong}");
    }
    for bad in ["api.stripe.com", "ftp://x", "https://me:pw123@x", "https://x/?a=b"] {
        let wrong = wrong(&[(STRIPE_SECRET_KEY, key), (STRIPE_API_BASE, bad)]);
        assert!(wrong.contains("POSTERN_STRIPE_API_BASE must be") && !wrong.contains("pw123"), "{wrong}");
    }
    let [new, old] = ["whsec_the-newer-of-the-two", "whsec_the-older-of-the-two"];
    let both = read(&[(STRIPE_WEBHOOK_SECRET, &format!("{new}, {old}"))]).unwrap();
    assert_eq!(both.domain.stripe_webhook_secrets.len(), 2);
    for bad in ["sk_live_of-some-length", "whsec_short", &format!("{new},")] {
        assert!(wrong(&[(STRIPE_WEBHOOK_SECRET, bad)]).contains("POSTERN_STRIPE_WEBHOOK_SECRET must be"), "{bad}");
    }
    let shown = format!("{:?}", read(&[(STRIPE_SECRET_KEY, key), (STRIPE_WEBHOOK_SECRET, new)]).unwrap());
    assert!(!shown.contains(key) && !shown.contains(new), "{shown}");
}

#[test]
fn the_country_is_what_trusted_proxies_tell_in_one_header() {
    let behind = (TRUSTED_PROXIES, "10.0.0.0/8");
    let proxies = read(&[behind, (COUNTRY_HEADER, "CF-IPCountry")]).unwrap().proxies;
    assert_eq!(proxies.country_header.unwrap().as_str(), "cf-ipcountry");
    assert!(read(&[behind]).unwrap().proxies.country_header.is_none());
    for (wrong, name) in [
        ([behind, (COUNTRY_HEADER, "cf ipcountry")], "POSTERN_COUNTRY_HEADER must be"),
        ([(TRUSTED_PROXIES, ""), (COUNTRY_HEADER, "cf-ipcountry")], "POSTERN_TRUSTED_PROXIES is missing"),
    ] {
        let wrong = read(&wrong).unwrap_err().0.join("\n");
        assert!(wrong.contains(name), "{wrong}");
    }
}

#[test]
fn a_shared_client_is_whole_and_a_stand_in_is_for_local_mode() {
    let [[google, google_secret], [github, github_secret], ..] = OAUTH_CLIENTS;
    let settings = read(&[(google, "us"), (google_secret, "s"), (OAUTH_STAND_IN, "http://localhost:9000")]).unwrap();
    let shared: Vec<_> =
        settings.domain.shared_oauth.iter().map(|(kind, client)| (kind.as_str(), &*client.id)).collect();
    assert_eq!((shared, settings.domain.shared_oauth_gives_tokens), (vec![("google", "us")], false));
    assert!(settings.oauth_stand_in.is_some());
    let wrong = read(&[(google, "us"), (github_secret, "s"), (OAUTH_STAND_IN, "ftp://x")]).unwrap_err().0.join("\n");
    for named in [google_secret, github, OAUTH_STAND_IN] {
        assert!(wrong.contains(named), "{named} is not named in {wrong}");
    }
    let wrong = read(&[(PUBLIC_URL, "https://a.example.com"), (OAUTH_STAND_IN, "http://x")]).unwrap_err().0.join("\n");
    assert!(wrong.contains(OAUTH_STAND_IN), "{wrong}");
}

#[test]
fn secrets_do_not_show() {
    let secret = "a-secret-of-more-than-thirty-two-bytes";
    let settings = read(&[(SERVER_SECRET, secret), (DATABASE_URL, "postgres://u:pw123@h/d")]).unwrap();
    let shown = format!("{settings:?}");
    assert!(!shown.contains(secret) && !shown.contains("pw123"));
    if cfg!(feature = "svix") {
        let settings = read(&[(SVIX_URL, "https://svix.example.com"), (SVIX_TOKEN, "sk_hidden")]).unwrap();
        assert!(!format!("{settings:?}").contains("sk_hidden"));
    }
}
