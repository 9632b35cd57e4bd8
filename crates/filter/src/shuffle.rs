//! Shuffle: first bytes of all elements, then second bytes of all elements, and so on.
//!
//! Bytes after the last whole element stay where they are.

use wide::u8x16;

use crate::form::ChunkForm;
use crate::{Encoded, Filter, Problem};

/// The byte shuffle. Client values: the element size in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Shuffle;

impl Filter for Shuffle {
    fn name(&self) -> &str {
        "shuffle"
    }

    fn settle(&self, _: &[u32], form: &ChunkForm<'_>) -> Result<Vec<u32>, Problem> {
        Ok(vec![form.element.size()])
    }

    fn keeps_length(&self, _: &[u32]) -> bool {
        true
    }

    fn decode(&self, values: &[u32], input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
        let size = element_size(values)?;
        let limit = output.len();
        unshuffle(size, input, output.get_mut(..input.len()).ok_or(Problem::TooLong { limit })?);
        Ok(input.len())
    }

    fn encode(&self, values: &[u32], input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Problem> {
        let size = element_size(values)?;
        output.resize(input.len(), 0);
        shuffle(size, input, output);
        Ok(Encoded::Done)
    }
}

/// Shuffles elements of `size` bytes into `output`, which is as long as `input`.
pub(crate) fn shuffle(size: usize, input: &[u8], output: &mut [u8]) {
    match size {
        2 => shuffle_vectors::<2>(input, output),
        4 => shuffle_vectors::<4>(input, output),
        8 => shuffle_vectors::<8>(input, output),
        16 => shuffle_vectors::<16>(input, output),
        size => shuffle_from(0, size, input, output),
    }
}

/// The other way round.
pub(crate) fn unshuffle(size: usize, input: &[u8], output: &mut [u8]) {
    match size {
        2 => unshuffle_vectors::<2>(input, output),
        4 => unshuffle_vectors::<4>(input, output),
        8 => unshuffle_vectors::<8>(input, output),
        16 => unshuffle_vectors::<16>(input, output),
        size => unshuffle_from(0, size, input, output),
    }
}

fn element_size(values: &[u32]) -> Result<usize, Problem> {
    match values {
        [0, ..] | [] => Err(Problem::values("shuffle needs an element size above zero")),
        [size, ..] => Ok(*size as usize),
    }
}

/// As many bytes as the vector registers of every processor we meet.
pub(crate) const LANES: usize = 16;

/// Reads a vector from the first bytes; there must be enough of them.
#[inline(always)]
pub(crate) fn load(bytes: &[u8]) -> u8x16 {
    let mut vector = [0; LANES];
    vector.copy_from_slice(&bytes[..LANES]);
    u8x16::new(vector)
}

/// Interleaves the first half of the bytes with the second half.
///
/// In terms of a byte's position this rotates the position's bits left by one. Turning bytes "plane by plane" into "element by element"
/// swaps the high bits (the plane, log2 `N` of them) with the low bits (the lane, log2 `LANES`): a rotation by log2 `N`, and back by
/// log2 `LANES`.
#[inline(always)]
pub(crate) fn interleave_halves<const N: usize>(vectors: [u8x16; N]) -> [u8x16; N] {
    std::array::from_fn(|at| {
        let (even, odd) = (vectors[at / 2], vectors[at / 2 + N / 2]);
        if at % 2 == 0 { u8x16::unpack_low(even, odd) } else { u8x16::unpack_high(even, odd) }
    })
}

/// Undoes the shuffle of elements of `N` bytes, a power of two above one.
fn unshuffle_vectors<const N: usize>(input: &[u8], output: &mut [u8]) {
    let count = input.len() / N;
    for (block, elements) in output[..count * N].chunks_exact_mut(N * LANES).enumerate() {
        let mut vectors: [u8x16; N] = std::array::from_fn(|plane| load(&input[plane * count + block * LANES..]));
        for _ in 0..N.ilog2() {
            vectors = interleave_halves(vectors);
        }
        for (to, vector) in elements.as_chunks_mut().0.iter_mut().zip(vectors) {
            *to = vector.to_array();
        }
    }
    unshuffle_from(count / LANES * LANES, N, input, output);
}

/// Shuffles elements of `N` bytes, a power of two above one.
fn shuffle_vectors<const N: usize>(input: &[u8], output: &mut [u8]) {
    let count = input.len() / N;
    for (block, elements) in input[..count * N].chunks_exact(N * LANES).enumerate() {
        let mut vectors: [u8x16; N] = std::array::from_fn(|at| load(&elements[at * LANES..]));
        for _ in 0..LANES.ilog2() {
            vectors = interleave_halves(vectors);
        }
        for (plane, vector) in vectors.iter().enumerate() {
            let start = plane * count + block * LANES;
            output[start..start + LANES].copy_from_slice(&vector.to_array());
        }
    }
    shuffle_from(count / LANES * LANES, N, input, output);
}

/// Undoes the shuffle of elements of any size, from element `first` on, and copies the remainder.
fn unshuffle_from(first: usize, size: usize, input: &[u8], output: &mut [u8]) {
    let count = input.len() / size;
    for block in blocks(first, count, size) {
        for byte in 0..size {
            let plane = &input[byte * count..][block.clone()];
            let elements = output[block.start * size + byte..].iter_mut().step_by(size);
            elements.zip(plane).for_each(|(out, byte)| *out = *byte);
        }
    }
    output[count * size..].copy_from_slice(&input[count * size..]);
}

/// Shuffles elements of any size, from element `first` on, and copies the remainder.
fn shuffle_from(first: usize, size: usize, input: &[u8], output: &mut [u8]) {
    let count = input.len() / size;
    for block in blocks(first, count, size) {
        for byte in 0..size {
            let plane = &mut output[byte * count..][block.clone()];
            let elements = input[block.start * size + byte..].iter().step_by(size);
            plane.iter_mut().zip(elements).for_each(|(out, byte)| *out = *byte);
        }
    }
    output[count * size..].copy_from_slice(&input[count * size..]);
}

/// The elements from `first` to `count` in runs that stay in the nearest cache while they are walked once per byte of an element.
fn blocks(first: usize, count: usize, size: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let run = (16 * 1024 / size).max(1);
    (first..count).step_by(run).map(move |start| start..count.min(start.saturating_add(run)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(size: usize, length: usize) {
        let input: Vec<u8> = (0..length).map(|i| (i * 7 + i / 256) as u8).collect();
        let count = length / size;
        let mut expected = input.clone();
        for element in 0..count {
            for byte in 0..size {
                expected[byte * count + element] = input[element * size + byte];
            }
        }
        let mut shuffled = Vec::new();
        Shuffle.encode(&[size as u32], &input, &mut shuffled).unwrap();
        assert_eq!(shuffled, expected, "size {size}, length {length}");
        let mut output = vec![0; length];
        assert_eq!(Shuffle.decode(&[size as u32], &shuffled, &mut output), Ok(length));
        assert_eq!(output, input, "size {size}, length {length}");
        if length > 0 {
            assert!(Shuffle.decode(&[size as u32], &shuffled, &mut output[1..]).is_err());
        }
    }

    #[test]
    fn all_sizes_and_remainders() {
        for size in [1, 2, 3, 4, 5, 8, 12, 16, 24, 100, 20_000, u32::MAX as usize] {
            for length in [0, 1, 7, 15, 16, 31, 32, 33, 64, 127, 128, 129, 255, 256, 1000, 4099, 50_001] {
                check(size, length);
            }
        }
    }

    #[test]
    fn needs_an_element_size() {
        for values in [&[][..], &[0]] {
            assert!(matches!(Shuffle.decode(values, &[1], &mut [0]), Err(Problem::Values(_))));
            assert!(matches!(Shuffle.encode(values, &[1], &mut Vec::new()), Err(Problem::Values(_))));
        }
    }
}
