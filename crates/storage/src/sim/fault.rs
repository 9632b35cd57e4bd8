//! Failures to order.

use std::io;

use rustix::io::Errno;

/// A failure that a [`Disk`](super::Disk) is told to meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The kind of call that fails.
    pub operation: Operation,
    /// How many such calls succeed first.
    pub after: u64,
    /// Whether all later calls of the kind fail too, as on a disk that is and stays full.
    pub lasting: bool,
    /// How it fails.
    pub kind: FaultKind,
}

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`ReadAt::read_exact_at`](crate::ReadAt::read_exact_at), also through a [`LaggingView`](super::LaggingView).
    Read,
    /// [`Storage::write_all_at`](crate::Storage::write_all_at).
    Write,
    /// [`Storage::set_len`](crate::Storage::set_len).
    SetLen,
    /// [`Storage::barrier`](crate::Storage::barrier) with [`Barrier::Durable`](crate::Barrier::Durable).
    Sync,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The device reports an error (`EIO`); nothing is done. After a failed sync, later ones succeed and settle only what is written
    /// to again: so the kernel behaves.
    Broken,
    /// No room is left (`ENOSPC`); nothing is done.
    Full,
    /// A signal interrupts (`EINTR`); nothing is done.
    Interrupted,
    /// A part is done, chosen by the disk's seed: a write then fails with `ENOSPC`, a read with
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof). Other calls fail with `EIO`.
    Short,
    /// Success is claimed and nothing is done; the bytes of a read are garbage.
    Lie,
}

impl FaultKind {
    /// The error the caller gets, unless the call is said to succeed.
    pub(super) fn error(self, operation: Operation) -> Option<io::Error> {
        let errno = match (self, operation) {
            (Self::Lie, _) => return None,
            (Self::Short, Operation::Read) => return Some(io::ErrorKind::UnexpectedEof.into()),
            (Self::Full, _) | (Self::Short, Operation::Write) => Errno::NOSPC,
            (Self::Interrupted, _) => Errno::INTR,
            (Self::Broken | Self::Short, _) => Errno::IO,
        };
        Some(errno.into())
    }
}
