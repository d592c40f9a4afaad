//! Reading a file line by line, whatever is in it, with a bound on what is held.

use std::io::{self, BufRead, Read};

use postern_domain::{
    Failure,
    users::transfer::{LINES_AT_A_TIME, MAX_LINE_BYTES},
};

/// A line that is not blank.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    /// Counted from 1, blank ones too.
    pub(super) number: u64,
    /// Without its end, or why it cannot be read.
    pub(super) text: Result<String, Failure>,
}

/// The lines of a file.
pub(super) struct Lines<R> {
    file: R,
    number: u64,
    bytes: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(file: R) -> Self {
        Self { file, number: 0, bytes: 0 }
    }

    /// How much of the file has been read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Some lines, none at the end: few enough for one round of the import, and together hardly longer than the longest line.
    pub(super) fn next_batch(&mut self) -> io::Result<Vec<Line>> {
        let (mut batch, mut held) = (Vec::new(), 0);
        while batch.len() < LINES_AT_A_TIME && held < MAX_LINE_BYTES {
            let Some(line) = self.next_line()? else { break };
            held += line.text.as_ref().map_or(0, String::len);
            if line.text.as_ref().map_or(true, |text| !text.trim().is_empty()) {
                batch.push(line);
            }
        }
        Ok(batch)
    }

    fn next_line(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(MAX_LINE_BYTES).unwrap_or(u64::MAX).saturating_add(2);
        let read = self.file.by_ref().take(limit).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(None);
        }
        (self.number, self.bytes) = (self.number + 1, self.bytes + u64::try_from(read).unwrap_or_default());
        let is_whole = bytes.last() == Some(&b'\n');
        while matches!(bytes.last(), Some(b'\n' | b'\r')) {
            bytes.pop();
        }
        let number = self.number;
        if bytes.len() > MAX_LINE_BYTES {
            if !is_whole {
                self.bytes += u64::try_from(self.file.skip_until(b'\n')?).unwrap_or_default();
            }
            let failure = Failure::schema(format!("the line is longer than {MAX_LINE_BYTES} bytes"));
            return Ok(Some(Line { number, text: Err(failure) }));
        }
        let text = String::from_utf8(bytes).map_err(|_| Failure::schema("the line is not UTF-8"));
        Ok(Some(Line { number, text }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(file: &[u8]) -> (Vec<Vec<Line>>, u64) {
        let mut lines = Lines::new(file);
        let mut batches = Vec::new();
        loop {
            let batch = lines.next_batch().unwrap();
            if batch.is_empty() {
                return (batches, lines.bytes());
            }
            batches.push(batch);
        }
    }

    fn good(number: u64, text: &str) -> Line {
        Line { number, text: Ok(text.to_owned()) }
    }

    #[test]
    fn lines_are_numbered_and_blank_ones_left_out() {
        let file = b"a\r\n\n  \nb\n\xff\nc";
        let (mut batches, bytes) = all(file);
        let batch = batches.pop().unwrap();
        assert_eq!((batches.len(), bytes), (0, 12));
        let failure = Failure::schema("the line is not UTF-8");
        assert_eq!(batch, [good(1, "a"), good(4, "b"), Line { number: 5, text: Err(failure) }, good(6, "c")]);
        assert_eq!(all(b""), (Vec::new(), 0));
        // A whole round of nothing but blank lines is not the end.
        let blank = [vec![b'\n'; 1000], b"a".to_vec()].concat();
        assert_eq!(all(&blank).0, [[good(1001, "a")]]);
    }

    #[test]
    fn a_line_that_is_too_long_is_one_failure() {
        for length in [MAX_LINE_BYTES + 1, MAX_LINE_BYTES + 2, 3 * MAX_LINE_BYTES] {
            for end in ["\n", "\r\n"] {
                let file = [vec![b'x'; length], end.as_bytes().to_vec(), b"a\n".to_vec()].concat();
                let (batches, bytes) = all(&file);
                let lines: Vec<_> = batches.into_iter().flatten().collect();
                assert_eq!(bytes, u64::try_from(file.len()).unwrap());
                assert!(lines[0].text.is_err());
                assert_eq!(lines[1..], [good(2, "a")]);
            }
        }
        let longest = "x".repeat(MAX_LINE_BYTES);
        let file = format!("{longest}\r\n{longest}\n{longest}");
        let batches = all(file.as_bytes()).0;
        assert_eq!(batches, [[good(1, &longest)], [good(2, &longest)], [good(3, &longest)]]);
    }

    #[test]
    fn rounds_are_bounded() {
        let batches = all("a\n".repeat(LINES_AT_A_TIME * 2 + 1).as_bytes()).0;
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [LINES_AT_A_TIME, LINES_AT_A_TIME, 1]);
    }
}
