//! From a selection to the chunks that it touches, each read and decoded once. Small chunks that lie side by side in the file
//! are read together.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use h5live_filter::FilterId;
use h5live_format::array_element::StoredChunk;
use h5live_format::message::Chunked;
use h5live_format::{Addr, Malformed, Why};
use rayon::prelude::*;

use super::gather::{GAP, LONG, TOGETHER, copy, linear, part};
use super::work::{Keeping, Work, Works};
use super::{LARGE, fill};
use crate::chunk::decoded::{DecodedChunks, Elements};
use crate::chunk::grid::{Grid, each_point};
use crate::chunk::index::Index;
use crate::chunk::runs::{Run, runs};
use crate::dataset::{Meta, View};
use crate::error::{Error, ErrorKind, Result};
use crate::file::Inner;
use crate::selection::Slab;

/// Rows of chunks that are worked on at the same time at most.
const ROWS: usize = 1024;
/// Chunks that are looked up before the first of them is read, at most.
const LOCATED: usize = 1024;
/// Rows of so many bytes have no neighbours that matter.
const ROWS_BYTES: u64 = 4 << 20;
/// Filtered chunks of at most so many stored bytes are read together with their neighbours.
const SMALL: u64 = 64 << 10;

/// The chunks of a view.
pub(super) struct Chunks<'a> {
    pub(super) file: &'a Inner,
    pub(super) meta: &'a Meta,
    pub(super) layout: &'a Chunked,
    pub(super) grid: &'a Grid,
    pub(super) index: &'a Index,
    pub(super) view: &'a View,
}

/// Where chunks were found before reading began.
enum Found {
    /// All that are there.
    All(HashMap<Vec<u64>, StoredChunk>),
    /// They are looked up one by one.
    Later,
}

/// A chunk, where it was found to be stored, and the number of the row whose buffer its elements go to.
struct Located {
    row: usize,
    scaled: Vec<u64>,
    stored: Option<StoredChunk>,
}

/// The chunks with one coordinate along the first axis, and where their elements go.
struct Row<'o> {
    /// The coordinate.
    scaled: u64,
    /// The number of the selection's first element that `out` has room for.
    base: u64,
    out: &'o mut [u8],
}

impl Chunks<'_> {
    fn work(&self, keeping: Keeping) -> Work {
        Work::new(keeping, self.meta.element_size)
    }

    fn is_filtered(&self) -> bool {
        !self.meta.pipeline.is_empty()
    }

    fn dims(&self) -> &[u64] {
        &self.view.dims
    }

    /// What is done with the decoded chunks of a read that touches `count` of them: of few, the rest is likely to be asked for next.
    fn keeping(&self, count: u64) -> Keeping {
        let is_worth_it =
            self.is_filtered() && DecodedChunks::have_room_for(self.grid.chunk_bytes.saturating_mul(count));
        if is_worth_it { Keeping::Yes } else { Keeping::No }
    }

    /// The elements of a chunk that was decoded before, if they were kept.
    fn kept(&self, keeping: Keeping, scaled: &[u64]) -> Option<Elements> {
        match keeping {
            Keeping::Yes => self.file.decoded.get(self.view.look, scaled),
            Keeping::No => None,
        }
    }

    /// The elements of the chunks of a group, if all of them were kept.
    fn all_kept(&self, keeping: Keeping, group: &[Located]) -> Option<Vec<Elements>> {
        match keeping {
            Keeping::Yes => group.iter().map(|chunk| self.kept(keeping, &chunk.scaled)).collect(),
            Keeping::No => None,
        }
    }

    /// Decodes a chunk, and keeps it if that was said; `bytes` are those stored, if they were read already.
    fn decode(&self, scaled: &[u64], stored: StoredChunk, bytes: Option<&[u8]>, work: &mut Work) -> Result<Elements> {
        let mut chunk = self.chunk_buffer(stored)?;
        self.whole(scaled, stored, bytes, &mut chunk, work)?;
        let chunk = Arc::new(chunk);
        if work.keeping == Keeping::Yes && !self.is_plain(scaled, stored) {
            self.file.decoded.keep(self.view.look, scaled, chunk.clone());
        }
        Ok(chunk)
    }

    pub(super) fn read_slabs(&self, slabs: &[Slab], out: &mut [u8]) -> Result<()> {
        let (Some((first, others)), Some((chunk, other_chunks))) = (slabs.split_first(), self.grid.chunk.split_first())
        else {
            return Ok(());
        };
        // Elements of the selection for one step along the first axis.
        let step: u64 = others.iter().map(Slab::len).product();
        let others: Vec<Vec<u64>> =
            others.iter().zip(other_chunks).map(|(slab, chunk)| touched(slab, *chunk).collect()).collect();
        let others = product(&others);
        let rows = touched_count(first, *chunk);
        let count = rows.saturating_mul(others.len() as u64);
        let keeping = self.keeping(count);
        let found = self.find_all(slabs, count)?;
        let mut coordinates = touched(first, *chunk).peekable();
        let mut rest = out;
        let mut base = 0;
        while coordinates.peek().is_some() {
            let mut rows = Vec::new();
            for scaled in coordinates.by_ref().take(ROWS) {
                let steps: u64 = first.runs_in(scaled * chunk..(scaled + 1) * chunk).map(|(_, _, len)| len).sum();
                let (out, after) = rest.split_at_mut((steps * step) as usize * self.meta.element_size);
                rows.push(Row { scaled, base, out });
                base += steps * step;
                rest = after;
            }
            self.read_rows(slabs, &others, rows, &found, keeping)?;
        }
        Ok(())
    }

    fn read_rows(
        &self,
        slabs: &[Slab],
        others: &[Vec<u64>],
        mut rows: Vec<Row<'_>>,
        found: &Found,
        keeping: Keeping,
    ) -> Result<()> {
        if keeping == Keeping::Yes && self.place_kept(slabs, others, &mut rows) {
            return Ok(());
        }
        let threads = rayon::current_num_threads();
        let bytes: usize = rows.iter().map(|row| row.out.len()).sum();
        let by_rows = others.len() == 1 || rows.len() >= 2 * threads;
        let one_core = !self.is_filtered() && (bytes < LARGE || !by_rows);
        if one_core || threads < 2 || rows.len() * others.len() < 2 {
            return self.read_some(slabs, others, &mut rows, found, &mut self.work(keeping));
        }
        let works = Works::new(|| self.work(keeping));
        if by_rows {
            // Rows that follow each other are for the same core as long as there are enough: their chunks may be neighbours.
            let worth = (ROWS_BYTES / self.grid.chunk_bytes.max(1)) as usize / others.len();
            let together = (rows.len() / (4 * threads)).min(worth).clamp(1, LOCATED);
            // One by one: what is not parted further cannot be taken over by a core that has nothing left to do.
            return rows
                .par_chunks_mut(together)
                .with_max_len(1)
                .try_for_each(|rows| works.with(|work| self.read_some(slabs, others, rows, found, work)));
        }
        // Few rows of many chunks, whose elements are interleaved in memory: decoded on all cores, put in place by one.
        let at_once = (4 * threads).max(TOGETHER as usize / (self.grid.chunk_bytes as usize).max(1) * threads);
        for row in rows {
            for batch in others.chunks(at_once.min(LOCATED)) {
                let located = batch.iter().map(|other| self.locate(0, at(row.scaled, other), found));
                let located = located.collect::<Result<Vec<_>>>()?;
                let groups: Vec<&[Located]> = self.neighbours(slabs, &located).collect();
                let decoded: Vec<Vec<Option<Elements>>> = groups
                    .par_iter()
                    .with_max_len(1)
                    .map(|group| works.with(|work| self.decode_together(group, work)))
                    .collect::<Result<_>>()?;
                for (Located { scaled, .. }, chunk) in located.iter().zip(decoded.iter().flatten()) {
                    self.place(slabs, scaled, chunk.as_ref().map(|chunk| chunk.as_slice()), row.base, row.out);
                }
            }
        }
        Ok(())
    }

    /// Puts the elements of all chunks in their place, if every one of them was kept: nothing is looked up then. Tells whether.
    fn place_kept(&self, slabs: &[Slab], others: &[Vec<u64>], rows: &mut [Row<'_>]) -> bool {
        let chunks = || rows.iter().flat_map(|row| others.iter().map(|other| at(row.scaled, other)));
        let kept: Option<Vec<_>> =
            chunks().map(|scaled| self.kept(Keeping::Yes, &scaled).map(|kept| (scaled, kept))).collect();
        let Some(mut kept) = kept.map(Vec::into_iter) else { return false };
        for row in rows {
            for (scaled, elements) in kept.by_ref().take(others.len()) {
                self.place(slabs, &scaled, Some(&elements), row.base, row.out);
            }
        }
        true
    }

    /// Reads the chunks of some rows, in their order.
    fn read_some(
        &self,
        slabs: &[Slab],
        others: &[Vec<u64>],
        rows: &mut [Row<'_>],
        found: &Found,
        work: &mut Work,
    ) -> Result<()> {
        let mut located = Vec::new();
        for number in 0..rows.len() {
            for other in others {
                located.push(self.locate(number, at(rows[number].scaled, other), found)?);
                if located.len() == LOCATED {
                    self.read_located(slabs, &located, rows, work)?;
                    located.clear();
                }
            }
        }
        self.read_located(slabs, &located, rows, work)
    }

    fn read_located(&self, slabs: &[Slab], located: &[Located], rows: &mut [Row<'_>], work: &mut Work) -> Result<()> {
        for group in self.neighbours(slabs, located) {
            if let Some(kept) = self.all_kept(work.keeping, group) {
                for (chunk, elements) in group.iter().zip(kept) {
                    let Row { base, out, .. } = &mut rows[chunk.row];
                    self.place(slabs, &chunk.scaled, Some(&elements), *base, out);
                }
                continue;
            }
            let together = self.read_together(group, std::mem::take(&mut work.together));
            for chunk in group {
                let Row { base, out, .. } = &mut rows[chunk.row];
                self.read_chunk(slabs, chunk, together.of(chunk), *base, out, work)?;
            }
            work.together = together.bytes;
        }
        Ok(())
    }

    /// All of the chunks of a group, in their order; none where nothing is stored.
    fn decode_together(&self, group: &[Located], work: &mut Work) -> Result<Vec<Option<Elements>>> {
        if let Some(kept) = self.all_kept(work.keeping, group) {
            return Ok(kept.into_iter().map(Some).collect());
        }
        let together = self.read_together(group, std::mem::take(&mut work.together));
        let decode = |located: &Located| {
            self.patiently(located, together.of(located), |stored, bytes| {
                stored.map(|stored| self.decode(&located.scaled, stored, bytes, work)).transpose()
            })
        };
        let decoded = group.iter().map(decode).collect();
        work.together = together.bytes;
        decoded
    }

    fn locate(&self, row: usize, scaled: Vec<u64>, found: &Found) -> Result<Located> {
        let stored = match found {
            Found::All(found) => found.get(&scaled).copied(),
            Found::Later => self.index.lookup(&self.file.source, self.grid, &scaled)?,
        };
        Ok(Located { row, scaled, stored })
    }

    /// Parts `located` in groups of what is read together: chunks that follow each other in the file with little between
    /// them, where reading them one by one would take more calls than it saves bytes.
    fn neighbours<'l>(&self, slabs: &[Slab], mut located: &'l [Located]) -> impl Iterator<Item = &'l [Located]> {
        std::iter::from_fn(move || {
            let first = located.first()?;
            let mut len = 1;
            if let Some(stored) = first.stored.filter(|stored| self.is_small(slabs, &first.scaled, *stored)) {
                let start = stored.addr.0;
                let mut end = start.saturating_add(stored.size);
                for next in &located[1..] {
                    if let Some(stored) = next.stored {
                        let near = (end..=end.saturating_add(GAP)).contains(&stored.addr.0);
                        let next_end = stored.addr.0.saturating_add(stored.size);
                        if !near || next_end - start > TOGETHER || !self.is_small(slabs, &next.scaled, stored) {
                            break;
                        }
                        end = next_end;
                    }
                    len += 1;
                }
            }
            let (group, rest) = located.split_at(len);
            located = rest;
            Some(group)
        })
    }

    /// Whether a chunk is worth reading whole, beside others.
    fn is_small(&self, slabs: &[Slab], scaled: &[u64], stored: StoredChunk) -> bool {
        if !self.is_plain(scaled, stored) {
            return stored.size <= SMALL;
        }
        // Of one that is not filtered, less than all can be read.
        let selected = || -> u64 {
            let along =
                |(axis, slab): (usize, &Slab)| slab.runs_in(self.grid.span(scaled, axis)).map(|run| run.2).sum::<u64>();
            slabs.iter().enumerate().map(along).product()
        };
        stored.size <= GAP
            || stored.size <= LONG && selected() * self.meta.element_size as u64 >= self.grid.chunk_bytes / 2
    }

    /// Reads the stored bytes of a group, using `buffer`. None of a chunk alone; nor where they cannot be read together: then
    /// each chunk for itself tells why.
    fn read_together(&self, group: &[Located], mut buffer: Vec<u8>) -> Together {
        buffer.clear();
        let mut stored = group.iter().filter_map(|chunk| chunk.stored);
        let start = stored.next().map_or(0, |first| first.addr.0);
        if let Some(last) = stored.next_back() {
            let len = last.addr.0.saturating_add(last.size) - start;
            if self.file.source.bytes_into("chunk", Addr(start), len, &mut buffer).is_err() {
                buffer.clear();
            }
        }
        Together { start, bytes: buffer }
    }

    /// Reads one chunk's part of the selection; `bytes` are those stored, if they were read already.
    fn read_chunk(
        &self,
        slabs: &[Slab],
        located: &Located,
        bytes: Option<&[u8]>,
        base: u64,
        out: &mut [u8],
        work: &mut Work,
    ) -> Result<()> {
        let scaled = located.scaled.as_slice();
        self.patiently(located, bytes, |stored, bytes| {
            let Some(stored) = stored else {
                self.place(slabs, scaled, None, base, out);
                return Ok(());
            };
            if self.is_plain(scaled, stored) {
                self.check_plain(stored)?;
                if bytes.is_some() {
                    self.place(slabs, scaled, bytes, base, out);
                    return Ok(());
                }
                let read = |at: u64, buf: &mut [u8]| {
                    self.file.source.read_into("chunk", Addr(stored.addr.0.saturating_add(at)), buf)
                };
                return work.gather.slabs(slabs, &self.spans(scaled), base, out, &read);
            }
            if let Some(place) = self.whole_in_place(slabs, scaled, base) {
                return self.whole(scaled, stored, bytes, &mut out[place], work);
            }
            if work.keeping == Keeping::Yes {
                let chunk = self.decode(scaled, stored, bytes, work)?;
                self.place(slabs, scaled, Some(&chunk), base, out);
                return Ok(());
            }
            let mut chunk = std::mem::take(&mut work.chunk);
            if chunk.len() as u64 != self.grid.chunk_bytes {
                chunk = self.chunk_buffer(stored)?;
            }
            let result = self.whole(scaled, stored, bytes, &mut chunk, work);
            if result.is_ok() {
                self.place(slabs, scaled, Some(&chunk), base, out);
            }
            work.chunk = chunk;
            result
        })
    }

    pub(super) fn read_points(&self, points: &[Vec<u64>], out: &mut [u8]) -> Result<()> {
        let mut by_chunk: BTreeMap<Vec<u64>, Vec<(u64, u64)>> = BTreeMap::new();
        for (to, point) in (0..).zip(points) {
            let within: Vec<u64> = point.iter().zip(&self.grid.chunk).map(|(at, len)| at % len).collect();
            let from = linear(&within, &self.grid.chunk);
            by_chunk.entry(self.grid.chunk_of(point)).or_default().push((from, to));
        }
        let size = self.meta.element_size;
        let mut work = self.work(self.keeping(by_chunk.len() as u64));
        for (scaled, mut points) in by_chunk {
            points.sort_unstable();
            let pick = |chunk: &[u8], out: &mut [u8]| {
                for (from, to) in &points {
                    let (from, to) = (*from as usize * size, *to as usize * size);
                    copy(&mut out[to..to + size], &chunk[from..from + size]);
                }
            };
            if let Some(chunk) = self.kept(work.keeping, &scaled) {
                pick(&chunk, out);
                continue;
            }
            let located = self.locate(0, scaled, &Found::Later)?;
            let scaled = located.scaled.as_slice();
            self.patiently(&located, None, |stored, _| {
                let Some(stored) = stored else {
                    for (_, to) in &points {
                        let to = *to as usize * size;
                        fill(&mut out[to..to + size], self.meta.unwritten());
                    }
                    return Ok(());
                };
                let runs = points.iter().map(|(from, to)| Run { in_box: *from, in_memory: *to, len: 1 });
                if self.is_plain(scaled, stored) {
                    self.check_plain(stored)?;
                    let read = |at: u64, buf: &mut [u8]| {
                        self.file.source.read_into("chunk", Addr(stored.addr.0.saturating_add(at)), buf)
                    };
                    return work.gather.some(runs, out, &read);
                }
                pick(&self.decode(scaled, stored, None, &mut work)?, out);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Looks all chunks up at once where that is less work than one by one.
    fn find_all(&self, slabs: &[Slab], count: u64) -> Result<Found> {
        match self.index {
            Index::Absent | Index::Single(_) | Index::Implicit(_) => return Ok(Found::Later),
            _ => {}
        }
        let all: u64 = self.grid.counts(self.dims()).iter().fold(1, |product, count| product.saturating_mul(*count));
        if count < 4 || count < all / 8 {
            return Ok(Found::Later);
        }
        let mut found = HashMap::new();
        self.index.each(&self.file.source, self.grid, self.dims(), |scaled, stored| {
            let spans = scaled
                .iter()
                .zip(&self.grid.chunk)
                .map(|(at, len)| at.saturating_mul(*len)..(at + 1).saturating_mul(*len));
            if slabs.iter().zip(spans).all(|(slab, span)| slab.runs_in(span).next().is_some()) {
                found.insert(scaled.to_vec(), stored);
            }
            Ok(())
        })?;
        Ok(Found::All(found))
    }

    /// Reads a chunk from where it was found, or from its stored bytes, if they were read already; on a file that others write,
    /// again with what the index says then: the chunk may have been replaced.
    fn patiently<T>(
        &self,
        located: &Located,
        bytes: Option<&[u8]>,
        mut read: impl FnMut(Option<StoredChunk>, Option<&[u8]>) -> Result<T>,
    ) -> Result<T> {
        let source = &self.file.source;
        let mut error = match read(located.stored, bytes) {
            Err(error) if self.file.is_live() && may_be_replaced(&error) => error,
            other => return other,
        };
        let since = Instant::now();
        while since.elapsed() < source.patience().0 {
            std::thread::sleep(Duration::from_micros(200));
            let index = Index::open(source, self.layout, self.grid, self.is_filtered())?;
            match read(index.lookup(source, self.grid, &located.scaled)?, None) {
                Err(again) if may_be_replaced(&again) => error = again,
                other => return other,
            }
        }
        Err(error)
    }

    /// Whether a chunk is stored as it is.
    fn is_plain(&self, scaled: &[u64], stored: StoredChunk) -> bool {
        let all = self.meta.pipeline.skip_all();
        stored.filter_mask & all == all || self.layout.plain_edge_chunks && !self.grid.is_inside(scaled, self.dims())
    }

    fn check_plain(&self, stored: StoredChunk) -> Result<()> {
        // There may be more, see `Grid::for_writing`.
        if stored.size >= self.grid.chunk_bytes {
            return Ok(());
        }
        let (field, expected) = ("size", "is less than that of an unfiltered chunk");
        Err(Malformed { what: "chunk", at: stored.addr.0, why: Why::Value { field, value: stored.size, expected } }
            .into())
    }

    /// All of a chunk, its filters undone; `bytes` are those stored, if they were read already.
    fn whole(
        &self,
        scaled: &[u64],
        stored: StoredChunk,
        bytes: Option<&[u8]>,
        chunk: &mut [u8],
        work: &mut Work,
    ) -> Result<()> {
        let source = &self.file.source;
        if self.is_plain(scaled, stored) {
            self.check_plain(stored)?;
            match bytes.and_then(|bytes| bytes.get(..chunk.len())) {
                Some(bytes) => chunk.copy_from_slice(bytes),
                None => source.read_into("chunk", stored.addr, chunk)?,
            }
            return Ok(());
        }
        let bytes = match bytes {
            Some(bytes) => bytes,
            None => {
                source.bytes_into("chunk", stored.addr, stored.size, &mut work.stored)?;
                &work.stored
            }
        };
        let decoded = self.meta.pipeline.decode_into(stored.filter_mask, bytes, chunk, &mut work.scratch);
        decoded.map_err(|source| {
            let chunk = scaled.iter().zip(&self.grid.chunk).map(|(at, len)| at * len).collect();
            ErrorKind::Filter { chunk, source }.into()
        })
    }

    /// Puts the elements of a chunk (fill values, where there is none) in their place.
    fn place(&self, slabs: &[Slab], scaled: &[u64], chunk: Option<&[u8]>, base: u64, out: &mut [u8]) {
        let size = self.meta.element_size as u64;
        runs(slabs, &self.spans(scaled), |run| {
            let bytes =
                Run { in_box: run.in_box * size, in_memory: (run.in_memory - base) * size, len: run.len * size };
            let to = part(out, bytes);
            match chunk {
                Some(chunk) => {
                    copy(to, &chunk[bytes.in_box as usize..(bytes.in_box + bytes.len) as usize]);
                }
                None => fill(to, self.meta.unwritten()),
            }
        });
    }

    /// Where in `out` a chunk belongs of which every element is selected, and lies in one piece there.
    fn whole_in_place(&self, slabs: &[Slab], scaled: &[u64], base: u64) -> Option<Range<usize>> {
        let size = self.meta.element_size as u64;
        let mut only = None;
        let mut count = 0;
        runs(slabs, &self.spans(scaled), |run| {
            only = Some(run);
            count += 1;
        });
        let run = only.filter(|run| count == 1 && run.len * size == self.grid.chunk_bytes)?;
        let start = (run.in_memory - base) * size;
        Some(start as usize..(start + self.grid.chunk_bytes) as usize)
    }

    fn spans(&self, scaled: &[u64]) -> Vec<Range<u64>> {
        (0..self.grid.rank()).map(|axis| self.grid.span(scaled, axis)).collect()
    }

    /// Room for what `stored` decodes to; an error where there is none, or it cannot be so much.
    fn chunk_buffer(&self, stored: StoredChunk) -> Result<Vec<u8>> {
        /// Deflate makes no more of a byte than this.
        const DEFLATE_AT_MOST: u64 = 1032;
        let len = usize::try_from(self.grid.chunk_bytes).unwrap_or(usize::MAX);
        let bounded = |id| [FilterId::DEFLATE, FilterId::SHUFFLE, FilterId::FLETCHER32].contains(&id);
        let times = self.meta.pipeline.stages().filter(|stage| stage.id == FilterId::DEFLATE).count() as u32;
        let most = stored.size.saturating_add(64).saturating_mul(DEFLATE_AT_MOST.saturating_pow(times));
        if self.grid.chunk_bytes > most && self.meta.pipeline.stages().all(|stage| bounded(stage.id)) {
            let (field, expected) = ("size", "is too small for what the chunk should decode to");
            let why = Why::Value { field, value: stored.size, expected };
            return Err(Malformed { what: "chunk", at: stored.addr.0, why }.into());
        }
        let mut chunk = Vec::new();
        if chunk.try_reserve_exact(len).is_err() {
            return Err(Error::unsupported(format!("chunks of {len} bytes: there is no memory for one")));
        }
        chunk.resize(len, 0);
        Ok(chunk)
    }
}

/// The stored bytes of some chunks.
struct Together {
    /// Address of the first.
    start: u64,
    bytes: Vec<u8>,
}

impl Together {
    /// The stored bytes of a chunk, if they are among them.
    fn of(&self, chunk: &Located) -> Option<&[u8]> {
        let stored = chunk.stored?;
        let from = usize::try_from(stored.addr.0.checked_sub(self.start)?).ok()?;
        let to = from.checked_add(usize::try_from(stored.size).ok()?)?;
        self.bytes.get(from..to)
    }
}

/// Errors that a chunk shows which was replaced between looking it up and reading it.
fn may_be_replaced(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Filter { .. } | ErrorKind::Malformed(_))
}

/// The coordinates of the chunks that a slab touches along its axis, ascending.
fn touched(slab: &Slab, chunk: u64) -> Box<dyn Iterator<Item = u64>> {
    let slab = *slab;
    if slab.is_empty() {
        return Box::new(std::iter::empty());
    }
    if slab.is_contiguous() {
        return Box::new(slab.start / chunk..(slab.start + slab.len()).div_ceil(chunk));
    }
    let mut next = 0;
    Box::new((0..slab.count).flat_map(move |block| {
        let start = slab.start + block * slab.stride;
        let range = (start / chunk).max(next)..(start + slab.block).div_ceil(chunk);
        next = range.end.max(next);
        range
    }))
}

/// How many [`touched`] yields at most.
fn touched_count(slab: &Slab, chunk: u64) -> u64 {
    slab.end().map_or(0, |end| end.div_ceil(chunk) - slab.start / chunk).min(slab.len())
}

/// Every combination of one coordinate per axis, in row-major order.
fn product(axes: &[Vec<u64>]) -> Vec<Vec<u64>> {
    let numbers: Vec<Range<u64>> = axes.iter().map(|axis| 0..axis.len() as u64).collect();
    let mut all = Vec::new();
    each_point(&numbers, |point| all.push(point.iter().zip(axes).map(|(at, axis)| axis[*at as usize]).collect()));
    all
}

fn at(first: u64, others: &[u64]) -> Vec<u64> {
    std::iter::once(first).chain(others.iter().copied()).collect()
}
