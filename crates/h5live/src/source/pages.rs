//! What was read of a file that nobody writes, kept: structures lie close together, and the same are read again and again.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use h5live_storage::ReadAt;

/// Bytes of a page.
const PAGE: u64 = 16 << 10;
/// Pages kept at most: 16 MiB.
const MOST_PAGES: usize = 1024;

/// Pages of one file, and its size. Only for bytes that do not change.
pub(super) struct Pages {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    size: Option<u64>,
    pages: HashMap<u64, Arc<[u8]>>,
    /// The numbers of the pages, the oldest first.
    order: VecDeque<u64>,
}

impl Pages {
    /// The longest read that is worth keeping, in bytes.
    pub(super) const LONGEST: u64 = 1 << 20;

    pub(super) fn new() -> Self {
        Self { kept: Mutex::default() }
    }

    /// Bytes the file has.
    pub(super) fn size(&self, storage: &dyn ReadAt) -> io::Result<u64> {
        if let Some(size) = self.kept().size {
            return Ok(size);
        }
        let size = storage.size()?;
        self.kept().size = Some(size);
        Ok(size)
    }

    /// Fills `buf` from `at`.
    pub(super) fn read(&self, storage: &dyn ReadAt, buf: &mut [u8], at: u64) -> io::Result<()> {
        let mut rest = buf;
        let mut at = at;
        while !rest.is_empty() {
            let page = self.page(storage, at / PAGE)?;
            let start = (at % PAGE) as usize;
            let there = page.get(start..).filter(|there| !there.is_empty());
            let there = there.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
            let len = there.len().min(rest.len());
            let (now, after) = std::mem::take(&mut rest).split_at_mut(len);
            now.copy_from_slice(&there[..len]);
            rest = after;
            at += len as u64;
        }
        Ok(())
    }

    /// Forgets all: the file may have changed.
    pub(super) fn forget(&self) {
        *self.kept() = Kept::default();
    }

    fn page(&self, storage: &dyn ReadAt, number: u64) -> io::Result<Arc<[u8]>> {
        if let Some(page) = self.kept().pages.get(&number) {
            return Ok(page.clone());
        }
        let left = self.size(storage)?.saturating_sub(number * PAGE);
        let mut bytes = vec![0; left.min(PAGE) as usize];
        storage.read_exact_at(&mut bytes, number * PAGE)?;
        let page: Arc<[u8]> = bytes.into();
        let mut kept = self.kept();
        if kept.pages.insert(number, page.clone()).is_none() {
            kept.order.push_back(number);
        }
        if kept.order.len() > MOST_PAGES
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.pages.remove(&oldest);
        }
        Ok(page)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use h5live_storage::{Memory, Metered, Storage};

    #[test]
    fn what_was_read_is_not_read_again_until_it_is_forgotten() {
        let memory = Memory::new();
        let bytes: Vec<u8> = (0..PAGE * 3 + 100).map(|at| (at % 251) as u8).collect();
        memory.write_all_at(&bytes, 0).unwrap();
        let metered = Metered::new(memory);
        let pages = Pages::new();
        for (at, len) in [(0, 10), (5, 20), (PAGE - 3, 6), (PAGE * 3 - 1, 101), (0, bytes.len() as u64)] {
            let mut buf = vec![0; len as usize];
            pages.read(&metered, &mut buf, at).unwrap();
            assert_eq!(buf, bytes[at as usize..(at + len) as usize]);
        }
        assert_eq!(metered.counts().reads, 4);
        let beyond = pages.read(&metered, &mut [0; 2], bytes.len() as u64 - 1);
        assert_eq!(beyond.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        metered.write_all_at(&[9; 4], 0).unwrap();
        let mut buf = [0; 4];
        pages.read(&metered, &mut buf, 0).unwrap();
        assert_eq!(buf, bytes[..4]);
        pages.forget();
        pages.read(&metered, &mut buf, 0).unwrap();
        assert_eq!(buf, [9; 4]);
    }

    #[test]
    fn only_so_many_are_kept() {
        let memory = Memory::new();
        memory.set_len(PAGE * (MOST_PAGES as u64 + 10)).unwrap();
        let pages = Pages::new();
        for number in 0..MOST_PAGES as u64 + 10 {
            pages.read(&memory, &mut [0], number * PAGE).unwrap();
        }
        let kept = pages.kept();
        assert_eq!((kept.pages.len(), kept.order.len()), (MOST_PAGES, MOST_PAGES));
    }
}
