//! Moving elements between a box of the dataset (a chunk, or all of it) and memory, run by run.

use std::ops::Range;

use crate::selection::Slab;

/// A stretch of elements that lie side by side both in the box and in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// First element, counted in the box in row-major order.
    pub(crate) in_box: u64,
    /// First element, counted in the selection in row-major order.
    pub(crate) in_memory: u64,
    /// Elements.
    pub(crate) len: u64,
}

/// The runs of a hyperslab that fall into the box of `spans`, in row-major order.
pub(crate) fn runs(slabs: &[Slab], spans: &[Range<u64>], mut visit: impl FnMut(Run)) {
    debug_assert_eq!(slabs.len(), spans.len());
    let rank = slabs.len();
    if rank == 0 {
        visit(Run { in_box: 0, in_memory: 0, len: 1 });
        return;
    }
    let along: Vec<Vec<(u64, u64, u64)>> =
        slabs.iter().zip(spans).map(|(slab, span)| slab.runs_in(span.clone()).collect()).collect();
    if along.iter().any(Vec::is_empty) {
        return;
    }
    let mut box_stride = vec![1u64; rank];
    let mut memory_stride = vec![1u64; rank];
    for axis in (0..rank - 1).rev() {
        box_stride[axis] = box_stride[axis + 1] * (spans[axis + 1].end - spans[axis + 1].start);
        memory_stride[axis] = memory_stride[axis + 1] * slabs[axis + 1].len();
    }
    // Axes behind this one are covered whole, in the box and in memory: their elements join into longer runs.
    let mut inner = rank - 1;
    while inner > 0 && box_stride[inner - 1] == memory_stride[inner - 1] && is_whole(&along[inner], &spans[inner]) {
        inner -= 1;
    }
    let mut at = vec![(0usize, 0u64); inner];
    loop {
        let (mut in_box, mut in_memory) = (0, 0);
        for (axis, (run, step)) in at.iter().enumerate() {
            let (element, position, _) = along[axis][*run];
            in_box += (element + step - spans[axis].start) * box_stride[axis];
            in_memory += (position + step) * memory_stride[axis];
        }
        for (element, position, len) in &along[inner] {
            visit(Run {
                in_box: in_box + (element - spans[inner].start) * box_stride[inner],
                in_memory: in_memory + position * memory_stride[inner],
                len: len * box_stride[inner],
            });
        }
        // The next point of the outer axes: on in the run, on to the next run, on to the next axis.
        let mut axis = inner;
        loop {
            let Some(outer) = axis.checked_sub(1) else { return };
            axis = outer;
            let (run, step) = &mut at[axis];
            *step += 1;
            if *step < along[axis][*run].2 {
                break;
            }
            (*run, *step) = (*run + 1, 0);
            if *run < along[axis].len() {
                break;
            }
            *run = 0;
        }
    }
}

fn is_whole(along: &[(u64, u64, u64)], span: &Range<u64>) -> bool {
    matches!(along, [(element, _, len)] if *element == span.start && *len == span.end - span.start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::grid::each_point;

    #[test]
    fn every_selected_element_of_the_box_once() {
        let cases: &[(&[Slab], &[Range<u64>])] = &[
            (&[Slab::range(2..9)], std::slice::from_ref(&(4..8))),
            (&[Slab::range(0..6), Slab::range(0..4)], &[0..3, 0..4]),
            (&[Slab::range(0..6), Slab::range(0..7)], &[3..6, 4..8]),
            (&[Slab::range(1..6), Slab::range(2..5), Slab::range(0..4)], &[0..4, 0..4, 0..4]),
            (&[Slab::step(0..9, 2), Slab { start: 1, stride: 3, count: 2, block: 2 }], &[2..8, 0..5]),
            (&[Slab::range(0..2), Slab::range(3..3)], &[0..2, 0..4]),
        ];
        for (slabs, spans) in cases {
            let mut expected = Vec::new();
            let memory: Vec<Range<u64>> = slabs.iter().map(|slab| 0..slab.len()).collect();
            let mut in_memory = 0;
            each_point(&memory, |position| {
                let point: Vec<u64> = slabs
                    .iter()
                    .zip(position)
                    .map(|(slab, at)| slab.start + at / slab.block * slab.stride + at % slab.block)
                    .collect();
                if point.iter().zip(*spans).all(|(at, span)| span.contains(at)) {
                    let in_box = point
                        .iter()
                        .zip(*spans)
                        .fold(0, |sum, (at, span)| sum * (span.end - span.start) + at - span.start);
                    expected.push((in_box, in_memory));
                }
                in_memory += 1;
            });
            let mut told = Vec::new();
            runs(slabs, spans, |run| told.extend((0..run.len).map(|i| (run.in_box + i, run.in_memory + i))));
            assert_eq!(told, expected, "{slabs:?} in {spans:?}");
        }
    }
}
