//! Receivers behind TLS: the name is checked although the address was chosen beforehand.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use postern_domain::ports::http::{HttpClient, HttpError, Method, OutgoingRequest};
use postern_outside::{
    address::{Addresses, Lookup},
    http::{OutgoingHttp, install_crypto_provider},
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// Every name leads to this machine.
struct Here;

#[async_trait]
impl Lookup for Here {
    async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }
}

fn addresses() -> Addresses {
    Addresses::with_lookup(&["127.0.0.0/8".parse().unwrap()], Arc::new(Here))
}

/// A receiver for `hooks.test` that answers 204; its port, and the authority of its certificate.
async fn receiver() -> (u16, CertificateDer<'static>) {
    install_crypto_provider();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["hooks.test".to_owned()]).unwrap();
    let certificate = cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into();
    let config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = vec![0; 4096];
            if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
                stream.flush().await.unwrap();
            }
        }
    });
    (port, certificate)
}

async fn post(client: &OutgoingHttp, host: &str, port: u16) -> Result<u16, HttpError> {
    let request = OutgoingRequest {
        method: Method::Post,
        url: format!("https://{host}:{port}/").parse().unwrap(),
        headers: Vec::new(),
        body: "{}".into(),
        timeout: Duration::from_secs(10),
        max_response_bytes: 100,
    };
    client.send(request).await.map(|answer| answer.status)
}

#[tokio::test]
async fn a_receiver_with_a_trusted_certificate_of_its_name_is_reached() {
    let (port, authority) = receiver().await;
    let client = OutgoingHttp::trusting(addresses(), &[authority]).unwrap();
    assert_eq!(post(&client, "hooks.test", port).await, Ok(204));
}

#[tokio::test]
async fn certificates_of_other_names_or_unknown_authorities_are_refused() {
    let (port, authority) = receiver().await;
    let trusting = OutgoingHttp::trusting(addresses(), &[authority]).unwrap();
    let refused = post(&trusting, "other.test", port).await;
    assert!(matches!(refused, Err(HttpError::Connection(_))), "{refused:?}");
    let refused = post(&trusting, "127.0.0.1", port).await;
    assert!(matches!(refused, Err(HttpError::Connection(_))), "{refused:?}");
    let system = OutgoingHttp::new(addresses()).unwrap();
    let refused = post(&system, "hooks.test", port).await;
    assert!(matches!(refused, Err(HttpError::Connection(_))), "{refused:?}");
}
