//! Going through a dataset in pieces that fit into memory.

use h5live::{Dataset, Slab};

/// What a piece aims at, in bytes.
const PIECE_BYTES: u64 = 4 << 20;
/// What a piece may take so that chunks stay whole, in bytes.
const MOST_PIECE_BYTES: u64 = 64 << 20;

/// Bytes of an element, at least 1.
fn element_size(dataset: &Dataset) -> u64 {
    u64::from(dataset.datatype().size()).max(1)
}

/// Cuts a hyperslab of single-element blocks along the first axis: each piece some whole rows, and where the rows are
/// consecutive, whole chunks, so that no chunk is decompressed twice.
pub(crate) fn pieces(dataset: &Dataset, slabs: Vec<Slab>) -> impl Iterator<Item = Vec<Slab>> {
    let row_bytes = slabs.iter().skip(1).fold(element_size(dataset), |bytes, slab| bytes.saturating_mul(slab.count));
    let mut step = (PIECE_BYTES / row_bytes.max(1)).max(1);
    let first = slabs.first().copied();
    if let (Some(first), Some(chunk)) = (first, dataset.chunk_shape().and_then(|chunk| chunk.first()))
        && first.stride == 1
    {
        let aligned = step.next_multiple_of((*chunk).max(1));
        if aligned.saturating_mul(row_bytes) <= MOST_PIECE_BYTES {
            step = aligned;
        }
    }
    let count = first.map_or(0, |first| first.count);
    let mut done = 0;
    std::iter::from_fn(move || {
        let first = first.filter(|_| done < count)?;
        // The first piece ends where a chunk does.
        let lead = if first.stride == 1 { first.start % step } else { 0 };
        let take = if done == 0 { step - lead } else { step }.min(count - done);
        let piece = Slab { start: first.start + done * first.stride, count: take, ..first };
        done += take;
        Some(std::iter::once(piece).chain(slabs[1..].iter().copied()).collect())
    })
}

/// The slabs of some rows, whole along the other axes.
pub(crate) fn whole_rows(rows: std::ops::Range<u64>, shape: &[u64]) -> Vec<Slab> {
    let others = shape.iter().skip(1).map(|dim| Slab::range(0..*dim));
    std::iter::once(Slab::range(rows)).chain(others).collect()
}
