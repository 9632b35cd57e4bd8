//! Bytes that one of those who share them can close for all.

use std::io::{self, IoSlice};
use std::sync::{PoisonError, RwLock};

use crate::{Barrier, ReadAt, Storage};

/// Storage that is let go of at a given moment, however many still refer to it: a closed file keeps no descriptor.
///
/// Closing waits for calls that are under way. Those that come later fail.
#[derive(Debug)]
pub struct Closable<S> {
    open: RwLock<Option<S>>,
}

impl<S> Closable<S> {
    /// Passes everything to `inner` until it is closed.
    pub fn new(inner: S) -> Self {
        Self { open: RwLock::new(Some(inner)) }
    }

    /// Lets go of the storage within. Does nothing the second time.
    pub fn close(&self) {
        let inner = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(inner);
    }

    /// The storage within, unless it is closed. It stays open as long as the caller keeps this.
    pub fn inner(&self) -> Option<S>
    where
        S: Clone,
    {
        self.open.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn with<T>(&self, act: impl FnOnce(&S) -> io::Result<T>) -> io::Result<T> {
        match &*self.open.read().unwrap_or_else(PoisonError::into_inner) {
            Some(inner) => act(inner),
            None => Err(io::Error::other("the file is closed")),
        }
    }
}

impl<S: ReadAt> ReadAt for Closable<S> {
    fn size(&self) -> io::Result<u64> {
        self.with(S::size)
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        self.with(|inner| inner.read_exact_at(buf, at))
    }
}

impl<S: Storage> Storage for Closable<S> {
    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        self.with(|inner| inner.write_all_at(buf, at))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|inner| inner.set_len(len))
    }

    fn barrier(&self, barrier: Barrier) -> io::Result<()> {
        self.with(|inner| inner.barrier(barrier))
    }

    fn allocate(&self, at: u64, len: u64) -> io::Result<()> {
        self.with(|inner| inner.allocate(at, len))
    }

    fn write_vectored_all_at(&self, parts: &[IoSlice<'_>], at: u64) -> io::Result<()> {
        self.with(|inner| inner.write_vectored_all_at(parts, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;
    use std::sync::Arc;

    #[test]
    fn what_is_closed_is_let_go_and_fails() {
        let memory = Arc::new(Memory::new());
        let storage = Closable::new(memory.clone());
        storage.write_all_at(b"seen", 0).unwrap();
        let mut buf = [0; 4];
        storage.read_exact_at(&mut buf, 0).unwrap();
        assert_eq!((&buf, storage.size().unwrap()), (b"seen", 4));
        assert_eq!(Arc::strong_count(&memory), 2);
        assert!(storage.inner().is_some());
        storage.close();
        storage.close();
        assert!(storage.inner().is_none());
        assert_eq!(Arc::strong_count(&memory), 1);
        assert!(storage.read_exact_at(&mut buf, 0).is_err());
        assert!(storage.write_all_at(b"lost", 0).is_err());
        assert!(storage.write_vectored_all_at(&[IoSlice::new(b"lost")], 0).is_err());
        assert!(storage.set_len(0).is_err() && storage.size().is_err() && storage.barrier(Barrier::Visible).is_err());
        assert_eq!(memory.to_vec(), b"seen");
    }
}
