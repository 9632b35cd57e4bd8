//! Virtual datasets: elements that are in other datasets, in this file or others.
//!
//! Each mapping says which elements of a source dataset show where. Both selections may be unlimited along one axis: then
//! what shows grows with the source; or the names have a number in them, and there is a source for each block.

mod conversion;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

use h5live_format::Addr;
use h5live_format::global_heap::GlobalHeapId;
use h5live_format::selection::{RegularDimension, Selection as StoredSelection};
use h5live_format::virtual_dataset::{Mapping, SourceFile, decode};

use self::conversion::Conversion;
use super::read::fill;
use super::{Dataset, Meta, VirtualMapping};
use crate::chunk::grid::each_point;
use crate::error::{Error, ErrorKind, Result};
use crate::file::Inner;
use crate::selection::{Selection, Slab, elements};

/// Elements of an irregular selection at most.
const MOST_LISTED: u64 = 1 << 24;

/// Where a virtual dataset's elements are.
pub(crate) struct VirtualData {
    /// The global heap object with the list; none while nothing is mapped.
    list: Option<GlobalHeapId>,
    mappings: OnceLock<Vec<Mapping<StoredSelection>>>,
}

impl VirtualData {
    pub(crate) fn new(heap: Option<Addr>, index: u32) -> Self {
        Self { list: heap.map(|collection| GlobalHeapId { collection, index }), mappings: OnceLock::new() }
    }

    /// File and path of each source.
    pub(crate) fn describe(&self, file: &Inner) -> Result<Vec<(Option<String>, String)>> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let describe = |mapping: &Mapping<StoredSelection>| {
            let file = match &mapping.file {
                SourceFile::Same => None,
                SourceFile::Named(name) => Some(text(name)),
            };
            (file, text(&mapping.dataset))
        };
        Ok(self.mappings(file)?.iter().map(describe).collect())
    }

    /// Sets the extent along unlimited axes to what the sources have now.
    pub(crate) fn extend(&self, file: &Inner, dims: &mut [u64], max: &[Option<u64>]) -> Result<()> {
        if max.iter().all(Option::is_some)
            && !self.mappings(file)?.iter().any(|mapping| open_axis(&mapping.target).is_some())
        {
            return Ok(());
        }
        let mut found: Vec<Option<u64>> = vec![None; dims.len()];
        for mapping in self.mappings(file)? {
            let (StoredSelection::Regular(target), Some(axis)) = (&mapping.target, open_axis(&mapping.target)) else {
                continue;
            };
            let (Some(along), Some(found)) = (target.get(axis), found.get_mut(axis)) else { continue };
            let shown = match open_axis(&mapping.source) {
                // A source for each block.
                None => {
                    let mut blocks = 0;
                    while numbered(mapping) && open_source(file, mapping, blocks).is_ok() {
                        blocks += 1;
                    }
                    blocks.saturating_mul(along.block.unwrap_or(0))
                }
                Some(source_axis) => {
                    let source = open_source(file, mapping, 0).map(|source| source.shape()).unwrap_or_default();
                    match (&mapping.source, source.get(source_axis)) {
                        (StoredSelection::Regular(selected), Some(dim)) => {
                            selected.get(source_axis).map_or(0, |selected| count_below(&limited(selected, *dim), *dim))
                        }
                        _ => 0,
                    }
                }
            };
            let end = end_of(along, shown);
            *found = Some(found.unwrap_or(0).max(end));
        }
        // What is mapped without growing shows in any case.
        let fixed = |axis: usize| {
            let ends = self.mappings(file).map(|mappings| {
                mappings
                    .iter()
                    .filter(|mapping| open_axis(&mapping.target).is_none())
                    .filter_map(|mapping| match &mapping.target {
                        StoredSelection::Regular(target) => target.get(axis).and_then(|along| limited(along, 0).end()),
                        StoredSelection::Blocks(blocks) => {
                            blocks.iter().filter_map(|(_, last)| last.get(axis).map(|last| last + 1)).max()
                        }
                        _ => None,
                    })
                    .max()
            });
            ends.map(|end| end.unwrap_or(0))
        };
        for (axis, found) in found.into_iter().enumerate() {
            if let Some(end) = found {
                dims[axis] = end.max(fixed(axis)?).min(max[axis].unwrap_or(u64::MAX));
            }
        }
        Ok(())
    }

    /// Reads the selected elements. What has no source, or a source that is not there, reads as the fill value.
    pub(crate) fn read(
        &self,
        file: &Inner,
        meta: &Meta,
        dims: &[u64],
        selection: &Selection,
        out: &mut [u8],
    ) -> Result<()> {
        fill(out, meta.unwritten());
        for mapping in self.mappings(file)? {
            let blocks = match (&mapping.target, open_axis(&mapping.target)) {
                (StoredSelection::Regular(target), Some(axis)) if numbered(mapping) => {
                    let along = limited(&target[axis], dims[axis]);
                    (0..along.count).map(|block| (block, Some(axis))).collect()
                }
                _ => vec![(0, None)],
            };
            for (block, axis) in blocks {
                let target = match (axis, &mapping.target) {
                    (Some(axis), StoredSelection::Regular(target)) => {
                        StoredSelection::Regular(one_block(target, axis, block))
                    }
                    (_, target) => target.clone(),
                };
                // Whether the block is asked for is cheaper to find out than what is in it.
                let target = Place::of(&target, dims)?;
                if !target.meets(selection, dims) {
                    continue;
                }
                let source = match open_source(file, mapping, block) {
                    Ok(source) => source,
                    Err(error) if is_missing(&error) => continue,
                    Err(error) => return Err(error),
                };
                show(file, meta, &source, &mapping.source, &target, dims, selection, out)?;
            }
        }
        Ok(())
    }

    /// The mappings, for programs.
    pub(crate) fn mappings_of(&self, file: &Inner) -> Result<Vec<VirtualMapping>> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let describe = |mapping: &Mapping<StoredSelection>| VirtualMapping {
            file: match &mapping.file {
                SourceFile::Same => None,
                SourceFile::Named(name) => Some(text(name)),
            },
            dataset: text(&mapping.dataset),
            source: mapping.source.clone(),
            target: mapping.target.clone(),
        };
        Ok(self.mappings(file)?.iter().map(describe).collect())
    }

    fn mappings(&self, file: &Inner) -> Result<&[Mapping<StoredSelection>]> {
        if let Some(mappings) = self.mappings.get() {
            return Ok(mappings);
        }
        let read = match self.list {
            Some(id) => {
                let (at, widths) = (id.collection.0, file.source.widths());
                file.heap.object(&file.source, id, |data| decode(data, at, widths, StoredSelection::read))??
            }
            None => Vec::new(),
        };
        Ok(self.mappings.get_or_init(|| read))
    }
}

/// A selection with its limits known.
enum Place {
    /// One slab per axis.
    Slabs(Vec<Slab>),
    /// Every element, in the order of the selection.
    Listed(Vec<Vec<u64>>),
}

impl Place {
    fn of(selection: &StoredSelection, dims: &[u64]) -> Result<Self> {
        let wrong_rank = || Error::unsupported("a virtual dataset with a mapping of another rank than the dataset");
        Ok(match selection {
            StoredSelection::None => Self::Listed(Vec::new()),
            StoredSelection::All => Self::Slabs(dims.iter().map(|dim| Slab::range(0..*dim)).collect()),
            StoredSelection::Regular(axes) if axes.len() == dims.len() => {
                Self::Slabs(axes.iter().zip(dims).map(|(axis, dim)| limited(axis, *dim)).collect())
            }
            StoredSelection::Points(points) if points.rank == dims.len() => {
                Self::Listed(points.iter().map(<[u64]>::to_vec).collect())
            }
            StoredSelection::Blocks(blocks) if blocks.rank == dims.len() => {
                let mut listed = Vec::new();
                for (first, last) in blocks.iter() {
                    let ranges: Vec<Range<u64>> =
                        first.iter().zip(last).map(|(from, to)| *from..to.saturating_add(1)).collect();
                    let sizes: Vec<u64> = ranges.iter().map(|range| range.end - range.start).collect();
                    if elements(&sizes).is_none_or(|count| count + listed.len() as u64 > MOST_LISTED) {
                        return Err(Error::unsupported("a virtual dataset with an irregular mapping of many elements"));
                    }
                    each_point(&ranges, |point| listed.push(point.to_vec()));
                }
                // Elements of blocks count in row-major order, whichever block they are in.
                listed.sort_unstable();
                listed.dedup();
                Self::Listed(listed)
            }
            _ => return Err(wrong_rank()),
        })
    }

    /// Whether a selection may have elements in common with it.
    fn meets(&self, selection: &Selection, dims: &[u64]) -> bool {
        let (Self::Slabs(own), Some(asked)) = (self, selection.slabs(dims)) else { return true };
        own.iter().zip(&asked).all(|(own, asked)| {
            let (Some(own_end), Some(asked_end)) = (own.end(), asked.end()) else { return true };
            own.start < asked_end && asked.start < own_end
        })
    }

    fn list(&self) -> Result<Vec<Vec<u64>>> {
        match self {
            Self::Listed(points) => Ok(points.clone()),
            Self::Slabs(slabs) => {
                let lens: Vec<u64> = slabs.iter().map(Slab::len).collect();
                if elements(&lens).is_none_or(|count| count > MOST_LISTED) {
                    return Err(Error::unsupported("a virtual dataset with an irregular mapping of many elements"));
                }
                let mut points = Vec::new();
                let ranges: Vec<Range<u64>> = lens.iter().map(|len| 0..*len).collect();
                each_point(&ranges, |at| {
                    points.push(slabs.iter().zip(at).map(|(slab, at)| coordinate(slab, *at)).collect());
                });
                Ok(points)
            }
        }
    }
}

/// Puts what `source` has of a mapping where it shows in `out`.
#[expect(clippy::too_many_arguments, reason = "a mapping, what it is in, and what is asked of it")]
fn show(
    file: &Inner,
    meta: &Meta,
    source: &Dataset,
    selected: &StoredSelection,
    target: &Place,
    dims: &[u64],
    selection: &Selection,
    out: &mut [u8],
) -> Result<()> {
    let source_dims = source.shape();
    let from = Place::of(selected, &source_dims)?;
    let convert = Conversion::new(file, source, meta)?;
    if let (Place::Slabs(from), Place::Slabs(to), Some(asked)) = (&from, target, selection.slabs(dims))
        && let Some(pairs) = pair_axes(from, to)
    {
        return show_slabs(source, &source_dims, from, to, &pairs, &asked, &convert, out);
    }
    // Element by element: which of the mapped ones were asked for, and where do they go?
    let asked: HashMap<Vec<u64>, Vec<u64>> = match selection {
        Selection::Points(points) => {
            let mut asked: HashMap<Vec<u64>, Vec<u64>> = HashMap::new();
            for (number, point) in (0..).zip(points) {
                asked.entry(point.clone()).or_default().push(number);
            }
            asked
        }
        _ => HashMap::new(),
    };
    let slabs = selection.slabs(dims);
    let mut wanted = Vec::new();
    let mut places = Vec::new();
    for (to, from) in target.list()?.into_iter().zip(from.list()?) {
        if from.iter().zip(&source_dims).any(|(at, dim)| at >= dim) {
            continue;
        }
        let found = match &slabs {
            Some(slabs) => {
                let at = slabs.iter().zip(&to).map(|(slab, at)| position(slab, *at)).collect::<Option<Vec<u64>>>();
                at.map(|at| at.iter().zip(slabs).fold(0, |sum, (at, slab)| sum * slab.len() + at)).into_iter().collect()
            }
            None => asked.get(&to).cloned().unwrap_or_default(),
        };
        for place in found {
            wanted.push(from.clone());
            places.push(place as usize);
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let raw = convert.apply(source.read_raw(Selection::Points(wanted))?)?;
    let size = meta.element_size;
    for (element, place) in raw.chunks_exact(size).zip(places) {
        out[place * size..(place + 1) * size].copy_from_slice(element);
    }
    Ok(())
}

/// [`show`] where all is regular: reads one box of the source, and spreads it axis by axis.
#[expect(clippy::too_many_arguments, reason = "what `show` has found out, each used once")]
fn show_slabs(
    source: &Dataset,
    source_dims: &[u64],
    from: &[Slab],
    to: &[Slab],
    pairs: &[Option<usize>],
    asked: &[Slab],
    convert: &Conversion<'_>,
    out: &mut [u8],
) -> Result<()> {
    let mut boxes: Vec<Slab> = from.iter().map(|slab| Slab::range(slab.start..slab.start.saturating_add(1))).collect();
    // For each axis that shows: position in the request and coordinate in the source.
    let mut along: Vec<Vec<(u64, u64)>> = Vec::with_capacity(to.len());
    for (axis, (to, asked)) in to.iter().zip(asked).enumerate() {
        let mut shown = Vec::new();
        for at in 0..asked.len() {
            let Some(number) = position(to, coordinate(asked, at)) else { continue };
            match pairs[axis] {
                Some(other) if number < from[other].len() => {
                    let coordinate = coordinate(&from[other], number);
                    if coordinate < source_dims[other] {
                        shown.push((at, coordinate));
                    }
                }
                Some(_) => {}
                None => shown.push((at, 0)),
            }
        }
        let (Some(first), Some(last)) = (shown.first(), shown.last()) else { return Ok(()) };
        if let Some(other) = pairs[axis] {
            let range = first.1..last.1 + 1;
            let slab = &from[other];
            // Strides of single elements are not read through; anything else is read from the first to the last.
            boxes[other] =
                if slab.block == 1 && slab.count > 1 { Slab::step(range, slab.stride) } else { Slab::range(range) };
        }
        along.push(shown);
    }
    if boxes.iter().zip(source_dims).any(|(slab, dim)| slab.end().is_none_or(|end| end > *dim)) {
        return Ok(());
    }
    let raw = convert.apply(source.read_raw(Selection::Hyperslab(boxes.clone()))?)?;
    let size = convert.size;
    let strides = |lens: Vec<u64>| {
        let mut strides = vec![1u64; lens.len()];
        for axis in (1..lens.len()).rev() {
            strides[axis - 1] = strides[axis] * lens[axis];
        }
        strides
    };
    let out_strides = strides(asked.iter().map(Slab::len).collect());
    let box_strides = strides(boxes.iter().map(Slab::len).collect());
    // In elements of `out` and of the box.
    let steps: Vec<Vec<(u64, u64)>> = along
        .iter()
        .enumerate()
        .map(|(axis, shown)| {
            let offset = |coordinate| match pairs[axis] {
                Some(other) => position(&boxes[other], coordinate).unwrap_or(0) * box_strides[other],
                None => 0,
            };
            shown.iter().map(|(at, coordinate)| (at * out_strides[axis], offset(*coordinate))).collect()
        })
        .collect();
    let (last, outer) = match steps.split_last() {
        Some((last, outer)) => (last.as_slice(), outer),
        None => (&[(0, 0)][..], &[][..]),
    };
    let ranges: Vec<Range<u64>> = outer.iter().map(|axis| 0..axis.len() as u64).collect();
    each_point(&ranges, |point| {
        let start = point.iter().zip(outer).fold((0, 0), |sum, (at, axis)| {
            let step = axis[*at as usize];
            (sum.0 + step.0, sum.1 + step.1)
        });
        let mut next = 0;
        while let Some((to, from)) = last.get(next) {
            let follows = |run: usize| last.get(next + run) == Some(&(to + run as u64, from + run as u64));
            let run = (1..last.len() - next).take_while(|run| follows(*run)).count() + 1;
            let (to, from) = ((start.0 + to) as usize * size, (start.1 + from) as usize * size);
            out[to..to + run * size].copy_from_slice(&raw[from..from + run * size]);
            next += run;
        }
    });
    Ok(())
}

/// For each axis of `to` the one of `from` that it shows; none where there is only one element along it. `None` when the
/// two shapes cannot be laid on each other axis by axis.
fn pair_axes(from: &[Slab], to: &[Slab]) -> Option<Vec<Option<usize>>> {
    if from.len() == to.len() && from.iter().zip(to).all(|(from, to)| from.len() == to.len()) {
        return Some((0..to.len()).map(Some).collect());
    }
    let long = |slabs: &[Slab]| -> Vec<usize> { (0..slabs.len()).filter(|axis| slabs[*axis].len() != 1).collect() };
    let (from_long, to_long) = (long(from), long(to));
    // Lengths may differ along one axis only: where both grow, one has less to show for now.
    let differing =
        from_long.iter().zip(&to_long).filter(|(one, other)| from[**one].len() != to[**other].len()).count();
    if from.len() == to.len() && differing <= 1 && from_long.len() != to_long.len() {
        return Some((0..to.len()).map(Some).collect());
    }
    if from_long.len() != to_long.len() || differing > 1 {
        return None;
    }
    let mut pairs = vec![None; to.len()];
    for (from, to) in from_long.into_iter().zip(to_long) {
        pairs[to] = Some(from);
    }
    Some(pairs)
}

/// Opens the source of a mapping: that of this block, where its names are numbered.
fn open_source(file: &Inner, mapping: &Mapping<StoredSelection>, block: u64) -> Result<Dataset> {
    let dataset = with_number(&mapping.dataset, block);
    let dataset = String::from_utf8_lossy(&dataset);
    let file = match &mapping.file {
        SourceFile::Same => file.handle().ok_or(ErrorKind::Closed)?,
        SourceFile::Named(name) => file.other(&with_number(name, block))?,
    };
    file.dataset(&dataset)
}

/// Whether an error means that a source is not there, which is nothing unusual.
fn is_missing(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::NotFound { .. } | ErrorKind::WrongKind { .. } => true,
        ErrorKind::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// Whether the names of a mapping's source have a number in them.
fn numbered(mapping: &Mapping<StoredSelection>) -> bool {
    let has = |name: &[u8]| name.windows(2).any(|pair| pair == b"%b");
    has(&mapping.dataset) || matches!(&mapping.file, SourceFile::Named(name) if has(name))
}

/// A name with the block's number for `%b`, and `%` for `%%`.
fn with_number(name: &[u8], block: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((first, after)) = rest.split_first() {
        match (first, after.first()) {
            (b'%', Some(b'b')) => {
                out.extend_from_slice(block.to_string().as_bytes());
                rest = &after[1..];
            }
            (b'%', Some(b'%')) => {
                out.push(b'%');
                rest = &after[1..];
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// The axis along which a selection is unlimited.
fn open_axis(selection: &StoredSelection) -> Option<usize> {
    match selection {
        StoredSelection::Regular(axes) => axes.iter().position(|axis| axis.count.is_none() || axis.block.is_none()),
        _ => None,
    }
}

/// An axis of a selection; where it is unlimited, as much as starts below `dim`.
fn limited(axis: &RegularDimension, dim: u64) -> Slab {
    let left = dim.saturating_sub(axis.start);
    let block = axis.block.unwrap_or(left);
    let stride = axis.stride.max(block).max(1);
    let count = axis.count.unwrap_or_else(|| left.div_ceil(stride));
    Slab { start: axis.start, stride, count, block }
}

/// Block number `block` along `axis`.
fn one_block(axes: &[RegularDimension], axis: usize, block: u64) -> Vec<RegularDimension> {
    let mut axes = axes.to_vec();
    if let Some(along) = axes.get_mut(axis) {
        along.start = along.start.saturating_add(along.stride.saturating_mul(block));
        along.count = Some(1);
    }
    axes
}

/// Where `shown` elements end along an axis.
fn end_of(axis: &RegularDimension, shown: u64) -> u64 {
    let Some(block) = axis.block else { return axis.start.saturating_add(shown) };
    let (whole, rest) = (shown.checked_div(block).unwrap_or(0), shown.checked_rem(block).unwrap_or(0));
    let steps = if rest > 0 { whole } else { whole.saturating_sub(1) };
    let last = if rest > 0 { rest } else { block };
    match shown {
        0 => 0,
        _ => axis.start.saturating_add(axis.stride.saturating_mul(steps)).saturating_add(last),
    }
}

/// How many elements of a slab lie below `dim`.
fn count_below(slab: &Slab, dim: u64) -> u64 {
    slab.runs_in(0..dim).map(|(_, _, len)| len).sum()
}

/// The coordinate of a slab's element.
fn coordinate(slab: &Slab, at: u64) -> u64 {
    let block = slab.block.max(1);
    slab.start.saturating_add((at / block).saturating_mul(slab.stride)).saturating_add(at % block)
}

/// Which of a slab's elements has this coordinate.
fn position(slab: &Slab, coordinate: u64) -> Option<u64> {
    let past = coordinate.checked_sub(slab.start)?;
    let (number, within) =
        if slab.count <= 1 { (0, past) } else { (past / slab.stride.max(1), past % slab.stride.max(1)) };
    (number < slab.count && within < slab.block).then(|| number * slab.block + within)
}
