//! The regular grid that a chunked dataset's extent is cut into.

use std::ops::Range;

/// Chunk sizes, and how chunks are numbered in the indexes that number them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Elements of a chunk along each axis; none is 0.
    pub(crate) chunk: Vec<u64>,
    /// Bytes of a chunk before filtering.
    pub(crate) chunk_bytes: u64,
    /// What is stored of a chunk that is not filtered, or not yet.
    pub(crate) plain: PlainForm,
    /// Chunks there can be along each axis; `None` without limit.
    max_chunks: Vec<Option<u64>>,
    /// The order of axes in which chunks are numbered: as they are, but an only unlimited axis comes first.
    order: Vec<usize>,
}

/// What is stored of a chunk that is not filtered, or not yet. Only writing needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlainForm {
    /// Bytes it takes, at least those of the chunk.
    pub(crate) bytes: u64,
    /// One element of the fill value, if that is not zeros.
    pub(crate) fill: Option<Vec<u8>>,
}

impl Grid {
    /// The grid of a dataset with these maximum dimensions.
    pub(crate) fn new(chunk: Vec<u64>, element_bytes: u64, max: &[Option<u64>]) -> Self {
        let max_chunks: Vec<_> =
            max.iter().zip(&chunk).map(|(max, chunk)| max.map(|max| max.div_ceil(*chunk))).collect();
        let mut order: Vec<usize> = (0..chunk.len()).collect();
        if let Some(unlimited) = max.iter().position(Option::is_none) {
            order[..=unlimited].rotate_right(1);
        }
        let chunk_bytes = chunk.iter().product::<u64>() * element_bytes;
        let plain = PlainForm { bytes: chunk_bytes, fill: None };
        Self { chunk, chunk_bytes, plain, max_chunks, order }
    }

    /// The same for writing chunks, of which `fill` is one element where nothing was written, through these filters.
    ///
    /// When libhdf5 filters a chunk that was stored unfiltered, and it is as long as before, the index keeps the old filter
    /// mask, and the chunk is lost. So where filters keep the length, unfiltered chunks are stored with a byte more.
    pub(crate) fn for_writing(mut self, fill: &[u8], keep_length: bool) -> Self {
        self.plain = PlainForm {
            bytes: self.chunk_bytes + u64::from(keep_length),
            fill: fill.iter().any(|byte| *byte != 0).then(|| fill.to_vec()),
        };
        self
    }

    /// Axes.
    pub(crate) fn rank(&self) -> usize {
        self.chunk.len()
    }

    /// Chunks there can be; `None` when an axis is unlimited (or the number too large to matter).
    pub(crate) fn max_count(&self) -> Option<u64> {
        self.max_chunks.iter().try_fold(1u64, |product, max| product.checked_mul((*max)?))
    }

    /// The number of the chunk at `scaled`, as array indexes count: row-major over the maximum extent, with an unlimited
    /// axis slowest. `None` beyond 64 bits.
    pub(crate) fn number(&self, scaled: &[u64]) -> Option<u64> {
        let mut number = 0u64;
        for (place, axis) in self.order.iter().enumerate() {
            let along = if place == 0 { 1 } else { self.max_chunks[*axis]? };
            number = number.checked_mul(along)?.checked_add(scaled[*axis])?;
        }
        Some(number)
    }

    /// The chunk that has this number.
    pub(crate) fn scaled(&self, mut number: u64) -> Vec<u64> {
        let mut scaled = vec![0; self.rank()];
        for (place, axis) in self.order.iter().enumerate().rev() {
            match self.max_chunks[*axis] {
                Some(along) if place > 0 => {
                    scaled[*axis] = number % along.max(1);
                    number /= along.max(1);
                }
                _ => scaled[*axis] = number,
            }
        }
        scaled
    }

    /// The chunk that holds the element at `point`.
    pub(crate) fn chunk_of(&self, point: &[u64]) -> Vec<u64> {
        point.iter().zip(&self.chunk).map(|(at, chunk)| at / chunk).collect()
    }

    /// The elements of the chunk at `scaled` along `axis`, those outside the extent included.
    pub(crate) fn span(&self, scaled: &[u64], axis: usize) -> Range<u64> {
        let start = scaled[axis].saturating_mul(self.chunk[axis]);
        start..start.saturating_add(self.chunk[axis])
    }

    /// Chunks that `dims` touch along each axis.
    pub(crate) fn counts(&self, dims: &[u64]) -> Vec<u64> {
        dims.iter().zip(&self.chunk).map(|(dim, chunk)| dim.div_ceil(*chunk)).collect()
    }

    /// Whether the whole chunk at `scaled` lies inside `dims`.
    pub(crate) fn is_inside(&self, scaled: &[u64], dims: &[u64]) -> bool {
        (0..self.rank()).all(|axis| self.span(scaled, axis).end <= dims[axis])
    }

    /// Whether any element of the chunk at `scaled` lies inside `dims`.
    pub(crate) fn touches(&self, scaled: &[u64], dims: &[u64]) -> bool {
        (0..self.rank()).all(|axis| self.span(scaled, axis).start < dims[axis])
    }
}

/// Every point of the box of `ranges`, in row-major order.
pub(crate) fn each_point(ranges: &[Range<u64>], mut visit: impl FnMut(&[u64])) {
    if ranges.iter().any(|range| range.is_empty()) {
        return;
    }
    let mut point: Vec<u64> = ranges.iter().map(|range| range.start).collect();
    loop {
        visit(&point);
        let Some(axis) = (0..ranges.len()).rev().find(|axis| point[*axis] + 1 < ranges[*axis].end) else { return };
        point[axis] += 1;
        for (at, range) in point.iter_mut().zip(ranges).skip(axis + 1) {
            *at = range.start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbering_puts_the_unlimited_axis_first() {
        let grid = Grid::new(vec![2, 3, 4], 8, &[Some(5), None, Some(8)]);
        assert_eq!(grid.chunk_bytes, 192);
        assert_eq!(grid.max_count(), None);
        // Axis 1 slowest, then axis 0 (3 chunks), then axis 2 (2 chunks).
        assert_eq!(grid.number(&[2, 7, 1]), Some((7 * 3 + 2) * 2 + 1));
        for number in 0..100 {
            assert_eq!(grid.number(&grid.scaled(number)), Some(number));
        }
        let fixed = Grid::new(vec![2, 3], 1, &[Some(5), Some(9)]);
        assert_eq!(fixed.max_count(), Some(9));
        assert_eq!(fixed.number(&[2, 1]), Some(7));
        assert_eq!(fixed.scaled(7), [2, 1]);
    }

    #[test]
    fn points_come_in_row_major_order() {
        let mut seen = Vec::new();
        each_point(&[1..3, 5..7], |point| seen.push(point.to_vec()));
        assert_eq!(seen, [[1, 5], [1, 6], [2, 5], [2, 6]]);
        let mut count = 0;
        each_point(&[], |_| count += 1);
        assert_eq!(count, 1);
    }
}
