//! Whole-file locks, as libhdf5 takes them.
//!
//! libhdf5 calls `flock` on every file it opens, never waiting: exclusive to create or write, shared to read (SWMR readers too), held
//! until close. So a writer that holds a *shared* lock lets libhdf5's readers pass and keeps its writers out. The environment variable
//! `HDF5_USE_FILE_LOCKING` governs both libraries alike: `FALSE` or `0` means no locks, `TRUE` or `1` means locks or an error,
//! `BEST_EFFORT` means locks where the file system has them.
//!
//! A lock belongs to the open file description. It ends with the last clone of the [`File`], and with the process.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::File;

/// How strongly a file is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockMode {
    /// Any number may hold it together.
    Shared,
    /// Nobody else may hold any lock.
    Exclusive,
}

/// Whether to lock files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Locking {
    /// Take no locks.
    Off,
    /// Take locks; a file system without them is an error.
    On,
    /// Take locks; do without where the file system has none. libhdf5 does this too where it is told nothing.
    #[default]
    BestEffort,
}

/// What became of asking for a lock.
#[must_use = "whether the file is in fact locked is here"]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lock {
    /// The file is locked.
    Held(LockMode),
    /// No lock was asked for: [`Locking::Off`].
    Off,
    /// The file system has no locks, and [`Locking::BestEffort`] makes do. Nothing keeps a second writer out: say so to the user.
    Unsupported,
}

/// Why a file could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another holds a lock that excludes this one.
    #[error("{}: cannot take the {wanted} lock: another program has the file open{}", .path.display(), hint(*.wanted))]
    Conflict {
        /// The file.
        path: PathBuf,
        /// The lock that was asked for.
        wanted: LockMode,
    },
    /// The file system has no locks. `HDF5_USE_FILE_LOCKING=BEST_EFFORT` goes on without.
    #[error(
        "{}: the file system does not support file locks ({source}); HDF5_USE_FILE_LOCKING=BEST_EFFORT goes on without them",
        .path.display()
    )]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file could not be opened or locked for another reason.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Locking {
    /// What `HDF5_USE_FILE_LOCKING` says; [`Locking::BestEffort`] when it is unset or says something libhdf5 would not understand either.
    pub fn from_env() -> Self {
        Self::parse(std::env::var_os("HDF5_USE_FILE_LOCKING").as_deref()).unwrap_or_default()
    }

    /// The meaning of a value of `HDF5_USE_FILE_LOCKING`, if it has one. libhdf5 compares the exact letters, and so does this.
    pub fn parse(value: Option<&OsStr>) -> Option<Self> {
        match value?.to_str()? {
            "FALSE" | "0" => Some(Self::Off),
            "TRUE" | "1" => Some(Self::On),
            "BEST_EFFORT" => Some(Self::BestEffort),
            _ => None,
        }
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shared => "shared",
            Self::Exclusive => "exclusive",
        })
    }
}

impl File {
    /// Locks the file without waiting, or converts the lock it has to `mode`.
    ///
    /// Converting is not atomic: the system gives the old lock up first. On [`LockError::Conflict`] a file that had a lock may be left
    /// with none.
    pub fn lock(&self, mode: LockMode, locking: Locking) -> Result<Lock, LockError> {
        let operation = match mode {
            LockMode::Shared => FlockOperation::NonBlockingLockShared,
            LockMode::Exclusive => FlockOperation::NonBlockingLockExclusive,
        };
        if locking == Locking::Off {
            return Ok(Lock::Off);
        }
        let path = || self.path().to_owned();
        match outcome(retry_interrupted(|| flock(self, operation))) {
            Outcome::Done => Ok(Lock::Held(mode)),
            Outcome::Conflict => Err(LockError::Conflict { path: path(), wanted: mode }),
            Outcome::Unsupported(_) if locking == Locking::BestEffort => Ok(Lock::Unsupported),
            Outcome::Unsupported(errno) => Err(LockError::Unsupported { path: path(), source: errno.into() }),
            Outcome::Failed(errno) => Err(LockError::Io { path: path(), source: errno.into() }),
        }
    }

    /// Gives the file's lock up, if it has one. A file system without locks has none to give up: that is no error.
    pub fn unlock(&self) -> Result<(), LockError> {
        match outcome(retry_interrupted(|| flock(self, FlockOperation::NonBlockingUnlock))) {
            Outcome::Done | Outcome::Unsupported(_) => Ok(()),
            Outcome::Conflict => Err(LockError::Io { path: self.path().to_owned(), source: Errno::WOULDBLOCK.into() }),
            Outcome::Failed(errno) => Err(LockError::Io { path: self.path().to_owned(), source: errno.into() }),
        }
    }
}

/// The answers of a lock call, sorted by what they mean. Shared with the lease, whose call answers alike.
pub(crate) enum Outcome {
    Done,
    Conflict,
    Unsupported(Errno),
    Failed(Errno),
}

pub(crate) fn outcome(result: Result<(), Errno>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(Errno::WOULDBLOCK | Errno::ACCESS) => Outcome::Conflict,
        // No such call; not on this file system; no lock service (NFS without its daemon).
        Err(errno @ (Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOLCK)) => Outcome::Unsupported(errno),
        Err(errno) => Outcome::Failed(errno),
    }
}

pub(crate) fn retry_interrupted(mut call: impl FnMut() -> Result<(), Errno>) -> Result<(), Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

fn hint(wanted: LockMode) -> &'static str {
    match wanted {
        LockMode::Shared => " for writing",
        LockMode::Exclusive => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::tests::Scratch;

    #[test]
    fn locks_exclude_each_other_as_flock_says() {
        use LockMode::{Exclusive, Shared};
        let scratch = Scratch::new("lock");
        let first = File::create_new(scratch.path("a")).unwrap();
        let second = File::open(first.path()).unwrap();
        for (held, wanted, granted) in [
            (Shared, Shared, true),
            (Shared, Exclusive, false),
            (Exclusive, Shared, false),
            (Exclusive, Exclusive, false),
        ] {
            assert_eq!(first.lock(held, Locking::On).unwrap(), Lock::Held(held));
            let result = second.lock(wanted, Locking::On);
            assert_eq!(result.is_ok(), granted, "{held} then {wanted}: {result:?}");
            assert!(granted || matches!(result, Err(LockError::Conflict { .. })));
            second.unlock().unwrap();
            first.unlock().unwrap();
        }
        // The lock is the description's: a clone keeps it.
        assert_eq!(first.lock(Exclusive, Locking::On).unwrap(), Lock::Held(Exclusive));
        let clone = first.clone();
        drop(first);
        assert!(second.lock(Shared, Locking::BestEffort).is_err());
        assert_eq!(clone.lock(Shared, Locking::On).unwrap(), Lock::Held(Shared));
        assert_eq!(second.lock(Shared, Locking::On).unwrap(), Lock::Held(Shared));
        assert_eq!(second.lock(Exclusive, Locking::Off).unwrap(), Lock::Off);
    }

    #[test]
    fn understands_what_libhdf5_understands() {
        for (value, expected) in [
            ("FALSE", Some(Locking::Off)),
            ("0", Some(Locking::Off)),
            ("TRUE", Some(Locking::On)),
            ("1", Some(Locking::On)),
            ("BEST_EFFORT", Some(Locking::BestEffort)),
            ("false", None),
            ("", None),
        ] {
            assert_eq!(Locking::parse(Some(OsStr::new(value))), expected, "{value}");
        }
        assert_eq!(Locking::parse(None), None);
    }

    #[test]
    fn a_file_system_without_locks_is_told_apart() {
        for errno in [Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOLCK] {
            assert!(matches!(outcome(Err(errno)), Outcome::Unsupported(_)), "{errno}");
        }
        assert!(matches!(outcome(Err(Errno::WOULDBLOCK)), Outcome::Conflict));
        assert!(matches!(outcome(Err(Errno::IO)), Outcome::Failed(_)));
    }
}
