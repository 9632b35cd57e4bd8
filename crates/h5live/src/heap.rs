//! The global heap, for programs that lay out elements of variable length themselves.

use h5live_format::selection::Selection as RegionSelection;
use h5live_format::{Addr, Put};

use crate::element::HeapRead;
use crate::error::{Error, Result};
use crate::file::File;
use crate::live::session::Session;
use crate::value::{FileHeap, Reference};

/// The global heap of a file: what elements of variable length and region references lead to. Made by [`File::heap`].
#[derive(Debug, Clone)]
pub struct Heap {
    file: File,
}

impl HeapRead for Heap {
    fn fetch(&self, reference: &[u8], unit: usize) -> Result<Vec<u8>> {
        FileHeap(&self.file.inner).fetch(reference, unit).map_err(|error| self.file.inner.locate(error))
    }

    fn region(&self, reference: &[u8]) -> Result<Reference> {
        FileHeap(&self.file.inner).region(reference).map_err(|error| self.file.inner.locate(error))
    }
}

impl File {
    /// What elements of variable length refer to, in a file open for reading or writing: for
    /// [`Element::decode`](crate::Element::decode) and [`Value::decode`](crate::Value::decode) of bytes that were read as they are.
    ///
    /// # Errors
    /// The file is closed.
    pub fn heap(&self) -> Result<Heap> {
        self.complete_for_reading()?;
        Ok(Heap { file: self.clone() })
    }

    /// Stores data of variable length, each with its length in elements, and returns what stands for them in elements of
    /// such a type, one after the other: for [`Dataset::write_raw`](crate::Dataset::write_raw) and its like. What is never
    /// written takes space in the file and does no other harm.
    ///
    /// # Errors
    /// The file is open for reading, or the heap has no room.
    pub fn store_variable_length<'a>(&self, items: impl IntoIterator<Item = (&'a [u8], u32)>) -> Result<Vec<u8>> {
        let store = || {
            let mut session = self.session()?;
            let Session { heap, writer, .. } = &mut *session;
            let mut elements = Vec::new();
            for (data, length) in items {
                heap.add(writer, length, data)?.encode(&mut elements, writer.widths());
            }
            Ok(elements)
        };
        store().map_err(|error: Error| self.inner.locate(error))
    }

    /// A region reference, as an element of [`Datatype::region_reference`](crate::Datatype::region_reference), to elements
    /// of the dataset at address `dataset`.
    ///
    /// # Errors
    /// The file is open for reading, the selection cannot be stored, or the heap has no room.
    pub fn store_region(&self, dataset: u64, selection: &RegionSelection) -> Result<Vec<u8>> {
        let store = || {
            let mut session = self.session()?;
            let Session { heap, writer, .. } = &mut *session;
            let widths = writer.widths();
            let mut object = Vec::new();
            object.put_addr(Some(Addr(dataset)), widths);
            let encoded = selection.encode();
            object.extend(encoded.ok_or_else(|| Error::unsupported("a region of so many blocks"))?);
            let id = heap.add_object(writer, &object)?;
            let mut element = Vec::new();
            h5live_format::global_heap::GlobalHeapId::encode(Some(id), &mut element, widths);
            Ok(element)
        };
        store().map_err(|error: Error| self.inner.locate(error))
    }
}
