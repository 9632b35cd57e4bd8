//! Datasets: what their handles share, what they tell about themselves, and reading.

mod external;
mod read;
mod reading;
mod refresh;
mod stored;
mod virtual_dataset;

#[cfg(feature = "ndarray")]
pub(crate) use reading::array;
pub(crate) use refresh::refresh_together;
pub use stored::VirtualMapping;

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use h5live_filter::{Pipeline, Registry};
use h5live_format::message::{
    ChunkIndex, Chunked, DataLayout, Dataspace, Datatype, Fill, FillTime, FillValue, Filter, FilterPipeline,
};
use h5live_format::object_header::MessageType;
use h5live_format::{Addr, Malformed, Why};

use self::external::ExternalData;
use self::virtual_dataset::VirtualData;
use crate::attribute::attribute_methods;
use crate::chunk::grid::Grid;
use crate::chunk::index::Index;
use crate::error::{Error, ErrorKind, Result};
use crate::file::{File, Inner, Role};
use crate::live::trailer::SessionId;
use crate::object::header::ObjectHeader;
use crate::selection::{Selection, elements};
use crate::source::Look;
use crate::value::{FileHeap, Value};

/// Bytes of a chunk before filtering at most that are made room for, where nothing in the file says that there are so many.
const MOST_DECODED: u64 = 4 << 30;

/// A dataset: an array of elements. Clones, and other handles of the same dataset, share one view of its extent.
#[derive(Clone)]
pub struct Dataset {
    pub(crate) file: File,
    pub(crate) path: String,
    pub(crate) shared: Arc<Shared>,
}

/// What all handles of one dataset share.
pub(crate) struct Shared {
    pub(crate) addr: Addr,
    pub(crate) meta: Meta,
    view: RwLock<Arc<View>>,
}

/// What does not change as long as the dataset exists.
pub(crate) struct Meta {
    pub(crate) datatype: Datatype,
    /// The committed datatype's object, if the type is one.
    pub(crate) committed: Option<Addr>,
    /// Bytes of an element.
    pub(crate) element_size: usize,
    pub(crate) space: Space,
    /// Largest size of each dimension; `None` without limit.
    pub(crate) max: Vec<Option<u64>>,
    pub(crate) fill: Option<FillValue>,
    pub(crate) filters: FilterPipeline,
    pub(crate) pipeline: Pipeline,
    /// How it is cut, if it is chunked.
    pub(crate) grid: Option<Grid>,
}

/// The class of its dataspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    Null,
    Scalar,
    Array,
}

/// The dataset at one moment: its extent, and where its elements were then. Never changes.
pub(crate) struct View {
    /// Tells it from every other.
    pub(crate) look: Look,
    pub(crate) dims: Vec<u64>,
    pub(crate) storage: Storage,
    /// Session and commit of the structure it was read from, on a live file.
    pub(crate) structure: Option<(SessionId, u64)>,
}

/// Where the elements are.
pub(crate) enum Storage {
    Compact(Vec<u8>),
    Contiguous(Option<Addr>),
    External(ExternalData),
    /// The layout stays as it is through most publications: views share it.
    Chunked {
        layout: Arc<Chunked>,
        index: OnceLock<Index>,
    },
    Virtual(VirtualData),
}

/// How a dataset is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// In the object header.
    Compact,
    /// In one piece.
    Contiguous,
    /// In pieces of other files.
    External,
    /// In chunks.
    Chunked,
    /// In other datasets.
    Virtual,
}

/// Room for an element of this many bytes is made whatever the file's size.
const SMALL_ELEMENT: usize = 1 << 20;

/// A filter of a dataset's chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterInfo {
    /// Its registered number.
    pub id: u16,
    /// What it is called, if the file or common knowledge says.
    pub name: Option<String>,
    /// Whether a chunk may be stored without it.
    pub optional: bool,
    /// Its parameters.
    pub values: Vec<u32>,
}

/// A stored chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkInfo {
    /// Its first element.
    pub offset: Vec<u64>,
    /// Where it is in the file, in bytes from the file's start.
    pub file_offset: u64,
    /// Bytes as stored.
    pub size: u64,
    /// Bit n set: filter n was skipped.
    pub filter_mask: u32,
}

attribute_methods!(Dataset);

impl Dataset {
    pub(crate) fn open(file: File, path: String, header: &ObjectHeader) -> Result<Self> {
        let shared = file.inner.share(header.addr, || {
            let shared = Shared::read(&file.inner, header)?;
            if let Role::Reader(follower) = &file.inner.role {
                shared.join(&file.inner, follower)?;
            }
            if let Role::Writer(_) = &file.inner.role
                && let Some(written) = file.session()?.dataset(header.addr)
            {
                // As far as it was written, published or not.
                shared.written(written.dims());
            }
            Ok(shared)
        })?;
        Ok(Self { file, path, shared })
    }

    pub(crate) fn addr(&self) -> Addr {
        self.shared.addr
    }

    /// The size of each dimension; none for a single element (and for none at all: [`Dataset::is_null`]).
    #[must_use]
    pub fn shape(&self) -> Vec<u64> {
        self.shared.view().dims.clone()
    }

    /// The largest size of each dimension, `None` where there is no limit.
    #[must_use]
    pub fn max_shape(&self) -> &[Option<u64>] {
        &self.shared.meta.max
    }

    /// Number of dimensions.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.shared.meta.max.len()
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.shared.count(&self.shared.view())
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether its dataspace is null: a type, and no place for an element.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.shared.meta.space == Space::Null
    }

    /// The type of an element in the file.
    #[must_use]
    pub fn datatype(&self) -> &Datatype {
        &self.shared.meta.datatype
    }

    /// The address of the committed datatype that is its type, if that is one.
    #[must_use]
    pub fn committed_datatype(&self) -> Option<u64> {
        self.shared.meta.committed.map(|addr| addr.0)
    }

    /// The size of a chunk in each dimension, if it is chunked.
    #[must_use]
    pub fn chunk_shape(&self) -> Option<&[u64]> {
        self.shared.meta.grid.as_ref().map(|grid| grid.chunk.as_slice())
    }

    /// How it is stored.
    #[must_use]
    pub fn layout(&self) -> Layout {
        match self.shared.view().storage {
            Storage::Compact(_) => Layout::Compact,
            Storage::Contiguous(_) => Layout::Contiguous,
            Storage::External(_) => Layout::External,
            Storage::Chunked { .. } => Layout::Chunked,
            Storage::Virtual(_) => Layout::Virtual,
        }
    }

    /// What finds its chunks, if it is chunked: "version 1 B-tree", "extensible array" and so on.
    #[must_use]
    pub fn chunk_index(&self) -> Option<&'static str> {
        match &self.shared.view().storage {
            Storage::Chunked { layout, .. } => Some(match layout.index {
                ChunkIndex::BTreeV1 => "version 1 B-tree",
                ChunkIndex::Single { .. } => "single chunk",
                ChunkIndex::Implicit => "implicit",
                ChunkIndex::FixedArray { .. } => "fixed array",
                ChunkIndex::ExtensibleArray(_) => "extensible array",
                ChunkIndex::BTreeV2 { .. } => "version 2 B-tree",
            }),
            _ => None,
        }
    }

    /// Whether chunks that reach over the extent are stored without the filters, whatever their filter mask says.
    #[must_use]
    pub fn has_plain_edge_chunks(&self) -> bool {
        matches!(&self.shared.view().storage, Storage::Chunked { layout, .. } if layout.plain_edge_chunks)
    }

    /// The filters of its chunks, in the order of writing.
    #[must_use]
    pub fn filters(&self) -> Vec<FilterInfo> {
        let info = |filter: &Filter| {
            let known = h5live_filter::FilterId(filter.id.0).name().map(str::to_owned);
            let name = filter.name.as_ref().map(|name| name.to_string_lossy().into_owned());
            FilterInfo {
                id: filter.id.0,
                name: known.or(name),
                optional: filter.optional,
                values: filter.client_data.clone(),
            }
        };
        self.shared.meta.filters.filters.iter().map(info).collect()
    }

    /// The files that hold its elements, if that is how it is stored: name, offset and bytes (`None`: as many as it takes).
    #[must_use]
    pub fn external_files(&self) -> Vec<(String, u64, Option<u64>)> {
        match &self.shared.view().storage {
            Storage::External(data) => data.describe(),
            _ => Vec::new(),
        }
    }

    /// The datasets that it shows, if it is virtual: file (`None`: this one) and path.
    ///
    /// # Errors
    /// The list is damaged.
    pub fn virtual_sources(&self) -> Result<Vec<(Option<String>, String)>> {
        match &self.shared.view().storage {
            Storage::Virtual(data) => data.describe(&self.file.inner).map_err(|error| self.locate(error)),
            _ => Ok(Vec::new()),
        }
    }

    /// What elements read as that nobody wrote; `None` where that is undefined.
    ///
    /// # Errors
    /// It is of variable length, and damaged; or it is not stored, and elements are larger than the file.
    pub fn fill_value(&self) -> Result<Option<Value>> {
        let meta = &self.shared.meta;
        if meta.fill.as_ref().is_none_or(|fill| fill.value == Fill::Undefined) {
            return Ok(None);
        }
        let mut zeros = Vec::new();
        let bytes = match meta.fill_bytes() {
            Some(bytes) => bytes,
            None => {
                // A few bytes of a file can say that elements are of gigabytes.
                let size = meta.element_size;
                if size > SMALL_ELEMENT && size as u64 > self.file.inner.source.size()? {
                    return Err(
                        self.locate(Error::unsupported(format!("elements of {size} bytes, more than the file has")))
                    );
                }
                zeros.resize(size, 0);
                &zeros[..]
            }
        };
        Value::decode(bytes, &meta.datatype, &FileHeap(&self.file.inner)).map(Some).map_err(|error| self.locate(error))
    }

    /// The fill value as the bytes of one element, where one was given; for [`DatasetBuilder::fill_bytes`] of a dataset of
    /// the same type. Bytes of variable-length types mean something in this file only.
    ///
    /// [`DatasetBuilder::fill_bytes`]: crate::DatasetBuilder::fill_bytes
    #[must_use]
    pub fn fill_bytes(&self) -> Option<&[u8]> {
        self.shared.meta.fill_bytes()
    }

    /// How the fill value was given: `None` when it is undefined, `Some(false)` for the default of zeros.
    #[must_use]
    pub fn has_fill_value(&self) -> Option<bool> {
        match self.shared.meta.fill.as_ref().map(|fill| &fill.value) {
            // Files of before there were fill values say nothing.
            Some(Fill::Undefined) | None => None,
            Some(Fill::Value(_)) => Some(true),
            Some(Fill::Default) => Some(false),
        }
    }

    /// When libhdf5 writes the fill value; `None` where the file does not say.
    #[must_use]
    pub fn fill_time(&self) -> Option<FillTime> {
        self.shared.meta.fill.as_ref().map(|fill| fill.write)
    }

    /// Bytes its elements take in the file (or its external files) as stored, without indexes.
    ///
    /// # Errors
    /// The chunk index is damaged.
    pub fn storage_size(&self) -> Result<u64> {
        let view = self.shared.view();
        let bytes = || self.shared.count(&view).saturating_mul(self.shared.meta.element_size as u64);
        match &view.storage {
            Storage::Compact(data) => Ok(data.len() as u64),
            Storage::Contiguous(None) | Storage::Virtual(_) => Ok(0),
            Storage::Contiguous(Some(_)) | Storage::External(_) => Ok(bytes()),
            Storage::Chunked { .. } => {
                let mut sum = 0u64;
                self.for_each_chunk(|chunk| sum = sum.saturating_add(chunk.size))?;
                Ok(sum)
            }
        }
    }

    /// Its stored chunks, in the order of the index.
    ///
    /// # Errors
    /// The chunk index is damaged.
    pub fn chunks(&self) -> Result<Vec<ChunkInfo>> {
        let mut chunks = Vec::new();
        self.for_each_chunk(|chunk| chunks.push(chunk))?;
        Ok(chunks)
    }

    /// Hands each stored chunk to `visit`, in the order of the index. None if it is not chunked.
    ///
    /// # Errors
    /// The chunk index is damaged.
    pub fn for_each_chunk(&self, mut visit: impl FnMut(ChunkInfo)) -> Result<()> {
        self.complete_for_reading().map_err(|error| self.locate(error))?;
        let view = self.shared.view();
        let (Storage::Chunked { .. }, Some(grid)) = (&view.storage, &self.shared.meta.grid) else { return Ok(()) };
        let source = &self.file.inner.source;
        let mut each = || {
            view.index(&self.file.inner, &self.shared.meta)?.each(source, grid, &view.dims, |scaled, stored| {
                let offset = scaled.iter().zip(&grid.chunk).map(|(at, len)| at.saturating_mul(*len)).collect();
                visit(ChunkInfo {
                    offset,
                    file_offset: stored.addr.0.saturating_add(source.base()),
                    size: stored.size,
                    filter_mask: stored.filter_mask,
                });
                Ok(())
            })
        };
        each().map_err(|error| self.locate(error))
    }

    /// Refuses the stored bytes of a chunk that cannot be undone. Where a filter is not known, nothing can be said.
    pub(crate) fn verify_chunk(&self, chunk: &ChunkInfo, bytes: &[u8]) -> Result<()> {
        let meta = &self.shared.meta;
        let view = self.shared.view();
        let (Storage::Chunked { layout, .. }, Some(grid)) = (&view.storage, &meta.grid) else { return Ok(()) };
        if meta.pipeline.check_available().is_err() {
            return Ok(());
        }
        let scaled = grid.chunk_of(&chunk.offset);
        let is_edge = layout.plain_edge_chunks && !grid.is_inside(&scaled, &view.dims);
        meta.decode_chunk(is_edge, chunk.filter_mask, bytes).map(|_| ())
    }

    /// While the file is being written: sees to it that what was written can be found.
    fn complete_for_reading(&self) -> Result<()> {
        if self.file.complete_for_reading()? && self.shared.view().is_in_header() {
            self.shared.look_again(&self.file.inner)?;
        }
        Ok(())
    }

    /// Writes elements that lie in other files. `false` if they do not.
    pub(crate) fn write_external(&self, selection: &Selection, bytes: &[u8]) -> Result<bool> {
        let view = self.shared.view();
        let Storage::External(data) = &view.storage else { return Ok(false) };
        data.write(&self.file.inner, &view.dims, self.shared.meta.element_size as u64, selection, bytes)?;
        Ok(true)
    }
}

impl Shared {
    /// Reads what `header` says of a dataset.
    pub(crate) fn read(file: &Inner, header: &ObjectHeader) -> Result<Self> {
        let meta = Meta::read(file, header)?;
        let view = View::read(file, header, &meta)?;
        Ok(Self { addr: header.addr, meta, view: RwLock::new(Arc::new(view)) })
    }

    /// Whether it shows other datasets.
    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self.view().storage, Storage::Virtual(_))
    }

    /// The dataset as it was looked at last.
    pub(crate) fn view(&self) -> Arc<View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows all handles another view.
    pub(crate) fn set_view(&self, view: View) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    /// The dataset as the file has it now.
    pub(crate) fn look(&self, file: &Inner) -> Result<View> {
        View::read(file, &ObjectHeader::read(&file.source, self.addr)?, &self.meta)
    }

    /// Elements of a view.
    pub(crate) fn count(&self, view: &View) -> u64 {
        if self.meta.space == Space::Null { 0 } else { elements(&view.dims).unwrap_or(u64::MAX) }
    }
}

impl Meta {
    pub(crate) fn read(file: &Inner, header: &ObjectHeader) -> Result<Self> {
        let message = header.find(MessageType::DATATYPE).ok_or_else(|| lacks(header, "has no datatype"))?;
        let body = file.body(header, message)?;
        let datatype = Datatype::decode(&body.bytes, body.at)?;
        let committed = body.committed;
        let (space, dims, max) = match dataspace(file, header)? {
            Dataspace::Null => (Space::Null, Vec::new(), None),
            Dataspace::Scalar => (Space::Scalar, Vec::new(), None),
            Dataspace::Simple { dims, max } => (Space::Array, dims, max),
        };
        let max = max.unwrap_or_else(|| dims.iter().map(|dim| Some(*dim)).collect());
        let fill = fill_value(file, header)?;
        let element_size = datatype.size() as usize;
        if let Some(FillValue { value: Fill::Value(value), .. }) = &fill
            && value.len() != element_size
        {
            return Err(lacks(header, "has a fill value of another size than an element"));
        }
        let filters = match header.find(MessageType::FILTER_PIPELINE) {
            Some(message) => {
                let body = file.body(header, message)?;
                FilterPipeline::decode(&body.bytes, body.at)?
            }
            None => FilterPipeline::default(),
        };
        let grid = match layout(file, header)? {
            DataLayout::Chunked(chunked) => {
                if chunked.chunk.len() != dims.len() {
                    return Err(lacks(header, "has chunks of another rank than the dataset"));
                }
                if chunked.element_size as usize != element_size || chunked.chunk_bytes().is_none() {
                    return Err(lacks(header, "has chunks of elements of another size, or of more than 64 bits"));
                }
                Some(Grid::new(chunked.chunk, element_size as u64, &max))
            }
            _ => None,
        };
        let pipeline = pipeline(&filters, &file.filters)?;
        Ok(Self { datatype, committed, element_size, space, max, fill, filters, pipeline, grid })
    }

    /// The elements of a chunk from its stored bytes; `is_plain` where filters leave such a chunk alone.
    pub(crate) fn decode_chunk(&self, is_plain: bool, filter_mask: u32, bytes: &[u8]) -> Result<Vec<u8>> {
        let size = self.grid.as_ref().map_or(0, |grid| grid.chunk_bytes);
        let skipped = self.pipeline.skip_all();
        if is_plain || self.pipeline.is_empty() || filter_mask & skipped == skipped {
            return match usize::try_from(size).ok().and_then(|size| bytes.get(..size)) {
                Some(bytes) => Ok(bytes.to_vec()),
                None => Err(Error::unsupported(format!("has {} bytes of {size}", bytes.len()))),
            };
        }
        if size > MOST_DECODED {
            return Err(Error::unsupported(format!("a filtered chunk of {size} bytes")));
        }
        let decoded = self.pipeline.decode(filter_mask, bytes, size as usize);
        Ok(decoded.map_err(|source| ErrorKind::Filter { chunk: Vec::new(), source })?)
    }

    /// What is read where nothing was written: one element, or `None` for zeros. Where filling is switched off libhdf5 leaves
    /// memory as it is; zeros are what that amounts to for most programs, and always the same.
    pub(crate) fn unwritten(&self) -> Option<&[u8]> {
        match &self.fill {
            Some(FillValue { write: FillTime::Never, .. }) => None,
            _ => self.fill_bytes(),
        }
    }

    /// One element of the fill value; `None` for zeros.
    pub(crate) fn fill_bytes(&self) -> Option<&[u8]> {
        match &self.fill {
            Some(FillValue { value: Fill::Value(value), .. }) => Some(value),
            _ => None,
        }
    }
}

impl View {
    /// Reads from `header` what may have changed.
    pub(crate) fn read(file: &Inner, header: &ObjectHeader, meta: &Meta) -> Result<Self> {
        let mut dims = dataspace(file, header)?.dims().to_vec();
        if dims.len() != meta.max.len() {
            return Err(lacks(header, "has changed its rank"));
        }
        let storage = match layout(file, header)? {
            DataLayout::Compact(data) => Storage::Compact(data),
            DataLayout::Contiguous { addr, .. } => match header.find(MessageType::EXTERNAL_FILES) {
                Some(message) => {
                    Storage::External(ExternalData::read(file, &message.body, header.body_addr(message).0)?)
                }
                None => Storage::Contiguous(addr),
            },
            DataLayout::Chunked(layout) => Storage::Chunked { layout: Arc::new(layout), index: OnceLock::new() },
            DataLayout::Virtual { heap, index } => {
                let data = VirtualData::new(heap, index);
                data.extend(file, &mut dims, &meta.max)?;
                Storage::Virtual(data)
            }
        };
        Ok(Self { look: Look::new(), dims, storage, structure: None })
    }

    /// The index of a chunked dataset, opened when first asked for.
    pub(crate) fn index(&self, file: &Inner, meta: &Meta) -> Result<&Index> {
        let (Storage::Chunked { layout, index }, Some(grid)) = (&self.storage, &meta.grid) else {
            return Ok(&Index::Absent);
        };
        match index.get() {
            Some(index) => Ok(index),
            None => {
                let opened = Index::open(&file.source, layout, grid, !meta.pipeline.is_empty())?;
                Ok(index.get_or_init(|| opened))
            }
        }
    }

    /// Refuses to make room for `bytes` that the file cannot have.
    fn check_room(&self, file: &Inner, selection: &Selection, bytes: usize) -> Result<()> {
        // A point may be asked for again and again.
        if matches!(selection, Selection::Points(_)) {
            return Ok(());
        }
        let (at, left) = match &self.storage {
            Storage::Compact(data) => (0, data.len() as u64),
            Storage::Contiguous(Some(addr)) => (addr.0, file.source.size()?.saturating_sub(addr.0)),
            _ => return Ok(()),
        };
        if bytes as u64 > left {
            let why = Why::Truncated { field: "elements", needed: bytes as u64, left };
            return Err(Malformed { what: "raw data", at, why }.into());
        }
        Ok(())
    }
}

/// The filters of a pipeline message, ready for use.
pub(crate) fn pipeline(filters: &FilterPipeline, registry: &Registry) -> Result<Pipeline> {
    let stages = filters.filters.iter().map(|filter| h5live_filter::Stage {
        id: h5live_filter::FilterId(filter.id.0),
        optional: filter.optional,
        name: filter.name.as_ref().map(|name| name.to_string_lossy().into_owned()),
        values: filter.client_data.clone(),
    });
    Pipeline::new(stages, registry).map_err(|source| ErrorKind::Filter { chunk: Vec::new(), source }.into())
}

pub(crate) fn dataspace(file: &Inner, header: &ObjectHeader) -> Result<Dataspace> {
    let message = header.find(MessageType::DATASPACE).ok_or_else(|| lacks(header, "has no dataspace"))?;
    let body = file.body(header, message)?;
    Ok(Dataspace::decode(&body.bytes, body.at, file.source.widths())?)
}

pub(crate) fn layout(file: &Inner, header: &ObjectHeader) -> Result<DataLayout> {
    let message = header.find(MessageType::DATA_LAYOUT).ok_or_else(|| lacks(header, "has no data layout"))?;
    Ok(DataLayout::decode(&message.body, header.body_addr(message).0, file.source.widths())?)
}

fn fill_value(file: &Inner, header: &ObjectHeader) -> Result<Option<FillValue>> {
    if let Some(message) = header.find(MessageType::FILL_VALUE) {
        let body = file.body(header, message)?;
        return Ok(Some(FillValue::decode(&body.bytes, body.at)?));
    }
    match header.find(MessageType::FILL_VALUE_OLD) {
        Some(message) => {
            let body = file.body(header, message)?;
            Ok(Some(FillValue::decode_old(&body.bytes, body.at)?))
        }
        None => Ok(None),
    }
}

fn lacks(header: &ObjectHeader, what: &'static str) -> Error {
    Malformed { what: "dataset's object header", at: header.addr.0, why: Why::Text(what) }.into()
}
