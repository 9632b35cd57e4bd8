//! Hyperslabs of elements that lie in one piece, in bounded parts.

use std::ops::Range;

use rayon::prelude::*;

use super::gather::Gather;
use super::{LARGE, PIECE};
use crate::error::Result;
use crate::selection::Slab;

/// A hyperslab of elements that lie in one piece in the file, in parts along one axis: what has to be remembered of a part fits a
/// core's cache, and parts can be read on all cores.
pub(super) struct Parts {
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
    pub(super) fn new(slabs: Vec<Slab>, dims: &[u64], element_size: usize) -> Option<Self> {
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
    pub(super) fn read(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selection::Selection;

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
