//! What the examples share: their arguments and their log.
//!
//! Each is one of the programs in h5py's documentation of SWMR, with the same arguments and the same behaviour:
//!
//! | program | in h5py's documentation |
//! |---|---|
//! | `swmr_append` | the writer's snippet |
//! | `swmr_monitor` | the reader's snippet |
//! | `swmr_inotify` | "Dataset monitor with inotify" |
//! | `swmr_multiprocess` | "Multiprocess concurrent write and read" |
//!
//! On the other side there may be the same program, another one of these, or one in h5py.

use std::env;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;

use chrono::Local;

/// What examples end with: any error ends them, and is shown.
pub type Outcome = Result<(), Box<dyn std::error::Error>>;

/// `[FILENAME [DATASETNAME]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    /// The file.
    pub file: PathBuf,
    /// The dataset in it.
    pub dataset: String,
}

impl Arguments {
    /// Those of this process; what is missing is `file`, and "data".
    #[must_use]
    pub fn from_env(file: &str) -> Self {
        Self::parse(env::args().skip(1), file)
    }

    /// From words.
    pub fn parse(words: impl IntoIterator<Item = String>, file: &str) -> Self {
        let mut words = words.into_iter();
        let file = words.next().unwrap_or_else(|| file.to_owned()).into();
        Self { file, dataset: words.next().unwrap_or_else(|| "data".to_owned()) }
    }
}

/// Logs a line on standard error: when, and what.
pub fn info(message: impl Display) {
    line(format_args!("{}  INFO\t{message}", time()));
}

/// Logs a line on standard error: when, who, and what; for logs of several processes.
pub fn info_of(who: &str, message: impl Display) {
    line(format_args!("{:>10}  {}  {who:>10}  {message}", "INFO", time()));
}

/// A shape as h5py shows it: `(4,)`, `(4, 2)`.
#[must_use]
pub fn shape(dims: &[u64]) -> String {
    match dims {
        [only] => format!("({only},)"),
        _ => format!("({})", dims.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
    }
}

fn time() -> impl Display {
    Local::now().format("%Y-%m-%d %H:%M:%S,%3f")
}

fn line(text: impl Display) {
    // In one piece, so that lines of several processes do not mix. A log nobody reads is no reason to fail.
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_have_defaults() {
        for (words, file, dataset) in [
            (vec![], "swmr.h5", "data"),
            (vec!["run.h5"], "run.h5", "data"),
            (vec!["run.h5", "entry/signal"], "run.h5", "entry/signal"),
        ] {
            let found = Arguments::parse(words.into_iter().map(str::to_owned), "swmr.h5");
            assert_eq!(found, Arguments { file: file.into(), dataset: dataset.into() });
        }
    }

    #[test]
    fn shapes_look_like_pythons() {
        assert_eq!([shape(&[]), shape(&[4]), shape(&[4, 2])], ["()", "(4,)", "(4, 2)"]);
    }
}
