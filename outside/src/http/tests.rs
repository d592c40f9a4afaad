use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::address::{Lookup, tests::Scripted};

const LOOPBACK: &str = "127.0.0.0/8";

/// A listener that answers each connection by `answer`; counts them.
async fn listen<F, Fut>(answer: F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(answer(stream));
        }
    });
    (address, connections)
}

/// Reads one request up to the end of its body and answers it.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        if read == 0 {
            return String::new();
        }
        seen.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&seen).into_owned();
        if text.contains("\r\n\r\n") && text.ends_with("{}") {
            return text;
        }
    }
}

fn client(allowed: &[&str]) -> OutgoingHttp {
    let allowed: Vec<_> = allowed.iter().map(|network| network.parse().unwrap()).collect();
    OutgoingHttp::new(Addresses::new(&allowed)).unwrap()
}

fn client_with(lookup: Arc<dyn Lookup>) -> OutgoingHttp {
    OutgoingHttp::new(Addresses::with_lookup(&[LOOPBACK.parse().unwrap()], lookup)).unwrap()
}

fn request(url: &str) -> OutgoingRequest {
    OutgoingRequest {
        method: Method::Post,
        url: url.parse().unwrap(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: Bytes::from_static(b"{}"),
        timeout: Duration::from_secs(5),
        max_response_bytes: 1000,
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn posts_the_exact_bytes_and_keeps_the_connection() {
    let (address, connections) = listen(|mut stream| async move {
        loop {
            let text = read_request(&mut stream).await;
            if text.is_empty() {
                return;
            }
            assert!(text.starts_with("POST /hook?a=1 HTTP/1.1\r\n"), "{text}");
            assert!(text.contains("content-type: application/json\r\n"), "{text}");
            assert!(!text.to_lowercase().contains("accept-encoding"), "{text}");
            stream.write_all(ok("thanks").as_bytes()).await.unwrap();
        }
    })
    .await;
    let client = client(&[LOOPBACK]);
    for _ in 0..3 {
        let answer = client.send(request(&format!("http://{address}/hook?a=1"))).await.unwrap();
        assert_eq!((answer.status, answer.body.as_ref()), (200, b"thanks".as_slice()));
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn private_addresses_are_refused_however_they_are_written() {
    let (address, connections) = listen(|_| async {}).await;
    let client = client(&[]);
    let port = address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00::1]",
    ] {
        let refused = client.send(request(&format!("http://{host}:{port}/"))).await;
        assert!(matches!(refused, Err(HttpError::Forbidden(_))), "{host}: {refused:?}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_meaning_is_asked_once_per_connection_and_refused_the_next_time() {
    let (address, connections) = listen(|mut stream| async move {
        read_request(&mut stream).await;
        // Closed after the answer, so that the next call must connect anew.
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    })
    .await;
    let lookup = Scripted::new(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let client = client_with(lookup.clone());
    let url = format!("http://rebinding.test:{}/", address.port());
    assert_eq!(client.send(request(&url)).await.unwrap().status, 200);
    assert_eq!(*lookup.asked.lock().unwrap(), 1);
    let refused = client.send(request(&url)).await;
    assert_eq!(
        refused,
        Err(HttpError::Forbidden("the host has a link-local address, which outgoing calls may not reach".to_owned()))
    );
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn redirects_are_answers_and_not_followed() {
    let (inner, inner_connections) = listen(|_| async {}).await;
    let (address, _) = listen(move |mut stream| async move {
        read_request(&mut stream).await;
        let answer = format!("HTTP/1.1 301 Moved\r\nlocation: http://{inner}/\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let answer = client(&[LOOPBACK]).send(request(&format!("http://{address}/"))).await.unwrap();
    assert_eq!(answer.status, 301);
    assert!(answer.headers.iter().any(|(name, _)| name == "location"));
    assert_eq!(inner_connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_receiver_that_drips_is_cut_off_in_time() {
    for head in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"] {
        let (address, _) = listen(move |mut stream| async move {
            read_request(&mut stream).await;
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let mut request = request(&format!("http://{address}/"));
        request.timeout = Duration::from_millis(300);
        let started = Instant::now();
        let outcome = client(&[LOOPBACK]).send(request).await;
        assert!(outcome.is_err(), "{outcome:?}");
        assert!(started.elapsed() < Duration::from_secs(3));
        if !head.is_empty() {
            assert_eq!(outcome, Err(HttpError::Timeout));
        }
    }
}

#[tokio::test]
async fn a_receiver_that_says_nothing_times_out() {
    let (address, _) = listen(|stream| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(stream);
    })
    .await;
    let mut request = request(&format!("http://{address}/"));
    request.timeout = Duration::from_millis(200);
    assert_eq!(client(&[LOOPBACK]).send(request).await, Err(HttpError::Timeout));
}

#[tokio::test]
async fn only_the_asked_part_of_an_endless_body_is_kept_and_the_rest_is_not_read() {
    let (address, _) = listen(|mut stream| async move {
        read_request(&mut stream).await;
        let head = "HTTP/1.1 500 Broken\r\ncontent-length: 1000000000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        while stream.write_all(&[b'x'; 65536]).await.is_ok() {}
    })
    .await;
    let answer = client(&[LOOPBACK]).send(request(&format!("http://{address}/"))).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (500, 1000));
}

#[tokio::test]
async fn compressed_bodies_are_not_unpacked() {
    let (address, _) = listen(|mut stream| async move {
        read_request(&mut stream).await;
        let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n";
        stream.write_all(&[head.as_bytes(), &[0x1f, 0x8b, 0x08, 0x00]].concat()).await.unwrap();
    })
    .await;
    let answer = client(&[LOOPBACK]).send(request(&format!("http://{address}/"))).await.unwrap();
    assert_eq!(answer.body.as_ref(), [0x1f, 0x8b, 0x08, 0x00]);
}

#[tokio::test]
async fn broken_answers_and_missing_receivers_are_connection_failures() {
    let (closing, _) = listen(|mut stream| async move {
        read_request(&mut stream).await;
    })
    .await;
    let (garbage, _) = listen(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"this is not HTTP\r\n\r\n").await.unwrap();
    })
    .await;
    let (cut, _) = listen(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort").await.unwrap();
    })
    .await;
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let client = client(&[LOOPBACK]);
    let (no_tls, _) = listen(|mut stream| async move {
        stream.write_all(b"220 mail server ready\r\n").await.unwrap();
    })
    .await;
    let plain_behind_tls = format!("https://{no_tls}/");
    let urls = [closing, garbage, cut, nobody].map(|address| format!("http://{address}/"));
    for url in urls.iter().chain([&plain_behind_tls]) {
        let outcome = client.send(request(url)).await;
        let Err(HttpError::Connection(text)) = outcome else { panic!("{url}: {outcome:?}") };
        assert!(!text.contains("127.0.0.1"), "{text}");
    }
}

#[tokio::test]
async fn an_unknown_name_is_a_connection_failure() {
    let outcome = client_with(Scripted::new(&[])).send(request("http://nowhere.test/")).await;
    assert!(matches!(outcome, Err(HttpError::Connection(_))), "{outcome:?}");
}

#[tokio::test]
async fn other_schemes_credentials_and_unsendable_headers_are_refused() {
    let client = client(&[LOOPBACK]);
    for url in ["ftp://example.com/", "http://user:word@example.com/", "file:///etc/passwd"] {
        assert!(matches!(client.send(request(url)).await, Err(HttpError::Forbidden(_))), "{url}");
    }
    for (name, value) in [("x bad", "1"), ("x-ok", "a\r\nb: c")] {
        let mut request = request("http://127.0.0.1:9/");
        request.headers.push((name.to_owned(), value.to_owned()));
        assert!(matches!(client.send(request).await, Err(HttpError::Forbidden(_))), "{name}");
    }
}
