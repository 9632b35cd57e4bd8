//! What was read of a file that nobody writes, kept: structures lie close together, and the same are read again and again.
//!
//! Someone may begin to write it all the same. What is kept then is old, and goes together; but it must not be joined by what comes
//! later. Every writer that lets readers in makes the file longer first: so its size is asked for after each page that is read, and
//! once it is another, nothing is kept any more.

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

    /// Bytes the file has, or had when the first page was read.
    pub(super) fn size(&self, storage: &dyn ReadAt) -> io::Result<u64> {
        if self.has_changed() {
            return storage.size();
        }
        if let Some(size) = self.kept().size {
            return Ok(size);
        }
        let size = storage.size()?;
        Ok(*self.kept().size.get_or_insert(size))
    }

    /// Whether someone was seen to write the file.
    pub(super) fn has_changed(&self) -> bool {
        self.changed.load(Ordering::Relaxed)
    }

    /// Fills `buf` from `at`.
    pub(super) fn read(&self, storage: &dyn ReadAt, buf: &mut [u8], at: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buf.len() {
            let from = at + done as u64;
            let Some(page) = self.page(storage, from / PAGE)? else { return storage.read_exact_at(buf, at) };
            let there = page.get((from % PAGE) as usize..).filter(|there| !there.is_empty());
            let there = there.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
            let len = there.len().min(buf.len() - done);
            buf[done..done + len].copy_from_slice(&there[..len]);
            done += len;
        }
        Ok(())
    }

    /// Forgets all: the file may have changed.
    pub(super) fn forget(&self) {
        *self.kept() = Kept::default();
    }

    /// A page; none if someone writes the file.
    fn page(&self, storage: &dyn ReadAt, number: u64) -> io::Result<Option<Arc<[u8]>>> {
        if self.has_changed() {
            return Ok(None);
        }
        if let Some(page) = self.kept().pages.get(&number) {
            return Ok(Some(page.clone()));
        }
        let size = self.size(storage)?;
        let mut bytes = vec![0; size.saturating_sub(number * PAGE).min(PAGE) as usize];
        let read = storage.read_exact_at(&mut bytes, number * PAGE);
        if storage.size()? != size {
            self.changed.store(true, Ordering::Relaxed);
            *self.kept() = Kept::default();
            return Ok(None);
        }
        read?;
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
        Ok(Some(page))
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
        let memory = Memory::from(vec![1; PAGE as usize + 100]);
        let pages = Pages::new();
        let read = |at| {
            let mut buf = [0; 4];
            pages.read(&memory, &mut buf, at).map(|()| buf[0])
        };
        assert_eq!(read(0).unwrap(), 1);
        memory.write_all_at(&[2; PAGE as usize + 101], 0).unwrap();
        // What is known is old, and goes with what is known besides.
        assert_eq!((read(0).unwrap(), pages.has_changed()), (1, false));
        assert_eq!((read(PAGE).unwrap(), pages.has_changed()), (2, true));
        memory.write_all_at(&[3; 4], 0).unwrap();
        assert_eq!((read(0).unwrap(), pages.size(&memory).unwrap()), (3, PAGE + 101));
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
