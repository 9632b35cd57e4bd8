//! Filtered chunks as they were decoded, kept: programs read a chunk row by row, and it would be decoded for each.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::source::Look;

/// Bytes kept at most, of all datasets of a file together.
const MOST_BYTES: usize = 32 << 20;

/// The elements of a chunk, shared with whoever reads them.
pub(crate) type Elements = Arc<Vec<u8>>;

/// The chunks of one file that were decoded lately.
#[derive(Default)]
pub(crate) struct DecodedChunks {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    looks: HashMap<Look, HashMap<Box<[u64]>, Chunk>>,
    /// In the order in which they go, but for those that were asked for since: each of these stays for another round.
    order: VecDeque<(Look, Box<[u64]>)>,
    bytes: usize,
}

struct Chunk {
    elements: Elements,
    was_asked_for: bool,
}

impl DecodedChunks {
    /// Whether chunks of together so many bytes are worth keeping: they leave room for others.
    pub(crate) fn have_room_for(bytes: u64) -> bool {
        bytes <= MOST_BYTES as u64 / 2
    }

    /// The elements of the chunk at these coordinates as a look found it, if they are kept.
    pub(crate) fn get(&self, look: Look, scaled: &[u64]) -> Option<Elements> {
        let mut kept = self.kept();
        let chunk = kept.looks.get_mut(&look)?.get_mut(scaled)?;
        chunk.was_asked_for = true;
        Some(chunk.elements.clone())
    }

    /// Keeps the elements of a chunk, in place of some that were not asked for lately.
    pub(crate) fn keep(&self, look: Look, scaled: &[u64], elements: Elements) {
        let bytes = elements.len();
        if bytes > MOST_BYTES {
            return;
        }
        let mut gone = Vec::new();
        let mut kept = self.kept();
        while kept.bytes + bytes > MOST_BYTES {
            match kept.oldest() {
                Some(elements) => gone.push(elements),
                None => return,
            }
        }
        let chunk = Chunk { elements, was_asked_for: false };
        let before = kept.looks.entry(look).or_default().insert(scaled.into(), chunk);
        kept.bytes += bytes;
        match before {
            // Two threads have decoded the same.
            Some(before) => kept.bytes -= before.elements.len(),
            None => kept.order.push_back((look, scaled.into())),
        }
        // Memory is given back without the lock.
        drop(kept);
        drop(gone);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Takes out the chunk that is to go next; `None` if there is none.
    fn oldest(&mut self) -> Option<Elements> {
        loop {
            let (look, scaled) = self.order.pop_front()?;
            let of_look = self.looks.get_mut(&look)?;
            if let Some(chunk) = of_look.get_mut(&scaled)
                && std::mem::take(&mut chunk.was_asked_for)
            {
                self.order.push_back((look, scaled));
                continue;
            }
            let chunk = of_look.remove(&scaled)?;
            if of_look.is_empty() {
                self.looks.remove(&look);
            }
            self.bytes -= chunk.elements.len();
            return Some(chunk.elements);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_no_more_is_kept_than_there_is_room_for() {
        let chunks = DecodedChunks::default();
        let look = Look::new();
        let elements = || Arc::new(vec![7; MOST_BYTES / 8]);
        chunks.keep(look, &[0, 0], elements());
        for at in 1..20 {
            assert!(chunks.get(look, &[0, 0]).is_some(), "asked for each time");
            chunks.keep(look, &[at, 0], elements());
        }
        assert!(chunks.get(look, &[1, 0]).is_none());
        assert!(chunks.get(look, &[19, 0]).is_some());
        assert!(chunks.get(Look::new(), &[19, 0]).is_none());
        let require_right_sum = || {
            let kept = chunks.kept();
            let sum: usize = kept.looks.values().flat_map(HashMap::values).map(|chunk| chunk.elements.len()).sum();
            let count: usize = kept.looks.values().map(HashMap::len).sum();
            assert_eq!((kept.bytes, kept.order.len()), (sum, count));
            assert!(sum <= MOST_BYTES);
        };
        require_right_sum();
        chunks.keep(look, &[19, 0], elements());
        require_right_sum();
        chunks.keep(look, &[99, 0], Arc::new(vec![0; MOST_BYTES + 1]));
        assert!(chunks.get(look, &[99, 0]).is_none());
    }
}
