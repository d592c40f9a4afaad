//! Against a Stripe that somebody else wrote: localstripe of PyPI, which `scripts/test` installs. It serves what has not changed since
//! the Stripe of 2017, and so says whether that is read as others write it: customers, payments, refunds and events. It knows
//! no connected accounts, no search, no prices made on the spot and no pages, and its subscriptions and invoices are of
//! shapes that Stripe no longer has.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use postern_domain::ports::stripe::{Stripe, StripeError};
use postern_entity::Timestamp;
use postern_outside_stripe::StripeClient;
use serde_json::Value;

use crate::{connected_to, metadata};

/// Nobody but the key and the path is checked there.
const KEY: &str = "sk_test_anybody";
/// It knows none, and takes any.
const ACCOUNT: &str = "acct_1";

/// Serves on a free port, and keeps nothing on disk, where others would find it.
const SERVE: &str = "\
import socket
from aiohttp import web
from localstripe import resources, server
resources.store.dump_to_disk = lambda: None
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
web.run_app(server.app, sock=listener, print=None, access_log=None)
";

/// Pays by a card, as a browser does with Stripe's scripts.
const PAY: &str = "\
import json, sys
import requests
address, key, customer = sys.argv[1:]
paid = requests.post(f'{address}/v1/payment_intents', auth=(key, ''), data={
    'amount': 2500, 'currency': 'usd', 'customer': customer, 'payment_method': 'pm_card_visa', 'confirm': 'true',
    'metadata[purchaseKind]': 'ONE_TIME',
})
paid.raise_for_status()
print(paid.json()['id'])
";

struct Local {
    python: OsString,
    serving: Child,
    address: String,
}

impl Local {
    /// None when the tests are run without `scripts/test`.
    fn start() -> Option<Self> {
        let python = std::env::var_os("POSTERN_TEST_PYTHON")?;
        let mut serving = Command::new(&python).args(["-c", SERVE]).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(serving.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Some(Self { python, serving, address: format!("http://127.0.0.1:{}", port.trim()) })
    }

    fn client(&self) -> StripeClient {
        connected_to(&self.address, KEY)
    }

    fn pay(&self, customer: &str) -> String {
        let paid = Command::new(&self.python).args(["-c", PAY, &self.address, KEY, customer]).output().unwrap();
        assert!(paid.status.success(), "{}", String::from_utf8_lossy(&paid.stderr));
        String::from_utf8(paid.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        drop(self.serving.kill());
        drop(self.serving.wait());
    }
}

#[tokio::test]
async fn another_stripe_is_read_as_ours() {
    let Some(local) = Local::start() else { return };
    let stripe = local.client();
    let says = metadata(&[("customerId", "ü & =?"), ("customerType", "USER")]);
    let made = stripe.create_customer(ACCOUNT, &says, "customer").await.unwrap();
    assert_eq!((&made.metadata, &made.default_payment_method), (&says, &None));
    assert_eq!(stripe.customer(ACCOUNT, &made.id).await.unwrap(), made);
    let missing = stripe.customer(ACCOUNT, "cus_nobody").await.unwrap_err();
    assert!(matches!(missing, StripeError::NotFound(_)), "{missing}");
    assert_eq!(stripe.subscriptions(ACCOUNT, &made.id).await.unwrap(), []);
    assert_eq!(stripe.invoices(ACCOUNT, &made.id, None, 10).await.unwrap().items, []);

    let intent = stripe.payment_intent(ACCOUNT, &local.pay(&made.id)).await.unwrap();
    assert_eq!((&*intent.status, intent.amount, &*intent.currency), ("succeeded", 2500, "usd"));
    assert_eq!((intent.customer_id.as_ref(), &*intent.metadata["purchaseKind"]), (Some(&made.id), "ONE_TIME"));
    let refund = stripe.refund(ACCOUNT, &intent.id, 1000, &metadata(&[("purchaseId", "p1")]), "refund").await.unwrap();
    assert!(refund.starts_with("re_"), "{refund}");

    let told = stripe.events(ACCOUNT, Timestamp(0), None, None).await.unwrap().items;
    let about = |event: &Value| event.pointer("/data/object/id").and_then(Value::as_str).map(str::to_owned);
    let kinds = |id: &str| {
        let of_it = told.iter().filter(|event| about(event).as_deref() == Some(id));
        of_it.map(|event| event["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&made.id), ["customer.created"]);
    assert!(kinds(&intent.id).contains(&"payment_intent.succeeded".to_owned()), "{told:?}");

    // What it does not know it refuses, and that is no reason to ask again.
    let unknown = stripe.create_setup_intent(ACCOUNT, &made.id).await.unwrap_err();
    assert!(matches!(unknown, StripeError::Refused { .. }), "{unknown}");
}
