//! What can go wrong on the other side.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// A failure of the other side, or of reaching it.
///
/// Its `Debug` form is its text, so that a test that unwraps shows it as it is meant to be read.
#[derive(thiserror::Error)]
pub enum Error {
    /// A program that tests need is not installed.
    #[error("{what} is not at {}: run `cargo xtask setup`", .at.display())]
    NotInstalled {
        /// The program.
        what: &'static str,
        /// Where it was looked for.
        at: PathBuf,
    },
    /// A program of this workspace has not been built.
    #[error("the program {name} is not at {}: run tests with `cargo xtask test`, which builds it", .at.display())]
    NotBuilt {
        /// The program.
        name: String,
        /// Where it was looked for.
        at: PathBuf,
    },
    /// A program could not be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing came in time. The process has been killed.
    #[error("{program} gave no answer to {waiting_for:?} within {limit:?}; it said:\n{log}")]
    Timeout {
        /// The program.
        program: String,
        /// What was waited for.
        waiting_for: String,
        /// The time allowed.
        limit: Duration,
        /// The last of what it wrote to standard error, and of what it wrote to standard output that was no answer.
        log: String,
    },
    /// A process ended where an answer was expected.
    #[error("{program} ended ({status}) instead of answering {waiting_for:?}; it said:\n{log}")]
    Ended {
        /// The program.
        program: String,
        /// What was waited for.
        waiting_for: String,
        /// How it ended.
        status: ExitStatus,
        /// As in [`Error::Timeout`].
        log: String,
    },
    /// A program ran and failed.
    #[error("{program} failed ({status}):\n{log}")]
    Failed {
        /// The program and its arguments.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard error.
        log: String,
    },
    /// Python raised an exception.
    #[error("{kind}: {message}\n{traceback}")]
    Python {
        /// The exception's class.
        kind: String,
        /// The exception's text.
        message: String,
        /// The whole traceback.
        traceback: String,
    },
    /// An answer that is not what was agreed on.
    #[error("{program} answered {answer:?}: {why}")]
    Answer {
        /// The program.
        program: String,
        /// The answer, or its beginning.
        answer: String,
        /// What is wrong with it.
        why: String,
    },
    /// Talking to a process, or reading a file it left, failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

/// The result of asking the other side.
pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn answer(program: &str, answer: &str, why: impl ToString) -> Self {
        Self::Answer { program: program.into(), answer: answer.chars().take(500).collect(), why: why.to_string() }
    }
}
