//! Reading elements: what a program asks for, in the type that it asks for.

use std::sync::Arc;

use super::{Dataset, View, read};
use crate::element::{Element, blank, mismatch};
use crate::error::{Error, ErrorKind, Result};
use crate::selection::{IntoSelection, Selection, elements};
use crate::value::{FileHeap, Value};

impl Dataset {
    /// The selected elements, in row-major order, converted to `T`.
    ///
    /// # Errors
    /// [`ErrorKind::Type`] when the type cannot be converted, [`ErrorKind::Selection`] when the selection reaches outside the
    /// extent; [`ErrorKind::Filter`] or another error when the data are damaged.
    pub fn read_vec<T: Element>(&self, selection: impl IntoSelection) -> Result<Vec<T>> {
        self.read_shaped(selection).map(|(elements, _)| elements)
    }

    /// The selected elements as an array: of an axis for each of the dataset's, or of one for a list of points.
    ///
    /// # Errors
    /// As [`Dataset::read_vec`].
    #[cfg(feature = "ndarray")]
    pub fn read<T: Element>(&self, selection: impl IntoSelection) -> Result<ndarray::ArrayD<T>> {
        let (elements, shape) = self.read_shaped(selection)?;
        array(elements, &shape).map_err(|error| self.locate(error))
    }

    /// Like [`Dataset::read`], as an array of known rank.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] when the rank is another one; otherwise as [`Dataset::read_vec`].
    #[cfg(feature = "ndarray")]
    pub fn read_as<T: Element, D: ndarray::Dimension>(
        &self,
        selection: impl IntoSelection,
    ) -> Result<ndarray::Array<T, D>> {
        let array = self.read::<T>(selection)?;
        let given = array.shape().iter().map(|dim| *dim as u64).collect();
        array.into_dimensionality().map_err(|_| {
            let why = format!("an array of {} axes was asked for", D::NDIM.unwrap_or_default());
            self.locate(ErrorKind::Shape { given, why }.into())
        })
    }

    /// Reads the selected elements into `out`, in row-major order. Where the file's type is `T`, straight into it; otherwise piece by
    /// piece, of 4 MiB or a chunk for each core.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] when `out` has another number of elements than is selected; otherwise as [`Dataset::read_vec`].
    pub fn read_into<T: Element>(&self, selection: impl IntoSelection, out: &mut [T]) -> Result<()> {
        let read = || {
            let wanted = self.want(selection)?;
            wanted.check_len(out.len())?;
            self.check_type::<T>()?;
            self.fetch(&wanted, out)
        };
        read().map_err(|error| self.locate(error))
    }

    /// The only element.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] when there is another number of elements; otherwise as [`Dataset::read_vec`].
    pub fn read_scalar<T: Element>(&self) -> Result<T> {
        let shape = self.shape();
        let mut all = if self.len() == 1 { self.read_vec::<T>(..)? } else { Vec::new() };
        all.pop().ok_or_else(|| {
            self.locate(ErrorKind::Shape { given: shape, why: "a single element was asked for".to_owned() }.into())
        })
    }

    /// The selected elements as the file stores them, after filters.
    ///
    /// # Errors
    /// As [`Dataset::read_vec`], but for types.
    pub fn read_raw(&self, selection: impl IntoSelection) -> Result<Vec<u8>> {
        let read = || {
            let wanted = self.want(selection)?;
            let mut out = blank::<u8>(wanted.bytes)?;
            self.fetch_raw(&wanted, &mut out)?;
            Ok(out)
        };
        read().map_err(|error| self.locate(error))
    }

    /// Like [`Dataset::read_raw`], into the caller's buffer.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] when `out` has another number of bytes than is selected; otherwise as [`Dataset::read_raw`].
    pub fn read_raw_into(&self, selection: impl IntoSelection, out: &mut [u8]) -> Result<()> {
        let read = || {
            let wanted = self.want(selection)?;
            if wanted.bytes != out.len() {
                let why = format!("{} bytes are selected", wanted.bytes);
                return Err(ErrorKind::Shape { given: vec![out.len() as u64], why }.into());
            }
            self.fetch_raw(&wanted, out)
        };
        read().map_err(|error| self.locate(error))
    }

    /// The selected elements, in row-major order, as what they are.
    ///
    /// # Errors
    /// As [`Dataset::read_vec`], but for types.
    pub fn read_values(&self, selection: impl IntoSelection) -> Result<Vec<Value>> {
        let raw = self.read_raw(selection)?;
        let heap = FileHeap(&self.file.inner);
        Value::decode_all(&raw, &self.shared.meta.datatype, &heap).map_err(|error| self.locate(error))
    }

    /// The shape of what `selection` selects now.
    ///
    /// # Errors
    /// [`ErrorKind::Selection`] when it reaches outside the extent.
    pub fn selected_shape(&self, selection: impl IntoSelection) -> Result<Vec<u64>> {
        self.want(selection).map(|wanted| wanted.shape).map_err(|error| self.locate(error))
    }

    fn read_shaped<T: Element>(&self, selection: impl IntoSelection) -> Result<(Vec<T>, Vec<u64>)> {
        let read = || {
            let wanted = self.want(selection)?;
            self.check_type::<T>()?;
            let mut out = blank(wanted.count)?;
            self.fetch(&wanted, &mut out)?;
            Ok((out, wanted.shape))
        };
        read().map_err(|error| self.locate(error))
    }

    fn check_type<T: Element>(&self) -> Result<()> {
        let datatype = &self.shared.meta.datatype;
        if T::reads(datatype) { Ok(()) } else { Err(mismatch::<T>(datatype)) }
    }

    /// What a selection means now.
    fn want(&self, selection: impl IntoSelection) -> Result<Wanted> {
        self.complete_for_reading()?;
        let view = self.shared.view();
        let selection = selection.into_selection(&view.dims);
        let mut shape = selection.shape(&view.dims)?;
        if self.is_null() && shape.is_empty() {
            shape = vec![0];
        }
        let size = self.shared.meta.element_size;
        let count = elements(&shape).and_then(|count| usize::try_from(count).ok());
        let bytes = count.and_then(|count| count.checked_mul(size)).filter(|bytes| *bytes <= isize::MAX as usize);
        let (Some(count), Some(bytes)) = (count, bytes) else {
            return Err(Error::unsupported("reading more than memory can hold"));
        };
        view.check_room(&self.file.inner, &selection, bytes)?;
        Ok(Wanted { view, selection, shape, count, bytes })
    }

    fn fetch<T: Element>(&self, wanted: &Wanted, out: &mut [T]) -> Result<()> {
        let datatype = &self.shared.meta.datatype;
        match T::as_bytes_mut(out, datatype) {
            Some(bytes) => self.fetch_raw(wanted, bytes),
            None => read::read_converted(&self.file.inner, &self.shared.meta, &wanted.view, &wanted.selection, out),
        }
    }

    fn fetch_raw(&self, wanted: &Wanted, out: &mut [u8]) -> Result<()> {
        if wanted.count == 0 {
            return Ok(());
        }
        read::read(&self.file.inner, &self.shared.meta, &wanted.view, &wanted.selection, out)
    }
}

/// A selection of a view, measured.
struct Wanted {
    view: Arc<View>,
    selection: Selection,
    shape: Vec<u64>,
    /// Elements.
    count: usize,
    bytes: usize,
}

impl Wanted {
    fn check_len(&self, len: usize) -> Result<()> {
        if self.count == len {
            return Ok(());
        }
        let why = format!("{} elements are selected, of shape {:?}", self.count, self.shape);
        Err(ErrorKind::Shape { given: vec![len as u64], why }.into())
    }
}

/// The elements as an array of this shape.
#[cfg(feature = "ndarray")]
pub(crate) fn array<T>(elements: Vec<T>, shape: &[u64]) -> Result<ndarray::ArrayD<T>> {
    let dims: Vec<usize> = shape.iter().map(|dim| *dim as usize).collect();
    ndarray::ArrayD::from_shape_vec(dims, elements)
        .map_err(|error| ErrorKind::Shape { given: shape.to_vec(), why: error.to_string() }.into())
}
