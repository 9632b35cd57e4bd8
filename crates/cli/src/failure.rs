//! How the program fails: one line that says what, where, why and what to do next, and an exit code.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use h5live::{Error, ErrorKind};

/// What `--help` says of exit codes.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    success (also when whoever reads the output stops reading)
  1    the file is damaged or cannot be read or written, or the operation is not possible
  2    the command line is wrong
  3    there is no such file, object or attribute
  4    another writer has the file open
  5    the writer of the followed file died
  6    `check` found damage, or `recover` could not save everything
  130  interrupted";

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All done, or nobody wants the rest.
    Success = 0,
    /// Something is wrong with a file or the operation.
    Failed = 1,
    /// Something is wrong with the command line; clap uses the same number.
    Usage = 2,
    /// No such file, object or attribute.
    NotFound = 3,
    /// Another writer has the file.
    Locked = 4,
    /// The followed writer died.
    WriterDied = 5,
    /// Damage was found, or not all of it could be recovered.
    Damaged = 6,
    /// By Ctrl-C, as shells number it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a subcommand ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Whoever read the output has gone, as `head` does: nothing to complain about.
    OutputClosed,
    /// Ctrl-C; what was done until then is told.
    Interrupted(String),
    /// The output cannot be written.
    Output(io::Error),
    /// The command line makes no sense for this file.
    Usage(String),
    /// No such thing.
    NotFound(String),
    /// Damage, which was told.
    Damaged,
    /// The library's error.
    File(Error),
    /// Anything else.
    Other(String),
}

impl Failure {
    /// What to tell the user; nothing when there is nothing to tell.
    pub(crate) fn message(&self) -> Option<String> {
        match self {
            Self::OutputClosed | Self::Damaged => None,
            Self::Output(error) => Some(format!("cannot write the output: {error}")),
            Self::Interrupted(message) | Self::Usage(message) | Self::NotFound(message) | Self::Other(message) => {
                Some(message.clone())
            }
            Self::File(error) => Some(match advice(error) {
                Some(advice) => format!("{error}; {advice}"),
                None => error.to_string(),
            }),
        }
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::OutputClosed => Exit::Success,
            Self::Interrupted(_) => Exit::Interrupted,
            Self::Output(_) | Self::Other(_) => Exit::Failed,
            Self::Damaged => Exit::Damaged,
            Self::Usage(_) => Exit::Usage,
            Self::NotFound(_) => Exit::NotFound,
            Self::File(error) => match error.kind() {
                ErrorKind::NotFound { .. } => Exit::NotFound,
                ErrorKind::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::NotFound,
                ErrorKind::Locked { .. } => Exit::Locked,
                ErrorKind::WriterDied { .. } => Exit::WriterDied,
                _ => Exit::Failed,
            },
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message().unwrap_or_default())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::File(error)
    }
}

/// For writing to standard output; errors of other files are [`Failure::Other`] with their name.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::OutputClosed } else { Self::Output(error) }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::from(io::Error::from(error))
    }
}

impl From<csv::Error> for Failure {
    fn from(error: csv::Error) -> Self {
        match error.into_kind() {
            csv::ErrorKind::Io(error) => error.into(),
            other => Self::Other(format!("{other:?}")),
        }
    }
}

/// The next step, where there is an obvious one.
fn advice(error: &Error) -> Option<String> {
    let file = error.file().map_or_else(|| "FILE".into(), Path::to_string_lossy);
    Some(match error.kind() {
        ErrorKind::NotFound { what: "object", .. } => format!("`h5live ls -r {file}` shows what is there"),
        ErrorKind::NotHdf5 => "is it the right file, and complete?".to_owned(),
        ErrorKind::Truncated { .. } => "copy it again, or ask whoever made it for the whole of it".to_owned(),
        ErrorKind::Locked { .. } => {
            format!("wait until it is closed; reading needs no waiting: `h5live watch {file}`")
        }
        ErrorKind::WriterDied { .. } => "all it published is there, and the file can be appended to".to_owned(),
        ErrorKind::Malformed(_) => {
            format!(
                "the file is damaged, or was written by something unusual: `h5live check {file}` looks through all of it"
            )
        }
        ErrorKind::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            "ask its owner for access".to_owned()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_end_has_its_code() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        let kind = |kind: ErrorKind| Failure::from(Error::from(kind));
        for (failure, exit, told) in [
            (Failure::from(broken()), Exit::Success, false),
            (Failure::from(io::Error::from(io::ErrorKind::StorageFull)), Exit::Failed, true),
            (kind(ErrorKind::NotHdf5), Exit::Failed, true),
            (kind(ErrorKind::NotFound { what: "object", name: "/x".into() }), Exit::NotFound, true),
            (kind(ErrorKind::Locked { holder: "by pid 1".into() }), Exit::Locked, true),
            (kind(ErrorKind::WriterDied { writer: "pid 1".into(), commit: 3 }), Exit::WriterDied, true),
            (Failure::Damaged, Exit::Damaged, false),
            (Failure::Usage("no".into()), Exit::Usage, true),
            (Failure::Interrupted("closed".into()), Exit::Interrupted, true),
        ] {
            assert_eq!(failure.exit(), exit, "{failure:?}");
            assert_eq!(failure.message().is_some(), told, "{failure:?}");
            assert!(!failure.message().unwrap_or_default().contains('\n'), "{failure:?}");
            assert!(EXIT_CODES.contains(&format!("\n  {:<3}", exit as u8)), "{exit:?} is documented");
        }
    }
}
