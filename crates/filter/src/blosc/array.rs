//! Blosc2's arrays of several axes ("b2nd"): chunks of an array, each chunk its blocks one after the other.
//!
//! The metalayer says shape, shape of a chunk and shape of a block. Chunks are filled up to whole blocks.

use crate::Problem;

/// The shapes of an array.
#[derive(Debug)]
pub(super) struct Array {
    element: usize,
    shape: Vec<usize>,
    chunk: Vec<usize>,
    block: Vec<usize>,
    /// Bytes of a chunk with what it is filled up with.
    chunk_bytes: usize,
    bytes: usize,
}

/// What a chunk may be longer than the array, besides a little.
const FILLING_AT_MOST: usize = 4;

impl Array {
    /// Reads the metalayer of an array that must fit into `limit` bytes.
    pub(super) fn parse(layer: &[u8], element: usize, limit: usize) -> Result<Self, Problem> {
        let malformed = || Problem::malformed("a Blosc2 array with a damaged description");
        let &[_, _, rank, ref rest @ ..] = layer else { return Err(malformed()) };
        let rank = usize::from(rank);
        if !(1..=super::AXES_AT_MOST).contains(&rank) {
            return Err(malformed());
        }
        let mut rest = rest;
        // Each shape is an array of numbers, each with a byte before it that tells its width.
        let mut shape = |width: usize| -> Result<Vec<usize>, Problem> {
            let (numbers, after) = rest.split_at_checked(1 + rank * (1 + width)).ok_or_else(malformed)?;
            rest = after;
            let number = |bytes: &[u8]| bytes[1..].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            let sensible = |number: u64| usize::try_from(number).ok().filter(|number| *number < 1 << 40);
            numbers[1..].chunks_exact(1 + width).map(|bytes| sensible(number(bytes)).ok_or_else(malformed)).collect()
        };
        let (shape, chunk, block) = (shape(8)?, shape(4)?, shape(4)?);
        let product = |numbers: &[usize]| {
            numbers.iter().try_fold(element, |product, number| product.checked_mul(*number)).ok_or_else(malformed)
        };
        let bytes = product(&shape)?;
        if bytes > limit {
            return Err(Problem::TooLong { limit });
        }
        if element == 0 || chunk.contains(&0) || block.contains(&0) || block.iter().zip(&chunk).any(|(b, c)| b > c) {
            return Err(malformed());
        }
        let filled: Vec<_> = chunk.iter().zip(&block).map(|(chunk, block)| chunk.next_multiple_of(*block)).collect();
        let chunk_bytes = product(&filled)?;
        if chunk_bytes > limit.saturating_mul(FILLING_AT_MOST).saturating_add(1 << 20) {
            return Err(Problem::TooLong { limit });
        }
        Ok(Self { element, shape, chunk, block, chunk_bytes, bytes })
    }

    /// Bytes of a chunk as it is stored.
    pub(super) fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// Bytes of the array.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Copies the `index`th chunk, which is `blocks`, to its place in the array.
    pub(super) fn place(&self, index: usize, blocks: &[u8], output: &mut [u8]) -> Result<(), Problem> {
        if blocks.len() != self.chunk_bytes {
            return Err(Problem::malformed("a chunk of another length than its shape says"));
        }
        let counts = |whole: &[usize], part: &[usize]| -> Vec<usize> {
            whole.iter().zip(part).map(|(whole, part)| whole.div_ceil(*part)).collect()
        };
        let chunks = counts(&self.shape, &self.chunk);
        if index >= chunks.iter().product() {
            return Err(Problem::malformed("more chunks than the array has"));
        }
        let chunk = coordinates(index, &chunks);
        let grid = counts(&self.chunk, &self.block);
        let axes = self.shape.len();
        let row = self.block[axes - 1] * self.element;
        let rows: usize = self.block[..axes - 1].iter().product();
        for (number, block) in blocks.chunks_exact(rows * row).enumerate() {
            let block_at = coordinates(number, &grid);
            for (number, elements) in block.chunks_exact(row).enumerate() {
                let mut inside = coordinates(number, &self.block[..axes - 1]);
                inside.push(0);
                // Where the row starts within the chunk, and in the array.
                let within: Vec<usize> =
                    (0..axes).map(|axis| block_at[axis] * self.block[axis] + inside[axis]).collect();
                let at: Vec<usize> = (0..axes).map(|axis| chunk[axis] * self.chunk[axis] + within[axis]).collect();
                let is_inside = |axis: usize| within[axis] < self.chunk[axis] && at[axis] < self.shape[axis];
                if !(0..axes).all(is_inside) {
                    continue;
                }
                let last = axes - 1;
                let count = self.block[last].min(self.chunk[last] - within[last]).min(self.shape[last] - at[last]);
                let start = at.iter().zip(&self.shape).fold(0, |start, (at, dim)| start * dim + at) * self.element;
                let length = count * self.element;
                output[start..start + length].copy_from_slice(&elements[..length]);
            }
        }
        Ok(())
    }
}

/// The coordinates of the `index`th element, in row-major order, of an array of that shape.
fn coordinates(index: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = index;
    let mut found: Vec<usize> = shape
        .iter()
        .rev()
        .map(|dim| {
            let at = rest % (*dim).max(1);
            rest /= (*dim).max(1);
            at
        })
        .collect();
    found.reverse();
    found
}

/// The metalayer of an array, of elements of `element` bytes, that is one chunk and one block.
pub(super) fn describe(element: u32, dims: &[u32]) -> Vec<u8> {
    let rank = dims.len() as u8;
    let mut layer = vec![0x97, 0, rank, 0x90 + rank];
    for dim in dims {
        layer.push(0xd3);
        layer.extend(u64::from(*dim).to_be_bytes());
    }
    for _ in 0..2 {
        layer.push(0x90 + rank);
        for dim in dims {
            layer.push(0xd2);
            layer.extend(dim.to_be_bytes());
        }
    }
    // The type in numpy's notation. Of the elements nothing is known but their size; the Blosc2 library opens no array without a type.
    let name = format!("|V{element}");
    layer.extend([0, 0xdb]);
    layer.extend((name.len() as u32).to_be_bytes());
    layer.extend(name.as_bytes());
    layer
}
