//! Fletcher-32: the data, then its checksum in four bytes, little-endian.

use crate::{Encoded, Filter, Problem};

/// The checksum filter. No client values.
#[derive(Debug, Clone, Copy)]
pub struct Fletcher32;

impl Filter for Fletcher32 {
    fn name(&self) -> &str {
        "fletcher32"
    }

    fn decode(&self, _: &[u32], input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
        let Some((data, stored)) = input.split_last_chunk() else {
            return Err(Problem::Truncated { length: input.len() });
        };
        let (stored, computed) = (u32::from_le_bytes(*stored), fletcher32(data));
        // HDF5 up to 1.6.2 stored the checksum's halves byte-swapped on little-endian machines. Such files exist and are sound.
        if stored != computed && stored != swap_bytes_of_halves(computed) {
            return Err(Problem::Checksum { stored, computed });
        }
        let limit = output.len();
        output.get_mut(..data.len()).ok_or(Problem::TooLong { limit })?.copy_from_slice(data);
        Ok(data.len())
    }

    fn encode(&self, _: &[u32], input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Problem> {
        output.reserve(input.len() + 4);
        output.extend_from_slice(input);
        output.extend_from_slice(&fletcher32(input).to_le_bytes());
        Ok(Encoded::Done)
    }
}

/// libhdf5's Fletcher-32: over big-endian 16-bit words, an odd last byte being the high half of a word; sums start from zero, and are
/// zero only if every word is.
pub fn fletcher32(data: &[u8]) -> u32 {
    let (blocks, rest) = data.as_chunks::<{ 2 * BLOCK }>();
    let (words, last) = rest.as_chunks();
    let (mut low, mut high) = (0_u64, 0_u64);
    for block in blocks {
        // Adding word after word, `high` gains the old `low` once per word, and each word as often as words follow, itself included.
        let (mut sum, mut weighted) = (0_u32, 0_u32);
        for (word, weight) in block.as_chunks().0.iter().zip((1..=BLOCK as u32).rev()) {
            let word = u32::from(u16::from_be_bytes(*word));
            sum += word;
            weighted += weight * word;
        }
        high = fold(high + BLOCK as u64 * low + u64::from(weighted));
        low = fold(low + u64::from(sum));
    }
    let last = last.first().map(|&byte| [byte, 0]);
    for word in words.iter().chain(&last) {
        low += u64::from(u16::from_be_bytes(*word));
        high += low;
    }
    (fold(high) << 16 | fold(low)) as u32
}

/// Words per block: as many as keep the weighted sum, at most 65535 x `BLOCK` x (`BLOCK` + 1) / 2, within 32 bits.
const BLOCK: usize = 256;

/// The residue modulo 65535, from 1 to 65535 unless the sum is zero.
fn fold(mut sum: u64) -> u64 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

fn swap_bytes_of_halves(checksum: u32) -> u32 {
    (checksum & 0x00ff_00ff) << 8 | (checksum >> 8) & 0x00ff_00ff
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Word by word, as the definition says.
    fn by_definition(data: &[u8]) -> u32 {
        let (mut low, mut high) = (0_u64, 0_u64);
        for word in data.chunks(2) {
            low += u64::from(word[0]) << 8 | word.get(1).map_or(0, |&byte| u64::from(byte));
            low = fold(low);
            high = fold(high + low);
        }
        (high << 16 | low) as u32
    }

    #[test]
    fn agrees_with_the_definition() {
        assert_eq!(fletcher32(b""), 0);
        assert_eq!(fletcher32(&[0; 999]), 0);
        assert_eq!(fletcher32(&[0xff; 2]), 0xffff_ffff);
        for length in [1, 2, 3, 8, 511, 512, 513, 514, 5000, 65_537] {
            for factor in [1, 31, 255] {
                let data: Vec<u8> = (0..length).map(|i| (i * factor + 255) as u8).collect();
                assert_eq!(fletcher32(&data), by_definition(&data), "{length} bytes, factor {factor}");
            }
            assert_eq!(fletcher32(&vec![0xff; length]), by_definition(&vec![0xff; length]), "{length} bytes");
        }
    }

    #[test]
    fn accepts_both_byte_orders_and_nothing_else() {
        let data = b"checked";
        let mut stored = Vec::new();
        Fletcher32.encode(&[], data, &mut stored).unwrap();
        let mut output = [0; 7];
        assert_eq!(Fletcher32.decode(&[], &stored, &mut output), Ok(7));
        assert_eq!(&output, data);
        assert_eq!(Fletcher32.decode(&[], &stored, &mut output[..6]), Err(Problem::TooLong { limit: 6 }));
        let mut swapped = stored.clone();
        swapped[7..].as_chunks_mut::<2>().0.iter_mut().for_each(|half| half.reverse());
        assert_ne!(swapped, stored);
        assert_eq!(Fletcher32.decode(&[], &swapped, &mut output), Ok(7));
        for bit in 0..stored.len() * 8 {
            let mut damaged = stored.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let result = Fletcher32.decode(&[], &damaged, &mut output);
            assert!(matches!(result, Err(Problem::Checksum { .. })), "bit {bit}: {result:?}");
        }
        for cut in 0..stored.len() {
            assert!(Fletcher32.decode(&[], &stored[..cut], &mut output).is_err());
        }
    }
}
