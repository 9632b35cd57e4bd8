//! Chunked storage: the index of a dataset, whichever it is, and every chunk it names.

use std::cell::Cell;
use std::collections::HashSet;

use h5live_format::array_element::{ElementForm, StoredChunk};
use h5live_format::message::{ChunkIndex, Chunked};
use h5live_format::{Addr, Cursor};

use super::owners::Use;
use super::report::Severity;
use super::walk::Walk;
use crate::chunk::grid::Grid;
use crate::dataset::Meta;
use crate::error::ErrorKind;

const CHUNK: &str = "chunk";
/// Chunks between two signs of progress.
const TICK: u64 = 1024;

/// The chunks of one dataset.
pub(super) struct Chunks<'c> {
    pub(super) layout: &'c Chunked,
    pub(super) grid: &'c Grid,
    pub(super) dims: &'c [u64],
    meta: &'c Meta,
    /// Whether every chunk of the extent has to be stored.
    must_be_there: bool,
    inside: Cell<u64>,
    beyond: Cell<u64>,
    /// Whether it was told that the filters are not all known.
    unknown_told: Cell<bool>,
}

impl<'c> Chunks<'c> {
    pub(super) fn new(
        layout: &'c Chunked,
        grid: &'c Grid,
        dims: &'c [u64],
        meta: &'c Meta,
        must_be_there: bool,
    ) -> Self {
        Self {
            layout,
            grid,
            dims,
            meta,
            must_be_there,
            inside: Cell::new(0),
            beyond: Cell::new(0),
            unknown_told: Cell::new(false),
        }
    }

    /// Looks at the index and all chunks.
    pub(super) fn look(&self, walk: &mut Walk<'_>, header: Addr) {
        let Some(addr) = self.layout.addr else { return self.require(walk, header) };
        match self.layout.index {
            ChunkIndex::BTreeV1 => walk.chunk_tree_v1(addr, self),
            ChunkIndex::Single { filtered } => {
                let plain = StoredChunk { addr, size: self.grid.chunk_bytes, filter_mask: 0 };
                let stored = filtered.map_or(plain, |filtered| StoredChunk {
                    addr,
                    size: filtered.size,
                    filter_mask: filtered.filter_mask,
                });
                self.chunk(walk, &vec![0; self.grid.rank()], stored);
            }
            ChunkIndex::Implicit => self.implicit(walk, addr),
            ChunkIndex::FixedArray { page_bits } => walk.fixed_array(addr, page_bits, self),
            ChunkIndex::ExtensibleArray(parameters) => walk.extensible_array(addr, parameters, self),
            ChunkIndex::BTreeV2 { .. } => walk.chunk_tree(addr, self),
        }
        self.require(walk, header);
        if self.beyond.get() > 0 {
            let problem = format!("{} chunks are stored beyond the extent", self.beyond.get());
            walk.find(Severity::Note, "chunk index", Some(addr), problem);
        }
    }

    /// Whether the dataset has filters.
    pub(super) fn is_filtered(&self) -> bool {
        !self.meta.pipeline.is_empty()
    }

    /// How the elements of an array index are to be encoded.
    pub(super) fn form(&self, walk: &Walk<'_>) -> ElementForm {
        match self.is_filtered() {
            true => ElementForm::filtered_chunks(walk.widths, self.layout.filtered_size_width(walk.widths)),
            false => ElementForm::chunks(walk.widths, self.grid.chunk_bytes),
        }
    }

    /// Tells when an index is not of the kind that the dataset's filters ask for.
    pub(super) fn check_form(&self, walk: &mut Walk<'_>, structure: &'static str, at: Addr, form: ElementForm) {
        if form != self.form(walk) {
            walk.find(
                Severity::Error,
                structure,
                Some(at),
                "its elements are not those that the dataset's filters ask for",
            );
        }
    }

    /// One more than the number of the last chunk of the extent.
    pub(super) fn end(&self) -> u64 {
        let counts = self.grid.counts(self.dims);
        if counts.contains(&0) {
            return 0;
        }
        let last: Vec<u64> = counts.iter().map(|count| count - 1).collect();
        self.grid.number(&last).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// A chunk that an array index has under this number; one that `is_set` can be seen by readers.
    pub(super) fn numbered(&self, walk: &mut Walk<'_>, number: u64, stored: StoredChunk, is_set: bool) {
        if is_set {
            return self.chunk(walk, &self.grid.scaled(number), stored);
        }
        walk.claim(CHUNK, stored.addr, stored.size, Use::Raw);
        self.beyond.set(self.beyond.get() + 1);
    }

    /// A chunk by its place in the grid.
    pub(super) fn chunk(&self, walk: &mut Walk<'_>, scaled: &[u64], stored: StoredChunk) {
        walk.chunks += 1;
        if walk.chunks.is_multiple_of(TICK) {
            walk.tick();
        }
        if !self.is_filtered() && stored.size != self.grid.chunk_bytes {
            let (size, bytes) = (stored.size, self.grid.chunk_bytes);
            let problem = format!("{} has {size} bytes, and chunks have {bytes}", self.name(scaled));
            walk.find(Severity::Error, CHUNK, Some(stored.addr), problem);
        }
        if self.is_filtered() && stored.size == 0 {
            walk.find(Severity::Error, CHUNK, Some(stored.addr), format!("{} has no bytes", self.name(scaled)));
        }
        let is_inside = self.grid.touches(scaled, self.dims);
        let counter = if is_inside { &self.inside } else { &self.beyond };
        counter.set(counter.get() + 1);
        if !walk.claim(CHUNK, stored.addr, stored.size, Use::Raw) || !is_inside {
            return;
        }
        if walk.purpose.data || self.meta.datatype.uses_global_heap() {
            self.decode(walk, scaled, stored);
        }
    }

    /// Passes a chunk through its filters, and looks at what its elements keep in global heaps.
    fn decode(&self, walk: &mut Walk<'_>, scaled: &[u64], stored: StoredChunk) {
        if let Err(error) = self.meta.pipeline.check_available() {
            if !self.unknown_told.replace(true) {
                let problem = format!("its chunks cannot be decoded here: {error}");
                walk.find(Severity::Warning, "filter pipeline message", None, problem);
            }
            return;
        }
        let is_edge = self.layout.plain_edge_chunks && !self.grid.is_inside(scaled, self.dims);
        let decoded = walk
            .source
            .bytes(CHUNK, stored.addr, stored.size)
            .and_then(|bytes| self.meta.decode_chunk(is_edge, stored.filter_mask, &bytes));
        match decoded {
            Ok(bytes) => {
                walk.decoded += 1;
                self.heap_elements(walk, scaled, &bytes);
            }
            Err(error) => {
                let why = match error.kind() {
                    ErrorKind::Filter { source, .. } => source.to_string(),
                    ErrorKind::Unsupported(why) => why.clone(),
                    ErrorKind::Io { .. } => return walk.unreadable(CHUNK, stored.addr, error),
                    other => other.to_string(),
                };
                walk.undecodable += 1;
                let problem = format!("{}: {why}", self.name(scaled));
                walk.find(Severity::Error, CHUNK, Some(stored.addr), problem);
            }
        }
    }

    /// What elements inside the extent keep in global heaps; beyond it may be anything.
    fn heap_elements(&self, walk: &mut Walk<'_>, scaled: &[u64], bytes: &[u8]) {
        if !self.meta.datatype.uses_global_heap() {
            return;
        }
        let size = self.meta.element_size.max(1);
        let starts: Vec<u64> = scaled.iter().zip(&self.grid.chunk).map(|(at, len)| at.saturating_mul(*len)).collect();
        for (number, element) in bytes.chunks_exact(size).enumerate() {
            let mut rest = number as u64;
            let is_inside = (0..self.grid.rank()).rev().all(|axis| {
                let along = rest % self.grid.chunk[axis];
                rest /= self.grid.chunk[axis];
                starts[axis].saturating_add(along) < self.dims[axis]
            });
            if is_inside {
                walk.heap_element(element, &self.meta.datatype);
            }
        }
    }

    fn implicit(&self, walk: &mut Walk<'_>, start: Addr) {
        let Some(count) = self.grid.max_count() else { return };
        let Some(bytes) = count.checked_mul(self.grid.chunk_bytes) else {
            return walk.find(Severity::Error, CHUNK, Some(start), "the chunks take more bytes than 64 bits can count");
        };
        if !walk.claim(CHUNK, start, bytes, Use::Raw) {
            return;
        }
        walk.chunks += count;
        self.inside.set(self.grid.counts(self.dims).iter().product());
        if !walk.purpose.data && !self.meta.datatype.uses_global_heap() {
            return;
        }
        for number in 0..count {
            let scaled = self.grid.scaled(number);
            if self.grid.touches(&scaled, self.dims) {
                let addr = Addr(start.0 + number * self.grid.chunk_bytes);
                self.decode(walk, &scaled, StoredChunk { addr, size: self.grid.chunk_bytes, filter_mask: 0 });
            }
        }
    }

    /// Tells when chunks are missing that have to be stored.
    fn require(&self, walk: &mut Walk<'_>, header: Addr) {
        let wanted = self.grid.counts(self.dims).iter().fold(1u64, |count, along| count.saturating_mul(*along));
        if self.must_be_there && self.inside.get() < wanted {
            let problem = format!("space is allocated early, and {} of {wanted} chunks are stored", self.inside.get());
            walk.find(Severity::Warning, "chunk index", Some(header), problem);
        }
    }

    fn name(&self, scaled: &[u64]) -> String {
        let offset: Vec<u64> = scaled.iter().zip(&self.grid.chunk).map(|(at, len)| at.saturating_mul(*len)).collect();
        format!("that at {offset:?}")
    }
}

/// The elements of a damaged array block that can be what they say: chunks in the file whose bytes nobody owns.
pub(super) fn elements_of(
    walk: &Walk<'_>,
    bytes: &[u8],
    start: u64,
    count: u64,
    form: &ElementForm,
) -> Vec<Option<StoredChunk>> {
    let bytes = usize::try_from(start).ok().and_then(|start| bytes.get(start..)).unwrap_or_default();
    let mut cursor = Cursor::new("element", 0, bytes);
    let mut taken = HashSet::new();
    let element = |_| {
        let chunk = form.decode(&mut cursor).ok()??;
        let makes_sense = chunk.size > 0 && walk.is_plausible(chunk.addr, chunk.size) && taken.insert(chunk.addr);
        makes_sense.then_some(chunk)
    };
    let most = bytes.len() as u64 / u64::from(form.size()).max(1);
    (0..count.min(most)).map(element).collect()
}
