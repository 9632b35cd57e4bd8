//! Overwriting one element of an array index while readers look, and the elements for which that is impossible.

use h5live_format::Addr;
use h5live_format::array_element::{ElementForm, StoredChunk};

use crate::chunk::grid::Grid;
use crate::error::Result;
use crate::live::layer::LiveBlock;
use crate::live::space::{Placement, crosses_page};
use crate::live::writer::Writer;

/// Every filter skipped: the chunk is stored as it is.
pub(crate) const UNFILTERED: u32 = u32::MAX;

/// The place of one element in an array block or page, and what it says now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArraySlot {
    /// Address of the block or page that carries the checksum.
    pub(super) block: Addr,
    /// Its bytes.
    pub(super) size: u64,
    /// Where the element lies in it.
    pub(super) offset: u64,
    /// What is stored there.
    pub(super) stored: Option<StoredChunk>,
}

impl ArraySlot {
    /// What is stored there.
    pub(super) fn stored(&self) -> Option<StoredChunk> {
        self.stored
    }

    /// Whether the element can be replaced while readers look.
    pub(super) fn is_replaceable(&self, base: u64) -> bool {
        !crosses_page(base + self.block.0 + self.offset, self.size - self.offset)
    }

    /// Replaces the element.
    pub(super) fn enter(
        &self,
        writer: &mut Writer,
        form: ElementForm,
        kind: LiveBlock,
        chunk: Option<StoredChunk>,
    ) -> Result<()> {
        let mut element = Vec::with_capacity(form.size().into());
        form.encode(chunk, &mut element);
        let offset = self.offset as usize;
        let change = |image: &mut [u8]| {
            let place = &mut image[offset..offset + element.len()];
            let changes = *place != *element;
            place.copy_from_slice(&element);
            changes.then_some(offset)
        };
        match self.stored {
            None => writer.edit_adding(kind, self.block, self.size as usize, change),
            Some(_) => writer.edit(kind, self.block, self.size as usize, change),
        }
    }
}

/// The elements of a page about to be written to fresh space at `at`: undefined, except those whose later overwrite,
/// from the element through the page's checksum, would cross a page boundary of the file. These get their space now.
pub(super) fn settled(
    writer: &mut Writer,
    grid: &Grid,
    at: Addr,
    page_size: u64,
    count: u64,
    element_at: impl Fn(u64) -> u64,
) -> Result<Vec<Option<StoredChunk>>> {
    let start = writer.base() + at.0;
    (0..count)
        .map(|slot| {
            let from = element_at(slot);
            if !crosses_page(start + from, page_size - from) {
                return Ok(None);
            }
            let addr = writer.reserve(grid.plain.bytes, Placement::Anywhere)?;
            if let Some(fill) = &grid.plain.fill {
                // libhdf5 reads what an entry names, should it make the dataset larger.
                writer.raw(addr, &fill.repeat(grid.chunk_bytes as usize / fill.len()))?;
            }
            Ok(Some(StoredChunk { addr, size: grid.plain.bytes, filter_mask: UNFILTERED }))
        })
        .collect()
}

/// Whether each of these elements, of a block or page at `at`, can be entered while readers look, or is settled: another
/// library may have turned an entry to a chunk that is not.
pub(super) fn all_settled(
    start: u64,
    size: u64,
    elements: &[Option<StoredChunk>],
    chunk_bytes: u64,
    filtered: bool,
    element_at: impl Fn(u64) -> u64,
) -> bool {
    (0..).zip(elements).all(|(slot, stored)| {
        let from = element_at(slot);
        let whole = |chunk: &StoredChunk| chunk.size >= chunk_bytes && (!filtered || chunk.filter_mask == UNFILTERED);
        !crosses_page(start + from, size - from) || stored.as_ref().is_some_and(whole)
    })
}
