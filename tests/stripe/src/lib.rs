//! A Stripe API of one's own: a real HTTP server with objects in memory, for tests, drills and benchmarks. It speaks the wire
//! format of the API version that the client of `outside/stripe` asks for.
//!
//! What customers, banks and months do is a method here ([`FakeStripe::pay_intent`], [`FakeStripe::renew`], …); each also
//! appends the events that Stripe would post. The fake posts nothing itself: whoever wants a webhook takes the events
//! ([`FakeStripe::take_events`]), signs them ([`sign`]) and posts them.
//!
//! Every method is a POST to `/_control/{name}` too, with its arguments as a JSON object ([`FakeStripe::control`]); the program
//! `fake-stripe` serves both on a port of one's choice.
//!
//! What customers do, call by call, with what must come of it, is told once for whoever tests a server with it ([`stories`]).
//!
//! To add a call: its objects' module in `objects`, and a line in `routes`. To add a deed: a function in `deeds`, a method here
//! or in `handle`, and a line in `control`.

// Some objects of Stripe have more fields than `json!` takes without it.
#![recursion_limit = "256"]

mod calendar;
mod control;
mod deeds;
mod expand;
mod form;
mod handle;
mod list;
mod objects;
mod params;
mod problem;
mod routes;
mod server;
mod sign;
mod state;
pub mod stories;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use server::Serving;
use state::State;
use tokio::net::TcpListener;

pub use self::{
    objects::payment::Card,
    problem::Problem,
    server::{Fault, LoggedRequest},
    sign::sign,
};

/// The key that it takes.
const SECRET_KEY: &str = "sk_test_fake";

/// A running server; gone when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct FakeStripe {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// None in the server's own clones, which must not keep it alive.
    _serving: Option<Arc<Serving>>,
}

impl FakeStripe {
    /// One on a free port of this machine.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start() -> io::Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// One on this address.
    ///
    /// # Errors
    /// The address is taken.
    pub async fn start_on(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let own = Self { address: listener.local_addr()?, state: Arc::default(), _serving: None };
        let serving = Serving(tokio::spawn(server::serve(listener, own.clone())));
        Ok(Self { _serving: Some(Arc::new(serving)), ..own })
    }

    /// Where it is, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The key that it takes.
    #[must_use]
    pub const fn secret_key(&self) -> &'static str {
        SECRET_KEY
    }

    /// Everything it knows. A test that panicked leaves it as good as before.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
