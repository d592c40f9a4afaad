//! Amounts of money: whole numbers of the smallest unit of their currency, never fractions of a larger one.

use std::{fmt, str::FromStr};

/// More than anybody pays at once, and what Stripe takes at most: eight digits.
const MAX_MINOR: i64 = 99_999_999;

/// A currency that prices can be in. Only [`Currency::Usd`] is ever charged (wire: payments §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Currency {
    /// US dollar.
    Usd,
    /// Euro.
    Eur,
    /// Pound sterling.
    Gbp,
    /// Yen, which has no smaller unit.
    Jpy,
    /// Indian rupee.
    Inr,
    /// Australian dollar.
    Aud,
    /// Canadian dollar.
    Cad,
}

impl Currency {
    /// All of them, in the order of the contract.
    pub const ALL: &[Self] = &[Self::Usd, Self::Eur, Self::Gbp, Self::Jpy, Self::Inr, Self::Aud, Self::Cad];

    /// Its code (ISO 4217).
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Eur => "EUR",
            Self::Gbp => "GBP",
            Self::Jpy => "JPY",
            Self::Inr => "INR",
            Self::Aud => "AUD",
            Self::Cad => "CAD",
        }
    }

    /// How many digits stand behind the point.
    #[must_use]
    pub fn decimals(self) -> usize {
        if self == Self::Jpy { 0 } else { 2 }
    }

    /// The amount in `text`, in minor units: digits without leading zeros, perhaps a point and no more digits than the
    /// currency has (wire: payments §1).
    #[must_use]
    pub fn parse(self, text: &str) -> Option<i64> {
        let (whole, part) = text.split_once('.').map_or((text, None), |(whole, part)| (whole, Some(part)));
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        let part = part.unwrap_or("");
        if text.contains('.') && !is_number(part) || part.len() > self.decimals() {
            return None;
        }
        format!("{whole}{part:0<width$}", width = self.decimals()).parse().ok()
    }

    /// The amount as the contract writes it: without zeros behind the point that say nothing.
    #[must_use]
    pub fn text(self, minor: i64) -> String {
        let text = self.full_text(minor);
        if self.decimals() == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
    }

    /// The amount with all digits of the currency, after its code: `USD 5.00`, `JPY 500`.
    #[must_use]
    pub fn told(self, minor: i64) -> String {
        format!("{self} {}", self.full_text(minor))
    }

    fn full_text(self, minor: i64) -> String {
        let sign = if minor < 0 { "-" } else { "" };
        match self.decimals() {
            0 => minor.to_string(),
            decimals => {
                let digits = format!("{:0>width$}", minor.unsigned_abs(), width = decimals + 1);
                let (whole, part) = digits.split_at(digits.len() - decimals);
                format!("{sign}{whole}.{part}")
            }
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Currency {
    type Err = ();

    /// In either case.
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|currency| currency.code().eq_ignore_ascii_case(text)).ok_or(())
    }
}

/// What Stripe told of an amount, for people: also in currencies in which nothing is sold here.
#[must_use]
pub fn told(currency: &str, minor: i64) -> String {
    match currency.parse::<Currency>() {
        Ok(currency) => currency.told(minor),
        Err(()) => format!("{} {minor} (minor units)", currency.to_ascii_uppercase()),
    }
}

/// What so many pieces cost; none when that is more than can be charged.
#[must_use]
pub fn times(minor: i64, quantity: i64) -> Option<i64> {
    minor.checked_mul(quantity).filter(|amount| (0..=MAX_MINOR).contains(amount))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_by_the_units_of_their_currency() {
        let usd = [("0", 0), ("5", 500), ("5.5", 550), ("19.99", 1999), ("0.05", 5), ("1000000", 100_000_000)];
        for (text, minor) in usd {
            assert_eq!(Currency::Usd.parse(text), Some(minor), "{text}");
        }
        assert_eq!((Currency::Jpy.parse("500"), Currency::Jpy.parse("500.0")), (Some(500), None));
        for text in ["", "-1", "+1", "01", "1.", ".5", "1.234", "1,5", "1e3", " 1", "٣", "99999999999999999999"] {
            assert_eq!(Currency::Usd.parse(text), None, "{text}");
        }
    }

    #[test]
    fn amounts_are_told_with_the_digits_of_their_currency() {
        assert_eq!(Currency::Usd.told(500), "USD 5.00");
        assert_eq!(Currency::Usd.told(-5), "USD -0.05");
        assert_eq!(Currency::Jpy.told(500), "JPY 500");
        assert_eq!(
            (Currency::Usd.text(500), Currency::Usd.text(550), Currency::Jpy.text(500)),
            ("5".into(), "5.5".into(), "500".into())
        );
        assert_eq!(told("eur", 1234), "EUR 12.34");
        assert_eq!(told("chf", 1234), "CHF 1234 (minor units)");
    }

    #[test]
    fn what_nobody_can_pay_is_no_amount() {
        assert_eq!(times(1999, 3), Some(5997));
        assert_eq!((times(1999, i64::MAX), times(99_999_999, 2), times(1, -1)), (None, None, None));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(minor in 0..=MAX_MINOR, index in 0..Currency::ALL.len()) {
            let currency = Currency::ALL[index];
            prop_assert_eq!(currency.parse(&currency.text(minor)), Some(minor));
        }
    }
}
