//! Reading and writing the elements that a mask of several axes picks.
//!
//! They are known by their places in row-major order, ascending, which is also their order in memory. Those that lie near each other
//! are read as one box that has them all, and picked from it: a call for each would take longer than the bytes in between.

use h5live::{Dataset, Result, Selection, Slab};

/// Bytes that are read although nobody asked for them, rather than beginning a new read.
const GAP: u64 = 64 << 10;
/// Bytes of a box that goes on over a gap.
const AT_ONCE: u64 = 4 << 20;
/// Bytes of a box at most.
const MOST: u64 = 64 << 20;

/// The elements of an extent that a mask picks.
#[derive(Debug, Clone)]
pub(crate) struct Mask {
    dims: Vec<u64>,
    places: Vec<u64>,
}

impl Mask {
    /// `places` in row-major order, ascending, all inside the extent, which has an axis.
    pub(crate) fn new(dims: Vec<u64>, places: Vec<u64>) -> Self {
        Self { dims, places }
    }

    /// How many elements are picked.
    pub(crate) fn len(&self) -> u64 {
        self.places.len() as u64
    }

    /// The coordinates of each.
    pub(crate) fn points(&self) -> Vec<Vec<u64>> {
        points(&self.dims, &self.places)
    }

    /// Reads them into `out`, which has room for just as many of `size` bytes.
    pub(crate) fn read(&self, dataset: &Dataset, size: usize, out: &mut [u8]) -> Result<()> {
        let reading = Reading { dataset, dims: &self.dims, chunk: dataset.chunk_shape(), size };
        reading.along(0, &self.places, out)
    }

    /// Writes them from `data`: runs along the last axis with one call each.
    pub(crate) fn write(&self, dataset: &Dataset, size: usize, mut data: &[u8]) -> Result<()> {
        let last = self.dims.last().copied().unwrap_or(1).max(1);
        for run in self.places.chunk_by(|one, other| other - one == 1 && other % last != 0) {
            let (now, after) = data.split_at(run.len() * size);
            dataset.write_raw(Selection::Hyperslab(bounds(&self.dims, run)), now)?;
            data = after;
        }
        Ok(())
    }
}

struct Reading<'a> {
    dataset: &'a Dataset,
    dims: &'a [u64],
    chunk: Option<&'a [u64]>,
    size: usize,
}

/// One axis, as the places along it are grouped: by rows, each of which is a step along it.
struct Axis {
    /// Elements of a row.
    step: u64,
    /// Bytes of a row.
    bytes: u64,
    dim: u64,
    /// Rows of a chunk.
    chunk: Option<u64>,
}

impl Reading<'_> {
    /// Reads places that have their coordinates on all axes before `axis` in common.
    fn along(&self, axis: usize, mut places: &[u64], mut out: &mut [u8]) -> Result<()> {
        let step: u64 = self.dims[axis + 1..].iter().product();
        let bytes = step.saturating_mul(self.size as u64);
        let along = Axis { step, bytes, dim: self.dims[axis], chunk: self.chunk.map(|chunk| chunk[axis]) };
        if along.chunk.is_some_and(|rows| bytes.saturating_mul(rows) > MOST) {
            return self.dataset.read_raw_into(Selection::Points(points(self.dims, places)), out);
        }
        // A row of elements in one piece that is long by itself is looked at by itself.
        let by_row = along.chunk.is_none() && bytes > GAP && axis + 1 < self.dims.len();
        while !places.is_empty() {
            let count = if by_row { along.row(places) } else { along.group(places) };
            let (now, later) = places.split_at(count);
            let (part, rest) = std::mem::take(&mut out).split_at_mut(count * self.size);
            if by_row {
                self.along(axis + 1, now, part)?
            } else {
                self.boxed(now, part)?
            }
            (places, out) = (later, rest);
        }
        Ok(())
    }

    /// Reads the smallest box that has all these places, and picks them from it.
    fn boxed(&self, places: &[u64], out: &mut [u8]) -> Result<()> {
        let slabs = bounds(self.dims, places);
        let count: u64 = slabs.iter().map(Slab::len).product();
        if count == places.len() as u64 {
            return self.dataset.read_raw_into(Selection::Hyperslab(slabs), out);
        }
        let read = self.dataset.read_raw(Selection::Hyperslab(slabs.clone()))?;
        let within = |place: u64| {
            let coordinates = coordinates(self.dims, place).zip(slabs.iter().rev());
            let (at, _) = coordinates.fold((0, 1), |(at, step), (coordinate, slab)| {
                (at + (coordinate - slab.start) * step, step * slab.len())
            });
            at as usize * self.size
        };
        for (to, place) in out.chunks_exact_mut(self.size).zip(places) {
            let from = within(*place);
            to.copy_from_slice(&read[from..from + self.size]);
        }
        Ok(())
    }
}

impl Axis {
    /// How many of the places, at the least one, are in the first row.
    fn row(&self, places: &[u64]) -> usize {
        let end = (places[0] / self.step + 1) * self.step;
        places.partition_point(|place| *place < end)
    }

    /// How many of the places, at the least one, are to be read together.
    fn group(&self, places: &[u64]) -> usize {
        let first = places[0] / self.step;
        let (mut last, mut count) = (first, 0);
        while count < places.len() {
            let row = places[count] / self.step;
            if !self.goes_on(first, last, row) {
                break;
            }
            last = row;
            count += self.row(&places[count..]);
        }
        count
    }

    /// Whether what is read together of the rows from `first` to `last` goes on to `row`.
    fn goes_on(&self, first: u64, last: u64, row: u64) -> bool {
        let is_near = row.saturating_sub(last + 1).saturating_mul(self.bytes) <= GAP;
        let is_small = (row - first + 1).saturating_mul(self.bytes) <= AT_ONCE;
        let chunk_of = |row: u64, chunk: u64| row % self.dim / chunk;
        let same_chunk = self.chunk.is_some_and(|chunk| chunk_of(row, chunk) == chunk_of(last, chunk));
        row == last || is_near && is_small || same_chunk
    }
}

/// The coordinates of a place, of the last axis first.
fn coordinates(dims: &[u64], mut place: u64) -> impl Iterator<Item = u64> {
    dims.iter().rev().map(move |dim| {
        let coordinate = place % dim;
        place /= dim;
        coordinate
    })
}

fn points(dims: &[u64], places: &[u64]) -> Vec<Vec<u64>> {
    let point = |place: &u64| {
        let mut point: Vec<u64> = coordinates(dims, *place).collect();
        point.reverse();
        point
    };
    places.iter().map(point).collect()
}

/// The smallest box that has all these places, of which there is one at the least.
fn bounds(dims: &[u64], places: &[u64]) -> Vec<Slab> {
    let (mut first, mut last) = (vec![u64::MAX; dims.len()], vec![0; dims.len()]);
    for place in places {
        for ((first, last), coordinate) in first.iter_mut().zip(&mut last).rev().zip(coordinates(dims, *place)) {
            *first = coordinate.min(*first);
            *last = coordinate.max(*last);
        }
    }
    first.into_iter().zip(last).map(|(first, last)| Slab::range(first..last + 1)).collect()
}
