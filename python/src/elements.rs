//! Elements whose data are in the global heap, between bytes and Python objects.

use std::borrow::Cow;

use h5live::{File, HeapRead};
use numpy::PyArray1;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyString};

use crate::datatype::Datatype;
use crate::errors::{Doing, OrRaise, raise};

/// How text is handed to Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextAs {
    Bytes,
    /// UTF-8; what is not comes as surrogates.
    Str,
}

/// Fetches the texts that `raw`, elements of a string type of variable length, refer to.
pub(crate) fn fetch_texts(file: &File, raw: &[u8], element_size: usize) -> h5live::Result<Vec<Vec<u8>>> {
    let heap = file.heap()?;
    let fetch = |element: &[u8]| {
        let mut text = heap.fetch(element, 1)?;
        if let Some(end) = text.iter().position(|byte| *byte == 0) {
            text.truncate(end);
        }
        Ok(text)
    };
    raw.chunks_exact(element_size.max(1)).map(fetch).collect()
}

/// One text as a Python object.
pub(crate) fn text<'py>(py: Python<'py>, bytes: &[u8], text_as: TextAs) -> PyResult<Bound<'py, PyAny>> {
    match (text_as, std::str::from_utf8(bytes)) {
        (TextAs::Bytes, _) => Ok(PyBytes::new(py, bytes).into_any()),
        (TextAs::Str, Ok(text)) => Ok(PyString::new(py, text).into_any()),
        (TextAs::Str, Err(_)) => PyBytes::new(py, bytes).call_method1("decode", ("utf-8", "surrogateescape")),
    }
}

/// Texts as an object array of one axis.
pub(crate) fn texts<'py>(py: Python<'py>, texts: &[Vec<u8>], text_as: TextAs) -> PyResult<Bound<'py, PyAny>> {
    let objects = texts.iter().map(|bytes| text(py, bytes, text_as).map(Bound::unbind));
    let objects = objects.collect::<PyResult<Vec<Py<PyAny>>>>()?;
    Ok(PyArray1::from_vec(py, objects).into_any())
}

/// The texts of `raw` (the elements' bytes), as an object array of one axis.
pub(crate) fn decode_texts<'py>(
    py: Python<'py>,
    file: &File,
    raw: &[u8],
    element_size: usize,
    text_as: TextAs,
) -> PyResult<Bound<'py, PyAny>> {
    let fetched = py.detach(|| fetch_texts(file, raw, element_size)).or_raise(Doing::Read)?;
    texts(py, &fetched, text_as)
}

/// What the sequences of `raw` hold: a `bytearray` for each.
pub(crate) fn fetch_sequences<'py>(
    py: Python<'py>,
    file: &File,
    datatype: &Datatype,
    raw: &[u8],
) -> PyResult<Vec<Bound<'py, PyByteArray>>> {
    let h5live::Datatype::VarLen(sequence) = &datatype.0 else {
        return Err(PyTypeError::new_err("only elements of variable length are kept in a heap"));
    };
    let unit = sequence.base.size() as usize;
    let size = (sequence.size as usize).max(1);
    let fetched = py.detach(|| -> h5live::Result<Vec<Vec<u8>>> {
        let heap = file.heap()?;
        raw.chunks_exact(size).map(|element| heap.fetch(element, unit)).collect()
    });
    Ok(fetched.or_raise(Doing::Read)?.iter().map(|data| PyByteArray::new(py, data)).collect())
}

/// Stores texts (`str`, which must be ASCII if `ascii` says so, `bytes`, or what `str()` makes of an object) and returns the elements that refer to them.
pub(crate) fn store_texts(py: Python<'_>, file: &File, objects: &[Bound<'_, PyAny>], ascii: bool) -> PyResult<Vec<u8>> {
    let texts = objects.iter().map(|object| text_bytes(object, ascii)).collect::<PyResult<Vec<Cow<'_, [u8]>>>>()?;
    let items: Vec<(&[u8], u32)> =
        texts.iter().map(|text| Ok((text.as_ref(), length(text.len())?))).collect::<PyResult<_>>()?;
    py.detach(|| file.store_variable_length(items)).map_err(|error| raise(Doing::Write, &error))
}

/// Stores sequences, each the bytes of elements of `unit` bytes, and returns the elements that refer to them.
pub(crate) fn store_sequences(py: Python<'_>, file: &File, sequences: &[Vec<u8>], unit: usize) -> PyResult<Vec<u8>> {
    let items = sequences.iter().map(|data| Ok((data.as_slice(), length(data.len() / unit.max(1))?)));
    let items = items.collect::<PyResult<Vec<(&[u8], u32)>>>()?;
    py.detach(|| file.store_variable_length(items)).map_err(|error| raise(Doing::Write, &error))
}

fn length(length: usize) -> PyResult<u32> {
    u32::try_from(length).map_err(|_| PyValueError::new_err("an element of variable length has more than 2^32 parts"))
}

/// The bytes of a text.
fn text_bytes<'a>(object: &'a Bound<'_, PyAny>, ascii: bool) -> PyResult<Cow<'a, [u8]>> {
    let bytes: Cow<'a, [u8]> = if let Ok(bytes) = object.cast::<PyBytes>() {
        Cow::Borrowed(bytes.as_bytes())
    } else if let Ok(text) = object.cast::<PyString>() {
        let bytes = encoded(text)?;
        if ascii && !bytes.is_ascii() {
            // For the exception that says which character it is.
            text.call_method1("encode", ("ascii",))?;
        }
        Cow::Owned(bytes)
    } else if object.is_none() {
        Cow::Borrowed(&[])
    } else {
        Cow::Owned(encoded(&object.str()?)?)
    };
    if bytes.contains(&0) {
        return Err(PyValueError::new_err("VLEN strings do not support embedded NULLs"));
    }
    Ok(bytes)
}

fn encoded(text: &Bound<'_, PyString>) -> PyResult<Vec<u8>> {
    match text.to_cow() {
        Ok(text) => Ok(text.into_owned().into_bytes()),
        // Surrogates stand for bytes that are not UTF-8.
        Err(_) => text.call_method1("encode", ("utf-8", "surrogateescape"))?.extract(),
    }
}

/// An array of objects given another shape and type of the same size.
pub(crate) fn shaped<'py>(
    array: &Bound<'py, PyAny>,
    dtype: &Bound<'py, PyAny>,
    shape: &[u64],
) -> PyResult<Bound<'py, PyAny>> {
    let py = array.py();
    let array = array.call_method1(pyo3::intern!(py, "view"), (dtype,))?;
    match shape {
        [_] => Ok(array),
        _ => array.call_method1(pyo3::intern!(py, "reshape"), (pyo3::types::PyTuple::new(py, shape)?,)),
    }
}

/// Bytes as an array of one axis, which owns them.
pub(crate) fn byte_array(py: Python<'_>, bytes: Vec<u8>) -> Bound<'_, PyAny> {
    PyArray1::from_vec(py, bytes).into_any()
}
