//! The OpenAPI document as its readers see it: a validator, and schemathesis, which makes requests of it and looks for
//! answers that no document allows. Both are Python programs, which `scripts/test` installs.

use std::path::Path;

use tokio::process::Command;

use crate::support::{
    App,
    python::{python, run},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_finds_nothing_wrong() {
    let Some(python) = python() else { return };
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    run(Command::new(python).args(["-m", "openapi_spec_validator"]).arg(document)).await;
}

/// What is held against each answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

#[tokio::test(flavor = "multi_thread")]
async fn no_request_that_fits_or_nearly_fits_is_answered_by_a_fault() {
    let Some(python) = python() else { return };
    let app = App::builder().set("POSTERN_RATE_LIMITS", "off").start().await;
    let home = tempfile::tempdir().unwrap();
    for (level, header, key) in [
        ("client", "publishable-client-key", &app.demo.client),
        ("server", "secret-server-key", &app.demo.server),
        ("admin", "super-secret-admin-key", &app.demo.admin),
    ] {
        let told = run(Command::new(python.with_file_name("schemathesis"))
            .current_dir(home.path())
            .args(["run", &format!("{}/openapi.json", app.url), "--url", &app.url])
            .args(["-H", &format!("x-stack-project-id: {}", app.demo.project_id)])
            .args(["-H", &format!("x-stack-access-type: {level}")])
            .args(["-H", &format!("x-stack-{header}: {key}")])
            .args(["--checks", CHECKS, "--phases", "coverage,fuzzing", "--max-examples", "5"])
            // One worker: with more, hypothesis and the syntax trees of Python 3.11 fall over each other (CPython issue 106905).
            .args(["--seed", "1", "--workers", "1", "--suppress-health-check", "all"])
            // Deleting the project would be the last thing it did.
            .args(["--exclude-path-regex", "internal/projects/current$"]))
        .await;
        assert!(told.contains("generated, ") && told.contains("passed"), "{told}");
    }
    app.stop().await;
}
