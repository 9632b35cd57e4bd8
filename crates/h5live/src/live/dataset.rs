//! A dataset as its writer sees it: where its extent and its elements are written.

use h5live_filter::Pipeline;
use h5live_format::Addr;
use h5live_format::array_element::StoredChunk;
use h5live_format::message::{
    ChunkIndex, Chunked, DataLayout, Dataspace, Datatype, Fill, FillTime, FillValue, FilterPipeline, FilteredChunk,
};
use h5live_format::object_header::{HeaderMessage, MessageFlags, MessageType};

use super::layer::LiveBlock;
use super::space::crosses_page;
use super::writer::Writer;
use crate::chunk::grid::Grid;
use crate::chunk::index::Index;
use crate::chunk::index::adopt::{OLD_INDEX, adopt, allocate_filled};
use crate::chunk::runs::runs;
use crate::chunk::store::{ChunkStore, Parts, Seal};
use crate::error::{Error, ErrorKind, Result};
use crate::object::header::{Chunk, Message, ObjectHeader};
use crate::object::header_edit::HeaderEdit;
use crate::object::shared::SharedMessages;
use crate::object::upgrade::{OLD_HEADER, too_old, upgraded};
use crate::selection::{Selection, Slab, elements};
use crate::source::Source;

/// A dataset that is being written.
#[derive(Debug)]
pub(crate) struct WrittenDataset {
    header: Addr,
    dims: Vec<u64>,
    max: Vec<Option<u64>>,
    place: ExtentPlace,
    element_size: u64,
    storage: Storage,
    /// The extent differs from the published one.
    resized: bool,
    /// The extent was smaller at this commit than before: entries beyond it are still to be taken out.
    left_behind: Option<LeftBehind>,
}

/// Where the dimensions stand in the object header.
#[derive(Debug, Clone, Copy)]
struct ExtentPlace {
    chunk: Chunk,
    offset: usize,
    width: usize,
}

#[derive(Debug)]
enum Storage {
    Compact,
    Contiguous {
        addr: Addr,
    },
    Chunked {
        store: Box<ChunkStore>,
        /// The layout as planned last, where it names the only, filtered chunk.
        single: Option<Chunked>,
    },
    /// There are no elements.
    Nothing,
}

#[derive(Debug)]
struct LeftBehind {
    dims: Vec<u64>,
    commit: u64,
}

/// What the object header says of a dataset that matters to its writer.
struct Description {
    header: ObjectHeader,
    dims: Vec<u64>,
    max: Vec<Option<u64>>,
    place: ExtentPlace,
    element_size: u64,
    fill: Vec<u8>,
    /// Whether what is allocated is filled.
    is_filled: bool,
    pipeline: Option<Pipeline>,
    layout: DataLayout,
}

impl Description {
    fn read(source: &Source, at: Addr) -> Result<Self> {
        let header = ObjectHeader::read(source, at)?;
        if header.settings().is_none() {
            return Err(too_old(OLD_HEADER));
        }
        let widths = source.widths();
        let message = |kind: MessageType| {
            let found = header.find(kind);
            found.ok_or_else(|| Error::unsupported(format!("a dataset without {kind} message")))
        };
        let space = message(MessageType::DATASPACE)?;
        let dataspace = Dataspace::decode(&space.body, header.body_addr(space).0, widths)?;
        let element_size = element_size(source, &header, message(MessageType::DATATYPE)?)?;
        let (fill, time) = fill_of(source, &header, element_size)?;
        let is_filled = time != FillTime::Never;
        let dims = dataspace.dims().to_vec();
        let max = match &dataspace {
            Dataspace::Simple { max: Some(max), .. } => max.clone(),
            _ => dims.iter().map(|dim| Some(*dim)).collect(),
        };
        let layout = message(MessageType::DATA_LAYOUT)?;
        let layout = DataLayout::decode(&layout.body, header.body_addr(layout).0, widths)?;
        let place = extent_place(&header, space, widths.length.into());
        let pipeline = pipeline_of(source, &header)?;
        Ok(Self { dims, max, place, element_size, fill, is_filled, pipeline, layout, header })
    }

    fn grid(&self, chunked: &Chunked) -> Grid {
        let keep_length = self.pipeline.as_ref().is_some_and(Pipeline::keeps_length);
        Grid::new(chunked.chunk.clone(), self.element_size, &self.max).for_writing(&self.fill, keep_length)
    }

    fn can_grow(&self) -> bool {
        self.max.iter().zip(&self.dims).any(|(max, dim)| *max != Some(*dim))
    }

    /// The layout that the dataset needs before it can be changed while readers look; `None` if it has that.
    fn settled_layout(&self, writer: &mut Writer) -> Result<Option<DataLayout>> {
        match &self.layout {
            DataLayout::Contiguous { addr: None, size } => {
                let bytes = size.or_else(|| elements(&self.dims)?.checked_mul(self.element_size)).unwrap_or(0);
                if bytes == 0 {
                    return Ok(None);
                }
                let fill = if self.is_filled { &self.fill } else { &vec![0; self.fill.len()] };
                let addr = allocate_filled(writer, bytes, fill)?;
                Ok(Some(DataLayout::Contiguous { addr: Some(addr), size: Some(bytes) }))
            }
            DataLayout::Chunked(chunked) => {
                let grid = self.grid(chunked);
                let chunks = match (chunked.addr, chunked.index) {
                    (None, ChunkIndex::Single { filtered: None }) => Some(1),
                    (None, ChunkIndex::Implicit) => grid.max_count(),
                    _ => None,
                };
                if let Some(bytes) = chunks.and_then(|chunks| chunks.checked_mul(grid.chunk_bytes)) {
                    let addr = Some(allocate_filled(writer, bytes, &self.fill)?);
                    return Ok(Some(DataLayout::Chunked(Chunked { addr, ..chunked.clone() })));
                }
                let adopted = adopt(writer, chunked, &grid, &self.dims, &self.max, self.pipeline.as_ref())?;
                Ok(adopted.map(DataLayout::Chunked))
            }
            _ => Ok(None),
        }
    }

    /// Whether the extent can be overwritten up to its checksum within one page.
    fn extent_is_ready(&self, writer: &Writer) -> bool {
        let ExtentPlace { chunk, offset, .. } = self.place;
        !self.can_grow() || !crosses_page(writer.base() + chunk.addr.0 + offset as u64, chunk.size - offset as u64)
    }
}

/// Gives a dataset that was made elsewhere the form in which it can change while readers look.
fn make_ready(writer: &mut Writer, at: Addr) -> Result<()> {
    if !writer.is_live() {
        upgraded(writer, at)?;
    }
    let found = Description::read(&writer.source(), at)?;
    let layout = found.settled_layout(writer)?;
    let move_extent = !found.extent_is_ready(writer);
    if layout.is_none() && !move_extent {
        return Ok(());
    }
    let mut edit = HeaderEdit::open(writer, at)?;
    if let Some(layout) = layout {
        let flags = found.header.find(MessageType::DATA_LAYOUT).map_or(MessageFlags::NONE, |message| message.flags);
        let body = layout.encode(writer.widths());
        edit.set(writer, HeaderMessage::new(MessageType::DATA_LAYOUT, flags, body))?;
    }
    if move_extent {
        edit.move_to_own_block(writer, MessageType::DATASPACE)?;
    }
    edit.commit(writer)?;
    writer.structure_changed();
    Ok(())
}

/// Whether the dataset at `at` can grow: then it must be ready before the file is live.
pub(crate) fn can_grow(source: &Source, header: &ObjectHeader) -> Result<bool> {
    let Some(space) = header.find(MessageType::DATASPACE) else { return Ok(false) };
    Ok(match Dataspace::decode(&space.body, header.body_addr(space).0, source.widths())? {
        Dataspace::Simple { dims, max: Some(max) } => max.iter().zip(&dims).any(|(max, dim)| *max != Some(*dim)),
        _ => false,
    })
}

/// Refuses a dataset that can grow in a form in which it cannot do so while readers look.
pub(crate) fn refuse_old_form(source: &Source, header: &ObjectHeader) -> Result<()> {
    if !can_grow(source, header)? {
        return Ok(());
    }
    let layout = header.find(MessageType::DATA_LAYOUT);
    let layout = layout.map(|it| DataLayout::decode(&it.body, header.body_addr(it).0, source.widths())).transpose()?;
    let what = match layout {
        _ if header.settings().is_none() => OLD_HEADER,
        Some(DataLayout::Chunked(Chunked { index: ChunkIndex::BTreeV1, .. })) => OLD_INDEX,
        _ => return Ok(()),
    };
    Err(too_old(what))
}

/// Sees to it that the layout message of a dataset that cannot grow can be replaced while readers look, if it may have to
/// be: because it holds the elements, or where they are is not settled.
pub(crate) fn secure_layout(writer: &mut Writer, header: &ObjectHeader) -> Result<()> {
    let (Some(message), Some(_)) = (header.find(MessageType::DATA_LAYOUT), header.settings()) else { return Ok(()) };
    let layout = DataLayout::decode(&message.body, header.body_addr(message).0, writer.widths())?;
    let may_change = match layout {
        DataLayout::Compact(_) | DataLayout::Contiguous { addr: None, .. } => true,
        DataLayout::Chunked(chunked) => {
            chunked.addr.is_none() || matches!(chunked.index, ChunkIndex::Single { filtered: Some(_) })
        }
        DataLayout::Contiguous { .. } | DataLayout::Virtual { .. } => false,
    };
    let (chunk, offset) = (header.chunks[message.chunk], message.body_start as u64);
    if may_change && crosses_page(writer.base() + chunk.addr.0 + offset, chunk.size - offset) {
        let mut edit = HeaderEdit::open(writer, header.addr)?;
        edit.move_to_own_block(writer, MessageType::DATA_LAYOUT)?;
        edit.commit(writer)?;
        writer.structure_changed();
    }
    Ok(())
}

impl WrittenDataset {
    /// Opens the dataset whose object header is at `at`.
    pub(crate) fn open(writer: &mut Writer, at: Addr, is_new: bool) -> Result<Self> {
        if !is_new {
            make_ready(writer, at)?;
        }
        let source = writer.source();
        let found = Description::read(&source, at)?;
        let Description { dims, max, place, element_size, .. } = &found;
        let storage = match &found.layout {
            DataLayout::Compact(_) => Storage::Compact,
            DataLayout::Contiguous { addr: Some(addr), .. } => Storage::Contiguous { addr: *addr },
            DataLayout::Contiguous { addr: None, .. } => Storage::Nothing,
            DataLayout::Chunked(chunked) => {
                let grid = found.grid(chunked);
                let pipeline = found.pipeline.clone();
                let index = Index::open(&source, chunked, &grid, pipeline.is_some())?;
                let single = matches!(chunked.index, ChunkIndex::Single { filtered: Some(_) }).then(|| chunked.clone());
                let parts = Parts { grid, index, pipeline, fill: found.fill.clone(), max: max.clone() };
                let store = if is_new { ChunkStore::new(parts) } else { ChunkStore::reopened(parts) };
                Storage::Chunked { store: Box::new(store), single }
            }
            DataLayout::Virtual { .. } => return Err(Error::unsupported("writing through a virtual dataset")),
        };
        Ok(Self {
            header: at,
            dims: dims.clone(),
            max: max.clone(),
            place: *place,
            element_size: *element_size,
            storage,
            resized: false,
            left_behind: None,
        })
    }

    /// The extent as planned.
    pub(crate) fn dims(&self) -> &[u64] {
        &self.dims
    }

    /// Adds `data`, whole rows of the dataset's type, along `axis`.
    pub(crate) fn append(&mut self, writer: &mut Writer, axis: usize, data: &[u8]) -> Result<()> {
        let shape_error = |why: String| Error::new(ErrorKind::Shape { given: vec![data.len() as u64], why });
        let Some(max) = self.max.get(axis) else {
            return Err(shape_error(format!("there is no axis {axis} in {} axes", self.dims.len())));
        };
        let others = self.dims.iter().enumerate().filter(|(other, _)| *other != axis);
        let row = others.map(|(_, dim)| *dim).product::<u64>() * self.element_size;
        if row == 0 {
            return Err(shape_error("a row along this axis has no elements; resize the other axes first".to_owned()));
        }
        if !(data.len() as u64).is_multiple_of(row) {
            return Err(shape_error(format!("{} bytes are no whole number of rows of {row} bytes", data.len())));
        }
        let rows = data.len() as u64 / row;
        let mut dims = self.dims.clone();
        dims[axis] += rows;
        if max.is_some_and(|max| dims[axis] > max) {
            return Err(self.cannot_grow(axis, dims[axis]));
        }
        let mut slabs: Vec<Slab> = dims.iter().map(|dim| Slab::range(0..*dim)).collect();
        slabs[axis] = Slab::range(self.dims[axis]..dims[axis]);
        self.begin(writer)?;
        let Storage::Chunked { store, .. } = &mut self.storage else { return Err(self.cannot_grow(axis, dims[axis])) };
        store.write(writer, &slabs, &self.dims, &dims, data)?;
        self.set_dims(writer, dims);
        Ok(())
    }

    /// Writes elements inside the extent.
    pub(crate) fn write(&mut self, writer: &mut Writer, selection: &Selection, data: &[u8]) -> Result<()> {
        let shape = selection.shape(&self.dims)?;
        let expected = elements(&shape).and_then(|count| count.checked_mul(self.element_size));
        if expected != Some(data.len() as u64) {
            let why = format!("{} bytes were given and the selection has the shape {shape:?}", data.len());
            return Err(Error::new(ErrorKind::Shape { given: vec![data.len() as u64], why }));
        }
        if data.is_empty() {
            return Ok(());
        }
        self.begin(writer)?;
        match selection.slabs(&self.dims) {
            Some(slabs) => self.write_slabs(writer, &slabs, data),
            None => {
                let Selection::Points(points) = selection else { return Ok(()) };
                for (point, element) in points.iter().zip(data.chunks_exact(self.element_size as usize)) {
                    let slabs: Vec<Slab> = point.iter().map(|at| Slab::range(*at..at + 1)).collect();
                    self.write_slabs(writer, &slabs, element)?;
                }
                Ok(())
            }
        }
    }

    fn write_slabs(&mut self, writer: &mut Writer, slabs: &[Slab], data: &[u8]) -> Result<()> {
        let size = self.element_size as usize;
        let spans: Vec<_> = self.dims.iter().map(|dim| 0..*dim).collect();
        match &mut self.storage {
            Storage::Chunked { store, .. } => store.write(writer, slabs, &self.dims, &self.dims, data),
            Storage::Contiguous { addr } => {
                let mut result = Ok(());
                runs(slabs, &spans, |run| {
                    if result.is_ok() {
                        let from = run.in_memory as usize * size;
                        let bytes = &data[from..from + run.len as usize * size];
                        result = writer.raw(Addr(addr.0 + run.in_box * self.element_size), bytes);
                    }
                });
                result
            }
            Storage::Nothing => Ok(()),
            Storage::Compact => change_compact(writer, self.header, |elements| {
                runs(slabs, &spans, |run| {
                    let (to, from, len) =
                        (run.in_box as usize * size, run.in_memory as usize * size, run.len as usize * size);
                    elements[to..to + len].copy_from_slice(&data[from..from + len]);
                });
            }),
        }
    }

    /// Stores a chunk that a program has filtered itself.
    pub(crate) fn write_chunk(&mut self, writer: &mut Writer, offset: &[u64], mask: u32, bytes: &[u8]) -> Result<()> {
        self.begin(writer)?;
        let dims = self.dims.clone();
        let selection = |why: String| Error::new(ErrorKind::Selection { why, extent: dims.clone() });
        let Storage::Chunked { store, .. } = &mut self.storage else {
            return Err(selection("only a chunked dataset has chunks to write".to_owned()));
        };
        let grid = store.grid();
        let on_grid = offset.len() == grid.rank() && offset.iter().zip(&grid.chunk).all(|(at, chunk)| at % chunk == 0);
        if !on_grid || offset.iter().zip(&dims).any(|(at, dim)| at >= dim) {
            return Err(selection(format!("{offset:?} is not where a chunk of {:?} starts", grid.chunk)));
        }
        let scaled = grid.chunk_of(offset);
        store.store_raw(writer, &scaled, bytes, mask)
    }

    /// Changes the extent.
    pub(crate) fn resize(&mut self, writer: &mut Writer, dims: &[u64]) -> Result<()> {
        if dims.len() != self.dims.len() {
            let why = format!("the dataset has {} axes", self.dims.len());
            return Err(Error::new(ErrorKind::Shape { given: dims.to_vec(), why }));
        }
        if dims == self.dims {
            return Ok(());
        }
        for (axis, (dim, max)) in dims.iter().zip(&self.max).enumerate() {
            if max.is_some_and(|max| *dim > max) {
                return Err(self.cannot_grow(axis, *dim));
            }
        }
        self.begin(writer)?;
        let commit = writer.commit();
        let Storage::Chunked { store, .. } = &mut self.storage else {
            return Err(Error::new(ErrorKind::Shape {
                given: dims.to_vec(),
                why: "only a chunked dataset can change its extent".to_owned(),
            }));
        };
        // What both extents share stays; then the new one may show more along other axes.
        let shared: Vec<u64> = dims.iter().zip(&self.dims).map(|(new, old)| *new.min(old)).collect();
        if shared != self.dims {
            store.shrunk();
            let mut behind = self.dims.clone();
            if let Some(earlier) = self.left_behind.take() {
                behind = behind.iter().zip(earlier.dims).map(|(one, other)| other.max(*one)).collect();
            }
            self.left_behind = Some(LeftBehind { dims: behind, commit });
        }
        if shared != dims {
            store.expose(writer, &shared, dims)?;
        }
        self.set_dims(writer, dims.to_vec());
        Ok(())
    }

    /// Plans what was entered in the index.
    pub(crate) fn complete_index(&mut self, writer: &mut Writer) -> Result<()> {
        match &mut self.storage {
            Storage::Chunked { store, single } => {
                store.index_mut().settle(writer)?;
                match (single, store.index()) {
                    (Some(layout), Index::Single(stored)) => name_only_chunk(writer, self.header, layout, *stored),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Completes what is planned, before a publication.
    pub(crate) fn settle(&mut self, writer: &mut Writer, which: Seal) -> Result<()> {
        self.tidy(writer)?;
        if let Storage::Chunked { store, .. } = &mut self.storage {
            store.seal(writer, &self.dims, which)?;
        }
        self.complete_index(writer)?;
        if self.resized {
            if writer.has_extent_moved(self.header) {
                self.place = Description::read(&writer.source(), self.header)?.place;
            }
            let ExtentPlace { chunk, offset, width } = self.place;
            let dims = &self.dims;
            // A smaller extent is taken at its word: whoever makes it gives up what it leaves out.
            writer.edit_adding(LiveBlock::ObjectHeaderChunk, chunk.addr, chunk.size as usize, |image| {
                let mut first = None;
                for (axis, dim) in dims.iter().enumerate() {
                    let at = offset + axis * width;
                    let place = &mut image[at..at + width];
                    if *place != dim.to_le_bytes()[..width] {
                        place.copy_from_slice(&dim.to_le_bytes()[..width]);
                        first = first.or(Some(at));
                    }
                }
                first
            })?;
        }
        Ok(())
    }

    /// Whether a smaller extent is to be published before the index can follow it.
    pub(crate) fn leaves_behind(&self) -> bool {
        self.left_behind.is_some()
    }

    /// Notes that the publication was made.
    pub(crate) fn published(&mut self) {
        self.resized = false;
        if let Storage::Chunked { store, .. } = &mut self.storage {
            store.published();
        }
    }

    /// What comes before the first change after a publication.
    fn begin(&mut self, writer: &mut Writer) -> Result<()> {
        writer.announce(self.header, &self.dims)?;
        self.tidy(writer)
    }

    /// Takes entries out of the index that an earlier, larger extent needed, once the smaller one is published.
    fn tidy(&mut self, writer: &mut Writer) -> Result<()> {
        let due = |left: &mut LeftBehind| !writer.is_live() || left.commit < writer.commit();
        if let (Some(left), Storage::Chunked { store, .. }) = (self.left_behind.take_if(due), &mut self.storage) {
            store.leave_behind(writer, &left.dims, &self.dims)?;
        }
        Ok(())
    }

    fn set_dims(&mut self, writer: &mut Writer, dims: Vec<u64>) {
        writer.extent_changed(self.header, &dims);
        self.dims = dims;
        self.resized = true;
    }

    fn cannot_grow(&self, axis: usize, wanted: u64) -> Error {
        let mut given = self.dims.clone();
        given[axis] = wanted;
        let why = match self.max[axis] {
            Some(max) => format!("axis {axis} has at most {max} elements"),
            None => "only a chunked dataset can grow".to_owned(),
        };
        Error::new(ErrorKind::Shape { given, why })
    }
}

/// Changes the elements of a compact dataset, which stand at the end of the layout message in its object header: where they
/// are, or, while readers look and they cross a page, in a block that is written anew.
fn change_compact(writer: &mut Writer, header: Addr, change: impl FnOnce(&mut [u8])) -> Result<()> {
    let source = writer.source();
    let found = ObjectHeader::read(&source, header)?;
    let layout = found.find(MessageType::DATA_LAYOUT);
    let layout = layout.ok_or_else(|| Error::unsupported("a dataset without a layout message"))?;
    let at = found.body_addr(layout).0;
    let DataLayout::Compact(data) = DataLayout::decode(&layout.body, at, writer.widths())? else {
        return Err(Error::unsupported("a dataset that is compact no longer"));
    };
    let start = layout.body.len() - data.len();
    let chunk = found.chunks[layout.chunk];
    let offset = layout.body_start + start;
    let (first, end) = (writer.base() + chunk.addr.0 + offset as u64, chunk.size - offset as u64);
    if !writer.is_live() || !crosses_page(first, end) {
        return writer.edit(LiveBlock::ObjectHeaderChunk, chunk.addr, chunk.size as usize, |image| {
            change(&mut image[offset..offset + data.len()]);
            Some(offset)
        });
    }
    let mut body = layout.body.clone();
    change(&mut body[start..]);
    let mut edit = HeaderEdit::open(writer, header)?;
    edit.set(writer, HeaderMessage::new(MessageType::DATA_LAYOUT, layout.flags, body))?;
    edit.commit(writer)?;
    writer.structure_changed();
    Ok(())
}

/// Writes the layout message that names a dataset's only, filtered chunk, unless it does already.
fn name_only_chunk(writer: &mut Writer, header: Addr, layout: &mut Chunked, stored: StoredChunk) -> Result<()> {
    let filtered = Some(FilteredChunk { size: stored.size, filter_mask: stored.filter_mask });
    let next = Chunked { index: ChunkIndex::Single { filtered }, addr: Some(stored.addr), ..layout.clone() };
    if next != *layout {
        let body = DataLayout::Chunked(next.clone()).encode(writer.widths());
        let mut edit = HeaderEdit::open(writer, header)?;
        edit.set(writer, HeaderMessage::new(MessageType::DATA_LAYOUT, MessageFlags::NONE, body))?;
        edit.commit(writer)?;
        writer.structure_changed();
        *layout = next;
    }
    Ok(())
}

/// One element of the fill value, zeros where there is none; and when it is written.
fn fill_of(source: &Source, header: &ObjectHeader, element_size: u64) -> Result<(Vec<u8>, FillTime)> {
    let body = |message: &Message| SharedMessages::default().body(source, source.filters(), header, message);
    let (value, time) = if let Some(message) = header.find(MessageType::FILL_VALUE) {
        let body = body(message)?;
        let message = FillValue::decode(&body.bytes, body.at)?;
        (message.value, message.write)
    } else if let Some(message) = header.find(MessageType::FILL_VALUE_OLD) {
        let body = body(message)?;
        (FillValue::decode_old(&body.bytes, body.at)?.value, FillTime::IfSet)
    } else {
        (Fill::Default, FillTime::IfSet)
    };
    let value = match value {
        Fill::Value(bytes) if bytes.len() as u64 == element_size => bytes,
        _ => vec![0; element_size as usize],
    };
    Ok((value, time))
}

fn pipeline_of(source: &Source, header: &ObjectHeader) -> Result<Option<Pipeline>> {
    let Some(message) = header.find(MessageType::FILTER_PIPELINE) else { return Ok(None) };
    let filters = FilterPipeline::decode(&message.body, header.body_addr(message).0)?;
    let pipeline = crate::dataset::pipeline(&filters, source.filters())?;
    Ok((!pipeline.is_empty()).then_some(pipeline))
}

fn element_size(source: &Source, header: &ObjectHeader, message: &Message) -> Result<u64> {
    let shared = SharedMessages::default();
    let body = shared.body(source, source.filters(), header, message)?;
    Ok(Datatype::decode(&body.bytes, body.at)?.size().into())
}

fn extent_place(header: &ObjectHeader, space: &Message, width: usize) -> ExtentPlace {
    // Version 2 has four bytes before the dimensions, version 1 eight.
    let prefix = if space.body.first() == Some(&2) { 4 } else { 8 };
    ExtentPlace { chunk: header.chunks[space.chunk], offset: space.body_start + prefix, width }
}
