//! Several storages that are one: each has a range of the offsets.

use std::io;
use std::sync::Arc;

use crate::{ReadAt, end_of, past_end};

/// Storages side by side. What a part lacks of its range reads as zeros, as it does in a file with a hole.
pub struct Joined {
    /// By their starts, ascending.
    parts: Vec<Part>,
}

/// A storage, and the offset of its first byte.
struct Part {
    start: u64,
    storage: Arc<dyn ReadAt>,
}

impl Joined {
    /// Joins storages: each from its offset to the start of the next.
    #[must_use]
    pub fn new(parts: impl IntoIterator<Item = (u64, Arc<dyn ReadAt>)>) -> Self {
        let mut parts: Vec<Part> = parts.into_iter().map(|(start, storage)| Part { start, storage }).collect();
        parts.sort_by_key(|part| part.start);
        Self { parts }
    }

    /// The parts, each with the end of its range.
    fn ranges(&self) -> impl DoubleEndedIterator<Item = (&Part, u64)> {
        (0..self.parts.len()).map(|at| (&self.parts[at], self.parts.get(at + 1).map_or(u64::MAX, |next| next.start)))
    }
}

impl ReadAt for Joined {
    fn size(&self) -> io::Result<u64> {
        // Parts that are empty add nothing.
        for (part, end) in self.ranges().rev() {
            let size = part.storage.size()?;
            if size > 0 {
                return Ok(part.start.saturating_add(size).min(end));
            }
        }
        Ok(0)
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        let end = end_of(at, buf.len())?;
        let size = self.size()?;
        if end > size {
            return Err(past_end(at, buf.len(), size));
        }
        buf.fill(0);
        for (part, part_end) in self.ranges() {
            let (from, to) = (at.max(part.start), end.min(part_end));
            let offset = from.saturating_sub(part.start);
            let to = to.min(part.start.saturating_add(part.storage.size()?));
            if from < to {
                part.storage.read_exact_at(&mut buf[(from - at) as usize..(to - at) as usize], offset)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Memory, Storage};

    fn part(bytes: &[u8]) -> Arc<dyn ReadAt> {
        let memory = Memory::new();
        memory.write_all_at(bytes, 0).unwrap();
        Arc::new(memory)
    }

    fn read(joined: &Joined, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut buf = vec![b'?'; len];
        joined.read_exact_at(&mut buf, at).map(|()| buf)
    }

    #[test]
    fn reads_go_through_all_parts() {
        // The second is short, the third longer than its range, the fourth empty.
        let joined = Joined::new([(8, part(b"ijklmnopqr")), (0, part(b"abcd")), (4, part(b"ef")), (16, part(b""))]);
        assert_eq!(joined.size().unwrap(), 16);
        assert_eq!(read(&joined, 2, 8).unwrap(), b"cdef\0\0ij");
        assert_eq!(read(&joined, 0, 16).unwrap(), b"abcdef\0\0ijklmnop");
        assert_eq!(read(&joined, 15, 2).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read(&Joined::new([]), 0, 1).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn parts_may_lie_far_apart() {
        let far = u64::MAX / 2;
        let joined = Joined::new([(0, part(b"ab")), (far, part(b"cd"))]);
        assert_eq!(joined.size().unwrap(), far + 2);
        assert_eq!(read(&joined, far, 2).unwrap(), b"cd");
        assert_eq!(read(&joined, 1, 3).unwrap(), b"b\0\0");
    }
}
