//! Where bytes live.
//!
//! This crate knows nothing of HDF5. It offers bytes at offsets ([`ReadAt`], [`Storage`]) and the things around them that
//! single-writer/multiple-reader access stands on:
//!
//! - [`File`]: a file on disk, read and written by position, which can tell whether its path still names it;
//! - [`lock`]: whole-file `flock` locks, as libhdf5 takes them;
//! - [`lease`]: the writer's lease, by which other processes see whether a writer lives;
//! - [`Memory`]: the same bytes in memory;
//! - [`Joined`]: several of them as one;
//! - [`Overlay`]: some parts of them read otherwise;
//! - [`Closable`]: the same, until one of those who share them closes them for all;
//! - [`Metered`]: a wrapper that counts what passes through it;
//! - [`sim`]: a disk that lies on purpose, for tests of what a crash or a slow reader may see.
//!
//! # Barriers
//!
//! A writer that others read beside orders its writes with [`Storage::barrier`]. Between two barriers writes may become visible,
//! or durable, in any order and page by page; across a barrier they may not be seen out of order.
//!
//! ```
//! use h5live_storage::{Barrier, Memory, ReadAt, Storage};
//!
//! let bytes = Memory::new();
//! bytes.write_all_at(b"what is named", 100)?;
//! bytes.barrier(Barrier::Visible)?;
//! bytes.write_all_at(b"the name", 0)?;
//! assert_eq!(bytes.size()?, 113);
//! # std::io::Result::Ok(())
//! ```

#[cfg(not(unix))]
compile_error!(
    "h5live-storage needs Unix: one writer beside many readers stands on flock and open-file-description locks"
);

mod closable;
mod file;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod fork;
mod host;
mod joined;
pub mod lease;
pub mod lock;
mod memory;
mod metered;
mod overlay;
pub mod sim;
mod wake;

use std::io::{self, IoSlice};
use std::sync::Arc;

pub use closable::Closable;
pub use file::{File, Identity, PathState};
pub use host::host_name;
pub use joined::Joined;
pub use lease::{Lease, LeaseError};
pub use lock::{Lock, LockError, LockMode, Locking};
pub use memory::Memory;
pub use metered::{Counts, Metered};
pub use overlay::Overlay;
pub use wake::{Wake, Woken};

/// Bytes that can be read by position, from any thread.
pub trait ReadAt: Send + Sync {
    /// The number of bytes there are now. A file that others write may have grown by the time this returns.
    fn size(&self) -> io::Result<u64>;

    /// Fills `buf` with the bytes from offset `at` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when the bytes end before `buf` is full, `buf` is then of unspecified content; otherwise
    /// whatever the system says. Interruptions and short reads of the system are handled, not reported.
    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()>;

    /// How many bytes from offset `at` on are in memory, where that is known and there are some. Who would read more than is surely
    /// needed may stop there.
    fn at_hand(&self, at: u64) -> Option<u64> {
        let _ = at;
        None
    }
}

/// Bytes that can also be written by position.
pub trait Storage: ReadAt {
    /// Writes all of `buf` at offset `at`, extending the bytes when it reaches past their end; a gap reads as zeros.
    ///
    /// A write that lies inside one 4096-byte page is made by one system call, unless the system itself cuts it short.
    ///
    /// # Errors
    /// Whatever the system says; some part of `buf` may then have been written.
    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()>;

    /// Cuts the bytes to `len`, or extends them with zeros (which on a file take no room).
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Separates what was written before from what is written after, as [`Barrier`] says.
    ///
    /// # Errors
    /// A failed [`Barrier::Durable`] leaves unknown which earlier writes reached the medium. The system may forget the failure, so a
    /// later success proves nothing about those writes.
    fn barrier(&self, barrier: Barrier) -> io::Result<()>;

    /// Tells that `len` bytes from offset `at` on will be written: a file on disk finds room for them in one piece, and writing them
    /// costs less then. Nothing changes that can be read, nor the size; what stays unwritten is let go of with the next
    /// [`Storage::set_len`] that leaves it out.
    ///
    /// # Errors
    /// Whatever the system says: that it knows no such thing, or has no room. The bytes may be written all the same.
    fn allocate(&self, at: u64, len: u64) -> io::Result<()> {
        let _ = (at, len);
        Ok(())
    }

    /// Writes `parts` one after the other, from offset `at` on: as one system call where the storage can, otherwise one write each.
    fn write_vectored_all_at(&self, parts: &[IoSlice<'_>], at: u64) -> io::Result<()> {
        let mut at = at;
        for part in parts {
            self.write_all_at(part, at)?;
            at = end_of(at, part.len())?;
        }
        Ok(())
    }
}

/// What a [`Storage::barrier`] promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Barrier {
    /// A reader that sees a write made after the barrier sees every write made before it. Costs nothing on a file: the kernel's page
    /// cache shows writes to local readers in the order they were made.
    Visible,
    /// [`Barrier::Visible`], and every write made before the barrier survives a loss of power from the moment this returns.
    /// On a file this is `fdatasync`.
    Durable,
}

/// Passes [`ReadAt`] and [`Storage`] through a pointer.
macro_rules! through_pointer {
    ($($pointer:ty),*) => {$(
        impl<T: ReadAt + ?Sized> ReadAt for $pointer {
            fn size(&self) -> io::Result<u64> {
                (**self).size()
            }
            fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
                (**self).read_exact_at(buf, at)
            }
            fn at_hand(&self, at: u64) -> Option<u64> {
                (**self).at_hand(at)
            }
        }

        impl<T: Storage + ?Sized> Storage for $pointer {
            fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
                (**self).write_all_at(buf, at)
            }
            fn set_len(&self, len: u64) -> io::Result<()> {
                (**self).set_len(len)
            }
            fn barrier(&self, barrier: Barrier) -> io::Result<()> {
                (**self).barrier(barrier)
            }
            fn allocate(&self, at: u64, len: u64) -> io::Result<()> {
                (**self).allocate(at, len)
            }
            fn write_vectored_all_at(&self, parts: &[IoSlice<'_>], at: u64) -> io::Result<()> {
                (**self).write_vectored_all_at(parts, at)
            }
        }
    )*};
}

through_pointer!(&T, Box<T>, Arc<T>);

/// The offset `len` bytes after `at`, if there can be one.
fn end_of(at: u64, len: usize) -> io::Result<u64> {
    at.checked_add(len as u64).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{len} bytes at offset {at:#x} end past 2^64"))
    })
}

/// The error of a read past the end.
fn past_end(at: u64, wanted: usize, size: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("{wanted} bytes at offset {at:#x} wanted, but the bytes end at {size:#x}"),
    )
}
