//! Reads named values, and remembers all that is wrong with them.

use std::{collections::BTreeMap, net::IpAddr, ops::RangeInclusive, str::FromStr};

use ipnet::IpNet;

use super::Role;

/// Named values on their way to settings.
pub(super) struct Reader {
    pub(super) values: BTreeMap<String, String>,
    pub(super) role: Role,
    /// Everything that is missing or wrong, for the person who set it.
    pub(super) wrong: Vec<String>,
}

impl Reader {
    /// The value, unless it is empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    pub(super) fn parsed<T: FromStr>(&mut self, name: &str, default: &str, what: &str) -> Option<T> {
        let value = self.text(name).unwrap_or_else(|| default.to_owned()).parse().ok();
        if value.is_none() {
            self.wrong.push(format!("{name} must be {what}"));
        }
        value
    }

    pub(super) fn within(&mut self, name: &str, default: &str, range: RangeInclusive<i64>, what: &str) -> Option<i64> {
        let what = format!("{what} from {} to {}", range.start(), range.end());
        let number = self.parsed(name, default, &what)?;
        if !range.contains(&number) {
            self.wrong.push(format!("{name} must be {what}"));
            return None;
        }
        Some(number)
    }

    pub(super) fn switch(&mut self, name: &str, default: bool) -> bool {
        match self.text(name).as_deref() {
            None => default,
            Some("1" | "on" | "true") => true,
            Some("0" | "off" | "false") => false,
            Some(_) => {
                self.wrong.push(format!("{name} must be on or off"));
                default
            }
        }
    }

    pub(super) fn subnets(&mut self, name: &str) -> Vec<IpNet> {
        let Some(text) = self.text(name) else { return Vec::new() };
        let mut nets = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.parse::<IpNet>().or_else(|_| part.parse::<IpAddr>().map(IpNet::from)) {
                Ok(net) => nets.push(net),
                Err(_) => self.wrong.push(format!("{name}: {part} is no network, as 10.0.0.0/8")),
            }
        }
        nets
    }
}
