//! numpy arrays and what they are made of.

use numpy::{
    PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyReadwriteArrayDyn, PyUntypedArray,
    PyUntypedArrayMethods,
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

/// An array of this shape, for its elements to be written.
pub(crate) fn empty<'py>(py: Python<'py>, shape: &[u64], dtype: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
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

/// A number type of the machine's own byte order, with numpy's class for its elements.
pub(crate) struct Number {
    class: Py<PyAny>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Signed,
    Unsigned,
    Float,
}

impl Number {
    /// The number type that a numpy type is; `None` for any other.
    pub(crate) fn of(dtype: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let (kind, size): (char, usize) = (dtype.getattr("kind")?.extract()?, dtype.getattr("itemsize")?.extract()?);
        let kind = match (kind, size) {
            ('i', 1 | 2 | 4 | 8) => Kind::Signed,
            ('u', 1 | 2 | 4 | 8) => Kind::Unsigned,
            ('f', 4 | 8) => Kind::Float,
            _ => return Ok(None),
        };
        if !dtype.getattr("isnative")?.is_truthy()? {
            return Ok(None);
        }
        Ok(Some(Self { class: dtype.getattr("type")?.unbind(), kind }))
    }

    /// The element of these bytes; `None` if there are not as many as it takes.
    fn scalar<'py>(&self, py: Python<'py>, bytes: &[u8]) -> Option<PyResult<Bound<'py, PyAny>>> {
        let class = self.class.bind(py);
        Some(match (self.kind, bytes.len()) {
            (Kind::Signed, 1) => class.call1((i8::from_ne_bytes(bytes.try_into().ok()?),)),
            (Kind::Signed, 2) => class.call1((i16::from_ne_bytes(bytes.try_into().ok()?),)),
            (Kind::Signed, 4) => class.call1((i32::from_ne_bytes(bytes.try_into().ok()?),)),
            (Kind::Signed, 8) => class.call1((i64::from_ne_bytes(bytes.try_into().ok()?),)),
            (Kind::Unsigned, 1) => class.call1((u8::from_ne_bytes(bytes.try_into().ok()?),)),
            (Kind::Unsigned, 2) => class.call1((u16::from_ne_bytes(bytes.try_into().ok()?),)),
            (Kind::Unsigned, 4) => class.call1((u32::from_ne_bytes(bytes.try_into().ok()?),)),
            (Kind::Unsigned, 8) => class.call1((u64::from_ne_bytes(bytes.try_into().ok()?),)),
            (Kind::Float, 4) => class.call1((f32::from_ne_bytes(bytes.try_into().ok()?),)),
            (Kind::Float, 8) => class.call1((f64::from_ne_bytes(bytes.try_into().ok()?),)),
            _ => return None,
        })
    }
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
