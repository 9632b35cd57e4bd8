//! The content of a simulated file, cheap to copy.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{Barrier, ReadAt, Storage, end_of, past_end};

/// The bytes that are read and reach the medium together.
pub const PAGE: usize = 4096;

/// A file's content at some moment. A reader can open it, and a writer can resume on it; a clone shares unchanged pages.
#[derive(Debug, Default)]
pub struct Image {
    pages: RwLock<Pages>,
}

impl Image {
    /// An empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// The whole content.
    pub fn to_vec(&self) -> Vec<u8> {
        let pages = self.read();
        let mut bytes = vec![0; pages.len as usize];
        pages.copy_out(&mut bytes, 0);
        bytes
    }

    /// The pages that hold anything, with their offsets; the last may reach beyond the end.
    pub fn held(&self) -> Vec<(u64, Arc<[u8; PAGE]>)> {
        let pages = self.read();
        let within = pages.pages.range(..pages.len.div_ceil(PAGE as u64));
        within.map(|(index, page)| (index * PAGE as u64, Arc::clone(page))).collect()
    }

    pub(super) fn pages(&self) -> Pages {
        self.read().clone()
    }

    fn read(&self) -> RwLockReadGuard<'_, Pages> {
        self.pages.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Pages> {
        self.pages.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Pages> for Image {
    fn from(pages: Pages) -> Self {
        Self { pages: RwLock::new(pages) }
    }
}

impl From<&[u8]> for Image {
    fn from(bytes: &[u8]) -> Self {
        let mut pages = Pages::default();
        pages.write(bytes, 0);
        Self::from(pages)
    }
}

impl Clone for Image {
    fn clone(&self) -> Self {
        Self::from(self.pages())
    }
}

impl ReadAt for Image {
    fn size(&self) -> io::Result<u64> {
        Ok(self.read().len)
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        self.read().read(buf, at)
    }
}

impl Storage for Image {
    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        end_of(at, buf.len())?;
        self.write().write(buf, at);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.write().set_len(len);
        Ok(())
    }

    fn barrier(&self, _: Barrier) -> io::Result<()> {
        Ok(())
    }
}

/// One page's bytes, shared by all who have them; nothing stands for zeros.
pub(super) type Page = Option<Arc<[u8; PAGE]>>;

/// The pages of a file, by their index, and its length. Pages not there are zeros, as is everything beyond the length.
#[derive(Debug, Clone, Default)]
pub(super) struct Pages {
    pages: BTreeMap<u64, Arc<[u8; PAGE]>>,
    len: u64,
}

impl Pages {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn page(&self, index: u64) -> Page {
        self.pages.get(&index).cloned()
    }

    /// Puts a page in its place. The caller sets the length afterwards.
    pub(super) fn put(&mut self, index: u64, page: Page) {
        match page {
            Some(page) => self.pages.insert(index, page),
            None => self.pages.remove(&index),
        };
    }

    pub(super) fn read(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        if at.checked_add(buf.len() as u64).is_none_or(|end| end > self.len) {
            return Err(past_end(at, buf.len(), self.len));
        }
        self.copy_out(buf, at);
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &[u8], at: u64) {
        for (index, within, part) in by_page(at, bytes.len()) {
            let page = self.pages.entry(index).or_insert_with(|| Arc::new([0; PAGE]));
            Arc::make_mut(page)[within].copy_from_slice(&bytes[part]);
        }
        if !bytes.is_empty() {
            self.len = self.len.max(at + bytes.len() as u64);
        }
    }

    /// Cuts or extends; returns the pages whose bytes that changed.
    pub(super) fn set_len(&mut self, len: u64) -> Vec<u64> {
        self.len = len;
        let cut = self.pages.split_off(&len.div_ceil(PAGE as u64));
        let mut changed: Vec<u64> = cut.into_keys().collect();
        let within = (len % PAGE as u64) as usize;
        if let Some(page) =
            self.pages.get_mut(&(len / PAGE as u64)).filter(|page| page[within..].iter().any(|byte| *byte != 0))
        {
            Arc::make_mut(page)[within..].fill(0);
            changed.push(len / PAGE as u64);
        }
        changed
    }

    fn copy_out(&self, buf: &mut [u8], at: u64) {
        for (index, within, part) in by_page(at, buf.len()) {
            copy_page(self.pages.get(&index).map(|page| &**page), within, &mut buf[part]);
        }
    }
}

/// Copies part of a page.
pub(super) fn copy_page(page: Option<&[u8; PAGE]>, within: Range<usize>, buf: &mut [u8]) {
    match page {
        Some(page) => buf.copy_from_slice(&page[within]),
        None => buf.fill(0),
    }
}

/// The pages that `len` bytes at `at` lie on: each page's index, the range within it, and the range among the bytes.
pub(super) fn by_page(at: u64, len: usize) -> impl DoubleEndedIterator<Item = (u64, Range<usize>, Range<usize>)> {
    const SIZE: u64 = PAGE as u64;
    let end = at + len as u64;
    let indices = if len == 0 { 0..0 } else { at / SIZE..(end - 1) / SIZE + 1 };
    indices.map(move |index| {
        let start = index * SIZE;
        let (first, last) = (at.max(start), end.min(start.saturating_add(SIZE)));
        ((index), (first - start) as usize..(last - start) as usize, (first - at) as usize..(last - at) as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;
    use crate::sim::Random;

    #[test]
    fn behaves_like_memory() {
        let mut random = Random::new(3);
        let (image, memory) = (Image::new(), Memory::new());
        let mut snapshots = Vec::new();
        for step in 0..500 {
            match random.below(4) {
                0 => {
                    let len = random.below(5 * PAGE) as u64;
                    image.set_len(len).unwrap();
                    memory.set_len(len).unwrap();
                }
                1 => snapshots.push((image.clone(), memory.to_vec())),
                _ => {
                    let bytes = vec![step as u8 | 1; random.below(2 * PAGE)];
                    let at = random.below(4 * PAGE) as u64;
                    image.write_all_at(&bytes, at).unwrap();
                    memory.write_all_at(&bytes, at).unwrap();
                }
            }
            assert_eq!(image.size().unwrap(), memory.size().unwrap());
            assert!(image.to_vec() == memory.to_vec(), "step {step}");
        }
        for (image, expected) in snapshots {
            assert!(image.to_vec() == expected);
            assert!(Image::from(&expected[..]).to_vec() == expected);
        }
        assert!(image.read_exact_at(&mut [0; 2], u64::MAX).is_err());
        assert!(image.write_all_at(&[0; 2], u64::MAX).is_err());
    }
}
