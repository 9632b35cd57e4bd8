//! Writing elements into chunks.
//!
//! An unfiltered chunk is written in place: what lies beyond the extent is nobody's yet. A filtered chunk never is: a
//! whole one goes through the filters to fresh space, all cores at work; one that is still filling up is kept *open*, that
//! is stored unfiltered (its filter mask says so) until it is complete, and then sealed: filtered, to fresh space, once.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;

use h5live_filter::{Pipeline, Scratch};
use h5live_format::Addr;
use h5live_format::array_element::StoredChunk;
use rayon::prelude::*;

use super::grid::{Grid, each_point};
use super::index::{Index, Slot, UNFILTERED};
use super::runs::{Run, runs};
use crate::error::{Error, ErrorKind, Result};
use crate::live::writer::Writer;
use crate::selection::Slab;

/// Chunks encoded together: enough for all cores, few enough to hold in memory.
const BATCH_BYTES: u64 = 64 << 20;
/// Open chunks at most; past that the complete ones are sealed before the publication.
const MOST_OPEN: usize = 1024;

/// The chunks of one dataset, as its writer sees them.
#[derive(Debug)]
pub(crate) struct ChunkStore {
    grid: Grid,
    index: Index,
    pipeline: Option<Pipeline>,
    element_size: u64,
    /// One element of the fill value.
    fill: Vec<u8>,
    max: Vec<Option<u64>>,
    /// Chunks stored unfiltered for now.
    open: BTreeMap<Vec<u64>, OpenChunk>,
    /// The chunk written last, as it is, without filters: most often the next rows belong to it too.
    tail: Option<Tail>,
    /// What lies in chunks beyond the extent may be anything: rows of a writer that died, or of a larger extent.
    stale: bool,
}

/// Where a chunk is that can be written in place.
#[derive(Debug)]
struct Tail {
    scaled: Vec<u64>,
    addr: Addr,
}

/// A chunk that waits to be filtered.
#[derive(Debug, Clone, Copy)]
struct OpenChunk {
    addr: Addr,
    /// Whether a publication has named it: its space can then not be used again.
    published: bool,
}

/// What a chunk store is made of.
pub(crate) struct Parts {
    pub(crate) grid: Grid,
    pub(crate) index: Index,
    pub(crate) pipeline: Option<Pipeline>,
    pub(crate) fill: Vec<u8>,
    pub(crate) max: Vec<Option<u64>>,
}

impl ChunkStore {
    /// The chunks of a dataset that is new.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { grid, index, pipeline, fill, max } = parts;
        let element_size = fill.len() as u64;
        Self { grid, index, pipeline, element_size, fill, max, open: BTreeMap::new(), tail: None, stale: false }
    }

    /// The chunks of a dataset that was there before.
    pub(crate) fn reopened(parts: Parts) -> Self {
        Self { stale: true, ..Self::new(parts) }
    }

    pub(crate) fn grid(&self) -> &Grid {
        &self.grid
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn index_mut(&mut self) -> &mut Index {
        &mut self.index
    }

    /// Writes the elements of a hyperslab. `before` is the extent that is published or planned so far, `dims` the one from
    /// now on, which holds the whole hyperslab. `data` has the elements in row-major order, in the dataset's datatype.
    pub(crate) fn write(
        &mut self,
        writer: &mut Writer,
        slabs: &[Slab],
        before: &[u64],
        dims: &[u64],
        data: &[u8],
    ) -> Result<()> {
        if let Some(addr) = self.place_in_tail(slabs, dims) {
            return writer.raw(addr, data);
        }
        let mut whole = Vec::new();
        let mut result = Ok(());
        each_point(&self.touched(slabs), |scaled| {
            if result.is_ok() {
                result = self.write_chunk(writer, scaled, slabs, before, dims, data, &mut whole);
            }
        });
        result?;
        self.encode_whole(writer, whole, slabs, dims, data)?;
        if self.open.len() > MOST_OPEN {
            self.seal(writer, dims, Seal::Complete)?;
        }
        Ok(())
    }

    /// Where whole rows go that belong to the chunk written last and lie side by side in it: one write, nothing else.
    fn place_in_tail(&self, slabs: &[Slab], dims: &[u64]) -> Option<Addr> {
        let tail = self.tail.as_ref()?;
        let (rows, others) = slabs.split_first()?;
        let span = self.grid.span(&tail.scaled, 0);
        let whole_rows = others.iter().zip(&self.grid.chunk[1..]).zip(&dims[1..]).all(|((slab, chunk), dim)| {
            slab.start == 0 && slab.len() == *chunk && dim == chunk && slab.is_contiguous()
        });
        let fits = rows.is_contiguous() && rows.start >= span.start && rows.end()? <= span.end && !rows.is_empty();
        // A filtered chunk that these rows complete is written whole, to be filtered at once.
        let stays = self.pipeline.is_none() || rows.start > span.start;
        let row = self.grid.chunk_bytes / self.grid.chunk[0];
        (whole_rows && fits && stays).then(|| Addr(tail.addr.0 + (rows.start - span.start) * row))
    }

    /// Chunks that hold elements of the hyperslab, along each axis.
    fn touched(&self, slabs: &[Slab]) -> Vec<Range<u64>> {
        slabs
            .iter()
            .zip(&self.grid.chunk)
            .map(|(slab, chunk)| match slab.end() {
                Some(end) if !slab.is_empty() => slab.start / chunk..end.div_ceil(*chunk),
                _ => 0..0,
            })
            .collect()
    }

    #[allow(clippy::too_many_arguments, reason = "one step of `write`, with all it knows")]
    fn write_chunk(
        &mut self,
        writer: &mut Writer,
        scaled: &[u64],
        slabs: &[Slab],
        before: &[u64],
        dims: &[u64],
        data: &[u8],
        whole: &mut Vec<Vec<u64>>,
    ) -> Result<()> {
        let spans = self.spans(scaled);
        let mut parts = Vec::new();
        runs(slabs, &spans, |run| parts.push(run));
        if parts.is_empty() {
            return Ok(());
        }
        let covered = covers(slabs, &spans, dims);
        if self.pipeline.is_some() && covered && !self.may_grow(scaled, dims) {
            whole.push(scaled.to_vec());
            return Ok(());
        }
        let touched_before = self.grid.touches(scaled, before);
        let (addr, has_content) = self.plain_chunk(writer, scaled, touched_before && !covered)?;
        self.write_parts(writer, addr, &parts, data, has_content, covered)?;
        self.tail = Some(Tail { scaled: scaled.to_vec(), addr });
        Ok(())
    }

    /// The space in which the chunk at `scaled` can be written as it is, without filters, and whether its content is what
    /// the dataset says (it may also never have been written). With `keep`, what is stored filtered is brought there.
    fn plain_chunk(&mut self, writer: &mut Writer, scaled: &[u64], keep: bool) -> Result<(Addr, bool)> {
        if let Some(open) = self.open.get(scaled) {
            return Ok((open.addr, true));
        }
        let slot = self.index.slot(writer, &self.grid, scaled)?;
        let size = self.grid.plain.bytes;
        let Some(stored) = slot.stored else {
            let addr = writer.reserve_chunk(size)?;
            self.enter(writer, &slot, StoredChunk { addr, size, filter_mask: UNFILTERED })?;
            self.remember_open(scaled, addr, false);
            // Space that was never handed out before reads as zeros.
            return Ok((addr, self.fill.iter().all(|byte| *byte == 0)));
        };
        let Some(pipeline) = &self.pipeline else { return Ok((stored.addr, keep)) };
        if is_plain(pipeline, stored, self.grid.chunk_bytes) {
            if slot.is_replaceable(writer.base()) {
                self.remember_open(scaled, stored.addr, true);
            }
            return Ok((stored.addr, keep));
        }
        // Filtered: its bytes stay for those who read them, and a copy is opened.
        let addr = writer.reserve_chunk(size)?;
        if keep {
            let plain = decode(writer, pipeline, scaled, stored, &self.grid)?;
            writer.raw(addr, &plain)?;
        }
        self.enter(writer, &slot, StoredChunk { addr, size, filter_mask: UNFILTERED })?;
        writer.supersede(stored.size);
        self.remember_open(scaled, addr, false);
        Ok((addr, keep))
    }

    fn write_parts(
        &self,
        writer: &Writer,
        addr: Addr,
        parts: &[Run],
        data: &[u8],
        has_content: bool,
        covered: bool,
    ) -> Result<()> {
        let size = self.element_size;
        if let [run] = parts
            && (has_content || covered && run.len * size == self.grid.chunk_bytes)
        {
            return writer.raw(Addr(addr.0 + run.in_box * size), slice(data, run.in_memory, run.len, size));
        }
        let (first, end) = if has_content {
            let end = parts.iter().map(|run| run.in_box + run.len).max().unwrap_or(0);
            (parts.first().map_or(0, |run| run.in_box), end)
        } else {
            (0, self.grid.chunk_bytes / size)
        };
        let mut bytes = if has_content {
            writer.source().bytes("chunk", Addr(addr.0 + first * size), (end - first) * size)?
        } else {
            self.fill.repeat((end - first) as usize)
        };
        for run in parts {
            let at = ((run.in_box - first) * size) as usize;
            bytes[at..at + (run.len * size) as usize].copy_from_slice(slice(data, run.in_memory, run.len, size));
        }
        writer.raw(Addr(addr.0 + first * size), &bytes)
    }

    /// Filters chunks on all cores and stores them in turn: a batch at a time, so that no more is held at once.
    fn encode_each<T: Sync>(
        &mut self,
        writer: &mut Writer,
        chunks: &[T],
        scaled: impl Fn(&T) -> &[u64],
        encode: impl Fn(&Self, &Pipeline, &T, &mut Scratch) -> Result<(Vec<u8>, u32)> + Sync,
    ) -> Result<()> {
        let Some(pipeline) = self.pipeline.clone() else { return Ok(()) };
        let batch = (BATCH_BYTES / self.grid.chunk_bytes.max(1)).max(1) as usize;
        for chunks in chunks.chunks(batch) {
            let encoded: Vec<_> = chunks
                .par_iter()
                .map_init(Scratch::default, |scratch, chunk| encode(self, &pipeline, chunk, scratch))
                .collect();
            for (chunk, encoded) in chunks.iter().zip(encoded) {
                let (bytes, mask) = encoded?;
                self.store_filtered(writer, scaled(chunk), &bytes, mask)?;
            }
        }
        Ok(())
    }

    /// Filters whole chunks on all cores and stores them.
    fn encode_whole(
        &mut self,
        writer: &mut Writer,
        whole: Vec<Vec<u64>>,
        slabs: &[Slab],
        dims: &[u64],
        data: &[u8],
    ) -> Result<()> {
        self.encode_each(writer, &whole, Vec::as_slice, |store, pipeline, scaled, scratch| {
            let (size, spans) = (store.element_size, store.spans(scaled));
            let mut parts = Vec::new();
            runs(slabs, &spans, |run| parts.push(run));
            let encoded = match parts.as_slice() {
                [run] if run.len * size == store.grid.chunk_bytes => {
                    pipeline.encode_with(slice(data, run.in_memory, run.len, size), scratch)
                }
                _ => {
                    let mut bytes = store.fill.repeat((store.grid.chunk_bytes / size) as usize);
                    for run in &parts {
                        let at = (run.in_box * size) as usize;
                        bytes[at..at + (run.len * size) as usize].copy_from_slice(slice(
                            data,
                            run.in_memory,
                            run.len,
                            size,
                        ));
                    }
                    pipeline.encode_with(&bytes, scratch)
                }
            };
            encoded.map_err(|source| store.filter_error(scaled, source))
        })?;
        debug_assert!(whole.iter().all(|scaled| self.grid.touches(scaled, dims)));
        Ok(())
    }

    /// Stores a chunk as it comes out of the filters (or as a program has filtered it).
    pub(crate) fn store_filtered(
        &mut self,
        writer: &mut Writer,
        scaled: &[u64],
        bytes: &[u8],
        mask: u32,
    ) -> Result<()> {
        let slot = self.index.slot(writer, &self.grid, scaled)?;
        if !slot.is_replaceable(writer.base())
            && let Some(settled) = slot.stored
            && let Some(pipeline) = &self.pipeline
        {
            // This entry was settled: the chunk stays unfiltered in the space it names.
            let size = self.grid.chunk_bytes as usize;
            let plain = pipeline.decode(mask, bytes, size).map_err(|source| self.filter_error(scaled, source))?;
            return writer.raw(settled.addr, &plain);
        }
        let size = bytes.len() as u64;
        let addr = writer.reserve_written(size)?;
        writer.raw(addr, bytes)?;
        self.replace(writer, &slot, scaled, StoredChunk { addr, size, filter_mask: mask })
    }

    /// Stores a chunk that a program has filtered itself, `mask` saying which filters it skipped.
    pub(crate) fn store_raw(&mut self, writer: &mut Writer, scaled: &[u64], bytes: &[u8], mask: u32) -> Result<()> {
        if self.pipeline.is_some() {
            return self.store_filtered(writer, scaled, bytes, mask);
        }
        if bytes.len() as u64 != self.grid.chunk_bytes || mask != 0 {
            let why = format!("a chunk without filters has {} bytes", self.grid.chunk_bytes);
            return Err(Error::new(ErrorKind::Shape { given: vec![bytes.len() as u64], why }));
        }
        let (addr, _) = self.plain_chunk(writer, scaled, false)?;
        writer.raw(addr, bytes)
    }

    /// Notes that the extent became smaller: what lies beyond it is no fill value.
    pub(crate) fn shrunk(&mut self) {
        self.stale = true;
        self.tail = None;
    }

    /// Enters a chunk that was written elsewhere than what it replaces.
    fn replace(&mut self, writer: &mut Writer, slot: &Slot, scaled: &[u64], chunk: StoredChunk) -> Result<()> {
        self.enter(writer, slot, chunk)?;
        self.tail.take_if(|tail| tail.scaled == scaled);
        match (self.open.remove(scaled), slot.stored) {
            (Some(open), _) if !open.published => writer.give_back(open.addr, self.grid.plain.bytes),
            (Some(_), _) => writer.supersede(self.grid.plain.bytes),
            (None, Some(stored)) => writer.supersede(stored.size),
            (None, None) => {}
        }
        Ok(())
    }

    fn enter(&mut self, writer: &mut Writer, slot: &Slot, chunk: StoredChunk) -> Result<()> {
        self.index.enter(writer, slot, Some(chunk))
    }

    fn remember_open(&mut self, scaled: &[u64], addr: Addr, published: bool) {
        if self.pipeline.is_some() {
            self.open.insert(scaled.to_vec(), OpenChunk { addr, published });
        }
    }

    /// Filters open chunks and stores them, before a publication.
    pub(crate) fn seal(&mut self, writer: &mut Writer, dims: &[u64], which: Seal) -> Result<()> {
        if which == Seal::All {
            self.clean_edges(writer, dims)?;
        }
        let waiting: Vec<(Vec<u64>, OpenChunk)> = self
            .open
            .iter()
            .filter(|(scaled, _)| which == Seal::All || !self.may_grow(scaled, dims))
            .map(|(scaled, open)| (scaled.clone(), *open))
            .collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let source = writer.source();
        self.encode_each(
            writer,
            &waiting,
            |(scaled, _)| scaled,
            |store, pipeline, (scaled, open), scratch| {
                let bytes = source.bytes("chunk", open.addr, store.grid.chunk_bytes)?;
                pipeline.encode_with(&bytes, scratch).map_err(|source| store.filter_error(scaled, source))
            },
        )
    }

    /// Notes that a publication has named everything entered so far.
    pub(crate) fn published(&mut self) {
        for open in self.open.values_mut() {
            open.published = true;
        }
    }

    /// Prepares for an extent that grows without being written: what it will show for the first time reads as the fill
    /// value. Chunks that are not stored do so by themselves.
    pub(crate) fn expose(&mut self, writer: &mut Writer, before: &[u64], dims: &[u64]) -> Result<()> {
        self.index.settle(writer)?;
        let mut beyond = Vec::new();
        let mut edges = Vec::new();
        let shown = self.shown_first(before, dims);
        if let (false, Some(shown)) = (self.stale, shown) {
            for scaled in shown {
                if let Some(chunk) = self.index.lookup(&writer.source(), &self.grid, &scaled)? {
                    beyond.push((scaled, chunk));
                }
            }
        } else {
            self.index.each(&writer.source(), &self.grid, dims, |scaled, chunk| {
                if !self.grid.touches(scaled, before) {
                    beyond.push((scaled.to_vec(), chunk));
                } else if self.stale && !self.grid.is_inside(scaled, before) {
                    edges.push(scaled.to_vec());
                }
                Ok(())
            })?;
        }
        for (scaled, chunk) in beyond {
            self.take_out(writer, &scaled, chunk)?;
        }
        for scaled in edges {
            self.blank_beyond(writer, &scaled, before)?;
        }
        self.stale = false;
        self.index.settle(writer)
    }

    /// The chunks that an extent of `dims` shows and one of `before`, which lies in it, does not; `None` where they are more than those that
    /// were there, so that looking through the whole index is less work.
    fn shown_first(&self, before: &[u64], dims: &[u64]) -> Option<Vec<Vec<u64>>> {
        let (old, new) = (self.grid.counts(before), self.grid.counts(dims));
        let product = |counts: &[u64]| counts.iter().try_fold(1u64, |product, count| product.checked_mul(*count));
        let (there, all) = (product(&old)?, product(&new)?);
        if all - there > there.max(1) {
            return None;
        }
        let mut shown = Vec::new();
        for axis in 0..old.len() {
            // Each once: by the first axis along which it is new.
            let ranges = (0..old.len()).map(|other| match other.cmp(&axis) {
                Ordering::Less => 0..old[other],
                Ordering::Equal => old[other]..new[other],
                Ordering::Greater => 0..new[other],
            });
            each_point(&ranges.collect::<Vec<_>>(), |scaled| shown.push(scaled.to_vec()));
        }
        Some(shown)
    }

    /// Takes out the entries of chunks that a smaller extent has left behind, once that extent is published.
    pub(crate) fn leave_behind(&mut self, writer: &mut Writer, before: &[u64], dims: &[u64]) -> Result<()> {
        self.tail = None;
        self.index.settle(writer)?;
        let mut behind = Vec::new();
        self.index.each(&writer.source(), &self.grid, before, |scaled, chunk| {
            if !self.grid.touches(scaled, dims) {
                behind.push((scaled.to_vec(), chunk));
            }
            Ok(())
        })?;
        for (scaled, chunk) in behind {
            self.take_out(writer, &scaled, chunk)?;
        }
        self.clean_edges(writer, dims)?;
        self.index.settle(writer)
    }

    /// Makes a chunk beyond the extent read as if it had never been written: no entry, or, where the entry stays, the fill
    /// value.
    fn take_out(&mut self, writer: &mut Writer, scaled: &[u64], chunk: StoredChunk) -> Result<()> {
        let slot = self.index.slot(writer, &self.grid, scaled)?;
        if !slot.is_replaceable(writer.base()) {
            // A settled chunk is stored unfiltered.
            return writer.raw(chunk.addr, &self.fill_chunk());
        }
        self.index.enter(writer, &slot, None)?;
        self.open.remove(scaled);
        writer.supersede(chunk.size);
        Ok(())
    }

    /// Fills what partial chunks hold beyond the extent, if that may be anything: libhdf5 takes for granted that it is the
    /// fill value when it makes a dataset larger.
    pub(crate) fn clean_edges(&mut self, writer: &mut Writer, dims: &[u64]) -> Result<()> {
        if !self.stale {
            return Ok(());
        }
        for axis in 0..self.grid.rank() {
            if dims[axis].is_multiple_of(self.grid.chunk[axis]) || self.max[axis] == Some(dims[axis]) {
                continue;
            }
            // The last, partial chunks along this axis.
            let mut places: Vec<Range<u64>> = self.grid.counts(dims).into_iter().map(|count| 0..count).collect();
            places[axis].start = places[axis].end.saturating_sub(1);
            let mut result = Ok(());
            each_point(&places, |scaled| {
                if result.is_ok() {
                    result = self.clean_edge(writer, scaled, dims);
                }
            });
            result?;
        }
        self.stale = false;
        Ok(())
    }

    fn clean_edge(&mut self, writer: &mut Writer, scaled: &[u64], dims: &[u64]) -> Result<()> {
        let slot = self.index.slot(writer, &self.grid, scaled)?;
        if slot.stored.is_some() { self.blank_beyond(writer, scaled, dims) } else { Ok(()) }
    }

    /// Fills what the chunk at `scaled`, which is stored, holds beyond `dims`.
    fn blank_beyond(&mut self, writer: &mut Writer, scaled: &[u64], dims: &[u64]) -> Result<()> {
        let slot = self.index.slot(writer, &self.grid, scaled)?;
        let Some(stored) = slot.stored else { return Ok(()) };
        let bytes = match &self.pipeline {
            Some(pipeline) if !is_plain(pipeline, stored, self.grid.chunk_bytes) => {
                decode(writer, pipeline, scaled, stored, &self.grid)?
            }
            _ => writer.source().bytes("chunk", stored.addr, self.grid.chunk_bytes)?,
        };
        let spans = self.spans(scaled);
        let inside: Vec<Slab> = spans
            .iter()
            .zip(dims)
            .map(|(span, dim)| Slab::range(span.start..span.end.min(*dim).max(span.start)))
            .collect();
        let mut clean = self.fill_chunk();
        runs(&inside, &spans, |run| {
            let range =
                (run.in_box * self.element_size) as usize..((run.in_box + run.len) * self.element_size) as usize;
            clean[range.clone()].copy_from_slice(&bytes[range]);
        });
        if clean == bytes {
            return Ok(());
        }
        let (addr, _) = self.plain_chunk(writer, scaled, false)?;
        writer.raw(addr, &clean)
    }

    fn fill_chunk(&self) -> Vec<u8> {
        self.fill.repeat((self.grid.chunk_bytes / self.element_size) as usize)
    }

    fn spans(&self, scaled: &[u64]) -> Vec<Range<u64>> {
        (0..self.grid.rank()).map(|axis| self.grid.span(scaled, axis)).collect()
    }

    /// Whether part of the chunk lies beyond the extent along an axis that can grow.
    fn may_grow(&self, scaled: &[u64], dims: &[u64]) -> bool {
        (0..self.grid.rank()).any(|axis| {
            self.grid.span(scaled, axis).end > dims[axis] && self.max[axis].is_none_or(|max| max > dims[axis])
        })
    }

    fn filter_error(&self, scaled: &[u64], source: h5live_filter::Error) -> Error {
        let chunk = scaled.iter().zip(&self.grid.chunk).map(|(at, chunk)| at * chunk).collect();
        Error::new(ErrorKind::Filter { chunk, source })
    }
}

/// Which open chunks are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seal {
    /// Those that cannot take more elements.
    Complete,
    /// All: the file is being closed.
    All,
}

/// Whether the hyperslab holds every element of the box that lies inside the extent.
fn covers(slabs: &[Slab], spans: &[Range<u64>], dims: &[u64]) -> bool {
    slabs.iter().zip(spans).zip(dims).all(|((slab, span), dim)| {
        slab.is_contiguous() && slab.start <= span.start && slab.start + slab.len() >= span.end.min(*dim)
    })
}

fn is_plain(pipeline: &Pipeline, stored: StoredChunk, size: u64) -> bool {
    stored.size >= size && stored.filter_mask & pipeline.skip_all() == pipeline.skip_all()
}

fn decode(writer: &Writer, pipeline: &Pipeline, scaled: &[u64], stored: StoredChunk, grid: &Grid) -> Result<Vec<u8>> {
    let bytes = writer.source().bytes("chunk", stored.addr, stored.size)?;
    pipeline.decode(stored.filter_mask, &bytes, grid.chunk_bytes as usize).map_err(|source| {
        let chunk = scaled.iter().zip(&grid.chunk).map(|(at, chunk)| at * chunk).collect();
        Error::new(ErrorKind::Filter { chunk, source })
    })
}

fn slice(data: &[u8], first: u64, len: u64, element_size: u64) -> &[u8] {
    &data[(first * element_size) as usize..((first + len) * element_size) as usize]
}
