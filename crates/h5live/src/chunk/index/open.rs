//! Opening the index that a data layout message names.

use h5live_format::array_element::{ElementForm, StoredChunk};
use h5live_format::btree_v2::ChunkForm;
use h5live_format::message::{ChunkIndex, Chunked};

use super::Index;
use super::btree_v1::ChunkTreeV1;
use super::btree_v2::ChunkTree;
use super::extensible_array::ExtensibleArray;
use super::fixed_array::FixedArray;
use crate::chunk::grid::Grid;
use crate::error::Result;
use crate::source::Source;

impl Index {
    /// Opens the index of a dataset with this layout and grid; `filtered` tells whether its chunks pass filters.
    pub(crate) fn open(source: &Source, layout: &Chunked, grid: &Grid, filtered: bool) -> Result<Self> {
        let Some(addr) = layout.addr else { return Ok(Self::Absent) };
        let widths = source.widths();
        Ok(match layout.index {
            ChunkIndex::BTreeV1 => Self::BTreeV1(ChunkTreeV1::new(addr, grid.chunk.clone())),
            ChunkIndex::Single { filtered: Some(stored) } => {
                Self::Single(StoredChunk { addr, size: stored.size, filter_mask: stored.filter_mask })
            }
            ChunkIndex::Single { filtered: None } => {
                Self::Single(StoredChunk { addr, size: grid.chunk_bytes, filter_mask: 0 })
            }
            ChunkIndex::Implicit => Self::Implicit(addr),
            ChunkIndex::FixedArray { .. } => Self::Fixed(FixedArray::open(source, addr, grid.chunk_bytes)?),
            ChunkIndex::ExtensibleArray(_) => Self::Extensible(ExtensibleArray::open(source, addr, grid.chunk_bytes)?),
            ChunkIndex::BTreeV2 { .. } => {
                let element = if filtered {
                    ElementForm::filtered_chunks(widths, layout.filtered_size_width(widths))
                } else {
                    ElementForm::chunks(widths, grid.chunk_bytes)
                };
                Self::Tree(ChunkTree::open(source, addr, ChunkForm { element, rank: grid.rank() as u8 })?)
            }
        })
    }
}
