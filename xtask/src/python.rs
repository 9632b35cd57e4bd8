//! The Python package: building its wheel, its own tests, those of h5py, and its benchmarks.

use std::env;
use std::ffi::OsString;
use std::process::{Command, Stdio};

use crate::Failure;
use crate::command::{cargo, root, run};
use crate::setup::{PACKAGE, install_for_package};

/// How the package is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Profile {
    /// As it is shipped.
    Release,
    /// As the workspace's tests are, with which most of what is compiled is then shared.
    Development,
}

/// Builds the wheel as it is shipped, and runs all tests on it, or those whose names contain one of the filters.
pub(crate) fn test(filters: &[String]) -> Result<(), Failure> {
    build(Profile::Release)?;
    if filters.is_empty() { judge() } else { run(pytest().args(["-k", &filters.join(" or ")])) }
}

/// Format and clippy.
pub(crate) fn lint() -> Result<(), Failure> {
    let manifest = root().join("python/Cargo.toml");
    run(cargo(&["fmt", "--check", "--manifest-path"]).arg(&manifest))?;
    install_for_package()?;
    let mut clippy = cargo(&["clippy", "--all-targets", "--manifest-path"]);
    clippy.arg(&manifest).args(["--", "-D", "warnings"]);
    run(clippy.env("CARGO_TARGET_DIR", target()).env("PYO3_PYTHON", PACKAGE.python()))
}

/// All tests, on a wheel that takes little time to build.
pub(crate) fn quick_test() -> Result<(), Failure> {
    build(Profile::Development)?;
    judge()
}

/// Measures the wheel as it is shipped beside h5py: all of `python/benches`, or the lines named.
pub(crate) fn bench(names: &[String]) -> Result<(), Failure> {
    build(Profile::Release)?;
    run(python().arg(root().join("python/benches/compare.py")).args(names))
}

/// Builds the wheel and installs it in the package's environment.
fn build(profile: Profile) -> Result<(), Failure> {
    install_for_package()?;
    let wheels = root().join("python/target/wheels");
    // Another version of the same wheel would be installed by its name.
    let _ = std::fs::remove_dir_all(&wheels);
    let mut maturin = python();
    maturin.args(["-m", "maturin", "build", "--quiet", "--out"]).arg(&wheels).arg("-m");
    maturin.arg(root().join("python/Cargo.toml")).env("CARGO_TARGET_DIR", target());
    if profile == Profile::Release {
        maturin.arg("--release");
    }
    run(&mut maturin)?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--force-reinstall", "--no-deps"];
    run(python().args(install).args(["--no-index", "--find-links"]).arg(&wheels).arg("h5live"))
}

/// Runs the package's tests and h5py's own, and says in one line how they ended.
fn judge() -> Result<(), Failure> {
    let own = last_line(&mut pytest())?;
    let suite = last_line(python().arg(root().join("python/tests/h5py_suite.py")))?;
    println!("the Python package's tests: {own}; {suite}");
    Ok(())
}

/// The last line a command prints. When it fails, everything it printed is shown.
fn last_line(command: &mut Command) -> Result<String, Failure> {
    eprintln!("$ {command:?}");
    let done = command.stderr(Stdio::inherit()).output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    let printed = String::from_utf8_lossy(&done.stdout);
    if !done.status.success() {
        println!("{printed}");
        return Err(format!("{command:?} failed ({})", done.status));
    }
    Ok(printed.trim().lines().last().unwrap_or_default().to_owned())
}

fn pytest() -> Command {
    let mut command = python();
    command.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).arg(root().join("python/tests"));
    command
}

/// Where things are compiled: where the workspace's are.
fn target() -> OsString {
    env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| root().join("target").into_os_string())
}

/// The package's interpreter, away from the sources, which would be found in place of the wheel.
fn python() -> Command {
    let mut command = Command::new(PACKAGE.python());
    command.current_dir(root().join("xtask")).env("PYTHON", PACKAGE.python());
    command
}
