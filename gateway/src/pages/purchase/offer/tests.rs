use std::collections::BTreeMap;

use postern_domain::{
    ProjectId,
    items::CustomerType,
    payments::product::{IncludedItem, ItemExpires, Never, Product},
};

use super::*;
use crate::pages::plain::{More, Plain};

fn price(usd: &str, interval: Option<Period>, free_trial: Option<Period>) -> Price {
    Price { amounts: BTreeMap::from([("USD".to_owned(), usd.to_owned())]), interval, free_trial }
}

fn item(quantity: i64, repeat: Repeat) -> IncludedItem {
    IncludedItem { quantity, repeat, expires: ItemExpires::Never }
}

fn offer(name: &str) -> Offer {
    Offer {
        product: Product {
            display_name: name.to_owned(),
            customer_type: CustomerType::User,
            server_only: false,
            stackable: true,
            prices: BTreeMap::from([
                ("monthly".to_owned(), price("19.99", Some(Period(1, Unit::Month)), Some(Period(14, Unit::Day)))),
                ("once".to_owned(), price("500", None, None)),
                (
                    "euros".to_owned(),
                    Price { amounts: BTreeMap::from([("EUR".to_owned(), "7".to_owned())]), ..Price::default() },
                ),
            ]),
            included_items: BTreeMap::from([
                ("credits".to_owned(), item(100, Repeat::Every(Period(2, Unit::Week)))),
                ("gems".to_owned(), item(3, Repeat::Never(Never::Never))),
                ("nothing".to_owned(), item(0, Repeat::Never(Never::Never))),
            ]),
            client_metadata: None,
            client_read_only_metadata: None,
            server_metadata: None,
        },
        account_id: "acct_1".to_owned(),
        project_id: ProjectId::internal(),
        project_name: name.to_owned(),
        logo_url: Some("https://pictures.example/logo.png".to_owned()),
        is_owned: false,
        item_names: BTreeMap::from([("credits".to_owned(), name.to_owned())]),
        conflicts: vec![("basic".to_owned(), name.to_owned())],
        test_mode: false,
        charges_enabled: true,
    }
}

fn html(offer: &Offer, choice: &Choice, alert: Option<&str>) -> String {
    let paragraphs = paragraphs(offer);
    let paragraphs: Vec<_> = paragraphs.iter().map(String::as_str).collect();
    let logo = logo(offer);
    let more = More {
        source: TEMPLATE,
        with: shown(offer, choice, alert, logo.as_ref().map(|(url, _)| url.as_str())),
        form_targets: String::new(),
        pictures: String::new(),
    };
    let (title, project) = (&offer.product.display_name, &offer.project_name);
    Plain { title, project, paragraphs: &paragraphs, more: Some(more), ..Plain::default() }.html("n").unwrap()
}

#[test]
fn a_page_shows_what_is_sold() {
    let html = html(&offer("Pro"), &Choice::default(), None);
    for part in [
        "<h1>Pro</h1>",
        "USD 19.99",
        "every month",
        "first 14 days free",
        "USD 500.00",
        "once",
        "100 × Pro, again every 2 weeks",
        "3 × gems",
        "This replaces your present Pro.",
        "value=\"pay\"",
        "name=\"quantity\"",
        "https:&#x2f;&#x2f;pictures.example&#x2f;logo.png",
    ] {
        assert!(html.contains(part), "{part} is not in {html}");
    }
    for part in ["euros", "nothing", "value=\"test\"", "role=\"alert\"", "<script"] {
        assert!(!html.contains(part), "{part} is in {html}");
    }
    assert_eq!(html.matches(" checked").count(), 1);
}

#[test]
fn what_is_owned_or_cannot_be_paid_has_no_button() {
    let owned = html(&Offer { is_owned: true, ..offer("Pro") }, &Choice::default(), None);
    assert!(owned.contains("You have this already") && !owned.contains("<form"));
    let early = html(&Offer { charges_enabled: false, test_mode: true, ..offer("Pro") }, &Choice::default(), None);
    assert!(!early.contains("value=\"pay\"") && early.contains("value=\"test\""));
    let mut free = offer("Pro");
    free.product.prices.clear();
    let free = html(&free, &Choice::default(), None);
    assert!(free.contains("no price that can be paid") && !free.contains("<form"));
}

#[test]
fn what_was_chosen_is_chosen_again() {
    let choice = Choice { price_id: Some("once".to_owned()), quantity: Some("3".to_owned()), action: None };
    let html = html(&offer("Pro"), &choice, Some("Too many."));
    assert!(html.contains("role=\"alert\">Too many."), "{html}");
    assert!(html.contains("value=\"once\" required checked") && html.contains("required value=\"3\""), "{html}");
}

#[test]
fn whatever_is_put_into_the_page_is_escaped() {
    let evil = "\"><script>alert(1)</script>";
    let mut offer = offer(evil);
    let prices = std::mem::take(&mut offer.product.prices);
    offer.product.prices = prices.into_iter().map(|(key, price)| (format!("{key}{evil}"), price)).collect();
    offer.logo_url = Some(format!("https://pictures.example/{evil}"));
    let choice = Choice { price_id: Some(evil.to_owned()), quantity: Some(evil.to_owned()), action: None };
    let html = html(&offer, &choice, Some(evil));
    assert!(!html.contains("<script"), "{html}");
    assert!(html.contains("&lt;script&gt;"));
}

#[test]
fn a_form_may_lead_to_stripe_and_back_to_where_the_project_trusts() {
    let targets =
        |url: Option<&str>, is_local| form_targets(url.map(|url| Url::parse(url).unwrap()).as_ref(), is_local);
    assert_eq!(targets(None, false), "https:");
    assert_eq!(targets(Some("https://app.example/x"), false), "https:");
    assert_eq!(targets(Some("http://localhost:3000/x?y"), false), "https: http://localhost:3000");
    assert_eq!(targets(Some("my-app://host/x"), false), "https: my-app:");
    assert_eq!(targets(None, true), "https: http://localhost:* http://127.0.0.1:*");
    // A host that would end the directive is named by nothing.
    assert_eq!(targets(Some("http://a;img-src/x"), false), "https:");
}

#[test]
fn a_logo_comes_from_where_the_policy_says() {
    let source = |url: &str| logo(&Offer { logo_url: Some(url.to_owned()), ..offer("Pro") }).map(|(_, source)| source);
    assert_eq!(source("https://pictures.example:8443/a.png").as_deref(), Some("https://pictures.example:8443"));
    assert_eq!(source("data:image/png;base64,AAAA").as_deref(), Some("data:"));
    assert_eq!(
        (source("javascript:alert(1)"), source("https://a;script-src/b"), source("logo.png")),
        (None, None, None)
    );
}
