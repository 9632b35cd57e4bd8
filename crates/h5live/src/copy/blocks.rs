//! Large extents, a block at a time.

use crate::selection::Slab;

/// What a block of elements aims at, in bytes.
const BLOCK_BYTES: u64 = 4 << 20;

/// Cuts an extent into blocks of about [`BLOCK_BYTES`], in row-major order: whole along the last axes. No slabs are the only
/// element of a scalar.
pub(super) fn blocks(shape: &[u64], element_size: u64) -> impl Iterator<Item = Vec<Slab>> {
    // The axis that is cut: all after it are whole, and all before it are gone through one by one.
    let mut row = element_size.max(1);
    let mut axis = shape.len();
    while axis > 0 {
        axis -= 1;
        match row.checked_mul(shape[axis]) {
            Some(more) if more <= BLOCK_BYTES && axis > 0 => row = more,
            _ => break,
        }
    }
    let step = (BLOCK_BYTES / row.max(1)).max(1);
    let shape = shape.to_vec();
    let mut next = (!shape.contains(&0)).then(|| vec![0u64; shape.len()]);
    std::iter::from_fn(move || {
        let start = next.take()?;
        let length = |at: usize| match at.cmp(&axis) {
            std::cmp::Ordering::Less => 1,
            std::cmp::Ordering::Equal => step,
            std::cmp::Ordering::Greater => shape[at],
        };
        let slab = |at: usize| Slab::range(start[at]..start[at].saturating_add(length(at)).min(shape[at]));
        let block: Vec<Slab> = (0..shape.len()).map(slab).collect();
        let mut following = start.clone();
        for at in (0..shape.len().min(axis + 1)).rev() {
            following[at] = following[at].saturating_add(length(at));
            if following[at] < shape[at] {
                next = Some(following);
                break;
            }
            following[at] = 0;
        }
        Some(block)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_every_element_once_in_order() {
        for (shape, element_size) in [
            (vec![], 8),
            (vec![0], 8),
            (vec![7], 8),
            (vec![3, 0, 2], 1),
            (vec![3, 4, 5], 1 << 20),
            (vec![3, 4, 5], 3 << 20),
            (vec![2, 3], 9 << 20),
            (vec![5, 2, 3], 700_000),
        ] {
            let mut seen = Vec::new();
            for block in blocks(&shape, element_size) {
                let count: u64 = block.iter().map(Slab::len).product();
                assert!(count == 1 || count * element_size <= BLOCK_BYTES, "{shape:?}: {block:?}");
                let mut positions = vec![Vec::new()];
                for slab in &block {
                    let along =
                        |before: Vec<u64>| (0..slab.len()).map(move |at| [&before[..], &[slab.start + at]].concat());
                    positions = positions.into_iter().flat_map(along).collect();
                }
                seen.extend(positions);
            }
            assert_eq!(seen.len() as u64, shape.iter().product::<u64>(), "{shape:?}");
            assert!(seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]), "{shape:?}: {seen:?}");
        }
    }
}
