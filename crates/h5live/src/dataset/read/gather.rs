//! Short runs of elements that lie in row-major order somewhere, neighbours read together.

use std::ops::Range;

use crate::chunk::runs::{Run, runs};
use crate::error::{Error, Result};
use crate::selection::{Selection, Slab};

/// Runs of at least so many bytes are read one by one, straight into place.
pub(super) const LONG: u64 = 16 << 10;
/// Shorter runs with no more than this between them are read together.
pub(super) const GAP: u64 = 4 << 10;
/// Bytes read together at most.
pub(super) const TOGETHER: u64 = 256 << 10;

/// Reads bytes of a box of elements that lie in row-major order somewhere.
pub(super) type ReadBytes<'a> = dyn Fn(u64, &mut [u8]) -> Result<()> + 'a;

/// Collects short runs, to read neighbours together.
pub(super) struct Gather {
    element_size: u64,
    /// In bytes.
    waiting: Vec<Run>,
    scratch: Vec<u8>,
}

impl Gather {
    pub(super) fn new(element_size: usize) -> Self {
        Self { element_size: element_size as u64, waiting: Vec::new(), scratch: Vec::new() }
    }

    /// Reads a selection of a box that is the whole dataset.
    pub(super) fn all(
        &mut self,
        selection: &Selection,
        dims: &[u64],
        out: &mut [u8],
        read: &ReadBytes<'_>,
    ) -> Result<()> {
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
    pub(super) fn slabs(
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

    pub(super) fn some(&mut self, runs: impl Iterator<Item = Run>, out: &mut [u8], read: &ReadBytes<'_>) -> Result<()> {
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
pub(super) fn part(out: &mut [u8], run: Run) -> &mut [u8] {
    &mut out[run.in_memory as usize..(run.in_memory + run.len) as usize]
}

/// Copies as many bytes as there are in both. Few bytes whose number the compiler knows are copied without a call.
pub(super) fn copy(to: &mut [u8], from: &[u8]) {
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

pub(super) fn linear(point: &[u64], dims: &[u64]) -> u64 {
    point.iter().zip(dims).fold(0, |sum, (at, dim)| sum * dim + at)
}
