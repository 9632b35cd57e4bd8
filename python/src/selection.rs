//! Index expressions, as h5py understands them.

use h5live::{Selection, Slab};
use numpy::{PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyEllipsis, PyInt, PySlice, PyTuple};

use crate::masks::Mask;

/// What an index expression selects of a dataset.
#[derive(Debug, Clone)]
pub(crate) struct Selected {
    pub(crate) elements: Elements,
    /// An axis for each of the dataset's (for points: one).
    pub(crate) whole_shape: Vec<u64>,
    /// Without the axes that were given as a number.
    pub(crate) shape: Vec<u64>,
    /// Which axes were given as a number.
    pub(crate) numbers: Vec<bool>,
    /// Whether numpy would give a single element, and no array.
    pub(crate) is_scalar: bool,
}

/// The elements selected.
#[derive(Debug, Clone)]
pub(crate) enum Elements {
    /// What the library selects by itself.
    Library(Selection),
    /// The product of one list or pattern per axis.
    Lists(Vec<Along>),
    /// What a mask of the whole extent picks.
    Mask(Mask),
}

/// The elements along one axis.
#[derive(Debug, Clone)]
pub(crate) enum Along {
    Slab(Slab),
    /// Ascending, without repetition.
    List(Vec<u64>),
}

impl Along {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Slab(slab) => slab.len(),
            Self::List(list) => list.len() as u64,
        }
    }
}

/// Why an index expression is none that is understood here.
pub(crate) enum NotHere {
    /// It has names of fields, or objects that only the package knows.
    ForThePackage,
    Wrong(PyErr),
}

impl From<PyErr> for NotHere {
    fn from(error: PyErr) -> Self {
        Self::Wrong(error)
    }
}

impl<'a, 'py> From<pyo3::CastError<'a, 'py>> for NotHere {
    fn from(error: pyo3::CastError<'a, 'py>) -> Self {
        Self::Wrong(error.into())
    }
}

/// One axis as it is given, before the ellipsis is filled in.
struct Axis {
    along: Along,
    is_number: bool,
}

impl Selected {
    /// Everything.
    fn all(dims: &[u64], is_scalar: bool) -> Self {
        let elements = Elements::Library(Selection::All);
        let numbers = vec![false; dims.len()];
        Self { elements, whole_shape: dims.to_vec(), shape: dims.to_vec(), numbers, is_scalar }
    }

    /// What `index` selects of a dataset with this extent.
    pub(crate) fn parse(index: &Bound<'_, PyAny>, dims: &[u64]) -> Result<Self, NotHere> {
        let Ok(items) = index.cast::<PyTuple>() else {
            return Self::parse_items(std::slice::from_ref(index), dims);
        };
        match items.len() {
            0 => Ok(Self::all(dims, dims.is_empty())),
            _ => Self::parse_items(&items.iter().collect::<Vec<_>>(), dims),
        }
    }

    fn parse_items(items: &[Bound<'_, PyAny>], dims: &[u64]) -> Result<Self, NotHere> {
        let rank = dims.len();
        if let [only] = items {
            if only.is_instance_of::<PyEllipsis>() {
                return Ok(Self::all(dims, false));
            }
            if let Ok(mask) = only.cast::<PyArrayDyn<bool>>()
                && (mask.ndim() > 1 || mask.ndim() == 1 && rank == 0)
            {
                return Self::masked(mask, dims);
            }
            // Not asked of numbers and slices: an attribute that is missing costs more than reading a few elements.
            let is_plain = only.is_exact_instance_of::<PyInt>() || only.is_exact_instance_of::<PySlice>();
            if !is_plain && only.hasattr(pyo3::intern!(only.py(), "_h5live_index"))? {
                return Err(NotHere::ForThePackage);
            }
        }
        if items.iter().any(|item| item.is_none()) {
            return Err(PyTypeError::new_err("Indexing with None (np.newaxis) is not supported").into());
        }
        let ellipses = items.iter().filter(|item| item.is_instance_of::<PyEllipsis>()).count();
        if ellipses > 1 {
            return Err(PyValueError::new_err("Only one ellipsis may be used.").into());
        }
        let given = items.len() - ellipses;
        if given > rank {
            if items.iter().any(|item| item.cast::<pyo3::types::PyString>().is_ok()) {
                return Err(NotHere::ForThePackage);
            }
            return Err(PyValueError::new_err(format!("{given} indexing arguments for {rank} dimensions")).into());
        }
        let mut axes = Vec::with_capacity(rank);
        let whole = |axis: usize| Axis { along: Along::Slab(Slab::range(0..dims[axis])), is_number: false };
        for item in items {
            if item.is_instance_of::<PyEllipsis>() {
                for _ in 0..rank - given {
                    axes.push(whole(axes.len()));
                }
            } else {
                axes.push(Axis::parse(item, dims[axes.len()])?);
            }
        }
        while axes.len() < rank {
            axes.push(whole(axes.len()));
        }
        Self::of_axes(axes, ellipses == 0)
    }

    fn of_axes(axes: Vec<Axis>, may_be_scalar: bool) -> Result<Self, NotHere> {
        let lists = axes.iter().filter(|axis| matches!(axis.along, Along::List(_))).count();
        if lists > 1 {
            let why = "Only one indexing vector or array is currently allowed for fancy indexing";
            return Err(PyTypeError::new_err(why).into());
        }
        let whole_shape: Vec<u64> = axes.iter().map(|axis| axis.along.len()).collect();
        let shape: Vec<u64> = axes.iter().filter(|axis| !axis.is_number).map(|axis| axis.along.len()).collect();
        let numbers = axes.iter().map(|axis| axis.is_number).collect();
        let is_scalar = may_be_scalar && shape.is_empty();
        let elements = if lists == 0 {
            let slabs = axes.into_iter().map(|axis| match axis.along {
                Along::Slab(slab) => slab,
                Along::List(_) => Slab::range(0..0),
            });
            Elements::Library(Selection::Hyperslab(slabs.collect()))
        } else {
            Elements::Lists(axes.into_iter().map(|axis| axis.along).collect())
        };
        Ok(Self { elements, whole_shape, shape, numbers, is_scalar })
    }

    /// The elements for which `mask` is true.
    fn masked(mask: &Bound<'_, PyArrayDyn<bool>>, dims: &[u64]) -> Result<Self, NotHere> {
        if !mask.shape().iter().map(|dim| *dim as u64).eq(dims.iter().copied()) {
            return Err(PyTypeError::new_err("Boolean indexing array has incompatible shape").into());
        }
        let mask = Mask::new(dims.to_vec(), places(mask));
        let count = mask.len();
        Ok(Self {
            elements: Elements::Mask(mask),
            whole_shape: vec![count],
            shape: vec![count],
            numbers: vec![false],
            is_scalar: false,
        })
    }

    /// Elements selected.
    pub(crate) fn count(&self) -> u64 {
        self.whole_shape.iter().product()
    }
}

impl Axis {
    fn parse(item: &Bound<'_, PyAny>, dim: u64) -> Result<Self, NotHere> {
        if let Ok(slice) = item.cast::<PySlice>() {
            return Ok(Self { along: Along::Slab(slab(slice, dim)?), is_number: false });
        }
        if let Ok(number) = item.cast_exact::<PyInt>() {
            return Self::number(number.extract().map_err(|_| out_of_range(item, dim))?, item, dim);
        }
        let py = item.py();
        if let Ok(block) = item.getattr(pyo3::intern!(py, "_h5live_block")) {
            let (start, stride, count, block) = block.call1((dim,))?.extract()?;
            let slab = Slab { start, stride, count, block };
            return Ok(Self { along: Along::Slab(slab), is_number: false });
        }
        if item.cast::<pyo3::types::PyString>().is_ok() || item.cast::<pyo3::types::PyBytes>().is_ok() {
            return Err(NotHere::ForThePackage);
        }
        if item.cast::<PyUntypedArray>().is_ok_and(|array| array.ndim() > 0) || !item.hasattr("__index__")? {
            return Self::list(item, dim);
        }
        match item.call_method0(pyo3::intern!(py, "__index__")) {
            Ok(number) => Self::number(number.extract().map_err(|_| out_of_range(item, dim))?, item, dim),
            // Arrays of one element have the method, and refuse.
            Err(_) => Self::list(item, dim),
        }
    }

    fn number(number: i64, item: &Bound<'_, PyAny>, dim: u64) -> Result<Self, NotHere> {
        let at = if number < 0 { (dim as i64).checked_add(number) } else { Some(number) };
        match at.and_then(|at| u64::try_from(at).ok()).filter(|at| *at < dim) {
            Some(at) => Ok(Self { along: Along::Slab(Slab::range(at..at + 1)), is_number: true }),
            None => Err(out_of_range(item, dim).into()),
        }
    }

    fn list(item: &Bound<'_, PyAny>, dim: u64) -> Result<Self, NotHere> {
        let py = item.py();
        let numpy = py.import("numpy")?;
        let array = numpy.call_method1("asarray", (item,))?;
        let array = array.cast::<PyUntypedArray>()?;
        let kind: char = array.getattr("dtype")?.getattr("kind")?.extract()?;
        if array.ndim() != 1 {
            let what = if array.ndim() == 0 {
                format!("Selection {} is not understood", item.repr()?)
            } else {
                ONE_AXIS.to_owned()
            };
            return Err(PyTypeError::new_err(what).into());
        }
        let list: Vec<u64> = match kind {
            'b' => {
                if array.len() as u64 != dim {
                    return Err(PyTypeError::new_err("Boolean indexing array has incompatible shape").into());
                }
                places(array.cast::<PyArrayDyn<bool>>()?)
            }
            'i' | 'u' => {
                let wide = numpy.call_method1(pyo3::intern!(py, "asarray"), (array, "int64"))?;
                let wide = wide.cast::<PyArrayDyn<i64>>()?.readonly();
                let place = |at: &i64| {
                    let at = if *at < 0 { at + dim as i64 } else { *at };
                    u64::try_from(at).ok().filter(|at| *at < dim).ok_or_else(|| {
                        PyIndexError::new_err(format!("Fancy indexing out of range for (0-{})", dim.saturating_sub(1)))
                    })
                };
                wide.as_array().iter().map(place).collect::<PyResult<_>>()?
            }
            _ if array.is_empty() => Vec::new(),
            _ => return Err(PyTypeError::new_err("Indexing arrays must have integer dtypes").into()),
        };
        if list.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(PyTypeError::new_err("Indexing elements must be in increasing order").into());
        }
        Ok(Self { along: Along::List(list), is_number: false })
    }
}

/// The places, in row-major order, where a mask is true.
fn places(mask: &Bound<'_, PyArrayDyn<bool>>) -> Vec<u64> {
    let is_row_major = mask.is_c_contiguous();
    let mask = mask.readonly();
    match mask.as_slice() {
        Ok(mask) if is_row_major => chosen(mask),
        _ => chosen(&mask.as_array().iter().copied().collect::<Vec<bool>>()),
    }
}

/// The places where a mask is true.
fn chosen(mask: &[bool]) -> Vec<u64> {
    /// Entries that are passed over together if none is true: most masks choose few.
    const TOGETHER: usize = 32;
    let mut places = Vec::new();
    for (first, part) in (0..).step_by(TOGETHER).zip(mask.chunks(TOGETHER)) {
        if part.iter().fold(false, |any, chosen| any | chosen) {
            places.extend((first..).zip(part).filter(|(_, chosen)| **chosen).map(|(at, _): (u64, _)| at));
        }
    }
    places
}

const ONE_AXIS: &str = "Only 1D arrays allowed for fancy indexing";

fn slab(slice: &Bound<'_, PySlice>, dim: u64) -> PyResult<Slab> {
    let length = isize::try_from(dim).unwrap_or(isize::MAX);
    let step = slice.getattr(pyo3::intern!(slice.py(), "step"))?;
    if !step.is_none()
        && let Ok(step) = step.extract::<i64>()
        && step < 1
    {
        return Err(PyValueError::new_err(format!("Step must be >= 1 (got {step})")));
    }
    let indices = slice.indices(length)?;
    Ok(Slab {
        start: indices.start as u64,
        stride: indices.step.max(1) as u64,
        count: indices.slicelength as u64,
        block: 1,
    })
}

fn out_of_range(item: &Bound<'_, PyAny>, dim: u64) -> PyErr {
    match dim {
        0 => PyIndexError::new_err(format!("Index ({item}) out of range for empty dimension")),
        _ => PyIndexError::new_err(format!("Index ({item}) out of range for (0-{})", dim - 1)),
    }
}
