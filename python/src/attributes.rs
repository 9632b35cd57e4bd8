//! The attributes of an object.

use std::sync::Arc;

use h5live::{Attribute, Element, ErrorKind, Object};
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::datatype::{Datatype, Form, NumpyType};
use crate::elements::{self, TextAs};
use crate::errors::{Doing, OrRaise};
use crate::handle::Handle;
use crate::memory;

/// Calls a method that groups, datasets and committed datatypes all have.
macro_rules! on_object {
    ($object:expr, $owner:ident => $call:expr) => {
        match $object {
            Object::Group($owner) => $call,
            Object::Dataset($owner) => $call,
            Object::Datatype($owner) => $call,
        }
    };
}

/// The attributes of an object; closed when it is, being of its identifier.
#[pyclass(frozen, module = "h5live._h5live")]
pub(crate) struct Attributes {
    handle: Arc<Handle>,
    object: Object,
}

impl Attributes {
    pub(crate) fn new(handle: Arc<Handle>, object: Object) -> Self {
        Self { handle, object }
    }

    fn find(&self, py: Python<'_>, name: &str, doing: Doing) -> PyResult<Option<Attribute>> {
        self.handle.check(doing)?;
        py.detach(|| on_object!(&self.object, owner => owner.find_attribute(name))).or_raise(Doing::OpenAttribute)
    }

    fn all(&self, py: Python<'_>) -> PyResult<Vec<Attribute>> {
        self.handle.check(Doing::Look)?;
        py.detach(|| self.object.attributes()).or_raise(Doing::OpenAttribute)
    }

    fn store(
        &self,
        py: Python<'_>,
        name: &str,
        datatype: &h5live::Datatype,
        shape: Option<&[u64]>,
        raw: &[u8],
    ) -> PyResult<()> {
        py.detach(|| on_object!(&self.object, owner => owner.set_attribute_raw(name, datatype, shape, raw)))
            .or_raise(Doing::CreateAttribute)
    }

    fn refuse_reader(&self, doing: Doing) -> PyResult<()> {
        self.handle.check(match doing {
            Doing::CreateAttribute => Doing::FindAttribute,
            _ => doing,
        })?;
        if self.handle.writable { Ok(()) } else { Err(crate::errors::raise(doing, &ErrorKind::ReadOnly.into())) }
    }
}

#[pymethods]
impl Attributes {
    /// The same attributes, which stay open when the object is closed.
    fn by_itself(&self) -> Self {
        Self { handle: self.handle.another(), object: self.object.clone() }
    }

    #[getter]
    fn is_open(&self) -> bool {
        self.handle.is_open()
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.handle.close()).or_raise(Doing::Flush).map(drop)
    }

    /// Of the object.
    #[getter]
    fn address(&self) -> u64 {
        self.object.address()
    }

    #[getter]
    fn file(&self) -> crate::file::File {
        crate::file::File { handle: self.handle.another() }
    }

    /// The value of an attribute; `None` if it needs converting in Python. `KeyError` if there is none.
    fn value<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = self.find(py, name, Doing::OpenAttribute)?.ok_or_else(|| missing(name))?;
        if found.is_null() {
            return Ok(None);
        }
        let numpy = NumpyType::of(py, found.datatype())?;
        let dtype = numpy.dtype.bind(py);
        match numpy.form {
            Form::Plain if found.shape().is_empty() => memory::scalar(py, found.raw(), &numpy).map(Some),
            Form::Plain => memory::filled(py, found.shape(), &numpy, |bytes| {
                if bytes.len() == found.raw().len() {
                    bytes.copy_from_slice(found.raw());
                }
                Ok(())
            })
            .map(Some),
            Form::Text => {
                let file = &self.handle.opened.file;
                let size = found.datatype().size() as usize;
                if found.shape().is_empty() {
                    let texts = elements::fetch_texts(file, found.raw(), size).or_raise(Doing::Read)?;
                    let only = texts.first().map_or(&[][..], Vec::as_slice);
                    return elements::text(py, only, TextAs::Str).map(Some);
                }
                let array = elements::decode_texts(py, file, found.raw(), size, TextAs::Str)?;
                elements::shaped(&array, dtype, found.shape()).map(Some)
            }
            Form::Converted => Ok(None),
        }
    }

    /// An attribute as it is stored: its datatype, its shape (`None`: null), its bytes, its committed type's address, its number.
    fn open<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyTuple>> {
        let found = self.find(py, name, Doing::OpenAttribute)?.ok_or_else(|| missing(name))?;
        let shape = if found.is_null() { None } else { Some(PyTuple::new(py, found.shape())?) };
        let datatype = Datatype(found.datatype().clone());
        let raw = elements::byte_array(py, found.raw().to_vec());
        (datatype, shape, raw, found.committed_datatype(), found.creation_order()).into_pyobject(py)
    }

    /// Creates or replaces an attribute; `shape` is `None` for a null dataspace, `raw` the elements' bytes.
    #[pyo3(signature = (name, datatype, shape, raw))]
    fn set(
        &self,
        py: Python<'_>,
        name: &str,
        datatype: &Bound<'_, Datatype>,
        shape: Option<Vec<u64>>,
        raw: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.refuse_reader(Doing::CreateAttribute)?;
        memory::with_bytes(raw, |raw| self.store(py, name, &datatype.get().0, shape.as_deref(), raw))
    }

    /// As `set`, of the datatype that is committed at `address`.
    fn set_committed(
        &self,
        py: Python<'_>,
        name: &str,
        address: u64,
        shape: Option<Vec<u64>>,
        raw: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.refuse_reader(Doing::CreateAttribute)?;
        let object = self.handle.opened.file.object_at(address).or_raise(Doing::CreateAttribute)?;
        let Object::Datatype(datatype) = object else {
            return Err(PyTypeError::new_err("the object is no committed datatype"));
        };
        let shape = shape.as_deref();
        memory::with_bytes(raw, |raw| {
            py.detach(|| on_object!(&self.object, owner => owner.set_attribute_committed(name, &datatype, shape, raw)))
                .or_raise(Doing::CreateAttribute)
        })
    }

    /// Creates or replaces an attribute by a number, a text or an array of numbers; `False` if what to make of `value` is for the
    /// package to say.
    fn set_value(&self, py: Python<'_>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.refuse_reader(Doing::CreateAttribute)?;
        if let Ok(number) = value.cast_exact::<PyFloat>() {
            self.store(py, name, &f64::datatype(), Some(&[]), &number.value().to_ne_bytes())?;
        } else if let Ok(number) = value.cast_exact::<PyInt>() {
            let Ok(number) = number.extract::<i64>() else { return Ok(false) };
            self.store(py, name, &i64::datatype(), Some(&[]), &number.to_ne_bytes())?;
        } else if value.is_exact_instance_of::<PyString>() {
            let text = elements::store_texts(py, &self.handle.opened.file, std::slice::from_ref(value), false)?;
            self.store(py, name, &String::datatype(), Some(&[]), &text)?;
        } else if let Ok(array) = value.cast_exact::<PyUntypedArray>() {
            let shape: Vec<u64> = array.shape().iter().map(|dim| *dim as u64).collect();
            let stored =
                memory::with_numbers_of(array, |datatype, raw| self.store(py, name, &datatype, Some(&shape), raw));
            return stored.map(|stored| stored.is_some());
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn delete(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.refuse_reader(Doing::DeleteAttribute)?;
        py.detach(|| on_object!(&self.object, owner => owner.delete_attribute(name))).or_raise(Doing::DeleteAttribute)
    }

    fn rename(&self, py: Python<'_>, name: &str, new_name: &str) -> PyResult<()> {
        self.refuse_reader(Doing::RenameAttribute)?;
        py.detach(|| on_object!(&self.object, owner => owner.rename_attribute(name, new_name)))
            .or_raise(Doing::CreateAttribute)
    }

    /// Names, by creation where the object keeps that, else sorted.
    fn names<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let all = self.all(py)?;
        PyList::new(py, all.iter().map(Attribute::name))
    }

    fn __contains__(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        Ok(self.find(py, name, Doing::FindAttribute)?.is_some())
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.all(py)?.len())
    }
}

fn missing(name: &str) -> PyErr {
    pyo3::exceptions::PyKeyError::new_err(format!(
        "Unable to synchronously open attribute (can't locate attribute: '{name}')"
    ))
}
