//! What keeps a second writer out, and where nothing does.

use std::fmt;

use h5live_storage::Lock;

/// Why nothing keeps a second writer away from a file that is being written, or readers know less of its writer than they
/// should. To be shown to the user, who alone can see to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LockWarning {
    /// The filesystem has no file locks.
    NoLocks,
    /// Locking is turned off: `HDF5_USE_FILE_LOCKING`, or [`FileBuilder::locking`](crate::FileBuilder::locking).
    TurnedOff,
    /// The filesystem has file locks, but none of byte ranges.
    NoLease,
}

impl LockWarning {
    /// What is to be said, if anything, of a file with this lock, and with or without a lease.
    pub(super) fn of(lock: Lock, has_lease: bool) -> Option<Self> {
        match lock {
            Lock::Unsupported => Some(Self::NoLocks),
            Lock::Off => Some(Self::TurnedOff),
            Lock::Held(_) => (!has_lease).then_some(Self::NoLease),
        }
    }
}

impl fmt::Display for LockWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLocks => "this filesystem has no file locks: nothing keeps a second writer out",
            Self::TurnedOff => "file locking is turned off: nothing keeps a second writer out",
            Self::NoLease => "this filesystem has no byte-range locks: readers cannot tell whether the writer lives",
        })
    }
}
