//! numpy arrays and what they are made of.

use bytemuck::Pod;
use numpy::{
    Element, PyArrayDescr, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyReadwriteArrayDyn,
    PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

use crate::datatype::NumpyType;

/// Attributes of the module `numpy`, looked up once.
macro_rules! numpy_attribute {
    ($name:ident, $attribute:literal) => {
        pub(crate) fn $name(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
            static FOUND: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            FOUND
                .get_or_try_init(py, || Ok(py.import("numpy")?.getattr($attribute)?.unbind()))
                .map(|found| found.bind(py))
        }
    };
}

numpy_attribute!(np_empty, "empty");
numpy_attribute!(np_ndarray, "ndarray");
numpy_attribute!(np_uint8, "uint8");

/// A new array of this shape, whose bytes `fill` sets.
pub(crate) fn filled<'py>(
    py: Python<'py>,
    shape: &[u64],
    numpy: &NumpyType,
    fill: impl FnOnce(&mut [u8]) -> PyResult<()>,
) -> PyResult<Bound<'py, PyAny>> {
    if let Some(number) = &numpy.number
        && number.is_few(shape)
    {
        return number.filled(py, shape, fill);
    }
    let array = empty(py, shape, numpy.dtype.bind(py))?;
    with_bytes_mut(&array, fill)?;
    Ok(array)
}

/// Calls `act` with the bytes of a C-contiguous array of the type `numpy`.
pub(crate) fn with_elements<T>(
    array: &Bound<'_, PyAny>,
    numpy: &NumpyType,
    act: impl FnOnce(&[u8]) -> PyResult<T>,
) -> PyResult<T> {
    match &numpy.number {
        Some(number) => number.with_elements(array, act),
        None => with_bytes(array, act),
    }
}

/// An array of this shape, for its elements to be written.
fn empty<'py>(py: Python<'py>, shape: &[u64], dtype: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match shape {
        [len] => np_empty(py)?.call1((*len, dtype)),
        _ => np_empty(py)?.call1((PyTuple::new(py, shape)?, dtype)),
    }
}

/// The bytes of a C-contiguous array with at least one axis and one element, without a copy.
fn byte_view<'py>(array: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyArrayDyn<u8>>> {
    let view = array.call_method1(pyo3::intern!(array.py(), "view"), (np_uint8(array.py())?,))?;
    Ok(view.cast_into::<PyArrayDyn<u8>>()?)
}

/// Calls `act` with the bytes of a C-contiguous array, which others neither see nor change meanwhile.
pub(crate) fn with_bytes_mut<T>(array: &Bound<'_, PyAny>, act: impl FnOnce(&mut [u8]) -> PyResult<T>) -> PyResult<T> {
    let array = match with_axes(array)? {
        Some(array) => array,
        None => return act(&mut []),
    };
    let mut bytes: PyReadwriteArrayDyn<'_, u8> =
        byte_view(&array)?.try_readwrite().map_err(|error| PyValueError::new_err(error.to_string()))?;
    act(bytes.as_slice_mut().map_err(not_contiguous)?)
}

/// Calls `act` with the bytes of a C-contiguous array.
pub(crate) fn with_bytes<T>(array: &Bound<'_, PyAny>, act: impl FnOnce(&[u8]) -> PyResult<T>) -> PyResult<T> {
    let array = match with_axes(array)? {
        Some(array) => array,
        None => return act(&[]),
    };
    let bytes: PyReadonlyArrayDyn<'_, u8> =
        byte_view(&array)?.try_readonly().map_err(|error| PyValueError::new_err(error.to_string()))?;
    act(bytes.as_slice().map_err(not_contiguous)?)
}

/// The array with at least one axis; `None` if it has no bytes.
fn with_axes<'py>(array: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = array.py();
    let known = array.cast::<PyUntypedArray>()?;
    if known.len() == 0 || known.dtype().itemsize() == 0 {
        return Ok(None);
    }
    if known.ndim() == 0 {
        return array.call_method1(pyo3::intern!(py, "reshape"), (1,)).map(Some);
    }
    Ok(Some(array.clone()))
}

fn not_contiguous(_: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err("the array is not C-contiguous")
}

/// A number type of the machine's own byte order, whose arrays are looked into without numpy's help.
pub(crate) struct Number {
    /// numpy's class for its elements.
    class: Py<PyAny>,
    kind: Kind,
    size: u64,
    /// Whether the type is just this, and tells nothing more, as those of enumerations do.
    is_bare: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
}

/// Evaluates an expression with a name for the type that a kind is.
macro_rules! of_kind {
    ($kind:expr, $number:ident => $act:expr) => {
        of_kind!(@each $kind, $number, $act, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, F32 f32, F64 f64)
    };
    (@each $kind:expr, $number:ident, $act:expr, $($name:ident $type:ty),*) => {
        match $kind {
            $(Kind::$name => {
                type $number = $type;
                $act
            })*
        }
    };
}

impl Number {
    /// The number type that a numpy type is; `None` for any other.
    pub(crate) fn of(dtype: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let dtype = dtype.cast::<PyArrayDescr>()?;
        let Some(kind) = Kind::of(dtype) else { return Ok(None) };
        let (class, size) = (dtype.typeobj().into_any().unbind(), dtype.itemsize() as u64);
        Ok(Some(Self { class, kind, size, is_bare: is_bare(dtype)? }))
    }

    /// The element of these bytes; `None` if there are not as many as it takes.
    fn scalar<'py>(&self, py: Python<'py>, bytes: &[u8]) -> Option<PyResult<Bound<'py, PyAny>>> {
        of_kind!(self.kind, T => {
            let number: T = bytemuck::try_pod_read_unaligned(bytes).ok()?;
            Some(self.class.bind(py).call1((number,)))
        })
    }

    /// Whether an array of this shape is small: then setting it to zeros at first costs less than asking numpy not to.
    fn is_few(&self, shape: &[u64]) -> bool {
        const FEW: u64 = 16 << 10;
        self.is_bare
            && shape.iter().try_fold(self.size, |bytes, dim| bytes.checked_mul(*dim)).is_some_and(|bytes| bytes <= FEW)
    }

    fn filled<'py>(
        &self,
        py: Python<'py>,
        shape: &[u64],
        fill: impl FnOnce(&mut [u8]) -> PyResult<()>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let shape: Vec<usize> = shape.iter().map(|dim| *dim as usize).collect();
        of_kind!(self.kind, T => {
            let array = PyArrayDyn::<T>::zeros(py, shape, false);
            fill(bytemuck::cast_slice_mut(array.readwrite().as_slice_mut().map_err(not_contiguous)?))?;
            Ok(array.into_any())
        })
    }

    fn with_elements<T>(&self, array: &Bound<'_, PyAny>, act: impl FnOnce(&[u8]) -> PyResult<T>) -> PyResult<T> {
        of_kind!(self.kind, Element => with_numbers::<Element, T>(array, act))
    }
}

impl Kind {
    fn of(dtype: &Bound<'_, PyArrayDescr>) -> Option<Self> {
        if dtype.is_native_byteorder() == Some(false) {
            return None;
        }
        Some(match (dtype.kind(), dtype.itemsize()) {
            (b'i', 1) => Self::I8,
            (b'i', 2) => Self::I16,
            (b'i', 4) => Self::I32,
            (b'i', 8) => Self::I64,
            (b'u', 1) => Self::U8,
            (b'u', 2) => Self::U16,
            (b'u', 4) => Self::U32,
            (b'u', 8) => Self::U64,
            (b'f', 4) => Self::F32,
            (b'f', 8) => Self::F64,
            _ => return None,
        })
    }
}

fn is_bare(dtype: &Bound<'_, PyArrayDescr>) -> PyResult<bool> {
    Ok(dtype.getattr(pyo3::intern!(dtype.py(), "metadata"))?.is_none())
}

/// Calls `act` with the datatype and the bytes of a C-contiguous array of numbers; `None` if it is none.
pub(crate) fn with_numbers_of<T>(
    array: &Bound<'_, PyUntypedArray>,
    act: impl FnOnce(h5live::Datatype, &[u8]) -> PyResult<T>,
) -> PyResult<Option<T>> {
    let dtype = array.dtype();
    match Kind::of(&dtype) {
        Some(kind) if array.is_c_contiguous() && is_bare(&dtype)? => of_kind!(kind, E => {
            with_numbers::<E, T>(array.as_any(), |bytes| act(<E as h5live::Element>::datatype(), bytes)).map(Some)
        }),
        _ => Ok(None),
    }
}

fn with_numbers<E: Element + Pod, T>(array: &Bound<'_, PyAny>, act: impl FnOnce(&[u8]) -> PyResult<T>) -> PyResult<T> {
    let array = array.cast::<PyArrayDyn<E>>()?;
    let numbers = array.try_readonly().map_err(|error| PyValueError::new_err(error.to_string()))?;
    act(bytemuck::cast_slice(numbers.as_slice().map_err(not_contiguous)?))
}

/// One element from its bytes, as numpy's scalar (or a `void` for compound types).
pub(crate) fn scalar<'py>(py: Python<'py>, bytes: &[u8], numpy: &NumpyType) -> PyResult<Bound<'py, PyAny>> {
    if let Some(element) = numpy.number.as_ref().and_then(|number| number.scalar(py, bytes)) {
        return element;
    }
    let dtype = numpy.dtype.bind(py);
    let buffer = pyo3::types::PyByteArray::new(py, bytes);
    let array = np_ndarray(py)?.call1((PyTuple::empty(py), dtype, buffer))?;
    array.get_item(PyTuple::empty(py))
}
