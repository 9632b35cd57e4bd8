//! Bits of equal significance side by side: first the lowest bits of the first bytes of all elements, eight of them in a byte, and so on.

use wide::u8x16;

use crate::shuffle::{LANES, interleave_halves, load, shuffle, unshuffle};

/// Transposes the bits of elements of `size` bytes. There must be a multiple of eight of them. `room` is to work in.
pub(crate) fn bit_shuffle(size: usize, input: &[u8], output: &mut [u8], room: &mut Vec<u8>) {
    let count = input.len() / size;
    debug_assert!(count.is_multiple_of(8) && input.len() == count * size && output.len() == input.len());
    room.resize(input.len(), 0);
    shuffle(size, input, room);
    room.as_chunks_mut().0.iter_mut().for_each(transpose);
    for (bytes, planes) in room.chunks_exact(count.max(1)).zip(output.chunks_exact_mut(count.max(1))) {
        shuffle(8, bytes, planes);
    }
}

/// The other way round.
pub(crate) fn bit_unshuffle(size: usize, input: &[u8], output: &mut [u8], room: &mut Vec<u8>) {
    let count = input.len() / size;
    debug_assert!(count.is_multiple_of(8) && input.len() == count * size && output.len() == input.len());
    let plane = count / 8;
    room.resize(TILE * size, 0);
    let (tiles, rest) = output.split_at_mut(count / TILE * TILE * size);
    for (number, tile) in tiles.chunks_exact_mut(TILE * size).enumerate() {
        for (byte, bytes) in room.as_chunks_mut::<TILE>().0.iter_mut().enumerate() {
            let rows = std::array::from_fn(|bit| load(&input[(byte * 8 + bit) * plane + number * LANES..]));
            for (to, vector) in bytes.as_chunks_mut().0.iter_mut().zip(transpose_rows(rows)) {
                *to = vector.to_array();
            }
        }
        unshuffle(size, room, tile);
    }
    // What is less than a tile, eight elements at a time.
    for (number, elements) in rest.chunks_exact_mut(8 * size).enumerate() {
        let group = count / TILE * LANES + number;
        for byte in 0..size {
            let mut bits: [u8; 8] = std::array::from_fn(|bit| input[(byte * 8 + bit) * plane + group]);
            transpose(&mut bits);
            elements[byte..].iter_mut().step_by(size).zip(bits).for_each(|(to, bits)| *to = bits);
        }
    }
}

/// Elements that are taken together: as many as a vector has bytes of each plane of bits.
const TILE: usize = 8 * LANES;

/// One byte of each of [`TILE`] elements, from a vector of each of its eight planes of bits.
#[inline(always)]
fn transpose_rows(mut rows: [u8x16; 8]) -> [u8x16; 8] {
    swap_squares::<1>(&mut rows, 0x55);
    swap_squares::<2>(&mut rows, 0x33);
    swap_squares::<4>(&mut rows, 0x0f);
    interleave_halves(interleave_halves(interleave_halves(rows)))
}

/// As in [`transpose`], squares of `DISTANCE` bits change places across a diagonal: here between two rows, of which each lane of the
/// vectors has eight bits.
#[inline(always)]
fn swap_squares<const DISTANCE: usize>(rows: &mut [u8x16; 8], mask: u8) {
    let distance = DISTANCE as u32;
    for first in (0..8).filter(|row| row & DISTANCE == 0) {
        let moved = (rows[first] >> distance ^ rows[first + DISTANCE]) & u8x16::splat(mask);
        rows[first + DISTANCE] ^= moved;
        rows[first] ^= moved << distance;
    }
}

/// Transposes a matrix of eight times eight bits: bit *i* of byte *j* and bit *j* of byte *i* change places.
#[inline(always)]
fn transpose(matrix: &mut [u8; 8]) {
    let mut bits = u64::from_le_bytes(*matrix);
    // Squares of one, two and four bits change places across the diagonal of squares twice as large.
    for (distance, mask) in [(7, 0x00aa_00aa_00aa_00aa), (14, 0x0000_cccc_0000_cccc), (28, 0x0000_0000_f0f0_f0f0)] {
        let moved = (bits ^ bits >> distance) & mask;
        bits ^= moved ^ moved << distance;
    }
    *matrix = bits.to_le_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_go_where_they_belong() {
        let mut room = Vec::new();
        for (size, count) in [(1, 8), (1, 24), (2, 8), (3, 16), (4, 128), (4, 1000), (8, 136), (12, 40), (16, 264)] {
            let input: Vec<u8> = (0..size * count).map(|i| (i * 37 + i / 5) as u8).collect();
            let mut expected = vec![0_u8; input.len()];
            for element in 0..count {
                for bit in 0..size * 8 {
                    let is_set = input[element * size + bit / 8] >> (bit % 8) & 1;
                    expected[bit * (count / 8) + element / 8] |= is_set << (element % 8);
                }
            }
            let mut output = vec![0; input.len()];
            bit_shuffle(size, &input, &mut output, &mut room);
            assert_eq!(output, expected, "{count} elements of {size} bytes");
            bit_unshuffle(size, &expected, &mut output, &mut room);
            assert_eq!(output, input, "{count} elements of {size} bytes");
        }
        bit_shuffle(4, &[], &mut [], &mut room);
    }
}
