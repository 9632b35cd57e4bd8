//! Reading structures: bytes at an address, decoded, read again while they look torn, and never more than is there.

mod nodes;
mod pages;

use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use h5live_filter::Registry;
use h5live_format::{Addr, Malformed, Why, Widths};
use h5live_storage::ReadAt;

pub(crate) use self::nodes::Look;
use self::nodes::Nodes;
use self::pages::Pages;
use crate::error::{Error, ErrorKind, Result};

/// How long a structure that fails its checksum is read again. Only a torn read is worth patience: everything else that
/// is wrong with a structure is an error at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience(pub(crate) Duration);

impl Patience {
    /// For files nobody writes: what is wrong stays wrong.
    pub(crate) const NONE: Self = Self(Duration::ZERO);
    /// For files that may be written to, which those are not that fuzzing makes.
    pub(crate) const LIVE: Self = Self(if cfg!(fuzzing) { Duration::from_nanos(1) } else { Duration::from_secs(1) });
}

/// The bytes of a file by HDF5 address.
#[derive(Clone)]
pub(crate) struct Source {
    storage: Arc<dyn ReadAt>,
    base: u64,
    widths: Widths,
    patience: Patience,
    /// How often in a row waiting was in vain: each time halves what is waited for the next, so that a file with many
    /// damaged structures does not take the whole time for each.
    in_vain: Arc<AtomicU32>,
    filters: Arc<Registry>,
    /// What was read of structures, where those do not change.
    pages: Option<Arc<Pages>>,
    /// Nodes of indexes as each look found them.
    nodes: Option<Arc<Nodes>>,
    /// Whether this process changes nodes of indexes in place.
    changes_nodes: bool,
}

/// The filters of files that bring none of their own.
static FILTERS: LazyLock<Arc<Registry>> = LazyLock::new(Arc::default);

impl Source {
    /// Address 0 is at offset `base` of `storage`.
    pub(crate) fn new(storage: Arc<dyn ReadAt>, base: u64, widths: Widths, patience: Patience) -> Self {
        Self {
            storage,
            base,
            widths,
            patience,
            in_vain: Arc::default(),
            filters: FILTERS.clone(),
            pages: None,
            nodes: None,
            changes_nodes: true,
        }
    }

    /// The same bytes, whose filters are found elsewhere.
    pub(crate) fn with_filters(self, filters: Arc<Registry>) -> Self {
        Self { filters, ..self }
    }

    /// The filters that are known.
    pub(crate) fn filters(&self) -> &Arc<Registry> {
        &self.filters
    }

    /// The same, with structures kept that were read: for files that nobody writes.
    pub(crate) fn keeping(mut self) -> Self {
        self.pages = Some(Arc::new(Pages::new()));
        self
    }

    /// The same, with nodes of indexes kept that were decoded; if this process writes the file, only those that it does not
    /// change in place.
    pub(crate) fn keeping_nodes(self, writes: bool) -> Self {
        Self { nodes: Some(Arc::default()), changes_nodes: writes, ..self }
    }

    /// A look at an index whose nodes change in place.
    pub(crate) fn look(&self) -> Look {
        if self.changes_nodes { Look::PASSING } else { Look::new() }
    }

    /// Whether structures that were read are kept.
    pub(crate) fn is_keeping(&self) -> bool {
        self.pages.is_some()
    }

    /// Forgets what was kept: the file may have changed after all.
    pub(crate) fn forget(&self) {
        if let Some(pages) = &self.pages {
            pages.forget();
        }
    }

    /// Field widths of the file.
    pub(crate) fn widths(&self) -> Widths {
        self.widths
    }

    /// The file offset of address 0.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Whether what looks torn is read again: others may write to the file.
    pub(crate) fn is_patient(&self) -> bool {
        self.full_patience() != Patience::NONE
    }

    fn full_patience(&self) -> Patience {
        match &self.pages {
            Some(pages) if pages.has_changed() => Patience::LIVE,
            _ => self.patience,
        }
    }

    /// How long what looks torn is read again.
    pub(crate) fn patience(&self) -> Patience {
        let halved = self.in_vain.load(Ordering::Relaxed).min(16);
        Patience(self.full_patience().0 / (1 << halved))
    }

    /// Bytes from address 0 to the end of the file.
    pub(crate) fn size(&self) -> Result<u64> {
        let size = match &self.pages {
            Some(pages) => pages.size(&self.storage),
            None => self.storage.size(),
        };
        let size = size.map_err(|source| Error::io("find the file's size", source))?;
        Ok(size.saturating_sub(self.base))
    }

    /// `len` bytes of the structure `what` at `addr`. A length the file does not have is refused before anything is
    /// allocated for it.
    pub(crate) fn bytes(&self, what: &'static str, addr: Addr, len: u64) -> Result<Vec<u8>> {
        self.require(what, addr, len)?;
        let mut bytes = vec![0; len as usize];
        match &self.pages {
            Some(pages) if len <= Pages::LONGEST => {
                self.fill(what, addr, &mut bytes, |buf, at| pages.read(&self.storage, buf, at))?;
            }
            _ => self.read_into(what, addr, &mut bytes)?,
        }
        Ok(bytes)
    }

    /// Up to `len` bytes at `addr`, fewer at the end of the file.
    pub(crate) fn bytes_up_to(&self, what: &'static str, addr: Addr, len: u64) -> Result<Vec<u8>> {
        let left = self.size()?.saturating_sub(addr.0);
        self.bytes(what, addr, len.min(left))
    }

    /// As [`Source::bytes_up_to`], but only as many as a writer has in memory, if it has so much as `least` of them there.
    pub(crate) fn bytes_at_hand(&self, what: &'static str, addr: Addr, least: u64, len: u64) -> Result<Vec<u8>> {
        let at_hand = self.base.checked_add(addr.0).and_then(|at| self.storage.at_hand(at));
        self.bytes_up_to(what, addr, at_hand.filter(|bytes| *bytes >= least).map_or(len, |bytes| bytes.min(len)))
    }

    /// Like [`Source::bytes`], into a buffer that is used again and again: it is made as long as needed.
    pub(crate) fn bytes_into(&self, what: &'static str, addr: Addr, len: u64, buf: &mut Vec<u8>) -> Result<()> {
        self.require(what, addr, len)?;
        buf.resize(len as usize, 0);
        self.read_into(what, addr, buf)
    }

    /// Fills `buf` from `addr`: for elements, which are not kept.
    pub(crate) fn read_into(&self, what: &'static str, addr: Addr, buf: &mut [u8]) -> Result<()> {
        self.fill(what, addr, buf, |buf, at| self.storage.read_exact_at(buf, at))
    }

    fn fill(
        &self,
        what: &'static str,
        addr: Addr,
        buf: &mut [u8],
        read: impl FnOnce(&mut [u8], u64) -> std::io::Result<()>,
    ) -> Result<()> {
        let len = buf.len() as u64;
        match self.base.checked_add(addr.0) {
            Some(at) => read(buf, at).map_err(|source| match source.kind() {
                std::io::ErrorKind::UnexpectedEof => self.beyond(what, addr, len),
                _ => Error::io("read the file", source),
            }),
            None => Err(self.beyond(what, addr, len)),
        }
    }

    /// Reads and decodes a structure of `len` bytes, again while it looks torn and patience lasts.
    pub(crate) fn block<T>(
        &self,
        what: &'static str,
        addr: Addr,
        len: u64,
        decode: impl Fn(&[u8]) -> h5live_format::Result<T>,
    ) -> Result<T> {
        self.patiently(|| Ok(decode(&self.bytes(what, addr, len)?)?))
    }

    /// A node of an index as it was when the look had it decoded first, where nodes are kept. `found` are the look, and what
    /// the node's parent says of it; `read` tells its bytes in the file, too.
    pub(crate) fn node<T: Any + Send + Sync>(
        &self,
        found: (Look, u64),
        addr: Addr,
        read: impl FnOnce() -> Result<(T, u64)>,
    ) -> Result<Arc<T>> {
        match &self.nodes {
            Some(nodes) if found.0 != Look::PASSING => nodes.get((found.0, addr, found.1), read),
            _ => read().map(|(node, _)| Arc::new(node)),
        }
    }

    /// As [`Source::block`], for such a node.
    pub(crate) fn node_block<T: Any + Send + Sync>(
        &self,
        found: (Look, u64),
        what: &'static str,
        addr: Addr,
        len: u64,
        decode: impl Fn(&[u8]) -> h5live_format::Result<T>,
    ) -> Result<Arc<T>> {
        self.node(found, addr, || Ok((self.block(what, addr, len, decode)?, len)))
    }

    /// Runs `read` again while it fails with what may be a torn read and patience lasts.
    pub(crate) fn patiently<T>(&self, mut read: impl FnMut() -> Result<T>) -> Result<T> {
        let mut tries = 1;
        let mut since = None;
        loop {
            let error = match read() {
                Err(error) if error.may_be_torn() => error,
                other => {
                    if tries > 1 {
                        self.in_vain.store(0, Ordering::Relaxed);
                    }
                    return other;
                }
            };
            let waited = since.get_or_insert_with(Instant::now).elapsed();
            if waited >= self.patience().0 {
                self.in_vain.fetch_add(1, Ordering::Relaxed);
                return Err(match error.kind() {
                    ErrorKind::Malformed(structure) if tries > 1 => Error::new(ErrorKind::Unstable {
                        structure: structure.clone(),
                        tries,
                        waited_ms: waited.as_millis() as u64,
                    }),
                    _ => error,
                });
            }
            // A torn read lasts as long as one copy between kernel and program: at first it is enough to yield.
            if tries < 100 {
                std::thread::yield_now()
            } else {
                std::thread::sleep(Duration::from_micros(200))
            }
            tries += 1;
        }
    }

    fn require(&self, what: &'static str, addr: Addr, len: u64) -> Result<()> {
        let size = self.size()?;
        if addr.0.checked_add(len).is_none_or(|end| end > size) {
            return Err(self.beyond(what, addr, len));
        }
        Ok(())
    }

    fn beyond(&self, what: &'static str, addr: Addr, needed: u64) -> Error {
        let left = self.size().unwrap_or(0).saturating_sub(addr.0);
        Malformed { what, at: addr.0, why: Why::Truncated { field: "block", needed, left } }.into()
    }
}
