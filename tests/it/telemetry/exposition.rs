//! Scrapes processes, reads the text format of Prometheus (version 0.0.4), and holds it to its rules.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// How long what is waited for may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Label names and values.
pub(super) type Labels = BTreeMap<String, String>;

/// What one scrape told.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    /// Kind by name of the family.
    pub(super) families: BTreeMap<String, String>,
    helped: BTreeSet<String>,
    /// By name, as it stands on the line.
    samples: Vec<(String, Labels, f64)>,
}

impl Exposition {
    /// Scrapes the process with this admin address.
    pub(super) async fn of(admin_url: &str) -> Self {
        let answer = reqwest::get(format!("{admin_url}/metrics")).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        Self::parse(&answer.text().await.unwrap())
    }

    /// Scrapes it until it tells what is `wanted`.
    pub(super) async fn until(admin_url: &str, what: &str, wanted: impl Fn(&Self) -> bool) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = Self::of(admin_url).await;
            if wanted(&found) {
                return found;
            }
            assert!(Instant::now() < deadline, "no {what} in {found:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Reads a whole answer; panics where it breaks a rule.
    fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("no help in {line}"));
                assert!(!help.is_empty() && found.helped.insert(name.to_owned()), "{line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("no kind in {line}"));
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                let before = found.families.insert(name.to_owned(), kind.to_owned());
                assert!(before.is_none(), "the family {name} comes twice");
            } else {
                found.samples.push(sample(line));
            }
        }
        found.check();
        found
    }

    fn check(&self) {
        let mut seen = BTreeSet::new();
        for (name, labels, value) in &self.samples {
            let (family, kind) = self.family(name);
            assert!(self.helped.contains(family), "{family} has no help");
            assert!(seen.insert((name, labels.clone())), "{name}{labels:?} comes twice");
            assert!(kind == "gauge" || *value >= 0.0, "{name}{labels:?} is {value}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
            if name.ends_with("_bucket") && labels.get("le").is_some_and(|le| le == "+Inf") {
                self.check_histogram(family, labels);
            }
        }
    }

    /// Buckets grow, and the last one holds everything.
    fn check_histogram(&self, family: &str, labels: &Labels) {
        let without_le = |labels: &Labels| {
            let mut labels = labels.clone();
            labels.remove("le");
            labels
        };
        let labels = without_le(labels);
        let bucket = format!("{family}_bucket");
        let mut last = (f64::NEG_INFINITY, 0.0);
        for (_, found, value) in
            self.samples.iter().filter(|(name, found, _)| *name == bucket && without_le(found) == labels)
        {
            let bound = if found["le"] == "+Inf" { f64::INFINITY } else { found["le"].parse().unwrap() };
            assert!(bound > last.0 && *value >= last.1, "{family}{labels:?}: {bound} after {last:?}");
            last = (bound, *value);
        }
        let pairs: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(Some(last.1), self.value(&format!("{family}_count"), &pairs));
    }

    fn family(&self, name: &str) -> (&str, &str) {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
            let family = name.strip_suffix(end)?;
            self.families.get_key_value(family).filter(|(_, kind)| *kind == "histogram")
        });
        let (family, kind) =
            histogram.or_else(|| self.families.get_key_value(name)).unwrap_or_else(|| panic!("{name} has no TYPE"));
        (family, kind)
    }

    /// The value of the one series with exactly these labels.
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: Labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.samples.iter().find(|sample| sample.0 == name && sample.1 == labels).map(|sample| sample.2)
    }

    /// The labels of all series.
    pub(super) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.samples.iter().flat_map(|sample| sample.1.iter()).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many series there are.
    pub(super) fn series(&self) -> usize {
        self.samples.len()
    }
}

fn sample(line: &str) -> (String, Labels, f64) {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or_else(|| panic!("{line}"));
    let (name, rest) = line.split_at(end);
    assert!(!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()), "{line}");
    let (labels, value) = match rest.strip_prefix('{') {
        None => (Labels::new(), rest),
        Some(rest) => {
            let (labels, value) = rest.rsplit_once('}').unwrap_or_else(|| panic!("{line}"));
            (read_labels(labels), value)
        }
    };
    let value = value.strip_prefix(' ').unwrap_or_else(|| panic!("{line}"));
    (name.to_owned(), labels, value.parse().unwrap_or_else(|_| panic!("{line}")))
}

/// No label of ours holds a quote, a backslash or a line end, so none is escaped.
fn read_labels(text: &str) -> Labels {
    let mut labels = Labels::new();
    for label in text.split("\",") {
        let (name, value) = label.split_once("=\"").unwrap_or_else(|| panic!("{text}"));
        let value = value.strip_suffix('"').unwrap_or(value);
        assert!(
            !value.contains(['"', '\\']) && !name.contains(|c: char| !(c.is_ascii_lowercase() || c == '_')),
            "{text}"
        );
        assert!(labels.insert(name.to_owned(), value.to_owned()).is_none(), "{text}");
    }
    labels
}
