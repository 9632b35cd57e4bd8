//! What was read of a file that nobody writes, kept: structures lie close together, and the same are read again and again.
//!
//! Someone may begin to write it all the same. Every writer that lets readers in makes the file longer first, so its size is asked for
//! each time; once it is another, nothing is kept any more, for what was kept does not go with what is there now.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use h5live_storage::ReadAt;

/// Bytes of a page.
const PAGE: u64 = 16 << 10;
/// Pages kept at most: 16 MiB.
const MOST_PAGES: usize = 1024;

/// Pages of one file, and its size.
pub(super) struct Pages {
    kept: Mutex<Kept>,
    changed: AtomicBool,
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
        Self { kept: Mutex::default(), changed: AtomicBool::new(false) }
    }

    /// Bytes the file has.
    pub(super) fn size(&self, storage: &dyn ReadAt) -> io::Result<u64> {
        let size = storage.size()?;
        if !self.has_changed() {
            let mut kept = self.kept();
            if *kept.size.get_or_insert(size) != size {
                *kept = Kept::default();
                self.changed.store(true, Ordering::Relaxed);
            }
        }
        Ok(size)
    }

    /// Whether someone was seen to write the file.
    pub(super) fn has_changed(&self) -> bool {
        self.changed.load(Ordering::Relaxed)
    }

    /// Fills `buf` from `at`.
    pub(super) fn read(&self, storage: &dyn ReadAt, buf: &mut [u8], at: u64) -> io::Result<()> {
        let size = self.size(storage)?;
        if self.has_changed() {
            return storage.read_exact_at(buf, at);
        }
        let mut rest = buf;
        let mut at = at;
        while !rest.is_empty() {
            let page = self.page(storage, at / PAGE, size)?;
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

    fn page(&self, storage: &dyn ReadAt, number: u64, size: u64) -> io::Result<Arc<[u8]>> {
        if let Some(page) = self.kept().pages.get(&number) {
            return Ok(page.clone());
        }
        let left = size.saturating_sub(number * PAGE);
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
    fn nothing_is_kept_of_a_file_that_grows() {
        let memory = Memory::from(vec![1; 100]);
        let pages = Pages::new();
        let read = || {
            let mut buf = [0; 4];
            pages.read(&memory, &mut buf, 0).map(|()| buf[0])
        };
        assert_eq!((read().unwrap(), pages.has_changed()), (1, false));
        memory.write_all_at(&[2; 101], 0).unwrap();
        assert_eq!((read().unwrap(), pages.has_changed()), (2, true));
        memory.write_all_at(&[3; 101], 0).unwrap();
        assert_eq!(read().unwrap(), 3);
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
