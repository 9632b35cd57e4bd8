//! Cases of the matrix, made with h5live.

use std::ops::Range;

use h5live::{Dataset, DatasetBuilder, File, FilterId, Result, Value};
use h5live_testkit::matrix::{Case, Expected, FillTime, Filter, Layout, Target, Tree};

use crate::plain::{datatype, value};

/// When readers are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// Never.
    Unseen,
    /// When groups and datasets are there and nothing is written yet.
    BeforeData,
    /// When the file is there and nothing is in it.
    BeforeAll,
}

/// Makes the case in a file, which is returned open, everything published if it is live.
pub(crate) fn make(file: &File, case: &Case, expected: &Expected, liveness: Liveness) -> Result<()> {
    if liveness == Liveness::BeforeAll {
        file.go_live()?;
    }
    file.create_group("group/inner")?;
    let growing = liveness != Liveness::Unseen && case.masks.is_none();
    let start = case.shape.as_ref().map(|shape| if growing { start(case, shape) } else { shape.clone() });
    let dataset = builder(file, case, start.as_deref()).create()?;
    assert_eq!(dataset.chunk_index(), index(case), "{}", case.name);
    if liveness == Liveness::BeforeData {
        file.go_live()?;
    }
    let content = Content::new(case, expected, file);
    if let Some(masks) = &case.masks {
        write_chunks(&dataset, case, &content, masks)?;
    } else if let (Some(shape), Some(mut now)) = (&case.shape, start) {
        if growing {
            while now != *shape {
                let next = grown(case, &now, shape);
                extend(&dataset, case, &content, &now, &next)?;
                file.publish()?;
                now = next;
            }
        }
        if !growing || growth(case, shape).is_empty() {
            overwrite(&dataset, case, &content, shape, growing)?;
        }
    }
    if case.attribute {
        let kind = datatype(&case.kind);
        dataset.set_attribute_values("twin", &kind, case.shape.as_deref(), &content.values)?;
    }
    if liveness != Liveness::Unseen {
        file.publish()?;
    }
    Ok(())
}

/// The index that the case asks for.
pub(crate) fn index(case: &Case) -> Option<&str> {
    match &case.layout {
        Layout::Chunked { index, .. } => Some(index),
        Layout::Compact | Layout::Contiguous => None,
    }
}

fn builder(file: &File, case: &Case, shape: Option<&[u64]>) -> DatasetBuilder {
    let mut new = file.new_dataset_of("data", datatype(&case.kind));
    new = match shape {
        None => new.null(),
        Some(shape) => new.shape(shape.iter().copied()),
    };
    if let (Some(max), Some(shape)) = (&case.maxshape, &case.shape)
        && max.iter().zip(shape).any(|(max, dim)| *max != Some(*dim))
    {
        new = new.resizable(max.iter().copied());
    }
    new = match &case.layout {
        Layout::Compact => new.compact(),
        Layout::Contiguous => new.contiguous(),
        Layout::Chunked { chunks, index } if index == "implicit" => new.chunks_allocated_early(chunks.iter().copied()),
        Layout::Chunked { chunks, .. } => new.chunks(chunks.iter().copied()),
    };
    for filter in &case.filters {
        new = match filter {
            Filter::Deflate { level } => new.gzip(*level),
            Filter::Shuffle => new.shuffle(),
            Filter::Fletcher32 => new.fletcher32(),
            Filter::Lzf => new.lzf(),
        };
    }
    if let Some(fill) = &case.fill {
        new = new.fill_with(&value(&case.kind, fill, file)).unwrap();
    }
    new.fill_time(match case.fill_time {
        FillTime::IfSet => h5live::FillTime::IfSet,
        FillTime::Alloc => h5live::FillTime::OnAllocation,
        FillTime::Never => h5live::FillTime::Never,
    })
}

/// The axes that can grow.
fn growth(case: &Case, shape: &[u64]) -> Vec<usize> {
    let max = case.maxshape.as_deref().unwrap_or_default();
    (0..shape.len()).filter(|axis| max[*axis] != Some(shape[*axis])).collect()
}

/// The extent a growing dataset starts with: nothing along the axes that can grow.
fn start(case: &Case, shape: &[u64]) -> Vec<u64> {
    let growing = growth(case, shape);
    shape.iter().enumerate().map(|(axis, dim)| if growing.contains(&axis) { 0 } else { *dim }).collect()
}

/// The next extent on the way to `shape`, in uneven steps that seldom end with a chunk.
fn grown(case: &Case, now: &[u64], shape: &[u64]) -> Vec<u64> {
    let growing = growth(case, shape);
    let total: u64 = growing.iter().map(|axis| shape[*axis]).max().unwrap_or(0);
    let mut next = now.to_vec();
    for axis in growing {
        let step = [1, 2, 5, 3, 7][(now[axis] % 5) as usize] * (total / 500).max(1);
        next[axis] = (now[axis] + step).min(shape[axis]);
    }
    next
}

/// Takes the dataset from one extent to a larger one, and writes what came with it: by appending, where one axis grows.
fn extend(dataset: &Dataset, case: &Case, content: &Content, now: &[u64], next: &[u64]) -> Result<()> {
    let axes: Vec<usize> = (0..now.len()).filter(|axis| now[*axis] != next[*axis]).collect();
    let rows = case.rows.unwrap_or(0);
    if axes == [0] && next[0] <= rows && next[1..].iter().all(|dim| *dim > 0) {
        let mut part: Vec<Range<u64>> = next.iter().map(|dim| 0..*dim).collect();
        part[0] = now[0]..next[0];
        return match content.raw(&part) {
            Some(raw) => dataset.append_raw(&raw),
            None => dataset.append_values(&content.values(&part)),
        };
    }
    dataset.resize(next.iter().copied())?;
    for axis in axes {
        // Along this axis what is new; along those before it all there is now, along those behind what there was.
        let part = (0..now.len()).map(|other| match other.cmp(&axis) {
            std::cmp::Ordering::Less => 0..next[other],
            std::cmp::Ordering::Equal => now[other]..next[other],
            std::cmp::Ordering::Greater => 0..now[other],
        });
        let mut part: Vec<Range<u64>> = part.collect();
        part[0].end = part[0].end.min(rows);
        content.write(dataset, &part)?;
    }
    Ok(())
}

/// Writes the rows: all at once, or a few at a time, each published.
fn overwrite(dataset: &Dataset, case: &Case, content: &Content, shape: &[u64], in_parts: bool) -> Result<()> {
    let rows = case.rows.unwrap_or(0);
    if shape.is_empty() {
        return dataset.write_values(.., &content.values);
    }
    let step = if in_parts { (rows / 3).max(1) } else { rows.max(1) };
    let mut from = 0;
    while from < rows {
        let mut part: Vec<Range<u64>> = shape.iter().map(|dim| 0..*dim).collect();
        part[0] = from..(from + step).min(rows);
        content.write(dataset, &part)?;
        dataset.file().publish()?;
        from += step;
    }
    Ok(())
}

/// Writes every chunk as it is stored, through the filters that its mask lets it pass.
fn write_chunks(dataset: &Dataset, case: &Case, content: &Content, masks: &[u32]) -> Result<()> {
    let (Layout::Chunked { chunks, .. }, Some(shape)) = (&case.layout, &case.shape) else { return Ok(()) };
    let grid: Vec<Range<u64>> = shape.iter().zip(chunks).map(|(dim, chunk)| 0..dim.div_ceil(*chunk)).collect();
    let size = datatype(&case.kind).size() as usize;
    for (place, mask) in points(&grid).into_iter().zip(masks) {
        let offset: Vec<u64> = place.iter().zip(chunks).map(|(at, chunk)| at * chunk).collect();
        let inside: Vec<Range<u64>> = offset
            .iter()
            .zip(chunks)
            .zip(shape)
            .map(|((start, chunk), dim)| *start..(start + chunk).min(*dim))
            .collect();
        let mut plain = vec![0; chunks.iter().product::<u64>() as usize * size];
        let raw = content.raw(&inside).unwrap();
        for (element, point) in raw.chunks_exact(size).zip(points(&inside)) {
            let at =
                point.iter().zip(&offset).zip(chunks).fold(0, |sum, ((at, start), chunk)| sum * chunk + at - start);
            plain[at as usize * size..][..size].copy_from_slice(element);
        }
        let filters = case
            .filters
            .iter()
            .enumerate()
            .filter(|(at, _)| mask >> at & 1 == 0)
            .map(|(_, filter)| stage(filter, size));
        let pipeline = h5live_filter::Pipeline::new(filters, &h5live_filter::Registry::default()).unwrap();
        let (stored, skipped) = pipeline.encode(&plain).unwrap();
        assert_eq!(skipped, 0);
        dataset.write_chunk(&offset, *mask, &stored)?;
    }
    Ok(())
}

fn stage(filter: &Filter, size: usize) -> h5live_filter::Stage {
    match filter {
        Filter::Deflate { level } => h5live_filter::Stage::new(FilterId::DEFLATE, [*level]),
        Filter::Shuffle => h5live_filter::Stage::new(FilterId::SHUFFLE, [size as u32]),
        Filter::Fletcher32 => h5live_filter::Stage::new(FilterId::FLETCHER32, []),
        Filter::Lzf => panic!("no masked case has LZF"),
    }
}

/// What a case holds, to be written box by box.
struct Content {
    shape: Vec<u64>,
    size: usize,
    /// None for types whose bytes mean nothing by themselves.
    raw: Option<Vec<u8>>,
    /// None at all where there are very many.
    values: Vec<Value>,
}

impl Content {
    fn new(case: &Case, expected: &Expected, file: &File) -> Self {
        let values = expected.values.iter().flatten().map(|plain| value(&case.kind, plain, file)).collect();
        Self {
            shape: case.shape.clone().unwrap_or_default(),
            size: datatype(&case.kind).size() as usize,
            raw: expected.raw(),
            values,
        }
    }

    /// Writes a box: as values where there are any, else as bytes.
    fn write(&self, dataset: &Dataset, part: &[Range<u64>]) -> Result<()> {
        if part.iter().any(Range::is_empty) {
            return Ok(());
        }
        let slabs: Vec<h5live::Slab> = part.iter().cloned().map(h5live::Slab::range).collect();
        match &self.raw {
            Some(_) if self.values.is_empty() => dataset.write_raw(slabs, &self.raw(part).unwrap_or_default()),
            _ => dataset.write_values(slabs, &self.values(part)),
        }
    }

    fn raw(&self, part: &[Range<u64>]) -> Option<Vec<u8>> {
        let raw = self.raw.as_ref()?;
        Some(self.numbers(part).flat_map(|at| &raw[at * self.size..][..self.size]).copied().collect())
    }

    fn values(&self, part: &[Range<u64>]) -> Vec<Value> {
        self.numbers(part).map(|at| self.values[at].clone()).collect()
    }

    /// The numbers of a box's elements in row-major order.
    fn numbers(&self, part: &[Range<u64>]) -> impl Iterator<Item = usize> {
        let number = |point: Vec<u64>| point.iter().zip(&self.shape).fold(0, |sum, (at, dim)| sum * dim + at) as usize;
        points(part).into_iter().map(number)
    }
}

/// Every point of a box, in row-major order.
fn points(ranges: &[Range<u64>]) -> Vec<Vec<u64>> {
    ranges.iter().fold(vec![Vec::new()], |points, range| {
        let longer = |point: Vec<u64>| range.clone().map(move |at| [point.clone(), vec![at]].concat());
        points.into_iter().flat_map(longer).collect()
    })
}

/// Makes the tree in a new file at `path`, publishing now and then if readers look.
pub(crate) fn make_tree(path: &std::path::Path, tree: &Tree, liveness: Liveness) -> Result<File> {
    let ordered_root = tree.objects.iter().any(|object| object.path == "/" && object.creation_order);
    let file = if ordered_root { File::builder().track_order().create(path)? } else { File::create(path)? };
    if liveness != Liveness::Unseen {
        file.go_live()?;
    }
    for (number, object) in tree.objects.iter().enumerate() {
        let group = match (object.path.as_str(), object.creation_order) {
            ("/", _) => file.root(),
            (path, true) => file.root().new_group(path).track_order().create()?,
            (path, false) => file.create_group(path)?,
        };
        for attribute in &object.attributes {
            let values: Vec<Value> =
                attribute.values.iter().map(|plain| value(&attribute.kind, plain, &file)).collect();
            group.set_attribute_values(&attribute.name, &datatype(&attribute.kind), Some(&attribute.shape), &values)?;
        }
        if number % 50 == 1 {
            file.publish()?;
        }
    }
    for link in &tree.links {
        match &link.target {
            Target::Hard { target } => file.root().link_object(&link.path, &file.get(target)?)?,
            Target::Soft { target } => file.root().link_soft(&link.path, target)?,
            Target::External { file: other, target } => file.root().link_external(&link.path, other, target)?,
        }
    }
    file.publish()?;
    Ok(file)
}
