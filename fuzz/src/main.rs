//! Runs the target that `H5LIVE_FUZZ` names; the arguments are libFuzzer's.
//!
//! Without it, writes inputs to start from to the directory `H5LIVE_FUZZ_SEEDS`, from the files in the directories
//! `H5LIVE_FUZZ_FILES` (separated as in `PATH`), and ends.

#![no_main]

use std::path::Path;
use std::sync::OnceLock;
use std::{env, process};

use h5live_fuzz::{Target, find, seeds};
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<&Target> = OnceLock::new();

fuzz_target!(
    init: {
        if let Some(directory) = env::var_os("H5LIVE_FUZZ_SEEDS") {
            let sources = env::var_os("H5LIVE_FUZZ_FILES").unwrap_or_default();
            if let Err(error) = seeds::write(Path::new(&directory), env::split_paths(&sources)) {
                eprintln!("cannot write seeds: {error}");
                process::exit(2);
            }
            process::exit(0);
        }
        let name = env::var("H5LIVE_FUZZ").unwrap_or_default();
        let Some(target) = find(&name) else {
            eprintln!("H5LIVE_FUZZ names no target: {name:?}");
            process::exit(2);
        };
        TARGET.get_or_init(|| target);
    },
    |bytes: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.run)(bytes);
        }
    }
);
