//! Bytes in memory.

use std::io;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{Barrier, ReadAt, Storage, end_of, past_end};

/// Bytes in memory, read and written like a file. A clone is a snapshot: it shares nothing with the original.
#[derive(Debug, Default)]
pub struct Memory {
    bytes: RwLock<Vec<u8>>,
}

impl Memory {
    /// No bytes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of the bytes as they are now.
    pub fn to_vec(&self) -> Vec<u8> {
        self.read().clone()
    }

    /// The bytes themselves.
    pub fn into_vec(self) -> Vec<u8> {
        self.bytes.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    // Nothing panics while the bytes are half changed, so a poisoned lock still guards whole bytes.
    fn read(&self) -> RwLockReadGuard<'_, Vec<u8>> {
        self.bytes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<u8>> {
        self.bytes.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Vec<u8>> for Memory {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes: RwLock::new(bytes) }
    }
}

impl Clone for Memory {
    fn clone(&self) -> Self {
        Self::from(self.to_vec())
    }
}

impl ReadAt for Memory {
    fn size(&self) -> io::Result<u64> {
        Ok(self.read().len() as u64)
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        let bytes = self.read();
        let found = usize::try_from(at).ok().and_then(|start| bytes.get(start..start.checked_add(buf.len())?));
        match found {
            Some(found) => {
                buf.copy_from_slice(found);
                Ok(())
            }
            None => Err(past_end(at, buf.len(), bytes.len() as u64)),
        }
    }
}

impl Storage for Memory {
    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        if buf.is_empty() {
            return Ok(());
        }
        let end = addressable(end_of(at, buf.len())?)?;
        let mut bytes = self.write();
        if end > bytes.len() {
            resize(&mut bytes, end)?;
        }
        bytes[end - buf.len()..end].copy_from_slice(buf);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        resize(&mut self.write(), addressable(len)?)
    }

    fn barrier(&self, _: Barrier) -> io::Result<()> {
        Ok(())
    }
}

fn resize(bytes: &mut Vec<u8>, len: usize) -> io::Result<()> {
    // A length no allocator can serve is the caller's mistake, or a damaged file's: an error, not an abort.
    bytes.try_reserve(len.saturating_sub(bytes.len())).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.resize(len, 0);
    Ok(())
}

fn addressable(len: u64) -> io::Result<usize> {
    usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_written_and_zeros_between() {
        let memory = Memory::new();
        memory.write_all_at(b"tail", 6).unwrap();
        memory.write_all_at(b"head", 0).unwrap();
        assert_eq!(memory.to_vec(), b"head\0\0tail");
        memory.set_len(2).unwrap();
        memory.set_len(4).unwrap();
        assert_eq!(memory.to_vec(), b"he\0\0");
    }

    #[test]
    fn impossible_offsets_are_errors() {
        let memory = Memory::from(vec![1; 8]);
        for (at, len) in [(0, 9), (8, 1), (9, 0), (u64::MAX, 1), (u64::MAX - 1, 8)] {
            let error = memory.read_exact_at(&mut vec![0; len], at).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{len} at {at}");
        }
        assert!(memory.write_all_at(&[1], u64::MAX).is_err());
        assert!(memory.write_all_at(&[1], u64::MAX - 1).is_err());
        assert!(memory.set_len(u64::MAX).is_err());
        assert_eq!(memory.to_vec(), [1; 8]);
    }

    #[test]
    fn a_clone_is_a_snapshot() {
        let memory = Memory::from(vec![1, 2, 3]);
        let snapshot = memory.clone();
        memory.write_all_at(&[9], 0).unwrap();
        assert_eq!((memory.into_vec(), snapshot.into_vec()), (vec![9, 2, 3], vec![1, 2, 3]));
    }
}
