//! What the purchase page says of an offer: prices and periods in words, what comes with it, and where the page may lead.

use minijinja::{Value, context};
use postern_domain::payments::{
    checkout::Offer,
    money::Currency,
    product::{Period, Price, Repeat, Unit},
};
use url::Url;

use super::Choice;

/// What fills the blocks of the plain page.
pub(super) const TEMPLATE: &str = include_str!("../purchase.html");

/// Sentences in front of the form, or in place of it.
pub(super) fn paragraphs(offer: &Offer) -> Vec<String> {
    if offer.is_owned {
        return vec!["You have this already. There is nothing to pay, and you can close this page.".to_owned()];
    }
    let mut paragraphs: Vec<_> =
        offer.conflicts.iter().map(|(_, name)| format!("This replaces your present {name}.")).collect();
    if prices(offer).next().is_none() {
        paragraphs.push("It has no price that can be paid here. Please tell the seller.".to_owned());
    }
    paragraphs
}

/// The prices that can be paid: only dollars are charged, so others are not shown, whatever they would be.
fn prices(offer: &Offer) -> impl Iterator<Item = (&str, &Price, i64)> {
    offer.product.prices.iter().filter_map(|(id, price)| Some((id.as_str(), price, price.cents()?)))
}

/// What the template calls `more`.
pub(super) fn shown(offer: &Offer, choice: &Choice, alert: Option<&str>, logo: Option<&str>) -> Value {
    let chosen = choice.price_id.as_deref().filter(|chosen| prices(offer).any(|(id, ..)| id == *chosen));
    let chosen = chosen.or_else(|| prices(offer).next().map(|(id, ..)| id));
    let prices = prices(offer).filter(|_| !offer.is_owned).map(|(id, price, cents)| {
        context! {
            id, amount => Currency::Usd.told(cents),
            period => price.interval.map_or_else(|| "once".to_owned(), every),
            trial => price.free_trial.filter(|trial| trial.0 > 0 && price.interval.is_some()).map(first_free),
            is_chosen => chosen == Some(id),
        }
    });
    let quantity: i64 = choice.quantity.as_deref().and_then(|text| text.trim().parse().ok()).unwrap_or(1);
    context! {
        logo, alert, quantity,
        includes => includes(offer),
        prices => prices.collect::<Vec<_>>(),
        is_stackable => offer.product.stackable,
        can_pay => offer.charges_enabled,
        test_mode => offer.test_mode,
    }
}

fn includes(offer: &Offer) -> Vec<String> {
    let items = offer.product.included_items.iter().filter(|(_, item)| item.quantity > 0);
    let lines = items.map(|(id, item)| {
        let name = offer.item_names.get(id).unwrap_or(id);
        let again = match item.repeat {
            Repeat::Every(period) if period.0 > 0 => format!(", again {}", every(period)),
            Repeat::Every(_) | Repeat::Never(_) => String::new(),
        };
        format!("{} × {name}{again}", item.quantity)
    });
    lines.collect()
}

/// `every month`, `every 3 months`.
fn every(period: Period) -> String {
    format!("every {}", length(period))
}

/// `first month free`, `first 14 days free`.
fn first_free(period: Period) -> String {
    format!("first {} free", length(period))
}

fn length(Period(count, unit): Period) -> String {
    let unit = match unit {
        Unit::Day => "day",
        Unit::Week => "week",
        Unit::Month => "month",
        Unit::Year => "year",
    };
    if count == 1 { unit.to_owned() } else { format!("{count} {unit}s") }
}

/// The logo, and from where it comes as a content security policy names it. One that no policy can name is not shown.
pub(super) fn logo(offer: &Offer) -> Option<(Url, String)> {
    let url = Url::parse(offer.logo_url.as_deref()?).ok()?;
    if !matches!(url.scheme(), "https" | "http" | "data") {
        return None;
    }
    let source = source(&url)?;
    Some((url, source))
}

/// Where the form may lead besides this origin.
///
/// Browsers that check the answer to a form as well refuse a 303 to what the policy of the page does not name, and where
/// Stripe's page will be is known only once it is opened: at `checkout.stripe.com`, or at a domain of the seller's own. So
/// any `https:` will do. Nothing is lost by it: the policy runs no script and the template escapes all that is put into it,
/// so there is no other form than ours, which holds no more than a price and a quantity. The place to return to, which the
/// project trusts, may be an application's own scheme, or plain HTTP while it is being made; and so may be whatever plays
/// Stripe on this machine.
pub(super) fn form_targets(return_url: Option<&Url>, is_local: bool) -> String {
    let mut targets = vec!["https:".to_owned()];
    if is_local {
        targets.extend(["http://localhost:*".to_owned(), "http://127.0.0.1:*".to_owned()]);
    }
    targets.extend(return_url.filter(|url| url.scheme() != "https").and_then(source));
    targets.join(" ")
}

/// The origin of a URL, or its scheme where it has none. A host may hold characters that would end the policy's directive
/// and begin another one: those name nothing.
fn source(url: &Url) -> Option<String> {
    let source = match url.scheme() {
        "http" | "https" => url.origin().ascii_serialization(),
        scheme => format!("{scheme}:"),
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:/[]+_".contains(&byte);
    source.bytes().all(is_plain).then_some(source)
}

#[cfg(test)]
mod tests;
