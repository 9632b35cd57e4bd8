//! Elements that are converted on reading, piece by piece: what is held of them beside the caller's buffer is bounded.
//!
//! A piece is a box of what is selected, cut along the borders of chunks, so that (almost) every chunk lies in one piece. Pieces
//! that follow each other in memory are read and converted on all cores.

use rayon::prelude::*;

use super::super::{Meta, View};
use super::{LARGE, read};
use crate::chunk::grid::each_point;
use crate::element::{Element, blank};
use crate::error::Result;
use crate::file::Inner;
use crate::selection::{Selection, Slab};
use crate::value::FileHeap;

/// Bytes of a piece at most, as stored before filters; a chunk's part of the selection can be more.
const MOST: u64 = 4 << 20;

/// Reads the selected elements of `view`, converted, into `out`, which has room for exactly those. Beside it, each core holds [`MOST`]
/// bytes, or a chunk.
pub(in super::super) fn read_converted<T: Element>(
    file: &Inner,
    meta: &Meta,
    view: &View,
    selection: &Selection,
    out: &mut [T],
) -> Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    let reader = Reader { file, meta, view };
    match selection.slabs(&view.dims) {
        Some(slabs) => {
            let chunk = meta.grid.as_ref().map(|grid| grid.chunk.as_slice());
            let pieces = Pieces::cut(&slabs, chunk, (MOST / meta.element_size.max(1) as u64).max(1));
            reader.pieces(&pieces, out)
        }
        None => match selection {
            Selection::Points(points) => reader.points(points, out),
            _ => Ok(()),
        },
    }
}

struct Reader<'a> {
    file: &'a Inner,
    meta: &'a Meta,
    view: &'a View,
}

impl Reader<'_> {
    fn pieces<T: Element>(&self, pieces: &Pieces, out: &mut [T]) -> Result<()> {
        if !pieces.follow_each_other() {
            let mut buffer = Vec::new();
            return pieces.each(|slabs, first| {
                let lens: Vec<u64> = slabs.iter().map(Slab::len).collect();
                let count = lens.iter().product::<u64>() as usize;
                let mut rest = self.raw(&Selection::Hyperslab(slabs), &mut buffer, count)?;
                pieces.rows(&lens, first, |start, len| {
                    let (row, after) = rest.split_at(len * self.meta.element_size);
                    rest = after;
                    self.convert(row, &mut out[start..start + len])
                })
            });
        }
        let mut rest = &mut *out;
        let mut parts = Vec::new();
        pieces.each(|slabs, _| {
            let len = slabs.iter().map(Slab::len).product::<u64>() as usize;
            let (part, after) = std::mem::take(&mut rest).split_at_mut(len);
            rest = after;
            parts.push((Selection::Hyperslab(slabs), part));
            Ok(())
        })?;
        let part = |buffer: &mut Vec<u8>, (selection, part): (Selection, &mut [T])| {
            self.convert(self.raw(&selection, buffer, part.len())?, part)
        };
        if pieces.elements().saturating_mul(self.meta.element_size as u64) < LARGE as u64 {
            let mut buffer = Vec::new();
            return parts.into_iter().try_for_each(|piece| part(&mut buffer, piece));
        }
        parts.into_par_iter().try_for_each_init(Vec::new, part)
    }

    /// Points in the order of the chunks that they lie in.
    fn points<T: Element>(&self, points: &[Vec<u64>], out: &mut [T]) -> Result<()> {
        let mut order: Vec<usize> = (0..points.len()).collect();
        if let Some(grid) = &self.meta.grid {
            order.sort_by_cached_key(|number| grid.chunk_of(&points[*number]));
        }
        let most = (MOST as usize / self.meta.element_size.max(1)).max(1);
        let mut buffer = Vec::new();
        for order in order.chunks(most) {
            let selection = Selection::Points(order.iter().map(|number| points[*number].clone()).collect());
            let mut converted = blank::<T>(order.len())?;
            self.convert(self.raw(&selection, &mut buffer, order.len())?, &mut converted)?;
            for (number, element) in order.iter().zip(converted) {
                out[*number] = element;
            }
        }
        Ok(())
    }

    /// The `count` elements of a selection as they are stored, in a buffer that is used again and again.
    fn raw<'b>(&self, selection: &Selection, buffer: &'b mut Vec<u8>, count: usize) -> Result<&'b [u8]> {
        let bytes = count * self.meta.element_size;
        if buffer.len() < bytes {
            *buffer = blank(bytes)?;
        }
        let raw = &mut buffer[..bytes];
        read(self.file, self.meta, self.view, selection, raw)?;
        Ok(raw)
    }

    fn convert<T: Element>(&self, raw: &[u8], out: &mut [T]) -> Result<()> {
        T::decode(raw, &self.meta.datatype, &FileHeap(self.file), out)
    }
}

/// A hyperslab, cut along each axis.
struct Pieces {
    /// What is selected along each axis: elements.
    lens: Vec<u64>,
    /// The parts of each axis, and how many elements come before each.
    axes: Vec<Vec<(Slab, u64)>>,
}

impl Pieces {
    /// Pieces of `most` elements at most, or of what is selected of a chunk.
    fn cut(slabs: &[Slab], chunk: Option<&[u64]>, most: u64) -> Self {
        let lens: Vec<u64> = slabs.iter().map(Slab::len).collect();
        let unit = |(axis, slab): (usize, &Slab)| match chunk {
            Some(chunk) if slab.is_contiguous() => chunk[axis].min(slab.len()),
            Some(chunk) => chunk[axis].div_ceil(slab.stride.max(1)).saturating_mul(slab.block).min(slab.len()),
            None => 1,
        };
        let units: Vec<u64> = slabs.iter().enumerate().map(unit).collect();
        // From the innermost axis outwards: whole axes as long as there is room, one in part, and of the others what a chunk has.
        let mut along = units.clone();
        let mut inner = 1u64;
        for axis in (0..slabs.len()).rev() {
            let outer = units[..axis].iter().fold(1u64, |product, unit| product.saturating_mul((*unit).max(1)));
            let room = most / inner.saturating_mul(outer).max(1);
            along[axis] = room.clamp(units[axis].max(1), lens[axis].max(1));
            if along[axis] < lens[axis] {
                break;
            }
            inner = inner.saturating_mul(lens[axis].max(1));
        }
        let axes =
            slabs.iter().enumerate().map(|(axis, slab)| parts(*slab, along[axis], chunk.map(|chunk| chunk[axis])));
        Self { axes: axes.collect(), lens }
    }

    fn elements(&self) -> u64 {
        self.lens.iter().product()
    }

    /// Whether the elements of each piece, and all pieces one after the other, lie side by side in memory.
    fn follow_each_other(&self) -> bool {
        let cut = self.axes.iter().position(|parts| parts.len() > 1).unwrap_or(0);
        self.lens.iter().take(cut).all(|len| *len == 1) && self.axes.iter().skip(cut + 1).all(|parts| parts.len() == 1)
    }

    /// Hands each piece to `visit`, with the position of its first element along each axis.
    fn each(&self, mut visit: impl FnMut(Vec<Slab>, &[u64]) -> Result<()>) -> Result<()> {
        let numbers: Vec<_> = self.axes.iter().map(|parts| 0..parts.len() as u64).collect();
        let mut result = Ok(());
        each_point(&numbers, |piece| {
            if result.is_ok() {
                let parts = || self.axes.iter().zip(piece).map(|(parts, number)| parts[*number as usize]);
                let first: Vec<u64> = parts().map(|(_, first)| first).collect();
                result = visit(parts().map(|(slab, _)| slab).collect(), &first);
            }
        });
        result
    }

    /// Where the elements of a piece of this shape belong, in row-major order: stretches, each as its start and its length.
    fn rows(&self, shape: &[u64], first: &[u64], mut visit: impl FnMut(usize, usize) -> Result<()>) -> Result<()> {
        // Axes from this one on are in the piece whole, but for the first of them.
        let whole = |axis: usize| shape[axis] == self.lens[axis];
        let mut inner = shape.len().saturating_sub(1);
        while inner > 0 && whole(inner) {
            inner -= 1;
        }
        let len: u64 = shape[inner..].iter().product();
        let outer: Vec<_> = shape[..inner].iter().map(|len| 0..*len).collect();
        let mut result = Ok(());
        each_point(&outer, |at| {
            if result.is_ok() {
                let position = |axis: usize| first[axis] + at.get(axis).copied().unwrap_or(0);
                let start = (0..shape.len()).fold(0, |sum, axis| sum * self.lens[axis] + position(axis));
                result = visit(start as usize, len as usize);
            }
        });
        result
    }
}

/// Parts of `slab` of at most `most` elements, which end where a chunk of `chunk` elements does as far as that goes: blocks are
/// cut only if they are longer than that. With each, how many elements come before it.
fn parts(slab: Slab, most: u64, chunk: Option<u64>) -> Vec<(Slab, u64)> {
    let last_border = |before: u64| chunk.map_or(before, |chunk| before / chunk * chunk);
    let mut parts = Vec::new();
    let mut before = 0;
    let stretch = |range: std::ops::Range<u64>, before: &mut u64, parts: &mut Vec<(Slab, u64)>| {
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min(start.saturating_add(most));
            let border = if end < range.end { last_border(end) } else { end };
            let end = if border > start { border } else { end };
            parts.push((Slab::range(start..end), *before));
            *before += end - start;
            start = end;
        }
    };
    if slab.is_contiguous() {
        stretch(slab.start..slab.start + slab.len(), &mut before, &mut parts);
    } else if slab.block > most {
        for block in 0..slab.count {
            let start = slab.start + block * slab.stride;
            stretch(start..start + slab.block, &mut before, &mut parts);
        }
    } else {
        let mut block = 0;
        while block < slab.count {
            let start = slab.start + block * slab.stride;
            let mut count = (most / slab.block).min(slab.count - block);
            if block + count < slab.count {
                let border = last_border(start.saturating_add(count.saturating_mul(slab.stride)));
                let inside = border.saturating_sub(start).div_ceil(slab.stride);
                count = if inside > 0 { count.min(inside) } else { count };
            }
            parts.push((Slab { start, count, ..slab }, before));
            before += count * slab.block;
            block += count;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(slab: &Slab) -> Vec<u64> {
        (0..slab.count).flat_map(|b| (0..slab.block).map(move |i| slab.start + b * slab.stride + i)).collect()
    }

    #[test]
    fn parts_are_the_whole_in_order() {
        let slabs = [
            Slab::range(3..50),
            Slab::range(7..7),
            Slab::step(1..60, 7),
            Slab { start: 2, stride: 10, count: 5, block: 4 },
            Slab { start: 0, stride: 4, count: 9, block: 4 },
            Slab { start: 5, stride: 20, count: 3, block: 17 },
        ];
        for slab in slabs {
            for most in [1, 2, 5, 8, 100] {
                for chunk in [None, Some(1), Some(4), Some(16), Some(100)] {
                    let parts = parts(slab, most, chunk);
                    let mut all = Vec::new();
                    for (part, before) in &parts {
                        assert_eq!(*before, all.len() as u64);
                        assert!((1..=most).contains(&part.len()), "{part:?} of {slab:?}, {most}, {chunk:?}");
                        all.extend(positions(part));
                    }
                    assert_eq!(all, positions(&slab), "{most} {chunk:?}");
                }
            }
        }
    }

    #[test]
    fn pieces_cover_memory_once_and_stay_within_their_bound() {
        let cases: &[(&[Slab], Option<&[u64]>)] = &[
            (&[Slab::range(0..100)], None),
            (&[Slab::range(3..40), Slab::range(0..30)], None),
            (&[Slab::range(3..40), Slab::step(1..60, 2)], Some(&[8, 16])),
            (&[Slab::range(2..3), Slab::range(5..30), Slab::range(0..7)], Some(&[1, 10, 4])),
            (
                &[Slab { start: 0, stride: 5, count: 4, block: 2 }, Slab::range(0..30), Slab::range(4..5)],
                Some(&[4, 7, 3]),
            ),
            (&[], None),
        ];
        for (slabs, chunk) in cases {
            for most in [1, 10, 60, 200, 10_000] {
                let pieces = Pieces::cut(slabs, *chunk, most);
                let of_chunk: u64 = chunk.map_or(1, |chunk| chunk.iter().product());
                let mut seen = vec![0; pieces.elements() as usize];
                let mut next = 0;
                pieces
                    .each(|slabs, first| {
                        let lens: Vec<u64> = slabs.iter().map(Slab::len).collect();
                        let len: u64 = lens.iter().product();
                        assert!(len <= most.max(of_chunk), "{lens:?} of {most}");
                        if pieces.follow_each_other() {
                            pieces.rows(&lens, first, |start, len| {
                                assert_eq!(start, next);
                                next += len;
                                Ok(())
                            })?;
                        }
                        pieces.rows(&lens, first, |start, len| {
                            seen[start..start + len].iter_mut().for_each(|count| *count += 1);
                            Ok(())
                        })
                    })
                    .unwrap();
                assert!(seen.iter().all(|count| *count == 1), "{slabs:?} {most}");
            }
        }
        // Each chunk lies in one piece.
        let pieces = Pieces::cut(&[Slab::range(0..40), Slab::range(0..4000)], Some(&[8, 16]), 1000);
        assert!(!pieces.follow_each_other());
        for (axis, chunk) in [(0, 8), (1, 16)] {
            assert!(pieces.axes[axis].iter().all(|(part, _)| part.start % chunk == 0));
        }
    }
}
