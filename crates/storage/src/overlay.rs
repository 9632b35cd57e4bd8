//! A file as it is, with some bytes as they should be: mended structures lie over the damaged ones, and new ones behind the
//! end. The file itself is not written to.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{ReadAt, end_of, past_end};

/// Bytes over bytes.
pub struct Overlay {
    under: Arc<dyn ReadAt>,
    patches: Mutex<Patches>,
}

#[derive(Default)]
struct Patches {
    /// By offset in the file. They do not overlap: a later one replaces bytes of an earlier one.
    bytes: BTreeMap<u64, Vec<u8>>,
    /// The longest of them.
    longest: u64,
    /// The end of what was added behind the file.
    end: u64,
}

impl Overlay {
    /// Nothing over `under` yet.
    #[must_use]
    pub fn new(under: Arc<dyn ReadAt>) -> Self {
        Self { under, patches: Mutex::default() }
    }

    /// Lays `bytes` over what is at offset `at`. Past the largest offset nothing can be.
    pub fn patch(&self, at: u64, mut bytes: Vec<u8>) {
        bytes.truncate(usize::try_from(u64::MAX - at).unwrap_or(usize::MAX));
        let mut patches = self.lock();
        patches.end = patches.end.max(at + bytes.len() as u64);
        if !bytes.is_empty() {
            patches.put(at, bytes);
        }
    }

    /// Room for `len` bytes behind everything, at an offset that is a multiple of 8.
    ///
    /// # Errors
    /// When the size of the file cannot be learnt.
    pub fn room(&self, len: u64) -> io::Result<u64> {
        let size = self.under.size()?;
        let mut patches = self.lock();
        let at = patches.end.max(size).next_multiple_of(8);
        patches.end = at + len;
        Ok(at)
    }

    fn lock(&self) -> MutexGuard<'_, Patches> {
        self.patches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Patches {
    fn put(&mut self, at: u64, bytes: Vec<u8>) {
        let end = at + bytes.len() as u64;
        let from = at.saturating_sub(self.longest);
        let over: Vec<u64> = self
            .bytes
            .range(from..end)
            .filter(|(start, old)| **start + old.len() as u64 > at)
            .map(|(start, _)| *start)
            .collect();
        for start in over {
            let Some(old) = self.bytes.remove(&start) else { continue };
            if start < at {
                self.bytes.insert(start, old[..(at - start) as usize].to_vec());
            }
            if start + old.len() as u64 > end {
                self.bytes.insert(end, old[(end - start) as usize..].to_vec());
            }
        }
        self.longest = self.longest.max(bytes.len() as u64);
        self.bytes.insert(at, bytes);
    }
}

impl ReadAt for Overlay {
    fn size(&self) -> io::Result<u64> {
        Ok(self.under.size()?.max(self.lock().end))
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        let patches = self.lock();
        if patches.bytes.is_empty() {
            drop(patches);
            return self.under.read_exact_at(buf, at);
        }
        let end = end_of(at, buf.len())?;
        let under = self.under.size()?;
        let size = under.max(patches.end);
        if end > size {
            return Err(past_end(at, buf.len(), size));
        }
        let there = under.saturating_sub(at).min(buf.len() as u64) as usize;
        if there > 0 {
            self.under.read_exact_at(&mut buf[..there], at)?;
        }
        buf[there..].fill(0);
        for (start, bytes) in patches.bytes.range(at.saturating_sub(patches.longest)..end) {
            let from = (*start).max(at);
            let to = (start + bytes.len() as u64).min(end);
            if from < to {
                let part = &bytes[(from - start) as usize..(to - start) as usize];
                buf[(from - at) as usize..(to - at) as usize].copy_from_slice(part);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Memory, Storage};

    #[test]
    fn the_last_patch_counts_and_the_file_stays() {
        let under = Memory::new();
        under.write_all_at(&[1; 20], 0).unwrap();
        let overlay = Overlay::new(Arc::new(under));
        let mut model = [1; 20];
        for (at, bytes) in [(5, vec![2; 6]), (3, vec![3; 4]), (9, vec![4; 4]), (7, vec![5]), (4, vec![6; 12])] {
            model[at..at + bytes.len()].copy_from_slice(&bytes);
            overlay.patch(at as u64, bytes);
            for from in 0..model.len() {
                for to in from..=model.len() {
                    let mut found = vec![0; to - from];
                    overlay.read_exact_at(&mut found, from as u64).unwrap();
                    assert_eq!(found, model[from..to]);
                }
            }
        }
        let room = overlay.room(10).unwrap();
        assert_eq!((room, overlay.size().unwrap()), (24, 34));
        overlay.patch(room, vec![7; 10]);
        let mut found = [0; 16];
        overlay.read_exact_at(&mut found, 18).unwrap();
        assert_eq!(found, [1, 1, 0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]);
        assert!(overlay.read_exact_at(&mut found, 19).is_err());
    }
}
