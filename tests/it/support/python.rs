//! Programs in Python, which `scripts/test` installs.

use std::path::{Path, PathBuf};

use tokio::process::Command;

/// The Python that has them; none when the tests are run without `scripts/test`, which always sets it.
pub(crate) fn python() -> Option<PathBuf> {
    std::env::var_os("POSTERN_TEST_PYTHON").map(PathBuf::from)
}

/// A file of `tests/python`.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name)
}

/// What it prints; it must succeed.
pub(crate) async fn run(command: &mut Command) -> String {
    let output = command.output().await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    out.into_owned()
}
