//! Buying: a URL for one customer and one product, the page that it opens, and what is asked of Stripe when somebody pays
//! (wire: payments §6). What was offered is kept with the URL's code, so that an edit of the config in between sells nothing
//! else.

mod offer;

use postern_entity::{ProjectId, VerificationCodeId};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    choice::{self, ProductChoice},
    grant::{self, Granted, Order},
    money::times,
    product::{MAX_TRIAL_DAYS, Period, Price, Version},
    store,
    stripe::{self, Connected, told},
    switch::{metadata, recurring},
};
use crate::{
    Actor, Code, Deps, Failure, Level,
    db::Tx,
    error::{Error, Result, refuse},
    items::{Customer, CustomerType, require_access, require_exists},
    ports::stripe::{CheckoutOf, Metadata, NewCheckout, NewPaymentIntent, NewSubscription},
    projects,
    random::hash_token,
    sessions::{
        CodeKind, OneTimeCode,
        codes::{self, NewCode},
    },
};

pub use self::offer::{Offer, offer};

/// How long a URL is good for, in seconds.
const URL_SECONDS: i64 = 24 * 60 * 60;
const USD: &str = "usd";
/// By what Stripe's objects name the URL that they were bought at: our addition.
const CODE_ID: &str = "purchaseCodeId";

/// What the code of a purchase URL is bound to.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Bound {
    customer_type: CustomerType,
    customer_id: String,
    version: Version,
    stripe_customer_id: String,
    account_id: String,
    charges_enabled: bool,
}

/// A purchase URL, as the page and the contract's calls name it: the project and the code.
#[derive(Clone, Debug)]
pub struct FullCode {
    project_id: ProjectId,
    code: OneTimeCode,
}

impl FullCode {
    /// # Errors
    /// `VERIFICATION_CODE_NOT_FOUND` for what cannot be one.
    pub fn parse(text: &str) -> Result<Self> {
        let is_id = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let parts = text.rsplit_once('_').filter(|(id, _)| (1..=64).contains(&id.len()) && is_id(id));
        let Some((project_id, code)) = parts else { return refuse(codes::not_found()) };
        let Ok(code) = OneTimeCode::parse(code) else { return refuse(codes::not_found()) };
        Ok(Self { project_id: ProjectId(project_id.to_owned()), code })
    }

    /// Whose it is.
    #[must_use]
    pub fn project_id(&self) -> &ProjectId {
        &self.project_id
    }
}

/// Makes a URL at which a customer can buy a product, for a day.
///
/// # Errors
/// `NEW_PURCHASES_BLOCKED`; those of [`require_access`]; `USER_NOT_FOUND`, `TEAM_NOT_FOUND`; `BAD_REQUEST` when payments are not set up; those
/// of the product checks; `REDIRECT_URL_NOT_WHITELISTED`; `UNAVAILABLE` when Stripe is away.
#[crate::boxed]
pub async fn create_url(
    deps: &Deps,
    actor: &Actor,
    customer: &Customer,
    product: &ProductChoice,
    return_url: Option<&str>,
) -> Result<String> {
    let project_id = &actor.project_id;
    choice::require_open(deps, project_id).await?;
    require_access(deps, actor, customer).await?;
    require_exists(deps, project_id, customer).await?;
    let connected = stripe::require_connected(deps, project_id).await?;
    let version = choice::chosen(deps, actor, customer, product).await?;
    let now = deps.now();
    let open = store::open_of(deps.db.read(), project_id, customer, now).await?;
    choice::check(&version, customer, 1, &open, now)?;
    // Checked before anything is made.
    let config = projects::config(deps, project_id).await?;
    let return_url = return_url.map(|url| projects::trusted_url(&config, url)).transpose()?;
    let account = connected.api.account(&connected.account_id).await.map_err(told)?;
    let bound = &Bound {
        customer_type: customer.kind(),
        customer_id: customer.id().to_owned(),
        version,
        stripe_customer_id: stripe::get_or_make(deps, &connected, project_id, customer).await?,
        account_id: connected.account_id,
        charges_enabled: account.charges_enabled,
    };
    let base = format!("{}/purchase/", deps.settings.public_url.as_str().trim_end_matches('/'));
    deps.mutate(actor, "payments.create_url", |tx| {
        let (base, return_url) = (base.clone(), return_url.clone());
        async move {
            let new = NewCode {
                project_id: project_id.clone(),
                kind: CodeKind::Purchase,
                user_id: None,
                data: serde_json::to_value(bound).map_err(Error::internal)?,
                ttl_seconds: URL_SECONDS,
            };
            let issued = codes::issue(deps, &tx, new).await?;
            let text = format!("{base}{project_id}_{}", issued.code.expose_secret());
            let mut url = url::Url::parse(&text).map_err(Error::internal)?;
            if let Some(return_url) = &return_url {
                url.query_pairs_mut().append_pair("return_url", return_url.as_str());
            }
            Ok(String::from(url))
        }
    })
    .await
}

/// Whether the URL names a project that is there and a place to return to that it trusts; the code is not looked at.
///
/// # Errors
/// `VERIFICATION_CODE_NOT_FOUND`, `REDIRECT_URL_NOT_WHITELISTED`.
#[crate::boxed]
pub async fn check_return(deps: &Deps, code: &FullCode, return_url: Option<&str>) -> Result<Option<url::Url>> {
    if projects::lookup(deps, &code.project_id).await?.is_none() {
        return refuse(codes::not_found());
    }
    let config = projects::config(deps, &code.project_id).await?;
    return_url.map(|url| projects::trusted_url(&config, url)).transpose()
}

impl Bound {
    fn customer(&self) -> Customer {
        Customer::new(self.customer_type, &self.customer_id)
    }
}

async fn look_at(deps: &Deps, code: &FullCode) -> Result<(VerificationCodeId, Bound)> {
    let found = codes::look_at(deps, &code.project_id, CodeKind::Purchase, &code.code).await;
    let used = found.map_err(|error| match error {
        // The contract tells these not apart (wire: payments §6).
        Error::Refused(failure)
            if matches!(failure.code, Code::VerificationCodeExpired | Code::VerificationCodeAlreadyUsed) =>
        {
            Error::Refused(codes::not_found())
        }
        other => other,
    })?;
    Ok((used.id, serde_json::from_value(used.data).map_err(Error::internal)?))
}

/// What somebody chose at a purchase URL, checked.
struct Chosen {
    code_id: VerificationCodeId,
    bound: Bound,
    connected: Connected,
    price: Price,
    cents: i64,
    /// Names the calls: the same choice at the same URL is the same purchase.
    key: String,
    /// What Stripe's object says about what it is for.
    metadata: Metadata,
}

async fn choose(deps: &Deps, code: &FullCode, price_id: &str, quantity: i64) -> Result<Chosen> {
    let project_id = &code.project_id;
    if projects::lookup(deps, project_id).await?.is_none() {
        return refuse(codes::not_found());
    }
    choice::require_open(deps, project_id).await?;
    let (code_id, bound) = look_at(deps, code).await?;
    let connected = stripe::require_connected(deps, project_id).await?;
    let price = bound.version.price(price_id)?.clone();
    let (now, customer) = (deps.now(), bound.customer());
    // Nobody pays for somebody who was deleted since.
    require_exists(deps, project_id, &customer).await?;
    let open = store::open_of(deps.db.read(), project_id, &customer, now).await?;
    choice::check(&bound.version, &customer, quantity, &open, now)?;
    let Some(cents) = price.cents() else {
        return refuse(Failure::bad_request("The price has no amount in US dollars."));
    };
    let Some(total) = times(cents, quantity) else {
        return refuse(Failure::bad_request("That is more than can be charged."));
    };
    if total == 0 && price.interval.is_none() {
        return refuse(Failure::bad_request("There is nothing to pay: let a server grant this product."));
    }
    let version = &bound.version;
    let version_id =
        deps.db.write(|tx| async move { store::keep_version(&tx, project_id, version, now).await }).await?;
    let mut metadata = metadata(version.product_id.as_deref().unwrap_or(""), &version_id, price_id);
    metadata.extend(stripe::metadata(&customer));
    if price.interval.is_none() {
        let more = [
            ("customerType", customer.kind().as_str().to_owned()),
            ("purchaseQuantity", quantity.to_string()),
            ("purchaseKind", stripe::ONE_TIME.to_owned()),
            ("tenancyId", project_id.0.clone()),
        ];
        metadata.extend(more.map(|(key, value)| (key.to_owned(), value)));
    }
    metadata.insert(CODE_ID.to_owned(), code_id.to_string());
    let key = format!("purchase-{code_id}-{price_id}-{quantity}");
    Ok(Chosen { code_id, connected, price, cents, key, metadata, bound })
}

/// Begins a payment by Stripe's own scripts; answers what they need. The URL is used up then. What the customer has in the same line
/// goes on until it is paid and ends then: the contract's reference changes it at once, and so grants what nobody has paid yet.
///
/// # Errors
/// `NEW_PURCHASES_BLOCKED`; those of [`offer`]; `BAD_REQUEST` for a price that is not the product's; those of the product checks; `UNAVAILABLE`
/// when Stripe is away.
#[crate::boxed]
pub async fn begin_session(deps: &Deps, code: &FullCode, price_id: &str, quantity: i64) -> Result<SecretString> {
    let chosen = choose(deps, code, price_id, quantity).await?;
    let (api, account_id) = (&chosen.connected.api, &chosen.connected.account_id);
    let secret = match chosen.price.interval {
        None => {
            let new = NewPaymentIntent {
                amount: times(chosen.cents, quantity).unwrap_or_default(),
                currency: USD.to_owned(),
                customer_id: chosen.bound.stripe_customer_id.clone(),
                metadata: chosen.metadata.clone(),
            };
            api.create_payment_intent(account_id, &new, &chosen.key).await
        }
        Some(interval) => {
            let new = NewSubscription {
                customer_id: chosen.bound.stripe_customer_id.clone(),
                price: chosen.recurring(interval),
                quantity,
                trial_days: chosen.trial_days(),
                metadata: chosen.metadata.clone(),
            };
            api.create_subscription(account_id, &new, &chosen.key).await
        }
    };
    let secret = secret.map_err(told)?;
    // Of several who come with one code, one learns the secret: the others' payments can never be made.
    if !use_up(deps, code, chosen.code_id).await? {
        return refuse(codes::not_found());
    }
    Ok(secret.client_secret.unwrap_or_default())
}

impl Chosen {
    fn recurring(&self, interval: Period) -> crate::ports::stripe::RecurringPrice {
        recurring(&self.bound.version.product.display_name, self.cents, interval.0, interval.1)
    }

    fn trial_days(&self) -> u32 {
        let days = self.price.free_trial.map_or(0, Period::days);
        u32::try_from(days).unwrap_or(MAX_TRIAL_DAYS).min(MAX_TRIAL_DAYS)
    }
}

async fn use_up(deps: &Deps, code: &FullCode, id: VerificationCodeId) -> Result<bool> {
    deps.db.write(|tx| async move { codes::withdraw(deps, &tx, &code.project_id, id).await }).await
}

/// Uses the URL up at which something was bought and paid, if the object of Stripe names one.
pub(super) async fn spend(deps: &Deps, tx: &Tx, project_id: &ProjectId, metadata: &Metadata) -> Result<()> {
    if let Some(id) = metadata.get(CODE_ID).and_then(|id| id.parse().ok()) {
        codes::withdraw(deps, tx, project_id, id).await?;
    }
    Ok(())
}

/// Opens a page of Stripe's own for what was chosen; answers where it is. The URL stays good until it is paid or over, so
/// that whoever turns back can choose again.
///
/// # Errors
/// Those of [`begin_session`].
#[crate::boxed]
pub async fn open_page(
    deps: &Deps,
    code: &FullCode,
    price_id: &str,
    quantity: i64,
    [success_url, cancel_url]: [String; 2],
) -> Result<String> {
    let chosen = choose(deps, code, price_id, quantity).await?;
    let of = match chosen.price.interval {
        None => CheckoutOf::OneTime {
            product_name: chosen.bound.version.product.display_name.clone(),
            unit_amount: chosen.cents,
            currency: USD.to_owned(),
        },
        Some(interval) => {
            CheckoutOf::Subscription { price: chosen.recurring(interval), trial_days: chosen.trial_days() }
        }
    };
    let new = NewCheckout {
        customer_id: chosen.bound.stripe_customer_id.clone(),
        of,
        quantity,
        metadata: chosen.metadata.clone(),
        success_url,
        cancel_url,
    };
    // A key is good for one set of arguments, and where to return to is up to whoever opens the page.
    let urls = hash_token(&format!("{} {}", new.success_url, new.cancel_url));
    let key = format!("{}-page-{}", chosen.key, hex::encode(urls));
    let opened = chosen.connected.api.create_checkout(&chosen.connected.account_id, &new, &key).await.map_err(told)?;
    Ok(opened.url)
}

/// Buys without paying, where the project lets purchases be tried out. The URL is used up then.
///
/// # Errors
/// `FORBIDDEN` when the project is not in test mode; those of [`begin_session`], but for those of Stripe.
#[crate::boxed]
pub async fn try_out(deps: &Deps, code: &FullCode, price_id: &str, quantity: i64) -> Result<Granted> {
    let project_id = &code.project_id;
    if projects::lookup(deps, project_id).await?.is_none() {
        return refuse(codes::not_found());
    }
    if !projects::config(deps, project_id).await?.payments.test_mode {
        return refuse(Failure::forbidden("This project is not in test mode."));
    }
    choice::require_open(deps, project_id).await?;
    let (code_id, bound) = look_at(deps, code).await?;
    let price = bound.version.price(price_id)?.clone();
    let actor = Actor::new(project_id.clone(), Level::Client, None);
    let (bound, price, customer) = (&bound, &price, &bound.customer());
    deps.mutate(&actor, "payments.try_out", |tx| async move {
        // Of two who press the button, one has used it up.
        if !codes::withdraw(deps, &tx, project_id, code_id).await? {
            return refuse(codes::not_found());
        }
        let order = Order {
            version: &bound.version,
            price: Some((price_id.to_owned(), price.clone())),
            quantity,
            source: postern_entity::purchase::PurchaseSource::TestMode,
        };
        grant::grant_in(deps, &tx, project_id, customer, order).await
    })
    .await
}
