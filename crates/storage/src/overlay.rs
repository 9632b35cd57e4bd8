//! Bytes over other bytes.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::{ReadAt, end_of, past_end};

/// A storage, of which some parts read otherwise.
pub struct Overlay {
    below: Arc<dyn ReadAt>,
    /// By their offsets; none reaches into the next.
    patches: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    /// Puts `patches`, each at its offset, over `below`. Where two overlap, the one that begins later is seen.
    #[must_use]
    pub fn new(below: Arc<dyn ReadAt>, patches: impl IntoIterator<Item = (u64, Vec<u8>)>) -> Self {
        let mut sorted: BTreeMap<u64, Vec<u8>> = patches.into_iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
        let starts: Vec<u64> = sorted.keys().skip(1).copied().chain([u64::MAX]).collect();
        for ((at, bytes), next) in sorted.iter_mut().zip(starts) {
            bytes.truncate(usize::try_from(next - at).unwrap_or(usize::MAX));
        }
        Self { below, patches: sorted }
    }
}

impl ReadAt for Overlay {
    fn size(&self) -> io::Result<u64> {
        let last = self.patches.last_key_value().map_or(0, |(at, bytes)| at.saturating_add(bytes.len() as u64));
        Ok(self.below.size()?.max(last))
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        let end = end_of(at, buf.len())?;
        let size = self.size()?;
        if end > size {
            return Err(past_end(at, buf.len(), size));
        }
        // What lies behind the bytes below, between patches, reads as zeros.
        let left = self.below.size()?.saturating_sub(at).min(buf.len() as u64) as usize;
        let (there, behind) = buf.split_at_mut(left);
        behind.fill(0);
        if !there.is_empty() {
            self.below.read_exact_at(there, at)?;
        }
        let first = self.patches.range(..=at).next_back().map_or(at, |(start, _)| *start);
        for (start, bytes) in self.patches.range(first..end) {
            let (from, to) = (at.max(*start), end.min(start + bytes.len() as u64));
            if from < to {
                let patch = &bytes[(from - start) as usize..(to - start) as usize];
                buf[(from - at) as usize..(to - at) as usize].copy_from_slice(patch);
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
    fn patches_are_seen_over_what_is_below() {
        let below = Memory::new();
        below.write_all_at(b"0123456789", 0).unwrap();
        let patches = [(2, b"ab".to_vec()), (5, b"cdef".to_vec()), (7, b"XY".to_vec()), (12, b"zz".to_vec())];
        let overlay = Overlay::new(Arc::new(below), patches);
        let whole = b"01ab4cdXY9\0\0zz";
        for from in 0..whole.len() {
            for to in from..=whole.len() {
                let mut buf = vec![b'?'; to - from];
                overlay.read_exact_at(&mut buf, from as u64).unwrap();
                assert_eq!(buf, whole[from..to], "{from}..{to}");
            }
        }
        assert!(overlay.read_exact_at(&mut [0; 2], 13).is_err());
    }
}
