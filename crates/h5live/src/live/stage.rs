//! A publication: writes as data, until [`Stage::publish`] performs them layer by layer.
//!
//! This is the only place of the library that writes to a file. There are two kinds of write. *Fresh* bytes go to space
//! that nothing names ([`Stage::fresh`]). *Live* blocks can be reached by readers: only the kinds in [`LiveBlock`] may
//! change, each within one page and up to its own checksum ([`Stage::edit`]).
//!
//! Reading through the stage shows the file as it will be after the publication, so that planning code reads what it
//! planned before.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use h5live_format::{Addr, Malformed, Why, lookup3};
use h5live_storage::{Barrier, ReadAt, Storage};

use super::layer::{Layer, LiveBlock};
use super::space::crosses_page;
use crate::error::{Error, ErrorKind, Result};

/// Fresh bytes held back at most; more are written at once, since nothing names them.
const HELD: usize = 4 << 20;
/// Bytes of neighbouring fresh blocks written in one call at most.
const JOIN: usize = 1 << 20;
/// Published blocks remembered at most.
const KNOWN: usize = 8192;

/// The writes of the publication under way, over the storage they will go to.
pub(crate) struct Stage {
    storage: Arc<dyn Storage>,
    base: u64,
    blocks: RwLock<Blocks>,
    watched: AtomicBool,
    used: AtomicU64,
    /// Up to here (an address) the storage has been asked to find room.
    allocated: AtomicU64,
    /// Bytes were written ahead of the publication: a barrier must still part them from what will count on them.
    ahead: AtomicBool,
    /// Why a sync failed: what it covered may be lost, and later ones do not tell.
    sync_failed: OnceLock<String>,
    /// Something staged takes the place of what was published before, or names structures that are new.
    replaces: AtomicBool,
}

#[derive(Default)]
struct Blocks {
    by_addr: BTreeMap<u64, Block>,
    fresh_bytes: usize,
    /// Live blocks as they were published: nobody else changes them, so they need not be read again.
    known: BTreeMap<u64, Vec<u8>>,
}

struct Block {
    image: Vec<u8>,
    /// First byte that differs from the file.
    from: usize,
    /// End of what is written: past the checksum, or, where that stays what it is, past what else changes.
    to: usize,
    layer: Layer,
    /// The same block once more, for the sweep that follows: what others of this publication rely on stays in `image`.
    swept: Option<Swept>,
}

/// What the sweep makes of a block.
struct Swept {
    image: Vec<u8>,
    from: usize,
}

impl Block {
    fn new(image: Vec<u8>, from: usize, layer: Layer) -> Self {
        let to = image.len();
        Self { image, from, to, layer, swept: None }
    }

    /// The block as it will be after the publication.
    fn outcome(&self) -> &[u8] {
        self.swept.as_ref().map_or(&self.image, |swept| &swept.image)
    }

    /// What `layer` writes of the block: from which byte on, and the bytes.
    fn part(&self, layer: Layer) -> Option<(usize, &[u8])> {
        match &self.swept {
            Some(swept) if layer == Layer::Sweep => Some((swept.from, &swept.image[swept.from..])),
            _ if layer == self.layer => Some((self.from, &self.image[self.from..self.to])),
            _ => None,
        }
    }

    /// Changes `range`, a block of its own or all of this one. Tells the first byte that will be written. While readers
    /// watch, a sweep is kept apart from what comes before it.
    fn change(
        &mut self,
        kind: LiveBlock,
        watched: bool,
        range: Range<usize>,
        change: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Option<usize> {
        let layer = kind.layer();
        let ordered = watched && self.layer != Layer::Fresh;
        if ordered && layer == Layer::Sweep && (self.swept.is_some() || self.layer < Layer::Sweep) {
            let mut image = self.outcome().to_vec();
            let first = reseal(&mut image[range.clone()], change)?;
            let from = self.swept.as_ref().map_or(usize::MAX, |swept| swept.from).min(range.start + first);
            self.swept = Some(Swept { image, from });
            return Some(from);
        }
        debug_assert!(self.swept.is_none(), "a change on top of a sweep: `Stage::is_swept` was not asked");
        let first = reseal(&mut self.image[range.clone()], change)?;
        self.from = self.from.min(range.start + first);
        self.to = self.image.len();
        if self.layer != Layer::Fresh {
            self.layer = self.layer.max(layer);
        }
        Some(self.from)
    }

    fn end(&self, addr: u64) -> u64 {
        addr + self.image.len() as u64
    }
}

impl Stage {
    /// Nothing staged, over `storage`, in which HDF5 address 0 lies at `base`.
    pub(crate) fn new(storage: Arc<dyn Storage>, base: u64) -> Self {
        Self {
            storage,
            base,
            blocks: RwLock::default(),
            watched: AtomicBool::new(false),
            used: AtomicU64::new(0),
            allocated: AtomicU64::new(0),
            ahead: AtomicBool::new(false),
            sync_failed: OnceLock::new(),
            replaces: AtomicBool::new(false),
        }
    }

    /// The storage beneath.
    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// From now on readers may look: a change that crosses a page is refused.
    pub(crate) fn readers_may_look(&self) {
        self.watched.store(true, Ordering::Relaxed);
    }

    /// Tells how far space has been handed out: up to there, what the file does not hold yet reads as zeros.
    pub(crate) fn handed_out(&self, used: u64) {
        self.used.store(used, Ordering::Relaxed);
    }

    /// Lets the storage find room for the `len` bytes at `addr`, which will be written, and for `ahead` bytes more, unless it has.
    /// One that cannot is not asked again: then room is found write by write.
    pub(crate) fn allocate(&self, addr: Addr, len: u64, ahead: u64) {
        let (end, allocated) = (addr.0 + len, self.allocated.load(Ordering::Relaxed));
        if end > allocated {
            let start = addr.0.max(allocated);
            let found = self.storage.allocate(self.base + start, end + ahead - start);
            self.allocated.store(if found.is_ok() { end + ahead } else { u64::MAX }, Ordering::Relaxed);
        }
    }

    /// Whether the publication does more than add elements: should part of it be lost with the power, what was published before it
    /// might be lost with it.
    pub(crate) fn replaces(&self) -> bool {
        self.replaces.load(Ordering::Relaxed)
    }

    /// Notes that bytes were written past the stage, on which what is staged counts.
    pub(crate) fn written_ahead(&self) {
        self.ahead.store(true, Ordering::Relaxed);
    }

    /// Stages a new block of structure at an address that nothing names.
    pub(crate) fn fresh(&self, addr: Addr, image: Vec<u8>) -> Result<()> {
        self.replaces.store(true, Ordering::Relaxed);
        self.fresh_data(addr, image)
    }

    /// Stages a new block that none but new elements will name.
    pub(crate) fn fresh_data(&self, addr: Addr, image: Vec<u8>) -> Result<()> {
        let mut blocks = self.write_blocks();
        blocks.known.remove(&addr.0);
        blocks.fresh_bytes += image.len();
        blocks.by_addr.insert(addr.0, Block::new(image, 0, Layer::Fresh));
        if blocks.fresh_bytes > HELD {
            self.spill(&mut blocks, &[Layer::Fresh])?;
        }
        Ok(())
    }

    /// Writes what is fresh, and the end-of-file that covers it, ahead of the rest.
    pub(crate) fn flush_fresh(&self) -> Result<()> {
        self.spill(&mut self.write_blocks(), &[Layer::Fresh, Layer::EndOfFile])
    }

    fn spill(&self, blocks: &mut Blocks, layers: &[Layer]) -> Result<()> {
        self.ahead.store(true, Ordering::Relaxed);
        for layer in layers {
            self.write_layer(blocks, *layer)?;
        }
        blocks.by_addr.retain(|_, block| !layers.contains(&block.layer));
        blocks.fresh_bytes = 0;
        Ok(())
    }

    /// Writes raw data to space that no extent and no index counts yet, or over data of the same kind, at once.
    pub(crate) fn raw(&self, addr: Addr, bytes: &[u8]) -> Result<()> {
        self.ahead.store(true, Ordering::Relaxed);
        self.storage.write_all_at(bytes, self.base + addr.0).map_err(|source| Error::io("write raw data", source))
    }

    /// Changes the block of `len` bytes at `addr` as [`Stage::edit_adding`] does, in a way that may take from readers what they see now.
    pub(crate) fn edit(
        &self,
        kind: LiveBlock,
        addr: Addr,
        len: usize,
        change: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<()> {
        self.replaces.store(true, Ordering::Relaxed);
        self.edit_adding(kind, addr, len, change)
    }

    /// Changes the block of `len` bytes at `addr`, only adding to what can be found by it: `change` gets all bytes but the checksum and tells the first that it
    /// touched (or none). The checksum that was there must hold; the new one is set here.
    ///
    /// While readers may look, what changes must lie in one page, or a crash could leave half of it: a block that was
    /// placed otherwise is refused with [`Error`], unless it is still fresh.
    pub(crate) fn edit_adding(
        &self,
        kind: LiveBlock,
        addr: Addr,
        len: usize,
        change: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<()> {
        let mut blocks = self.write_blocks();
        if let Some((start, block)) = blocks.containing(addr.0, len) {
            let offset = (addr.0 - start) as usize;
            let watched = self.watched.load(Ordering::Relaxed);
            let first = block.change(kind, watched, offset..offset + len, change);
            if let (Some(first), false) = (first, block.layer == Layer::Fresh) {
                self.require_one_page(kind, start + first as u64, block.image.len() - first)?;
            }
            return Ok(());
        }
        let mut image = match blocks.known.remove(&addr.0) {
            Some(known) if known.len() == len => known,
            _ => {
                let mut image = vec![0; len];
                self.storage
                    .read_exact_at(&mut image, self.base + addr.0)
                    .map_err(|source| Error::io("read a block to change it", source))?;
                verify(kind, addr, &image)?;
                image
            }
        };
        match reseal(&mut image, change) {
            Some(first) => {
                self.require_one_page(kind, addr.0 + first as u64, len - first)?;
                blocks.by_addr.insert(addr.0, Block::new(image, first, kind.layer()));
            }
            None => blocks.remember(addr.0, image),
        }
        Ok(())
    }

    /// Replaces the start of the block of `len` bytes at `addr`, which nothing has changed in this publication. Its checksum must hold
    /// as it is: so nothing but `start` is written.
    pub(crate) fn replace_start(&self, kind: LiveBlock, addr: Addr, len: usize, start: &[u8]) -> Result<()> {
        let mut image = vec![0; len];
        self.storage
            .read_exact_at(&mut image, self.base + addr.0)
            .map_err(|source| Error::io("read a block to change it", source))?;
        image[..start.len()].copy_from_slice(start);
        verify(kind, addr, &image)?;
        self.require_one_page(kind, addr.0, start.len())?;
        let mut blocks = self.write_blocks();
        blocks.known.remove(&addr.0);
        debug_assert!(blocks.containing(addr.0, len).is_none(), "a block that keeps its checksum is changed once");
        self.replaces.store(true, Ordering::Relaxed);
        let to = start.len();
        blocks.by_addr.insert(addr.0, Block { to, ..Block::new(image, 0, kind.layer()) });
        Ok(())
    }

    /// Stages bytes that are no HDF5 structure: part of the live trailer. `at` is absolute.
    pub(crate) fn record(&self, layer: Layer, at: u64, image: Vec<u8>) {
        self.write_blocks().by_addr.insert(at - self.base, Block::new(image, 0, layer));
    }

    /// Whether the block at `addr` has been swept in this publication. Whatever else changes in it would have to come
    /// before that, and after it.
    pub(crate) fn is_swept(&self, addr: Addr, len: usize) -> bool {
        let mut blocks = self.write_blocks();
        let found = blocks.containing(addr.0, len);
        found.is_some_and(|(_, block)| block.swept.is_some() || block.layer == Layer::Sweep)
    }

    /// Whether the block at `addr` is staged and was never written: nobody can have seen it.
    pub(crate) fn is_fresh(&self, addr: Addr) -> bool {
        let blocks = self.read_blocks();
        let before = blocks.by_addr.range(..=addr.0).next_back();
        before.is_some_and(|(start, block)| block.layer == Layer::Fresh && block.end(*start) > addr.0)
    }

    /// Whether nothing is staged.
    pub(crate) fn is_empty(&self) -> bool {
        self.read_blocks().by_addr.is_empty()
    }

    /// Performs what is staged, layer by layer, with a barrier after each that wrote something. After an error the
    /// publication is still staged as a whole and may be tried again: every write in it can be repeated.
    pub(crate) fn publish(&self, barrier: Barrier) -> Result<()> {
        self.require_barrier(barrier)?;
        let mut blocks = self.write_blocks();
        for layer in Layer::ALL {
            let wrote = self.write_layer(&blocks, layer)?;
            if wrote || layer == Layer::Fresh && self.ahead.load(Ordering::Relaxed) {
                self.barrier(barrier)?;
                self.ahead.store(false, Ordering::Relaxed);
            }
        }
        // One by one: a map that is emptied in place need not be made again for the next publication.
        while let Some((addr, block)) = blocks.by_addr.pop_first() {
            if !matches!(block.layer, Layer::Fresh | Layer::Commit) && addr < self.used.load(Ordering::Relaxed) {
                blocks.remember(addr, block.swept.map_or(block.image, |swept| swept.image));
            }
        }
        blocks.fresh_bytes = 0;
        self.replaces.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Parts what was written from what will be.
    pub(crate) fn barrier(&self, barrier: Barrier) -> Result<()> {
        self.require_barrier(barrier)?;
        self.storage.barrier(barrier).map_err(|source| {
            if barrier == Barrier::Durable {
                // The first failure is the one that matters.
                let _ = self.sync_failed.set(source.to_string());
            }
            Error::io("settle what was written", source)
        })
    }

    /// Refuses what cannot be promised any more.
    fn require_barrier(&self, barrier: Barrier) -> Result<()> {
        match self.sync_failed.get() {
            Some(why) if barrier == Barrier::Durable => Err(Error::new(ErrorKind::NotDurable { why: why.clone() })),
            _ => Ok(()),
        }
    }

    /// Whether nothing more can be made durable.
    pub(crate) fn cannot_settle(&self) -> bool {
        self.sync_failed.get().is_some()
    }

    /// Gives up what is staged at file offset `at` or above: a record that was not published, at a place that may change.
    pub(crate) fn forget_from(&self, at: u64) {
        self.write_blocks().by_addr.split_off(&(at - self.base));
    }

    /// Writes the blocks of one layer; neighbours go in one call. Tells whether there were any.
    fn write_layer(&self, blocks: &Blocks, layer: Layer) -> Result<bool> {
        let mut joined: Vec<u8> = Vec::new();
        let mut joined_at = 0;
        let mut any = false;
        for (addr, block) in &blocks.by_addr {
            let Some((from, bytes)) = block.part(layer) else { continue };
            any = true;
            let at = addr + from as u64;
            let follows = !joined.is_empty() && joined_at + joined.len() as u64 == at && layer == Layer::Fresh;
            if follows && joined.len() + bytes.len() <= JOIN {
                joined.extend_from_slice(bytes);
                continue;
            }
            self.write(joined_at, &joined)?;
            if layer == Layer::Fresh {
                joined.clear();
                joined.extend_from_slice(bytes);
                joined_at = at;
            } else {
                self.write(at, bytes)?;
            }
        }
        self.write(joined_at, &joined)?;
        Ok(any)
    }

    fn write(&self, addr: u64, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.storage.write_all_at(bytes, self.base + addr).map_err(|source| Error::io("write a publication", source))
    }

    fn require_one_page(&self, kind: LiveBlock, addr: u64, len: usize) -> Result<()> {
        if self.watched.load(Ordering::Relaxed) && crosses_page(self.base + addr, len as u64) {
            return Err(Error::new(ErrorKind::NotLive {
                reason: format!("a {kind:?} at {addr:#x} would change across a page boundary"),
            }));
        }
        Ok(())
    }

    fn read_blocks(&self) -> RwLockReadGuard<'_, Blocks> {
        self.blocks.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_blocks(&self) -> RwLockWriteGuard<'_, Blocks> {
        self.blocks.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Requires the last four bytes of a block to be its checksum.
fn verify(kind: LiveBlock, addr: Addr, image: &[u8]) -> Result<()> {
    let (body, sum) = image.split_at(image.len() - 4);
    let stored = u32::from_le_bytes([sum[0], sum[1], sum[2], sum[3]]);
    let computed = lookup3(body);
    if stored == computed {
        return Ok(());
    }
    Err(Malformed { what: kind.name(), at: addr.0, why: Why::Checksum { stored, computed } }.into())
}

/// Applies `change` to a block and sets its checksum.
fn reseal(image: &mut [u8], change: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<usize> {
    let body = image.len() - 4;
    let first = change(&mut image[..body])?;
    seal(image);
    Some(first)
}

/// Sets the checksum, the last four bytes, of a block.
fn seal(image: &mut [u8]) {
    let (body, sum) = image.split_at_mut(image.len() - 4);
    sum.copy_from_slice(&lookup3(body).to_le_bytes());
}

impl Blocks {
    /// Keeps a live block as it is in the file now.
    fn remember(&mut self, addr: u64, image: Vec<u8>) {
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.insert(addr, image);
    }

    /// Bytes of a remembered block, if all of them are in it.
    fn recall(&self, start: u64, buf: &mut [u8]) -> bool {
        let Some((addr, image)) = self.known.range(..=start).next_back() else { return false };
        let offset = (start - addr) as usize;
        match image.get(offset..offset + buf.len()) {
            Some(bytes) => {
                buf.copy_from_slice(bytes);
                true
            }
            None => false,
        }
    }

    /// The staged block that holds all of `len` bytes at `addr`.
    fn containing(&mut self, addr: u64, len: usize) -> Option<(u64, &mut Block)> {
        let (start, block) = self.by_addr.range_mut(..=addr).next_back()?;
        (addr + len as u64 <= block.end(*start)).then_some((*start, block))
    }

    /// The staged blocks that touch `start..end`.
    fn touching(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, &Block)> {
        let before = self.by_addr.range(..start).next_back();
        let within = self.by_addr.range(start..end);
        before.into_iter().chain(within).filter(move |(addr, block)| block.end(**addr) > start).map(|(a, b)| (*a, b))
    }
}

impl ReadAt for Stage {
    fn size(&self) -> io::Result<u64> {
        // Nothing above is anybody's: the lead, and the trailer.
        Ok(self.base + self.used.load(Ordering::Relaxed))
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        let blocks = self.read_blocks();
        let start = at.saturating_sub(self.base);
        let end = start + buf.len() as u64;
        let mut whole = false;
        for (addr, block) in blocks.touching(start, end) {
            whole |= addr <= start && block.end(addr) >= end;
        }
        if !whole && !blocks.recall(start, buf) {
            self.read_beneath(buf, at)?;
        }
        for (addr, block) in blocks.touching(start, end) {
            let (from, to) = (addr.max(start), block.end(addr).min(end));
            buf[(from - start) as usize..(to - start) as usize]
                .copy_from_slice(&block.outcome()[(from - addr) as usize..(to - addr) as usize]);
        }
        Ok(())
    }

    fn at_hand(&self, at: u64) -> Option<u64> {
        let blocks = self.read_blocks();
        let start = at.saturating_sub(self.base);
        let (addr, block) = blocks.by_addr.range(..=start).next_back()?;
        block.end(*addr).checked_sub(start).filter(|left| *left > 0)
    }
}

impl Stage {
    /// What the file holds; zeros where space was handed out beyond its present end.
    fn read_beneath(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        match self.storage.read_exact_at(buf, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                if at + buf.len() as u64 > self.base + self.used.load(Ordering::Relaxed) {
                    return Err(error);
                }
                let there = self.storage.size()?.saturating_sub(at).min(buf.len() as u64) as usize;
                let (held, beyond) = buf.split_at_mut(there);
                beyond.fill(0);
                if held.is_empty() { Ok(()) } else { self.storage.read_exact_at(held, at) }
            }
            other => other,
        }
    }
}
