//! Making an index one whose entries can change while readers look.
//!
//! The indexes libhdf5 makes have blocks that lie across page boundaries, or none at all before the first chunk, or are version 1
//! B-trees. Such an index is copied to fresh space, in the form this library gives its own; the layout message is then turned to
//! the copy.

use h5live_filter::Pipeline;
use h5live_format::array_element::{ElementForm, StoredChunk};
use h5live_format::message::{ChunkIndex, Chunked, ExtensibleArrayParameters};
use h5live_format::{Addr, btree_v2};

use super::btree_v2::ChunkTree;
use super::extensible_array::ExtensibleArray;
use super::fixed_array::FixedArray;
use super::{Index, UNFILTERED};
use crate::chunk::grid::Grid;
use crate::error::{Error, ErrorKind, Result};
use crate::live::space::{Placement, crosses_page};
use crate::live::writer::Writer;
use crate::object::upgrade::too_old;

/// Bytes of a fixed array at most: its room is taken at once, whatever comes to be stored.
const MOST_FIXED: u64 = 1 << 30;

/// What [`too_old`] says of an index of HDF5 1.8 and before.
pub(crate) const OLD_INDEX: &str = "its chunk index is a version 1 B-tree";

impl Index {
    /// Plans a new, empty index for a dataset that can grow, or has more than one chunk: the kind libhdf5 would choose, or a version 2
    /// B-tree, which grows with what is stored, where a fixed array would be enormous.
    pub(crate) fn create(
        writer: &mut Writer,
        grid: &Grid,
        max: &[Option<u64>],
        form: ElementForm,
    ) -> Result<(ChunkIndex, Addr)> {
        let fixed = grid.max_count().filter(|count| *count <= MOST_FIXED / u64::from(form.size()));
        Ok(match (max.iter().filter(|max| max.is_none()).count(), fixed) {
            (0, Some(count)) => {
                let array = FixedArray::create(writer, form, count.max(1))?;
                (ChunkIndex::FixedArray { page_bits: array.stored_page_bits() }, array.at())
            }
            (1, _) => {
                let array = ExtensibleArray::create(writer, form)?;
                (ChunkIndex::ExtensibleArray(ExtensibleArray::layout_parameters(form)), array.at())
            }
            _ => {
                let tree = ChunkTree::create(writer, form, grid.rank() as u8)?;
                let (node_size, split_percent, merge_percent) = tree.shape();
                (ChunkIndex::BTreeV2 { node_size, split_percent, merge_percent }, tree.at())
            }
        })
    }
}

/// What `chunked` must become before chunks can be entered while readers look; `None` if it may stay as it is. Entries
/// beyond the extent `dims`, which a writer that died may have left, are not taken over.
pub(crate) fn adopt(
    writer: &mut Writer,
    chunked: &Chunked,
    grid: &Grid,
    dims: &[u64],
    max: &[Option<u64>],
    pipeline: Option<&Pipeline>,
) -> Result<Option<Chunked>> {
    if chunked.index == ChunkIndex::BTreeV1 && writer.is_live() {
        return Err(too_old(OLD_INDEX));
    }
    // Whether a chunk has passed its filters is then said for each alone, and need not follow from where the extent ends.
    let frees_edges = chunked.plain_edge_chunks && pipeline.is_some();
    let stays = matches!(chunked.index, ChunkIndex::Single { .. } | ChunkIndex::Implicit);
    if stays || !frees_edges && is_ready(writer, chunked, grid)? {
        return Ok(None);
    }
    let source = writer.source();
    let old = Index::open(&source, chunked, grid, pipeline.is_some())?;
    let widths = writer.widths();
    let form = match pipeline {
        Some(_) => ElementForm::filtered_chunks(widths, chunked.filtered_size_width(widths)),
        None => ElementForm::chunks(widths, grid.chunk_bytes),
    };
    let (index, addr) = Index::create(writer, grid, max, form)?;
    let next = Chunked { index, addr: Some(addr), plain_edge_chunks: false, ..chunked.clone() };
    let mut new = Index::open(&source, &next, grid, pipeline.is_some())?;
    let mut chunks = Vec::new();
    old.each(&source, grid, dims, |scaled, chunk| {
        let is_plain = frees_edges && !grid.is_inside(scaled, dims);
        let filter_mask = if is_plain { UNFILTERED } else { chunk.filter_mask };
        chunks.push((scaled.to_vec(), StoredChunk { filter_mask, ..chunk }));
        Ok(())
    })?;
    for (scaled, chunk) in chunks {
        let slot = new.slot(writer, grid, &scaled)?;
        match slot.stored {
            Some(settled) if !slot.is_replaceable(writer.base()) => move_chunk(writer, grid, pipeline, chunk, settled)?,
            _ => new.enter(writer, &slot, Some(chunk))?,
        }
    }
    new.settle(writer)?;
    Ok(Some(next))
}

/// Whether every entry of the index can be replaced, or says where its chunk will stay.
fn is_ready(writer: &Writer, chunked: &Chunked, grid: &Grid) -> Result<bool> {
    let Some(addr) = chunked.addr else { return Ok(false) };
    let source = writer.source();
    Ok(match chunked.index {
        ChunkIndex::ExtensibleArray(_) => {
            ExtensibleArray::open(&source, addr, grid.chunk_bytes)?.is_ready(&source, grid.chunk_bytes)?
        }
        ChunkIndex::FixedArray { .. } => {
            FixedArray::open(&source, addr, grid.chunk_bytes)?.is_ready(&source, grid.chunk_bytes)?
        }
        ChunkIndex::BTreeV2 { .. } => !crosses_page(writer.base() + addr.0, btree_v2::Header::size(writer.widths())),
        // It has no checksums: never while readers look.
        ChunkIndex::BTreeV1 => false,
        ChunkIndex::Single { .. } | ChunkIndex::Implicit => true,
    })
}

/// Copies a chunk to the space that its entry names for good.
fn move_chunk(
    writer: &mut Writer,
    grid: &Grid,
    pipeline: Option<&Pipeline>,
    chunk: StoredChunk,
    settled: StoredChunk,
) -> Result<()> {
    let bytes = writer.source().bytes("chunk", chunk.addr, chunk.size)?;
    let plain = match pipeline {
        Some(pipeline) => pipeline
            .decode(chunk.filter_mask, &bytes, grid.chunk_bytes as usize)
            .map_err(|source| Error::new(ErrorKind::Filter { chunk: Vec::new(), source }))?,
        None => bytes,
    };
    writer.supersede(chunk.size);
    writer.raw(settled.addr, &plain)
}

impl ExtensibleArray {
    /// The creation parameters of arrays made here, as a layout message has them.
    fn layout_parameters(form: ElementForm) -> ExtensibleArrayParameters {
        let parameters = Self::parameters(form.client().id() != 0);
        ExtensibleArrayParameters {
            max_bits: parameters.max_elements_bits,
            index_elements: parameters.index_block_elements,
            min_pointers: parameters.super_block_min_pointers,
            min_elements: parameters.data_block_min_elements,
            page_bits: parameters.page_bits,
        }
    }
}

/// Space for raw data that are found without an index. They read as the fill value, of which `fill` is one element.
pub(crate) fn allocate_filled(writer: &mut Writer, bytes: u64, fill: &[u8]) -> Result<Addr> {
    const STEP: u64 = 1 << 20;
    let addr = writer.reserve(bytes, Placement::Anywhere)?;
    if fill.iter().any(|byte| *byte != 0) {
        let element = fill.len() as u64;
        let block = fill.repeat((STEP / element).clamp(1, (bytes / element).max(1)) as usize);
        let mut at = 0;
        while at < bytes {
            let len = (bytes - at).min(block.len() as u64) as usize;
            writer.raw(Addr(addr.0 + at), &block[..len])?;
            at += len as u64;
        }
    }
    Ok(addr)
}
