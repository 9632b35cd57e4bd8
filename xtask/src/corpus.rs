//! Reading many files of all kinds, each held against a description of what is in it.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use crate::Failure;
use crate::command::{cargo, root, run};
use crate::setup::ENVIRONMENTS;

/// Names another corpus that is read beside the one made here.
const VARIABLE: &str = "H5LIVE_CORPUS";

/// The task: describes the files of a corpus and compares.
pub(crate) fn judge(arguments: &[String]) -> Result<(), Failure> {
    // The judge looks for the program beside itself.
    run(&mut cargo(&["build", "--package", "h5live-cli"]))?;
    let judge = ["run", "--quiet", "--package", "h5live-testkit", "--bin", "corpus", "--"];
    run(cargo(&judge).args(arguments))
}

/// Judges a corpus that h5py makes on the spot; and the one that `H5LIVE_CORPUS` names, or that lies beside the repository.
pub(crate) fn judge_all() -> Result<(), Failure> {
    let made = root().join("target/corpus");
    if made.exists() {
        fs::remove_dir_all(&made).map_err(|error| format!("cannot clear {}: {error}", made.display()))?;
    }
    let script = root().join("crates/testkit/python/corpus/make.py");
    let [newest, ..] = &ENVIRONMENTS;
    run(Command::new(newest.python()).arg(script).arg(&made).env("HDF5_USE_FILE_LOCKING", "FALSE"))?;
    judge(&[made.to_string_lossy().into_owned()])?;
    let beside = root().join("../shared/corpus");
    match env::var_os(VARIABLE).map(PathBuf::from).or(Some(beside).filter(|beside| beside.is_dir())) {
        Some(other) => judge(&[other.to_string_lossy().into_owned()]),
        None => Ok(()),
    }
}
