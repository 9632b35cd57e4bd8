//! Attributes: small named values of groups, datasets and committed datatypes.

use h5live_format::message::{Dataspace, Datatype, Name};

use crate::element::{Element, decode_all};
use crate::error::{Error, ErrorKind, Result};
use crate::file::File;
use crate::object::attributes::StoredAttribute;
use crate::value::{FileHeap, Value};

/// An attribute, as it was when it was looked up.
#[derive(Clone)]
pub struct Attribute {
    file: File,
    object: String,
    name: String,
    shape: Vec<u64>,
    stored: StoredAttribute,
}

impl Attribute {
    pub(crate) fn new(file: File, object: String, stored: StoredAttribute) -> Self {
        let name = stored.name.to_string_lossy().into_owned();
        Self { file, object, name, shape: stored.dataspace.dims().to_vec(), stored }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name as the file has it: there are names that are not UTF-8.
    #[must_use]
    pub fn raw_name(&self) -> &Name {
        &self.stored.name
    }

    /// Its type in the file.
    #[must_use]
    pub fn datatype(&self) -> &Datatype {
        &self.stored.datatype
    }

    /// The address of the committed datatype that is its type, if that is one.
    #[must_use]
    pub fn committed_datatype(&self) -> Option<u64> {
        self.stored.committed.map(|addr| addr.0)
    }

    /// The size of each dimension; none for a single value (and for none at all: [`Attribute::is_null`]).
    #[must_use]
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// Whether it has no value at all, only a type.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.stored.dataspace == Dataspace::Null
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stored.dataspace.element_count().map_or(0, |count| count as usize)
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its number in the order of creation, where the object keeps that.
    #[must_use]
    pub fn creation_order(&self) -> Option<u32> {
        self.stored.creation_order
    }

    /// The elements as the file stores them.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.stored.data
    }

    /// All elements, in row-major order, converted to `T`.
    ///
    /// # Errors
    /// [`ErrorKind::Type`] when the type cannot be converted, or heap data are damaged.
    pub fn read_vec<T: Element>(&self) -> Result<Vec<T>> {
        let heap = FileHeap(&self.file.inner);
        decode_all(&self.stored.data, &self.stored.datatype, &heap, self.len()).map_err(|error| self.locate(error))
    }

    /// All elements as an array of the attribute's shape.
    ///
    /// # Errors
    /// As [`Attribute::read_vec`].
    #[cfg(feature = "ndarray")]
    pub fn read<T: Element>(&self) -> Result<ndarray::ArrayD<T>> {
        let shape = if self.is_null() { vec![0] } else { self.shape.clone() };
        crate::dataset::array(self.read_vec()?, &shape).map_err(|error| self.locate(error))
    }

    /// The only element.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] when there is another number of elements; otherwise as [`Attribute::read_vec`].
    pub fn read_scalar<T: Element>(&self) -> Result<T> {
        let mut all = self.read_vec()?;
        match (all.pop(), all.len()) {
            (Some(only), 0) => Ok(only),
            _ => {
                let why = "a single value was asked for".to_owned();
                Err(self.locate(ErrorKind::Shape { given: self.shape.clone(), why }.into()))
            }
        }
    }

    /// All elements, in row-major order, as what they are.
    ///
    /// # Errors
    /// Heap data are damaged.
    pub fn read_values(&self) -> Result<Vec<Value>> {
        let heap = FileHeap(&self.file.inner);
        Value::decode_all(&self.stored.data, &self.stored.datatype, &heap).map_err(|error| self.locate(error))
    }

    /// The attribute as one value: an array where it has a shape, [`Value::Null`] where it has no value.
    ///
    /// # Errors
    /// As [`Attribute::read_values`].
    pub fn value(&self) -> Result<Value> {
        if self.is_null() {
            return Ok(Value::Null);
        }
        let mut values = self.read_values()?;
        Ok(match (self.shape.is_empty(), values.len()) {
            (true, 1) => values.remove(0),
            _ => Value::Array(values),
        })
    }

    fn locate(&self, error: Error) -> Error {
        self.file.inner.locate(error.at_object(&format!("{}@{}", self.object, self.name)))
    }
}

impl std::fmt::Debug for Attribute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attribute({:?}: {} {})", self.name, self.stored.datatype, self.stored.dataspace)
    }
}

/// What groups, datasets and committed datatypes have in common: a place, and attributes.
macro_rules! attribute_methods {
    ($object:ty) => {
        impl $object {
            /// The path by which the object was found.
            #[must_use]
            pub fn path(&self) -> &str {
                &self.path
            }

            /// The last part of the path.
            #[must_use]
            pub fn name(&self) -> &str {
                self.path.rsplit('/').next().unwrap_or(&self.path)
            }

            /// The file it is in.
            #[must_use]
            pub fn file(&self) -> &$crate::file::File {
                &self.file
            }

            /// The address of the object's header: the same for every path that leads to the object, other for any other
            /// object of the file.
            #[must_use]
            pub fn address(&self) -> u64 {
                self.addr().0
            }

            /// The attribute called `name`.
            ///
            /// # Errors
            /// There is none of that name, or something is damaged.
            pub fn attribute(&self, name: &str) -> $crate::error::Result<$crate::attribute::Attribute> {
                self.find_attribute(name)?.ok_or_else(|| {
                    let kind = $crate::error::ErrorKind::NotFound { what: "attribute", name: name.to_owned() };
                    self.locate($crate::error::Error::new(kind))
                })
            }

            /// The attribute called `name`, if there is one.
            ///
            /// # Errors
            /// Something is damaged.
            pub fn find_attribute(&self, name: &str) -> $crate::error::Result<Option<$crate::attribute::Attribute>> {
                let inner = &self.file.inner;
                let find = || {
                    self.file.complete_for_reading()?;
                    let header = inner.header(self.addr())?;
                    $crate::object::attributes::find(inner, &header, name.as_bytes())
                };
                let found = find().map_err(|error| self.locate(error))?;
                Ok(found.map(|found| $crate::attribute::Attribute::new(self.file.clone(), self.path.clone(), found)))
            }

            /// All attributes: in the order of creation where the object keeps that, otherwise by name.
            ///
            /// # Errors
            /// Something is damaged.
            pub fn attributes(&self) -> $crate::error::Result<Vec<$crate::attribute::Attribute>> {
                let inner = &self.file.inner;
                let list = || {
                    self.file.complete_for_reading()?;
                    let header = inner.header(self.addr())?;
                    $crate::object::attributes::all(inner, &header)
                };
                let new = |found| $crate::attribute::Attribute::new(self.file.clone(), self.path.clone(), found);
                Ok(list().map_err(|error| self.locate(error))?.into_iter().map(new).collect())
            }

            pub(crate) fn locate(&self, error: $crate::error::Error) -> $crate::error::Error {
                self.file.inner.locate(error.at_object(&self.path))
            }
        }

        impl std::fmt::Debug for $object {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($object)).field(&self.path).finish()
            }
        }
    };
}
pub(crate) use attribute_methods;
