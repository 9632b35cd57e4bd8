//! Bits of equal significance side by side: first the lowest bits of the first bytes of all elements, eight of them in a byte, and so on.

use crate::shuffle::{shuffle, unshuffle};

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
    room.resize(input.len(), 0);
    for (planes, bytes) in input.chunks_exact(count.max(1)).zip(room.chunks_exact_mut(count.max(1))) {
        unshuffle(8, planes, bytes);
    }
    room.as_chunks_mut().0.iter_mut().for_each(transpose);
    unshuffle(size, room, output);
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
