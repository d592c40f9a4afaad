//! Accounts, which sorts of payment they offer, and what happened in them.

use stripe_connect::{
    account::{
        CreateAccount, CreateAccountCapabilities, CreateAccountCapabilitiesCardPayments,
        CreateAccountCapabilitiesTransfers, CreateAccountController, CreateAccountControllerStripeDashboard,
        CreateAccountControllerStripeDashboardType, ListAccount, RetrieveAccount,
    },
    account_link::{CreateAccountLink, CreateAccountLinkType},
    account_session::{
        AccountConfigParam, CreateAccountSession, CreateAccountSessionComponents,
        CreateAccountSessionComponentsPayments, PayoutsConfigParam,
    },
};
use stripe_core::event::ListEvent;
use stripe_payment::payment_method_configuration::{
    ListPaymentMethodConfiguration, UpdatePaymentMethodConfiguration, UpdatePaymentMethodConfigurationCard,
    UpdatePaymentMethodConfigurationCardDisplayPreference,
    UpdatePaymentMethodConfigurationCardDisplayPreferencePreference, UpdatePaymentMethodConfigurationUsBankAccount,
    UpdatePaymentMethodConfigurationUsBankAccountDisplayPreference,
    UpdatePaymentMethodConfigurationUsBankAccountDisplayPreferencePreference,
};
use stripe_types::{RangeBoundsTs, RangeQueryTs};

use super::*;

#[test]
fn accounts() {
    let controller = CreateAccountController {
        stripe_dashboard: Some(CreateAccountControllerStripeDashboard {
            type_: Some(CreateAccountControllerStripeDashboardType::None),
        }),
        ..CreateAccountController::new()
    };
    let capabilities = CreateAccountCapabilities {
        card_payments: Some(CreateAccountCapabilitiesCardPayments { requested: Some(true) }),
        transfers: Some(CreateAccountCapabilitiesTransfers { requested: Some(true) }),
        ..CreateAccountCapabilities::new()
    };
    let theirs = CreateAccount::new().country("US").controller(controller).capabilities(capabilities);
    for metadata in metadatas() {
        alike(create_account(&metadata), &theirs.clone().metadata(map(&metadata)));
    }
    alike(retrieve_account("acct_1").unwrap(), &RetrieveAccount::new("acct_1"));
    alike(list_account(), &ListAccount::new().limit(1));
}

#[test]
fn what_an_account_is_opened_with() {
    let (back, again) = ("https://example.com/back?a=b&c=d#e", "https://example.com/again?text=ä%20b");
    let theirs = CreateAccountLink::new("acct_1", CreateAccountLinkType::AccountOnboarding);
    alike(create_account_link("acct_1", back, again), &theirs.return_url(back).refresh_url(again));

    let components = CreateAccountSessionComponents {
        account_management: Some(AccountConfigParam::new(true)),
        account_onboarding: Some(AccountConfigParam::new(true)),
        balances: Some(PayoutsConfigParam::new(true)),
        notification_banner: Some(AccountConfigParam::new(true)),
        payments: Some(CreateAccountSessionComponentsPayments::new(true)),
        payouts: Some(PayoutsConfigParam::new(true)),
        ..CreateAccountSessionComponents::new()
    };
    alike(create_account_session("acct_1"), &CreateAccountSession::new("acct_1", components));
}

#[test]
fn sorts_of_payment() {
    use UpdatePaymentMethodConfigurationCardDisplayPreferencePreference::On;
    use UpdatePaymentMethodConfigurationUsBankAccountDisplayPreferencePreference::Off;
    alike(list_payment_method_configuration(), &ListPaymentMethodConfiguration::new().limit(100));

    let card = UpdatePaymentMethodConfigurationCard {
        display_preference: Some(UpdatePaymentMethodConfigurationCardDisplayPreference { preference: Some(On) }),
    };
    let bank = UpdatePaymentMethodConfigurationUsBankAccount {
        display_preference: Some(UpdatePaymentMethodConfigurationUsBankAccountDisplayPreference {
            preference: Some(Off),
        }),
    };
    let updates = BTreeMap::from([("card".to_owned(), true), ("us_bank_account".to_owned(), false)]);
    let ours = update_payment_method_configuration("pmc_1", &updates).unwrap();
    alike(ours, &UpdatePaymentMethodConfiguration::new("pmc_1").card(card).us_bank_account(bank));
}

#[test]
fn events() {
    let since = Timestamp(1_790_000_000_999);
    for until in [None, Some(Timestamp(1_790_000_100_000))] {
        let bounds =
            RangeBoundsTs { gte: Some(1_790_000_000), lt: until.map(|_| 1_790_000_100), ..RangeBoundsTs::default() };
        let theirs = ListEvent::new().created(RangeQueryTs::Bounds(bounds)).limit(100);
        alike(list_event(since, until, None), &theirs);
        alike(list_event(since, until, Some("evt_1")), &theirs.starting_after("evt_1"));
    }
}
