//! A way to a server that a test can cut.

use std::sync::Arc;

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Lets whoever comes through to the server behind it while it is whole. Cut, it drops those who are there and whoever comes.
pub(crate) struct Wire {
    whole: Arc<watch::Sender<bool>>,
}

impl Wire {
    /// A whole one to the server of `url`, and the URL that leads there through it.
    pub(crate) async fn to(url: &str) -> (Self, String) {
        let mut url: url::Url = url.parse().unwrap();
        let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let whole = Arc::new(watch::Sender::new(true));
        let watched = Arc::clone(&whole);
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let (server, mut whole) = (server.clone(), watched.subscribe());
                tokio::spawn(async move {
                    if !*whole.borrow() {
                        return;
                    }
                    let mut far = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = whole.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        (Self { whole }, url.into())
    }

    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
    }
}
