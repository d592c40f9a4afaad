//! What became of each line, as lines of JSON: `{"line", "status": "imported" | "present", "id"}`, or
//! `{"line", "status": "failed", "code", "message", "details"}`.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use postern_domain::{Failure, UserId, users::transfer::Imported};
use serde::Serialize;
use serde_json::Value;

use crate::commands::export::private;

/// What became of a line.
pub(super) type Outcome = Result<Imported, Failure>;

/// The file of results, and their sum.
pub(super) struct Results {
    file: BufWriter<File>,
    pub(super) imported: u64,
    pub(super) present: u64,
    pub(super) failed: u64,
}

#[derive(Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Status<'a> {
    Imported {
        id: UserId,
    },
    Present {
        id: UserId,
    },
    Failed {
        code: &'static str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<&'a Value>,
    },
}

#[derive(Serialize)]
struct Row<'a> {
    line: u64,
    #[serde(flatten)]
    status: Status<'a>,
}

impl Results {
    /// An empty file in the place of one of an earlier run.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: BufWriter::new(private(path)?), imported: 0, present: 0, failed: 0 })
    }

    /// Writes what became of some lines, so that it is there whatever happens next.
    pub(super) fn write(&mut self, outcomes: Vec<(u64, Outcome)>) -> io::Result<()> {
        for (line, outcome) in &outcomes {
            let (count, status) = match outcome {
                Ok(Imported::New(id)) => (&mut self.imported, Status::Imported { id: *id }),
                Ok(Imported::Present(id)) => (&mut self.present, Status::Present { id: *id }),
                Err(Failure { code, message, details, .. }) => {
                    let status = Status::Failed { code: code.as_str(), message, details: details.as_ref() };
                    (&mut self.failed, status)
                }
            };
            *count += 1;
            serde_json::to_writer(&mut self.file, &Row { line: *line, status })?;
            self.file.write_all(b"\n")?;
        }
        self.file.flush()
    }
}
