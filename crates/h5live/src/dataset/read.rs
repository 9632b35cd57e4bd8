//! From a selection to bytes in the caller's buffer.
//!
//! Only what is selected is touched, each chunk once. Unfiltered data go from the file straight to where they belong; a
//! filtered chunk that is selected whole, and lies in one piece in memory, is decoded straight into place. Filtered chunks are
//! decoded on all cores.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use h5live_filter::{FilterId, Scratch};
use h5live_format::array_element::StoredChunk;
use h5live_format::message::Chunked;
use h5live_format::{Addr, Malformed, Why};
use rayon::prelude::*;

use super::{Meta, Storage, View};
use crate::chunk::decoded::{DecodedChunks, Elements};
use crate::chunk::grid::{Grid, each_point};
use crate::chunk::index::Index;
use crate::chunk::runs::{Run, runs};
use crate::error::{Error, ErrorKind, Result};
use crate::file::Inner;
use crate::selection::{Selection, Slab, elements};
use crate::source::Source;

/// Runs of at least so many bytes are read one by one, straight into place.
const LONG: u64 = 16 << 10;
/// Shorter runs with no more than this between them are read together.
const GAP: u64 = 4 << 10;
/// Bytes read together at most.
const TOGETHER: u64 = 256 << 10;
/// From so many bytes on, copying them out of the kernel is worth more than one core.
const LARGE: usize = 8 << 20;
/// What one core then takes at a time.
const PIECE: usize = 1 << 20;
/// Rows of chunks that are worked on at the same time at most.
const ROWS: usize = 1024;

/// Reads the selected elements of `view` into `out`, which is exactly as long as they are.
pub(super) fn read(file: &Inner, meta: &Meta, view: &View, selection: &Selection, out: &mut [u8]) -> Result<()> {
    let source = &file.source;
    let mut gather = Gather::new(meta.element_size);
    let bytes = elements(&view.dims).and_then(|count| count.checked_mul(meta.element_size as u64));
    if bytes.is_none() && !matches!(view.storage, Storage::Chunked { .. } | Storage::Virtual(_)) {
        // What lies in one piece has an end that can be said.
        return Err(Error::unsupported("a dataset of more than 2^64 bytes in one piece"));
    }
    match &view.storage {
        Storage::Compact(data) => gather.all(selection, &view.dims, out, &|at, buf| {
            let found = usize::try_from(at).ok().and_then(|at| data.get(at..)?.get(..buf.len()));
            match found {
                Some(found) => buf.copy_from_slice(found),
                None => return Err(too_short(at, buf.len(), data.len())),
            }
            Ok(())
        }),
        Storage::Contiguous(None) => {
            fill(out, meta.unwritten());
            Ok(())
        }
        Storage::Contiguous(Some(start)) => {
            let read = |at: u64, buf: &mut [u8]| read_plain(source, Addr(start.0.saturating_add(at)), buf);
            match selection.slabs(&view.dims).and_then(|slabs| Parts::new(slabs, &view.dims, meta.element_size)) {
                Some(parts) => parts.read(meta.element_size, out, &read),
                None => gather.all(selection, &view.dims, out, &read),
            }
        }
        Storage::External(data) => {
            let data = data.open(file)?;
            gather.all(selection, &view.dims, out, &|at, buf| data.read(at, buf))
        }
        Storage::Chunked { layout, .. } => {
            let Some(grid) = &meta.grid else { return Ok(()) };
            let index = view.index(file, meta)?;
            let chunks = Chunks { file, meta, layout, grid, index, view };
            match selection.slabs(&view.dims) {
                Some(slabs) => chunks.read_slabs(&slabs, out),
                None => match selection {
                    Selection::Points(points) => chunks.read_points(points, out),
                    _ => Ok(()),
                },
            }
        }
        Storage::Virtual(data) => data.read(file, meta, &view.dims, selection, out),
    }
}

/// Reads raw data that lie in one piece.
fn read_plain(source: &Source, addr: Addr, buf: &mut [u8]) -> Result<()> {
    if buf.len() < LARGE {
        return source.read_into("raw data", addr, buf);
    }
    buf.par_chunks_mut(PIECE).enumerate().try_for_each(|(number, piece)| {
        source.read_into("raw data", Addr(addr.0.saturating_add((number * PIECE) as u64)), piece)
    })
}

/// A hyperslab of elements that lie in one piece in the file, in parts along one axis: what has to be remembered of a part fits a
/// core's cache, and parts can be read on all cores.
struct Parts {
    slabs: Vec<Slab>,
    spans: Vec<Range<u64>>,
    /// The first axis with more than one element: parts follow each other in memory.
    axis: usize,
    /// Blocks along it in each part.
    blocks: u64,
    /// Bytes of a part, but for the last.
    bytes: usize,
}

impl Parts {
    /// None where there is nothing to part: what is selected lies side by side, or has no axis.
    fn new(slabs: Vec<Slab>, dims: &[u64], element_size: usize) -> Option<Self> {
        let axis = slabs.iter().position(|slab| slab.len() > 1)?;
        let (cut, inner) = (slabs[axis], &slabs[axis + 1..]);
        let is_whole = |(slab, dim): (&Slab, &u64)| slab.is_contiguous() && slab.len() == *dim;
        if cut.is_contiguous() && inner.iter().zip(&dims[axis + 1..]).all(is_whole) {
            return None;
        }
        let block = inner.iter().try_fold(cut.block, |len, slab| len.checked_mul(slab.len()))?;
        let block = usize::try_from(block).ok()?.checked_mul(element_size).filter(|bytes| *bytes > 0)?;
        let blocks = (PIECE / block).max(1);
        let spans = dims.iter().map(|dim| 0..*dim).collect();
        Some(Self { slabs, spans, axis, blocks: blocks as u64, bytes: blocks * block })
    }

    /// Reads them into `out`, which is exactly as long as they are.
    fn read(
        &self,
        element_size: usize,
        out: &mut [u8],
        read: &(impl Fn(u64, &mut [u8]) -> Result<()> + Sync),
    ) -> Result<()> {
        let part = |gather: &mut Gather, (number, out): (usize, &mut [u8])| {
            let mut slabs = self.slabs.clone();
            let (whole, slab) = (self.slabs[self.axis], &mut slabs[self.axis]);
            let first = number as u64 * self.blocks;
            slab.start = whole.start + first * whole.stride;
            slab.count = (whole.count - first).min(self.blocks);
            gather.slabs(&slabs, &self.spans, 0, out, read)
        };
        let gather = || Gather::new(element_size);
        if out.len() < LARGE {
            let mut gather = gather();
            return out.chunks_mut(self.bytes).enumerate().try_for_each(|piece| part(&mut gather, piece));
        }
        out.par_chunks_mut(self.bytes).enumerate().try_for_each_init(gather, part)
    }
}

/// Fills `out` with copies of one element, or zeros.
pub(super) fn fill(out: &mut [u8], element: Option<&[u8]>) {
    match element {
        Some(element) if !element.is_empty() && element.iter().any(|byte| *byte != 0) => {
            for to in out.chunks_exact_mut(element.len()) {
                to.copy_from_slice(element);
            }
        }
        _ => out.fill(0),
    }
}

fn too_short(at: u64, needed: usize, size: usize) -> Error {
    let why = Why::Truncated { field: "elements", needed: needed as u64, left: (size as u64).saturating_sub(at) };
    Malformed { what: "raw data", at: 0, why }.into()
}

/// Reads bytes of a box of elements that lie in row-major order somewhere.
type ReadBytes<'a> = dyn Fn(u64, &mut [u8]) -> Result<()> + 'a;

/// Collects short runs, to read neighbours together.
struct Gather {
    element_size: u64,
    /// In bytes.
    waiting: Vec<Run>,
    scratch: Vec<u8>,
}

impl Gather {
    fn new(element_size: usize) -> Self {
        Self { element_size: element_size as u64, waiting: Vec::new(), scratch: Vec::new() }
    }

    /// Reads a selection of a box that is the whole dataset.
    fn all(&mut self, selection: &Selection, dims: &[u64], out: &mut [u8], read: &ReadBytes<'_>) -> Result<()> {
        if let Selection::Points(points) = selection {
            let mut at: Vec<(u64, u64)> = (0..).zip(points).map(|(to, point)| (linear(point, dims), to)).collect();
            at.sort_unstable();
            return self.some(at.iter().map(|(from, to)| Run { in_box: *from, in_memory: *to, len: 1 }), out, read);
        }
        let slabs = selection.slabs(dims).unwrap_or_default();
        let spans: Vec<Range<u64>> = dims.iter().map(|dim| 0..*dim).collect();
        self.slabs(&slabs, &spans, 0, out, read)
    }

    /// Reads the part of a hyperslab that is in the box of `spans`; `out` starts at element `base` of the selection.
    fn slabs(
        &mut self,
        slabs: &[Slab],
        spans: &[Range<u64>],
        base: u64,
        out: &mut [u8],
        read: &ReadBytes<'_>,
    ) -> Result<()> {
        let mut result = Ok(());
        runs(slabs, spans, |run| {
            if result.is_ok() {
                result = self.add(Run { in_memory: run.in_memory - base, ..run }, out, read);
            }
        });
        result?;
        self.flush(out, read)
    }

    fn some(&mut self, runs: impl Iterator<Item = Run>, out: &mut [u8], read: &ReadBytes<'_>) -> Result<()> {
        for run in runs {
            self.add(run, out, read)?;
        }
        self.flush(out, read)
    }

    /// Takes a run, in elements.
    fn add(&mut self, run: Run, out: &mut [u8], read: &ReadBytes<'_>) -> Result<()> {
        let size = self.element_size;
        let overflow = || Error::unsupported("a dataset of more than 2^64 bytes");
        let in_box = run.in_box.checked_mul(size).ok_or_else(overflow)?;
        let run = Run { in_box, in_memory: run.in_memory * size, len: run.len * size };
        if run.len >= LONG {
            self.flush(out, read)?;
            return read(run.in_box, part(out, run));
        }
        if let (Some(first), Some(last)) = (self.waiting.first(), self.waiting.last()) {
            let end = last.in_box + last.len;
            if run.in_box < last.in_box || run.in_box > end + GAP || run.in_box + run.len > first.in_box + TOGETHER {
                self.flush(out, read)?;
            }
        }
        self.waiting.push(run);
        Ok(())
    }

    fn flush(&mut self, out: &mut [u8], read: &ReadBytes<'_>) -> Result<()> {
        match self.waiting.as_slice() {
            [] => {}
            [only] => read(only.in_box, part(out, *only))?,
            [first, .., last] => {
                // Points may repeat, so the last run need not end last; all have one length then.
                let (start, end) = (first.in_box, last.in_box + last.len);
                self.scratch.resize((end - start) as usize, 0);
                read(start, &mut self.scratch)?;
                for run in &self.waiting {
                    let from = (run.in_box - start) as usize;
                    copy(part(out, *run), &self.scratch[from..from + run.len as usize]);
                }
            }
        }
        self.waiting.clear();
        Ok(())
    }
}

/// Where a run, in bytes, belongs.
fn part(out: &mut [u8], run: Run) -> &mut [u8] {
    &mut out[run.in_memory as usize..(run.in_memory + run.len) as usize]
}

/// Copies as many bytes as there are in both. Few bytes whose number the compiler knows are copied without a call.
fn copy(to: &mut [u8], from: &[u8]) {
    fn few<const N: usize>(to: &mut [u8], from: &[u8]) {
        if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk::<N>()) {
            *to = *from;
        }
    }
    debug_assert_eq!(to.len(), from.len());
    match to.len() {
        1 => few::<1>(to, from),
        2 => few::<2>(to, from),
        4 => few::<4>(to, from),
        8 => few::<8>(to, from),
        16 => few::<16>(to, from),
        _ => to.copy_from_slice(from),
    }
}

fn linear(point: &[u64], dims: &[u64]) -> u64 {
    point.iter().zip(dims).fold(0, |sum, (at, dim)| sum * dim + at)
}

/// The chunks of a view.
struct Chunks<'a> {
    file: &'a Inner,
    meta: &'a Meta,
    layout: &'a Chunked,
    grid: &'a Grid,
    index: &'a Index,
    view: &'a View,
}

/// Where chunks were found before reading began.
enum Found {
    /// All that are there.
    All(HashMap<Vec<u64>, StoredChunk>),
    /// They are looked up one by one.
    Later,
}

/// Whether the chunks that a read decodes are kept for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeping {
    Yes,
    No,
}

/// Room to work in, one for each thread.
struct Work {
    stored: Vec<u8>,
    chunk: Vec<u8>,
    scratch: Scratch,
    gather: Gather,
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
    fn work(&self) -> Work {
        let gather = Gather::new(self.meta.element_size);
        Work { stored: Vec::new(), chunk: Vec::new(), scratch: Scratch::default(), gather }
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
            Keeping::Yes => self.file.decoded.get(self.view.id, scaled),
            Keeping::No => None,
        }
    }

    /// Reads and decodes a chunk, and keeps it if that was said.
    fn decode(&self, keeping: Keeping, scaled: &[u64], stored: StoredChunk, work: &mut Work) -> Result<Elements> {
        let mut chunk = self.chunk_buffer(stored)?;
        self.whole(scaled, stored, &mut chunk, work)?;
        let chunk = Arc::new(chunk);
        if keeping == Keeping::Yes && !self.is_plain(scaled, stored) {
            self.file.decoded.keep(self.view.id, scaled, chunk.clone());
        }
        Ok(chunk)
    }

    fn read_slabs(&self, slabs: &[Slab], out: &mut [u8]) -> Result<()> {
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
        rows: Vec<Row<'_>>,
        found: &Found,
        keeping: Keeping,
    ) -> Result<()> {
        let one_row = |mut row: Row<'_>, work: &mut Work| -> Result<()> {
            for other in others {
                let scaled = at(row.scaled, other);
                self.read_chunk(slabs, &scaled, found, keeping, &mut row, work)?;
            }
            Ok(())
        };
        let threads = rayon::current_num_threads();
        let bytes: usize = rows.iter().map(|row| row.out.len()).sum();
        let is_kept = |row: &Row<'_>| others.iter().all(|other| self.kept(keeping, &at(row.scaled, other)).is_some());
        let is_copied = !self.is_filtered() || keeping == Keeping::Yes && rows.iter().all(is_kept);
        let one_core = is_copied && (bytes < LARGE || others.len() > 1);
        if one_core || threads < 2 || rows.len() * others.len() < 2 {
            let mut work = self.work();
            return rows.into_iter().try_for_each(|row| one_row(row, &mut work));
        }
        if others.len() == 1 || rows.len() >= 2 * threads {
            return rows.into_par_iter().try_for_each_init(|| self.work(), |work, row| one_row(row, work));
        }
        // Few rows of many chunks, whose elements are interleaved in memory: decoded on all cores, put in place by one.
        for row in rows {
            for batch in others.chunks(4 * threads) {
                let decoded: Vec<(Vec<u64>, Option<Elements>)> = batch
                    .par_iter()
                    .map_init(
                        || self.work(),
                        |work, other| {
                            let scaled = at(row.scaled, other);
                            if let Some(kept) = self.kept(keeping, &scaled) {
                                return Ok((scaled, Some(kept)));
                            }
                            let decoded = self.patiently(&scaled, found, |stored| {
                                stored.map(|stored| self.decode(keeping, &scaled, stored, work)).transpose()
                            })?;
                            Ok((scaled, decoded))
                        },
                    )
                    .collect::<Result<_>>()?;
                for (scaled, chunk) in decoded {
                    self.place(slabs, &scaled, chunk.as_ref().map(|chunk| chunk.as_slice()), row.base, row.out);
                }
            }
        }
        Ok(())
    }

    /// Reads one chunk's part of the selection.
    fn read_chunk(
        &self,
        slabs: &[Slab],
        scaled: &[u64],
        found: &Found,
        keeping: Keeping,
        row: &mut Row<'_>,
        work: &mut Work,
    ) -> Result<()> {
        let (base, out) = (row.base, &mut *row.out);
        if let Some(chunk) = self.kept(keeping, scaled) {
            self.place(slabs, scaled, Some(&chunk), base, out);
            return Ok(());
        }
        self.patiently(scaled, found, |stored| {
            let Some(stored) = stored else {
                self.place(slabs, scaled, None, base, out);
                return Ok(());
            };
            if self.is_plain(scaled, stored) {
                self.check_plain(stored)?;
                let read = |at: u64, buf: &mut [u8]| {
                    self.file.source.read_into("chunk", Addr(stored.addr.0.saturating_add(at)), buf)
                };
                return work.gather.slabs(slabs, &self.spans(scaled), base, out, &read);
            }
            if let Some(place) = self.whole_in_place(slabs, scaled, base) {
                return self.whole(scaled, stored, &mut out[place], work);
            }
            if keeping == Keeping::Yes {
                let chunk = self.decode(keeping, scaled, stored, work)?;
                self.place(slabs, scaled, Some(&chunk), base, out);
                return Ok(());
            }
            let mut chunk = std::mem::take(&mut work.chunk);
            if chunk.len() as u64 != self.grid.chunk_bytes {
                chunk = self.chunk_buffer(stored)?;
            }
            let result = self.whole(scaled, stored, &mut chunk, work);
            if result.is_ok() {
                self.place(slabs, scaled, Some(&chunk), base, out);
            }
            work.chunk = chunk;
            result
        })
    }

    fn read_points(&self, points: &[Vec<u64>], out: &mut [u8]) -> Result<()> {
        let mut by_chunk: BTreeMap<Vec<u64>, Vec<(u64, u64)>> = BTreeMap::new();
        for (to, point) in (0..).zip(points) {
            let within: Vec<u64> = point.iter().zip(&self.grid.chunk).map(|(at, len)| at % len).collect();
            let from = linear(&within, &self.grid.chunk);
            by_chunk.entry(self.grid.chunk_of(point)).or_default().push((from, to));
        }
        let size = self.meta.element_size;
        let keeping = self.keeping(by_chunk.len() as u64);
        let mut work = self.work();
        for (scaled, mut points) in by_chunk {
            points.sort_unstable();
            let pick = |chunk: &[u8], out: &mut [u8]| {
                for (from, to) in &points {
                    let (from, to) = (*from as usize * size, *to as usize * size);
                    copy(&mut out[to..to + size], &chunk[from..from + size]);
                }
            };
            if let Some(chunk) = self.kept(keeping, &scaled) {
                pick(&chunk, out);
                continue;
            }
            self.patiently(&scaled, &Found::Later, |stored| {
                let Some(stored) = stored else {
                    for (_, to) in &points {
                        let to = *to as usize * size;
                        fill(&mut out[to..to + size], self.meta.unwritten());
                    }
                    return Ok(());
                };
                let runs = points.iter().map(|(from, to)| Run { in_box: *from, in_memory: *to, len: 1 });
                if self.is_plain(&scaled, stored) {
                    self.check_plain(stored)?;
                    let read = |at: u64, buf: &mut [u8]| {
                        self.file.source.read_into("chunk", Addr(stored.addr.0.saturating_add(at)), buf)
                    };
                    return work.gather.some(runs, out, &read);
                }
                pick(&self.decode(keeping, &scaled, stored, &mut work)?, out);
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

    /// Reads a chunk; on a file that others write, again with what the index says then: the chunk may have been replaced.
    fn patiently<T>(
        &self,
        scaled: &[u64],
        found: &Found,
        mut read: impl FnMut(Option<StoredChunk>) -> Result<T>,
    ) -> Result<T> {
        let source = &self.file.source;
        let stored = match found {
            Found::All(found) => found.get(scaled).copied(),
            Found::Later => self.index.lookup(source, self.grid, scaled)?,
        };
        let mut error = match read(stored) {
            Err(error) if self.file.is_live() && may_be_replaced(&error) => error,
            other => return other,
        };
        let since = Instant::now();
        while since.elapsed() < source.patience().0 {
            std::thread::sleep(Duration::from_micros(200));
            let index = Index::open(source, self.layout, self.grid, self.is_filtered())?;
            match read(index.lookup(source, self.grid, scaled)?) {
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

    /// All of a chunk, its filters undone.
    fn whole(&self, scaled: &[u64], stored: StoredChunk, chunk: &mut [u8], work: &mut Work) -> Result<()> {
        let source = &self.file.source;
        if self.is_plain(scaled, stored) {
            self.check_plain(stored)?;
            return source.read_into("chunk", stored.addr, chunk);
        }
        source.bytes_into("chunk", stored.addr, stored.size, &mut work.stored)?;
        let decoded = self.meta.pipeline.decode_into(stored.filter_mask, &work.stored, chunk, &mut work.scratch);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Elements of two bytes that hold their own position.
    fn numbered(dims: &[u64]) -> Vec<u8> {
        (0..dims.iter().product::<u64>() as u16).flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn parts_read_what_one_piece_does() {
        let cases: &[(&[u64], &[Slab])] = &[
            (&[1000], &[Slab::step(3..1000, 7)]),
            (&[1000], &[Slab { start: 1, stride: 10, count: 90, block: 3 }]),
            (&[1, 600], &[Slab::range(0..1), Slab::step(1..600, 2)]),
            (&[20, 30], &[Slab::range(2..19), Slab::step(0..30, 4)]),
            (&[20, 30], &[Slab::step(1..20, 3), Slab::range(5..20)]),
            (&[20, 30], &[Slab { start: 0, stride: 5, count: 4, block: 2 }, Slab::range(0..30)]),
            (&[5, 6, 7], &[Slab::range(4..5), Slab::step(0..6, 2), Slab::range(1..7)]),
        ];
        for (dims, slabs) in cases {
            let data = numbered(dims);
            let read = |at: u64, buf: &mut [u8]| {
                buf.copy_from_slice(&data[at as usize..at as usize + buf.len()]);
                Ok(())
            };
            let len = slabs.iter().map(Slab::len).product::<u64>() as usize * 2;
            let mut expected = vec![0; len];
            let selection = Selection::Hyperslab(slabs.to_vec());
            Gather::new(2).all(&selection, dims, &mut expected, &read).unwrap();
            let parts = Parts::new(slabs.to_vec(), dims, 2).unwrap();
            for blocks in [1, 2, 3, parts.blocks] {
                let bytes = parts.bytes / parts.blocks as usize * blocks as usize;
                let parts = Parts { slabs: slabs.to_vec(), spans: parts.spans.clone(), blocks, bytes, ..parts };
                let mut out = vec![0; len];
                parts.read(2, &mut out, &read).unwrap();
                assert_eq!(out, expected, "{slabs:?} of {dims:?}, {blocks} blocks a part");
            }
        }
        assert!(Parts::new(vec![Slab::range(2..9)], &[20], 2).is_none());
        assert!(Parts::new(vec![Slab::range(2..9), Slab::range(0..4)], &[20, 4], 2).is_none());
        assert!(Parts::new(vec![], &[], 2).is_none());
    }
}
