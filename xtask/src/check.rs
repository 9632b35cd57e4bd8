//! Checking and measuring.

use std::process::Command;

use crate::Failure;
use crate::command::{cargo, run, succeeds};
use crate::fuzz::fuzz;
use crate::setup::{ENVIRONMENTS, install};
use crate::{corpus, python};

/// What is said of the sources without running them: formatting, clippy, documentation.
pub(crate) fn lint(_: &[String]) -> Result<(), Failure> {
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    run(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    python::lint()
}

/// Installs what is needed and runs everything: tests, a corpus, a minute of fuzzing; or only the tests whose names contain one of the
/// filters.
pub(crate) fn test(filters: &[String]) -> Result<(), Failure> {
    install()?;
    // Programs that tests start as processes of their own, whichever crate they belong to.
    run(&mut cargo(&["build", "--workspace", "--bins"]))?;
    // First, so that the test runner's summary closes the log.
    if filters.is_empty() {
        run(with_python(&mut cargo(&["test", "--workspace", "--doc", "--quiet"])))?;
    }
    let has_nextest = succeeds(&mut cargo(&["nextest", "--version"]));
    let runner: &[&str] = match has_nextest {
        true => &["nextest", "run", "--workspace"],
        // cargo takes one filter itself; its test executables take any number.
        false => &["test", "--workspace", "--lib", "--bins", "--tests", "--examples", "--"],
    };
    run(with_python(cargo(runner).args(filters)))?;
    if filters.is_empty() {
        python::quick_test()?;
        corpus::judge_all()?;
        fuzz(&[])?;
    }
    Ok(())
}

/// Benchmarks, all or those named; after the word `python` those of the Python package.
pub(crate) fn bench(names: &[String]) -> Result<(), Failure> {
    if let Some((first, names)) = names.split_first()
        && first == "python"
    {
        return python::bench(names);
    }
    install()?;
    run(with_python(cargo(&["run", "--release", "--package", "h5live-bench", "--"]).args(names)))
}

/// Crashes on a simulated disk, as many as asked for.
pub(crate) fn crash(options: &[String]) -> Result<(), Failure> {
    trial("crash", options)
}

/// A campaign of real processes.
pub(crate) fn campaign(options: &[String]) -> Result<(), Failure> {
    trial("campaign", options)
}

fn trial(name: &str, options: &[String]) -> Result<(), Failure> {
    install()?;
    run(&mut cargo(&["build", "--release", "--package", "h5live-cli", "--package", "h5live-trial"]))?;
    run(with_python(cargo(&["run", "--release", "--package", "h5live-trial", "--", name]).args(options)))
}

/// Tells a command where the Python interpreters are.
fn with_python(command: &mut Command) -> &mut Command {
    command.envs(ENVIRONMENTS.iter().map(|environment| (environment.variable, environment.python())))
}
