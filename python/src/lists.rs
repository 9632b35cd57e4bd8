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
    let Some((axis, list)) = list_axis(axes) else { return Ok(()) };
    let Frame { outer, inner } = Frame::of(axes, axis);
    let piece = inner * element_size;
    let chunk = dataset.chunk_shape().map(|chunk| chunk[axis]);
    let gap = GAP / (piece.max(1) as u64) + 1;
    let apart = |one: u64, other: u64| match chunk {
        Some(chunk) => one / chunk != other / chunk && other - one > gap,
        None => other - one > gap,
    };
    let mut read = Vec::new();
    for group in groups(list, apart) {
        let range = group.range();
        let selection = Selection::Hyperslab(with_slab(axes, range));
        read.resize(outer * range.len() as usize * piece, 0);
        dataset.read_raw_into(selection, &mut read)?;
        for before in 0..outer {
            for (number, at) in (group.first as usize..).zip(group.at) {
                let from = (before * range.len() as usize + (at - range.start) as usize) * piece;
                let to = (before * list.len() + number) * piece;
                out[to..to + piece].copy_from_slice(&read[from..from + piece]);
            }
        }
    }
    Ok(())
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
