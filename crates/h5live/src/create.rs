//! Creating datasets.

use h5live_filter::ChunkForm;
use h5live_format::array_element::{ElementForm, filtered_size_width};
use h5live_format::global_heap::GlobalHeapId;
use h5live_format::local_heap::LocalHeap;
use h5live_format::message::{
    AllocationTime, ChunkIndex, ChunkSizeField, Chunked, DataLayout, Dataspace, Datatype, ExternalFile, ExternalFiles,
    Fill, FillTime, FillValue, FilterPipeline, FilteredChunk, SharedMessage,
};
use h5live_format::object_header::{AttributeOrder, HeaderSettings, MessageFlags, MessageType};
use h5live_format::selection::Selection as RegionSelection;
use h5live_format::virtual_dataset::{self, Mapping, SourceFile};
use h5live_format::{Addr, Widths};

use crate::chunk::grid::Grid;
use crate::chunk::index::Index;
use crate::chunk::index::adopt::allocate_filled;
use crate::dataset::{self, Dataset, VirtualMapping};
use crate::element::{Element, NoHeap};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{self, NewFilter};
use crate::group::{CommittedDatatype, Group};
use crate::live::session::Session;
use crate::live::space::Placement;
use crate::live::writer::Writer;
use crate::object::header::ObjectHeader;
use crate::object::header_edit::HeaderBuilder;
use crate::object::link_edit::adjust_reference_count;
use crate::selection::elements;
use crate::value::Value;

/// The largest chunk libhdf5 1.10 reads: its size is kept in 32 bits.
const MOST_CHUNK_BYTES: u64 = u32::MAX as u64;
/// What a chunk chosen here aims at, in bytes.
const AUTO_CHUNK_BYTES: u64 = 1 << 20;
/// Raw data that fit into an object header's message, with what stands around them.
const MOST_COMPACT_BYTES: u64 = 65_000;
/// Room left in a new dataset's header for a small attribute.
const HEADER_ROOM: usize = 48;

/// What a dataset will be; made by [`Group::new_dataset`] or [`crate::File::new_dataset`], ended by
/// [`DatasetBuilder::create`].
///
/// ```no_run
/// # fn main() -> h5live::Result<()> {
/// let file = h5live::File::create("run.h5")?;
/// let signal = file
///     .new_dataset::<f64>("entry/signal")
///     .shape([0, 512])
///     .resizable([None, Some(512)])
///     .shuffle()
///     .gzip(4)
///     .create()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is created before `create`"]
pub struct DatasetBuilder {
    group: Group,
    path: String,
    datatype: Datatype,
    shape: Shape,
    max: Option<Vec<Option<u64>>>,
    storage: Storage,
    filters: Vec<NewFilter>,
    fill: Fill,
    fill_time: FillTime,
    attribute_order: bool,
    /// The address of the committed datatype that is its type.
    committed: Option<Addr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Null,
    Scalar,
    Simple(Vec<u64>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Storage {
    /// Contiguous, or chunked where something asks for it.
    Auto,
    Compact,
    /// In one piece, which is allocated early: when the dataset is created, and not when first written to.
    Contiguous {
        early: bool,
    },
    /// All chunks allocated at once, in a row.
    Early(Vec<u64>),
    Chunked(Vec<u64>),
    /// In pieces of other files: name, offset, bytes (`None`: as many as it takes).
    External(Vec<(String, u64, Option<u64>)>),
    /// In other datasets.
    Virtual(Vec<VirtualMapping>),
}

impl DatasetBuilder {
    pub(crate) fn new(group: Group, path: &str, datatype: Datatype) -> Self {
        Self {
            group,
            path: path.to_owned(),
            datatype,
            shape: Shape::Scalar,
            max: None,
            storage: Storage::Auto,
            filters: Vec::new(),
            fill: Fill::Default,
            fill_time: FillTime::IfSet,
            attribute_order: false,
            committed: None,
        }
    }

    /// What its elements are.
    pub(crate) fn datatype(&self) -> &Datatype {
        &self.datatype
    }

    /// Lets chunks pass through another filter.
    pub(crate) fn with_filter(mut self, filter: NewFilter) -> Self {
        self.filters.push(filter);
        self
    }

    /// The shape it starts with; without this it is a scalar.
    pub fn shape(mut self, shape: impl IntoIterator<Item = u64>) -> Self {
        let dims: Vec<u64> = shape.into_iter().collect();
        self.shape = if dims.is_empty() { Shape::Scalar } else { Shape::Simple(dims) };
        self
    }

    /// No element at all: a null dataspace.
    pub fn null(mut self) -> Self {
        self.shape = Shape::Null;
        self
    }

    /// How far each axis may grow; `None` without limit. Makes the dataset chunked.
    pub fn resizable(mut self, max: impl IntoIterator<Item = Option<u64>>) -> Self {
        self.max = Some(max.into_iter().collect());
        self
    }

    /// Lets the first axis grow without limit. Makes the dataset chunked.
    pub fn unlimited(mut self) -> Self {
        if let Shape::Simple(dims) = &self.shape {
            let rest = dims.iter().skip(1).map(|dim| Some(*dim));
            self.max = Some(std::iter::once(None).chain(rest).collect());
        }
        self
    }

    /// The shape of its chunks; otherwise one is chosen where chunks are needed.
    pub fn chunks(mut self, chunk: impl IntoIterator<Item = u64>) -> Self {
        self.storage = Storage::Chunked(chunk.into_iter().collect());
        self
    }

    /// Chunks of this shape, all allocated now and side by side, found without an index. Only for datasets that cannot grow
    /// and have no filters.
    pub fn chunks_allocated_early(mut self, chunk: impl IntoIterator<Item = u64>) -> Self {
        self.storage = Storage::Early(chunk.into_iter().collect());
        self
    }

    /// Keeps the elements in the object header: for a few small ones.
    pub fn compact(mut self) -> Self {
        self.storage = Storage::Compact;
        self
    }

    /// Keeps the elements in one piece, which is the default for datasets that cannot grow and have no filters. It is allocated when
    /// first written to.
    pub fn contiguous(mut self) -> Self {
        self.storage = Storage::Contiguous { early: false };
        self
    }

    /// Keeps the elements in one piece, which is allocated now.
    pub fn contiguous_allocated_early(mut self) -> Self {
        self.storage = Storage::Contiguous { early: true };
        self
    }

    /// Keeps the elements in pieces of other files, one after the other: the name of each, where the piece starts in it, and
    /// its bytes (`None`, for the last: as many as it takes). Names are found as those of external links are.
    pub fn external(mut self, files: impl IntoIterator<Item = (String, u64, Option<u64>)>) -> Self {
        self.storage = Storage::External(files.into_iter().collect());
        self
    }

    /// Shows elements of other datasets, which need not be there yet. Where nothing is mapped, the fill value shows.
    pub fn virtual_dataset(mut self, mappings: impl IntoIterator<Item = VirtualMapping>) -> Self {
        self.storage = Storage::Virtual(mappings.into_iter().collect());
        self
    }

    /// Takes a committed datatype of the same file as its type.
    pub fn committed_datatype(mut self, datatype: &CommittedDatatype) -> Self {
        self.datatype = datatype.datatype().clone();
        self.committed = Some(datatype.addr());
        self
    }

    /// What elements read as that nobody wrote.
    ///
    /// # Errors
    /// `value` cannot be of the dataset's type.
    pub fn fill_value<T: Element>(mut self, value: &T) -> Result<Self> {
        self.fill = Fill::Value(T::to_file(std::slice::from_ref(value), &self.datatype)?);
        Ok(self)
    }

    /// The fill value as the bytes of one element of the dataset's type.
    pub fn fill_bytes(mut self, bytes: &[u8]) -> Self {
        self.fill = Fill::Value(bytes.to_vec());
        self
    }

    /// The fill value as a value of any type.
    ///
    /// # Errors
    /// `value` cannot be of the dataset's type, or is of variable length.
    pub fn fill_with(mut self, value: &Value) -> Result<Self> {
        let mut bytes = Vec::new();
        value.encode(&self.datatype, &mut NoHeap, &mut bytes)?;
        self.fill = Fill::Value(bytes);
        Ok(self)
    }

    /// When libhdf5 is to write the fill value where it allocates space; if it is set, unless this says otherwise. Here,
    /// what nobody wrote reads as the fill value whenever it was allocated, and as zeros with [`FillTime::Never`].
    pub fn fill_time(mut self, time: FillTime) -> Self {
        self.fill_time = time;
        self
    }

    /// No fill value: what nobody wrote reads as anything (here, as zeros).
    pub fn no_fill_value(mut self) -> Self {
        self.fill = Fill::Undefined;
        self.fill_time = FillTime::Never;
        self
    }

    /// Remembers the order in which attributes are created.
    pub fn track_attribute_order(mut self) -> Self {
        self.attribute_order = true;
        self
    }

    /// Creates the dataset, and the groups on the way to it that are missing.
    ///
    /// # Errors
    /// The file is open for reading, the name is taken, or shape, chunks, filters and type do not go together.
    pub fn create(self) -> Result<Dataset> {
        let file = self.group.file.clone();
        let (group, name) = self.group.make_way(&self.path)?;
        let path = group.child_path(&name);
        let place = |error: Error| file.inner.locate(error.at_object(&path));
        let addr = (|| {
            let mut session = file.session()?;
            session.refuse_taken(&group, &name)?;
            let list = self.place_mappings(&mut session)?;
            let (addr, is_placed) = self.plan(&mut session.writer, list)?;
            session.link_hard(&group, &name, addr)?;
            if let Some(datatype) = self.committed {
                adjust_reference_count(&mut session.writer, datatype, 1)?;
            }
            if is_placed {
                session.open_dataset(addr, true)?;
            }
            Ok(addr)
        })()
        .map_err(place)?;
        let header = ObjectHeader::read(&file.inner.source, addr).map_err(place)?;
        Dataset::open(file.clone(), path.clone(), &header).map_err(place)
    }

    /// Stores the list of what a virtual dataset shows.
    fn place_mappings(&self, session: &mut Session) -> Result<Option<GlobalHeapId>> {
        let Storage::Virtual(mappings) = &self.storage else { return Ok(None) };
        let mappings: Vec<Mapping<&RegionSelection>> = mappings
            .iter()
            .map(|mapping| Mapping {
                file: match &mapping.file {
                    None => SourceFile::Same,
                    Some(name) => SourceFile::Named(name.as_bytes().into()),
                },
                dataset: mapping.dataset.as_bytes().into(),
                source: &mapping.source,
                target: &mapping.target,
            })
            .collect();
        let Session { heap, writer, .. } = session;
        let list = virtual_dataset::encode(&mappings, writer.widths(), |selection, out| {
            out.extend(selection.encode()?);
            Some(())
        });
        let list = list.ok_or_else(|| Error::unsupported("a virtual dataset with selections of so many blocks"))?;
        let id = heap.add_object(writer, &list)?;
        // Whoever finds the dataset looks for the list at once.
        heap.settle(writer)?;
        Ok(Some(id))
    }

    /// Plans the local heap with the names of external files, and makes the message that names it.
    fn external_files(&self, writer: &mut Writer) -> Result<Option<ExternalFiles>> {
        let Storage::External(files) = &self.storage else { return Ok(None) };
        let widths = writer.widths();
        let names: Vec<&[u8]> = files.iter().map(|(name, ..)| name.as_bytes()).collect();
        let (size, _) = LocalHeap::encode_full(&names, Addr(0), widths);
        let addr = writer.reserve(size.len() as u64, Placement::Anywhere)?;
        let (image, offsets) = LocalHeap::encode_full(&names, addr, widths);
        writer.fresh(addr, image)?;
        let pieces = files.iter().zip(offsets);
        let pieces =
            pieces.map(|((_, offset, size), name_offset)| ExternalFile { name_offset, offset: *offset, size: *size });
        Ok(Some(ExternalFiles { heap: addr, files: pieces.collect() }))
    }

    /// Plans the dataset and returns the address of its object header, and whether its elements have their place already: others find
    /// it with the first write.
    fn plan(&self, writer: &mut Writer, list: Option<GlobalHeapId>) -> Result<(Addr, bool)> {
        let widths = writer.widths();
        let element_size = u64::from(self.datatype.size());
        if let Fill::Value(bytes) = &self.fill
            && bytes.len() as u64 != element_size
        {
            let asked = format!("a fill value of {} bytes", bytes.len());
            return Err(Error::new(ErrorKind::Type { stored: self.datatype.to_string(), asked }));
        }
        let dataspace = self.dataspace()?;
        let dims = dataspace.dims().to_vec();
        let max = match &dataspace {
            Dataspace::Simple { max: Some(max), .. } => max.clone(),
            _ => dims.iter().map(|dim| Some(*dim)).collect(),
        };
        let (layout, allocation, filters) = match list {
            Some(GlobalHeapId { collection, index }) => {
                let layout = DataLayout::Virtual { heap: Some(collection), index };
                (layout, AllocationTime::Incremental, FilterPipeline::default())
            }
            None => self.layout(writer, &dims, &max)?,
        };
        let fill = FillValue { allocation, write: self.settled_fill_time()?, value: self.fill.clone() };
        let constant = MessageFlags::CONSTANT;
        let (type_flags, datatype) = match self.committed {
            Some(addr) => (constant | MessageFlags::SHARED, SharedMessage::Committed(addr).encode(widths)),
            None => (constant, self.datatype.encode()),
        };
        let order = if self.attribute_order { AttributeOrder::Indexed } else { AttributeOrder::Untracked };
        let mut header = HeaderBuilder::new(HeaderSettings { attribute_order: order, ..HeaderSettings::default() })
            .message(MessageType::DATATYPE, type_flags, datatype)
            .message(MessageType::FILL_VALUE, constant, fill.encode())
            .message(MessageType::DATA_LAYOUT, MessageFlags::NONE, layout.encode(widths));
        if let Some(files) = self.external_files(writer)? {
            header = header.message(MessageType::EXTERNAL_FILES, constant, files.encode(widths));
        }
        if !filters.filters.is_empty() {
            header = header.message(MessageType::FILTER_PIPELINE, constant, filters.encode());
        }
        let is_placed = !matches!(layout, DataLayout::Contiguous { addr: None, .. } | DataLayout::Virtual { .. });
        let header = header.changing(MessageType::DATASPACE, MessageFlags::NONE, dataspace.encode(widths));
        Ok((header.room(HEADER_ROOM).place(writer)?, is_placed))
    }

    fn dataspace(&self) -> Result<Dataspace> {
        let wrong = |given: &[u64], why: String| Error::new(ErrorKind::Shape { given: given.to_vec(), why });
        match (&self.shape, &self.max) {
            (Shape::Null, None) => Ok(Dataspace::Null),
            (Shape::Scalar, None) => Ok(Dataspace::Scalar),
            (Shape::Null | Shape::Scalar, Some(_)) => {
                Err(wrong(&[], "a scalar or null dataspace cannot grow; give it a shape".to_owned()))
            }
            (Shape::Simple(dims), max) => {
                if dims.len() > Dataspace::MAX_RANK {
                    return Err(wrong(dims, format!("more than {} axes", Dataspace::MAX_RANK)));
                }
                if let Some(max) = max {
                    if max.len() != dims.len() {
                        return Err(wrong(dims, format!("{} maximum sizes for {} axes", max.len(), dims.len())));
                    }
                    if let Some(axis) = (0..dims.len()).find(|axis| max[*axis].is_some_and(|max| max < dims[*axis])) {
                        return Err(wrong(dims, format!("axis {axis} is larger than its maximum")));
                    }
                }
                Ok(Dataspace::Simple { dims: dims.clone(), max: max.clone() })
            }
        }
    }

    /// Where the elements go, when space is allocated for them, and the filters for that.
    fn layout(
        &self,
        writer: &mut Writer,
        dims: &[u64],
        max: &[Option<u64>],
    ) -> Result<(DataLayout, AllocationTime, FilterPipeline)> {
        let wrong = |why: String| Error::new(ErrorKind::Shape { given: dims.to_vec(), why });
        let element_size = u64::from(self.datatype.size());
        let count = if self.shape == Shape::Null { Some(0) } else { elements(dims) };
        let bytes = count.and_then(|count| count.checked_mul(element_size));
        let can_grow = max.iter().zip(dims).any(|(max, dim)| *max != Some(*dim));
        let needs_chunks = can_grow || !self.filters.is_empty();
        match &self.storage {
            Storage::External(_) if self.filters.is_empty() => {
                let bytes = bytes.ok_or_else(|| wrong("more than 2^64 bytes".to_owned()))?;
                let layout = DataLayout::Contiguous { addr: None, size: Some(bytes) };
                Ok((layout, AllocationTime::Late, FilterPipeline::default()))
            }
            Storage::External(_) | Storage::Virtual(_) => {
                Err(wrong("elements outside the file cannot be chunked or filtered".to_owned()))
            }
            Storage::Compact | Storage::Contiguous { .. } | Storage::Auto if !needs_chunks => {
                let bytes = bytes.ok_or_else(|| wrong("more than 2^64 bytes".to_owned()))?;
                if self.storage == Storage::Compact {
                    if bytes > MOST_COMPACT_BYTES {
                        return Err(wrong(format!("compact storage takes at most {MOST_COMPACT_BYTES} bytes")));
                    }
                    let data = self.fill_bytes_or_zeros().repeat(count.unwrap_or(0) as usize);
                    return Ok((DataLayout::Compact(data), AllocationTime::Early, FilterPipeline::default()));
                }
                let early = self.storage == Storage::Contiguous { early: true };
                let addr = if early && bytes > 0 { Some(self.allocate(writer, bytes)?) } else { None };
                let allocation = if early { AllocationTime::Early } else { AllocationTime::Late };
                Ok((DataLayout::Contiguous { addr, size: Some(bytes) }, allocation, FilterPipeline::default()))
            }
            Storage::Compact | Storage::Contiguous { .. } => {
                Err(wrong("only chunked datasets can grow or have filters".to_owned()))
            }
            _ if dims.is_empty() => Err(wrong("a scalar or null dataspace has no chunks".to_owned())),
            Storage::Auto => self.chunked(writer, dims, max, &auto_chunk(dims, max, element_size), false),
            Storage::Early(chunk) if needs_chunks => {
                let _ = chunk;
                Err(wrong("chunks allocated early are for datasets that cannot grow and have no filters".to_owned()))
            }
            Storage::Early(chunk) => self.chunked(writer, dims, max, chunk, true),
            Storage::Chunked(chunk) => self.chunked(writer, dims, max, chunk, false),
        }
    }

    fn chunked(
        &self,
        writer: &mut Writer,
        dims: &[u64],
        max: &[Option<u64>],
        chunk: &[u64],
        early: bool,
    ) -> Result<(DataLayout, AllocationTime, FilterPipeline)> {
        let wrong = |why: String| Error::new(ErrorKind::Shape { given: chunk.to_vec(), why });
        let element_size = u64::from(self.datatype.size());
        if chunk.len() != dims.len() {
            return Err(wrong(format!("chunks have {} axes and the dataset {}", chunk.len(), dims.len())));
        }
        if chunk.contains(&0) {
            return Err(wrong("a chunk has no elements".to_owned()));
        }
        if let Some(axis) = (0..dims.len()).find(|axis| max[*axis].is_some_and(|max| chunk[*axis] > max.max(1))) {
            return Err(wrong(format!("axis {axis} of a chunk is larger than that of the dataset can be")));
        }
        let chunk_bytes = elements(chunk).and_then(|count| count.checked_mul(element_size));
        if chunk_bytes.is_none_or(|bytes| bytes > MOST_CHUNK_BYTES) {
            return Err(wrong("a chunk has 4 GiB or more; HDF5 1.10 could not read it".to_owned()));
        }
        let fill = match &self.fill {
            Fill::Value(bytes) => Some(&bytes[..]),
            _ => None,
        };
        let element = filter::element_type(&self.datatype);
        let source = writer.source();
        let filters =
            filter::settle(&self.filters, &ChunkForm { dims: chunk, element: &element, fill }, source.filters())?;
        let pipeline = dataset::pipeline(&filters, source.filters())?;
        let grid = Grid::new(chunk.to_vec(), element_size, max)
            .for_writing(&self.fill_bytes_or_zeros(), pipeline.keeps_length());
        let filtered = !self.filters.is_empty();
        let widths = writer.widths();
        let (index, addr, allocation) = match max.iter().filter(|max| max.is_none()).count() {
            0 if grid.max_count() == Some(1) && max.iter().zip(dims).all(|(max, dim)| *max == Some(*dim)) => {
                let addr = if filtered { None } else { Some(self.allocate(writer, grid.chunk_bytes)?) };
                let filtered = filtered.then_some(FilteredChunk { size: 0, filter_mask: 0 });
                (ChunkIndex::Single { filtered }, addr, AllocationTime::Incremental)
            }
            0 if early => {
                let bytes = grid.max_count().and_then(|count| count.checked_mul(grid.chunk_bytes));
                let bytes = bytes.ok_or_else(|| wrong("more than 2^64 bytes".to_owned()))?;
                let addr = if bytes == 0 { None } else { Some(self.allocate(writer, bytes)?) };
                (ChunkIndex::Implicit, addr, AllocationTime::Early)
            }
            _ => {
                let (index, addr) = Index::create(writer, &grid, max, form(filtered, widths, &grid))?;
                (index, Some(addr), AllocationTime::Incremental)
            }
        };
        let chunked = Chunked {
            chunk: chunk.to_vec(),
            element_size: self.datatype.size(),
            index,
            addr,
            plain_edge_chunks: false,
            chunk_size_field: ChunkSizeField::Fitted,
        };
        Ok((DataLayout::Chunked(chunked), allocation, filters))
    }

    /// Space for raw data, which reads as the fill value.
    fn allocate(&self, writer: &mut Writer, bytes: u64) -> Result<Addr> {
        match self.fill_time {
            FillTime::Never => allocate_filled(writer, bytes, &vec![0; self.datatype.size() as usize]),
            _ => allocate_filled(writer, bytes, &self.fill_bytes_or_zeros()),
        }
    }

    fn fill_bytes_or_zeros(&self) -> Vec<u8> {
        match &self.fill {
            Fill::Value(bytes) => bytes.clone(),
            _ => vec![0; self.datatype.size() as usize],
        }
    }

    /// When the fill value is written. Whoever allocates space for references to the heap must not leave what it held before
    /// there: libhdf5 sees to that in the same way.
    fn settled_fill_time(&self) -> Result<FillTime> {
        match self.fill_time {
            FillTime::IfSet if self.datatype.uses_global_heap() => Ok(FillTime::OnAllocation),
            FillTime::Never if self.datatype.uses_global_heap() => {
                let datatype = &self.datatype;
                Err(Error::unsupported(format!("elements of type {datatype} without a fill value")))
            }
            other => Ok(other),
        }
    }
}

fn form(filtered: bool, widths: Widths, grid: &Grid) -> ElementForm {
    if filtered {
        ElementForm::filtered_chunks(widths, filtered_size_width(grid.chunk_bytes))
    } else {
        ElementForm::chunks(widths, grid.chunk_bytes)
    }
}

/// A chunk of about [`AUTO_CHUNK_BYTES`]: whole along the last axes, as many rows as fit along the first.
fn auto_chunk(dims: &[u64], max: &[Option<u64>], element_size: u64) -> Vec<u64> {
    let room = (AUTO_CHUNK_BYTES / element_size.max(1)).max(1);
    let mut chunk = vec![1; dims.len()];
    let mut taken = 1u64;
    for axis in (0..dims.len()).rev() {
        let whole = match max[axis] {
            Some(max) => max.max(1),
            // No telling how far it will grow; an axis that already has a size gives a hint.
            None if axis == 0 => u64::MAX,
            None => dims[axis].max(64),
        };
        chunk[axis] = whole.min((room / taken).max(1));
        taken = taken.saturating_mul(chunk[axis]);
    }
    chunk
}
