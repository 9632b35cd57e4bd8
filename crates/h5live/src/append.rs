//! Writing elements: appending, overwriting, resizing, storing filtered chunks.

use h5live_format::message::Datatype;

use crate::dataset::Dataset;
use crate::element::{Element, HeapWrite};
use crate::error::{Error, Result};
use crate::live::session::Session;
use crate::live::writer::Writer;
use crate::object::global_heap_edit::HeapWriter;
use crate::selection::{IntoSelection, Selection};
use crate::value::Value;

/// Elements to be written: a slice, a vector, an array.
///
/// What has a shape of its own (an `ndarray` array) may be of any memory order.
pub trait Elements<T> {
    /// Calls `take` with all elements in row-major order.
    fn with<R>(&self, take: impl FnOnce(&[T]) -> R) -> R;
}

impl<T> Elements<T> for [T] {
    fn with<R>(&self, take: impl FnOnce(&[T]) -> R) -> R {
        take(self)
    }
}

impl<T> Elements<T> for Vec<T> {
    fn with<R>(&self, take: impl FnOnce(&[T]) -> R) -> R {
        take(self)
    }
}

impl<T, const N: usize> Elements<T> for [T; N] {
    fn with<R>(&self, take: impl FnOnce(&[T]) -> R) -> R {
        take(self)
    }
}

#[cfg(feature = "ndarray")]
impl<T, S, D> Elements<T> for ndarray::ArrayBase<S, D>
where
    T: Clone,
    S: ndarray::Data<Elem = T>,
    D: ndarray::Dimension,
{
    fn with<R>(&self, take: impl FnOnce(&[T]) -> R) -> R {
        match self.as_slice() {
            Some(elements) => take(elements),
            None => take(&self.iter().cloned().collect::<Vec<_>>()),
        }
    }
}

impl Dataset {
    /// Adds whole rows at the end of the first axis. They are seen with the next publication.
    ///
    /// # Errors
    /// The file is open for reading, the axis cannot grow so far, the elements are no whole number of rows, or their type
    /// does not fit the dataset's.
    pub fn append<T: Element>(&self, rows: &(impl Elements<T> + ?Sized)) -> Result<()> {
        self.append_along(0, rows)
    }

    /// Adds elements at the end of another axis: as many as give it a whole number of new places.
    ///
    /// # Errors
    /// As [`Dataset::append`].
    pub fn append_along<T: Element>(&self, axis: usize, rows: &(impl Elements<T> + ?Sized)) -> Result<()> {
        self.changing(|session| {
            rows.with(|rows| {
                with_bytes(session, self.datatype(), rows, |session, bytes| {
                    let (dataset, writer) = session.changing(self.addr())?;
                    dataset.append(writer, axis, bytes)
                })
            })
        })
    }

    /// Adds rows given as the bytes of elements of the dataset's own type.
    ///
    /// # Errors
    /// As [`Dataset::append`].
    pub fn append_raw(&self, bytes: &[u8]) -> Result<()> {
        self.changing(|session| {
            let (dataset, writer) = session.changing(self.addr())?;
            dataset.append(writer, 0, bytes)
        })
    }

    /// Overwrites selected elements with `elements`, in row-major order of the selection.
    ///
    /// Unlike appended rows, what is overwritten may be seen by readers before it is published.
    ///
    /// # Errors
    /// The file is open for reading, the selection reaches outside the extent, or number or type of the elements do not fit.
    pub fn write<T: Element>(
        &self,
        selection: impl IntoSelection,
        elements: &(impl Elements<T> + ?Sized),
    ) -> Result<()> {
        let selection = selection.into_selection(&self.shape());
        self.changing(|session| {
            elements.with(|elements| {
                with_bytes(session, self.datatype(), elements, |session, bytes| {
                    self.overwrite(session, &selection, bytes)
                })
            })
        })
    }

    /// As [`Dataset::append`], of elements of any type.
    ///
    /// # Errors
    /// As [`Dataset::append`].
    pub fn append_values(&self, rows: &[Value]) -> Result<()> {
        self.changing(|session| {
            let bytes = encoded(session, self.datatype(), rows)?;
            let (dataset, writer) = session.changing(self.addr())?;
            dataset.append(writer, 0, &bytes)
        })
    }

    /// As [`Dataset::write`], of elements of any type.
    ///
    /// # Errors
    /// As [`Dataset::write`].
    pub fn write_values(&self, selection: impl IntoSelection, values: &[Value]) -> Result<()> {
        let selection = selection.into_selection(&self.shape());
        self.changing(|session| {
            let bytes = encoded(session, self.datatype(), values)?;
            self.overwrite(session, &selection, &bytes)
        })
    }

    /// Overwrites elements with their bytes in the file, after the heap data that they refer to.
    fn overwrite(&self, session: &mut Session, selection: &Selection, bytes: &[u8]) -> Result<()> {
        if self.datatype().uses_global_heap() {
            // Elements inside the extent are seen at once, and so must be what they refer to.
            let Session { heap, writer, .. } = session;
            heap.settle(writer)?;
            writer.flush_fresh()?;
        }
        if self.write_external(selection, bytes)? {
            return Ok(());
        }
        let (dataset, writer) = session.changing(self.addr())?;
        dataset.write(writer, selection, bytes)
    }

    /// Overwrites selected elements with the bytes of elements of the dataset's own type.
    ///
    /// # Errors
    /// As [`Dataset::write`].
    pub fn write_raw(&self, selection: impl IntoSelection, bytes: &[u8]) -> Result<()> {
        let selection = selection.into_selection(&self.shape());
        self.changing(|session| self.overwrite(session, &selection, bytes))
    }

    /// Writes the only element of a scalar dataset.
    ///
    /// # Errors
    /// As [`Dataset::write`].
    pub fn write_scalar<T: Element>(&self, value: &T) -> Result<()> {
        self.write(.., std::slice::from_ref(value))
    }

    /// Changes the extent, within the maximum the dataset was created with. What is new reads as the fill value; what is
    /// left outside is lost once published.
    ///
    /// # Errors
    /// The file is open for reading, the number of axes differs, or an axis cannot be as large.
    pub fn resize(&self, shape: impl IntoIterator<Item = u64>) -> Result<()> {
        let dims: Vec<u64> = shape.into_iter().collect();
        self.changing(|session| {
            let (dataset, writer) = session.changing(self.addr())?;
            dataset.resize(writer, &dims)
        })
    }

    /// Stores a chunk as it is: already filtered, bit n of `filter_mask` set where filter n was skipped. `offset` is that of
    /// the chunk's first element, inside the extent.
    ///
    /// # Errors
    /// The file is open for reading, the dataset is not chunked, or no chunk starts there.
    pub fn write_chunk(&self, offset: &[u64], filter_mask: u32, bytes: &[u8]) -> Result<()> {
        self.changing(|session| {
            let (dataset, writer) = session.changing(self.addr())?;
            dataset.write_chunk(writer, offset, filter_mask, bytes)
        })
    }

    fn changing<T>(&self, act: impl FnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let act = || {
            let mut session = self.file().session()?;
            let first = session.dataset(self.addr()).is_none();
            let done = act(&mut session)?;
            if let Some(dataset) = session.dataset(self.addr()) {
                if first {
                    // It may have been given another form, in which it can change while readers look.
                    self.shared.look_again(&self.file().inner)?;
                }
                self.shared.written(dataset.dims());
            }
            Ok(done)
        };
        act().map_err(|error: Error| self.file().inner.locate(error.at_object(self.path())))
    }
}

/// Calls `act` with the elements as they are in the file.
fn with_bytes<T: Element, R>(
    session: &mut Session,
    stored: &Datatype,
    elements: &[T],
    act: impl FnOnce(&mut Session, &[u8]) -> Result<R>,
) -> Result<R> {
    if let Some(bytes) = T::as_bytes(elements, stored) {
        return act(session, bytes);
    }
    let mut bytes = Vec::new();
    let Session { heap, writer, .. } = &mut *session;
    T::encode(elements, stored, &mut LiveHeap { heap, writer }, &mut bytes)?;
    act(session, &bytes)
}

/// The values as they are in the file.
fn encoded(session: &mut Session, stored: &Datatype, values: &[Value]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let Session { heap, writer, .. } = session;
    Value::encode_all(values, stored, &mut LiveHeap { heap, writer }, &mut bytes)?;
    Ok(bytes)
}

/// Takes variable-length data into the collections of the publication under way.
pub(crate) struct LiveHeap<'a> {
    pub(crate) heap: &'a mut HeapWriter,
    pub(crate) writer: &'a mut Writer,
}

impl HeapWrite for LiveHeap<'_> {
    fn store(&mut self, data: &[u8], length: u32, element: &mut Vec<u8>) -> Result<()> {
        self.heap.add(self.writer, length, data)?.encode(element, self.writer.widths());
        Ok(())
    }
}
