//! What is stored, as it is stored: chunks with their filters on, where elements lie, which parts a virtual dataset shows.

use h5live_format::object_header::AttributeOrder;
use h5live_format::selection::Selection as RegionSelection;

use super::{Dataset, Storage};
use crate::error::{Error, ErrorKind, Result};
use crate::object::header::ObjectHeader;

/// A part of a virtual dataset, and what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualMapping {
    /// The file of the source (`None`: that of the virtual dataset). `%b` in it stands for the number of a block.
    pub file: Option<String>,
    /// The path of the source in it.
    pub dataset: String,
    /// Which elements of the source.
    pub source: RegionSelection,
    /// Where they show.
    pub target: RegionSelection,
}

impl Dataset {
    /// The stored bytes of the chunk whose first element is at `offset`, filters not undone, with its filter mask: bit n set
    /// where filter n was skipped. `None` if nothing is stored there.
    ///
    /// # Errors
    /// [`ErrorKind::Selection`] when the dataset has no chunk that starts there; or the index is damaged.
    pub fn read_chunk(&self, offset: &[u64]) -> Result<Option<(u32, Vec<u8>)>> {
        let read = || {
            self.complete_for_reading()?;
            let view = self.shared.view();
            let wrong = |why: &str| ErrorKind::Selection { why: why.to_owned(), extent: view.dims.clone() };
            let (Storage::Chunked { .. }, Some(grid)) = (&view.storage, &self.shared.meta.grid) else {
                return Err(wrong("only a chunked dataset has chunks").into());
            };
            let starts = offset.iter().zip(&grid.chunk).all(|(at, chunk)| at % chunk == 0);
            let inside = offset.iter().zip(&view.dims).all(|(at, dim)| at < dim);
            if offset.len() != grid.rank() || !starts || !inside {
                return Err(wrong("no chunk starts there").into());
            }
            let source = &self.file.inner.source;
            let index = view.index(&self.file.inner, &self.shared.meta)?;
            let Some(stored) = index.lookup(source, grid, &grid.chunk_of(offset))? else { return Ok(None) };
            let mut bytes = Vec::new();
            source.bytes_into("chunk", stored.addr, stored.size, &mut bytes)?;
            Ok(Some((stored.filter_mask, bytes)))
        };
        read().map_err(|error: Error| self.locate(error))
    }

    /// Where the elements begin in the file, in bytes from its start, if they lie in one piece there.
    #[must_use]
    pub fn data_offset(&self) -> Option<u64> {
        match &self.shared.view().storage {
            Storage::Contiguous(addr) => addr.map(|addr| addr.0.saturating_add(self.file.inner.source.base())),
            _ => None,
        }
    }

    /// Whether the dataset keeps the order in which its attributes were created.
    ///
    /// # Errors
    /// The object header is damaged.
    pub fn tracks_attribute_order(&self) -> Result<bool> {
        let header = ObjectHeader::read(&self.file.inner.source, self.shared.addr);
        let header = header.map_err(|error| self.locate(error))?;
        Ok(header.settings().is_some_and(|settings| settings.attribute_order != AttributeOrder::Untracked))
    }

    /// The parts of other datasets that it shows, if it is virtual.
    ///
    /// # Errors
    /// The list is damaged.
    pub fn virtual_mappings(&self) -> Result<Vec<VirtualMapping>> {
        match &self.shared.view().storage {
            Storage::Virtual(data) => data.mappings_of(&self.file.inner).map_err(|error| self.locate(error)),
            _ => Ok(Vec::new()),
        }
    }
}
