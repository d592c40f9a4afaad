//! The SMTP client against servers that behave and servers that do not.

use std::time::{Duration, Instant};

use futures::future::join_all;
use ipnet::IpNet;
use postern_domain::ports::mail::{Encryption, MailError, MailErrorKind, MailServer, Mailer, OutgoingMail};
use postern_outside::{
    address::Addresses,
    mail::{Limits, SmtpMailer},
};

use crate::support::smtp::{Fault, Received, SmtpServer, Step, Tls};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn mailer(server: &SmtpServer, allowed: &[IpNet]) -> SmtpMailer {
    SmtpMailer::trusting(Addresses::new(allowed), "postern.test", vec![server.authority()]).unwrap()
}

fn mail() -> OutgoingMail {
    OutgoingMail {
        message_id: "0f8fad5b@postern.test".to_owned(),
        from_name: "Corner Shop".to_owned(),
        from_address: "shop@postern.test".to_owned(),
        to: vec!["ada@example.com".to_owned(), "bob@example.com".to_owned()],
        subject: "Grüße".to_owned(),
        html: "<p>Hällo</p>".to_owned(),
        text: ".a line with a dot in front\n".to_owned(),
        headers: vec![("List-Unsubscribe".to_owned(), "<https://postern.test/unsubscribe>".to_owned())],
    }
}

fn with_password(server: MailServer) -> MailServer {
    MailServer { credentials: Some(("shop".to_owned(), "hunter2".into())), ..server }
}

async fn refused(server: &SmtpServer, encryption: Encryption) -> MailError {
    mailer(server, &[]).send(&with_password(server.as_server(encryption)), &mail()).await.unwrap_err()
}

#[tokio::test]
async fn a_mail_arrives_plainly_by_starttls_and_by_tls() {
    for (tls, encryption) in [
        (Tls::None, Encryption::Plain),
        (Tls::Offered, Encryption::StartTls),
        (Tls::Offered, Encryption::StartTlsIfOffered),
        (Tls::None, Encryption::StartTlsIfOffered),
        (Tls::Implicit, Encryption::Tls),
    ] {
        let server = SmtpServer::start(tls).await;
        mailer(&server, &[]).send(&with_password(server.as_server(encryption)), &mail()).await.unwrap();
        let received = server.received();
        let [received] = received.as_slice() else { panic!("one mail by {encryption:?}") };
        assert_eq!(received.was_encrypted, tls != Tls::None);
        assert_eq!(received.credentials, Some(("shop".to_owned(), "hunter2".to_owned())));
        assert_eq!(received.from, "shop@postern.test");
        assert_eq!(received.to, ["ada@example.com", "bob@example.com"]);
    }
}

#[tokio::test]
async fn the_message_is_well_formed_and_in_ascii() {
    let server = SmtpServer::start(Tls::None).await;
    mailer(&server, &[]).send(&server.as_server(Encryption::Plain), &mail()).await.unwrap();
    let received: Received = server.received().remove(0);
    assert!(received.content.is_ascii());
    assert_eq!(received.header("Message-ID"), Some("<0f8fad5b@postern.test>"));
    assert_eq!(received.header("From"), Some("\"Corner Shop\" <shop@postern.test>"));
    assert_eq!(received.header("To"), Some("ada@example.com, bob@example.com"));
    assert_eq!(received.header("Subject"), Some("=?utf-8?b?R3LDvMOfZQ==?="));
    assert_eq!(received.header("Auto-Submitted"), Some("auto-generated"));
    assert_eq!(received.header("List-Unsubscribe"), Some("<https://postern.test/unsubscribe>"));
    assert!(received.header("Date").is_some());
    assert!(received.header("Content-Type").unwrap().starts_with("multipart/alternative;"));
    assert!(received.content.contains("\r\n.a line with a dot in front\r\n"));
    assert!(received.content.contains("<p>H=C3=A4llo</p>"));
    let (plain, html) = (received.content.find("text/plain").unwrap(), received.content.find("text/html").unwrap());
    assert!(plain < html, "the best part comes last (RFC 2046 §5.1.4)");
}

#[tokio::test]
async fn values_cannot_add_headers_or_recipients() {
    let server = SmtpServer::start(Tls::None).await;
    let evil = OutgoingMail {
        from_name: "Shop\r\nBcc: eve@evil.example".to_owned(),
        subject: "Hi\r\nX-Evil: yes\r\n\r\nbody".to_owned(),
        ..mail()
    };
    mailer(&server, &[]).send(&server.as_server(Encryption::Plain), &evil).await.unwrap();
    let received = server.received().remove(0);
    assert_eq!((received.header("Bcc"), received.header("X-Evil")), (None, None), "{}", received.content);
    assert_eq!(received.to, ["ada@example.com", "bob@example.com"]);

    for address in ["ada@example.com\r\nRCPT TO:<eve@evil.example>", "not an address", ""] {
        let evil = OutgoingMail { to: vec![address.to_owned()], ..mail() };
        let error = mailer(&server, &[]).send(&server.as_server(Encryption::Plain), &evil).await.unwrap_err();
        assert_eq!(error.kind, MailErrorKind::InvalidEmailAddress, "{address:?}");
    }
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_server_without_the_demanded_protection_learns_no_password() {
    let server = SmtpServer::start(Tls::None).await;
    assert_eq!(refused(&server, Encryption::StartTls).await.kind, MailErrorKind::TlsFailed);
    let other = SmtpServer::start_as(Tls::Offered, "other.test").await;
    assert_eq!(refused(&other, Encryption::StartTls).await.kind, MailErrorKind::TlsFailed);
    assert_eq!(refused(&other, Encryption::StartTlsIfOffered).await.kind, MailErrorKind::TlsFailed);
    let implicit = SmtpServer::start_as(Tls::Implicit, "other.test").await;
    assert_eq!(refused(&implicit, Encryption::Tls).await.kind, MailErrorKind::TlsFailed);
    // Signed by nobody the client trusts.
    let stranger = SmtpServer::start(Tls::Implicit).await;
    let error = mailer(&server, &[]).send(&stranger.as_server(Encryption::Tls), &mail()).await.unwrap_err();
    assert_eq!((error.kind, error.kind.is_transient()), (MailErrorKind::TlsFailed, false));
    for server in [server, other, implicit, stranger] {
        assert_eq!(server.received().len(), 0);
    }
}

#[tokio::test]
async fn each_refusal_has_its_kind() {
    use MailErrorKind as Kind;
    let cases = [
        (Step::Greeting, "421 too busy", Kind::TransientNegativeCompletionReply, true),
        (Step::Greeting, "554 not for you", Kind::Rejected, false),
        (Step::Auth, "535 wrong password", Kind::AuthFailed, false),
        (Step::Auth, "454 try later", Kind::TransientNegativeCompletionReply, true),
        (Step::Auth, "500 AUTH PLAIN AHNob3AAaHVudGVyMg== is nothing I know", Kind::AuthFailed, false),
        (Step::Mail, "550 sender unknown", Kind::Rejected, false),
        (Step::Rcpt, "450 greylisted", Kind::Temporary, true),
        (Step::Rcpt, "550 no such user", Kind::Rejected, false),
        (Step::Rcpt, "553 bad address", Kind::InvalidEmailAddress, false),
        (Step::Data, "451 local trouble", Kind::TransientNegativeCompletionReply, true),
        (Step::End, "452 disk full", Kind::TransientNegativeCompletionReply, true),
        (Step::End, "552 too large", Kind::Unknown, false),
        (Step::End, "554 looks like spam", Kind::Rejected, false),
    ];
    for (step, reply, kind, is_transient) in cases {
        let server = SmtpServer::start(Tls::Offered).await;
        server.misbehave(step, Fault::Reply(reply));
        let error = refused(&server, Encryption::StartTls).await;
        assert_eq!((error.kind, error.kind.is_transient()), (kind, is_transient), "{step:?} {reply}: {error}");
        assert!(error.text.contains(&reply[..3]), "{error}");
        assert_eq!(error.text.contains(&reply[4..]), step != Step::Auth, "{error}");
        assert_eq!(server.received().len(), 0);
    }
}

#[tokio::test]
async fn one_bad_recipient_does_not_keep_the_mail_from_the_others() {
    let server = SmtpServer::start(Tls::None).await;
    server.refuse("ada@example.com", "550 5.1.1 nobody of that name");
    let accepted = mailer(&server, &[]).send(&server.as_server(Encryption::Plain), &mail()).await.unwrap();
    assert_eq!(accepted.message_id.as_deref(), Some("4XyZ1b2c3d"));
    let [(address, error)] = accepted.refused.try_into().unwrap();
    assert_eq!((address.as_str(), error.kind), ("ada@example.com", MailErrorKind::Rejected));
    assert_eq!(server.received()[0].to, ["bob@example.com"]);

    // One that is to come back later: then the mail comes for all of them.
    let server = SmtpServer::start(Tls::None).await;
    server.refuse("bob@example.com", "450 greylisted");
    let error = mailer(&server, &[]).send(&server.as_server(Encryption::Plain), &mail()).await.unwrap_err();
    assert_eq!((error.kind, server.received().len()), (MailErrorKind::Temporary, 0));
    // Nobody is left.
    let server = SmtpServer::start(Tls::None).await;
    server.refuse("@example.com", "550 no");
    let error = mailer(&server, &[]).send(&server.as_server(Encryption::Plain), &mail()).await.unwrap_err();
    assert_eq!((error.kind, server.received().len()), (MailErrorKind::Rejected, 0));
}

#[tokio::test]
async fn a_server_that_was_not_reached_is_told_from_one_that_refused() {
    let server = SmtpServer::start(Tls::None).await;
    server.misbehave(Step::Greeting, Fault::Close);
    assert!(refused(&server, Encryption::Plain).await.is_silence());
    server.misbehave(Step::Mail, Fault::Close);
    assert!(!refused(&server, Encryption::Plain).await.is_silence());
    server.misbehave(Step::Greeting, Fault::Reply("554 not for you"));
    assert!(!refused(&server, Encryption::Plain).await.is_silence());
}

#[tokio::test]
async fn a_mail_without_html_is_plain_text() {
    let server = SmtpServer::start(Tls::None).await;
    let plain = OutgoingMail { html: String::new(), ..mail() };
    mailer(&server, &[]).send(&server.as_server(Encryption::Plain), &plain).await.unwrap();
    assert!(server.received()[0].header("Content-Type").unwrap().starts_with("text/plain"));
}

#[tokio::test]
async fn a_connection_that_breaks_anywhere_is_worth_another_try() {
    for step in [Step::Greeting, Step::StartTls, Step::Auth, Step::Mail, Step::Rcpt, Step::Data, Step::End] {
        let server = SmtpServer::start(Tls::Offered).await;
        server.misbehave(step, Fault::Close);
        let error = refused(&server, Encryption::StartTls).await;
        assert_eq!((error.kind, error.kind.is_transient()), (MailErrorKind::SocketClosed, true), "{step:?}: {error}");
    }
    let gone = SmtpServer::start(Tls::None).await;
    let (mailer, server) = (mailer(&gone, &[]), gone.as_server(Encryption::Plain));
    drop(gone);
    // The listener is closed once its task has ended.
    let error = loop {
        match mailer.send(&server, &mail()).await {
            Err(error) if error.kind == MailErrorKind::SocketClosed => tokio::task::yield_now().await,
            other => break other.unwrap_err(),
        }
    };
    assert_eq!((error.kind, error.kind.is_transient()), (MailErrorKind::ConnectionFailed, true));
}

#[tokio::test]
async fn a_server_that_hangs_costs_a_bounded_time() {
    let steps = [Step::Greeting, Step::StartTls, Step::Auth, Step::Mail, Step::Rcpt, Step::Data, Step::End];
    let limits = Limits { greeting: SECOND, reply: SECOND, ..Limits::default() };
    join_all(steps.map(async |step| {
        let server = SmtpServer::start(Tls::Offered).await;
        server.misbehave(step, Fault::Hang);
        let mailer = mailer(&server, &[]).within(limits);
        let started = Instant::now();
        let error = mailer.send(&with_password(server.as_server(Encryption::StartTls)), &mail()).await.unwrap_err();
        assert_eq!((error.kind, error.kind.is_transient()), (MailErrorKind::Timeout, true), "{step:?}: {error}");
        assert!(started.elapsed() < 10 * SECOND, "{step:?}");
    }))
    .await;
}

#[tokio::test]
async fn all_steps_together_have_a_limit_too() {
    let server = SmtpServer::start(Tls::None).await;
    server.misbehave(Step::Mail, Fault::Hang);
    let mailer = mailer(&server, &[]).within(Limits { total: SECOND, ..Limits::default() });
    let error = mailer.send(&server.as_server(Encryption::Plain), &mail()).await.unwrap_err();
    assert_eq!(error.kind, MailErrorKind::Timeout);
}

#[tokio::test]
async fn a_server_that_never_stops_talking_is_cut_off() {
    for step in [Step::Greeting, Step::Mail, Step::End] {
        let server = SmtpServer::start(Tls::Offered).await;
        server.misbehave(step, Fault::Endless);
        let error = refused(&server, Encryption::StartTls).await;
        assert!(error.text.contains("too much") || error.text.contains("too long"), "{step:?}: {error}");
        assert_eq!(error.kind, MailErrorKind::Unknown);
    }
}

#[tokio::test]
async fn a_tenants_server_is_not_reached_where_it_must_not_be() {
    let server = SmtpServer::start(Tls::None).await;
    let port = server.as_server(Encryption::Plain).port;
    for host in ["localhost", "127.0.0.1", "::1", "169.254.169.254", "10.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0"] {
        let chosen = MailServer {
            host: host.to_owned(),
            port,
            chosen_by_tenant: true,
            ..server.as_server(Encryption::StartTlsIfOffered)
        };
        let error = mailer(&server, &[]).send(&chosen, &mail()).await.unwrap_err();
        assert_eq!((error.kind, error.kind.is_transient()), (MailErrorKind::HostNotAllowed, false), "{host}: {error}");
        assert!(!error.text.contains("127.0.0.1"), "{error}");
    }
    assert_eq!(server.received().len(), 0);
    let chosen = MailServer { chosen_by_tenant: true, ..server.as_server(Encryption::StartTlsIfOffered) };
    mailer(&server, &["127.0.0.0/8".parse().unwrap()]).send(&chosen, &mail()).await.unwrap();
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn an_unknown_host_is_said_to_be_unknown() {
    let server = SmtpServer::start(Tls::None).await;
    let nowhere = MailServer { host: "nowhere.invalid".to_owned(), ..server.as_server(Encryption::Plain) };
    let error = mailer(&server, &[]).send(&nowhere, &mail()).await.unwrap_err();
    // Without a name server at hand the answer is that nobody can tell, which is worth another try.
    assert!(matches!(error.kind, MailErrorKind::HostNotFound | MailErrorKind::HostLookupFailed), "{error}");
}
