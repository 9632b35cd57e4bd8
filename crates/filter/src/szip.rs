//! Szip: lossless compression of numbers by the adaptive entropy coder that CCSDS 121.0-B describes.
//!
//! A stored chunk is its length before compression (4 bytes, little-endian), then the coded samples. A chunk is a sequence of scanlines,
//! each filled up to whole blocks and coded as one interval. Numbers of 32 and 64 bits are coded byte by byte, shuffled.
//!
//! Client values: option mask, pixels per block, bits per pixel, pixels per scanline.

mod coder;

use coder::Coder;

use crate::bits::{BitReader, BitWriter};
use crate::form::{ByteOrder, ChunkForm};
use crate::{Encoded, Filter, Problem, Shuffle};

/// The szip filter. Client values: the option mask, pixels per block, and (filled in for a dataset) bits per pixel and pixels per
/// scanline.
#[derive(Debug, Clone, Copy)]
pub struct Szip;

/// Code the differences of neighbours ("nearest neighbour").
const NEAREST_NEIGHBOUR: u32 = 32;
const LITTLE_ENDIAN: u32 = 8;
const BIG_ENDIAN: u32 = 16;

/// Blocks an interval has at most.
const BLOCKS_AT_MOST: u32 = 128;
const PIXELS_PER_SCANLINE_AT_MOST: u64 = 4096;

impl Filter for Szip {
    fn name(&self) -> &str {
        "szip"
    }

    fn settle(&self, values: &[u32], form: &ChunkForm<'_>) -> Result<Vec<u32>, Problem> {
        let &[mask, block, ..] = values else {
            return Err(Problem::values("szip needs an option mask and the pixels per block"));
        };
        if block == 0 || block % 2 != 0 || block > 32 {
            return Err(Problem::values(format!("{block} pixels per block, but it is an even number up to 32")));
        }
        let number = form.element.number().ok_or_else(|| Problem::values("szip is for numbers"))?;
        let whole = number.size * 8;
        let bits = match if number.offset == 0 { number.precision } else { whole } {
            bits @ ..=24 => bits,
            25..=32 => 32,
            33..=64 => 64,
            bits => return Err(Problem::values(format!("szip is for numbers of up to 64 bits, not {bits}"))),
        };
        let count = form.count();
        if count < u64::from(block) {
            return Err(Problem::values(format!("{block} pixels per block, but a chunk has only {count} elements")));
        }
        let longest = u64::from(block * BLOCKS_AT_MOST);
        let scanline = match form.dims.last().copied().unwrap_or(1) {
            row if row < u64::from(block) => longest.min(count),
            row if row <= PIXELS_PER_SCANLINE_AT_MOST => longest.min(row),
            _ => longest,
        };
        let order = match number.order {
            ByteOrder::Little => LITTLE_ENDIAN,
            ByteOrder::Big => BIG_ENDIAN,
        };
        Ok(vec![mask & !(LITTLE_ENDIAN | BIG_ENDIAN) | order, block, bits, scanline as u32])
    }

    fn decode(&self, values: &[u32], input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
        let settings = Settings::parse(values)?;
        let (length, coded) = input.split_first_chunk().ok_or(Problem::Truncated { length: input.len() })?;
        let length = u32::from_le_bytes(*length) as usize;
        let limit = output.len();
        let output = output.get_mut(..length).ok_or(Problem::TooLong { limit })?;
        match settings.planes {
            None => settings.decode(coded, output)?,
            Some(size) => {
                let mut planes = vec![0; length];
                settings.decode(coded, &mut planes)?;
                Shuffle.decode(&[size], &planes, output)?;
            }
        }
        Ok(length)
    }

    fn encode(&self, values: &[u32], input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Problem> {
        let settings = Settings::parse(values)?;
        let length = u32::try_from(input.len()).map_err(|_| Problem::malformed("a chunk of 4 GiB or more"))?;
        output.extend(length.to_le_bytes());
        match settings.planes {
            None => settings.encode(input, output)?,
            Some(size) => {
                let mut planes = Vec::new();
                Shuffle.encode(&[size], input, &mut planes)?;
                settings.encode(&planes, output)?;
            }
        }
        Ok(Encoded::by_length(input, output))
    }
}

/// What the client values say.
#[derive(Debug)]
struct Settings {
    coder: Coder,
    /// Samples of a scanline.
    scanline: usize,
    /// Bytes of a sample.
    sample: usize,
    order: ByteOrder,
    /// Bytes of an element, where it is coded as so many planes of bytes.
    planes: Option<u32>,
}

impl Settings {
    fn parse(values: &[u32]) -> Result<Self, Problem> {
        let &[mask, block, bits, scanline, ..] = values else {
            return Err(Problem::values(format!("{} of them, too few", values.len())));
        };
        let planes = matches!(bits, 32 | 64).then_some(bits / 8);
        let (bits, sample) = match bits {
            1..=8 => (bits, 1),
            9..=16 => (bits, 2),
            17..=31 => (bits, 4),
            32 | 64 => (8, 1),
            _ => return Err(Problem::values(format!("{bits} bits per pixel"))),
        };
        if block == 0 || block % 2 != 0 || block > 64 {
            return Err(Problem::values(format!("{block} pixels per block")));
        }
        let blocks = scanline.div_ceil(block);
        if blocks == 0 || blocks > 4096 {
            return Err(Problem::values(format!("{scanline} pixels per scanline in blocks of {block}")));
        }
        Ok(Self {
            coder: Coder {
                bits,
                block: block as usize,
                blocks: blocks as usize,
                differences: mask & NEAREST_NEIGHBOUR != 0,
            },
            scanline: scanline as usize,
            sample,
            order: if mask & BIG_ENDIAN != 0 { ByteOrder::Big } else { ByteOrder::Little },
            planes,
        })
    }

    fn decode(&self, coded: &[u8], output: &mut [u8]) -> Result<(), Problem> {
        let mut bits = BitReader::new(coded);
        let mut samples = vec![0; self.coder.interval()];
        let whole = output.len() / self.sample * self.sample;
        if whole != output.len() {
            return Err(Problem::malformed(format!("{} bytes of samples of {}", output.len(), self.sample)));
        }
        for scanline in output.chunks_mut(self.scanline * self.sample) {
            self.coder.decode(&mut bits, &mut samples, scanline.len() / self.sample)?;
            match (self.sample, self.order) {
                (1, _) => scanline.iter_mut().zip(&samples).for_each(|(byte, sample)| *byte = *sample as u8),
                (size, ByteOrder::Little) => scanline
                    .chunks_exact_mut(size)
                    .zip(&samples)
                    .for_each(|(bytes, sample)| bytes.copy_from_slice(&sample.to_le_bytes()[..size])),
                (size, ByteOrder::Big) => scanline
                    .chunks_exact_mut(size)
                    .zip(&samples)
                    .for_each(|(bytes, sample)| bytes.copy_from_slice(&sample.to_be_bytes()[4 - size..])),
            }
        }
        Ok(())
    }

    fn encode(&self, input: &[u8], output: &mut Vec<u8>) -> Result<(), Problem> {
        if !input.len().is_multiple_of(self.sample) {
            return Err(Problem::malformed(format!("{} bytes of samples of {}", input.len(), self.sample)));
        }
        let mut bits = BitWriter::new(output);
        let mut samples = Vec::with_capacity(self.coder.interval());
        let significant = u32::MAX >> (32 - self.coder.bits);
        let lines = input.len().div_ceil((self.scanline * self.sample).max(1));
        for (line, scanline) in input.chunks(self.scanline * self.sample).enumerate() {
            samples.clear();
            samples.extend(scanline.chunks_exact(self.sample).map(|bytes| {
                let number = match self.order {
                    ByteOrder::Little => bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)),
                    ByteOrder::Big => bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)),
                };
                number & significant
            }));
            let filler = if self.coder.differences { samples.last().copied().unwrap_or(0) } else { 0 };
            // Readers count on whole intervals up to the last, and on whole blocks in it.
            let length = match line + 1 == lines {
                true => samples.len().next_multiple_of(self.coder.block),
                false => self.coder.interval(),
            };
            samples.resize(length, filler);
            self.coder.encode(&mut samples, &mut bits);
        }
        bits.finish_exact();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_that_end_within_a_block_are_filled_up() {
        for (block, scanline, count) in
            [(8, 25, 400), (8, 25, 30), (2, 7, 100), (32, 4096, 5000), (16, 16, 16), (32, 33, 66)]
        {
            for (mask, bits, size) in
                [(32, 16, 2), (4, 8, 1), (32 | BIG_ENDIAN, 12, 2), (32, 32, 4), (4, 64, 8), (32, 20, 4)]
            {
                let step = |at: usize| [0, 1, 1, 2, 0, 0, 0, 7, 300, 5][at % 10] * usize::from(at % 97 > 40);
                let bytes = |at: usize| {
                    let number = step(at) as u64 & 0xff;
                    let bytes = number.to_le_bytes();
                    let mut bytes = bytes[..size].to_vec();
                    if mask & BIG_ENDIAN != 0 {
                        bytes.reverse();
                    }
                    bytes
                };
                let chunk: Vec<u8> = (0..count).flat_map(bytes).collect();
                let values = [mask, block, bits, scanline];
                let mut stored = Vec::new();
                Szip.encode(&values, &chunk, &mut stored).unwrap();
                let mut output = vec![0; chunk.len()];
                assert_eq!(Szip.decode(&values, &stored, &mut output), Ok(chunk.len()), "{values:?}");
                assert!(output == chunk, "{values:?}");
                assert!(matches!(Szip.decode(&values, &stored, &mut output[1..]), Err(Problem::TooLong { .. })));
            }
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for values in [&[][..], &[4, 8, 8], &[4, 0, 8, 8], &[4, 7, 8, 8], &[4, 8, 0, 8], &[4, 8, 65, 8], &[4, 8, 8, 0]]
        {
            assert!(matches!(Szip.decode(values, &[0; 8], &mut []), Err(Problem::Values(_))), "{values:?}");
        }
        assert!(matches!(Szip.decode(&[4, 2, 8, u32::MAX], &[0; 8], &mut []), Err(Problem::Values(_))));
    }
}
