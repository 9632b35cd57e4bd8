//! Reading many files of all kinds, each held against a description of what is in it.

use crate::Failure;
use crate::command::{cargo, run};

/// The task: describes the files of a corpus and compares.
pub(crate) fn run_task(arguments: &[String]) -> Result<(), Failure> {
    // The judge looks for the program beside itself.
    run(&mut cargo(&["build", "--release", "--package", "h5live-cli"]))?;
    let judge = ["run", "--quiet", "--release", "--package", "h5live-testkit", "--bin", "corpus", "--"];
    run(cargo(&judge).args(arguments))
}
