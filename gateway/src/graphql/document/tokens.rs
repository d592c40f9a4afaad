//! Counts the tokens of a document before anything is built from it, so that a huge one costs next to nothing.
//! Only counts: whether the tokens make sense is the parser's business.

/// The number of tokens (GraphQL specification, section "Lexical Tokens"), counted up to `limit + 1`.
pub(super) fn count(source: &str, limit: usize) -> usize {
    let mut rest = source.as_bytes();
    let mut tokens = 0;
    while let Some((&first, tail)) = rest.split_first() {
        rest = match first {
            // White space, line ends, commas and the byte order mark separate tokens and are none.
            b' ' | b'\t' | b'\r' | b'\n' | b',' => {
                rest = tail;
                continue;
            }
            0xEF if tail.starts_with(&[0xBB, 0xBF]) => {
                rest = tail.get(2..).unwrap_or_default();
                continue;
            }
            b'#' => {
                rest = after(tail, |byte| byte != b'\n' && byte != b'\r');
                continue;
            }
            b'"' => after_string(tail),
            b'.' => after(tail, |byte| byte == b'.'),
            byte if is_word(byte) || byte == b'-' => {
                after(tail, |byte| is_word(byte) || matches!(byte, b'.' | b'+' | b'-'))
            }
            _ => tail,
        };
        tokens += 1;
        if tokens > limit {
            break;
        }
    }
    tokens
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn after(source: &[u8], belongs: impl Fn(u8) -> bool) -> &[u8] {
    let length = source.iter().position(|&byte| !belongs(byte)).unwrap_or(source.len());
    source.get(length..).unwrap_or_default()
}

/// What follows a string or block string whose first quote was already taken.
fn after_string(source: &[u8]) -> &[u8] {
    let Some(mut rest) = source.strip_prefix(b"\"\"") else {
        let mut rest = source;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = match byte {
                b'\\' => tail.get(1..).unwrap_or_default(),
                b'"' | b'\n' | b'\r' => return tail,
                _ => tail,
            };
        }
        return rest;
    };
    while let Some((_, tail)) = rest.split_first() {
        if let Some(tail) = rest.strip_prefix(b"\\\"\"\"") {
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix(b"\"\"\"") {
            return tail;
        } else {
            rest = tail;
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn tokens_are_counted_as_the_specification_lists_them() {
        for (source, expected) in [
            ("", 0),
            (" ,\n\t\u{feff}# a comment { } \n", 0),
            ("{me{id}}", 6),
            ("query Q($a: Int! = -1.5e+3) { f(a: $a) @skip(if: true) }", 27),
            (r#"{ f(s: "a \" b { } ", t: "") }"#, 11),
            ("{ f(s: \"\"\"a { } \\\"\"\" b \" c\"\"\") }", 8),
            ("{ ...F ... on U { id } }", 10),
        ] {
            assert_eq!(count(source, 1000), expected, "{source}");
        }
    }

    #[test]
    fn an_empty_block_string_does_not_swallow_what_follows() {
        assert_eq!(count("{ f(s: \"\"\"\"\"\") g }", 1000), 9);
    }

    #[test]
    fn counting_stops_just_past_the_limit() {
        assert_eq!(count(&"a ".repeat(100_000), 10), 11);
    }

    #[test]
    fn broken_ends_are_survived() {
        for source in ["\"", "\"\\", "\"\"\"", "\"\"\"\\\"\"", "#", "-", "."] {
            count(source, 10);
        }
    }
}
