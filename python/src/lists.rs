//! Reading and writing rows that are picked by a list.
//!
//! A list is cut into groups that lie near each other; each group is one read of the smallest range that has it, so that no
//! chunk is decoded twice.

use h5live::{Dataset, Result, Selection, Slab};

use crate::selection::Along;

/// Places picked from a list that are read together.
struct Group<'a> {
    /// Position of the first in the list.
    first: u64,
    at: &'a [u64],
}

impl Group<'_> {
    fn range(&self) -> Slab {
        match (self.at.first(), self.at.last()) {
            (Some(first), Some(last)) => Slab::range(*first..last + 1),
            _ => Slab::range(0..0),
        }
    }
}

/// Cuts a list where `apart` says that two neighbours are not to be read together.
fn groups<'a>(list: &'a [u64], mut apart: impl FnMut(u64, u64) -> bool) -> Vec<Group<'a>> {
    let mut first = 0;
    let mut groups = Vec::new();
    for at in list.chunk_by(|one, other| !apart(*one, *other)) {
        groups.push(Group { first, at });
        first += at.len() as u64;
    }
    groups
}

/// The only axis that has a list, and the list.
fn list_axis(axes: &[Along]) -> Option<(usize, &[u64])> {
    axes.iter().enumerate().find_map(|(axis, along)| match along {
        Along::List(list) => Some((axis, list.as_slice())),
        Along::Slab(_) => None,
    })
}

/// One slab per axis, with `slab` on the axis of the list.
fn with_slab(axes: &[Along], slab: Slab) -> Vec<Slab> {
    let each = axes.iter().map(|along| match along {
        Along::Slab(slab) => *slab,
        Along::List(_) => slab,
    });
    each.collect()
}

/// Elements before, on and after an axis, for one place on it: how many pieces there are, and how many elements each has.
struct Frame {
    outer: usize,
    inner: usize,
}

impl Frame {
    fn of(axes: &[Along], axis: usize) -> Self {
        let product = |axes: &[Along]| axes.iter().map(|along| along.len() as usize).product();
        Self { outer: product(&axes[..axis]), inner: product(&axes[axis + 1..]) }
    }
}

/// Reads the product of `axes` into `out`, as many bytes as it has.
pub(crate) fn read(dataset: &Dataset, axes: &[Along], element_size: usize, out: &mut [u8]) -> Result<()> {
    /// Bytes that are read although nobody asked for them, rather than beginning a new read.
    const GAP: u64 = 16 << 10;
    /// The most bytes of one read that goes on over a gap: what is read and picked from stays in the processor's cache.
    const AT_ONCE: u64 = 256 << 10;
    let Some((axis, list)) = list_axis(axes) else { return Ok(()) };
    let Frame { outer, inner } = Frame::of(axes, axis);
    let piece = inner * element_size;
    let chunk = dataset.chunk_shape().map(|chunk| chunk[axis]);
    let gap = GAP / (piece.max(1) as u64) + 1;
    let most = (AT_ONCE / (outer * piece).max(1) as u64).max(1);
    let mut begun = list.first().copied().unwrap_or(0);
    let apart = |one: u64, other: u64| {
        let far = other - one > gap || other - begun >= most && other - one > 1;
        let apart = far && chunk.is_none_or(|chunk| one / chunk != other / chunk);
        if apart {
            begun = other;
        }
        apart
    };
    let mut read = Vec::new();
    for group in groups(list, apart) {
        let range = group.range();
        let selection = Selection::Hyperslab(with_slab(axes, range));
        read.resize(outer * range.len() as usize * piece, 0);
        dataset.read_raw_into(selection, &mut read)?;
        for before in 0..outer {
            let from = &read[before * range.len() as usize * piece..];
            let to = (before * list.len() + group.first as usize) * piece;
            pick(from, range.start, group.at, piece, &mut out[to..to + group.at.len() * piece]);
        }
    }
    Ok(())
}

/// Copies the pieces at the places `at` of an axis, of which `from` begins with place `start`, one after the other to `out`.
fn pick(from: &[u8], start: u64, at: &[u64], piece: usize, out: &mut [u8]) {
    /// With the number of bytes known, each copy is one instruction and no call.
    fn fixed<const N: usize>(from: &[u8], start: u64, at: &[u64], out: &mut [u8]) {
        for (to, at) in out.as_chunks_mut::<N>().0.iter_mut().zip(at) {
            let first = (at - start) as usize * N;
            to.copy_from_slice(&from[first..first + N]);
        }
    }
    match piece {
        1 => fixed::<1>(from, start, at, out),
        2 => fixed::<2>(from, start, at, out),
        4 => fixed::<4>(from, start, at, out),
        8 => fixed::<8>(from, start, at, out),
        16 => fixed::<16>(from, start, at, out),
        0 => {}
        _ => {
            for (to, at) in out.chunks_exact_mut(piece).zip(at) {
                let first = (at - start) as usize * piece;
                to.copy_from_slice(&from[first..first + piece]);
            }
        }
    }
}

/// Writes `data`, as many bytes as the product of `axes` has.
pub(crate) fn write(dataset: &Dataset, axes: &[Along], element_size: usize, data: &[u8]) -> Result<()> {
    let Some((axis, list)) = list_axis(axes) else { return Ok(()) };
    let Frame { outer, inner } = Frame::of(axes, axis);
    let piece = inner * element_size;
    let mut part = Vec::new();
    for group in groups(list, |one, other| other != one + 1) {
        part.clear();
        for before in 0..outer {
            let start = (before * list.len() + group.first as usize) * piece;
            part.extend_from_slice(&data[start..start + group.at.len() * piece]);
        }
        dataset.write_raw(Selection::Hyperslab(with_slab(axes, group.range())), &part)?;
    }
    Ok(())
}
