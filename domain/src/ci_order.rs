//! The order that the REST contract lists named things in ("ci-order"): upper-cased texts by code unit; on a tie, lower case
//! comes before upper case. So `$` < digits < `:` < letters < `_`.

use std::cmp::Ordering;

/// Compares two names.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    let upper = |text: &str| text.to_uppercase().encode_utf16().collect::<Vec<_>>();
    // In code units, upper case comes first; the contract wants it last.
    upper(a).cmp(&upper(b)).then_with(|| b.encode_utf16().cmp(a.encode_utf16()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_counts_only_on_a_tie() {
        let mut names = ["_a", "b", "B", "a:b", "aB", "ab", "a1", "$z", ":x", "9"];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(names, ["$z", "9", ":x", "a1", "a:b", "ab", "aB", "b", "B", "_a"]);
    }
}
