//! Datasets: reading and writing elements.

use std::sync::Arc;

use h5live::region::Selection as Region;
use h5live::{ErrorKind, Layout, Object, Reference, Selection};
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::attributes::Attributes;
use crate::datatype::{Datatype, Form, NumpyType};
use crate::elements::{self, TextAs};
use crate::errors::{Doing, OrRaise, raise};
use crate::follow::Follow;
use crate::handle::{Elsewhere, Handle};
use crate::selection::{Elements, NotHere, Selected};
use crate::{lists, memory};

/// A dataset.
#[pyclass(frozen, module = "h5live._h5live")]
pub(crate) struct Dataset {
    pub(crate) handle: Arc<Handle>,
    pub(crate) dataset: h5live::Dataset,
    numpy: PyOnceLock<Arc<NumpyType>>,
}

impl Dataset {
    pub(crate) fn new(handle: Arc<Handle>, dataset: h5live::Dataset) -> Self {
        Self { handle, dataset, numpy: PyOnceLock::new() }
    }

    fn numpy(&self, py: Python<'_>) -> PyResult<&NumpyType> {
        self.numpy.get_or_try_init(py, || NumpyType::of(py, self.dataset.datatype())).map(Arc::as_ref)
    }

    fn element_size(&self) -> usize {
        self.dataset.datatype().size() as usize
    }

    fn check(&self, doing: Doing) -> PyResult<()> {
        self.handle.check(doing)
    }

    /// The extent; of a virtual dataset, which grows with its sources, as it is now.
    fn extent(&self, py: Python<'_>) -> PyResult<Vec<u64>> {
        self.check(Doing::LookAtSpace)?;
        if self.dataset.layout() == Layout::Virtual {
            py.detach(|| self.dataset.refresh()).or_raise(Doing::Refresh)?;
        }
        Ok(self.dataset.shape())
    }

    fn refuse_reader(&self, doing: Doing) -> PyResult<()> {
        self.check(doing)?;
        if !self.handle.writable {
            return Err(raise(doing, &ErrorKind::ReadOnly.into()));
        }
        match &self.handle.opened.elsewhere {
            Some(Elsewhere { object: Some(object), .. }) if doing == Doing::Write => object.require_readable(),
            _ => Ok(()),
        }
    }

    /// The selected elements' bytes, into `out`.
    fn fetch(&self, selected: &Selected, out: &mut [u8]) -> h5live::Result<()> {
        match &selected.elements {
            Elements::Library(selection) => self.dataset.read_raw_into(selection, out),
            Elements::Lists(axes) => lists::read(&self.dataset, axes, self.element_size(), out),
            Elements::Mask(mask) => mask.read(&self.dataset, self.element_size(), out),
        }
    }

    fn store(&self, selected: &Selected, data: &[u8]) -> h5live::Result<()> {
        match &selected.elements {
            Elements::Library(selection) => self.dataset.write_raw(selection, data),
            Elements::Lists(axes) => lists::write(&self.dataset, axes, self.element_size(), data),
            Elements::Mask(mask) => mask.write(&self.dataset, self.element_size(), data),
        }
    }

    /// Bytes of the selected elements; an error where no memory can hold them.
    fn bytes(&self, selected: &Selected) -> PyResult<usize> {
        let bytes = usize::try_from(selected.count()).ok().and_then(|count| count.checked_mul(self.element_size()));
        bytes.ok_or_else(|| PyValueError::new_err("the selection has more elements than memory can hold"))
    }

    /// `array` if its bytes are elements of the dataset, one after the other: it is C-contiguous, and of the dataset's own type.
    fn own_array<'a, 'py>(
        &self,
        numpy: &NumpyType,
        array: &'a Bound<'py, PyAny>,
    ) -> PyResult<Option<&'a Bound<'py, PyUntypedArray>>> {
        if !matches!(numpy.form, Form::Plain) {
            return Ok(None);
        }
        let Ok(array) = array.cast::<PyUntypedArray>() else { return Ok(None) };
        let dtype = array.dtype();
        let same_type = dtype.is(&numpy.dtype) || dtype.eq(numpy.dtype.bind(array.py()))?;
        Ok((same_type && array.is_c_contiguous()).then_some(array))
    }

    fn fetch_raw(&self, py: Python<'_>, selected: &Selected) -> PyResult<Vec<u8>> {
        let bytes = self.bytes(selected)?;
        py.detach(|| {
            if let Elements::Library(selection) = &selected.elements {
                return self.dataset.read_raw(selection);
            }
            let mut raw = vec![0; bytes];
            self.fetch(selected, &mut raw)?;
            Ok(raw)
        })
        .or_raise(Doing::Read)
    }
}

/// A selection of a dataset, as an index expression gave it.
#[pyclass(frozen, module = "h5live._h5live", name = "Selection")]
pub(crate) struct PySelection(Selected);

#[pymethods]
impl PySelection {
    /// An axis for each of the dataset's, or one for single points.
    #[getter]
    fn whole_shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.whole_shape)
    }

    /// The shape of the array that reading gives.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.shape)
    }

    /// Which axes were given as a number.
    #[getter]
    fn numbers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.numbers)
    }

    /// Whether reading gives one element and no array.
    #[getter]
    fn is_scalar(&self) -> bool {
        self.0.is_scalar
    }

    #[getter]
    fn count(&self) -> u64 {
        self.0.count()
    }

    /// From the pattern of each axis: start, stride, count, block.
    #[staticmethod]
    fn from_slabs(slabs: Vec<(u64, u64, u64, u64)>) -> Self {
        let slabs: Vec<h5live::Slab> = slabs
            .into_iter()
            .map(|(start, stride, count, block)| h5live::Slab { start, stride, count, block })
            .collect();
        let shape: Vec<u64> = slabs.iter().map(h5live::Slab::len).collect();
        let elements = Elements::Library(Selection::Hyperslab(slabs));
        Self(Selected {
            elements,
            numbers: vec![false; shape.len()],
            whole_shape: shape.clone(),
            shape,
            is_scalar: false,
        })
    }

    /// What an index expression (without names of fields) selects of a dataset of this shape.
    #[staticmethod]
    fn parse(index: &Bound<'_, PyAny>, shape: Vec<u64>) -> PyResult<Self> {
        match Selected::parse(index, &shape) {
            Ok(selected) => Ok(Self(selected)),
            Err(NotHere::ForThePackage) => Err(PyTypeError::new_err("Field names only allowed for compound types")),
            Err(NotHere::Wrong(error)) => Err(error),
        }
    }

    /// From the coordinates of single points.
    #[staticmethod]
    fn from_points(points: Vec<Vec<u64>>) -> Self {
        let shape = vec![points.len() as u64];
        let elements = Elements::Library(Selection::Points(points));
        Self(Selected {
            elements,
            numbers: vec![false; shape.len()],
            whole_shape: shape.clone(),
            shape,
            is_scalar: false,
        })
    }

    /// The pattern of each axis; `None` unless there is one.
    fn slabs<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        match &self.0.elements {
            Elements::Library(Selection::Hyperslab(slabs)) => {
                PyList::new(py, slabs.iter().map(|slab| (slab.start, slab.stride, slab.count, slab.block))).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The coordinates of points; `None` unless they were selected one by one.
    fn points<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        match &self.0.elements {
            Elements::Library(Selection::Points(points)) => PyList::new(py, points).map(Some),
            Elements::Mask(mask) => PyList::new(py, mask.points()).map(Some),
            _ => Ok(None),
        }
    }

    /// The places along each axis, where one is a list; `None` otherwise.
    fn lists<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let Elements::Lists(axes) = &self.0.elements else { return Ok(None) };
        let each = axes.iter().map(|along| match along {
            crate::selection::Along::Slab(slab) => {
                PyTuple::new(py, [slab.start, slab.stride, slab.count, slab.block]).map(Bound::into_any)
            }
            crate::selection::Along::List(list) => PyList::new(py, list).map(Bound::into_any),
        });
        PyList::new(py, each.collect::<PyResult<Vec<_>>>()?).map(Some)
    }
}

#[pymethods]
impl Dataset {
    /// The extent; `None` for a null dataspace.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        if self.dataset.is_null() {
            return self.check(Doing::LookAtSpace).map(|()| None);
        }
        PyTuple::new(py, self.extent(py)?).map(Some)
    }

    /// The largest shape, `None` along axes without limit.
    #[getter]
    fn maxshape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.check(Doing::LookAtSpace)?;
        PyTuple::new(py, self.dataset.max_shape())
    }

    #[getter]
    fn rank(&self) -> PyResult<usize> {
        self.check(Doing::LookAtSpace)?;
        Ok(self.dataset.rank())
    }

    #[getter]
    fn is_null(&self) -> PyResult<bool> {
        self.check(Doing::LookAtSpace)?;
        Ok(self.dataset.is_null())
    }

    /// The numpy type of its elements.
    #[getter]
    fn dtype(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.check(Doing::LookAtDataset)?;
        Ok(self.numpy(py)?.dtype.clone_ref(py))
    }

    /// Whether its elements are in memory as they are in the file.
    #[getter]
    fn is_plain(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(matches!(self.numpy(py)?.form, Form::Plain))
    }

    #[getter]
    fn datatype(&self) -> PyResult<Datatype> {
        self.check(Doing::LookAtDataset)?;
        Ok(Datatype(self.dataset.datatype().clone()))
    }

    /// The address of its committed datatype.
    #[getter]
    fn committed_datatype(&self) -> PyResult<Option<u64>> {
        self.check(Doing::LookAtDataset)?;
        Ok(self.dataset.committed_datatype())
    }

    #[getter]
    fn chunks<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.check(Doing::LookAtDataset)?;
        self.dataset.chunk_shape().map(|chunk| PyTuple::new(py, chunk)).transpose()
    }

    #[getter]
    fn layout(&self) -> PyResult<&'static str> {
        self.check(Doing::LookAtDataset)?;
        Ok(match self.dataset.layout() {
            Layout::Compact => "compact",
            Layout::Contiguous => "contiguous",
            Layout::External => "external",
            Layout::Chunked => "chunked",
            Layout::Virtual => "virtual",
        })
    }

    /// The filters: number, whether optional, values, name.
    #[getter]
    fn filters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.check(Doing::LookAtDataset)?;
        let filters = self.dataset.filters().into_iter();
        PyList::new(
            py,
            filters.map(|filter| (filter.id, filter.optional, filter.values, filter.name)).collect::<Vec<_>>(),
        )
    }

    /// The bytes of the fill value, if one was given.
    #[getter]
    fn fill_bytes(&self) -> Option<Vec<u8>> {
        self.dataset.fill_bytes().map(<[u8]>::to_vec)
    }

    /// How the fill value was given: `None` undefined, `False` the default, `True` by the program.
    #[getter]
    fn has_fill_value(&self) -> Option<bool> {
        self.dataset.has_fill_value()
    }

    #[getter]
    fn fill_time(&self) -> Option<u8> {
        self.dataset.fill_time().map(|time| match time {
            h5live::FillTime::OnAllocation => 0,
            h5live::FillTime::Never => 1,
            h5live::FillTime::IfSet => 2,
        })
    }

    /// The external files: name, offset, bytes.
    fn external_files<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.check(Doing::LookAtDataset)?;
        PyList::new(py, self.dataset.external_files())
    }

    /// Where the elements begin in the file, if they lie in one piece; `None` too if the dataset is closed, as libhdf5 has no other
    /// way to say that.
    fn data_offset(&self) -> Option<u64> {
        if self.handle.is_open() { self.dataset.data_offset() } else { None }
    }

    /// Whether the order in which attributes are created is kept.
    #[getter]
    fn tracks_order(&self, py: Python<'_>) -> PyResult<bool> {
        self.check(Doing::LookAtDataset)?;
        py.detach(|| self.dataset.tracks_attribute_order()).or_raise(Doing::Look)
    }

    /// A chunk as it is stored: filter mask and bytes.
    fn read_chunk<'py>(&self, py: Python<'py>, offset: Vec<u64>) -> PyResult<Bound<'py, PyTuple>> {
        self.check(Doing::LookAtSpace)?;
        match py.detach(|| self.dataset.read_chunk(&offset)).or_raise(Doing::Read)? {
            Some((mask, bytes)) => (mask, PyBytes::new(py, &bytes)).into_pyobject(py),
            None => {
                Err(PyOSError::new_err(format!("Can't read unprocessed chunk data (no chunk is stored at {offset:?})")))
            }
        }
    }

    /// What a virtual dataset shows: where, file, path, which elements, and (where the source can be opened) their extent.
    fn virtual_mappings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.check(Doing::LookAtDataset)?;
        let mappings = py.detach(|| self.dataset.virtual_mappings()).or_raise(Doing::Look)?;
        let each = mappings.into_iter().map(|mapping| {
            let (target, source) = (region_parts(py, &mapping.target)?, region_parts(py, &mapping.source)?);
            let extent = region_extent(&mapping.source);
            (target, mapping.file, mapping.dataset, source, PyTuple::new(py, extent)?).into_pyobject(py)
        });
        PyList::new(py, each.collect::<PyResult<Vec<_>>>()?)
    }

    fn storage_size(&self, py: Python<'_>) -> PyResult<u64> {
        self.check(Doing::LookAtDataset)?;
        py.detach(|| self.dataset.storage_size()).or_raise(Doing::Look)
    }

    /// The stored chunks: offset, filter mask, place in the file, bytes.
    fn chunk_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.check(Doing::LookAtSpace)?;
        let chunks = py.detach(|| self.dataset.chunks()).or_raise(Doing::Look)?;
        let each = chunks.into_iter().map(|chunk| {
            (PyTuple::new(py, chunk.offset)?, chunk.filter_mask, chunk.file_offset, chunk.size).into_pyobject(py)
        });
        PyList::new(py, each.collect::<PyResult<Vec<_>>>()?)
    }

    /// The elements at `index`; `None` if the expression or the type is for the package to deal with.
    fn read<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.check(Doing::Read)?;
        let numpy = self.numpy(py)?;
        if matches!(numpy.form, Form::Converted) || self.dataset.is_null() {
            return Ok(None);
        }
        let selected = match Selected::parse(index, &self.extent(index.py())?) {
            Ok(selected) => selected,
            Err(NotHere::ForThePackage) => return Ok(None),
            Err(NotHere::Wrong(error)) => return Err(error),
        };
        let dtype = numpy.dtype.bind(py);
        match numpy.form {
            Form::Text => {
                let raw = self.fetch_raw(py, &selected)?;
                let file = self.dataset.file();
                if selected.is_scalar {
                    let texts = py.detach(|| elements::fetch_texts(file, &raw, self.element_size()));
                    let texts = texts.or_raise(Doing::Read)?;
                    return elements::text(py, texts.first().map_or(&[][..], Vec::as_slice), TextAs::Bytes).map(Some);
                }
                let array = elements::decode_texts(py, file, &raw, self.element_size(), TextAs::Bytes)?;
                elements::shaped(&array, dtype, &selected.shape).map(Some)
            }
            _ if selected.is_scalar && self.element_size() <= SMALL => {
                let mut bytes = [0; SMALL];
                let bytes = &mut bytes[..self.element_size()];
                py.detach(|| self.fetch(&selected, bytes)).or_raise(Doing::Read)?;
                memory::scalar(py, bytes, numpy).map(Some)
            }
            _ => {
                let array = memory::filled(py, &selected.shape, numpy, |bytes| {
                    py.detach(|| self.fetch(&selected, bytes)).or_raise(Doing::Read)
                })?;
                match selected.is_scalar {
                    true => array.get_item(PyTuple::empty(py)).map(Some),
                    false => Ok(Some(array)),
                }
            }
        }
    }

    /// What an index expression (without names of fields) selects now.
    fn select(&self, index: &Bound<'_, PyAny>) -> PyResult<PySelection> {
        self.check(Doing::LookAtSpace)?;
        match Selected::parse(index, &self.extent(index.py())?) {
            Ok(selected) => Ok(PySelection(selected)),
            Err(NotHere::ForThePackage) => Err(PyTypeError::new_err("Field names only allowed for compound types")),
            Err(NotHere::Wrong(error)) => Err(error),
        }
    }

    /// The bytes of the selected elements as they are in the file, as an array of one axis.
    fn read_raw<'py>(&self, py: Python<'py>, selection: &PySelection) -> PyResult<Bound<'py, PyAny>> {
        self.check(Doing::Read)?;
        Ok(elements::byte_array(py, self.fetch_raw(py, &selection.0)?))
    }

    /// Reads the selected elements into a C-contiguous array of their own type.
    fn read_into(&self, py: Python<'_>, selection: &PySelection, array: &Bound<'_, PyAny>) -> PyResult<()> {
        self.check(Doing::Read)?;
        memory::with_bytes_mut(array, |bytes| py.detach(|| self.fetch(&selection.0, bytes)).or_raise(Doing::Read))
    }

    /// Writes the bytes of a C-contiguous array over the selected elements.
    fn write_raw(&self, py: Python<'_>, selection: &PySelection, array: &Bound<'_, PyAny>) -> PyResult<()> {
        self.refuse_reader(Doing::Write)?;
        memory::with_bytes(array, |bytes| py.detach(|| self.store(&selection.0, bytes)).or_raise(Doing::Write))
    }

    /// Writes an array of the dataset's own type and of the selection's shape, or of one element for all; `False` if it is none, or the expression is
    /// for the package to deal with.
    fn write(&self, py: Python<'_>, index: &Bound<'_, PyAny>, array: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.refuse_reader(Doing::Write)?;
        let numpy = self.numpy(py)?;
        if self.dataset.is_null() {
            return Ok(false);
        }
        let Some(array) = self.own_array(numpy, array)? else { return Ok(false) };
        let selected = match Selected::parse(index, &self.extent(index.py())?) {
            Ok(selected) => selected,
            Err(NotHere::ForThePackage) => return Ok(false),
            Err(NotHere::Wrong(error)) => return Err(error),
        };
        if array.ndim() == 0 && !selected.shape.is_empty() {
            let bytes = self.bytes(&selected)?;
            if bytes > REPEATED {
                return Ok(false);
            }
            return memory::with_elements(array, numpy, |element| {
                let bytes = element.repeat(bytes / element.len().max(1));
                py.detach(|| self.store(&selected, &bytes)).or_raise(Doing::Write).map(|()| true)
            });
        }
        if !same_shape(array.shape(), &selected.shape) {
            return Ok(false);
        }
        memory::with_elements(array, numpy, |bytes| py.detach(|| self.store(&selected, bytes)).or_raise(Doing::Write))?;
        Ok(true)
    }

    /// Adds a row, or an array of them, of the dataset's own type at the end of the first axis; `False` if it is no such array.
    fn append(&self, py: Python<'_>, rows: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.refuse_reader(Doing::Write)?;
        let numpy = self.numpy(py)?;
        let Some(array) = self.own_array(numpy, rows)? else { return Ok(false) };
        let shape = self.dataset.shape();
        let Some((_, row)) = shape.split_first() else { return Ok(false) };
        let given = array.shape();
        let inner = if given.len() == shape.len() { &given[1..] } else { given };
        if !same_shape(inner, row) {
            return Ok(false);
        }
        memory::with_elements(rows, numpy, |bytes| {
            py.detach(|| self.dataset.append_raw(bytes)).or_raise(Doing::Write)
        })?;
        Ok(true)
    }

    /// Adds rows, given as an array of the dataset's own type, at the end of an axis.
    fn append_raw(&self, py: Python<'_>, array: &Bound<'_, PyAny>) -> PyResult<()> {
        self.refuse_reader(Doing::Write)?;
        memory::with_bytes(array, |bytes| py.detach(|| self.dataset.append_raw(bytes)).or_raise(Doing::Write))
    }

    fn resize(&self, py: Python<'_>, shape: Vec<u64>) -> PyResult<()> {
        self.refuse_reader(Doing::Resize)?;
        py.detach(|| self.dataset.resize(shape)).or_raise(Doing::Resize)
    }

    /// Resizes as a program asks for it: to a shape, or along one axis to a number. `False` if that is for the package to look at.
    fn resize_to(&self, py: Python<'_>, size: &Bound<'_, PyAny>, axis: &Bound<'_, PyAny>) -> PyResult<bool> {
        if !self.handle.is_open() || self.dataset.layout() != Layout::Chunked {
            return Ok(false);
        }
        let shape = if axis.is_none() {
            let Ok(shape) = size.extract::<Vec<u64>>() else { return Ok(false) };
            shape
        } else {
            let (Ok(size), Ok(axis)) = (size.extract::<u64>(), axis.extract::<usize>()) else { return Ok(false) };
            let mut shape = self.dataset.shape();
            match shape.get_mut(axis) {
                Some(dim) => *dim = size,
                None => return Ok(false),
            }
            shape
        };
        if shape.len() != self.dataset.rank() {
            return Ok(false);
        }
        self.resize(py, shape).map(|()| true)
    }

    /// Stores a chunk as it is.
    fn write_chunk(&self, py: Python<'_>, offset: Vec<u64>, filter_mask: u32, data: &[u8]) -> PyResult<()> {
        self.refuse_reader(Doing::Write)?;
        py.detach(|| self.dataset.write_chunk(&offset, filter_mask, data)).or_raise(Doing::Write)
    }

    /// Makes all changes of its file visible, as `File.publish`.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.check(Doing::FlushDataset)?;
        self.handle.publish(py, false)
    }

    /// Shows what was published since the last look. Tells whether the shape changed.
    fn refresh(&self, py: Python<'_>) -> PyResult<bool> {
        self.check(Doing::Refresh)?;
        py.detach(|| self.dataset.refresh()).or_raise(Doing::Refresh)
    }

    /// What waits for new rows.
    #[pyo3(signature = (start=None, timeout=None, axis=0))]
    fn follow(&self, start: Option<u64>, timeout: Option<f64>, axis: usize) -> PyResult<Follow> {
        self.check(Doing::LookAtSpace)?;
        Follow::new(self.handle.clone(), &self.dataset, start, timeout, axis)
    }

    fn attributes(&self) -> PyResult<Attributes> {
        Ok(Attributes::new(self.handle.clone(), Object::Dataset(self.dataset.clone())))
    }

    #[getter]
    fn path(&self) -> &str {
        self.dataset.path()
    }

    #[getter]
    fn address(&self) -> u64 {
        self.dataset.address()
    }

    #[getter]
    fn is_open(&self) -> bool {
        self.handle.is_open()
    }

    /// Closes this object, and no other.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.handle.close()).or_raise(Doing::Flush).map(drop)
    }

    /// The file it is in, as this opening of it.
    #[getter]
    fn file(&self) -> crate::file::File {
        crate::file::File { handle: self.handle.another() }
    }
}

fn same_shape(array: &[usize], wanted: &[u64]) -> bool {
    array.iter().map(|dim| *dim as u64).eq(wanted.iter().copied())
}

/// Elements of no more bytes than this are read without asking for memory.
const SMALL: usize = 64;

/// One element is repeated in memory to at most so many bytes.
const REPEATED: usize = 1 << 20;

/// A region reference in parts: the dataset's address, and what it selects of it.
pub(crate) fn region<'py>(py: Python<'py>, reference: Reference) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let Reference::Region { dataset, selection } = reference else { return Ok(None) };
    (dataset, region_parts(py, &selection)?).into_pyobject(py).map(Some)
}

/// A stored selection: its kind, and its points, patterns or blocks.
fn region_parts<'py>(py: Python<'py>, selection: &Region) -> PyResult<Bound<'py, PyTuple>> {
    match selection {
        Region::None => ("none", PyList::empty(py)).into_pyobject(py),
        Region::All => ("all", PyList::empty(py)).into_pyobject(py),
        Region::Points(points) => {
            ("points", PyList::new(py, points.iter().map(<[u64]>::to_vec).collect::<Vec<_>>())?).into_pyobject(py)
        }
        Region::Regular(dimensions) => {
            let each = dimensions.iter().map(|it| (it.start, it.stride, it.count, it.block));
            ("slabs", PyList::new(py, each.collect::<Vec<_>>())?).into_pyobject(py)
        }
        Region::Blocks(blocks) => {
            let each = blocks.iter().map(|(first, last)| (first.to_vec(), last.to_vec()));
            ("blocks", PyList::new(py, each.collect::<Vec<_>>())?).into_pyobject(py)
        }
    }
}

/// The least extent that has all of a stored selection; the file does not keep the source's own.
fn region_extent(selection: &Region) -> Vec<u64> {
    let most = |places: &mut dyn Iterator<Item = &[u64]>, rank: usize| {
        places.fold(vec![0; rank], |most, at| most.iter().zip(at).map(|(most, at)| *most.max(&(at + 1))).collect())
    };
    match selection {
        Region::None | Region::All => Vec::new(),
        Region::Points(points) => most(&mut points.iter(), points.rank),
        Region::Blocks(blocks) => most(&mut blocks.iter().map(|(_, last)| last), blocks.rank),
        Region::Regular(dimensions) => dimensions
            .iter()
            .map(|it| match (it.count, it.block) {
                (Some(count), Some(block)) => it.start + count.saturating_sub(1) * it.stride + block,
                _ => it.start,
            })
            .collect(),
    }
}

/// A selection as region references and virtual datasets store it, from its kind and parts.
pub(crate) fn parse_region(kind: &str, parts: &[Vec<u64>], rank: usize) -> PyResult<Region> {
    use h5live::region::{Blocks, Points, RegularDimension};
    Ok(match kind {
        "none" => Region::None,
        "all" => Region::All,
        "points" => Region::Points(Points { rank, coordinates: parts.concat() }),
        "blocks" => Region::Blocks(Blocks { rank, corners: parts.concat() }),
        _ => {
            let limited = |number: u64| Some(number).filter(|number| *number != u64::MAX);
            let each = parts.iter().map(|slab| match *slab.as_slice() {
                [start, stride, count, block] => {
                    Ok(RegularDimension { start, stride, count: limited(count), block: limited(block) })
                }
                _ => Err(PyValueError::new_err("a pattern is start, stride, count, block")),
            });
            Region::Regular(each.collect::<PyResult<_>>()?)
        }
    })
}
