//! A wrapper that counts what passes through it.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Barrier, ReadAt, Storage};

/// Counts the calls to the storage within, and the bytes they move. For tests and benchmarks that hold a budget of calls.
#[derive(Debug, Default)]
pub struct Metered<S> {
    inner: S,
    meters: Meters,
}

/// What a [`Metered`] storage counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Calls of [`ReadAt::size`].
    pub sizes: u64,
    /// Calls of [`ReadAt::read_exact_at`].
    pub reads: u64,
    /// Bytes those reads asked for.
    pub bytes_read: u64,
    /// Calls of [`Storage::write_all_at`] and [`Storage::write_vectored_all_at`].
    pub writes: u64,
    /// Bytes those writes were given.
    pub bytes_written: u64,
    /// Calls of [`Storage::set_len`].
    pub set_lens: u64,
    /// Barriers of kind [`Barrier::Visible`].
    pub visible_barriers: u64,
    /// Barriers of kind [`Barrier::Durable`].
    pub durable_barriers: u64,
}

impl<S> Metered<S> {
    /// Counts, from zero, what goes to `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner, meters: Meters::default() }
    }

    /// The counts since the start or the last [`Metered::take`].
    pub fn counts(&self) -> Counts {
        self.meters.each(|meter| meter.load(Ordering::Relaxed))
    }

    /// The counts, starting over from zero.
    pub fn take(&self) -> Counts {
        self.meters.each(|meter| meter.swap(0, Ordering::Relaxed))
    }

    /// The storage within; what is done through it is not counted.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The storage within.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: ReadAt> ReadAt for Metered<S> {
    fn size(&self) -> io::Result<u64> {
        add(&self.meters.sizes, 1);
        self.inner.size()
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        add(&self.meters.reads, 1);
        add(&self.meters.bytes_read, buf.len());
        self.inner.read_exact_at(buf, at)
    }
}

impl<S: Storage> Storage for Metered<S> {
    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        add(&self.meters.writes, 1);
        add(&self.meters.bytes_written, buf.len());
        self.inner.write_all_at(buf, at)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        add(&self.meters.set_lens, 1);
        self.inner.set_len(len)
    }

    fn barrier(&self, barrier: Barrier) -> io::Result<()> {
        match barrier {
            Barrier::Visible => add(&self.meters.visible_barriers, 1),
            Barrier::Durable => add(&self.meters.durable_barriers, 1),
        }
        self.inner.barrier(barrier)
    }

    fn allocate(&self, at: u64, len: u64) -> io::Result<()> {
        self.inner.allocate(at, len)
    }

    fn write_vectored_all_at(&self, parts: &[IoSlice<'_>], at: u64) -> io::Result<()> {
        add(&self.meters.writes, 1);
        add(&self.meters.bytes_written, parts.iter().map(|part| part.len()).sum());
        self.inner.write_vectored_all_at(parts, at)
    }
}

#[derive(Debug, Default)]
struct Meters {
    sizes: AtomicU64,
    reads: AtomicU64,
    bytes_read: AtomicU64,
    writes: AtomicU64,
    bytes_written: AtomicU64,
    set_lens: AtomicU64,
    visible_barriers: AtomicU64,
    durable_barriers: AtomicU64,
}

impl Meters {
    fn each(&self, value: impl Fn(&AtomicU64) -> u64) -> Counts {
        Counts {
            sizes: value(&self.sizes),
            reads: value(&self.reads),
            bytes_read: value(&self.bytes_read),
            writes: value(&self.writes),
            bytes_written: value(&self.bytes_written),
            set_lens: value(&self.set_lens),
            visible_barriers: value(&self.visible_barriers),
            durable_barriers: value(&self.durable_barriers),
        }
    }
}

fn add(meter: &AtomicU64, amount: usize) {
    meter.fetch_add(amount as u64, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;

    #[test]
    fn counts_calls_and_bytes() {
        let metered = Metered::new(Memory::new());
        metered.write_all_at(b"abc", 0).unwrap();
        metered.write_vectored_all_at(&[IoSlice::new(b"de"), IoSlice::new(b"f")], 3).unwrap();
        metered.read_exact_at(&mut [0; 5], 1).unwrap();
        metered.barrier(Barrier::Durable).unwrap();
        metered.barrier(Barrier::Visible).unwrap();
        metered.set_len(metered.size().unwrap() + 1).unwrap();
        let expected = Counts {
            sizes: 1,
            reads: 1,
            bytes_read: 5,
            writes: 2,
            bytes_written: 6,
            set_lens: 1,
            visible_barriers: 1,
            durable_barriers: 1,
        };
        assert_eq!(metered.take(), expected);
        assert_eq!(metered.counts(), Counts::default());
        assert_eq!(metered.into_inner().into_vec(), b"abcdef\0");
    }
}
