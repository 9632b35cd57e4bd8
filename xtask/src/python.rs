//! The Python package: building its wheel, its own tests, and those of h5py.

use std::process::Command;

use crate::Failure;
use crate::command::{root, run};
use crate::setup::{PACKAGE, install_for_package};

/// Builds the wheel into an environment of its own, and runs all tests on it.
pub(crate) fn test(filters: &[String]) -> Result<(), Failure> {
    build()?;
    let tests = root().join("python/tests");
    run(python().args(["-m", "pytest", "-q"]).arg(&tests).args(filters))?;
    if filters.is_empty() { run(python().arg(tests.join("h5py_suite.py"))) } else { Ok(()) }
}

/// Builds the wheel and installs it in the package's environment.
pub(crate) fn build() -> Result<(), Failure> {
    install_for_package()?;
    let wheels = root().join("python/target/wheels");
    let manifest = root().join("python/Cargo.toml");
    // Another version of the same wheel would be installed by its name.
    let _ = std::fs::remove_dir_all(&wheels);
    run(python()
        .args(["-m", "maturin", "build", "--release", "--quiet", "--out"])
        .arg(&wheels)
        .arg("-m")
        .arg(manifest))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--force-reinstall", "--no-deps"];
    run(python().args(install).args(["--no-index", "--find-links"]).arg(&wheels).arg("h5live"))
}

/// The package's interpreter, away from the sources, which would be found in place of the wheel.
fn python() -> Command {
    let mut command = Command::new(PACKAGE.python());
    command.current_dir(root().join("xtask")).env("PYTHON", PACKAGE.python());
    command
}
